//! How the vocabulary's file tells of derived fields: a record in its metadata, and rows with a key.

use serde::{Deserialize, Serialize};

use super::{Combination, Cross, Derived, KeyMap, Seen, Smoothing, Statistic, statistic::Count};
use crate::features::{error::FeaturesError, vocabulary::Vocabulary};

/// All that isn't a row.
#[derive(Serialize, Deserialize)]
pub(in crate::features) struct DerivedRecord {
    prior: f64,
    click_rate: f64,
    statistics: Vec<StatisticRecord>,
    crosses: Vec<Vec<usize>>,
}

#[derive(Serialize, Deserialize)]
struct StatisticRecord {
    fields: Vec<usize>,
    edges: Option<Vec<f64>>,
    count: Option<Count>,
}

/// What was seen of one combination of ids.
pub(in crate::features) struct KeyedRow {
    pub(in crate::features) statistic: u32,
    pub(in crate::features) key: u64,
    pub(in crate::features) seen: Seen,
}

impl DerivedRecord {
    /// Whether all that derived fields follow from is among `fields` fields, of which the derived ones are the last.
    pub(in crate::features) fn is_within(&self, fields: usize) -> bool {
        let combinations = self.statistics.iter().map(|statistic| &statistic.fields).chain(&self.crosses);
        let own = |one: &StatisticRecord| usize::from(one.edges.is_some()) + usize::from(one.count.is_some());
        let base = fields.checked_sub(self.statistics.iter().map(own).sum::<usize>() + self.crosses.len());
        base.is_some_and(|base| combinations.flatten().all(|field| *field < base))
    }
}

impl Derived {
    pub(in crate::features) fn record(&self) -> DerivedRecord {
        let statistic = |statistic: &Statistic| StatisticRecord {
            fields: statistic.combination.fields().collect(),
            edges: statistic.edges.clone(),
            count: statistic.count,
        };
        DerivedRecord {
            prior: self.smoothing.prior,
            click_rate: self.smoothing.click_rate,
            statistics: self.statistics.iter().map(statistic).collect(),
            crosses: self.crosses.iter().map(|cross| cross.combination.fields().collect()).collect(),
        }
    }

    /// Without the rows, which [`Self::insert`] adds.
    pub(in crate::features) fn from_record(
        record: DerivedRecord,
        vocabulary: &Vocabulary,
    ) -> Result<Self, FeaturesError> {
        let statistic = |record: StatisticRecord| {
            let combination = Combination::new(&record.fields, vocabulary)?;
            let StatisticRecord { edges, count, .. } = record;
            Ok(Statistic { combination, seen: KeyMap::default(), edges, count })
        };
        let cross = |fields: &Vec<usize>| {
            Ok(Cross { combination: Combination::new(fields, vocabulary)?, ids: KeyMap::default() })
        };
        Ok(Self {
            statistics: record.statistics.into_iter().map(statistic).collect::<Result<_, FeaturesError>>()?,
            crosses: record.crosses.iter().map(cross).collect::<Result<_, FeaturesError>>()?,
            smoothing: Smoothing { prior: record.prior, click_rate: record.click_rate },
        })
    }

    /// What was seen by a statistic, by ascending keys.
    pub(in crate::features) fn keyed_rows(&self) -> impl Iterator<Item = KeyedRow> + '_ {
        (0_u32..).zip(&self.statistics).flat_map(|(statistic, one)| {
            let mut rows: Vec<(u64, Seen)> = one.seen.iter().map(|(key, seen)| (*key, *seen)).collect();
            rows.sort_unstable_by_key(|(key, _)| *key);
            rows.into_iter().map(move |(key, seen)| KeyedRow { statistic, key, seen })
        })
    }

    /// `None` for a statistic that isn't there.
    pub(in crate::features) fn insert(&mut self, row: &KeyedRow) -> Option<()> {
        let statistic = self.statistics.get_mut(row.statistic as usize)?;
        statistic.seen.insert(row.key, row.seen);
        Some(())
    }

    /// The key of each id of the cross at the position `derived` among the derived fields; none for other fields.
    pub(in crate::features) fn cross_keys(&self, derived: usize) -> Option<Vec<(u32, u64)>> {
        let first = self.fields() - self.crosses.len();
        let cross = self.crosses.get(derived.checked_sub(first)?)?;
        Some(cross.ids.iter().map(|(key, id)| (*id, *key)).collect())
    }

    /// `None` for a derived field that is no cross.
    pub(in crate::features) fn insert_cross(&mut self, derived: usize, key: u64, id: u32) -> Option<()> {
        let first = self.fields() - self.crosses.len();
        let cross = self.crosses.get_mut(derived.checked_sub(first)?)?;
        cross.ids.insert(key, id);
        Some(())
    }
}
