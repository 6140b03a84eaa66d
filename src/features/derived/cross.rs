//! A cross of fields: an id for each combination of their values that stands in enough training rows.

use super::{
    Combination, KeyMap,
    earlier::{CHUNK_ROWS, Memory},
};
use crate::features::{
    cache::Cache,
    error::FeaturesError,
    vocabulary::{FIRST_VALUE, Limits, MISSING, UNKNOWN, by_falling_count},
};

#[derive(Clone, Debug)]
pub(in crate::features) struct Cross {
    pub(in crate::features) combination: Combination,
    /// Ids counted from the field's first one.
    pub(in crate::features) ids: KeyMap<u32>,
}

impl Cross {
    /// Counts the combinations in the training rows; the most frequent come first and ties by key.
    pub(super) fn count(
        combination: Combination,
        train: &Cache,
        min_count: u32,
        memory: &Memory,
    ) -> Result<Self, FeaturesError> {
        let mut counts: KeyMap<u32> = KeyMap::default();
        let mut known_bytes = 0;
        for first in (0..train.rows()).step_by(CHUNK_ROWS) {
            for row in first..(first + CHUNK_ROWS).min(train.rows()) {
                let ids = train.ids(row);
                if !combination.is_missing(ids) {
                    let count = counts.entry(combination.key(ids)).or_insert(0);
                    *count = count.saturating_add(1);
                }
            }
            memory.grow(&mut known_bytes, counts.allocation_size())?;
        }
        let limits = Limits { min_count, max_size: usize::MAX };
        let (keys, _) = by_falling_count(counts.into_iter(), limits, [0, 0], u64::cmp);
        Ok(Self { combination, ids: keys.into_iter().zip(FIRST_VALUE..).collect() })
    }

    /// The number of ids of the field.
    pub(super) fn field_ids(&self) -> u64 {
        u64::from(FIRST_VALUE) + self.ids.len() as u64
    }

    /// A row's id, counted from the field's first one: missing where all fields are.
    #[inline]
    pub(super) fn id(&self, ids: &[u32]) -> u32 {
        if self.combination.is_missing(ids) {
            return MISSING;
        }
        self.ids.get(&self.combination.key(ids)).copied().unwrap_or(UNKNOWN)
    }

    /// The memory that it takes, in bytes.
    pub(super) fn bytes(&self) -> usize {
        self.ids.allocation_size()
    }
}
