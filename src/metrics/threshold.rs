//! Accuracy, precision, recall and F1 at the threshold 0.5: a row is called a click where its probability is at least
//! 0.5, which is where its logit is at least 0.

/// Rows by what they were called and what they were.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Confusion {
    pub(super) true_positives: u64,
    pub(super) false_positives: u64,
    pub(super) false_negatives: u64,
    pub(super) true_negatives: u64,
}

impl Confusion {
    pub(super) fn add(&mut self, logit: f64, clicked: bool) {
        let called = logit >= 0.0;
        self.true_positives += u64::from(called && clicked);
        self.false_positives += u64::from(called && !clicked);
        self.false_negatives += u64::from(!called && clicked);
        self.true_negatives += u64::from(!called && !clicked);
    }

    pub(super) fn merge(&mut self, other: &Self) {
        self.true_positives += other.true_positives;
        self.false_positives += other.false_positives;
        self.false_negatives += other.false_negatives;
        self.true_negatives += other.true_negatives;
    }

    /// The share of rows called what they were.
    pub(super) fn accuracy(&self) -> Option<f64> {
        let right = self.true_positives + self.true_negatives;
        share(right, right + self.false_positives + self.false_negatives)
    }

    /// The share of clicks among the rows called clicks.
    pub(super) fn precision(&self) -> Option<f64> {
        share(self.true_positives, self.true_positives + self.false_positives)
    }

    /// The share of the clicks that were called clicks.
    pub(super) fn recall(&self) -> Option<f64> {
        share(self.true_positives, self.true_positives + self.false_negatives)
    }

    /// `2·TP / (2·TP + FP + FN)`: the harmonic mean of precision and recall, and 0 where clicks exist but none is found.
    pub(super) fn f1(&self) -> Option<f64> {
        let twice = 2 * self.true_positives;
        share(twice, twice + self.false_positives + self.false_negatives)
    }
}

fn share(part: u64, whole: u64) -> Option<f64> {
    (whole > 0).then(|| part as f64 / whole as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn count(rows: &[(f64, bool)]) -> Confusion {
        let mut confusion = Confusion::default();
        for &(logit, clicked) in rows {
            confusion.add(logit, clicked);
        }
        confusion
    }

    #[test]
    fn a_probability_of_a_half_is_called_a_click() {
        assert_eq!(count(&[(0.0, true), (-1e-9, true)]).recall(), Some(0.5));
    }

    #[test]
    fn shares_follow_their_definitions() {
        let confusion = count(&[(1.0, true), (2.0, false), (3.0, false), (-1.0, true), (-2.0, false)]);
        assert_eq!(confusion.accuracy(), Some(2.0 / 5.0));
        assert_eq!(confusion.precision(), Some(1.0 / 3.0));
        assert_eq!(confusion.recall(), Some(1.0 / 2.0));
        assert_eq!(confusion.f1(), Some(2.0 / 5.0));
    }

    #[test]
    fn precision_is_undefined_where_nothing_is_called_a_click_and_f1_is_zero() {
        let confusion = count(&[(-1.0, true), (-2.0, false)]);
        assert_eq!((confusion.precision(), confusion.f1()), (None, Some(0.0)));
    }

    #[test]
    fn recall_and_f1_are_undefined_without_clicks() {
        let confusion = count(&[(-1.0, false)]);
        assert_eq!((confusion.recall(), confusion.f1()), (None, None));
        assert_eq!(confusion.accuracy(), Some(1.0));
    }
}
