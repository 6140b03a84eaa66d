//! The numbers of the cross stack on the CPU: all layers as one pass over plain memory, and its gradients.
//!
//! A block of some 16 rows is laid out as `[fields, rows · dim]`, so that a layer is one product along the field axis
//! and everything stays in the processor's caches. The backward pass reads the hidden states that the forward pass kept,
//! or computes them again where they would take much memory. Blocks run in parallel; weight gradients are summed by chunks of blocks that depend on the
//! batch alone, then in order, so that results have the same bits whatever the number of threads.
//!
//! `plan.rs` holds what blocks share, `block.rs` one block's passes, `passed.rs` what it keeps, `tiles.rs` and `weight_gradient.rs` the products.

mod block;
mod compiled;
mod passed;
mod plan;
#[cfg(test)]
mod tests;
mod tiles;
mod weight_gradient;

use std::sync::LazyLock;

use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use self::{
    block::{BackwardChunk, ForwardBlock},
    passed::kept_packets,
    plan::Plan,
};
use crate::layers::lanes::{Lanes, Packet, Plain, Real, add_chunks};

/// What a layer multiplies with what.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Product {
    /// The paper's `W_C (H ⊙ H)`.
    #[default]
    Square,
    /// `H ⊙ (W_C H)`
    Gate,
    /// `H(0) ⊙ (W_C H)`
    Base,
}

/// Where a layer's ReLU stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Activation {
    /// Around the whole sum, as in the paper.
    #[default]
    Relu,
    /// Around `W_C` times its input, plus the bias; the residual stays outside.
    GateRelu,
    /// Nowhere.
    None,
}

/// The form of a layer, with `R = W_R H`:
///
/// | product | `Relu` | `GateRelu` | `None` |
/// |---|---|---|---|
/// | `Square` | `relu(W_C (H ⊙ H) + R + b)` | `relu(W_C (H ⊙ H) + b) + R` | `W_C (H ⊙ H) + R + b` |
/// | `Gate` | `relu(H ⊙ W_C H + R + b)` | `H ⊙ relu(W_C H + b) + R` | `H ⊙ W_C H + R + b` |
/// | `Base` | `relu(H(0) ⊙ W_C H + R + b)` | `H(0) ⊙ relu(W_C H + b) + R` | `H(0) ⊙ W_C H + R + b` |
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Form {
    pub product: Product,
    pub activation: Activation,
}

impl Form {
    fn is_square(self) -> bool {
        self.product == Product::Square
    }

    /// Whether the ReLU is around `W_C` times its input alone.
    fn is_gated(self) -> bool {
        self.activation == Activation::GateRelu
    }

    /// Whether product and residual can be added up in one sum.
    fn is_merged(self) -> bool {
        self.is_square() && !self.is_gated()
    }
}

/// The weights of all layers, row-major.
#[derive(Clone, Copy, Debug)]
pub struct Weights<'a, T = f32> {
    /// `W_C`: `[layers, fields, fields]`
    pub cross: &'a [T],
    /// `W_R`: `[layers, fields, fields]`
    pub residual: &'a [T],
    /// `b`: `[layers, fields]`
    pub bias: &'a [T],
    pub layers: usize,
    pub fields: usize,
}

impl<T> Weights<'_, T> {
    /// The batch that `vectors` are; panics where lengths don't fit.
    fn check(&self, vectors: &[T], dim: usize) -> usize {
        let Self { layers, fields, .. } = *self;
        assert!(layers > 0 && fields > 0 && dim > 0, "expected sizes above 0, found {layers}, {fields}, {dim}");
        assert_eq!(self.cross.len(), layers * fields * fields, "cross weights are [layers, fields, fields]");
        assert_eq!(self.residual.len(), layers * fields * fields, "residual weights are [layers, fields, fields]");
        assert_eq!(self.bias.len(), layers * fields, "biases are [layers, fields]");
        assert_eq!(vectors.len() % (fields * dim), 0, "vectors are [batch, {fields}, {dim}]");
        vectors.len() / (fields * dim)
    }
}

/// Gradients of a stack's inputs, shaped as these.
#[derive(Clone, Debug, PartialEq)]
pub struct Gradients<T = f32> {
    /// `[batch, fields, dim]`
    pub vectors: Vec<T>,
    /// `[layers, fields, fields]`
    pub cross: Vec<T>,
    /// `[layers, fields, fields]`
    pub residual: Vec<T>,
    /// `[layers, fields]`
    pub bias: Vec<T>,
}

/// The most that [`forward_keeping`] keeps: 8,000 rows of 39 fields of dim 16 in three layers, half as many where sums are separate.
const KEPT_BYTES: usize = 64 << 20;

/// Hidden states of a forward pass for the backward pass, block by block, or nothing. Its memory serves the next step.
#[derive(Debug)]
#[expect(private_bounds, reason = "numbers of 32 bits, and of 64 in tests")]
pub struct Kept<T: Real = f32>(Vec<Vec<T>>);

#[expect(private_bounds, reason = "numbers of 32 bits, and of 64 in tests")]
impl<T: Real> Kept<T> {
    /// Nothing: the backward pass computes the states again.
    pub const NOTHING: Self = Self(Vec::new());
}

impl<T: Real> Drop for Kept<T> {
    /// Fresh memory would be cleared by the system at every step.
    fn drop(&mut self) {
        let mut spare = T::spare();
        let bytes = |blocks: &[Vec<T>]| blocks.iter().map(|block| size_of_val(&block[..])).sum::<usize>();
        if bytes(&spare) + bytes(&self.0) <= KEPT_BYTES {
            spare.append(&mut self.0);
        }
    }
}

/// A buffer of so many numbers, holding anything.
fn buffer<T: Real>(length: usize) -> Vec<T> {
    let spare = T::spare().pop();
    spare.filter(|spare| spare.len() == length).unwrap_or_else(|| vec![T::default(); length])
}

/// Runs the stack; `pooled` sums the result over the fields.
///
/// # Shapes
/// - vectors: `[batch, fields, dim]`
/// - output: `[batch, dim]` when pooled, else `[batch, fields, dim]`
///
/// # Panics
/// If the lengths don't fit these shapes.
pub fn forward(form: Form, weights: &Weights, vectors: &[f32], dim: usize, pooled: bool, output: &mut [f32]) {
    KERNELS.forward(form, weights, vectors, dim, pooled, output);
}

/// As [`forward`], and returns what spares [`backward`] a third of its work: 8 KB a row of 39 fields of dim 16 in three
/// layers, twice that where sums are separate. Nothing is kept where that would be more than 64 MiB.
///
/// # Panics
/// If the lengths don't fit the shapes of [`forward`].
pub fn forward_keeping(
    form: Form,
    weights: &Weights,
    vectors: &[f32],
    dim: usize,
    pooled: bool,
    output: &mut [f32],
) -> Kept {
    KERNELS.forward_keeping(form, weights, vectors, dim, pooled, output, KEPT_BYTES)
}

/// The gradients of everything that the output depends on, given the gradient of the output.
///
/// # Shapes
/// - vectors: `[batch, fields, dim]`
/// - kept: of the forward pass with the same arguments, or [`Kept::NOTHING`]
/// - gradient: as the output of [`forward`]
///
/// # Panics
/// If the lengths don't fit these shapes.
pub fn backward(
    form: Form,
    weights: &Weights,
    vectors: &[f32],
    dim: usize,
    pooled: bool,
    kept: &Kept,
    gradient: &[f32],
) -> Gradients {
    KERNELS.backward(form, weights, vectors, dim, pooled, kept, gradient)
}

/// The fastest kernels that this processor runs.
static KERNELS: LazyLock<Box<dyn Passes>> = LazyLock::new(|| all_kernels().swap_remove(0));

/// All kernels that this processor runs, the fastest first.
fn all_kernels() -> Vec<Box<dyn Passes>> {
    let portable: Box<dyn Passes> = Box::new(Kernels::<f32, 8>::portable());
    compiled::kernels().chain([portable]).collect()
}

/// The stack's passes, whatever the width of the vectors.
trait Passes<T: Real = f32>: Send + Sync {
    fn forward(&self, form: Form, weights: &Weights<T>, vectors: &[T], dim: usize, pooled: bool, output: &mut [T]);
    /// Keeps nothing where that would be more than `most_bytes`.
    #[expect(clippy::too_many_arguments, reason = "a forward pass and a bound")]
    fn forward_keeping(
        &self,
        form: Form,
        weights: &Weights<T>,
        vectors: &[T],
        dim: usize,
        pooled: bool,
        output: &mut [T],
        most_bytes: usize,
    ) -> Kept<T>;
    #[expect(clippy::too_many_arguments, reason = "a forward pass, what it kept, and the gradient of its output")]
    fn backward(
        &self,
        form: Form,
        weights: &Weights<T>,
        vectors: &[T],
        dim: usize,
        pooled: bool,
        kept: &Kept<T>,
        gradient: &[T],
    ) -> Gradients<T>;
}

/// A block's forward pass that leaves in its last argument what the backward pass would else compute again.
type KeepingBlock<T, const WIDTH: usize> = fn(&Plan<T, WIDTH>, ForwardBlock<T>, &mut [Packet<T, WIDTH>], &mut [T]);

/// One block's forward pass and one chunk's backward pass, compiled for some instructions.
struct Kernels<T, const WIDTH: usize> {
    /// [`Lanes::TILE_ROWS`] of these instructions.
    tile_rows: usize,
    forward_block: fn(&Plan<T, WIDTH>, ForwardBlock<T>, &mut [Packet<T, WIDTH>]),
    keeping_block: KeepingBlock<T, WIDTH>,
    backward_chunk: fn(&Plan<T, WIDTH>, BackwardChunk<T>, &mut [Packet<T, WIDTH>]),
}

impl<T: Real, const WIDTH: usize> Kernels<T, WIDTH> {
    /// Kernels that any processor of the target runs.
    fn portable() -> Self {
        Self {
            tile_rows: Plain::<T, WIDTH>::TILE_ROWS,
            forward_block: block::forward::<WIDTH, Plain<T, WIDTH>>,
            keeping_block: block::forward_keeping::<WIDTH, Plain<T, WIDTH>>,
            backward_chunk: block::backward::<WIDTH, Plain<T, WIDTH>>,
        }
    }
}

impl<T: Real, const WIDTH: usize> Passes<T> for Kernels<T, WIDTH> {
    fn forward(&self, form: Form, weights: &Weights<T>, vectors: &[T], dim: usize, pooled: bool, output: &mut [T]) {
        let batch = weights.check(vectors, dim);
        let plan = Plan::new(form, weights, [batch, dim], pooled, self.tile_rows);
        assert_eq!(output.len(), batch * plan.output_len(), "the output has {} numbers a row", plan.output_len());
        let blocks = output.par_chunks_mut(plan.block_rows * plan.output_len());
        blocks.zip(vectors.par_chunks(plan.block_rows * plan.row_len())).for_each(|(output, vectors)| {
            T::with_scratch(block::forward_packets(&plan), |scratch| {
                (self.forward_block)(&plan, ForwardBlock { vectors, output }, scratch);
            });
        });
    }

    fn forward_keeping(
        &self,
        form: Form,
        weights: &Weights<T>,
        vectors: &[T],
        dim: usize,
        pooled: bool,
        output: &mut [T],
        most_bytes: usize,
    ) -> Kept<T> {
        let batch = weights.check(vectors, dim);
        let plan = Plan::new(form, weights, [batch, dim], pooled, self.tile_rows);
        let blocks = batch.div_ceil(plan.block_rows);
        if blocks * kept_packets(&plan) * size_of::<Packet<T, WIDTH>>() > most_bytes {
            self.forward(form, weights, vectors, dim, pooled, output);
            return Kept::NOTHING;
        }
        assert_eq!(output.len(), batch * plan.output_len(), "the output has {} numbers a row", plan.output_len());
        let blocks = output.par_chunks_mut(plan.block_rows * plan.output_len());
        let blocks = blocks.zip(vectors.par_chunks(plan.block_rows * plan.row_len())).map(|(output, vectors)| {
            let mut kept = buffer(WIDTH * kept_packets(&plan));
            T::with_scratch(block::keeping_packets(&plan), |scratch| {
                (self.keeping_block)(&plan, ForwardBlock { vectors, output }, scratch, &mut kept);
            });
            kept
        });
        Kept(blocks.collect())
    }

    fn backward(
        &self,
        form: Form,
        weights: &Weights<T>,
        vectors: &[T],
        dim: usize,
        pooled: bool,
        kept: &Kept<T>,
        gradient: &[T],
    ) -> Gradients<T> {
        let batch = weights.check(vectors, dim);
        let plan = Plan::new(form, weights, [batch, dim], pooled, self.tile_rows).with_backward(weights);
        let expected = batch * plan.output_len();
        assert_eq!(gradient.len(), expected, "the gradient is shaped as the output");
        let kept = &kept.0;
        let is_of_this_pass = kept.len() == batch.div_ceil(plan.block_rows)
            && kept.iter().all(|block| block.len() == WIDTH * kept_packets(&plan));
        assert!(kept.is_empty() || is_of_this_pass, "what was kept is of a pass of this shape");
        let rows = plan.chunk_rows(batch);
        let chunk_blocks = rows / plan.block_rows;
        let mut vector_gradients = vec![T::default(); vectors.len()];
        let mut sums = vec![T::default(); batch.div_ceil(rows).max(1) * plan.weights_len()];
        let inputs = vectors.par_chunks(rows * plan.row_len()).zip(gradient.par_chunks(rows * plan.output_len()));
        let targets =
            vector_gradients.par_chunks_mut(rows * plan.row_len()).zip(sums.par_chunks_mut(plan.weights_len()));
        inputs.zip(targets).enumerate().for_each(|(index, ((vectors, gradient), (vector_gradients, sums)))| {
            let kept = kept.chunks(chunk_blocks).nth(index).unwrap_or(&[]);
            let chunk = BackwardChunk { vectors, kept, gradient, vector_gradients, sums };
            T::with_scratch(block::backward_packets(&plan), |scratch| {
                (self.backward_chunk)(&plan, chunk, scratch);
            });
        });
        Gradients::new(vector_gradients, add_chunks(&mut sums, plan.weights_len()), weights)
    }
}

impl<T: Clone> Gradients<T> {
    /// Cuts up the gradients of all weights.
    fn new(vectors: Vec<T>, sums: &[T], weights: &Weights<T>) -> Self {
        let (cross, rest) = sums.split_at(weights.cross.len());
        let (residual, bias) = rest.split_at(weights.residual.len());
        Self { vectors, cross: cross.to_vec(), residual: residual.to_vec(), bias: bias.to_vec() }
    }
}
