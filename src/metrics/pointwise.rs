//! The sums that take rows one by one, in one pass over blocks of a fixed size, added in the blocks' order: the same
//! bits on any number of threads.

use rayon::prelude::*;

use super::{calibration::Calibration, logloss::loss_and_probability, threshold::Confusion};

/// Rows a block; part of the result's bits, so it never depends on the machine.
const BLOCK: usize = 1 << 14;

/// Sums over rows.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Pointwise {
    pub(super) rows: u64,
    pub(super) clicks: u64,
    pub(super) logloss: f64,
    pub(super) confusion: Confusion,
    pub(super) calibration: Calibration,
}

impl Pointwise {
    /// # Panics
    /// If there are not as many labels as logits.
    pub(super) fn of(logits: &[f32], labels: &[f32]) -> Self {
        assert_eq!(logits.len(), labels.len(), "there is one label a logit");
        let blocks = logits.par_chunks(BLOCK).zip(labels.par_chunks(BLOCK));
        let sums: Vec<Self> = blocks.map(|(logits, labels)| Self::of_block(logits, labels)).collect();
        sums.iter().fold(Self::default(), Self::merged)
    }

    pub(super) fn mean_logloss(&self) -> Option<f64> {
        self.mean(self.logloss)
    }

    pub(super) fn click_rate(&self) -> Option<f64> {
        self.mean(self.clicks as f64)
    }

    pub(super) fn mean_probability(&self) -> Option<f64> {
        self.mean(self.calibration.probability())
    }

    fn mean(&self, sum: f64) -> Option<f64> {
        (self.rows > 0).then(|| sum / self.rows as f64)
    }

    fn of_block(logits: &[f32], labels: &[f32]) -> Self {
        let mut sums = Self { rows: logits.len() as u64, ..Self::default() };
        for (&logit, &label) in logits.iter().zip(labels) {
            let (logit, clicked) = (f64::from(logit), is_click(label));
            let (loss, probability) = loss_and_probability(logit, clicked);
            sums.clicks += u64::from(clicked);
            sums.logloss += loss;
            sums.confusion.add(logit, clicked);
            sums.calibration.add(probability, clicked);
        }
        sums
    }

    fn merged(mut self, other: &Self) -> Self {
        self.rows += other.rows;
        self.clicks += other.clicks;
        self.logloss += other.logloss;
        self.confusion.merge(&other.confusion);
        self.calibration.merge(&other.calibration);
        self
    }
}

/// Whether a label, 0 or 1, is 1.
pub(super) fn is_click(label: f32) -> bool {
    label > 0.5
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_have_the_same_bits_on_one_thread_and_on_three() {
        let logits: Vec<f32> =
            (0..50_000_u16).map(|row| f32::from(row.wrapping_mul(7919) % 1000) / 100.0 - 7.0).collect();
        let labels: Vec<f32> = logits.iter().map(|logit| f32::from(u8::from(*logit > 1.0))).collect();
        let on = |threads| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            let sums = pool.install(|| Pointwise::of(&logits, &labels));
            let probability = sums.calibration.probability();
            (sums.clicks, sums.logloss.to_bits(), probability.to_bits())
        };
        assert_eq!(on(1), on(3));
    }
}
