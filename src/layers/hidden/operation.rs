//! The hidden layer as one differentiable operation of the CPU backend, through burn's backend extension.

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

use super::kernel::{self, Activation, Sizes};
use crate::device::cpu_tensor;

/// `activation(x W + b)`: `[batch, units]`.
pub(super) fn hidden(input: Tensor<2>, weight: Tensor<2>, bias: Tensor<1>, activation: Activation) -> Tensor<2> {
    Tensor::from_dispatch(<Dispatch as HiddenOps>::hidden(
        input.into_dispatch(),
        weight.into_dispatch(),
        bias.into_dispatch(),
        activation,
    ))
}

/// The operation as backends see it.
#[backend_extension(Flex, Autodiff)]
pub trait HiddenOps: Backend {
    fn hidden(
        input: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        activation: Activation,
    ) -> FloatTensor<Self>;
}

/// Forward and backward pass of a backend that has them.
pub trait HiddenKernels: Backend {
    /// Of `[input, weight, bias]`.
    fn hidden_forward(inputs: [FloatTensor<Self>; 3], activation: Activation) -> FloatTensor<Self>;
    /// Of `[input, weight, output]`; the gradients of input (where wanted), weight and bias.
    fn hidden_backward(
        tensors: [FloatTensor<Self>; 3],
        activation: Activation,
        gradient: FloatTensor<Self>,
        wants_input: bool,
    ) -> [Option<FloatTensor<Self>>; 3];
}

impl HiddenOps for Flex {
    fn hidden(
        input: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        activation: Activation,
    ) -> FloatTensor<Self> {
        Self::hidden_forward([input, weight, bias], activation)
    }
}

fn sizes(input: &FloatTensor<Flex>, weight: &FloatTensor<Flex>) -> Sizes {
    let ([batch, input], [_, units]) = (input.shape().dims(), weight.shape().dims());
    Sizes { batch, input, units }
}

impl HiddenKernels for Flex {
    fn hidden_forward(inputs: [FloatTensor<Self>; 3], activation: Activation) -> FloatTensor<Self> {
        let [input, weight, bias] = inputs.map(|input| input.to_contiguous());
        let sizes = sizes(&input, &weight);
        let output = kernel::forward(sizes, input.storage(), weight.storage(), bias.storage(), activation);
        cpu_tensor(output, [sizes.batch, sizes.units])
    }

    fn hidden_backward(
        tensors: [FloatTensor<Self>; 3],
        activation: Activation,
        gradient: FloatTensor<Self>,
        wants_input: bool,
    ) -> [Option<FloatTensor<Self>>; 3] {
        let [input, weight, output] = tensors.map(|tensor| tensor.to_contiguous());
        let sizes = sizes(&input, &weight);
        let tensors = [input.storage(), weight.storage(), output.storage()];
        // a gradient that nothing else holds any more is overwritten where it lies
        let mut contiguous = gradient.to_contiguous();
        drop(gradient);
        let gradients = kernel::backward(sizes, tensors, activation, contiguous.storage_mut(), wants_input);
        [
            gradients.input.map(|gradient| cpu_tensor(gradient, [sizes.batch, sizes.input])),
            Some(cpu_tensor(gradients.weight, [sizes.input, sizes.units])),
            Some(cpu_tensor(gradients.bias, [sizes.units])),
        ]
    }
}

#[derive(Debug)]
struct Hidden;

impl<B: HiddenKernels> Backward<B, 3> for Hidden {
    type State = ([FloatTensor<B>; 3], Activation);

    fn backward(self, ops: Ops<Self::State, 3>, gradients: &mut Gradients, _: &mut Checkpointer) {
        let gradient = gradients.consume::<B>(&ops.node);
        let (tensors, activation) = ops.state;
        let wants_input = ops.parents[0].is_some();
        let results = B::hidden_backward(tensors, activation, gradient, wants_input);
        for (parent, result) in ops.parents.into_iter().zip(results) {
            if let (Some(parent), Some(result)) = (parent, result) {
                gradients.register::<B>(parent.id, result);
            }
        }
    }
}

impl<B: HiddenKernels, C: CheckpointStrategy> HiddenOps for Autodiff<B, C> {
    fn hidden(
        input: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        activation: Activation,
    ) -> FloatTensor<Self> {
        let nodes = [input.node(), weight.node(), bias.node()];
        let [input, weight, bias] = [input, weight, bias].map(FloatTensor::<Self>::into_primitive);
        match Hidden.prepare::<C>(nodes).compute_bound().stateful() {
            OpsKind::Tracked(prepared) => {
                let output = B::hidden_forward([input.clone(), weight.clone(), bias], activation);
                prepared.finish(([input, weight, output.clone()], activation), output)
            }
            OpsKind::UnTracked(prepared) => prepared.finish(B::hidden_forward([input, weight, bias], activation)),
        }
    }
}
