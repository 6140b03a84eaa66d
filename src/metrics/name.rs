//! A metric by its name, with the direction in which it gets better: what early stop and the schedules watch.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::Metrics;

/// A metric that tells the better of two models.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MetricName {
    Logloss,
    Auc,
    PrAuc,
    Accuracy,
    Precision,
    Recall,
    F1,
    NormalizedEntropy,
    CalibrationError,
    Gauc,
}

impl MetricName {
    /// The metric's value; `None` where it is undefined.
    pub const fn value(self, metrics: &Metrics) -> Option<f64> {
        match self {
            Self::Logloss => metrics.logloss,
            Self::Auc => metrics.auc,
            Self::PrAuc => metrics.pr_auc,
            Self::Accuracy => metrics.accuracy,
            Self::Precision => metrics.precision,
            Self::Recall => metrics.recall,
            Self::F1 => metrics.f1,
            Self::NormalizedEntropy => metrics.normalized_entropy,
            Self::CalibrationError => metrics.calibration_error,
            Self::Gauc => metrics.gauc,
        }
    }

    /// Whether more is better; otherwise less is.
    pub const fn higher_is_better(self) -> bool {
        !matches!(self, Self::Logloss | Self::NormalizedEntropy | Self::CalibrationError)
    }

    /// Whether `new` is strictly better than `old`; never for a number that is none.
    pub fn improves(self, new: f64, old: f64) -> bool {
        if self.higher_is_better() { new > old } else { new < old }
    }

    /// The key in METRICS.
    pub const fn key(self) -> &'static str {
        match self {
            Self::Logloss => "logloss",
            Self::Auc => "auc",
            Self::PrAuc => "pr_auc",
            Self::Accuracy => "accuracy",
            Self::Precision => "precision",
            Self::Recall => "recall",
            Self::F1 => "f1",
            Self::NormalizedEntropy => "normalized_entropy",
            Self::CalibrationError => "calibration_error",
            Self::Gauc => "gauc",
        }
    }
}

impl fmt::Display for MetricName {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.key())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: [MetricName; 10] = [
        MetricName::Logloss,
        MetricName::Auc,
        MetricName::PrAuc,
        MetricName::Accuracy,
        MetricName::Precision,
        MetricName::Recall,
        MetricName::F1,
        MetricName::NormalizedEntropy,
        MetricName::CalibrationError,
        MetricName::Gauc,
    ];

    #[test]
    fn a_name_is_spelled_as_its_key_in_metrics_and_reads_that_value() {
        for name in ALL {
            assert_eq!(serde_json::to_value(name).unwrap(), name.key());
            let metrics: Metrics = serde_json::from_value(serde_json::json!({ name.key(): 0.25 })).unwrap();
            assert_eq!(name.value(&metrics), Some(0.25));
        }
    }

    #[test]
    fn logloss_falls_and_auc_rises_when_they_improve() {
        assert!(MetricName::Logloss.improves(0.4, 0.5) && !MetricName::Logloss.improves(0.5, 0.4));
        assert!(MetricName::Auc.improves(0.8, 0.7) && !MetricName::Auc.improves(0.7, 0.8));
        assert!(MetricName::NormalizedEntropy.improves(0.4, 0.5) && MetricName::CalibrationError.improves(0.0, 0.1));
    }

    #[test]
    fn an_equal_value_or_no_number_is_no_improvement() {
        for name in ALL {
            assert!(!name.improves(0.5, 0.5) && !name.improves(f64::NAN, 0.5));
        }
    }
}
