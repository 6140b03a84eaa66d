//! The numbers of the pairs' attention on the CPU: one pass over the pairs of a few rows at a time, and its gradients.
//!
//! A row is a lane of the vectors, so that no sum crosses lanes and the matrix stays in the first cache. Of the forward
//! pass a row keeps the pooled vector and its softmax's largest score and sum; the backward pass recomputes the rest.
//! Blocks run in parallel; weight gradients are summed by chunks of blocks that depend on the batch alone, then in order,
//! so that results have the same bits whatever the number of threads.
//!
//! `plan.rs` holds what blocks share, `forward.rs` and `backward.rs` their passes, `tiles.rs` the products.

mod backward;
mod compiled;
mod forward;
mod plan;
#[cfg(test)]
mod tests;
mod tiles;

use std::sync::LazyLock;

use rayon::prelude::*;

use self::{
    backward::{BackwardChunk, backward_packets},
    forward::{ForwardBlock, forward_packets},
    plan::Plan,
};
use crate::layers::lanes::{Packet, Plain, Real, add_chunks};

/// The attention's weights, row-major.
#[derive(Clone, Copy, Debug)]
pub struct Weights<'a, T = f32> {
    /// `W`: `[dim, hidden]`
    pub weight: &'a [T],
    /// `c`: `[hidden]`
    pub bias: &'a [T],
    /// `h`: `[hidden, 1]`
    pub head: &'a [T],
    pub dim: usize,
    pub hidden: usize,
}

impl<T> Weights<'_, T> {
    /// The batch that `vectors` are; panics where lengths don't fit.
    fn check(&self, vectors: &[T], fields: usize) -> usize {
        let Self { dim, hidden, .. } = *self;
        assert!(
            fields > 1 && dim > 0 && hidden > 0,
            "expected a pair of fields, found sizes {fields}, {dim}, {hidden}"
        );
        assert_eq!(self.weight.len(), dim * hidden, "the weight is [{dim}, {hidden}]");
        assert_eq!(self.bias.len(), hidden, "the bias is [{hidden}]");
        assert_eq!(self.head.len(), hidden, "the head is [{hidden}, 1]");
        assert_eq!(vectors.len() % (fields * dim), 0, "vectors are [batch, {fields}, {dim}]");
        vectors.len() / (fields * dim)
    }
}

/// The result of a forward pass, and what a backward pass needs of it.
#[derive(Clone, Debug, PartialEq)]
pub struct Attended<T = f32> {
    /// `[batch, dim]`
    pub pooled: Vec<T>,
    /// The softmax's largest score and its sum of `e^(score - largest)`: `[batch, 2]`.
    pub statistics: Vec<T>,
}

/// [`Attended`], borrowed.
#[derive(Clone, Copy, Debug)]
pub struct Kept<'a, T = f32> {
    /// `[batch, dim]`
    pub pooled: &'a [T],
    /// `[batch, 2]`
    pub statistics: &'a [T],
}

/// Gradients of the operation's inputs, shaped as these.
#[derive(Clone, Debug, PartialEq)]
pub struct Gradients<T = f32> {
    /// `[batch, fields, dim]`
    pub vectors: Vec<T>,
    /// `[dim, hidden]`
    pub weight: Vec<T>,
    /// `[hidden]`
    pub bias: Vec<T>,
    /// `[hidden, 1]`
    pub head: Vec<T>,
}

/// Pools the products of all pairs by their attention.
///
/// # Shapes
/// - vectors: `[batch, fields, dim]`
///
/// # Panics
/// If the lengths don't fit, or there are fewer than two fields.
pub fn forward(weights: &Weights, vectors: &[f32], fields: usize) -> Attended {
    KERNELS.forward(weights, vectors, fields)
}

/// The gradients of everything that the pooled vectors depend on, given theirs.
///
/// # Shapes
/// - vectors: `[batch, fields, dim]`
/// - gradient: `[batch, dim]`
///
/// # Panics
/// If the lengths don't fit, or there are fewer than two fields.
pub fn backward(weights: &Weights, vectors: &[f32], fields: usize, kept: Kept, gradient: &[f32]) -> Gradients {
    KERNELS.backward(weights, vectors, fields, kept, gradient)
}

/// The fastest kernels that this processor runs.
static KERNELS: LazyLock<Box<dyn Passes>> = LazyLock::new(|| all_kernels().swap_remove(0));

/// All kernels that this processor runs, the fastest first.
fn all_kernels() -> Vec<Box<dyn Passes>> {
    let portable: Box<dyn Passes> = Box::new(Kernels::<f32, 8>::portable());
    compiled::kernels().chain([portable]).collect()
}

/// The operation's passes, whatever the width of the vectors.
trait Passes<T = f32>: Send + Sync {
    fn forward(&self, weights: &Weights<T>, vectors: &[T], fields: usize) -> Attended<T>;
    fn backward(
        &self,
        weights: &Weights<T>,
        vectors: &[T],
        fields: usize,
        kept: Kept<T>,
        gradient: &[T],
    ) -> Gradients<T>;
}

/// One block's forward pass and one chunk's backward pass, compiled for some instructions.
struct Kernels<T, const WIDTH: usize> {
    forward_block: fn(&Plan<T, WIDTH>, ForwardBlock<T>, &mut [Packet<T, WIDTH>]),
    backward_chunk: fn(&Plan<T, WIDTH>, BackwardChunk<T>, &mut [Packet<T, WIDTH>]),
}

impl<T: Real, const WIDTH: usize> Kernels<T, WIDTH> {
    /// Kernels that any processor of the target runs.
    fn portable() -> Self {
        Self {
            forward_block: forward::forward::<WIDTH, Plain<T, WIDTH>>,
            backward_chunk: backward::backward::<WIDTH, Plain<T, WIDTH>>,
        }
    }
}

impl<T: Real, const WIDTH: usize> Passes<T> for Kernels<T, WIDTH> {
    fn forward(&self, weights: &Weights<T>, vectors: &[T], fields: usize) -> Attended<T> {
        let batch = weights.check(vectors, fields);
        let plan = Plan::new(weights, fields);
        let mut attended =
            Attended { pooled: vec![T::default(); batch * plan.dim], statistics: vec![T::default(); batch * 2] };
        let results =
            attended.pooled.par_chunks_mut(WIDTH * plan.dim).zip(attended.statistics.par_chunks_mut(WIDTH * 2));
        results.zip(vectors.par_chunks(WIDTH * plan.row_len())).for_each(|((pooled, statistics), vectors)| {
            T::with_scratch(forward_packets(&plan), |scratch| {
                (self.forward_block)(&plan, ForwardBlock { vectors, pooled, statistics }, scratch);
            });
        });
        attended
    }

    fn backward(
        &self,
        weights: &Weights<T>,
        vectors: &[T],
        fields: usize,
        kept: Kept<T>,
        gradient: &[T],
    ) -> Gradients<T> {
        let batch = weights.check(vectors, fields);
        let plan = Plan::new(weights, fields);
        assert_eq!(gradient.len(), batch * plan.dim, "the gradient is [{batch}, {}]", plan.dim);
        assert_eq!(kept.pooled.len(), batch * plan.dim, "the pooled vectors are [{batch}, {}]", plan.dim);
        assert_eq!(kept.statistics.len(), batch * 2, "the statistics are [{batch}, 2]");
        let rows = Plan::<T, WIDTH>::chunk_rows(batch);
        let mut vector_gradients = vec![T::default(); vectors.len()];
        let mut sums = vec![T::default(); batch.div_ceil(rows).max(1) * plan.weights_len()];
        let kept = kept.pooled.par_chunks(rows * plan.dim).zip(kept.statistics.par_chunks(rows * 2));
        let inputs = vectors.par_chunks(rows * plan.row_len()).zip(gradient.par_chunks(rows * plan.dim)).zip(kept);
        let targets =
            vector_gradients.par_chunks_mut(rows * plan.row_len()).zip(sums.par_chunks_mut(plan.weights_len()));
        inputs.zip(targets).for_each(|(((vectors, gradient), (pooled, statistics)), (vector_gradients, sums))| {
            let chunk = BackwardChunk { vectors, pooled, statistics, gradient, vector_gradients, sums };
            T::with_scratch(backward_packets(&plan), |scratch| (self.backward_chunk)(&plan, chunk, scratch));
        });
        Gradients::new(vector_gradients, add_chunks(&mut sums, plan.weights_len()), weights)
    }
}

impl<T: Clone> Gradients<T> {
    /// Cuts up the gradients of all weights.
    fn new(vectors: Vec<T>, sums: &[T], weights: &Weights<T>) -> Self {
        let (weight, rest) = sums.split_at(weights.weight.len());
        let (bias, head) = rest.split_at(weights.hidden);
        Self { vectors, weight: weight.to_vec(), bias: bias.to_vec(), head: head.to_vec() }
    }
}
