//! Blocks that two or more models share, and the fused operations that run them on the CPU.

pub mod attention;
pub mod batch_norm;
pub mod cin;
pub mod cross_network;
pub mod cross_stack;
pub mod hidden;
mod lanes;
pub mod layer_norm;
pub mod mlp;
pub mod pair_attention;
pub mod pairwise;
pub mod parameters;
