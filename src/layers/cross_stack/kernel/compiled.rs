//! The passes compiled for more instructions than every processor of the target has.

#![cfg_attr(not(target_arch = "x86_64"), expect(unused_imports, reason = "there is nothing to compile for"))]

use super::{
    Kernels, Passes,
    block::{self, BackwardChunk, ForwardBlock},
    plan::Plan,
};
use crate::layers::lanes::{Lanes, Packet, compile};

compile! {
    Kernels [tile_rows: L::TILE_ROWS] {
        fn forward_block(plan: &Plan<f32, WIDTH>, block: ForwardBlock<f32>, scratch: &mut [Packet<f32, WIDTH>]) =
            block::forward::<WIDTH, L>(plan, block, scratch);
        fn keeping_block(
            plan: &Plan<f32, WIDTH>,
            block: ForwardBlock<f32>,
            scratch: &mut [Packet<f32, WIDTH>],
            kept: &mut [f32]
        ) = block::forward_keeping::<WIDTH, L>(plan, block, scratch, kept);
        fn backward_chunk(plan: &Plan<f32, WIDTH>, chunk: BackwardChunk<f32>, scratch: &mut [Packet<f32, WIDTH>]) =
            block::backward::<WIDTH, L>(plan, chunk, scratch);
    }
}
