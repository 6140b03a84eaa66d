//! Rows ↔ strips: sixteen of a block's columns, which are the dims of one of its rows after those of another.
//!
//! A block is `[strips, vectors]`: a strip's columns of one vector lie beside those of the next.

#![expect(clippy::inline_always, reason = "inlined into functions that may use more instructions, see layers/lanes")]

use std::ops::Range;

use crate::layers::lanes::{Packet, Real, WIDTH};

/// Packets of a strip.
pub(super) const PACKETS: usize = 2;

/// Columns of a strip.
pub(super) const COLUMNS: usize = PACKETS * WIDTH;

/// One vector's numbers of sixteen columns.
pub(super) type Strip<T> = [Packet<T>; PACKETS];

/// Strips of so many rows.
pub(super) fn count(rows: usize, dim: usize) -> usize {
    (rows * dim).div_ceil(COLUMNS)
}

/// A part of a row's dims that lies in one strip.
struct Piece {
    strip: usize,
    lanes: Range<usize>,
    dims: Range<usize>,
}

#[inline(always)]
fn pieces(row: usize, dim: usize) -> impl Iterator<Item = Piece> {
    let first = row * dim;
    (first / COLUMNS..(first + dim).div_ceil(COLUMNS)).map(move |strip| {
        let columns = first.max(strip * COLUMNS)..(first + dim).min((strip + 1) * COLUMNS);
        let from = |origin: usize| columns.start - origin..columns.end - origin;
        Piece { strip, lanes: from(strip * COLUMNS), dims: from(first) }
    })
}

/// Vectors of a block, `[strips, vectors]`, among them those of one kind.
pub(super) struct Place {
    /// Vectors of a strip.
    pub(super) vectors: usize,
    /// Those of the kind.
    pub(super) kind: Range<usize>,
    pub(super) dim: usize,
}

impl Place {
    /// `[rows, kind, dim]` → strips, whose columns beyond the last row are zeros.
    #[inline(always)]
    pub(super) fn load<T: Real>(&self, rows: &[T], block: &mut [Strip<T>]) {
        let Self { vectors, ref kind, dim } = *self;
        let row_len = kind.len() * dim;
        if row_len > 0 && !(rows.len() / row_len * dim).is_multiple_of(COLUMNS) {
            let last = block.len() - vectors;
            block[last..][kind.clone()].as_flattened_mut().as_flattened_mut().fill(T::default());
        }
        for (row, source) in rows.chunks_exact(row_len.max(1)).enumerate() {
            for Piece { strip, lanes, dims } in pieces(row, dim) {
                let targets = &mut block[strip * vectors..][kind.clone()];
                for (target, source) in targets.iter_mut().zip(source.chunks_exact(dim)) {
                    copy(&source[dims.clone()], &mut target.as_flattened_mut()[lanes.clone()]);
                }
            }
        }
    }

    /// Strips → `[rows, kind, dim]`.
    #[inline(always)]
    pub(super) fn store<T: Real>(&self, block: &[Strip<T>], rows: &mut [T]) {
        let Self { vectors, ref kind, dim } = *self;
        for (row, target) in rows.chunks_exact_mut((kind.len() * dim).max(1)).enumerate() {
            for Piece { strip, lanes, dims } in pieces(row, dim) {
                let sources = &block[strip * vectors..][kind.clone()];
                for (source, target) in sources.iter().zip(target.chunks_exact_mut(dim)) {
                    copy(&source.as_flattened()[lanes.clone()], &mut target[dims.clone()]);
                }
            }
        }
    }
}

/// A copy that is two instructions where a row is a strip.
#[inline(always)]
fn copy<T: Real>(source: &[T], target: &mut [T]) {
    match (<&[T; COLUMNS]>::try_from(source), <&mut [T; COLUMNS]>::try_from(&mut *target)) {
        (Ok(source), Ok(target)) => *target = *source,
        _ => target.copy_from_slice(source),
    }
}
