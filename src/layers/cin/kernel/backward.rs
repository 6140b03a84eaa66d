//! The backward pass of one chunk: its blocks one after the other, then, of several blocks at a time, the weights'.

#![expect(clippy::inline_always, reason = "inlined into functions that may use more instructions, see layers/lanes")]

use super::{
    plan::{DEPTH, Plan},
    strips::{self, PACKETS},
    tiles,
    weight_gradient::{self, WeightGradient},
};
use crate::layers::lanes::{Lanes, Packet, Real};

/// Some rows, the gradients of their maps, and where those of the inputs go.
pub(super) struct BackwardChunk<'a, T> {
    /// `[rows, fields, dim]`
    pub(super) start: &'a [T],
    /// `[rows, fed, dim]`; nothing in the first layer.
    pub(super) feed: &'a [T],
    /// `[rows, maps, dim]`
    pub(super) output: &'a [T],
    /// `[rows, fields, dim]`
    pub(super) start_gradient: &'a mut [T],
    /// `[rows, fed, dim]`; nothing in the first layer.
    pub(super) feed_gradient: &'a mut [T],
    /// Sums over the chunk: `[pairs of vector and map, row_len]`.
    pub(super) sums: &'a mut [T],
}

/// Scratch memory of [`backward`].
pub(super) fn backward_packets<T: Real, const WIDTH: usize>(plan: &Plan<T, WIDTH>) -> usize {
    let strips = DEPTH * plan.block_strips();
    strips * PACKETS * (2 * plan.vectors() + plan.maps) + weight_gradient::packets(plan, strips)
}

/// Runs a chunk back.
#[inline(always)]
pub(super) fn backward<const WIDTH: usize, L: Lanes<WIDTH>>(
    plan: &Plan<L::Real, WIDTH>,
    chunk: BackwardChunk<L::Real>,
    scratch: &mut [Packet<L::Real, WIDTH>],
) {
    let BackwardChunk { start, feed, output, start_gradient, feed_gradient, sums } = chunk;
    let rows = DEPTH * plan.block_rows();
    let lengths = [plan.fields, plan.fed, plan.maps].map(|count| rows * count * plan.dim);
    let (mut feeds, mut feed_gradients) = (feed.chunks(lengths[1]), feed_gradient.chunks_mut(lengths[1]));
    let targets = start_gradient.chunks_mut(lengths[0]);
    for ((start, output), start_gradient) in start.chunks(lengths[0]).zip(output.chunks(lengths[2])).zip(targets) {
        let strips = strips::count::<WIDTH>(start.len() / plan.fields / plan.dim, plan.dim);
        let (vectors, rest) = scratch.split_at_mut(strips * PACKETS * plan.vectors());
        let (gradients, rest) = rest.split_at_mut(vectors.len());
        let (maps, scratch) = rest.split_at_mut(strips * PACKETS * plan.maps);
        let (vectors, gradients, maps) =
            (vectors.as_chunks_mut().0, gradients.as_chunks_mut().0, maps.as_chunks_mut().0);
        plan.start().load(start, vectors);
        plan.feed().load(feeds.next().unwrap_or_default(), vectors);
        plan.output().load(output, maps);
        gradients.as_flattened_mut().as_flattened_mut().fill(L::Real::default());
        let blocks = vectors.chunks(plan.block_strips() * plan.vectors());
        let blocks = blocks.zip(maps.chunks(plan.block_strips() * plan.maps));
        for ((vectors, maps), gradients) in blocks.zip(gradients.chunks_mut(plan.block_strips() * plan.vectors())) {
            tiles::inputs::<WIDTH, L>(plan, vectors, maps, gradients);
        }
        plan.start().store(gradients, start_gradient);
        plan.feed().store(gradients, feed_gradients.next().unwrap_or_default());
        WeightGradient { plan, vectors, output: maps }.add::<L>(scratch, sums);
    }
}
