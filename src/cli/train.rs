//! `secn train`: the whole line, from raw files to a run that can be evaluated, resumed and believed.

use std::{
    path::{Path, PathBuf},
    time::Instant,
};

use anyhow::Context;
use burn::tensor::Device;
use clap::Args;

use super::{
    ConfigArgs, MachineArgs,
    prepare::{prepare_data, row_counts},
    run_folder::{RunFolder, new_model},
    terminal::{Terminal, print},
};
use crate::{
    config::Config,
    data::VectorSource,
    device::DeviceName,
    embedding::{EmbeddingConfig, PretrainedConfig},
    features::{Prepared, Pretrained},
    metrics::{Curves, Evaluation, PrepareRecord, Reason, RunRecord, curves},
    report::{self, RunReport, Scored},
    training::{Event, Fit, Progress, Trainer, fit, load_best, load_last, score},
};

#[derive(Args)]
pub(super) struct TrainArgs {
    #[command(flatten)]
    config: ConfigArgs,
    #[command(flatten)]
    machine: MachineArgs,
    /// The run folder; by default `runs/NAME` for the config file `NAME.toml`.
    #[arg(long, value_name = "DIR")]
    run: Option<PathBuf>,
    /// Go on from the run's last checkpoint.
    #[arg(long, conflicts_with = "init_from")]
    resume: bool,
    /// Start from another run's weights.
    #[arg(long, value_name = "RUN")]
    init_from: Option<PathBuf>,
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
}

pub(super) fn run(args: &TrainArgs) -> anyhow::Result<()> {
    let began = Instant::now();
    args.machine.start_threads()?;
    let mut config = Config::load(&args.config.config, &args.config.set)?;
    config.training.device = args.machine.device.unwrap_or(config.training.device);
    let device = config.training.device.open()?;
    let folder = RunFolder::prepare(args.run.as_deref(), &args.config.config, args.resume)?;
    let mut terminal = Terminal::new();
    terminal.log_to(folder.log()?);
    if args.resume && !folder.config().exists() {
        terminal.say(&format!("nothing to resume in {}: a new run starts", folder.path().display()));
    }

    // bytes → rows → ids → batches
    let prepared = prepare_data(&config, &[&config], &mut terminal).inspect_err(|_| folder.discard_unused())?;
    let start = match &args.init_from {
        Some(run) => Start::Weights(run),
        None if args.resume => Start::Last,
        None => Start::New,
    };
    let experiment = Experiment { folder: &folder, config: &config, prepared: &prepared, device: &device, start };
    let record = experiment.train(began, &mut terminal)?;
    print(&if args.json { report::to_json(&record) } else { report::summary(&record) })
}

/// One training on prepared data.
pub(super) struct Experiment<'a> {
    pub(super) folder: &'a RunFolder,
    pub(super) config: &'a Config,
    pub(super) prepared: &'a Prepared,
    pub(super) device: &'a (DeviceName, Device),
    pub(super) start: Start<'a>,
}

/// What a training starts from.
#[derive(Clone, Copy)]
pub(super) enum Start<'a> {
    /// New weights.
    New,
    /// The run's last checkpoint, where there is one.
    Last,
    /// Another run's weights.
    Weights(&'a Path),
}

impl Experiment<'_> {
    /// Batches → embedding → model → loss → metrics → report; returns what `result.json` holds.
    pub(super) fn train(&self, began: Instant, terminal: &mut Terminal) -> anyhow::Result<RunRecord> {
        let Self { folder, config, prepared, device: (device_name, device), .. } = *self;
        let (progress, vectors) = self.begin()?;
        // batch → embedding → model → loss
        let (model, embedding) = new_model(config, &prepared.vocabulary, &device.clone().autodiff());
        let trainer = Trainer::new(model, embedding, &config.training, device.clone().autodiff());
        let (mut trainer, progress) = self.restore(terminal, trainer, progress, &vectors)?;
        drop(vectors);
        let parameters = trainer.parameters();
        terminal.say(&format!("{}: {parameters} parameters on {device_name}", config.model.name()));
        let progress = train(folder, config, prepared, &mut trainer, progress, terminal)?;
        // loss → metrics
        let scored = self.score_best(&mut trainer, terminal)?;
        // metrics → report
        let record = RunRecord {
            run: folder.path().display().to_string(),
            model: config.model.name().to_owned(),
            device: device_name.to_string(),
            parameters: parameters as u64,
            fields: prepared.vocabulary.fields() as u64,
            vocabulary: prepared.vocabulary.table_rows() as u64,
            rows: row_counts(prepared),
            best_epoch: progress.has_best.then_some(progress.best_epoch),
            epochs: progress.epochs,
            test: scored.as_ref().filter(|scored| scored.part == TEST).map(|scored| scored.evaluation.metrics.clone()),
            prepare: PrepareRecord {
                seconds: prepared.summary.seconds,
                rows_per_second: prepared.summary.rows_per_second,
                cached: prepared.summary.cached,
            },
            peak_memory_bytes: peak_memory_bytes(),
            seconds: began.elapsed().as_secs_f64(),
        };
        let page = RunReport {
            record: &record,
            evaluations: &folder.evaluations()?,
            scored: scored.as_ref().map(ScoredPart::for_report),
            config: &config.to_toml(),
        };
        report::write_report(&folder.report(), &page).context("cannot write the report")?;
        report::write_result(&folder.result(), &record).context("cannot write the result")?;
        Ok(record)
    }

    /// The best weights on the test part, or on the validation part where there is none.
    fn score_best(&self, trainer: &mut Trainer, terminal: &mut Terminal) -> anyhow::Result<Option<ScoredPart>> {
        let Prepared { test, validation, .. } = self.prepared;
        let parts = [(TEST, test), ("validation", validation)];
        let Some((part, cache)) = parts.into_iter().find_map(|(part, cache)| Some((part, cache.as_ref()?))) else {
            return Ok(None);
        };
        let best = self.folder.checkpoints().join("best");
        let (model, _) = load_best(&best, trainer.model().clone(), &mut trainer.embedding)
            .context("cannot read the best checkpoint")?;
        let scores = score(&model, &trainer.embedding, cache, self.config.training.logit_offset(), trainer.device());
        let evaluation = scores.evaluate();
        for undefined in &evaluation.undefined {
            terminal.warn(&undefined.to_string());
        }
        Ok(Some(ScoredPart { part, evaluation, curves: curves(&scores.logits, &scores.labels) }))
    }

    /// A new run's files, or the check that a resumed run still is the same experiment.
    fn begin(&self) -> anyhow::Result<(Option<Progress>, Vec<Vectors<'_>>)> {
        let Self { folder, config, prepared, .. } = *self;
        let goes_on = matches!(self.start, Start::Last) && folder.config().exists();
        if goes_on && folder.has_progress() {
            folder.check_config(config)?;
            folder.check_vocabulary(&prepared.vocabulary)?;
        }
        let vectors = if goes_on { Vec::new() } else { self.vectors().inspect_err(|_| folder.discard_unused())? };
        folder.save(config, &prepared.schema, &prepared.vocabulary)?;
        Ok(((!goes_on).then(Progress::default), vectors))
    }

    /// The weights and the place to start from: new, of another run, or of the last checkpoint.
    fn restore(
        &self,
        terminal: &mut Terminal,
        mut trainer: Trainer,
        progress: Option<Progress>,
        vectors: &[Vectors],
    ) -> anyhow::Result<(Trainer, Progress)> {
        if let Start::Weights(run) = self.start {
            let (other, checkpoint) = RunFolder::open(run)?;
            other
                .check_vocabulary(&self.prepared.vocabulary)
                .context("cannot start from the weights of another run")?;
            let (model, _) = load_best(&checkpoint, trainer.model().clone(), &mut trainer.embedding)
                .with_context(|| format!("cannot start from the weights of {}", run.display()))?;
            trainer.set_model(model);
            terminal.say(&format!("starting from the weights of {}", run.display()));
        }
        if let Some(progress) = progress {
            self.start_from(vectors, &mut trainer, terminal);
            return Ok((trainer, progress));
        }
        let last = self.folder.checkpoints().join("last");
        if !last.exists() && !last.with_extension("old").exists() {
            self.folder.check_unfinished()?;
            terminal.say("no checkpoint yet: starting from the beginning");
            self.folder.cut_metrics(0)?;
            self.start_from(&self.vectors()?, &mut trainer, terminal);
            return Ok((trainer, Progress::default()));
        }
        let (trainer, progress) = load_last(&last, trainer).context("cannot resume")?;
        self.folder.cut_metrics(progress.evaluations)?;
        terminal.say(&format!("resuming at epoch {}, step {}", progress.epoch + 1, progress.step));
        Ok((trainer, progress))
    }
}

/// The vectors that a field's values start from.
struct Vectors<'a> {
    field: &'a str,
    config: &'a PretrainedConfig,
    found: Pretrained,
}

impl Experiment<'_> {
    /// Reads what `[embedding.pretrained]` names.
    fn vectors(&self) -> anyhow::Result<Vec<Vectors<'_>>> {
        let EmbeddingConfig { dim, dims, pretrained, .. } = &self.config.embedding;
        let read = |(field, config): (&'_ String, _)| {
            let PretrainedConfig { file, key, vectors, .. }: &PretrainedConfig = config;
            let source = VectorSource { path: file.clone(), key: key.clone(), vectors: vectors.clone() };
            let found = self.prepared.vocabulary.pretrained(field, &source, dims.get(field).unwrap_or(dim).get());
            found.context("cannot start from pretrained vectors")
        };
        pretrained.iter().map(|(field, config)| Ok(Vectors { field, config, found: read((field, config))? })).collect()
    }

    fn start_from(&self, vectors: &[Vectors], trainer: &mut Trainer, terminal: &mut Terminal) {
        for Vectors { field, config: PretrainedConfig { file, frozen, .. }, found } in vectors {
            let (ids, file) = (found.ids.len(), file.display());
            let Pretrained { values, read, .. } = found;
            let line = format!("pretrained vectors of `{field}`: {ids} of its {values} values, from {read} in {file}");
            if !trainer.embedding.start_from(found, *frozen) {
                let model = self.config.model.name();
                terminal.warn(&format!(
                    "`{model}` has no vector that is an id's own: `embedding.pretrained` has no effect"
                ));
            } else if found.ids.is_empty() {
                terminal.warn(&format!("{line}: are they of another field?"));
            } else {
                terminal.say(&line);
            }
        }
    }
}

/// The loop, with its events shown and written down.
fn train(
    folder: &RunFolder,
    config: &Config,
    prepared: &Prepared,
    trainer: &mut Trainer,
    progress: Progress,
    terminal: &mut Terminal,
) -> anyhow::Result<Progress> {
    let checkpoints = folder.checkpoints();
    let train_rows = prepared.train.rows() as u64;
    let plan = Fit {
        config: &config.training,
        train: &prepared.train,
        validation: prepared.validation.as_ref(),
        shuffle_rows: config.features.shuffle_rows.get(),
        checkpoints: &checkpoints,
    };
    let mut unwritten = None;
    let mut observe = |event: Event| match event {
        Event::Step(step) => terminal.step(&step, train_rows),
        Event::Evaluated(record, evaluation) => {
            unwritten = unwritten.take().or(folder.add_metrics(&report::to_json(record)).err());
            for undefined in &evaluation.undefined {
                terminal.warn(&undefined.to_string());
            }
        }
        Event::Epoch(record) => terminal.say(&report::epoch_line(record)),
        Event::RateDropped(factor) => terminal.say(&format!("no gain: learning rates are now times {factor}")),
        Event::Stopped(evaluations) => terminal.say(&format!("stopping early: no gain in {evaluations} evaluations")),
    };
    let fitted = fit(&plan, trainer, progress, &mut observe);
    terminal.clear();
    let progress = fitted.context("the training has stopped")?;
    unwritten.map_or(Ok(progress), |error| Err(error).context("cannot write metrics.jsonl"))
}

const TEST: &str = "test";

/// What the best weights say of a part.
struct ScoredPart {
    part: &'static str,
    evaluation: Evaluation,
    curves: Result<Curves, Reason>,
}

impl ScoredPart {
    fn for_report(&self) -> Scored<'_> {
        Scored { part: self.part, evaluation: &self.evaluation, curves: &self.curves }
    }
}

/// The most memory that this process held at a time; known on Linux alone.
fn peak_memory_bytes() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kib: u64 = line.trim().trim_end_matches("kB").trim().parse().ok()?;
    Some(kib * 1024)
}
