//! The record of a run and of an evaluation: what `result.json` holds and what `--json` prints.

use serde::{Deserialize, Serialize};

use super::Metrics;

/// A training run from its data to its test metrics.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RunRecord {
    /// The run's folder.
    pub run: String,
    /// The model's registered name.
    pub model: String,
    pub device: String,
    /// All trained numbers, the embedding table's included.
    pub parameters: u64,
    pub fields: u64,
    /// The table's rows: the values of all fields, with each field's missing and out-of-vocabulary ids.
    pub vocabulary: u64,
    pub rows: RowCounts,
    pub epochs: Vec<EpochRecord>,
    /// The epoch, from 1, whose weights were tested; `None` where no epoch ended.
    pub best_epoch: Option<u64>,
    /// `None` where no test rows were named.
    pub test: Option<Metrics>,
    pub prepare: PrepareRecord,
    /// The largest resident memory of the process; `None` where the system does not tell.
    pub peak_memory_bytes: Option<u64>,
    pub seconds: f64,
}

impl RunRecord {
    /// The best epoch's validation metrics.
    pub fn best_validation(&self) -> Option<(u64, &Metrics)> {
        let best = self.epochs.iter().find(|epoch| Some(epoch.epoch) == self.best_epoch)?;
        Some((best.epoch, best.validation.as_ref()?))
    }
}

/// The rows of each part.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RowCounts {
    pub train: u64,
    pub validation: u64,
    pub test: u64,
}

/// One pass over the training rows.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EpochRecord {
    /// From 1.
    pub epoch: u64,
    /// The mean over the epoch's rows, each taken before its own step.
    pub train_logloss: f64,
    /// `None` where there is no validation part.
    pub validation: Option<Metrics>,
    /// Of training alone, without evaluation.
    pub seconds: f64,
    pub rows_per_second: f64,
    /// The share of `seconds`, from 0 to 1, in which training waited for its next batch.
    pub data_wait_share: f64,
}

/// An evaluation during training: a line of `metrics.jsonl`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EvaluationRecord {
    /// From 1.
    pub epoch: u64,
    /// Steps since the start of the training.
    pub step: u64,
    /// The mean over the epoch's rows so far.
    pub train_logloss: f64,
    pub validation: Metrics,
}

/// The making, or the finding, of the prepared data.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PrepareRecord {
    pub seconds: f64,
    pub rows_per_second: f64,
    /// Whether earlier prepared data served.
    pub cached: bool,
}

/// An evaluation of a run on some rows.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EvalRecord {
    /// The run's folder, or the checkpoint inside it.
    pub run: String,
    pub rows: u64,
    pub device: String,
    pub seconds: f64,
    pub rows_per_second: f64,
    pub metrics: Metrics,
}

/// Rows a second, 0 where no time passed, so that a record holds finite numbers alone.
pub fn rows_per_second(rows: u64, seconds: f64) -> f64 {
    if seconds > 0.0 { rows as f64 / seconds } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_keeps_its_keys_and_its_values_through_json() {
        let record = RunRecord {
            run: "runs/one".into(),
            model: "secn".into(),
            device: "cpu".into(),
            parameters: 17,
            fields: 39,
            vocabulary: 1_000,
            rows: RowCounts { train: 80, validation: 10, test: 10 },
            epochs: vec![EpochRecord {
                epoch: 1,
                train_logloss: 0.1 + 0.2,
                validation: Some(Metrics { logloss: Some(1.0 / 3.0), ..Metrics::default() }),
                seconds: 2.0,
                rows_per_second: rows_per_second(80, 2.0),
                data_wait_share: 0.0,
            }],
            best_epoch: Some(1),
            test: None,
            prepare: PrepareRecord { seconds: 0.0, rows_per_second: rows_per_second(100, 0.0), cached: true },
            peak_memory_bytes: Some(1 << 30),
            seconds: 3.0,
        };
        let text = serde_json::to_string(&record).unwrap();
        assert_eq!(serde_json::from_str::<RunRecord>(&text).unwrap(), record);
        let start = r#"{"run":"runs/one","model":"secn","device":"cpu","parameters":17,"fields":39,"vocabulary":1000,"#;
        let rows = r#""rows":{"train":80,"validation":10,"test":10},"epochs":[{"epoch":1,"train_logloss":0.3"#;
        assert!(text.starts_with(&format!("{start}{rows}")), "{text}");
        let prepare = r#""prepare":{"seconds":0.0,"rows_per_second":0.0,"cached":true}"#;
        let end = format!(r#""best_epoch":1,"test":null,{prepare},"peak_memory_bytes":1073741824,"seconds":3.0}}"#);
        assert!(text.ends_with(&end), "{text}");
    }
}
