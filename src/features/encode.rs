//! Rows → ids: the hot path of the second pass, of evaluation and of prediction.

use std::ops::AddAssign;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::keys::{CELLS_AHEAD, TextMap, hash_bucket, stable_hash};
use super::many::{Many, Pooling};
use super::numeric::{between_knots, quantile_bucket};
use super::vocabulary::{FIRST_VALUE, FieldVocabulary, Lookup, MISSING, UNKNOWN, Vocabulary};
use crate::data::RowBlock;

/// Ids, and what else is known, of a block of rows.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Encoded {
    /// One a field, and behind them those of [`Self::extra`].
    pub columns: usize,
    /// The field of each further column: the second and later values of fields that have several.
    pub extra: Arc<[u32]>,
    /// `[rows, columns]`
    pub ids: Vec<u32>,
    /// `[rows, columns]`, 1 where a field has no values, 0 where it has no more in this row; empty where no field has values.
    pub values: Vec<f32>,
    /// `[rows]`; empty without labels.
    pub labels: Vec<u8>,
    /// `[rows]`; empty without weights.
    pub weights: Vec<f32>,
    /// `[rows]`, a hash of the group's cell; empty without groups.
    pub groups: Vec<u64>,
    /// Cells with more values than there are columns for.
    pub cut_cells: u64,
}

/// What of the files is not in the prepared data.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LeftOut {
    /// Rows that can't be read, under `data.on_bad_row = "skip"`.
    pub rows: u64,
    /// Cells of several values whose last ones were not read: more than `max_values`, or than any training row has.
    pub cells: u64,
}

impl AddAssign for LeftOut {
    fn add_assign(&mut self, other: Self) {
        self.rows += other.rows;
        self.cells += other.cells;
    }
}

impl Encoded {
    /// The number of rows.
    pub fn rows(&self) -> usize {
        self.ids.len() / self.columns.max(1)
    }

    /// Fills `groups` from the extra column `extra` of `rows`.
    pub(super) fn set_groups(&mut self, rows: &RowBlock, extra: usize) {
        self.groups.clear();
        self.groups.extend((0..rows.rows()).map(|row| stable_hash(rows.extra(row, extra))));
    }
}

impl Vocabulary {
    /// Encodes `rows`, whose fields are the vocabulary's but the derived ones; `out` keeps its buffers, and its groups stay empty.
    pub fn encode(&self, rows: &RowBlock, out: &mut Encoded) {
        out.extra = self.extra_columns().into();
        out.columns = self.fields() + out.extra.len();
        out.ids.clear();
        out.ids.resize(rows.rows() * out.columns, 0);
        out.values.clear();
        if self.has_values() {
            out.values.resize(rows.rows() * out.columns, 1.0);
        }
        out.weights.clear();
        out.weights.extend_from_slice(rows.weights());
        out.groups.clear();
        out.labels.clear();
        out.cut_cells = 0;
        if rows.has_labels() {
            out.labels.extend((0..rows.rows()).map(|row| rows.label(row)));
        }
        // field by field, so that one field's map stays in the cache
        let mut extra = self.fields();
        for (field, vocabulary) in self.field_vocabularies().iter().enumerate() {
            match (&vocabulary.many, &vocabulary.lookup) {
                (Some(many), _) => encode_many(vocabulary, many, [field, extra], rows, out),
                (None, Lookup::Piecewise(knots)) => {
                    encode_between_knots(vocabulary.ids.start, knots, [field, extra], rows, out);
                }
                (None, _) => encode_field(vocabulary, field, rows, out),
            }
            extra += vocabulary.columns() - 1;
        }
        self.fill_derived(out, None);
    }
}

fn encode_field(vocabulary: &FieldVocabulary, field: usize, rows: &RowBlock, out: &mut Encoded) {
    let first = vocabulary.ids.start;
    let bucket = |hash| vocabulary.hashed(hash);
    match &vocabulary.lookup {
        Lookup::Text(map) => encode_known(field, first, map, rows, out),
        Lookup::Buckets(buckets, map) => {
            encode_numbers(field, first, rows, out, |number| map.get(buckets.bucket(number)));
        }
        Lookup::Quantile(edges) => encode_numbers(field, first, rows, out, |number| {
            #[expect(clippy::cast_possible_truncation, reason = "there are at most 65,536 buckets")]
            let bucket = quantile_bucket(edges, number) as u32;
            FIRST_VALUE + bucket
        }),
        Lookup::Scaled(scale) => {
            encode_numbers(field, first, rows, out, |_| FIRST_VALUE);
            let values = out.values.iter_mut().skip(field).step_by(out.columns);
            for (row, value) in values.enumerate() {
                let number = rows.number(row, field);
                if !number.is_nan() {
                    *value = scale.apply(number);
                }
            }
        }
        Lookup::HashedText => encode_texts(field, first, rows, out, |cell| bucket(stable_hash(cell))),
        Lookup::HashedNumber(buckets) => {
            encode_numbers(field, first, rows, out, |number| {
                bucket(stable_hash(&buckets.bucket(number).to_le_bytes()))
            });
        }
        // a field with two columns, and one without cells
        Lookup::Piecewise(_) | Lookup::Derived => {}
    }
}

fn encode_known(field: usize, first: u32, map: &TextMap<u32>, rows: &RowBlock, out: &mut Encoded) {
    let mut ids = out.ids.iter_mut().skip(field).step_by(out.columns);
    let (mut cells, mut asked) = (rows.cells(field, 0..rows.rows()), [&[][..]; CELLS_AHEAD]);
    for start in (0..rows.rows()).step_by(CELLS_AHEAD) {
        let asked = &mut asked[..CELLS_AHEAD.min(rows.rows() - start)];
        asked.iter_mut().zip(cells.by_ref()).for_each(|(asked, cell)| *asked = cell);
        map.ask(asked.iter().copied());
        for (cell, output) in asked.iter().zip(ids.by_ref()) {
            *output = first + if cell.is_empty() { MISSING } else { map.get(cell).unwrap_or(UNKNOWN) };
        }
    }
}

#[inline]
fn encode_texts(field: usize, first: u32, rows: &RowBlock, out: &mut Encoded, id: impl Fn(&[u8]) -> u32) {
    let ids = out.ids.iter_mut().skip(field).step_by(out.columns);
    for (row, output) in ids.enumerate() {
        let cell = rows.cell(row, field);
        *output = first + if cell.is_empty() { MISSING } else { id(cell) };
    }
}

#[inline]
fn encode_numbers(field: usize, first: u32, rows: &RowBlock, out: &mut Encoded, id: impl Fn(f64) -> u32) {
    let ids = out.ids.iter_mut().skip(field).step_by(out.columns);
    for (row, output) in ids.enumerate() {
        let number = rows.number(row, field);
        *output = first + if number.is_nan() { MISSING } else { id(number) };
    }
}

/// A field of several values: its first one in the field's own column, the others from the column `extra` on. Where a row has
/// fewer, the missing feature stands with the value 0, so that it adds nothing.
fn encode_many(
    vocabulary: &FieldVocabulary,
    many: &Many,
    [field, extra]: [usize; 2],
    rows: &RowBlock,
    out: &mut Encoded,
) {
    let first = vocabulary.ids.start;
    let id = |value: &[u8]| match &vocabulary.lookup {
        Lookup::Text(map) => map.get(value).unwrap_or(UNKNOWN),
        _ => vocabulary.hashed(stable_hash(value)),
    };
    for row in 0..rows.rows() {
        let start = row * out.columns;
        let column = |number: usize| start + if number == 0 { field } else { extra + number - 1 };
        let mut weights = 0.0;
        let mut values = rows.values(row, field, many.separator).map(|value| many.weighed(value));
        for number in 0..many.columns {
            let (value, weight) = values.next().unwrap_or_default();
            out.ids[column(number)] = first + if value.is_empty() { MISSING } else { id(value) };
            out.values[column(number)] = weight;
            weights += weight.abs();
        }
        out.cut_cells += u64::from(values.next().is_some());
        if many.pooling == Pooling::Mean && weights > 0.0 {
            (0..many.columns).for_each(|number| out.values[column(number)] /= weights);
        }
    }
}

/// A number as the knots around it, the lower one in the field's own column, the upper one in the column `extra`.
fn encode_between_knots(first: u32, knots: &[f64], [field, extra]: [usize; 2], rows: &RowBlock, out: &mut Encoded) {
    for row in 0..rows.rows() {
        let number = rows.number(row, field);
        let start = row * out.columns;
        let (below, share) = if number.is_nan() {
            (None, 0.0)
        } else {
            let (below, share) = between_knots(knots, number);
            (Some(below), share)
        };
        #[expect(clippy::cast_possible_truncation, reason = "there are at most 65,537 knots")]
        let id = |knot: Option<usize>| first + knot.map_or(MISSING, |knot| FIRST_VALUE + knot as u32);
        #[expect(clippy::cast_possible_truncation, reason = "a share needs no more digits than an f32 has")]
        let share = share as f32;
        out.ids[start + field] = id(below);
        out.values[start + field] = 1.0 - share;
        out.ids[start + extra] = id(below.map(|below| (below + 1).min(knots.len() - 1)));
        out.values[start + extra] = share;
    }
}

impl FieldVocabulary {
    /// The id of a hash, counted from the field's first one.
    #[inline]
    fn hashed(&self, hash: u64) -> u32 {
        let buckets = self.ids.len().saturating_sub(FIRST_VALUE as usize).max(1);
        FIRST_VALUE + hash_bucket(hash, u32::try_from(buckets).expect("a field has fewer than 2^32 ids"))
    }
}
