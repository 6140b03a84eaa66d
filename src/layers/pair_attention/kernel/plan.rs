//! What every block of one call shares: the sizes, the pairs, and the weights in the order in which tiles read them.

use super::Weights;
use crate::layers::{lanes::Real, pairwise::pairs};

/// Neighbouring hidden units, or dims on the way back, whose sums are held in registers together.
pub(super) const UNITS: usize = 4;

/// Pairs whose products and hidden units are kept at a time: few enough for the first cache, a multiple of a tile's pairs.
pub(super) const GROUP: usize = 12;

/// The most chunks that weight gradients are summed by. Fixed, so that sums don't depend on the number of threads.
const CHUNKS: usize = 64;

/// The shared part of one call.
pub(super) struct Plan<T, const WIDTH: usize> {
    pub(super) fields: usize,
    pub(super) dim: usize,
    pub(super) hidden: usize,
    /// All pairs of fields, in lexicographic order.
    pub(super) pairs: Vec<[usize; 2]>,
    /// `W`, for each tile of units `[dim, UNITS]`.
    pub(super) forward: Vec<[T; UNITS]>,
    /// Its transpose, for each tile of dims `[units, UNITS]`.
    pub(super) backward: Vec<[T; UNITS]>,
    /// `c` of each tile; of padding zero.
    pub(super) bias: Vec<[T; UNITS]>,
    /// `h` of each tile; of padding zero.
    pub(super) head: Vec<[T; UNITS]>,
}

impl<T: Real, const WIDTH: usize> Plan<T, WIDTH> {
    pub(super) fn new(weights: &Weights<T>, fields: usize) -> Self {
        let &Weights { dim, hidden, .. } = weights;
        let at = |input: usize, unit: usize| weights.weight[input * hidden + unit];
        Self {
            fields,
            dim,
            hidden,
            pairs: pairs(fields).map(|(left, right)| [left, right]).collect(),
            forward: tiles(hidden, dim, dim, at),
            backward: tiles(dim, hidden, hidden.next_multiple_of(UNITS), |unit, input| at(input, unit)),
            bias: tiles(hidden, 1, 1, |_, unit| weights.bias[unit]),
            head: tiles(hidden, 1, 1, |_, unit| weights.head[unit]),
        }
    }

    /// Hidden units with padding, whose weights are zero.
    pub(super) fn units(&self) -> usize {
        self.hidden.next_multiple_of(UNITS)
    }

    /// Numbers of one row's vectors, and packets of a block's.
    pub(super) fn row_len(&self) -> usize {
        self.fields * self.dim
    }

    /// Rows of the batch whose weight gradients are summed together.
    pub(super) fn chunk_rows(batch: usize) -> usize {
        batch.div_ceil(CHUNKS).next_multiple_of(WIDTH).max(WIDTH)
    }

    /// Numbers of all weights together: `W`, `c`, `h`.
    pub(super) fn weights_len(&self) -> usize {
        self.hidden * (self.dim + 2)
    }

    /// Packets of the sums of all weights' gradients: `W` as `[dim, units]`, `c`, `h`.
    pub(super) fn sums_packets(&self) -> usize {
        self.units() * (self.dim + 2)
    }
}

/// For each tile of `outputs`, `[rows, UNITS]` of the matrix `[inputs, outputs]` whose elements are `at(input, output)`;
/// zeros elsewhere.
fn tiles<T: Real>(outputs: usize, inputs: usize, rows: usize, at: impl Fn(usize, usize) -> T) -> Vec<[T; UNITS]> {
    let element = |input: usize, output: usize| {
        if input < inputs && output < outputs { at(input, output) } else { T::default() }
    };
    let starts = (0..outputs).step_by(UNITS);
    starts
        .flat_map(|start| (0..rows).map(move |input| (start, input)))
        .map(|(start, input)| std::array::from_fn(|unit| element(input, start + unit)))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tiles_hold_every_element_once_and_zeros() {
        let found = tiles(5, 2, 3, |input, output| (10 * input + output + 1) as f64);
        let expected = [
            [1.0, 2.0, 3.0, 4.0],
            [11.0, 12.0, 13.0, 14.0],
            [0.0; 4],
            [5.0, 0.0, 0.0, 0.0],
            [15.0, 0.0, 0.0, 0.0],
            [0.0; 4],
        ];
        assert_eq!(found, expected);
    }

    #[test]
    fn chunks_are_whole_blocks_whatever_the_batch() {
        assert_eq!([0, 1, 8, 4096, 4097].map(Plan::<f32, 8>::chunk_rows), [8, 8, 8, 64, 72]);
        assert_eq!([0, 1, 16, 4096, 4097].map(Plan::<f32, 16>::chunk_rows), [16, 16, 16, 64, 80]);
    }
}
