//! The pairs' attention as one differentiable operation of the CPU backend, through burn's backend extension.

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

use super::kernel::{self, Attended, Kept, Weights};
use crate::device::cpu_tensor;

/// As [`super::pair_attention`].
pub(super) fn pair_attention(vectors: Tensor<3>, weight: Tensor<2>, bias: Tensor<1>, head: Tensor<2>) -> Tensor<2> {
    Tensor::from_dispatch(<Dispatch as PairAttentionOps>::pair_attention(
        vectors.into_dispatch(),
        weight.into_dispatch(),
        bias.into_dispatch(),
        head.into_dispatch(),
    ))
}

/// The operation as backends see it.
#[backend_extension(Flex, Autodiff)]
pub trait PairAttentionOps: Backend {
    fn pair_attention(
        vectors: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        head: FloatTensor<Self>,
    ) -> FloatTensor<Self>;
}

/// Forward and backward pass of a backend that has them; inputs are `[vectors, weight, bias, head]`.
pub trait PairAttentionKernels: Backend {
    /// `[pooled, statistics]`: the result, and what beside it the backward pass needs.
    fn pair_attention_forward(inputs: [FloatTensor<Self>; 4]) -> [FloatTensor<Self>; 2];
    /// The gradients of the inputs.
    fn pair_attention_backward(
        inputs: [FloatTensor<Self>; 4],
        kept: [FloatTensor<Self>; 2],
        gradient: FloatTensor<Self>,
    ) -> [FloatTensor<Self>; 4];
}

impl PairAttentionOps for Flex {
    fn pair_attention(
        vectors: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        head: FloatTensor<Self>,
    ) -> FloatTensor<Self> {
        let [pooled, _] = Self::pair_attention_forward([vectors, weight, bias, head]);
        pooled
    }
}

impl PairAttentionKernels for Flex {
    fn pair_attention_forward(inputs: [FloatTensor<Self>; 4]) -> [FloatTensor<Self>; 2] {
        let inputs = inputs.map(|input| input.to_contiguous());
        let [vectors, weight, bias, head] = &inputs;
        let [batch, fields, _] = vectors.shape().dims();
        let [dim, hidden] = weight.shape().dims();
        let weights = Weights { weight: weight.storage(), bias: bias.storage(), head: head.storage(), dim, hidden };
        let Attended { pooled, statistics } = kernel::forward(&weights, vectors.storage(), fields);
        [cpu_tensor(pooled, [batch, dim]), cpu_tensor(statistics, [batch, 2])]
    }

    fn pair_attention_backward(
        inputs: [FloatTensor<Self>; 4],
        kept: [FloatTensor<Self>; 2],
        gradient: FloatTensor<Self>,
    ) -> [FloatTensor<Self>; 4] {
        let inputs = inputs.map(|input| input.to_contiguous());
        let [pooled, statistics] = kept.map(|kept| kept.to_contiguous());
        let gradient = gradient.to_contiguous();
        let [vectors, weight, bias, head] = &inputs;
        let [batch, fields, _] = vectors.shape().dims();
        let [dim, hidden] = weight.shape().dims();
        let weights = Weights { weight: weight.storage(), bias: bias.storage(), head: head.storage(), dim, hidden };
        let kept = Kept { pooled: pooled.storage(), statistics: statistics.storage() };
        let gradients = kernel::backward(&weights, vectors.storage(), fields, kept, gradient.storage());
        [
            cpu_tensor(gradients.vectors, [batch, fields, dim]),
            cpu_tensor(gradients.weight, [dim, hidden]),
            cpu_tensor(gradients.bias, [hidden]),
            cpu_tensor(gradients.head, [hidden, 1]),
        ]
    }
}

#[derive(Debug)]
struct PairAttentionNode;

impl<B: PairAttentionKernels> Backward<B, 4> for PairAttentionNode {
    /// Inputs, and `[pooled, statistics]`.
    type State = ([FloatTensor<B>; 4], [FloatTensor<B>; 2]);

    fn backward(self, ops: Ops<Self::State, 4>, gradients: &mut Gradients, _: &mut Checkpointer) {
        let gradient = gradients.consume::<B>(&ops.node);
        let (inputs, kept) = ops.state;
        let results = B::pair_attention_backward(inputs, kept, gradient);
        for (parent, result) in ops.parents.into_iter().zip(results) {
            if let Some(parent) = parent {
                gradients.register::<B>(parent.id, result);
            }
        }
    }
}

impl<B: PairAttentionKernels, C: CheckpointStrategy> PairAttentionOps for Autodiff<B, C> {
    fn pair_attention(
        vectors: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        head: FloatTensor<Self>,
    ) -> FloatTensor<Self> {
        let inputs = [vectors, weight, bias, head];
        let nodes = inputs.each_ref().map(FloatTensor::<Self>::node);
        match PairAttentionNode.prepare::<C>(nodes).compute_bound().stateful() {
            OpsKind::Tracked(prepared) => {
                let inputs = inputs.map(FloatTensor::<Self>::into_primitive);
                let kept = B::pair_attention_forward(inputs.clone());
                let [pooled, _] = kept.clone();
                prepared.finish((inputs, kept), pooled)
            }
            OpsKind::UnTracked(prepared) => {
                let [pooled, _] = B::pair_attention_forward(inputs.map(FloatTensor::<Self>::into_primitive));
                prepared.finish(pooled)
            }
        }
    }
}
