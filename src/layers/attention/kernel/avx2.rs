//! The passes compiled for AVX2 and FMA of x86-64.

#![expect(unsafe_code, reason = "instructions outside of the baseline: benches/layers.rs measures what they bring")]

use super::{
    Kernels,
    backward::{self, BackwardChunk},
    forward::{ForwardRows, forward as forward_rows},
    plan::Plan,
};
use crate::layers::lanes::{Packet, avx2::Avx2};

/// The kernels, if this processor has the instructions.
pub(super) fn kernels() -> Option<Kernels<f32>> {
    (is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma")).then_some(Kernels {
        // SAFETY: both features were just detected.
        forward_rows: |plan, rows, scratch| unsafe { forward(plan, rows, scratch) },
        // SAFETY: both features were just detected.
        backward_chunk: |plan, chunk, scratch| unsafe { backward(plan, chunk, scratch) },
    })
}

#[target_feature(enable = "avx2,fma")]
fn forward(plan: &Plan<f32>, rows: ForwardRows<f32>, scratch: &mut [Packet<f32>]) {
    forward_rows::<Avx2>(plan, rows, scratch);
}

#[target_feature(enable = "avx2,fma")]
fn backward(plan: &Plan<f32>, chunk: BackwardChunk<f32>, scratch: &mut [Packet<f32>]) {
    backward::backward::<Avx2>(plan, chunk, scratch);
}
