//! The numbers of the fields' attention on the CPU: one row of the batch after the other, and its gradients.
//!
//! A row's projections and scores stay in the cache and are computed again on the way back, so that nothing of the size of a
//! pair of fields stands in memory. Rows run in parallel; weight gradients are summed by chunks of rows that depend on the batch
//! alone, then in order, so that results have the same bits whatever the number of threads.
//!
//! `plan.rs` holds what rows share, `forward.rs` and `backward.rs` their passes, `products.rs` the products of matrices.

mod backward;
mod compiled;
mod forward;
mod plan;
mod products;
#[cfg(test)]
mod tests;

use std::sync::LazyLock;

use rayon::prelude::*;

use self::{
    backward::{BackwardChunk, backward_packets},
    forward::{ForwardRows, forward_packets},
    plan::{Plan, TASK_ROWS},
};
use crate::layers::lanes::{Packet, Plain, Real, add_chunks};

/// The attention's weights, row-major.
#[derive(Clone, Copy, Debug)]
pub struct Weights<'a, T = f32> {
    /// `W_Q`: `[dim, heads * head_dim]`, as the others.
    pub query: &'a [T],
    pub key: &'a [T],
    pub value: &'a [T],
    pub residual: &'a [T],
    pub dim: usize,
    pub heads: usize,
    pub head_dim: usize,
    /// What a query's product with a key is multiplied by.
    pub scale: T,
}

impl<T> Weights<'_, T> {
    /// The batch that `vectors` are; panics where lengths don't fit.
    fn check(&self, vectors: &[T], fields: usize) -> usize {
        let Self { dim, heads, head_dim, .. } = *self;
        assert!(
            fields > 0 && dim > 0 && heads > 0 && head_dim > 0,
            "expected sizes above 0, found {fields}, {dim}, {heads}, {head_dim}"
        );
        for (name, weight) in
            [("query", self.query), ("key", self.key), ("value", self.value), ("residual", self.residual)]
        {
            assert_eq!(weight.len(), dim * heads * head_dim, "the {name}'s weight is [{dim}, {heads} * {head_dim}]");
        }
        assert_eq!(vectors.len() % (fields * dim), 0, "vectors are [batch, {fields}, {dim}]");
        vectors.len() / (fields * dim)
    }
}

/// Gradients of the operation's inputs, shaped as these.
#[derive(Clone, Debug, PartialEq)]
pub struct Gradients<T = f32> {
    /// `[batch, fields, dim]`
    pub vectors: Vec<T>,
    /// `[dim, heads * head_dim]`, as the others.
    pub query: Vec<T>,
    pub key: Vec<T>,
    pub value: Vec<T>,
    pub residual: Vec<T>,
}

/// `relu(concat_h(softmax(scale Q_h K_hᵀ) V_h) + E W_R)`.
///
/// # Shapes
/// - vectors: `[batch, fields, dim]`
/// - returns: `[batch, fields, heads * head_dim]`
///
/// # Panics
/// If the lengths don't fit.
pub fn forward(weights: &Weights, vectors: &[f32], fields: usize) -> Vec<f32> {
    KERNELS.forward(weights, vectors, fields)
}

/// The gradients of everything that the result depends on, given the result and its gradient.
///
/// # Shapes
/// - vectors: `[batch, fields, dim]`
/// - output, gradient: `[batch, fields, heads * head_dim]`
///
/// # Panics
/// If the lengths don't fit.
pub fn backward(weights: &Weights, vectors: &[f32], fields: usize, output: &[f32], gradient: &[f32]) -> Gradients {
    KERNELS.backward(weights, vectors, fields, output, gradient)
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
    fn forward(&self, weights: &Weights<T>, vectors: &[T], fields: usize) -> Vec<T>;
    fn backward(
        &self,
        weights: &Weights<T>,
        vectors: &[T],
        fields: usize,
        output: &[T],
        gradient: &[T],
    ) -> Gradients<T>;
}

/// The passes of some rows, compiled for some instructions.
struct Kernels<T, const WIDTH: usize> {
    forward_rows: fn(&Plan<T, WIDTH>, ForwardRows<T>, &mut [Packet<T, WIDTH>]),
    backward_chunk: fn(&Plan<T, WIDTH>, BackwardChunk<T>, &mut [Packet<T, WIDTH>]),
}

impl<T: Real, const WIDTH: usize> Kernels<T, WIDTH> {
    /// Kernels that any processor of the target runs.
    fn portable() -> Self {
        Self {
            forward_rows: forward::forward::<WIDTH, Plain<T, WIDTH>>,
            backward_chunk: backward::backward::<WIDTH, Plain<T, WIDTH>>,
        }
    }
}

impl<T: Real, const WIDTH: usize> Passes<T> for Kernels<T, WIDTH> {
    fn forward(&self, weights: &Weights<T>, vectors: &[T], fields: usize) -> Vec<T> {
        let batch = weights.check(vectors, fields);
        let plan = Plan::new(weights, fields);
        let mut output = vec![T::default(); batch * plan.output_len()];
        let tasks = output.par_chunks_mut(TASK_ROWS * plan.output_len());
        tasks.zip(vectors.par_chunks(TASK_ROWS * plan.row_len())).for_each(|(output, vectors)| {
            let rows = ForwardRows { vectors, output };
            T::with_scratch(forward_packets(&plan), |scratch| (self.forward_rows)(&plan, rows, scratch));
        });
        output
    }

    fn backward(
        &self,
        weights: &Weights<T>,
        vectors: &[T],
        fields: usize,
        output: &[T],
        gradient: &[T],
    ) -> Gradients<T> {
        let batch = weights.check(vectors, fields);
        let plan = Plan::new(weights, fields);
        for (name, values) in [("output", output), ("gradient", gradient)] {
            assert_eq!(values.len(), batch * plan.output_len(), "the {name} is [{batch}, {fields}, {}]", plan.width());
        }
        let rows = plan.chunk_rows(batch);
        let mut vector_gradients = vec![T::default(); vectors.len()];
        let mut sums = vec![T::default(); batch.div_ceil(rows).max(1) * plan.weights_len()];
        let results = output.par_chunks(rows * plan.output_len()).zip(gradient.par_chunks(rows * plan.output_len()));
        let targets =
            vector_gradients.par_chunks_mut(rows * plan.row_len()).zip(sums.par_chunks_mut(plan.weights_len()));
        let inputs = vectors.par_chunks(rows * plan.row_len()).zip(results);
        inputs.zip(targets).for_each(|((vectors, (output, gradient)), (vector_gradients, sums))| {
            let chunk = BackwardChunk { vectors, output, gradient, vector_gradients, sums };
            T::with_scratch(backward_packets(&plan), |scratch| (self.backward_chunk)(&plan, chunk, scratch));
        });
        Gradients::new(vector_gradients, add_chunks(&mut sums, plan.weights_len()), weights.query.len())
    }
}

impl<T: Clone> Gradients<T> {
    /// Cuts up the gradients of all weights, in the order of [`plan::Part`].
    fn new(vectors: Vec<T>, sums: &[T], length: usize) -> Self {
        let part = |part: plan::Part| sums[part as usize * length..][..length].to_vec();
        Self {
            vectors,
            query: part(plan::Part::Query),
            key: part(plan::Part::Key),
            value: part(plan::Part::Value),
            residual: part(plan::Part::Residual),
        }
    }
}
