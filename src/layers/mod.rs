//! Blocks that two or more models share, and the fused operations that run them on the CPU.

pub mod attention;
pub mod cross_stack;
mod flex;
pub mod mlp;
pub mod pairwise;
pub mod parameters;
