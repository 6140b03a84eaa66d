//! The layer as differentiable operations of the CPU backend, through burn's backend extension.

use burn::{
    backend::{
        Autodiff, Backend, Dispatch, Flex, TensorMetadata,
        autodiff::{
            checkpoint::{base::Checkpointer, strategy::CheckpointStrategy},
            grads::Gradients,
            ops::{Backward, Ops, OpsKind},
        },
        backend_extension,
        tensor::FloatTensor,
    },
    tensor::Tensor,
};

use super::kernel::{self, Inputs, Layer};
use crate::device::cpu_tensor;

/// As [`super::cin_layer`].
pub(super) fn cin_layer(feed: Option<Tensor<3>>, start: Tensor<3>, weight: Tensor<3>) -> Tensor<3> {
    let (start, weight) = (start.into_dispatch(), weight.into_dispatch());
    Tensor::from_dispatch(match feed {
        Some(feed) => <Dispatch as CinOps>::cin_layer(start, weight, feed.into_dispatch()),
        None => <Dispatch as CinOps>::cin_first_layer(start, weight),
    })
}

/// The operations as backends see them.
#[backend_extension(Flex, Autodiff)]
pub trait CinOps: Backend {
    fn cin_first_layer(start: FloatTensor<Self>, weight: FloatTensor<Self>) -> FloatTensor<Self>;
    fn cin_layer(start: FloatTensor<Self>, weight: FloatTensor<Self>, feed: FloatTensor<Self>) -> FloatTensor<Self>;
}

/// Forward and backward pass of a backend that has them; inputs are `[start, weight]` or `[start, weight, feed]`.
pub trait CinKernels: Backend {
    fn cin_forward<const INPUTS: usize>(inputs: [FloatTensor<Self>; INPUTS]) -> FloatTensor<Self>;
    /// The gradients of the inputs.
    fn cin_backward<const INPUTS: usize>(
        inputs: [FloatTensor<Self>; INPUTS],
        gradient: FloatTensor<Self>,
    ) -> [FloatTensor<Self>; INPUTS];
}

impl CinOps for Flex {
    fn cin_first_layer(start: FloatTensor<Self>, weight: FloatTensor<Self>) -> FloatTensor<Self> {
        Self::cin_forward([start, weight])
    }

    fn cin_layer(start: FloatTensor<Self>, weight: FloatTensor<Self>, feed: FloatTensor<Self>) -> FloatTensor<Self> {
        Self::cin_forward([start, weight, feed])
    }
}

impl CinKernels for Flex {
    fn cin_forward<const INPUTS: usize>(inputs: [FloatTensor<Self>; INPUTS]) -> FloatTensor<Self> {
        let inputs = inputs.map(|input| input.to_contiguous());
        let (layer, inputs) = view(&inputs);
        let maps = kernel::forward(&layer, inputs);
        let batch = inputs.start.len() / (layer.fields * layer.dim);
        cpu_tensor(maps, [batch, layer.maps, layer.dim])
    }

    fn cin_backward<const INPUTS: usize>(
        inputs: [FloatTensor<Self>; INPUTS],
        gradient: FloatTensor<Self>,
    ) -> [FloatTensor<Self>; INPUTS] {
        let inputs = inputs.map(|input| input.to_contiguous());
        let gradient = gradient.to_contiguous();
        let (layer, views) = view(&inputs);
        let gradients = kernel::backward(&layer, views, gradient.storage());
        let mut gradients = [gradients.start, gradients.weight].into_iter().chain(gradients.feed);
        inputs.each_ref().map(|input| {
            let gradient = gradients.next().expect("a gradient for each input");
            cpu_tensor::<3>(gradient, input.shape().dims())
        })
    }
}

/// Plain memory of contiguous inputs.
fn view(inputs: &[FloatTensor<Flex>]) -> (Layer<'_>, Inputs<'_>) {
    let [start, weight, feed @ ..] = inputs else { unreachable!("start and weight are inputs") };
    let [maps, fed, fields] = weight.shape().dims();
    let [_, _, dim] = start.shape().dims();
    let layer = Layer { weight: weight.storage(), maps, fed, fields, dim };
    (layer, Inputs { start: start.storage(), feed: feed.first().map(FloatTensor::<Flex>::storage) })
}

#[derive(Debug)]
struct CinLayer;

impl<B: CinKernels, const INPUTS: usize> Backward<B, INPUTS> for CinLayer {
    type State = [FloatTensor<B>; INPUTS];

    fn backward(self, ops: Ops<Self::State, INPUTS>, gradients: &mut Gradients, _: &mut Checkpointer) {
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
    fn cin_first_layer(start: FloatTensor<Self>, weight: FloatTensor<Self>) -> FloatTensor<Self> {
        tracked::<B, C, 2>([start, weight])
    }

    fn cin_layer(start: FloatTensor<Self>, weight: FloatTensor<Self>, feed: FloatTensor<Self>) -> FloatTensor<Self> {
        tracked::<B, C, 3>([start, weight, feed])
    }
}

fn tracked<B: CinKernels, C: CheckpointStrategy, const INPUTS: usize>(
    inputs: [FloatTensor<Autodiff<B, C>>; INPUTS],
) -> FloatTensor<Autodiff<B, C>> {
    let nodes = inputs.each_ref().map(FloatTensor::<Autodiff<B, C>>::node);
    match Backward::<B, INPUTS>::prepare::<C>(CinLayer, nodes).compute_bound().stateful() {
        OpsKind::Tracked(prepared) => {
            let inputs = inputs.map(FloatTensor::<Autodiff<B, C>>::into_primitive);
            let output = B::cin_forward(inputs.clone());
            prepared.finish(inputs, output)
        }
        OpsKind::UnTracked(prepared) => {
            prepared.finish(B::cin_forward(inputs.map(FloatTensor::<Autodiff<B, C>>::into_primitive)))
        }
    }
}
