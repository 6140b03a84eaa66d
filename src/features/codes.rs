//! A block's cells as short codes, made where the block is split: the thread that counts a field then reads 4 bytes a cell, one after
//! the other, instead of a text here and there that another processor has in its cache.

use super::keys::{NumberMap, hex_number};
use super::numeric::Buckets;
use super::plan::{FieldPlan, Transform};
use crate::data::RowBlock;

/// The code of a cell without text or number.
pub(super) const MISSING_CODE: u32 = 0;
/// The code of a cell whose text or number has to be looked at.
pub(super) const LONG_CODE: u32 = 1;
/// From here on a code is the number that a text of 8 hex digits is, or a bucket's position plus this.
const FIRST_CODE: u32 = 2;

/// Rows whose cells are coded before the next field's are, so that all of them stay in the cache.
const ROWS_AT_ONCE: usize = 32;

/// The codes of a block, field by field.
#[derive(Debug, Default)]
pub(super) struct Codes(Vec<Vec<u32>>);

/// How the cells of each field are coded.
#[derive(Clone, Debug)]
pub(super) struct Coder(Vec<Option<Code>>);

#[derive(Clone, Copy, Debug)]
enum Code {
    Text,
    Buckets(Buckets),
}

impl Codes {
    /// The codes of a field's cells; none of a field that has several values or no values to be counted.
    pub(super) fn of(&self, field: usize) -> &[u32] {
        &self.0[field]
    }
}

/// The position of a coded bucket in a [`NumberMap`]'s array.
#[inline]
pub(super) fn coded_bucket(code: u32) -> usize {
    (code - FIRST_CODE) as usize
}

impl Coder {
    pub(super) fn new(plan: &[FieldPlan]) -> Self {
        let code = |field: &FieldPlan| match field.transform {
            Transform::Text if field.many.is_none() => Some(Code::Text),
            Transform::Buckets(buckets) => Some(Code::Buckets(buckets)),
            _ => None,
        };
        Self(plan.iter().map(code).collect())
    }

    pub(super) fn code(&self, block: &RowBlock) -> Codes {
        let mut codes: Vec<_> =
            self.0.iter().map(|code| Vec::with_capacity(if code.is_some() { block.rows() } else { 0 })).collect();
        for start in (0..block.rows()).step_by(ROWS_AT_ONCE) {
            let rows = start..block.rows().min(start + ROWS_AT_ONCE);
            for ((field, code), codes) in self.0.iter().enumerate().zip(&mut codes) {
                match code {
                    Some(Code::Text) => codes.extend(block.cells(field, rows.clone()).map(text_code)),
                    Some(Code::Buckets(buckets)) => {
                        codes.extend(block.numbers(field, rows.clone()).map(|number| bucket_code(*buckets, number)));
                    }
                    None => {}
                }
            }
        }
        Codes(codes)
    }
}

#[inline]
fn text_code(cell: &[u8]) -> u32 {
    match hex_number(cell) {
        Some(number) if number >= FIRST_CODE => number,
        None if cell.is_empty() => MISSING_CODE,
        _ => LONG_CODE,
    }
}

#[inline]
fn bucket_code(buckets: Buckets, number: f64) -> u32 {
    if number.is_nan() {
        return MISSING_CODE;
    }
    NumberMap::<u32>::position(buckets.bucket(number)).map_or(LONG_CODE, |position| position + FIRST_CODE)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_is_a_texts_number_unless_it_means_something_else() {
        for (cell, expected) in [
            ("", MISSING_CODE),
            ("00000000", LONG_CODE),
            ("00000001", LONG_CODE),
            ("00000002", 2),
            ("ffffffff", u32::MAX),
            ("FFFFFFFF", LONG_CODE),
            ("7", LONG_CODE),
        ] {
            assert_eq!(text_code(cell.as_bytes()), expected, "{cell}");
        }
    }

    #[test]
    fn a_code_is_a_buckets_position_where_it_has_one() {
        for (number, expected) in [
            (f64::NAN, MISSING_CODE),
            (0.0, 2),
            (-0.0, 2),
            (1.5, LONG_CODE),
            (-3.0, LONG_CODE),
            (2.0, 4),
            (100.0, 21 + 2),
            (f64::MAX, LONG_CODE),
        ] {
            let code = bucket_code(Buckets::Log2, number);
            assert_eq!(code, expected, "{number}");
            if code >= FIRST_CODE {
                assert_eq!((coded_bucket(code) as f64).to_bits(), Buckets::Log2.bucket(number).to_bits());
            }
        }
    }
}
