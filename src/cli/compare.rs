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
    compare_plan::{Entrant, Plan, Variant},
    failure::UsageError,
    prepare::{prepare_data, row_counts},
    run_folder::{Loaded, RunFolder},
    terminal::{Terminal, print},
    train::{Experiment, Start},
};
use crate::{
    config::Config,
    device::DeviceName,
    features::Prepared,
    metrics::{
        Candidate, CompareRecord, Difference, EvaluationRecord, MetricName, Metrics, ModelResult, ModelSettings,
        RunRecord, auc_difference, logloss_difference, settings_line,
    },
    report::{self, Comparison, Differences},
    training::score,
};

#[derive(Args)]
pub(super) struct CompareArgs {
    #[command(flatten)]
    pub(super) config: ConfigArgs,
    #[command(flatten)]
    pub(super) machine: MachineArgs,
    /// The models, separated by commas; by default those of the config's `[compare]`.
    #[arg(long, value_name = "A,B,…", value_delimiter = ',')]
    pub(super) models: Vec<String>,
    /// Trainings a model, each with a seed of its own.
    #[arg(long, value_name = "N")]
    pub(super) seeds: Option<NonZeroUsize>,
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
    let plan = Plan::read(args)?;
    let config = &plan.config;
    let name = args.config.config.file_stem().map_or_else(|| "config".into(), |stem| stem.to_string_lossy());
    let path = folder(args, &name)?;
    let device = config.training.device.open()?;
    let mut terminal = Terminal::new();
    let prepared = prepare_data(config, &plan.configs(), &mut terminal)?;
    let mut contest = Contest { plan: &plan, path: &path, prepared: &prepared, device, terminal };
    let (mut runs, mut settings) = (Vec::new(), Vec::new());
    for entrant in &plan.entrants {
        let (variant, chosen) = contest.choose(entrant)?;
        settings.push(chosen);
        runs.extend(contest.seeds(&entrant.model, variant)?);
    }
    let models = runs.iter().map(|run| run.result.clone()).collect();
    let record = CompareRecord { dataset: name.into_owned(), rows: row_counts(&prepared), models, settings };
    let differences = differences(&record, &runs);
    let resolved = config.to_toml();
    let comparison = Comparison { record: &record, differences: &differences, config: &resolved };
    report::write_comparison(&path, &comparison).context("cannot write the comparison")?;
    contest.terminal.say(&format!("the page is {}", path.join("compare.html").display()));
    print(&if args.json { report::to_json(&record) } else { report::comparison_table(&comparison) })
}

/// The comparison's folder, new or not, which must not be a run's.
fn folder(args: &CompareArgs, name: &str) -> anyhow::Result<PathBuf> {
    let path = args.run.clone().unwrap_or_else(|| Path::new("runs").join(format!("compare-{name}")));
    if path.join("config.toml").exists() {
        let text =
            format!("{}: expected a comparison's folder, found a run's; name another with `--run`", path.display());
        return Err(UsageError(text).into());
    }
    fs::create_dir_all(&path).with_context(|| format!("cannot make the folder {}", path.display()))?;
    Ok(path)
}

/// A comparison under way.
struct Contest<'a> {
    plan: &'a Plan,
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
    /// The candidate that is best on the validation part, and what it was chosen from.
    fn choose<'a>(&mut self, entrant: &'a Entrant) -> anyhow::Result<(&'a Variant, ModelSettings)> {
        let Entrant { model, candidates } = entrant;
        let metric = self.plan.config.training.early_stop.metric;
        let mut settings =
            ModelSettings { model: model.clone(), chosen: BTreeMap::new(), metric, candidates: Vec::new() };
        if let [only] = &candidates[..] {
            settings.chosen.clone_from(&only.settings);
            return Ok((only, settings));
        }
        for (number, candidate) in (1..).zip(candidates) {
            let line = settings_line(&candidate.settings);
            self.terminal.say(&format!("{model}, candidate {number} of {}: {line}", candidates.len()));
            let validation = self.search(&format!("{model}/{number}"), candidate, metric)?;
            settings.candidates.push(Candidate { settings: candidate.settings.clone(), validation });
        }
        let (best, value) =
            settings.best().with_context(|| format!("no candidate of `{model}` has a validation {metric}"))?;
        settings.chosen.clone_from(&candidates[best].settings);
        let line = settings_line(&settings.chosen);
        self.terminal.say(&format!("{model}: chosen {line} ({metric} {value:.5} on the validation part)"));
        Ok((&candidates[best], settings))
    }

    /// The mean of a candidate's best evaluations over the search's seeds.
    fn search(&mut self, place: &str, candidate: &Variant, metric: MetricName) -> anyhow::Result<Option<Metrics>> {
        let path = self.path.join("search").join(place);
        let mut validations = Vec::new();
        for (position, seed) in self.plan.search_seeds().enumerate() {
            let path = if position == 0 { path.clone() } else { path.with_extension(format!("seed-{seed}")) };
            self.trained(&candidate.with_seed(seed), &path)?;
            validations.extend(best_validation(&path, metric)?);
        }
        let all_known = validations.len() == self.plan.search_seeds().count();
        Ok(all_known.then(|| Metrics::mean(&validations)))
    }

    /// The model's trainings with all seeds.
    fn seeds(&mut self, model: &str, variant: &Variant) -> anyhow::Result<Vec<Run>> {
        self.plan.seeds().map(|seed| self.seed(model, variant, seed)).collect()
    }

    fn seed(&mut self, model: &str, variant: &Variant, seed: u64) -> anyhow::Result<Run> {
        self.terminal.say(&format!("{model}, seed {seed}"));
        let path = self.path.join("models").join(model).join(format!("seed-{seed}"));
        let record = self.trained(&variant.with_seed(seed), &path)?;
        let test = self.prepared.test.as_ref().expect("a comparison without test rows was refused");
        let loaded = Loaded::open(&path, &self.device.1)?;
        let offset = variant.config.training.logit_offset();
        let scores = score(&loaded.model, &loaded.embedding, test, offset, &self.device.1);
        let metrics = record.test.unwrap_or_default();
        let result = ModelResult {
            model: model.to_owned(),
            seed,
            logloss: metrics.logloss,
            auc: metrics.auc,
            parameters: record.parameters,
            seconds: record.seconds,
            rows_per_second: record.epochs.last().map_or(0.0, |epoch| epoch.rows_per_second),
        };
        Ok(Run { result, logits: scores.logits, labels: scores.labels })
    }

    /// Trains, or goes on with, or reads what is finished already.
    fn trained(&mut self, config: &Config, path: &Path) -> anyhow::Result<RunRecord> {
        let began = Instant::now();
        let folder = RunFolder::at(path)?;
        let (prepared, device) = (self.prepared, &self.device);
        if let Some(record) = folder.finished(config, prepared)? {
            self.terminal.say(&format!("finished before: {}", path.display()));
            return Ok(record);
        }
        let mut terminal = Terminal::new();
        terminal.log_to(folder.log()?);
        let experiment = Experiment { folder: &folder, config, prepared, device, start: Start::Last };
        let record = experiment.train(began, &mut terminal)?;
        // evaluation, prediction and other runs' starts read the best weights, so what resuming needs may go
        let _ = fs::remove_dir_all(folder.checkpoints().join("last"));
        Ok(record)
    }
}

/// The run's evaluation in which the metric was best.
fn best_validation(path: &Path, metric: MetricName) -> anyhow::Result<Option<Metrics>> {
    let evaluations: Vec<EvaluationRecord> = RunFolder::at(path)?.evaluations()?;
    let known = evaluations.into_iter().filter_map(|one| Some((metric.value(&one.validation)?, one.validation)));
    let best = known.reduce(|best, other| if metric.improves(other.0, best.0) { other } else { best });
    Ok(best.map(|(_, metrics)| metrics))
}

/// What a model's runs differ by from another's, of the labels in the third place.
type Compared = fn(&[&[f32]], &[&[f32]], &[f32]) -> Option<Difference>;

/// Each model's logloss and AUC against the best one's, over all seeds of both.
fn differences(record: &CompareRecord, runs: &[Run]) -> Differences {
    let of = |model: &str| -> Vec<&[f32]> {
        runs.iter().filter(|run| run.result.model == model).map(|run| run.logits.as_slice()).collect()
    };
    let labels = runs.first().map_or(&[][..], |run| &run.labels);
    let from = |best: Option<String>, difference: Compared| {
        let Some(best) = best else { return BTreeMap::new() };
        let others = record.summaries().into_iter().map(|summary| summary.model).filter(|model| *model != best);
        others.filter_map(|model| Some((model.clone(), difference(&of(&model), &of(&best), labels)?))).collect()
    };
    Differences {
        logloss: from(record.best_by_logloss(), |one, best, labels| logloss_difference(one, best, labels)),
        auc: from(record.best_by_auc(), |one, best, labels| auc_difference(one, best, labels)),
    }
}
