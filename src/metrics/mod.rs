//! Logits and labels → METRICS, exactly and over the whole set; and the record of a run that carries them.
//!
//! Sums are `f64` and taken in one fixed order, so a result depends on the rows alone: not on threads, nor on how rows
//! were cut into batches. Everything is computed from logits, so that saturated probabilities cost neither precision
//! nor ties.

mod auc;
mod auc_difference;
mod calibration;
mod comparison;
mod curves;
mod difference;
mod evaluation;
mod grouped_auc;
mod logloss;
mod logloss_difference;
mod name;
mod pointwise;
mod polyline;
mod precision_recall;
mod ranking;
mod record;
mod score_bins;
mod threshold;

pub use self::auc::auc;
pub use auc_difference::auc_difference;
pub use comparison::{
    Candidate, CompareRecord, KeyValues, ModelResult, ModelSettings, ModelSummary, Spread, settings_line,
};
pub use curves::{Curves, RankedCurves, curves};
pub use difference::Difference;
pub use evaluation::{Evaluation, Metrics, Reason, Undefined, evaluate};
pub use logloss::{logloss, probability};
pub use logloss_difference::logloss_difference;
pub use name::MetricName;
pub use polyline::Point;
pub use record::{EpochRecord, EvalRecord, EvaluationRecord, PrepareRecord, RowCounts, RunRecord, rows_per_second};
pub use score_bins::{CalibrationBin, ScoreHistogram};
