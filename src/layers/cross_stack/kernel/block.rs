//! One block's passes through all layers: some rows of the batch as `[fields, columns]`, a column being a row's dim.
//!
//! Columns are padded to whole tiles with copies of the last one: finite wherever the batch is, and without influence,
//! because their outputs are not read and their gradients are zero.

#![expect(clippy::inline_always, reason = "inlined into functions that may use more instructions, see layers/lanes")]

use std::{array, mem};

use super::{
    Activation, Product,
    passed::{Passed, kept_packets, pass_layers},
    plan::{Plan, packets},
    tiles::{self, ForwardLayer, InputGradient},
    weight_gradient::{WeightGradient, weight_gradient},
};
use crate::layers::lanes::{Lanes, Packet, Real};

/// Some rows of a batch and where their output goes.
pub(super) struct ForwardBlock<'a, T> {
    pub(super) vectors: &'a [T],
    pub(super) output: &'a mut [T],
}

/// The rows of some blocks, the gradient of their output, and where theirs go.
pub(super) struct BackwardChunk<'a, T> {
    pub(super) vectors: &'a [T],
    /// What [`forward_keeping`] left of each block; empty where it is to be computed again.
    pub(super) kept: &'a [Vec<T>],
    pub(super) gradient: &'a [T],
    pub(super) vector_gradients: &'a mut [T],
    /// Sums over the chunk: `W_C` of all layers, `W_R`, bias; zero at the start.
    pub(super) sums: &'a mut [T],
}

/// Scratch memory of [`forward`].
pub(super) fn forward_packets<T: Real, const WIDTH: usize>(plan: &Plan<T, WIDTH>) -> usize {
    4 * plan.state_packets()
}

/// Scratch memory of [`forward_keeping`].
pub(super) fn keeping_packets<T: Real, const WIDTH: usize>(plan: &Plan<T, WIDTH>) -> usize {
    2 * plan.state_packets()
}

/// Scratch memory of [`backward`].
pub(super) fn backward_packets<T: Real, const WIDTH: usize>(plan: &Plan<T, WIDTH>) -> usize {
    5 * plan.state_packets() + kept_packets(plan)
}

/// Runs a block through the layers.
#[inline(always)]
pub(super) fn forward<const WIDTH: usize, L: Lanes<WIDTH>>(
    plan: &Plan<L::Real, WIDTH>,
    block: ForwardBlock<L::Real>,
    scratch: &mut [Packet<L::Real, WIDTH>],
) {
    let ForwardBlock { vectors, output } = block;
    let columns = vectors.len() / plan.fields;
    let [start, mut hidden, mut next, gate] = split(scratch, plan.state_packets());
    load(plan, vectors, start);
    forward_layer::<WIDTH, L>(plan, 0, columns, [start, start], [hidden, gate]);
    for layer in 1..plan.layers {
        forward_layer::<WIDTH, L>(plan, layer, columns, [hidden, start], [next, gate]);
        mem::swap(&mut hidden, &mut next);
    }
    finish_forward::<WIDTH, L>(plan, hidden, gate, output);
}

/// Does the same and leaves in `kept` what [`backward`] would otherwise compute again.
#[inline(always)]
pub(super) fn forward_keeping<const WIDTH: usize, L: Lanes<WIDTH>>(
    plan: &Plan<L::Real, WIDTH>,
    block: ForwardBlock<L::Real>,
    scratch: &mut [Packet<L::Real, WIDTH>],
    kept: &mut [L::Real],
) {
    let ForwardBlock { vectors, output } = block;
    let (kept, _) = kept.as_chunks_mut();
    let [start, free] = split(scratch, plan.state_packets());
    load(plan, vectors, start);
    pass_layers::<WIDTH, L>(plan, vectors.len() / plan.fields, start, kept);
    finish_forward::<WIDTH, L>(plan, Passed::new(plan, start, kept).output(plan.layers - 1), free, output);
}

/// The output of the last hidden state; `free` is overwritten.
#[inline(always)]
fn finish_forward<const WIDTH: usize, L: Lanes<WIDTH>>(
    plan: &Plan<L::Real, WIDTH>,
    hidden: &[Packet<L::Real, WIDTH>],
    free: &mut [Packet<L::Real, WIDTH>],
    output: &mut [L::Real],
) {
    if plan.pooled {
        let columns = output.len();
        pool::<WIDTH, L>(plan, hidden, &mut free[..packets::<WIDTH>(columns)]);
        copy(output, &free.as_flattened()[..columns]);
    } else {
        store(plan, hidden, output);
    }
}

/// Runs the blocks of a chunk through the layers and back.
#[inline(always)]
pub(super) fn backward<const WIDTH: usize, L: Lanes<WIDTH>>(
    plan: &Plan<L::Real, WIDTH>,
    chunk: BackwardChunk<L::Real>,
    scratch: &mut [Packet<L::Real, WIDTH>],
) {
    let BackwardChunk { vectors, kept, gradient, vector_gradients, sums } = chunk;
    let block_len = plan.block_rows * plan.row_len();
    let inputs = vectors.chunks(block_len).zip(gradient.chunks(plan.block_rows * plan.output_len()));
    for (index, ((vectors, gradient), target)) in inputs.zip(vector_gradients.chunks_mut(block_len)).enumerate() {
        let kept = kept.get(index).map(|kept| kept.as_chunks().0);
        let mut block = BackwardBlock::new::<L>(plan, vectors, kept, scratch);
        block.load_gradient(gradient);
        for layer in (0..plan.layers).rev() {
            block.step::<L>(layer, sums);
        }
        block.finish::<L>(target);
    }
}

/// One layer from `[hidden, start]` to `[output, gate]`.
#[inline(always)]
pub(super) fn forward_layer<const WIDTH: usize, L: Lanes<WIDTH>>(
    plan: &Plan<L::Real, WIDTH>,
    layer: usize,
    columns: usize,
    [input, start]: [&[Packet<L::Real, WIDTH>]; 2],
    [output, gate]: [&mut [Packet<L::Real, WIDTH>]; 2],
) {
    tiles::forward::<WIDTH, L>(
        ForwardLayer {
            form: plan.form,
            stride: plan.stride,
            packets: packets::<WIDTH>(columns),
            weights: plan.forward.layer(layer),
            bias: plan.layer_bias(layer),
            input,
            start,
            output,
            gate,
        },
        &plan.forward.tiles,
    );
}

/// A block on its way back. Every buffer is `[fields, stride]` packets.
struct BackwardBlock<'a, T, const WIDTH: usize> {
    plan: &'a Plan<'a, T, WIDTH>,
    columns: usize,
    passed: Passed<'a, T, WIDTH>,
    /// Gradient of the layer's output, then of its residual.
    gradient: &'a mut [Packet<T, WIDTH>],
    /// Gradient of `W_C` times the layer's input.
    cross: &'a mut [Packet<T, WIDTH>],
    /// Gradient of the layer's input.
    next: &'a mut [Packet<T, WIDTH>],
    /// Gradient of `H(0)` through the products of [`Product::Base`].
    start: &'a mut [Packet<T, WIDTH>],
}

impl<'a, T: Real, const WIDTH: usize> BackwardBlock<'a, T, WIDTH> {
    /// A block with what was kept of its forward pass, or what that pass gives now.
    #[inline(always)]
    fn new<L: Lanes<WIDTH, Real = T>>(
        plan: &'a Plan<'a, T, WIDTH>,
        vectors: &[T],
        kept: Option<&'a [Packet<T, WIDTH>]>,
        scratch: &'a mut [Packet<T, WIDTH>],
    ) -> Self {
        let columns = vectors.len() / plan.fields;
        let (buffers, computed) = scratch.split_at_mut(5 * plan.state_packets());
        let [input, gradient, cross, next, start] = split(buffers, plan.state_packets());
        load(plan, vectors, input);
        if plan.form.product == Product::Base {
            start.as_flattened_mut().fill(T::default());
        }
        // not in a closure, which would be compiled without the instructions of the function around it
        let passed = if let Some(kept) = kept {
            kept
        } else {
            pass_layers::<WIDTH, L>(plan, columns, input, computed);
            computed
        };
        Self { plan, columns, passed: Passed::new(plan, input, passed), gradient, cross, next, start }
    }

    /// Spreads the output's gradient to the fields; padding has none.
    fn load_gradient(&mut self, gradient: &[T]) {
        if !self.plan.pooled {
            load(self.plan, gradient, self.gradient);
        }
        for field in self.gradient.chunks_exact_mut(self.plan.stride) {
            let field = field.as_flattened_mut();
            if self.plan.pooled {
                copy(&mut field[..self.columns], gradient);
            }
            field[self.columns..].fill(T::default());
        }
    }

    /// Turns the gradient of `H(layer + 1)` into that of `H(layer)` and adds those of the layer's weights to `sums`.
    #[inline(always)]
    fn step<L: Lanes<WIDTH, Real = T>>(&mut self, layer: usize, sums: &mut [T]) {
        let (fields, layers) = (self.plan.fields, self.plan.layers);
        let (cross_sums, rest) = sums.split_at_mut(layers * fields * fields);
        let (residual_sums, bias_sums) = rest.split_at_mut(layers * fields * fields);
        let matrix = layer * fields * fields..(layer + 1) * fields * fields;
        self.pass_activation::<L>(layer, &mut bias_sums[layer * fields..][..fields]);
        self.add_weight_gradients::<L>(layer, &mut cross_sums[matrix.clone()], &mut residual_sums[matrix]);
        self.pass_products::<L>(layer);
        mem::swap(&mut self.gradient, &mut self.next);
    }

    /// Turns the gradient of a layer's output into those of its two sums, and adds up that of its bias.
    #[inline(always)]
    fn pass_activation<L: Lanes<WIDTH, Real = T>>(&mut self, layer: usize, bias_sums: &mut [T]) {
        let (form, stride) = (self.plan.form, self.plan.stride);
        let count = packets::<WIDTH>(self.columns);
        let (input, output, gate) = (self.passed.input(layer), self.passed.output(layer), self.passed.gate(layer));
        let start = self.passed.start;
        for (field, bias_sum) in bias_sums.iter_mut().enumerate() {
            let zero = L::splat(T::default());
            let mut bias = zero;
            for at in field * stride..field * stride + count {
                let mut residual = L::load(&self.gradient[at]);
                if form.activation == Activation::Relu {
                    residual = residual.where_positive(L::load(&output[at]));
                    residual.store(&mut self.gradient[at]);
                }
                let mut cross = residual;
                if !form.is_merged() {
                    let gate = L::load(&gate[at]);
                    match form.product {
                        Product::Square => {}
                        Product::Gate => cross = cross.times(L::load(&input[at])),
                        Product::Base => {
                            cross = cross.times(L::load(&start[at]));
                            L::load(&self.start[at]).plus_product(residual, gate).store(&mut self.start[at]);
                        }
                    }
                    if form.is_gated() {
                        cross = cross.where_positive(gate);
                    }
                    cross.store(&mut self.cross[at]);
                }
                bias = bias.plus(if form.is_gated() { cross } else { residual });
            }
            let [sum, ..] = L::sums([bias, zero, zero, zero]);
            *bias_sum += sum;
        }
    }

    #[inline(always)]
    fn add_weight_gradients<L: Lanes<WIDTH, Real = T>>(
        &self,
        layer: usize,
        cross_sums: &mut [T],
        residual_sums: &mut [T],
    ) {
        let plan = self.plan;
        let pass = WeightGradient {
            stride: plan.stride,
            packets: packets::<WIDTH>(self.columns),
            input: self.passed.input(layer),
            cross: if plan.form.is_merged() { self.gradient } else { self.cross },
            residual: self.gradient,
            cross_sums,
            residual_sums,
        };
        weight_gradient::<WIDTH, L>(plan.form, pass, plan.fields, plan.tile_rows);
    }

    /// Turns the gradients of a layer's two sums into that of its input.
    #[inline(always)]
    fn pass_products<L: Lanes<WIDTH, Real = T>>(&mut self, layer: usize) {
        let plan = self.plan;
        let pass = InputGradient {
            form: plan.form,
            stride: plan.stride,
            packets: packets::<WIDTH>(self.columns),
            weights: plan.backward.layer(layer),
            input: self.passed.input(layer),
            gate: self.passed.gate(layer),
            cross: if plan.form.is_merged() { self.gradient } else { self.cross },
            residual: self.gradient,
            output: self.next,
        };
        tiles::input_gradient::<WIDTH, L>(pass, &plan.backward.tiles);
    }

    /// Writes the gradient of `H(0)`.
    #[inline(always)]
    fn finish<L: Lanes<WIDTH, Real = T>>(&mut self, target: &mut [T]) {
        if self.plan.form.product == Product::Base {
            for (gradient, start) in self.gradient.iter_mut().zip(&*self.start) {
                L::load(gradient).plus(L::load(start)).store(gradient);
            }
        }
        store(self.plan, self.gradient, target);
    }
}

/// `[rows, fields, dim]` → `[fields, columns]`, padded.
fn load<T: Real, const WIDTH: usize>(plan: &Plan<T, WIDTH>, vectors: &[T], target: &mut [Packet<T, WIDTH>]) {
    let (columns, stride) = (vectors.len() / plan.fields, plan.stride * WIDTH);
    let target = target.as_flattened_mut();
    for (row, vectors) in vectors.chunks_exact(plan.row_len()).enumerate() {
        for (field, vector) in vectors.chunks_exact(plan.dim).enumerate() {
            copy(&mut target[field * stride + row * plan.dim..][..plan.dim], vector);
        }
    }
    for field in target.chunks_exact_mut(stride) {
        let last = field[columns - 1];
        field[columns..].fill(last);
    }
}

/// `[fields, columns]` → `[rows, fields, dim]`
fn store<T: Real, const WIDTH: usize>(plan: &Plan<T, WIDTH>, source: &[Packet<T, WIDTH>], vectors: &mut [T]) {
    let stride = plan.stride * WIDTH;
    let source = source.as_flattened();
    for (row, vectors) in vectors.chunks_exact_mut(plan.row_len()).enumerate() {
        for (field, vector) in vectors.chunks_exact_mut(plan.dim).enumerate() {
            copy(vector, &source[field * stride + row * plan.dim..][..plan.dim]);
        }
    }
}

/// The sum over the fields.
#[inline(always)]
fn pool<const WIDTH: usize, L: Lanes<WIDTH>>(
    plan: &Plan<L::Real, WIDTH>,
    source: &[Packet<L::Real, WIDTH>],
    target: &mut [Packet<L::Real, WIDTH>],
) {
    for (at, target) in target.iter_mut().enumerate() {
        let mut sum = L::splat(L::Real::default());
        for field in 0..plan.fields {
            sum = sum.plus(L::load(&source[field * plan.stride + at]));
        }
        sum.store(target);
    }
}

/// Copies a short slice without a call of the C library.
fn copy<T: Copy>(target: &mut [T], source: &[T]) {
    const PIECE: usize = 8;
    let (targets, target_end) = target.as_chunks_mut::<PIECE>();
    let (sources, source_end) = source.as_chunks::<PIECE>();
    for (target, source) in targets.iter_mut().zip(sources) {
        *target = *source;
    }
    for (target, source) in target_end.iter_mut().zip(source_end) {
        *target = *source;
    }
}

/// Cuts memory into buffers of `size` packets.
fn split<T, const WIDTH: usize, const COUNT: usize>(
    memory: &mut [Packet<T, WIDTH>],
    size: usize,
) -> [&mut [Packet<T, WIDTH>]; COUNT] {
    let mut buffers = memory.chunks_exact_mut(size);
    array::from_fn(|_| buffers.next().expect("scratch memory holds all buffers"))
}
