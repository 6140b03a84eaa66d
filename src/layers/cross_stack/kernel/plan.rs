//! What every block of one call shares: the stack's shape, and its weights in the order in which tiles read them.

use super::{Form, Weights};
use crate::layers::lanes::Real;

/// About how many columns (rows of the batch times dims) one block has at least, so that it stays in the second cache.
const BLOCK_COLUMNS: usize = 256;

/// About how many packets a block of a large batch has at most. The lanes of weight gradients are added up once a block, which with
/// sixteen of them was an eighth of the way back in blocks of half the size.
const BLOCK_PACKETS: usize = 32;

/// The most chunks that weight gradients are summed by. Fixed, so that sums don't depend on the number of threads.
const CHUNKS: usize = 16;

/// The shared part of one call.
pub(super) struct Plan<'a, T, const WIDTH: usize> {
    pub(super) form: Form,
    /// Whether the output is summed over the fields.
    pub(super) pooled: bool,
    pub(super) layers: usize,
    pub(super) fields: usize,
    pub(super) dim: usize,
    /// `[layers, fields]`
    pub(super) bias: &'a [T],
    /// `W_C` and `W_R`, as the forward pass reads them.
    pub(super) forward: Packed<T>,
    /// Their transposes, as the backward pass reads them; empty in a forward pass.
    pub(super) backward: Packed<T>,
    /// The most fields of a tile of weight gradients.
    pub(super) tile_rows: usize,
    /// Rows of the batch in one block.
    pub(super) block_rows: usize,
    /// Packets from one field to the next in a block's memory.
    pub(super) stride: usize,
}

impl<'a, T: Real, const WIDTH: usize> Plan<'a, T, WIDTH> {
    pub(super) fn new(
        form: Form,
        weights: &Weights<'a, T>,
        [batch, dim]: [usize; 2],
        pooled: bool,
        tile_rows: usize,
    ) -> Self {
        let &Weights { bias, layers, fields, .. } = weights;
        let columns = BLOCK_COLUMNS.max(BLOCK_PACKETS * WIDTH);
        let block_rows = batch.div_ceil(CHUNKS).clamp(BLOCK_COLUMNS / dim, columns / dim).clamp(1, batch.max(1));
        // A cache line of 16 numbers more than needed: a stride of a power of two would send all fields to the same cache lines.
        let stride = packets::<WIDTH>(block_rows * dim) + 16_usize.div_ceil(WIDTH);
        // A merged sum holds product and residual; otherwise each needs registers of its own.
        let forward_rows = if form.is_merged() { tile_rows } else { tile_rows / 2 };
        let forward = Packed::new(weights, forward_rows, false);
        let backward = Packed { tiles: Vec::new(), values: Vec::new(), layer: 0 };
        Self { form, pooled, layers, fields, dim, bias, forward, backward, tile_rows, block_rows, stride }
    }

    pub(super) fn with_backward(self, weights: &Weights<T>) -> Self {
        let rows = if self.form.is_square() { self.tile_rows / 2 } else { self.tile_rows };
        Self { backward: Packed::new(weights, rows, true), ..self }
    }

    /// Rows of the batch whose weight gradients are summed together.
    pub(super) fn chunk_rows(&self, batch: usize) -> usize {
        batch.div_ceil(self.block_rows).div_ceil(CHUNKS).max(1) * self.block_rows
    }

    /// Numbers of one row's vectors.
    pub(super) fn row_len(&self) -> usize {
        self.fields * self.dim
    }

    /// Numbers of one row's output.
    pub(super) fn output_len(&self) -> usize {
        if self.pooled { self.dim } else { self.row_len() }
    }

    /// Packets that one block's hidden state takes.
    pub(super) fn state_packets(&self) -> usize {
        self.fields * self.stride
    }

    /// Numbers of all weights together: `W_C`, `W_R`, bias.
    pub(super) fn weights_len(&self) -> usize {
        self.layers * self.fields * (2 * self.fields + 1)
    }

    pub(super) fn layer_bias(&self, layer: usize) -> &'a [T] {
        &self.bias[layer * self.fields..][..self.fields]
    }
}

/// Packets for so many columns, an even number because tiles are two packets wide.
pub(super) fn packets<const WIDTH: usize>(columns: usize) -> usize {
    columns.div_ceil(2 * WIDTH) * 2
}

/// Neighbouring fields whose sums are held in registers together.
#[derive(Clone, Copy, Debug)]
pub(super) struct Tile {
    pub(super) field: usize,
    pub(super) rows: usize,
}

/// Cuts the fields into tiles of at most `most` rows, as even as they can be: a small tile at the end would leave the
/// processor waiting for its few sums.
pub(super) fn tiles(fields: usize, most: usize) -> Vec<Tile> {
    let count = fields.div_ceil(most.max(1));
    let boundary = |tile: usize| tile * fields / count;
    (0..count).map(|tile| Tile { field: boundary(tile), rows: boundary(tile + 1) - boundary(tile) }).collect()
}

/// The pairs of matrices of all layers, tile by tile: for each input field, `W_C` of the tile's rows, then `W_R`.
pub(super) struct Packed<T> {
    pub(super) tiles: Vec<Tile>,
    values: Vec<T>,
    /// Numbers of one layer.
    layer: usize,
}

impl<T: Real> Packed<T> {
    fn new(weights: &Weights<T>, tile_rows: usize, transposed: bool) -> Self {
        let &Weights { layers, fields, .. } = weights;
        let tiles = tiles(fields, tile_rows);
        let layer = 2 * fields * fields;
        let mut values = Vec::with_capacity(layers * layer);
        for start in (0..layers).map(|layer| layer * fields * fields) {
            for &Tile { field, rows } in &tiles {
                for input in 0..fields {
                    for matrix in [weights.cross, weights.residual] {
                        values.extend((field..field + rows).map(|output| {
                            let place = if transposed { input * fields + output } else { output * fields + input };
                            matrix[start + place]
                        }));
                    }
                }
            }
        }
        Self { tiles, values, layer }
    }

    /// The weights of one layer; a tile's begin at `2 · fields` times its first field.
    pub(super) fn layer(&self, layer: usize) -> &[T] {
        &self.values[layer * self.layer..][..self.layer]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tiles_are_even_and_cover_every_field_once() {
        let rows = |fields, most| tiles(fields, most).iter().map(|tile| tile.rows).collect::<Vec<_>>();
        assert_eq!(rows(39, 6), [5, 6, 5, 6, 5, 6, 6]);
        assert_eq!(rows(1, 6), [1]);
        assert_eq!(rows(7, 3), [2, 2, 3]);
        for fields in 1..100 {
            assert_eq!(rows(fields, 6).iter().sum::<usize>(), fields);
        }
    }
}
