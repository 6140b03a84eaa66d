//! The forward pass of one chunk, block after block.

#![expect(clippy::inline_always, reason = "inlined into functions that may use more instructions, see layers/lanes")]

use super::{
    plan::Plan,
    strips::{self, PACKETS},
    tiles,
};
use crate::layers::lanes::{Lanes, Packet, Real};

/// Some rows, and where their maps go.
pub(super) struct ForwardChunk<'a, T> {
    /// `[rows, fields, dim]`
    pub(super) start: &'a [T],
    /// `[rows, fed, dim]`; nothing in the first layer.
    pub(super) feed: &'a [T],
    /// `[rows, maps, dim]`
    pub(super) output: &'a mut [T],
}

/// Scratch memory of [`forward`].
pub(super) fn forward_packets<T: Real, const WIDTH: usize>(plan: &Plan<T, WIDTH>) -> usize {
    plan.block_strips() * PACKETS * (plan.vectors() + plan.maps)
}

/// Makes the maps of a chunk.
#[inline(always)]
pub(super) fn forward<const WIDTH: usize, L: Lanes<WIDTH>>(
    plan: &Plan<L::Real, WIDTH>,
    chunk: ForwardChunk<L::Real>,
    scratch: &mut [Packet<L::Real, WIDTH>],
) {
    let ForwardChunk { start, feed, output } = chunk;
    let rows = plan.block_rows();
    let lengths = [plan.fields, plan.fed, plan.maps].map(|count| rows * count * plan.dim);
    let mut feeds = feed.chunks(lengths[1]);
    for (start, output) in start.chunks(lengths[0]).zip(output.chunks_mut(lengths[2])) {
        let strips = strips::count::<WIDTH>(start.len() / plan.fields / plan.dim, plan.dim);
        let (vectors, maps) = scratch.as_chunks_mut().0.split_at_mut(strips * plan.vectors());
        let maps = &mut maps[..strips * plan.maps];
        plan.start().load(start, vectors);
        plan.feed().load(feeds.next().unwrap_or_default(), vectors);
        maps.as_flattened_mut().as_flattened_mut().fill(L::Real::default());
        tiles::maps::<WIDTH, L>(plan, vectors, maps);
        plan.output().store(maps, output);
    }
}
