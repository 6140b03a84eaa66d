//! One combination's target statistic: what was seen of it, and what that makes of a row.
//!
//! Prokhorenkova et al. 2018, "CatBoost: unbiased boosting with categorical features", arXiv 1706.09516, section 3.2.
//! Unlike there, a statistic becomes a bucket with an id, an unseen combination has its own one, and there is one
//! permutation.

use serde::{Deserialize, Serialize};

use super::{Combination, KeyMap};
use crate::features::{
    numeric::{quantile_bucket, quantile_edges},
    vocabulary::{FIRST_VALUE, UNKNOWN},
};

/// How many rows there were, and how many of them were clicked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::features) struct Seen {
    pub(in crate::features) rows: u32,
    pub(in crate::features) clicks: u32,
}

impl Seen {
    #[inline]
    pub(super) fn add(&mut self, label: u8) {
        self.rows = self.rows.saturating_add(1);
        self.clicks = self.clicks.saturating_add(u32::from(label));
    }
}

/// What draws a statistic of few rows towards the click rate of all.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(in crate::features) struct Smoothing {
    pub(in crate::features) prior: f64,
    pub(in crate::features) click_rate: f64,
}

impl Smoothing {
    /// `(Σ label + prior · p) / (count + prior)`
    #[inline]
    pub(super) fn statistic(self, seen: Seen) -> f64 {
        (f64::from(seen.clicks) + self.prior * self.click_rate) / (f64::from(seen.rows) + self.prior)
    }
}

/// A field of counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::features) struct Count {
    pub(super) buckets: u32,
    /// A training row's count is of all other rows, not of those visited before it.
    pub(super) others: bool,
}

#[derive(Clone, Debug)]
pub(in crate::features) struct Statistic {
    pub(in crate::features) combination: Combination,
    /// Of all training rows.
    pub(in crate::features) seen: KeyMap<Seen>,
    /// The upper edges of all buckets but the last; none where there is no field of the statistic, but of the count alone.
    pub(in crate::features) edges: Option<Vec<f64>>,
    pub(in crate::features) count: Option<Count>,
}

impl Statistic {
    /// The ids of the statistic's field, if there is one.
    pub(super) fn statistic_ids(&self) -> Option<u64> {
        self.edges.as_ref().map(|edges| u64::from(FIRST_VALUE) + edges.len() as u64 + 1)
    }

    /// The ids of the count's field, if there is one.
    pub(super) fn count_ids(&self) -> Option<u64> {
        self.count.map(|count| u64::from(FIRST_VALUE + count.buckets))
    }

    /// What all training rows say of a row's combination.
    #[inline]
    pub(super) fn seen_in(&self, ids: &[u32]) -> Seen {
        self.seen.get(&self.combination.key(ids)).copied().unwrap_or_default()
    }

    /// The fields that it has: itself and its count.
    pub(super) fn fields(&self) -> usize {
        usize::from(self.edges.is_some()) + usize::from(self.count.is_some())
    }

    /// The memory that it takes, in bytes.
    pub(super) fn bytes(&self) -> usize {
        self.seen.allocation_size() + self.edges.as_ref().map_or(0, |edges| size_of_val(&edges[..]))
    }
}

/// The statistic's id, counted from its field's first one; a combination that wasn't seen is unknown.
#[inline]
pub(super) fn statistic_id(edges: &[f64], seen: Seen, smoothing: Smoothing) -> u32 {
    if seen.rows == 0 {
        return UNKNOWN;
    }
    #[expect(clippy::cast_possible_truncation, reason = "there are at most 65,536 buckets")]
    let bucket = quantile_bucket(edges, smoothing.statistic(seen)) as u32;
    FIRST_VALUE + bucket
}

/// The count's id, counted from its field's first one.
#[inline]
pub(super) fn count_id(rows: u32) -> u32 {
    FIRST_VALUE + count_bucket(rows)
}

/// `floor(log2(1 + count))`
#[inline]
pub(super) fn count_bucket(rows: u32) -> u32 {
    (u64::from(rows) + 1).ilog2()
}

/// The edges of quantiles of the statistics that `earlier` gives, a row each; of a million rows spread evenly where
/// there are more.
pub(super) fn edges(earlier: &[Seen], smoothing: Smoothing, buckets: u32) -> Vec<f64> {
    const SAMPLE_ROWS: usize = 1 << 20;
    let step = earlier.len().div_ceil(SAMPLE_ROWS).max(1);
    let seen = earlier.iter().step_by(step).filter(|seen| seen.rows > 0);
    let mut statistics: Vec<f64> = seen.map(|seen| smoothing.statistic(*seen)).collect();
    statistics.sort_unstable_by(f64::total_cmp);
    let equal = statistics.chunk_by(|left, right| left.total_cmp(right).is_eq());
    let counted = equal.map(|equal| (equal[0], u32::try_from(equal.len()).expect("a sample has fewer than 2^32 rows")));
    quantile_edges(counted.collect(), buckets)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn few_rows_are_drawn_to_the_click_rate() {
        let smoothing = Smoothing { prior: 2.0, click_rate: 0.25 };
        let statistic = |rows, clicks| smoothing.statistic(Seen { rows, clicks });
        assert!((statistic(0, 0) - 0.25).abs() < 1e-15);
        assert!((statistic(2, 2) - 0.625).abs() < 1e-15);
        assert!((statistic(1_000_000, 1_000_000) - 1.0).abs() < 1e-5);
    }

    #[test]
    fn counts_double_from_bucket_to_bucket() {
        let buckets = [0, 1, 2, 3, 6, 7, 8, 1023, u32::MAX].map(count_bucket);
        assert_eq!(buckets, [0, 1, 1, 2, 2, 3, 3, 10, 32]);
    }

    #[test]
    fn edges_leave_out_what_was_not_seen() {
        let smoothing = Smoothing { prior: 0.0, click_rate: 0.5 };
        let seen = |rows, clicks| Seen { rows, clicks };
        let earlier = [seen(0, 0), seen(4, 1), seen(4, 3), seen(2, 1), seen(4, 2), seen(0, 0)];
        assert_eq!(edges(&earlier, smoothing, 4), [0.25, 0.5]);
        assert!(edges(&[], smoothing, 3).is_empty());
    }
}
