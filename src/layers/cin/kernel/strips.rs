//! Rows ↔ strips: two packets of a block's columns, which are the dims of one of its rows after those of another.
//!
//! A block is `[strips, vectors]`: a strip's columns of one vector lie beside those of the next.

#![expect(clippy::inline_always, reason = "inlined into functions that may use more instructions, see layers/lanes")]

use std::ops::Range;

use crate::layers::lanes::{Packet, Real};

/// Packets of a strip.
pub(super) const PACKETS: usize = 2;

/// Columns of a strip.
const fn columns<const WIDTH: usize>() -> usize {
    PACKETS * WIDTH
}

/// One vector's numbers of a strip's columns.
pub(super) type Strip<T, const WIDTH: usize> = [Packet<T, WIDTH>; PACKETS];

/// Strips of so many rows.
pub(super) fn count<const WIDTH: usize>(rows: usize, dim: usize) -> usize {
    (rows * dim).div_ceil(columns::<WIDTH>())
}

/// A part of a row's dims that lies in one strip.
struct Piece {
    strip: usize,
    lanes: Range<usize>,
    dims: Range<usize>,
}

#[inline(always)]
fn pieces<const WIDTH: usize>(row: usize, dim: usize) -> impl Iterator<Item = Piece> {
    let first = row * dim;
    let width = columns::<WIDTH>();
    (first / width..(first + dim).div_ceil(width)).map(move |strip| {
        let columns = first.max(strip * width)..(first + dim).min((strip + 1) * width);
        let from = |origin: usize| columns.start - origin..columns.end - origin;
        Piece { strip, lanes: from(strip * width), dims: from(first) }
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
    pub(super) fn load<T: Real, const WIDTH: usize>(&self, rows: &[T], block: &mut [Strip<T, WIDTH>]) {
        let Self { vectors, ref kind, dim } = *self;
        let row_len = kind.len() * dim;
        if row_len > 0 && !(rows.len() / row_len * dim).is_multiple_of(columns::<WIDTH>()) {
            let last = block.len() - vectors;
            block[last..][kind.clone()].as_flattened_mut().as_flattened_mut().fill(T::default());
        }
        for (row, source) in rows.chunks_exact(row_len.max(1)).enumerate() {
            for Piece { strip, lanes, dims } in pieces::<WIDTH>(row, dim) {
                let targets = &mut block[strip * vectors..][kind.clone()];
                for (target, source) in targets.iter_mut().zip(source.chunks_exact(dim)) {
                    copy::<_, WIDTH>(&source[dims.clone()], &mut target.as_flattened_mut()[lanes.clone()]);
                }
            }
        }
    }

    /// Strips → `[rows, kind, dim]`.
    #[inline(always)]
    pub(super) fn store<T: Real, const WIDTH: usize>(&self, block: &[Strip<T, WIDTH>], rows: &mut [T]) {
        let Self { vectors, ref kind, dim } = *self;
        for (row, target) in rows.chunks_exact_mut((kind.len() * dim).max(1)).enumerate() {
            for Piece { strip, lanes, dims } in pieces::<WIDTH>(row, dim) {
                let sources = &block[strip * vectors..][kind.clone()];
                for (source, target) in sources.iter().zip(target.chunks_exact_mut(dim)) {
                    copy::<_, WIDTH>(&source.as_flattened()[lanes.clone()], &mut target[dims.clone()]);
                }
            }
        }
    }
}

/// A copy by whole packets, without a call where a row is made of these.
#[inline(always)]
fn copy<T: Real, const WIDTH: usize>(source: &[T], target: &mut [T]) {
    let ((sources, source), (targets, target)) = (source.as_chunks::<WIDTH>(), target.as_chunks_mut::<WIDTH>());
    for (target, source) in targets.iter_mut().zip(sources) {
        *target = *source;
    }
    if !source.is_empty() {
        target.copy_from_slice(source);
    }
}
