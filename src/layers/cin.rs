//! A layer of xDeepFM's compressed interaction network, which never holds all products of maps and fields at once.
//!
//! Lian et al. 2018, arXiv 1803.05170: `X^k_h = Σ_ij W_hij (X^{k−1}_i ⊙ X^0_j)`. With 64 maps and 39 fields there are
//! 2,496 products for each row and dimension. On the CPU they are made block by block, and made again on the way back;
//! elsewhere the layer is composed of burn's operations.

use std::ops::Range;

use burn::{
    backend::{
        Autodiff, Backend, Dispatch, Flex, TensorMetadata,
        autodiff::{
            checkpoint::{base::Checkpointer, strategy::CheckpointStrategy},
            grads::Gradients,
            ops::{Backward, Ops, OpsKind},
        },
        backend_extension,
        ops::FloatTensorOps,
        tensor::FloatTensor,
    },
    tensor::{Shape, Tensor},
};
use rayon::prelude::*;

use super::flex;
use crate::device::has_fused_kernels;

/// Columns whose products stand in memory at once: 1.2 MB of them at 64 maps and 39 fields.
const BLOCK: usize = 128;
/// Columns of one task, whose weights' gradients are summed in order.
const TASK: usize = 16 * BLOCK;

/// One layer on columns, which are all dimensions of all rows.
///
/// # Shapes
/// - feed: `[fed, columns]`, the maps of the layer before
/// - start: `[fields, columns]`
/// - weight: `[maps, fed, fields]`
/// - returns: `[maps, columns]`
pub fn cin_layer(feed: Tensor<2>, start: Tensor<2>, weight: Tensor<3>) -> Tensor<2> {
    if has_fused_kernels(&feed.device()) {
        let [feed, start] = [feed, start].map(Tensor::into_dispatch);
        return Tensor::from_dispatch(<Dispatch as CinOps>::cin_layer(feed, start, weight.into_dispatch()));
    }
    cin_layer_composed(feed, start, weight)
}

/// The same of burn's own operations.
pub fn cin_layer_composed(feed: Tensor<2>, start: Tensor<2>, weight: Tensor<3>) -> Tensor<2> {
    let [maps, fed, fields] = weight.dims();
    let [_, columns] = start.dims();
    let products = feed.reshape([fed, 1, columns]) * start.reshape([1, fields, columns]);
    weight.reshape([maps, fed * fields]).matmul(products.reshape([fed * fields, columns]))
}

/// The operation as backends see it.
#[backend_extension(Flex, Autodiff)]
pub trait CinOps: Backend {
    fn cin_layer(feed: FloatTensor<Self>, start: FloatTensor<Self>, weight: FloatTensor<Self>) -> FloatTensor<Self>;
}

/// Forward and backward pass of a backend that has them; inputs are `[feed, start, weight]`.
pub trait CinKernels: Backend {
    fn cin_forward(inputs: [FloatTensor<Self>; 3]) -> FloatTensor<Self>;
    fn cin_backward(inputs: [FloatTensor<Self>; 3], gradient: FloatTensor<Self>) -> [FloatTensor<Self>; 3];
}

impl CinOps for Flex {
    fn cin_layer(feed: FloatTensor<Self>, start: FloatTensor<Self>, weight: FloatTensor<Self>) -> FloatTensor<Self> {
        Self::cin_forward([feed, start, weight])
    }
}

impl CinKernels for Flex {
    fn cin_forward(inputs: [FloatTensor<Self>; 3]) -> FloatTensor<Self> {
        let inputs = inputs.map(|input| input.to_contiguous());
        let layer = Layer::new(&inputs);
        let outputs = layer.each_task(|task| layer.forward(task));
        flex::tensor(beside(layer.maps, layer.columns, &outputs), [layer.maps, layer.columns])
    }

    fn cin_backward(inputs: [FloatTensor<Self>; 3], gradient: FloatTensor<Self>) -> [FloatTensor<Self>; 3] {
        let inputs = inputs.map(|input| input.to_contiguous());
        let gradient = gradient.to_contiguous();
        let layer = Layer::new(&inputs);
        let (mut feed, mut start) = (Vec::new(), Vec::new());
        let mut weight = vec![0.0; layer.maps * layer.fed * layer.fields];
        for [by_feed, by_start, by_weight] in layer.each_task(|task| layer.backward(gradient.storage(), task)) {
            feed.push(by_feed);
            start.push(by_start);
            add(&mut weight, &by_weight);
        }
        let Layer { maps, fed, fields, columns, .. } = layer;
        [
            flex::tensor(beside(fed, columns, &feed), [fed, columns]),
            flex::tensor(beside(fields, columns, &start), [fields, columns]),
            flex::tensor(weight, [maps, fed, fields]),
        ]
    }
}

/// A layer's inputs in plain memory, row by row, and its weights as a matrix `[maps, fed · fields]`.
struct Layer<'a> {
    feed: &'a [f32],
    start: &'a [f32],
    weight: FloatTensor<Flex>,
    maps: usize,
    fed: usize,
    fields: usize,
    columns: usize,
}

impl<'a> Layer<'a> {
    fn new([feed, start, weight]: &'a [FloatTensor<Flex>; 3]) -> Self {
        let [maps, fed, fields] = weight.shape().dims();
        let [_, columns] = start.shape().dims();
        let weight = Flex::float_reshape(weight.clone(), Shape::new([maps, fed * fields]));
        Self { feed: feed.storage(), start: start.storage(), weight, maps, fed, fields, columns }
    }

    /// The tasks' results in order; how the columns are shared out doesn't depend on the threads.
    fn each_task<T: Send>(&self, work: impl Fn(Range<usize>) -> T + Send + Sync) -> Vec<T> {
        let tasks: Vec<_> =
            (0..self.columns).step_by(TASK).map(|first| first..self.columns.min(first + TASK)).collect();
        tasks.into_par_iter().map(work).collect()
    }

    /// `[maps, columns of the task]`
    fn forward(&self, task: Range<usize>) -> Vec<f32> {
        let outputs: Vec<Vec<f32>> = blocks(&task)
            .map(|block| {
                let output = Flex::float_matmul(self.weight.clone(), self.products(&block));
                output.storage::<f32>().to_vec()
            })
            .collect();
        beside(self.maps, task.len(), &outputs)
    }

    /// Gradients of the task's columns of feed and start, and their part of the weights'.
    fn backward(&self, gradient: &[f32], task: Range<usize>) -> [Vec<f32>; 3] {
        let (mut feed, mut start) = (Vec::new(), Vec::new());
        let mut weight = vec![0.0; self.maps * self.fed * self.fields];
        for block in blocks(&task) {
            let output = flex::tensor(self.take(gradient, self.maps, &block), [self.maps, block.len()]);
            let products = Flex::float_transpose(self.products(&block));
            add(&mut weight, Flex::float_matmul(output.clone(), products).storage());
            let by_products = Flex::float_matmul(Flex::float_transpose(self.weight.clone()), output);
            let [by_feed, by_start] = self.unfold(by_products.storage(), &block);
            feed.push(by_feed);
            start.push(by_start);
        }
        [beside(self.fed, task.len(), &feed), beside(self.fields, task.len(), &start), weight]
    }

    /// `feed_i ⊙ start_j` of a block: `[fed · fields, columns of the block]`.
    fn products(&self, block: &Range<usize>) -> FloatTensor<Flex> {
        let count = self.fed * self.fields;
        let mut products = Vec::with_capacity(count * block.len());
        for map in self.feed.chunks_exact(self.columns) {
            for field in self.start.chunks_exact(self.columns) {
                products.extend(map[block.clone()].iter().zip(&field[block.clone()]).map(|(map, field)| map * field));
            }
        }
        flex::tensor(products, [count, block.len()])
    }

    /// Gradients of a block's products → those of its columns of feed and start.
    fn unfold(&self, gradient: &[f32], block: &Range<usize>) -> [Vec<f32>; 2] {
        let width = block.len();
        let mut by_feed = vec![0.0; self.fed * width];
        let mut by_start = vec![0.0; self.fields * width];
        let mut gradients = gradient.chunks_exact(width);
        for (map, by_map) in self.feed.chunks_exact(self.columns).zip(by_feed.chunks_exact_mut(width)) {
            for (field, by_field) in self.start.chunks_exact(self.columns).zip(by_start.chunks_exact_mut(width)) {
                let gradient = gradients.next().expect("a product for every map and field");
                let (map, field) = (&map[block.clone()], &field[block.clone()]);
                for place in 0..width {
                    by_map[place] += gradient[place] * field[place];
                    by_field[place] += gradient[place] * map[place];
                }
            }
        }
        [by_feed, by_start]
    }

    /// A block's columns of `[rows, columns]`.
    fn take(&self, matrix: &[f32], rows: usize, block: &Range<usize>) -> Vec<f32> {
        let rows = matrix.chunks_exact(self.columns).take(rows);
        rows.flat_map(|row| &row[block.clone()]).copied().collect()
    }
}

fn blocks(task: &Range<usize>) -> impl Iterator<Item = Range<usize>> {
    let end = task.end;
    task.clone().step_by(BLOCK).map(move |first| first..end.min(first + BLOCK))
}

/// Matrices of `rows` rows side by side: `[rows, columns]`.
fn beside(rows: usize, columns: usize, parts: &[Vec<f32>]) -> Vec<f32> {
    let mut matrix = Vec::with_capacity(rows * columns);
    for row in 0..rows {
        for part in parts {
            let width = part.len() / rows;
            matrix.extend_from_slice(&part[row * width..(row + 1) * width]);
        }
    }
    matrix
}

fn add(sums: &mut [f32], parts: &[f32]) {
    sums.iter_mut().zip(parts).for_each(|(sum, part)| *sum += part);
}

#[derive(Debug)]
struct CinLayer;

impl<B: CinKernels> Backward<B, 3> for CinLayer {
    type State = [FloatTensor<B>; 3];

    fn backward(self, ops: Ops<Self::State, 3>, gradients: &mut Gradients, _: &mut Checkpointer) {
        let gradient = gradients.consume::<B>(&ops.node);
        let results = B::cin_backward(ops.state, gradient);
        for (parent, result) in ops.parents.into_iter().zip(results) {
            if let Some(parent) = parent {
                gradients.register::<B>(parent.id, result);
            }
        }
    }
}

impl<B: CinKernels, C: CheckpointStrategy> CinOps for Autodiff<B, C> {
    fn cin_layer(feed: FloatTensor<Self>, start: FloatTensor<Self>, weight: FloatTensor<Self>) -> FloatTensor<Self> {
        let inputs = [feed, start, weight];
        let nodes = inputs.each_ref().map(FloatTensor::<Self>::node);
        match CinLayer.prepare::<C>(nodes).compute_bound().stateful() {
            OpsKind::Tracked(prepared) => {
                let inputs = inputs.map(FloatTensor::<Self>::into_primitive);
                let output = B::cin_forward(inputs.clone());
                prepared.finish(inputs, output)
            }
            OpsKind::UnTracked(prepared) => {
                prepared.finish(B::cin_forward(inputs.map(FloatTensor::<Self>::into_primitive)))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use burn::tensor::{Device, TensorData};

    use super::*;

    fn leaf<const D: usize>(stream: usize, shape: [usize; D], device: &Device) -> Tensor<D> {
        let count: usize = shape.iter().product();
        let values: Vec<f32> = (0..count).map(|number| (((number + stream) * 37 % 101) as f32 - 50.0) / 60.0).collect();
        Tensor::from_data(TensorData::new(values, shape), device).require_grad()
    }

    /// Output, then the gradients of feed, start and weight.
    fn run(columns: usize, layer: fn(Tensor<2>, Tensor<2>, Tensor<3>) -> Tensor<2>) -> Vec<Vec<f32>> {
        let device = Device::flex().autodiff();
        let (feed, start) = (leaf(1, [3, columns], &device), leaf(2, [5, columns], &device));
        let weight = leaf(3, [4, 3, 5], &device);
        let output = layer(feed.clone(), start.clone(), weight.clone());
        let gradients = output.clone().square().mean().backward();
        let values = |data: TensorData| data.try_to_vec::<f32>().unwrap();
        vec![
            values(output.into_data()),
            values(feed.grad(&gradients).unwrap().into_data()),
            values(start.grad(&gradients).unwrap().into_data()),
            values(weight.grad(&gradients).unwrap().into_data()),
        ]
    }

    /// 1e-5: sums of up to some thousand products in different orders, of which the mean is taken.
    #[test]
    fn the_fused_layer_is_the_composed_one() {
        for columns in [1, BLOCK, BLOCK + 1, TASK + BLOCK + 7] {
            for (fused, composed) in run(columns, cin_layer).iter().zip(&run(columns, cin_layer_composed)) {
                assert_eq!(fused.len(), composed.len());
                for (fused, composed) in fused.iter().zip(composed) {
                    assert!((fused - composed).abs() < 1e-5, "{columns} columns: {fused} {composed}");
                }
            }
        }
    }
}
