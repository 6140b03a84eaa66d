//! `secn compare`: several models on one split, one vocabulary and one budget.
//!
//! Each training is a run folder of its own below the comparison's folder, so that a killed comparison goes on where it
//! was: what is finished is read, what was begun is resumed.

use std::{
    collections::BTreeMap,
    fs,
    num::NonZeroUsize,
    path::{Path, PathBuf},
    time::Instant,
};

use anyhow::Context;
use burn::tensor::Device;
use clap::Args;

use super::{
    ConfigArgs, MachineArgs,
    failure::UsageError,
    prepare::{prepare_data, row_counts},
    run_folder::{Loaded, RunFolder},
    terminal::{Terminal, print},
    train::{Experiment, Start},
};
use crate::{
    config::{CompareConfig, Config, Draft, Settings},
    data::Validation,
    device::DeviceName,
    features::Prepared,
    metrics::{AucDifference, CompareRecord, EvaluationRecord, ModelResult, RunRecord, auc_difference},
    models::ModelConfig,
    ranges::Count,
    report::{self, Comparison},
    seed::Seed,
    training::score,
};

#[derive(Args)]
pub(super) struct CompareArgs {
    #[command(flatten)]
    config: ConfigArgs,
    #[command(flatten)]
    machine: MachineArgs,
    /// The models, separated by commas; by default those of the config's `[compare]`.
    #[arg(long, value_name = "A,B,…", value_delimiter = ',')]
    models: Vec<String>,
    /// Trainings a model, each with a seed of its own.
    #[arg(long, value_name = "N")]
    seeds: Option<NonZeroUsize>,
    /// The comparison's folder; by default `runs/compare-NAME` for the config file `NAME.toml`. What is there is gone on
    /// with.
    #[arg(long, value_name = "DIR")]
    run: Option<PathBuf>,
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
}

pub(super) fn run(args: &CompareArgs) -> anyhow::Result<()> {
    args.machine.start_threads()?;
    let draft = Draft::read(&args.config.config, &args.config.set)?;
    let mut config = draft.resolve()?;
    config.training.device = args.machine.device.unwrap_or(config.training.device);
    let plan = plan(args, &config)?;
    let name = args.config.config.file_stem().map_or_else(|| "config".into(), |stem| stem.to_string_lossy());
    let path = args.run.clone().unwrap_or_else(|| Path::new("runs").join(format!("compare-{name}")));
    if path.join("config.toml").exists() {
        let text =
            format!("{}: expected a comparison's folder, found a run's; name another with `--run`", path.display());
        return Err(UsageError(text).into());
    }
    fs::create_dir_all(&path).with_context(|| format!("cannot make the folder {}", path.display()))?;
    let device = config.training.device.open()?;
    let mut terminal = Terminal::new();
    let prepared = prepare_data(&config, &mut terminal)?;
    let mut contest = Contest { draft, config: &config, plan, path: &path, prepared: &prepared, device, terminal };
    let mut runs = Vec::new();
    for model in contest.plan.models.clone() {
        let settings = contest.choose(&model)?;
        runs.extend(contest.seeds(&model, &settings)?);
    }
    let rows = row_counts(&prepared);
    let record =
        CompareRecord { dataset: name.into_owned(), rows, models: runs.iter().map(|run| run.result.clone()).collect() };
    let differences = differences(&record, &runs);
    let resolved = config.to_toml();
    let comparison = Comparison { record: &record, differences: &differences, config: &resolved };
    report::write_comparison(&path, &comparison).context("cannot write the comparison")?;
    contest.terminal.say(&format!("the page is {}", path.join("compare.html").display()));
    print(&if args.json { report::to_json(&record) } else { report::comparison_table(&comparison) })
}

/// What is compared: the config's `[compare]` under the flags.
fn plan(args: &CompareArgs, config: &Config) -> anyhow::Result<CompareConfig> {
    let mut plan = config.compare.clone().unwrap_or_default();
    if !args.models.is_empty() {
        plan.models.clone_from(&args.models);
    }
    if let Some(seeds) = args.seeds {
        plan.seeds = Count::new(seeds.get()).expect("a number that isn't 0 counts");
    }
    if let Some(twice) = plan.models.iter().enumerate().find(|(place, model)| plan.models[..*place].contains(model)) {
        return Err(
            UsageError(format!("the model `{}` is named twice; `--seeds N` repeats a training", twice.1)).into()
        );
    }
    for model in plan.models.iter().chain(plan.set.keys()).chain(plan.grid.keys()) {
        if model != ALL && ModelConfig::by_name(model).is_none() {
            let text = format!("expected a model's name, found `{model}`; `secn models` lists them");
            return Err(UsageError(text).into());
        }
    }
    if config.data.test.is_empty() {
        return Err(UsageError("models are compared on test rows: name them as `data.test`".to_owned()).into());
    }
    if !plan.grid.is_empty() && config.data.validation == Validation::None {
        let text = "`[compare.grid]` chooses on validation rows: name them as `data.validation`";
        return Err(UsageError(text.to_owned()).into());
    }
    Ok(plan)
}

/// The name in `[compare.set]` and `[compare.grid]` that means every model.
const ALL: &str = "all";

/// Everything that the trainings share.
struct Contest<'a> {
    draft: Draft,
    config: &'a Config,
    plan: CompareConfig,
    path: &'a Path,
    prepared: &'a Prepared,
    device: (DeviceName, Device),
    terminal: Terminal,
}

/// One finished training.
struct Run {
    result: ModelResult,
    /// Of the test rows.
    logits: Vec<f32>,
    labels: Vec<f32>,
}

impl Contest<'_> {
    /// The model's settings: those of `[compare.set]`, and of `[compare.grid]` the best on the validation part.
    fn choose(&mut self, model: &str) -> anyhow::Result<Settings> {
        let fixed = [ALL, model].into_iter().filter_map(|name| self.plan.set.get(name));
        let fixed: Settings = fixed.flatten().map(|(key, value)| (key.clone(), value.clone())).collect();
        let candidates = candidates(&self.plan, model);
        let mut best: Option<(f64, Settings)> = None;
        for (number, candidate) in candidates.iter().enumerate() {
            let mut settings = fixed.clone();
            settings.extend(candidate.clone());
            if candidates.len() == 1 {
                return Ok(settings);
            }
            let name = describe(candidate);
            self.terminal.say(&format!("{model}, candidate {} of {}: {name}", number + 1, candidates.len()));
            let path = self.path.join("search").join(model).join((number + 1).to_string());
            let config = self.variant(model, &settings, self.config.training.seed)?;
            self.trained(&config, &path)?;
            let metric = config.training.early_stop.metric;
            if let Some(value) = best_validation(&path, &config)?
                && best.as_ref().is_none_or(|(best, _)| metric.improves(value, *best))
            {
                best = Some((value, settings));
            }
        }
        let (value, settings) = best.with_context(|| format!("no candidate of `{model}` has a validation metric"))?;
        self.terminal.say(&format!("{model}: chosen {} ({value:.5} on the validation part)", describe(&settings)));
        Ok(settings)
    }

    /// The model's trainings with all seeds.
    fn seeds(&mut self, model: &str, settings: &Settings) -> anyhow::Result<Vec<Run>> {
        let first = self.config.training.seed.0;
        let seeds = first..first + self.plan.seeds.get() as u64;
        seeds.map(|seed| self.seed(model, settings, Seed(seed))).collect()
    }

    fn seed(&mut self, model: &str, settings: &Settings, seed: Seed) -> anyhow::Result<Run> {
        self.terminal.say(&format!("{model}, seed {}", seed.0));
        let path = self.path.join("models").join(model).join(format!("seed-{}", seed.0));
        let config = self.variant(model, settings, seed)?;
        let record = self.trained(&config, &path)?;
        let test = self.prepared.test.as_ref().expect("a comparison without test rows was refused");
        let loaded = Loaded::open(&path, &self.device.1)?;
        let scores = score(&loaded.model, &loaded.embedding, test, &self.device.1);
        let metrics = record.test.unwrap_or_default();
        let result = ModelResult {
            model: model.to_owned(),
            seed: seed.0,
            logloss: metrics.logloss,
            auc: metrics.auc,
            parameters: record.parameters,
            seconds: record.seconds,
            rows_per_second: record.epochs.last().map_or(0.0, |epoch| epoch.rows_per_second),
        };
        Ok(Run { result, logits: scores.logits, labels: scores.labels })
    }

    /// The config of one training.
    fn variant(&self, model: &str, settings: &Settings, seed: Seed) -> anyhow::Result<Config> {
        let mut draft = self.draft.clone();
        draft.keep_model(model);
        for (key, value) in settings {
            draft.set(key, value)?;
        }
        let mut config = draft.resolve().with_context(|| format!("the settings of `{model}`"))?;
        if config.model.name() != model || config.data != self.config.data || config.features != self.config.features {
            let text = format!("`[compare]`: the settings of `{model}` may not change `model`, `data` or `features`");
            return Err(UsageError(text).into());
        }
        config.compare = None;
        config.training.device = self.config.training.device;
        config.data.split_seed = Some(self.config.split_seed());
        config.training.seed = seed;
        Ok(config)
    }

    /// Trains, or goes on with, or reads what is finished already.
    fn trained(&mut self, config: &Config, path: &Path) -> anyhow::Result<RunRecord> {
        let began = Instant::now();
        let folder = RunFolder::at(path)?;
        if let Some(record) = folder.finished(config, self.prepared)? {
            self.terminal.say(&format!("finished before: {}", path.display()));
            return Ok(record);
        }
        let mut terminal = Terminal::new();
        terminal.log_to(folder.log()?);
        let (prepared, device) = (self.prepared, &self.device);
        let experiment = Experiment { folder: &folder, config, prepared, device, start: Start::Last };
        let record = experiment.train(began, &mut terminal)?;
        // a finished run of a comparison is only evaluated, so what resuming needs may go
        let _ = fs::remove_dir_all(folder.checkpoints().join("last"));
        Ok(record)
    }
}

/// All combinations of the model's lists in `[compare.grid]`; without any, one candidate without settings.
fn candidates(plan: &CompareConfig, model: &str) -> Vec<Settings> {
    let grids = [ALL, model].into_iter().filter_map(|name| plan.grid.get(name));
    let lists: BTreeMap<_, _> = grids.flatten().collect();
    let mut candidates = vec![Settings::new()];
    for (key, values) in lists {
        let with = |candidate: &Settings, value: &toml::Value| {
            let mut candidate = candidate.clone();
            candidate.insert(key.clone(), value.clone());
            candidate
        };
        candidates =
            candidates.iter().flat_map(|candidate| values.iter().map(move |value| with(candidate, value))).collect();
    }
    candidates
}

fn describe(settings: &Settings) -> String {
    let settings: Vec<String> = settings.iter().map(|(key, value)| format!("{key} = {value}")).collect();
    settings.join(", ")
}

/// The best value of the early stop's metric among the run's evaluations.
fn best_validation(path: &Path, config: &Config) -> anyhow::Result<Option<f64>> {
    let metric = config.training.early_stop.metric;
    let evaluations: Vec<EvaluationRecord> = RunFolder::at(path)?.evaluations()?;
    let values = evaluations.iter().filter_map(|evaluation| metric.value(&evaluation.validation));
    Ok(values.reduce(|best, value| if metric.improves(value, best) { value } else { best }))
}

/// Each model's AUC against the best one's, over all seeds of both.
fn differences(record: &CompareRecord, runs: &[Run]) -> BTreeMap<String, AucDifference> {
    let Some(best) = record.best_by_auc() else { return BTreeMap::new() };
    let of = |model: &str| -> Vec<&[f32]> {
        runs.iter().filter(|run| run.result.model == model).map(|run| run.logits.as_slice()).collect()
    };
    let labels = runs.first().map_or(&[][..], |run| &run.labels);
    let others = record.summaries().into_iter().map(|summary| summary.model).filter(|model| *model != best);
    others.filter_map(|model| Some((model.clone(), auc_difference(&of(&model), &of(&best), labels)?))).collect()
}
