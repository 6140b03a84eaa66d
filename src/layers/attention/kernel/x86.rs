//! The passes compiled for AVX2 and for AVX-512 of x86-64.

#![expect(unsafe_code, reason = "instructions outside of the baseline: benches/layers.rs measures what they bring")]

use super::{
    Kernels, Passes,
    backward::{self, BackwardChunk},
    forward::{self, ForwardRows},
    plan::Plan,
};
use crate::layers::lanes::{Packet, x86::compile_for_x86};

compile_for_x86! {
    Kernels {
        fn forward_rows(plan: &Plan<f32, W>, rows: ForwardRows<f32>, scratch: &mut [Packet<f32, W>]) =
            forward::forward::<W, L>(plan, rows, scratch);
        fn backward_chunk(plan: &Plan<f32, W>, chunk: BackwardChunk<f32>, scratch: &mut [Packet<f32, W>]) =
            backward::backward::<W, L>(plan, chunk, scratch);
    }
}
