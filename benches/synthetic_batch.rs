//! Batches as Criteo's 39 fields give them: few ids come often, many come once.

use std::{ops::Range, sync::Arc};

use secn::{
    features::Batch,
    seed::{mix, unit},
};

pub(crate) const FIELDS: usize = 39;
/// Ids of one field; 1.5 million in all.
const FIELD_ROWS: u32 = 40_000;

/// How many fields there are, of how many ids each.
#[derive(Clone, Copy)]
pub(crate) struct Ids {
    pub(crate) fields: usize,
    pub(crate) field_rows: u32,
}

/// Criteo's.
pub(crate) const CRITEO: Ids = Ids { fields: FIELDS, field_rows: FIELD_ROWS };

/// The ids of all fields.
pub(crate) fn fields() -> Vec<Range<u32>> {
    CRITEO.ranges()
}

/// The batch `number` of `rows` rows.
pub(crate) fn batch(number: u64, rows: usize) -> Batch {
    CRITEO.batch(number, rows)
}

impl Ids {
    /// The ids of each field.
    pub(crate) fn ranges(self) -> Vec<Range<u32>> {
        let fields = u32::try_from(self.fields).expect("few fields");
        (0..fields).map(|field| field * self.field_rows..(field + 1) * self.field_rows).collect()
    }

    /// The batch `number` of `rows` rows.
    pub(crate) fn batch(self, number: u64, rows: usize) -> Batch {
        let Self { fields, field_rows } = self;
        let mut batch = Batch { rows, columns: fields, unique_starts: vec![0], ..Batch::default() };
        batch.ids = vec![0; rows * fields];
        let mut inverse = vec![0; rows * fields];
        for field in 0..fields {
            let mut slots = std::collections::BTreeMap::new();
            for row in 0..rows {
                let draw = unit(mix(mix(number, field as u64), row as u64));
                // log-uniform, so that the first ids come in most rows
                #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "below field_rows")]
                let rank = (f64::from(field_rows).powf(draw) - 1.0) as u32;
                let id = u32::try_from(field).expect("few fields") * field_rows + rank;
                let next = u32::try_from(batch.unique.len()).expect("a batch has few ids");
                let slot = *slots.entry(id).or_insert(next);
                if slot == next {
                    batch.unique.push(id);
                }
                batch.ids[row * fields + field] = id;
                inverse[row * fields + field] = slot;
            }
            batch.unique_starts.push(batch.unique.len());
        }
        batch.inverse = Arc::new(inverse);
        batch.labels = (0..rows).map(|row| f32::from(u8::from(mix(number, row as u64).is_multiple_of(4)))).collect();
        batch
    }
}
