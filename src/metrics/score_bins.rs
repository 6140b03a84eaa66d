//! Scores in bins: equally many rows a bin against their click rate, and how many rows of each class score how.

use super::{auc::QUANTILE, logloss::probability, ranking::Ranking};

/// Bins of a calibration plot, where there are rows enough.
const CALIBRATION_BINS: u64 = 20;

/// Rows below which a bin's click rate says too little.
const ROWS_OF_A_BIN: u64 = 50;

/// Bins of a histogram, where there are rows enough.
const HISTOGRAM_BINS: u64 = 40;

/// The share of each class at each end of a histogram that may lie beyond its edges; they count in the outermost bins.
const TAIL: f64 = 0.001;

/// Rows of neighbouring scores.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct CalibrationBin {
    pub rows: u64,
    pub clicks: u64,
    /// The lowest probability of the bin's rows.
    pub low: f64,
    /// The highest.
    pub high: f64,
    pub mean_probability: f64,
}

impl CalibrationBin {
    pub fn click_rate(&self) -> f64 {
        self.clicks as f64 / self.rows as f64
    }

    /// The click rate's 95 % interval (Wilson 1927), which stays within 0 and 1 and has a width even without clicks.
    pub fn interval(&self) -> [f64; 2] {
        let (rows, rate, square) = (self.rows as f64, self.click_rate(), QUANTILE.powi(2));
        let middle = rate + square / (2.0 * rows);
        let half = QUANTILE * (rate * (1.0 - rate) / rows + square / (4.0 * rows.powi(2))).sqrt();
        [middle - half, middle + half].map(|end| (end / (1.0 + square / rows)).clamp(0.0, 1.0))
    }
}

/// Rows of each class by their logit.
#[derive(Clone, Debug, PartialEq)]
pub struct ScoreHistogram {
    /// Logits, equally far from each other; one more than there are bins. Rows beyond them count in the outermost bins.
    pub edges: Vec<f64>,
    pub clicks: Vec<u64>,
    pub others: Vec<u64>,
}

/// Bins of nearly equally many rows, upwards; rows of one score stay together. All scores are numbers.
pub(super) fn calibration_bins(ranking: &Ranking) -> Vec<CalibrationBin> {
    let rows = ranking.rows();
    let wanted = (rows / ROWS_OF_A_BIN).clamp(1, CALIBRATION_BINS);
    let mut bins: Vec<CalibrationBin> = Vec::new();
    let (mut done, mut is_full) = (0, true);
    for tie in ranking.ties() {
        let (tied, score) = (tie.positives + tie.negatives, probability(tie.score()));
        if is_full {
            bins.push(CalibrationBin { rows: 0, clicks: 0, low: score, high: score, mean_probability: 0.0 });
        }
        let filled = bins.len() as u64;
        let bin = bins.last_mut().expect("the first row opens a bin");
        bin.rows += tied;
        bin.clicks += tie.positives;
        bin.high = score;
        bin.mean_probability += score * tied as f64;
        done += tied;
        // bin b of B ends where b/B of all rows are done
        is_full = u128::from(done) * u128::from(wanted) >= u128::from(filled) * u128::from(rows);
    }
    for bin in &mut bins {
        bin.mean_probability /= bin.rows as f64;
    }
    bins
}

/// A histogram of at most 40 bins, fewer for few rows. All scores are numbers, and there is at least one.
pub(super) fn histogram(ranking: &Ranking) -> ScoreHistogram {
    let (low, high) = range(ranking);
    let bins = usize::try_from(ranking.rows().isqrt().clamp(1, HISTOGRAM_BINS)).expect("at most 40");
    let width = (high - low) / bins as f64;
    let edges = (0..=bins).map(|edge| low + width * edge as f64).collect();
    let mut histogram = ScoreHistogram { edges, clicks: vec![0; bins], others: vec![0; bins] };
    for tie in ranking.ties() {
        let bin = bin(f64::from(tie.score()), low, width, bins);
        histogram.clicks[bin] += tie.positives;
        histogram.others[bin] += tie.negatives;
    }
    histogram
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it is cut to 0 and the last bin")]
fn bin(logit: f64, low: f64, width: f64, bins: usize) -> usize {
    (((logit - low) / width).max(0.0) as usize).min(bins - 1)
}

/// The logits between which both classes lie but for their tails; never equal.
fn range(ranking: &Ranking) -> (f64, f64) {
    let (positives, negatives) = (ranking.positives() as f64, ranking.negatives() as f64);
    let (mut low, mut high) = (None, None);
    for tie in ranking.ties() {
        let score = f64::from(tie.score());
        let through = [tie.positives_below + tie.positives, tie.negatives_below + tie.negatives];
        if low.is_none() && (through[0] as f64 > TAIL * positives || through[1] as f64 > TAIL * negatives) {
            low = Some(score);
        }
        let rest = [positives - tie.positives_below as f64, negatives - tie.negatives_below as f64];
        if rest[0] > TAIL * positives || rest[1] > TAIL * negatives {
            high = Some(score);
        }
    }
    let (low, high) = low.zip(high).expect("there is a row");
    if high > low { (low, high) } else { (low - 0.5, low + 0.5) }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn ranking(rows: &[(i8, bool)]) -> Ranking {
        let logits: Vec<f32> = rows.iter().map(|row| f32::from(row.0) / 16.0).collect();
        let labels: Vec<f32> = rows.iter().map(|row| f32::from(u8::from(row.1))).collect();
        Ranking::of(&logits, &labels)
    }

    proptest! {
        #[test]
        fn bins_hold_every_row_once_and_upwards(rows in prop::collection::vec((any::<i8>(), any::<bool>()), 1..2000)) {
            let (ranking, clicks) = (ranking(&rows), rows.iter().filter(|row| row.1).count() as u64);
            let bins = calibration_bins(&ranking);
            prop_assert_eq!(bins.iter().map(|bin| bin.rows).sum::<u64>(), rows.len() as u64);
            prop_assert_eq!(bins.iter().map(|bin| bin.clicks).sum::<u64>(), clicks);
            prop_assert!(bins.windows(2).all(|pair| pair[0].high < pair[1].low));
            let between = |bin: &CalibrationBin| bin.low - 1e-12 <= bin.mean_probability && bin.mean_probability <= bin.high + 1e-12;
            prop_assert!(bins.iter().all(between));
            prop_assert!(bins.len() as u64 <= CALIBRATION_BINS);
            let histogram = histogram(&ranking);
            prop_assert_eq!(histogram.clicks.iter().sum::<u64>(), clicks);
            prop_assert_eq!(histogram.others.iter().sum::<u64>(), rows.len() as u64 - clicks);
            prop_assert!(histogram.edges.is_sorted() && histogram.edges.len() == histogram.clicks.len() + 1);
        }
    }

    #[test]
    fn distinct_scores_give_bins_of_equally_many_rows() {
        let logits: Vec<f32> = (0..2000_u16).map(f32::from).collect();
        let bins = calibration_bins(&Ranking::of(&logits, &[0.0; 2000]));
        assert_eq!(bins.iter().map(|bin| bin.rows).collect::<Vec<_>>(), [100; 20]);
    }

    #[test]
    fn few_rows_share_a_bin() {
        assert_eq!(calibration_bins(&ranking(&[(0, true); 99])).len(), 1);
        assert_eq!(calibration_bins(&Ranking::default()), []);
    }

    #[test]
    fn a_bin_without_clicks_still_has_an_interval() {
        // Wilson: [0, z² / (n + z²)]
        let bin = CalibrationBin { rows: 100, clicks: 0, low: 0.0, high: 0.0, mean_probability: 0.0 };
        let [low, high] = bin.interval();
        assert!(low.abs() < 1e-15 && (high - 3.841_458_820_694_124 / 103.841_458_820_694_12).abs() < 1e-15, "{high}");
    }

    #[test]
    fn a_lone_far_score_does_not_stretch_the_histogram() {
        let mut logits: Vec<f32> = (0..9999_u16).map(|row| f32::from(row) / 1e4).collect();
        logits.push(1e6);
        let histogram = histogram(&Ranking::of(&logits, &vec![0.0; 10_000]));
        assert!(histogram.edges[0] > 0.0 && histogram.edges[40] < 1.0, "{:?}", histogram.edges);
        assert!((230..300).contains(&histogram.others[39]), "{:?}", histogram.others);
    }

    #[test]
    fn equal_scores_have_a_histogram_of_some_width() {
        assert_eq!(histogram(&ranking(&[(16, true), (16, false)])).edges, [0.5, 1.5]);
    }
}
