//! The kernel's vectors as AVX2 and FMA instructions of x86-64.
//!
//! Everything above is safe code that is generic over [`Lanes`]; it is compiled a second time here, inlined into
//! functions that may use the instructions. `benches/layers.rs` measures what that brings.

#![expect(
    unsafe_code,
    reason = "instructions outside of the baseline: 60k instead of 14k rows/s and thread in benches/layers.rs"
)]

use super::{
    Kernels,
    block::{self, BackwardChunk, ForwardBlock},
    plan::Plan,
};
use crate::layers::lanes::{Lanes, Packet, avx2::Avx2};

/// The kernels, if this processor has the instructions.
pub(super) fn kernels() -> Option<Kernels<f32>> {
    (is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma")).then_some(Kernels {
        tile_rows: Avx2::TILE_ROWS,
        // SAFETY: both features were just detected.
        forward_block: |plan, block, scratch| unsafe { forward(plan, block, scratch) },
        // SAFETY: both features were just detected.
        keeping_block: |plan, block, scratch, kept| unsafe { forward_keeping(plan, block, scratch, kept) },
        // SAFETY: both features were just detected.
        backward_chunk: |plan, chunk, scratch| unsafe { backward(plan, chunk, scratch) },
    })
}

#[target_feature(enable = "avx2,fma")]
fn forward(plan: &Plan<f32>, block: ForwardBlock<f32>, scratch: &mut [Packet<f32>]) {
    block::forward::<Avx2>(plan, block, scratch);
}

#[target_feature(enable = "avx2,fma")]
fn forward_keeping(plan: &Plan<f32>, block: ForwardBlock<f32>, scratch: &mut [Packet<f32>], kept: &mut [Packet<f32>]) {
    block::forward_keeping::<Avx2>(plan, block, scratch, kept);
}

#[target_feature(enable = "avx2,fma")]
fn backward(plan: &Plan<f32>, chunk: BackwardChunk<f32>, scratch: &mut [Packet<f32>]) {
    block::backward::<Avx2>(plan, chunk, scratch);
}
