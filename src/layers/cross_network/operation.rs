//! A cross layer as one differentiable operation of the CPU backend, through burn's backend extension.

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

use super::kernel::{self, Inputs};
use crate::{device::cpu_tensor, layers::hidden::kernel::Sizes};

/// `first ⊙ (given W + b) + hidden`; without `given` that is `hidden`.
pub(super) fn cross(
    hidden: Tensor<2>,
    first: Tensor<2>,
    given: Option<Tensor<2>>,
    weight: Tensor<2>,
    bias: Tensor<1>,
) -> Tensor<2> {
    let given_is_hidden = given.is_none();
    let given = given.unwrap_or_else(|| hidden.clone());
    Tensor::from_dispatch(<Dispatch as CrossOps>::cross(
        hidden.into_dispatch(),
        first.into_dispatch(),
        given.into_dispatch(),
        weight.into_dispatch(),
        bias.into_dispatch(),
        given_is_hidden,
    ))
}

/// The operation as backends see it.
#[backend_extension(Flex, Autodiff)]
pub trait CrossOps: Backend {
    fn cross(
        hidden: FloatTensor<Self>,
        first: FloatTensor<Self>,
        given: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        given_is_hidden: bool,
    ) -> FloatTensor<Self>;
}

/// Forward and backward pass of a backend that has them; inputs are `[hidden, first, given, weight, bias]`.
pub trait CrossKernels: Backend {
    /// The output, and the product with its bias.
    fn cross_forward(inputs: [FloatTensor<Self>; 5]) -> [FloatTensor<Self>; 2];
    /// The gradients of the inputs; none of `given` where that is `hidden`.
    fn cross_backward(
        inputs: [FloatTensor<Self>; 5],
        given_is_hidden: bool,
        product: FloatTensor<Self>,
        gradient: FloatTensor<Self>,
    ) -> [Option<FloatTensor<Self>>; 5];
}

impl CrossOps for Flex {
    fn cross(
        hidden: FloatTensor<Self>,
        first: FloatTensor<Self>,
        given: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        _given_is_hidden: bool,
    ) -> FloatTensor<Self> {
        let [output, _] = Self::cross_forward([hidden, first, given, weight, bias]);
        output
    }
}

fn sizes([_, _, given, weight, _]: &[FloatTensor<Flex>; 5]) -> Sizes {
    let ([batch, input], [_, units]) = (given.shape().dims(), weight.shape().dims());
    Sizes { batch, input, units }
}

fn slices(inputs: &[FloatTensor<Flex>; 5]) -> Inputs<'_> {
    let [hidden, first, given, weight, bias] = inputs;
    Inputs {
        hidden: hidden.storage(),
        first: first.storage(),
        given: given.storage(),
        weight: weight.storage(),
        bias: bias.storage(),
    }
}

impl CrossKernels for Flex {
    fn cross_forward(inputs: [FloatTensor<Self>; 5]) -> [FloatTensor<Self>; 2] {
        let inputs = inputs.map(|input| input.to_contiguous());
        let sizes = sizes(&inputs);
        kernel::forward(sizes, slices(&inputs)).map(|values| cpu_tensor(values, [sizes.batch, sizes.units]))
    }

    fn cross_backward(
        inputs: [FloatTensor<Self>; 5],
        given_is_hidden: bool,
        product: FloatTensor<Self>,
        gradient: FloatTensor<Self>,
    ) -> [Option<FloatTensor<Self>>; 5] {
        let inputs = inputs.map(|input| input.to_contiguous());
        let sizes = sizes(&inputs);
        // what nothing else holds any more is overwritten where it lies
        let mut by_hidden = gradient.to_contiguous();
        drop(gradient);
        let mut by_first = product;
        let (products, gradient) = (by_first.storage_mut(), by_hidden.storage_mut());
        let found = kernel::backward(sizes, slices(&inputs), given_is_hidden, products, gradient);
        [
            Some(by_hidden),
            Some(by_first),
            found.given.map(|gradient| cpu_tensor(gradient, [sizes.batch, sizes.input])),
            Some(cpu_tensor(found.weight, [sizes.input, sizes.units])),
            Some(cpu_tensor(found.bias, [sizes.units])),
        ]
    }
}

#[derive(Debug)]
struct Cross;

impl<B: CrossKernels> Backward<B, 5> for Cross {
    type State = ([FloatTensor<B>; 5], bool, FloatTensor<B>);

    fn backward(self, ops: Ops<Self::State, 5>, gradients: &mut Gradients, _: &mut Checkpointer) {
        let gradient = gradients.consume::<B>(&ops.node);
        let (inputs, given_is_hidden, product) = ops.state;
        let results = B::cross_backward(inputs, given_is_hidden, product, gradient);
        for (parent, result) in ops.parents.into_iter().zip(results) {
            if let (Some(parent), Some(result)) = (parent, result) {
                gradients.register::<B>(parent.id, result);
            }
        }
    }
}

impl<B: CrossKernels, C: CheckpointStrategy> CrossOps for Autodiff<B, C> {
    fn cross(
        hidden: FloatTensor<Self>,
        first: FloatTensor<Self>,
        given: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        given_is_hidden: bool,
    ) -> FloatTensor<Self> {
        let inputs = [hidden, first, given, weight, bias];
        let nodes = inputs.each_ref().map(FloatTensor::<Self>::node);
        let inputs = inputs.map(FloatTensor::<Self>::into_primitive);
        match Cross.prepare::<C>(nodes).compute_bound().stateful() {
            OpsKind::Tracked(prepared) => {
                let [output, product] = B::cross_forward(inputs.clone());
                prepared.finish((inputs, given_is_hidden, product), output)
            }
            OpsKind::UnTracked(prepared) => {
                let [output, _] = B::cross_forward(inputs);
                prepared.finish(output)
            }
        }
    }
}
