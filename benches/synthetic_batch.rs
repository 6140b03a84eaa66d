//! Batches as Criteo's 39 fields give them: few ids come often, many come once.

use std::ops::Range;

use secn::{
    features::Batch,
    seed::{mix, unit},
};

pub(crate) const FIELDS: usize = 39;
/// Ids of one field; 1.5 million in all.
const FIELD_ROWS: u32 = 40_000;

/// The ids of all fields.
pub(crate) fn fields() -> Vec<Range<u32>> {
    (0..39).map(|field| field * FIELD_ROWS..(field + 1) * FIELD_ROWS).collect()
}

/// The batch `number` of `rows` rows.
pub(crate) fn batch(number: u64, rows: usize) -> Batch {
    let mut batch = Batch { rows, columns: FIELDS, unique_starts: vec![0], ..Batch::default() };
    batch.ids = vec![0; rows * FIELDS];
    batch.inverse = vec![0; rows * FIELDS];
    for field in 0..FIELDS {
        let mut slots = std::collections::BTreeMap::new();
        for row in 0..rows {
            let draw = unit(mix(mix(number, field as u64), row as u64));
            // log-uniform, so that the first ids come in most rows
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "below FIELD_ROWS")]
            let rank = (f64::from(FIELD_ROWS).powf(draw) - 1.0) as u32;
            let id = u32::try_from(field).expect("39 fields") * FIELD_ROWS + rank;
            let next = u32::try_from(batch.unique.len()).expect("a batch has few ids");
            let slot = *slots.entry(id).or_insert(next);
            if slot == next {
                batch.unique.push(id);
            }
            batch.ids[row * FIELDS + field] = id;
            batch.inverse[row * FIELDS + field] = slot;
        }
        batch.unique_starts.push(batch.unique.len());
    }
    batch.labels = (0..rows).map(|row| f32::from(u8::from(mix(number, row as u64).is_multiple_of(4)))).collect();
    batch
}
