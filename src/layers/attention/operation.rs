//! The fields' attention as one differentiable operation of the CPU backend, through burn's backend extension.

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

use super::{
    Projections,
    kernel::{self, Weights},
    scale,
};
use crate::device::cpu_tensor;

/// As [`super::field_attention`].
pub(super) fn field_attention(vectors: Tensor<3>, projections: Projections, heads: usize) -> Tensor<3> {
    let Projections { query, key, value, residual } = projections;
    Tensor::from_dispatch(<Dispatch as FieldAttentionOps>::field_attention(
        vectors.into_dispatch(),
        query.into_dispatch(),
        key.into_dispatch(),
        value.into_dispatch(),
        residual.into_dispatch(),
        heads,
    ))
}

/// The operation as backends see it.
#[backend_extension(Flex, Autodiff)]
pub trait FieldAttentionOps: Backend {
    fn field_attention(
        vectors: FloatTensor<Self>,
        query: FloatTensor<Self>,
        key: FloatTensor<Self>,
        value: FloatTensor<Self>,
        residual: FloatTensor<Self>,
        heads: usize,
    ) -> FloatTensor<Self>;
}

/// Forward and backward pass of a backend that has them; inputs are `[vectors, query, key, value, residual]`.
pub trait FieldAttentionKernels: Backend {
    fn field_attention_forward(inputs: [FloatTensor<Self>; 5], heads: usize) -> FloatTensor<Self>;
    /// The gradients of the inputs.
    fn field_attention_backward(
        inputs: [FloatTensor<Self>; 5],
        heads: usize,
        output: FloatTensor<Self>,
        gradient: FloatTensor<Self>,
    ) -> [FloatTensor<Self>; 5];
}

impl FieldAttentionOps for Flex {
    fn field_attention(
        vectors: FloatTensor<Self>,
        query: FloatTensor<Self>,
        key: FloatTensor<Self>,
        value: FloatTensor<Self>,
        residual: FloatTensor<Self>,
        heads: usize,
    ) -> FloatTensor<Self> {
        Self::field_attention_forward([vectors, query, key, value, residual], heads)
    }
}

/// The weights in memory.
fn weights(inputs: &[FloatTensor<Flex>; 5], heads: usize) -> Weights<'_> {
    let [_, query, key, value, residual] = inputs;
    let [dim, width] = query.shape().dims();
    let head_dim = width / heads;
    #[expect(clippy::cast_possible_truncation, reason = "scores are f32")]
    let scale = scale(head_dim).recip() as f32;
    Weights {
        query: query.storage(),
        key: key.storage(),
        value: value.storage(),
        residual: residual.storage(),
        dim,
        heads,
        head_dim,
        scale,
    }
}

impl FieldAttentionKernels for Flex {
    fn field_attention_forward(inputs: [FloatTensor<Self>; 5], heads: usize) -> FloatTensor<Self> {
        let inputs = inputs.map(|input| input.to_contiguous());
        let weights = weights(&inputs, heads);
        let [batch, fields, _] = inputs[0].shape().dims();
        let output = kernel::forward(&weights, inputs[0].storage(), fields);
        cpu_tensor(output, [batch, fields, heads * weights.head_dim])
    }

    fn field_attention_backward(
        inputs: [FloatTensor<Self>; 5],
        heads: usize,
        output: FloatTensor<Self>,
        gradient: FloatTensor<Self>,
    ) -> [FloatTensor<Self>; 5] {
        let inputs = inputs.map(|input| input.to_contiguous());
        let (output, gradient) = (output.to_contiguous(), gradient.to_contiguous());
        let weights = weights(&inputs, heads);
        let [batch, fields, dim] = inputs[0].shape().dims();
        let gradients = kernel::backward(&weights, inputs[0].storage(), fields, output.storage(), gradient.storage());
        let matrix = |gradient| cpu_tensor(gradient, [dim, heads * weights.head_dim]);
        [
            cpu_tensor(gradients.vectors, [batch, fields, dim]),
            matrix(gradients.query),
            matrix(gradients.key),
            matrix(gradients.value),
            matrix(gradients.residual),
        ]
    }
}

#[derive(Debug)]
struct FieldAttentionNode;

/// What the way back needs.
#[derive(Clone, Debug)]
struct State<T> {
    inputs: [T; 5],
    heads: usize,
    output: T,
}

impl<B: FieldAttentionKernels> Backward<B, 5> for FieldAttentionNode {
    type State = State<FloatTensor<B>>;

    fn backward(self, ops: Ops<Self::State, 5>, gradients: &mut Gradients, _: &mut Checkpointer) {
        let gradient = gradients.consume::<B>(&ops.node);
        let State { inputs, heads, output } = ops.state;
        let results = B::field_attention_backward(inputs, heads, output, gradient);
        for (parent, result) in ops.parents.into_iter().zip(results) {
            if let Some(parent) = parent {
                gradients.register::<B>(parent.id, result);
            }
        }
    }
}

impl<B: FieldAttentionKernels, C: CheckpointStrategy> FieldAttentionOps for Autodiff<B, C> {
    fn field_attention(
        vectors: FloatTensor<Self>,
        query: FloatTensor<Self>,
        key: FloatTensor<Self>,
        value: FloatTensor<Self>,
        residual: FloatTensor<Self>,
        heads: usize,
    ) -> FloatTensor<Self> {
        let inputs = [vectors, query, key, value, residual];
        let nodes = inputs.each_ref().map(FloatTensor::<Self>::node);
        match FieldAttentionNode.prepare::<C>(nodes).compute_bound().stateful() {
            OpsKind::Tracked(prepared) => {
                let inputs = inputs.map(FloatTensor::<Self>::into_primitive);
                let output = B::field_attention_forward(inputs.clone(), heads);
                prepared.finish(State { inputs, heads, output: output.clone() }, output)
            }
            OpsKind::UnTracked(prepared) => {
                let inputs = inputs.map(FloatTensor::<Self>::into_primitive);
                prepared.finish(B::field_attention_forward(inputs, heads))
            }
        }
    }
}
