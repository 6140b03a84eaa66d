//! What two models differ by on the same rows.

use serde::{Deserialize, Serialize};

use super::auc::QUANTILE;

/// One model's metric less another's, on the same rows.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Difference {
    pub difference: f64,
    /// From and to: it holds the difference with 95 % confidence over the choice of the rows, the models being given.
    pub interval: [f64; 2],
}

impl Difference {
    /// With the interval that a normal distribution of this variance has.
    pub(super) fn new(difference: f64, variance: f64) -> Self {
        let half = QUANTILE * variance.sqrt();
        Self { difference, interval: [difference - half, difference + half] }
    }
}

/// The variance of the mean of independent values, from at least two of them.
pub(super) fn variance_of_mean(values: &[f64], mean: f64) -> f64 {
    let squares: f64 = values.iter().map(|value| (value - mean).powi(2)).sum();
    squares / (values.len() - 1) as f64 / values.len() as f64
}
