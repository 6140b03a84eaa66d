//! One batch: the ids of its rows, and which of them are equal.

use std::sync::Arc;

use super::encode::Encoded;

/// One batch, ready for the table.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Batch {
    pub rows: usize,
    /// One a field, and behind them those of [`Self::extra`].
    pub columns: usize,
    /// The field of each further column: the second and later values of fields that have several.
    pub extra: Arc<[u32]>,
    /// `[rows, columns]`
    pub ids: Vec<u32>,
    /// `[rows, columns]`, what each feature's vector is multiplied by; none where that is 1 everywhere.
    pub values: Option<Vec<f32>>,
    /// `[rows]`; empty where there are none.
    pub labels: Vec<f32>,
    /// `[rows]`, what each row's loss is multiplied by; empty where there are none.
    pub weights: Vec<f32>,
    /// `[rows]`, a hash of the group; empty where there are none.
    pub groups: Vec<u64>,
    /// The distinct ids, field after field, in each field in the order of their first rows; empty unless for training.
    pub unique: Vec<u32>,
    /// `[fields + 1]`, where each field's part of `unique` starts; empty unless for training.
    pub unique_starts: Vec<usize>,
    /// `[rows, columns]`, the position of each of `ids` in `unique`; empty unless for training. Shared, since the step's way back keeps it.
    pub inverse: Arc<Vec<u32>>,
}

impl Batch {
    /// The number of fields.
    pub fn fields(&self) -> usize {
        self.columns - self.extra.len()
    }
}

impl Encoded {
    /// The rows as batches in order, without their distinct ids, for scoring.
    pub fn batches(&self, batch_size: usize) -> impl Iterator<Item = Batch> + '_ {
        let rows = self.rows();
        (0..rows).step_by(batch_size.max(1)).map(move |first| {
            let last = (first + batch_size.max(1)).min(rows);
            let cells = first * self.columns..last * self.columns;
            Batch {
                rows: last - first,
                columns: self.columns,
                extra: Arc::clone(&self.extra),
                ids: self.ids[cells.clone()].to_vec(),
                values: (!self.values.is_empty()).then(|| self.values[cells].to_vec()),
                labels: self.labels.get(first..last).unwrap_or_default().iter().copied().map(f32::from).collect(),
                weights: self.weights.get(first..last).unwrap_or_default().to_vec(),
                groups: self.groups.get(first..last).unwrap_or_default().to_vec(),
                ..Batch::default()
            }
        })
    }
}

/// Ids whose slots are asked for before the first of them is needed: some 16 KB of cache lines.
const IDS_AHEAD: usize = 256;

/// Finds equal ids by a sparse set (Briggs and Torczon 1993): no hashing, and nothing to clear between batches.
#[derive(Clone, Debug, Default)]
pub(super) struct Dedup {
    /// Of each id, where it stands in its field's list if it is there; what stands for other ids is never trusted.
    slots: Vec<u32>,
    /// Of each field, the distinct ids found so far.
    found: Vec<Vec<u32>>,
}

impl Dedup {
    /// For ids below `table_rows`.
    pub(super) fn new(table_rows: usize) -> Self {
        Self { slots: vec![0; table_rows], found: Vec::new() }
    }

    /// Fills `unique`, `unique_starts` and `inverse` from `ids`.
    ///
    /// # Panics
    /// For an id that isn't below the number of table rows.
    pub(super) fn run(&mut self, batch: &mut Batch) {
        let fields = batch.fields();
        let Batch { rows, columns, extra, ids, unique, unique_starts, inverse, .. } = batch;
        self.found.resize_with(fields, Vec::new);
        self.found.iter_mut().for_each(Vec::clear);
        let mut positions = Vec::with_capacity(*rows * *columns);
        // row by row, as the ids lie: a column's ids would come from a cache line each
        for ids in ids.chunks((IDS_AHEAD / *columns).max(1) * *columns) {
            // whether an id is known is hard to foresee, and a wrong guess would wait for its slot
            let slots = ids.iter().fold(0, |all, id| all ^ self.slots[*id as usize]);
            std::hint::black_box(slots);
            for ids in ids.chunks_exact(*columns) {
                let (plain, further) = ids.split_at(fields);
                let found = self.found.iter_mut().zip(plain);
                positions.extend(found.map(|(found, id)| position(&mut self.slots, found, *id)));
                for (id, field) in further.iter().zip(extra.iter()) {
                    positions.push(position(&mut self.slots, &mut self.found[*field as usize], *id));
                }
            }
        }
        unique.clear();
        unique_starts.clear();
        unique.reserve(self.found.iter().map(Vec::len).sum());
        for found in &self.found {
            unique_starts.push(unique.len());
            unique.extend_from_slice(found);
        }
        unique_starts.push(unique.len());
        let starts: Vec<u32> = (unique_starts[..fields].iter().copied())
            .chain(extra.iter().map(|field| unique_starts[*field as usize]))
            .map(as_position)
            .collect();
        for positions in positions.chunks_exact_mut(*columns) {
            positions.iter_mut().zip(&starts).for_each(|(position, start)| *position += start);
        }
        *inverse = Arc::new(positions);
    }
}

/// Where `id` stands in `found`, as its last one if it is new.
#[inline]
fn position(slots: &mut [u32], found: &mut Vec<u32>, id: u32) -> u32 {
    let slot = &mut slots[id as usize];
    if found.get(*slot as usize) != Some(&id) {
        *slot = as_position(found.len());
        found.push(id);
    }
    *slot
}

#[expect(clippy::cast_possible_truncation, reason = "there are no more distinct ids than u32 ids")]
fn as_position(position: usize) -> u32 {
    position as u32
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn distinct_ids_stand_field_by_field_in_the_order_of_their_rows() {
        let mut batch = Batch { rows: 3, columns: 2, ids: vec![2, 5, 1, 4, 2, 5], ..Batch::default() };
        let mut dedup = Dedup::new(6);
        for _ in 0..2 {
            dedup.run(&mut batch);
            assert_eq!(batch.unique, [2, 1, 5, 4]);
            assert_eq!(batch.unique_starts, [0, 2, 4]);
            assert_eq!(*batch.inverse, [0, 2, 1, 3, 0, 2]);
        }
    }

    #[test]
    fn encoded_rows_are_cut_in_order() {
        let encoded = Encoded { columns: 2, ids: (0..10).collect(), labels: vec![0, 1, 0, 1, 1], ..Encoded::default() };
        let batches: Vec<Batch> = encoded.batches(2).collect();
        assert_eq!(batches.iter().map(|batch| batch.rows).collect::<Vec<_>>(), [2, 2, 1]);
        assert_eq!(batches[2].ids, [8, 9]);
        assert_eq!(batches[1].labels, [0.0, 1.0]);
        assert!(batches[0].values.is_none() && batches[0].groups.is_empty());
    }

    proptest! {
        #[test]
        fn the_inverse_leads_back_to_the_ids(rows in prop::collection::vec((0_u32..7, 7_u32..50), 0..60)) {
            let ids: Vec<u32> = rows.iter().flat_map(|(first, second)| [*first, *second]).collect();
            let mut batch = Batch { rows: rows.len(), columns: 2, ids: ids.clone(), ..Batch::default() };
            Dedup::new(50).run(&mut batch);
            let back: Vec<u32> = batch.inverse.iter().map(|position| batch.unique[*position as usize]).collect();
            prop_assert_eq!(back, ids);
            let mut distinct = batch.unique.clone();
            distinct.sort_unstable();
            distinct.dedup();
            prop_assert_eq!(distinct.len(), batch.unique.len());
        }
    }
}
