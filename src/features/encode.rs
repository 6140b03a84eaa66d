//! Rows → ids: the hot path of the second pass, of evaluation and of prediction.

use super::keys::{hash_bucket, stable_hash};
use super::numeric::{log2_bucket, quantile_bucket};
use super::vocabulary::{FIRST_VALUE, FieldVocabulary, Lookup, MISSING, UNKNOWN, Vocabulary};
use crate::data::RowBlock;

/// Ids, and what else is known, of a block of rows.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Encoded {
    pub fields: usize,
    /// `[rows, fields]`
    pub ids: Vec<u32>,
    /// `[rows, fields]`, 1 where a field has no values; empty where none has.
    pub values: Vec<f32>,
    /// `[rows]`; empty without labels.
    pub labels: Vec<u8>,
    /// `[rows]`, a hash of the group's cell; empty without groups.
    pub groups: Vec<u64>,
}

impl Encoded {
    /// The number of rows.
    pub fn rows(&self) -> usize {
        self.ids.len() / self.fields.max(1)
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
        let fields = self.fields();
        out.fields = fields;
        out.ids.clear();
        out.ids.resize(rows.rows() * fields, 0);
        out.values.clear();
        if self.has_values() {
            out.values.resize(rows.rows() * fields, 1.0);
        }
        out.groups.clear();
        out.labels.clear();
        if rows.has_labels() {
            out.labels.extend((0..rows.rows()).map(|row| rows.label(row)));
        }
        // field by field, so that one field's map stays in the cache
        for (field, vocabulary) in self.field_vocabularies().iter().enumerate() {
            encode_field(vocabulary, field, rows, out);
        }
        self.fill_derived(out, None);
    }
}

fn encode_field(vocabulary: &FieldVocabulary, field: usize, rows: &RowBlock, out: &mut Encoded) {
    let first = vocabulary.ids.start;
    let buckets = vocabulary.ids.len().saturating_sub(FIRST_VALUE as usize).max(1);
    let buckets = u32::try_from(buckets).expect("a field has fewer than 2^32 ids");
    let bucket = |hash| FIRST_VALUE + hash_bucket(hash, buckets);
    match &vocabulary.lookup {
        Lookup::Text(map) => encode_texts(field, first, rows, out, |cell| map.get(cell).unwrap_or(UNKNOWN)),
        Lookup::Log2Bucket(map) => encode_numbers(field, first, rows, out, |number| map.get(log2_bucket(number))),
        Lookup::Quantile(edges) => encode_numbers(field, first, rows, out, |number| {
            #[expect(clippy::cast_possible_truncation, reason = "there are at most 65,536 buckets")]
            let bucket = quantile_bucket(edges, number) as u32;
            FIRST_VALUE + bucket
        }),
        Lookup::Scaled(scale) => {
            encode_numbers(field, first, rows, out, |_| FIRST_VALUE);
            let values = out.values.iter_mut().skip(field).step_by(out.fields);
            for (row, value) in values.enumerate() {
                let number = rows.number(row, field);
                if !number.is_nan() {
                    *value = scale.apply(number);
                }
            }
        }
        Lookup::HashedText => encode_texts(field, first, rows, out, |cell| bucket(stable_hash(cell))),
        Lookup::HashedNumber => {
            encode_numbers(field, first, rows, out, |number| bucket(stable_hash(&log2_bucket(number).to_le_bytes())));
        }
        Lookup::Derived => {} // has no cells
    }
}

#[inline]
fn encode_texts(field: usize, first: u32, rows: &RowBlock, out: &mut Encoded, id: impl Fn(&[u8]) -> u32) {
    let ids = out.ids.iter_mut().skip(field).step_by(out.fields);
    for (row, output) in ids.enumerate() {
        let cell = rows.cell(row, field);
        *output = first + if cell.is_empty() { MISSING } else { id(cell) };
    }
}

#[inline]
fn encode_numbers(field: usize, first: u32, rows: &RowBlock, out: &mut Encoded, id: impl Fn(f64) -> u32) {
    let ids = out.ids.iter_mut().skip(field).step_by(out.fields);
    for (row, output) in ids.enumerate() {
        let number = rows.number(row, field);
        *output = first + if number.is_nan() { MISSING } else { id(number) };
    }
}
