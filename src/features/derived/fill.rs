//! From the fields' ids of a row to the ids of the fields that follow from them.

use std::ops::Range;

use super::{
    Cross, Seen, Smoothing, Statistic,
    statistic::{count_id, statistic_id},
};
use crate::features::{encode::Encoded, vocabulary::Vocabulary};

/// The fields that follow from others, in their order: each statistic with its count, the counts alone, then the crosses.
#[derive(Clone, Debug)]
pub(in crate::features) struct Derived {
    pub(in crate::features) statistics: Vec<Statistic>,
    pub(in crate::features) crosses: Vec<Cross>,
    pub(in crate::features) smoothing: Smoothing,
}

impl Default for Derived {
    /// No field.
    fn default() -> Self {
        let smoothing = Smoothing { prior: 0.0, click_rate: 0.0 };
        Self { statistics: Vec::new(), crosses: Vec::new(), smoothing }
    }
}

/// What the rows before some training rows say, a column a statistic.
pub(in crate::features) struct Earlier<'a> {
    pub(super) columns: &'a [Vec<Seen>],
    /// Where in the columns the rows stand.
    pub(super) rows: Range<usize>,
}

impl Derived {
    /// The number of fields.
    pub(in crate::features) fn fields(&self) -> usize {
        self.statistics.iter().map(Statistic::fields).sum::<usize>() + self.crosses.len()
    }

    /// The name and the number of ids of each field, `base` being the vocabulary of the others.
    pub(in crate::features) fn names_and_ids(&self, base: &Vocabulary) -> Vec<(String, u64)> {
        let mut all = Vec::with_capacity(self.fields());
        for statistic in &self.statistics {
            let name = statistic.combination.name(base);
            all.extend(statistic.statistic_ids().map(|ids| (format!("ts({name})"), ids)));
            all.extend(statistic.count_ids().map(|ids| (format!("count({name})"), ids)));
        }
        let cross = |cross: &Cross| (format!("cross({})", cross.combination.name(base)), cross.field_ids());
        all.extend(self.crosses.iter().map(cross));
        all
    }

    /// The memory that all take, in bytes.
    pub(in crate::features) fn bytes(&self) -> usize {
        let statistics: usize = self.statistics.iter().map(Statistic::bytes).sum();
        statistics + self.crosses.iter().map(Cross::bytes).sum::<usize>()
    }
}

impl Vocabulary {
    /// Fills the derived fields' ids in rows whose other ids stand: of training rows by `earlier`, of any other by all
    /// training rows.
    pub(in crate::features) fn fill_derived(&self, out: &mut Encoded, earlier: Option<&Earlier>) {
        let derived = self.derived();
        let mut field = self.fields() - derived.fields();
        for (number, statistic) in derived.statistics.iter().enumerate() {
            let column = earlier.map(|earlier| &earlier.columns[number][earlier.rows.clone()]);
            self.fill_statistic(statistic, field, out, column);
            field += statistic.fields();
        }
        for cross in &derived.crosses {
            let first = self.field_rows(field).start;
            for ids in out.ids.chunks_exact_mut(out.columns) {
                ids[field] = first + cross.id(ids);
            }
            field += 1;
        }
    }

    fn fill_statistic(&self, statistic: &Statistic, field: usize, out: &mut Encoded, earlier: Option<&[Seen]>) {
        let Derived { smoothing, .. } = *self.derived();
        let edges = statistic.edges.as_deref().map(|edges| (field, self.field_rows(field).start, edges));
        let count_field = field + usize::from(edges.is_some());
        let count = statistic.count.map(|_| (count_field, self.field_rows(count_field).start));
        let needs_all = earlier.is_none() || statistic.count.is_some_and(|count| count.others);
        for (row, ids) in out.ids.chunks_exact_mut(out.columns).enumerate() {
            let all = if needs_all { statistic.seen_in(ids) } else { Seen::default() };
            let seen = earlier.map_or(all, |earlier| earlier[row]);
            if let Some((field, first, edges)) = edges {
                ids[field] = first + statistic_id(edges, seen, smoothing);
            }
            if let Some((field, first)) = count {
                // a training row doesn't count itself
                let rows = if needs_all && earlier.is_some() { all.rows.saturating_sub(1) } else { seen.rows };
                ids[field] = first + count_id(rows);
            }
        }
    }
}
