//! Batch norm and the ReLU behind it as one differentiable operation of the CPU backend, through burn's backend extension.

use std::sync::Arc;

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

use super::kernel::{self, Statistics};
use crate::{device::cpu_tensor, layers::hidden::kernel::Activation};

/// A batch's own statistics: `[2, units]`, means and biased variances. Nothing flows back through it.
pub(super) fn statistics(input: Tensor<2>) -> Tensor<2> {
    Tensor::from_dispatch(<Dispatch as StatisticsOps>::batch_statistics(input.without_autodiff().into_dispatch()))
}

/// `activation((x − mean) / √(variance + ε) · γ + β)`: `[batch, units]`, with the weights `[γ, β]`. The gradients are those of `statistics` of `input`.
pub(super) fn norm(
    input: Tensor<2>,
    weights: [Tensor<1>; 2],
    statistics: Arc<Statistics>,
    activation: Activation,
) -> Tensor<2> {
    let [gamma, beta] = weights.map(Tensor::into_dispatch);
    Tensor::from_dispatch(<Dispatch as NormOps>::norm(input.into_dispatch(), gamma, beta, statistics, activation))
}

/// Statistics, as backends see them.
#[backend_extension(Flex)]
pub trait StatisticsOps: Backend {
    fn batch_statistics(input: FloatTensor<Self>) -> FloatTensor<Self>;
}

impl StatisticsOps for Flex {
    fn batch_statistics(input: FloatTensor<Self>) -> FloatTensor<Self> {
        let [_, units] = input.shape().dims();
        let Statistics { mean, variance } = Statistics::of(input.to_contiguous().storage(), units);
        cpu_tensor([mean, variance].concat(), [2, units])
    }
}

/// The operation as backends see it.
#[backend_extension(Flex, Autodiff)]
pub trait NormOps: Backend {
    fn norm(
        input: FloatTensor<Self>,
        gamma: FloatTensor<Self>,
        beta: FloatTensor<Self>,
        statistics: Arc<Statistics>,
        activation: Activation,
    ) -> FloatTensor<Self>;
}

/// Forward and backward pass of a backend that has them.
pub trait NormKernels: Backend {
    /// Of `[input, gamma, beta]`.
    fn norm_forward(
        inputs: [FloatTensor<Self>; 3],
        statistics: &Statistics,
        activation: Activation,
    ) -> FloatTensor<Self>;
    /// Of `[input, gamma, output]`; the gradients of input, gamma and beta.
    fn norm_backward(
        tensors: [FloatTensor<Self>; 3],
        statistics: &Statistics,
        activation: Activation,
        gradient: FloatTensor<Self>,
    ) -> [FloatTensor<Self>; 3];
}

impl NormOps for Flex {
    fn norm(
        input: FloatTensor<Self>,
        gamma: FloatTensor<Self>,
        beta: FloatTensor<Self>,
        statistics: Arc<Statistics>,
        activation: Activation,
    ) -> FloatTensor<Self> {
        Self::norm_forward([input, gamma, beta], &statistics, activation)
    }
}

impl NormKernels for Flex {
    fn norm_forward(
        inputs: [FloatTensor<Self>; 3],
        statistics: &Statistics,
        activation: Activation,
    ) -> FloatTensor<Self> {
        let [input, gamma, beta] = inputs.map(|input| input.to_contiguous());
        let sizes: [usize; 2] = input.shape().dims();
        let weights = [gamma.storage(), beta.storage()];
        cpu_tensor(kernel::forward(input.storage(), weights, statistics, activation), sizes)
    }

    fn norm_backward(
        tensors: [FloatTensor<Self>; 3],
        statistics: &Statistics,
        activation: Activation,
        gradient: FloatTensor<Self>,
    ) -> [FloatTensor<Self>; 3] {
        let [input, gamma, output] = tensors.map(|tensor| tensor.to_contiguous());
        let [_, units] = input.shape().dims();
        // a gradient that nothing else holds any more is overwritten where it lies
        let mut by_input = gradient.to_contiguous();
        drop(gradient);
        let places = [input.storage(), output.storage()];
        let weights = kernel::backward(places, gamma.storage(), statistics, activation, by_input.storage_mut());
        let [by_gamma, by_beta] = weights.map(|weight| cpu_tensor(weight, [units]));
        [by_input, by_gamma, by_beta]
    }
}

#[derive(Debug)]
struct Norm;

impl<B: NormKernels> Backward<B, 3> for Norm {
    type State = ([FloatTensor<B>; 3], Arc<Statistics>, Activation);

    fn backward(self, ops: Ops<Self::State, 3>, gradients: &mut Gradients, _: &mut Checkpointer) {
        let gradient = gradients.consume::<B>(&ops.node);
        let (tensors, statistics, activation) = ops.state;
        let results = B::norm_backward(tensors, &statistics, activation, gradient);
        for (parent, result) in ops.parents.into_iter().zip(results) {
            if let Some(parent) = parent {
                gradients.register::<B>(parent.id, result);
            }
        }
    }
}

impl<B: NormKernels, C: CheckpointStrategy> NormOps for Autodiff<B, C> {
    fn norm(
        input: FloatTensor<Self>,
        gamma: FloatTensor<Self>,
        beta: FloatTensor<Self>,
        statistics: Arc<Statistics>,
        activation: Activation,
    ) -> FloatTensor<Self> {
        let nodes = [input.node(), gamma.node(), beta.node()];
        let [input, gamma, beta] = [input, gamma, beta].map(FloatTensor::<Self>::into_primitive);
        match Norm.prepare::<C>(nodes).compute_bound().stateful() {
            OpsKind::Tracked(prepared) => {
                let output = B::norm_forward([input.clone(), gamma.clone(), beta], &statistics, activation);
                prepared.finish(([input, gamma, output.clone()], statistics, activation), output)
            }
            OpsKind::UnTracked(prepared) => {
                prepared.finish(B::norm_forward([input, gamma, beta], &statistics, activation))
            }
        }
    }
}
