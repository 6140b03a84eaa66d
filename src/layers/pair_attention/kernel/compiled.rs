//! The passes compiled for more instructions than every processor of the target has.

#![cfg_attr(not(target_arch = "x86_64"), expect(unused_imports, reason = "there is nothing to compile for"))]

use super::{
    Kernels, Passes,
    backward::{self, BackwardChunk},
    forward::{self, ForwardBlock},
    plan::Plan,
};
use crate::layers::lanes::{Packet, compile};

compile! {
    Kernels {
        fn forward_block(plan: &Plan<f32, WIDTH>, block: ForwardBlock<f32>, scratch: &mut [Packet<f32, WIDTH>]) =
            forward::forward::<WIDTH, L>(plan, block, scratch);
        fn backward_chunk(plan: &Plan<f32, WIDTH>, chunk: BackwardChunk<f32>, scratch: &mut [Packet<f32, WIDTH>]) =
            backward::backward::<WIDTH, L>(plan, chunk, scratch);
    }
}
