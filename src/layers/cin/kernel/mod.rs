//! The numbers of a layer of the compressed interaction network on the CPU, and its gradients.
//!
//! A layer's products of maps and fields never stand in memory. Forward, `Σ_j W_hij X^0_j` of a few maps is summed over
//! the fields in registers, then multiplied by `X^{k−1}_i`; back, `Σ_h W_hij ∂X^k_h` of a few products is summed over
//! the maps and passed to both factors. In the first layer, where `X^{k−1}` is `X^0`, equal products are made once.
//! Chunks run in parallel; they depend on the batch alone and their weight gradients are added in order, so that
//! results have the same bits whatever the number of threads.
//!
//! `strips.rs` holds a block's layout, `plan.rs` what blocks share, `forward.rs` and `backward.rs` the passes,
//! `tiles.rs` and `weight_gradient.rs` their products.

mod backward;
mod compiled;
mod forward;
mod plan;
mod strips;
#[cfg(test)]
mod tests;
mod tiles;
mod weight_gradient;

use std::sync::LazyLock;

use rayon::prelude::*;

use self::{
    backward::{BackwardChunk, backward_packets},
    forward::{ForwardChunk, forward_packets},
    plan::{Pass, Plan},
    weight_gradient::row_len,
};
use crate::layers::lanes::{Packet, Plain, Real, add_chunks};

/// A layer's weights, row-major, and its sizes.
#[derive(Clone, Copy, Debug)]
pub struct Layer<'a, T = f32> {
    /// `[maps, fed, fields]`
    pub weight: &'a [T],
    pub maps: usize,
    /// Maps of the layer before.
    pub fed: usize,
    pub fields: usize,
    pub dim: usize,
}

/// What a layer reads of each row.
#[derive(Clone, Copy, Debug)]
pub struct Inputs<'a, T = f32> {
    /// `[batch, fields, dim]`
    pub start: &'a [T],
    /// `[batch, fed, dim]`; none in the first layer, which the start feeds.
    pub feed: Option<&'a [T]>,
}

/// Gradients of the layer's inputs and weights, shaped as these.
#[derive(Clone, Debug, PartialEq)]
pub struct Gradients<T = f32> {
    /// `[batch, fields, dim]`
    pub start: Vec<T>,
    /// `[batch, fed, dim]`
    pub feed: Option<Vec<T>>,
    /// `[maps, fed, fields]`
    pub weight: Vec<T>,
}

/// The maps of each row: `[batch, maps, dim]`.
///
/// # Panics
/// If the lengths don't fit.
pub fn forward(layer: &Layer, inputs: Inputs) -> Vec<f32> {
    KERNELS.forward(layer, inputs)
}

/// The gradients of everything that the maps depend on, given theirs.
///
/// # Shapes
/// - gradient: `[batch, maps, dim]`
///
/// # Panics
/// If the lengths don't fit.
pub fn backward(layer: &Layer, inputs: Inputs, gradient: &[f32]) -> Gradients {
    KERNELS.backward(layer, inputs, gradient)
}

/// The fastest kernels that this processor runs.
static KERNELS: LazyLock<Box<dyn Passes>> = LazyLock::new(|| all_kernels().swap_remove(0));

/// All kernels that this processor runs, the fastest first.
fn all_kernels() -> Vec<Box<dyn Passes>> {
    let portable: Box<dyn Passes> = Box::new(Kernels::<f32, 8>::portable());
    compiled::kernels().chain([portable]).collect()
}

/// The batch that the inputs are; panics where lengths don't fit.
fn batch<T: Real>(layer: &Layer<T>, inputs: Inputs<T>) -> usize {
    let Layer { weight, maps, fed, fields, dim } = *layer;
    let sizes = [maps, fed, fields, dim];
    assert!(sizes.iter().all(|&size| size > 0), "expected sizes above 0, found {sizes:?}");
    assert_eq!(weight.len(), maps * fed * fields, "the weight is [{maps}, {fed}, {fields}]");
    assert_eq!(inputs.start.len() % (fields * dim), 0, "the start is [batch, {fields}, {dim}]");
    let batch = inputs.start.len() / (fields * dim);
    match inputs.feed {
        Some(feed) => assert_eq!(feed.len(), batch * fed * dim, "the feed is [{batch}, {fed}, {dim}]"),
        None => assert_eq!(fed, fields, "the start feeds the layer"),
    }
    batch
}

/// The layer's passes, whatever the width of the vectors.
trait Passes<T = f32>: Send + Sync {
    fn forward(&self, layer: &Layer<T>, inputs: Inputs<T>) -> Vec<T>;
    fn backward(&self, layer: &Layer<T>, inputs: Inputs<T>, gradient: &[T]) -> Gradients<T>;
}

/// One chunk's passes, compiled for some instructions.
struct Kernels<T, const WIDTH: usize> {
    forward_chunk: fn(&Plan<T, WIDTH>, ForwardChunk<T>, &mut [Packet<T, WIDTH>]),
    backward_chunk: fn(&Plan<T, WIDTH>, BackwardChunk<T>, &mut [Packet<T, WIDTH>]),
}

impl<T: Real, const WIDTH: usize> Kernels<T, WIDTH> {
    /// Kernels that any processor of the target runs.
    fn portable() -> Self {
        Self {
            forward_chunk: forward::forward::<WIDTH, Plain<T, WIDTH>>,
            backward_chunk: backward::backward::<WIDTH, Plain<T, WIDTH>>,
        }
    }
}

impl<T: Real, const WIDTH: usize> Passes<T> for Kernels<T, WIDTH> {
    fn forward(&self, layer: &Layer<T>, inputs: Inputs<T>) -> Vec<T> {
        let batch = batch(layer, inputs);
        let plan = Plan::new(layer, inputs.feed.is_none(), Pass::Forward);
        let rows = plan.chunk_rows(batch, Pass::Forward);
        let [start_len, feed_len, output_len] = lengths(&plan, rows);
        let mut output = vec![T::default(); batch * plan.maps * plan.dim];
        let mut feeds = inputs.feed.unwrap_or_default().chunks(feed_len);
        let chunks = inputs.start.chunks(start_len).zip(output.chunks_mut(output_len));
        let chunks: Vec<_> = chunks
            .map(|(start, output)| ForwardChunk { start, feed: feeds.next().unwrap_or_default(), output })
            .collect();
        chunks.into_par_iter().for_each(|chunk| {
            T::with_scratch(forward_packets(&plan), |scratch| (self.forward_chunk)(&plan, chunk, scratch));
        });
        output
    }

    fn backward(&self, layer: &Layer<T>, inputs: Inputs<T>, gradient: &[T]) -> Gradients<T> {
        let batch = batch(layer, inputs);
        let plan = Plan::new(layer, inputs.feed.is_none(), Pass::Backward);
        assert_eq!(
            gradient.len(),
            batch * plan.maps * plan.dim,
            "the gradient is [{batch}, {}, {}]",
            plan.maps,
            plan.dim
        );
        let rows = plan.chunk_rows(batch, Pass::Backward);
        let [start_len, feed_len, output_len] = lengths(&plan, rows);
        let sums_len = plan.fed * plan.maps * row_len(&plan);
        let mut start_gradient = vec![T::default(); inputs.start.len()];
        let mut feed_gradient = inputs.feed.map(|feed| vec![T::default(); feed.len()]);
        let mut sums = vec![T::default(); batch.div_ceil(rows).max(1) * sums_len];
        let mut feeds = inputs.feed.unwrap_or_default().chunks(feed_len);
        let mut feed_gradients = feed_gradient.as_deref_mut().unwrap_or_default().chunks_mut(feed_len);
        let targets = start_gradient.chunks_mut(start_len).zip(sums.chunks_mut(sums_len));
        let chunks = inputs.start.chunks(start_len).zip(gradient.chunks(output_len)).zip(targets);
        let chunks: Vec<_> = chunks
            .map(|((start, output), (start_gradient, sums))| BackwardChunk {
                start,
                feed: feeds.next().unwrap_or_default(),
                output,
                start_gradient,
                feed_gradient: feed_gradients.next().unwrap_or_default(),
                sums,
            })
            .collect();
        chunks.into_par_iter().for_each(|chunk| {
            T::with_scratch(backward_packets(&plan), |scratch| (self.backward_chunk)(&plan, chunk, scratch));
        });
        let weight = weight_gradient::unpack(&plan, add_chunks(&mut sums, sums_len));
        Gradients { start: start_gradient, feed: feed_gradient, weight }
    }
}

/// Numbers of some rows: start, feed, output.
fn lengths<T: Real, const WIDTH: usize>(plan: &Plan<T, WIDTH>, rows: usize) -> [usize; 3] {
    [plan.fields, plan.fed, plan.maps].map(|count| rows * count * plan.dim)
}
