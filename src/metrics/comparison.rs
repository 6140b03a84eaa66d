//! The record of a comparison: every model's runs on one split, and what they come to a model.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{MetricName, Metrics, RowCounts};

/// Models trained and tested on the same rows.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CompareRecord {
    pub dataset: String,
    pub rows: RowCounts,
    /// One a model and seed.
    pub models: Vec<ModelResult>,
    /// One a model: what it was trained with, and how that was chosen.
    pub settings: Vec<ModelSettings>,
}

/// Dotted keys of the config and their values.
pub type KeyValues = BTreeMap<String, toml::Value>;

/// What a model was trained with beside the common config.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ModelSettings {
    pub model: String,
    /// The settings of the model's trainings: the given ones and those of the best candidate.
    pub chosen: KeyValues,
    /// The metric of the validation part that decides between candidates.
    pub metric: MetricName,
    /// All that were tried, each trained with the first seeds; empty where there was nothing to choose from.
    pub candidates: Vec<Candidate>,
}

/// One of the settings that a model's search tried.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Candidate {
    pub settings: KeyValues,
    /// At the evaluation in which the deciding metric was best, the mean over the search's seeds; `None` where no evaluation has
    /// that metric.
    pub validation: Option<Metrics>,
}

impl ModelSettings {
    /// The position of the best candidate, the first of equals, and its deciding metric; `None` where none has it.
    pub fn best(&self) -> Option<(usize, f64)> {
        let value = |candidate: &Candidate| self.metric.value(candidate.validation.as_ref()?);
        let values = self.candidates.iter().enumerate();
        let known = values.filter_map(|(position, candidate)| Some((position, value(candidate)?)));
        let better = |new: &(usize, f64), old: &(usize, f64)| self.metric.improves(new.1, old.1);
        known.reduce(|best, other| if better(&other, &best) { other } else { best })
    }
}

/// Settings in a line, as they would stand in a config.
pub fn settings_line(settings: &KeyValues) -> String {
    let settings: Vec<String> = settings.iter().map(|(key, value)| format!("{key} = {value}")).collect();
    settings.join(", ")
}

/// A model's run with one seed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ModelResult {
    /// The model's registered name.
    pub model: String,
    pub seed: u64,
    /// This and the next: on the test part, `None` where undefined.
    pub logloss: Option<f64>,
    pub auc: Option<f64>,
    /// All trained numbers, the embedding table's included.
    pub parameters: u64,
    /// Of the whole run.
    pub seconds: f64,
    /// Of training.
    pub rows_per_second: f64,
}

/// A model over all its seeds.
#[derive(Clone, Debug, PartialEq)]
pub struct ModelSummary {
    pub model: String,
    pub seeds: u64,
    pub logloss: Option<Spread>,
    pub auc: Option<Spread>,
    /// The largest of the seeds'.
    pub parameters: u64,
    pub seconds: f64,
    pub rows_per_second: f64,
}

/// A mean over seeds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Spread {
    pub mean: f64,
    /// The sample's standard deviation (n − 1); `None` for a single seed.
    pub deviation: Option<f64>,
}

impl CompareRecord {
    /// A summary a model, the lowest logloss first; those without one stand last, in the order of the record.
    pub fn summaries(&self) -> Vec<ModelSummary> {
        let mut names: Vec<&str> = Vec::new();
        for result in &self.models {
            if !names.contains(&result.model.as_str()) {
                names.push(&result.model);
            }
        }
        let mut summaries: Vec<ModelSummary> = names.into_iter().map(|name| self.summary(name)).collect();
        summaries.sort_by(|left, right| by_logloss(left).total_cmp(&by_logloss(right)));
        summaries
    }

    /// The model of the lowest mean logloss, which the others are held against.
    pub fn best_by_logloss(&self) -> Option<String> {
        self.summaries().into_iter().find(|summary| summary.logloss.is_some()).map(|summary| summary.model)
    }

    /// The model of the highest mean AUC, which the others are held against; the first of equals.
    pub fn best_by_auc(&self) -> Option<String> {
        let known = self.summaries().into_iter().filter_map(|summary| Some((summary.auc?.mean, summary.model)));
        known.reduce(|best, other| if other.0 > best.0 { other } else { best }).map(|(_, model)| model)
    }

    fn summary(&self, name: &str) -> ModelSummary {
        let runs: Vec<&ModelResult> = self.models.iter().filter(|result| result.model == name).collect();
        let mean = |of: fn(&ModelResult) -> f64| runs.iter().map(|run| of(run)).sum::<f64>() / runs.len() as f64;
        ModelSummary {
            model: name.to_owned(),
            seeds: runs.len() as u64,
            logloss: Spread::of(runs.iter().map(|run| run.logloss)),
            auc: Spread::of(runs.iter().map(|run| run.auc)),
            parameters: runs.iter().map(|run| run.parameters).max().unwrap_or_default(),
            seconds: mean(|run| run.seconds),
            rows_per_second: mean(|run| run.rows_per_second),
        }
    }
}

impl Spread {
    /// `None` where there is no value or one of them is undefined.
    fn of(values: impl Iterator<Item = Option<f64>>) -> Option<Self> {
        let values: Vec<f64> = values.collect::<Option<_>>()?;
        let count = values.len() as f64;
        let mean = values.iter().sum::<f64>() / count;
        let squares: f64 = values.iter().map(|value| (value - mean).powi(2)).sum();
        let deviation = (values.len() > 1).then(|| (squares / (count - 1.0)).sqrt());
        (!values.is_empty()).then_some(Self { mean, deviation })
    }
}

fn by_logloss(summary: &ModelSummary) -> f64 {
    summary.logloss.map_or(f64::INFINITY, |spread| spread.mean)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn result(model: &str, seed: u64, logloss: Option<f64>, auc: f64) -> ModelResult {
        let model = model.to_owned();
        ModelResult { model, seed, logloss, auc: Some(auc), parameters: 7, seconds: 2.0, rows_per_second: 40.0 }
    }

    fn record(models: Vec<ModelResult>) -> CompareRecord {
        let rows = RowCounts { train: 80, validation: 10, test: 10 };
        CompareRecord { dataset: "sample".into(), rows, models, settings: Vec::new() }
    }

    fn searched(metric: MetricName, loglosses: &[Option<f64>]) -> ModelSettings {
        let candidate = |logloss: &Option<f64>| {
            let settings = KeyValues::from([("embedding.dim".to_owned(), toml::Value::from(8))]);
            Candidate { settings, validation: Some(Metrics { logloss: *logloss, ..Metrics::default() }) }
        };
        let candidates = loglosses.iter().map(candidate).collect();
        ModelSettings { model: "fm".into(), chosen: KeyValues::new(), metric, candidates }
    }

    #[test]
    fn the_best_candidate_is_the_first_of_equals_by_the_deciding_metric() {
        let loglosses = [None, Some(0.5), Some(0.25), Some(0.25)];
        assert_eq!(searched(MetricName::Logloss, &loglosses).best(), Some((2, 0.25)));
        assert_eq!(searched(MetricName::Auc, &loglosses).best(), None);
        assert_eq!(searched(MetricName::Logloss, &[]).best(), None);
    }

    #[test]
    fn settings_keep_their_values_through_json_and_read_as_in_a_config() {
        let mut settings = searched(MetricName::Logloss, &[Some(0.5)]);
        settings.chosen.insert("model.fm.mlp".into(), toml::Value::from(vec![8, 4]));
        settings.chosen.insert("embedding.optimizer".into(), toml::Value::from("adam"));
        settings.chosen.insert("embedding.l2".into(), toml::Value::from(1e-6));
        let text = serde_json::to_string(&settings).unwrap();
        assert_eq!(serde_json::from_str::<ModelSettings>(&text).unwrap(), settings);
        let line = "embedding.l2 = 0.000001, embedding.optimizer = \"adam\", model.fm.mlp = [8, 4]";
        assert_eq!(settings_line(&settings.chosen), line);
    }

    #[test]
    fn a_summary_has_the_mean_and_the_samples_deviation() {
        let record = record(vec![result("fm", 1, Some(0.25), 0.5), result("fm", 2, Some(0.75), 0.5)]);
        let [summary] = &record.summaries()[..] else { panic!("one model") };
        let logloss = summary.logloss.unwrap();
        assert_eq!((summary.seeds, logloss.mean), (2, 0.5));
        assert!((logloss.deviation.unwrap() - 0.125_f64.sqrt()).abs() < 1e-15);
        assert_eq!(Spread::of([Some(3.0)].into_iter()), Some(Spread { mean: 3.0, deviation: None }));
    }

    #[test]
    fn models_stand_by_logloss_and_an_undefined_one_last() {
        let runs = [("lr", None, 0.5), ("fm", Some(0.5), 0.9), ("secn", Some(0.4), 0.8), ("lr", Some(0.1), 0.5)];
        let runs = runs.into_iter().zip(1..).map(|((model, logloss, auc), seed)| result(model, seed, logloss, auc));
        let record = record(runs.collect());
        let names: Vec<String> = record.summaries().into_iter().map(|summary| summary.model).collect();
        assert_eq!(names, ["secn", "fm", "lr"]);
        assert_eq!(record.best_by_auc().as_deref(), Some("fm"));
    }

    #[test]
    fn no_run_has_no_best_model() {
        assert_eq!((record(Vec::new()).summaries(), record(Vec::new()).best_by_auc()), (Vec::new(), None));
    }

    #[test]
    fn json_has_the_keys_of_compare() {
        let record = record(vec![result("fm", 1, None, 0.5)]);
        let text = serde_json::to_string(&record).unwrap();
        let start =
            r#"{"dataset":"sample","rows":{"train":80,"validation":10,"test":10},"models":[{"model":"fm","seed":1,"#;
        let end = r#""logloss":null,"auc":0.5,"parameters":7,"seconds":2.0,"rows_per_second":40.0}],"settings":[]}"#;
        assert_eq!(text, format!("{start}{end}"));
        assert_eq!(serde_json::from_str::<CompareRecord>(&text).unwrap(), record);
    }
}
