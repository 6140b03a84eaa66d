//! What every row of one call shares: the sizes, and the weights in packets.

use super::Weights;
use crate::layers::lanes::{Packet, Real};

/// Rows of the batch that one task takes forward.
pub(super) const TASK_ROWS: usize = 8;

/// The most chunks that weight gradients are summed by, of small matrices and of large ones, and the numbers that all chunks' sums
/// have together. By sizes alone, so that sums don't depend on the number of threads.
const CHUNKS: usize = 64;
const LEAST_CHUNKS: usize = 8;
const SUMS_LEN: usize = 1 << 20;

/// The projections in the order in which they stand side by side: forward takes the first three as rows, the way back the
/// last two.
#[derive(Clone, Copy)]
pub(super) enum Part {
    Value,
    Residual,
    Query,
    Key,
}

/// The shared part of one call. A head's numbers are padded to whole packets with weights of zero.
pub(super) struct Plan<T, const WIDTH: usize> {
    pub(super) fields: usize,
    pub(super) dim: usize,
    pub(super) heads: usize,
    /// A head's numbers.
    head_dim: usize,
    /// All weights, `[dim, 4 parts, heads, head packets]`; the query's divided by the root of the head's numbers, as the
    /// scores are.
    pub(super) weights: Vec<Packet<T, WIDTH>>,
    /// Their transpose, `[4 * heads * head packets * W, dim packets]`.
    pub(super) turned: Vec<Packet<T, WIDTH>>,
    scale: T,
}

impl<T: Real, const WIDTH: usize> Plan<T, WIDTH> {
    pub(super) fn new(weights: &Weights<T>, fields: usize) -> Self {
        let &Weights { dim, heads, head_dim, scale, .. } = weights;
        let zero = [T::default(); WIDTH];
        let mut plan = Self { fields, dim, heads, head_dim, weights: Vec::new(), turned: Vec::new(), scale };
        plan.weights = vec![zero; dim * plan.row_packets()];
        plan.turned = vec![zero; plan.row_packets() * WIDTH * plan.dim_packets()];
        let (row, turned_row) = (plan.row_packets() * WIDTH, plan.dim_packets() * WIDTH);
        for (part, matrix) in [weights.value, weights.residual, weights.query, weights.key].into_iter().enumerate() {
            let scale = if part == Part::Query as usize { scale } else { T::ONE };
            for (place, &weight) in matrix.iter().enumerate() {
                let (input, output) = (place / plan.width(), place % plan.width());
                let column = plan.column(part, output);
                plan.weights.as_flattened_mut()[input * row + column] = scale * weight;
                plan.turned.as_flattened_mut()[column * turned_row + input] = scale * weight;
            }
        }
        plan
    }

    /// Where an output of a part stands in a row of all parts.
    fn column(&self, part: usize, output: usize) -> usize {
        let (head, number) = (output / self.head_dim, output % self.head_dim);
        (part * self.heads + head) * self.head_packets() * WIDTH + number
    }

    /// Numbers of all heads.
    pub(super) fn width(&self) -> usize {
        self.heads * self.head_dim
    }

    /// Numbers of one head, without padding.
    pub(super) fn head_dim(&self) -> usize {
        self.head_dim
    }

    pub(super) fn head_packets(&self) -> usize {
        self.head_dim.div_ceil(WIDTH)
    }

    pub(super) fn dim_packets(&self) -> usize {
        self.dim.div_ceil(WIDTH)
    }

    pub(super) fn field_packets(&self) -> usize {
        self.fields.div_ceil(WIDTH)
    }

    /// Packets of one part of a field.
    pub(super) fn part_packets(&self) -> usize {
        self.heads * self.head_packets()
    }

    /// Packets of all parts of a field.
    pub(super) fn row_packets(&self) -> usize {
        4 * self.part_packets()
    }

    /// The first packet of a head's part in a row of all parts.
    pub(super) fn place(&self, part: Part, head: usize) -> usize {
        part as usize * self.part_packets() + head * self.head_packets()
    }

    /// Numbers of one row's vectors.
    pub(super) fn row_len(&self) -> usize {
        self.fields * self.dim
    }

    /// Numbers of one row's result.
    pub(super) fn output_len(&self) -> usize {
        self.fields * self.width()
    }

    /// Rows of the batch whose weight gradients are summed together.
    pub(super) fn chunk_rows(&self, batch: usize) -> usize {
        let chunks = (SUMS_LEN / self.weights_len()).clamp(LEAST_CHUNKS, CHUNKS);
        batch.div_ceil(chunks).max(TASK_ROWS)
    }

    /// Numbers of all four matrices.
    pub(super) fn weights_len(&self) -> usize {
        4 * self.dim * self.width()
    }

    /// Adds gradients of [`Self::weights`] to those of the four matrices, one behind the other in the order of [`Part`].
    pub(super) fn unpack(&self, gradients: &[Packet<T, WIDTH>], sums: &mut [T]) {
        let (gradients, row) = (gradients.as_flattened(), self.row_packets() * WIDTH);
        for (part, sums) in sums.chunks_exact_mut(self.dim * self.width()).enumerate() {
            let scale = if part == Part::Query as usize { self.scale } else { T::ONE };
            for (place, sum) in sums.iter_mut().enumerate() {
                let (input, output) = (place / self.width(), place % self.width());
                *sum += scale * gradients[input * row + self.column(part, output)];
            }
        }
    }
}
