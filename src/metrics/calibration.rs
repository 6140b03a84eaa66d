//! Calibration: how far probabilities stand from the click rates that come true.

/// The equal-width bins of probability over which the calibration error is taken, as in Guo et al. 2017
/// (arXiv 1706.04599).
pub(super) const BINS: usize = 15;

/// Sums over the rows of each bin.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Calibration {
    probability: [f64; BINS],
    clicks: [u64; BINS],
}

impl Calibration {
    pub(super) fn add(&mut self, probability: f64, clicked: bool) {
        let bin = bin(probability);
        self.probability[bin] += probability;
        self.clicks[bin] += u64::from(clicked);
    }

    pub(super) fn merge(&mut self, other: &Self) {
        for (sum, addend) in self.probability.iter_mut().zip(other.probability) {
            *sum += addend;
        }
        for (sum, addend) in self.clicks.iter_mut().zip(other.clicks) {
            *sum += addend;
        }
    }

    /// The sum of all probabilities.
    pub(super) fn probability(&self) -> f64 {
        self.probability.iter().sum()
    }

    /// The expected calibration error, `Σ_b n_b/n · |mean probability_b − click rate_b| = Σ_b |Σp − Σy| / n`.
    pub(super) fn error(&self, rows: u64) -> f64 {
        let gaps = self.probability.iter().zip(self.clicks).map(|(sum, clicks)| (sum - clicks as f64).abs());
        gaps.sum::<f64>() / rows as f64
    }
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a probability times 15 is from 0 to 15")]
fn bin(probability: f64) -> usize {
    ((probability * BINS as f64) as usize).min(BINS - 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(rows: &[(f64, bool)]) -> f64 {
        let mut calibration = Calibration::default();
        for &(probability, clicked) in rows {
            calibration.add(probability, clicked);
        }
        calibration.error(rows.len() as u64)
    }

    #[test]
    fn bins_cover_probabilities_from_0_to_1() {
        assert_eq!((bin(0.0), bin(0.999), bin(1.0)), (0, BINS - 1, BINS - 1));
        assert_eq!((bin(1.0 / 15.0 - 1e-9), bin(1.0 / 15.0 + 1e-9)), (0, 1));
    }

    #[test]
    fn error_is_zero_where_each_bins_clicks_come_true() {
        assert!(error(&[(0.5, true), (0.5, false), (1.0, true), (0.0, false)]).abs() < 1e-15);
    }

    #[test]
    fn error_weighs_each_bins_gap_by_its_rows() {
        // bin of 0.1: |0.1 − 0| over 3 rows; bin of 0.9: |0.9 − 0| over 1 row
        let found = error(&[(0.1, false), (0.1, false), (0.1, false), (0.9, false)]);
        assert!((found - (0.75 * 0.1 + 0.25 * 0.9)).abs() < 1e-15, "{found}");
    }

    #[test]
    fn gaps_of_two_bins_do_not_cancel() {
        assert!((error(&[(0.1, true), (0.9, false)]) - 0.9).abs() < 1e-15);
    }
}
