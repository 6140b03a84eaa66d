//! What every block of one call shares: the sizes, and the weights in the order in which tiles read them.

use std::{array, ops::Range};

use super::{
    Layer,
    strips::{self, Place},
};
use crate::layers::lanes::Real;

/// Sums of one strip that are held in registers together.
pub(super) const TILE: usize = 6;

/// Columns of a block, whose vectors stay in the first cache while tile after tile of the weights passes over them.
const BLOCK_COLUMNS: usize = 128;

/// Blocks whose weight gradients are summed in registers.
pub(super) const DEPTH: usize = 4;

/// The most chunks that weight gradients are summed by. Fixed, so that sums don't depend on the number of threads.
const CHUNKS: usize = 32;

/// The pass that a plan is for.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Pass {
    Forward,
    Backward,
}

/// The shared part of one call.
pub(super) struct Plan<T, const WIDTH: usize> {
    pub(super) fields: usize,
    pub(super) fed: usize,
    pub(super) maps: usize,
    pub(super) dim: usize,
    /// Whether the start feeds the layer: products come in equal pairs, of which one is made.
    pub(super) is_first: bool,
    /// Sums over fields: a row's pairs are of a vector that feeds the layer, and a map. No weights on the way back.
    pub(super) forward: Tiles<T>,
    /// Sums over maps: a row's pairs are of a vector that feeds the layer, and a field. Nothing on the way there.
    pub(super) inputs: Tiles<T>,
}

/// The rows of a matrix, some at a time.
pub(super) struct Tiles<T> {
    /// What each row is of.
    pub(super) pairs: Vec<[usize; 2]>,
    /// The columns of each tile.
    columns: Vec<Range<usize>>,
    /// For each tile, `[columns, TILE]`; zeros beyond the last row.
    weights: Vec<[T; TILE]>,
}

/// Some rows of a matrix.
pub(super) struct Tile<'a, T> {
    /// What each is of; beyond the last row the first one, with no weight.
    pub(super) pairs: [[usize; 2]; TILE],
    /// The columns that are not zero.
    pub(super) columns: Range<usize>,
    pub(super) weights: &'a [[T; TILE]],
}

impl<T: Real> Tiles<T> {
    /// The matrix whose elements are `at(pair, column)`; a tile's columns are `columns(first pair)`.
    fn new(
        pairs: Vec<[usize; 2]>,
        columns: impl Fn([usize; 2]) -> Range<usize>,
        at: impl Fn([usize; 2], usize) -> T,
    ) -> Self {
        let columns: Vec<_> = pairs.chunks(TILE).map(|pairs| columns(pairs[0])).collect();
        let mut weights = Vec::with_capacity(columns.iter().map(Range::len).sum());
        for (pairs, columns) in pairs.chunks(TILE).zip(&columns) {
            weights.extend(columns.clone().map(|column| {
                let mut row = [T::default(); TILE];
                row.iter_mut().zip(pairs).for_each(|(weight, &pair)| *weight = at(pair, column));
                row
            }));
        }
        Self { pairs, columns, weights }
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = Tile<'_, T>> {
        let mut rest = self.weights.as_slice();
        self.pairs.chunks(TILE).zip(&self.columns).map(move |(pairs, columns)| {
            let (weights, after) = rest.split_at(columns.len());
            rest = after;
            let pairs = array::from_fn(|row| pairs.get(row).copied().unwrap_or(pairs[0]));
            Tile { pairs, columns: columns.clone(), weights }
        })
    }
}

impl<T: Real, const WIDTH: usize> Plan<T, WIDTH> {
    pub(super) fn new(layer: &Layer<T>, is_first: bool, pass: Pass) -> Self {
        let &Layer { weight, maps, fed, fields, dim } = layer;
        let own = if is_first { 0 } else { fields };
        let partners = |vector: usize| if is_first { vector..fields } else { 0..fields };
        let at = |map: usize, vector: usize, field: usize| {
            let weight = |fed_by: usize, field: usize| weight[(map * fed + fed_by) * fields + field];
            match is_first {
                false => weight(vector - own, field),
                true if field > vector => weight(vector, field) + weight(field, vector),
                true if field == vector => weight(vector, field),
                true => T::default(),
            }
        };
        let fed_by = own..own + fed;
        let outputs = fed_by.clone().flat_map(|vector| (0..maps).map(move |map| [vector, map])).collect();
        let products = fed_by.flat_map(|vector| partners(vector).map(move |field| [vector, field]));
        let products = if pass == Pass::Backward { products.collect() } else { Vec::new() };
        let summed = |[vector, _]: [usize; 2]| if pass == Pass::Forward { partners(vector) } else { 0..0 };
        Self {
            fields,
            fed,
            maps,
            dim,
            is_first,
            forward: Tiles::new(outputs, summed, |[vector, map], field| at(map, vector, field)),
            inputs: Tiles::new(products, |_| 0..maps, |[vector, field], map| at(map, vector, field)),
        }
    }

    /// Vectors of a row: its fields, then what feeds the layer.
    pub(super) fn vectors(&self) -> usize {
        if self.is_first { self.fields } else { self.fields + self.fed }
    }

    pub(super) fn start(&self) -> Place {
        Place { vectors: self.vectors(), kind: 0..self.fields, dim: self.dim }
    }

    /// No vectors in the first layer.
    pub(super) fn feed(&self) -> Place {
        Place { vectors: self.vectors(), kind: self.fields..self.vectors(), dim: self.dim }
    }

    pub(super) fn output(&self) -> Place {
        Place { vectors: self.maps, kind: 0..self.maps, dim: self.dim }
    }

    /// Rows of a block.
    pub(super) fn block_rows(&self) -> usize {
        (BLOCK_COLUMNS / self.dim).max(1)
    }

    pub(super) fn block_strips(&self) -> usize {
        strips::count::<WIDTH>(self.block_rows(), self.dim)
    }

    /// Rows of the batch that one task takes; on the way back, whose weight gradients are summed together.
    pub(super) fn chunk_rows(&self, batch: usize, pass: Pass) -> usize {
        let blocks = if pass == Pass::Backward { DEPTH } else { 1 };
        batch.div_ceil(CHUNKS).next_multiple_of(blocks * self.block_rows()).max(1)
    }
}
