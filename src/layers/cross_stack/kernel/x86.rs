//! The passes compiled for AVX2 and for AVX-512 of x86-64.

#![expect(unsafe_code, reason = "instructions outside of the baseline: benches/layers.rs measures what they bring")]

use super::{
    Kernels, Passes,
    block::{self, BackwardChunk, ForwardBlock},
    plan::Plan,
};
use crate::layers::lanes::{Lanes, Packet, x86::compile_for_x86};

compile_for_x86! {
    Kernels [tile_rows: L::TILE_ROWS] {
        fn forward_block(plan: &Plan<f32, W>, block: ForwardBlock<f32>, scratch: &mut [Packet<f32, W>]) =
            block::forward::<W, L>(plan, block, scratch);
        fn keeping_block(
            plan: &Plan<f32, W>,
            block: ForwardBlock<f32>,
            scratch: &mut [Packet<f32, W>],
            kept: &mut [f32]
        ) = block::forward_keeping::<W, L>(plan, block, scratch, kept);
        fn backward_chunk(plan: &Plan<f32, W>, chunk: BackwardChunk<f32>, scratch: &mut [Packet<f32, W>]) =
            block::backward::<W, L>(plan, chunk, scratch);
    }
}
