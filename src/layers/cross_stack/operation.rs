//! The whole stack as one differentiable operation of the CPU backend, through burn's backend extension.

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

use super::kernel::{self, Form, Weights};
use crate::layers::flex;

/// `[batch, dim]`: the sum of `H(L)` over the fields.
pub(super) fn pooled(
    form: Form,
    vectors: Tensor<3>,
    cross: Tensor<3>,
    residual: Tensor<3>,
    bias: Tensor<2>,
) -> Tensor<2> {
    Tensor::from_dispatch(<Dispatch as StackOps>::stack(
        vectors.into_dispatch(),
        cross.into_dispatch(),
        residual.into_dispatch(),
        bias.into_dispatch(),
        form,
        true,
    ))
}

/// `[batch, fields, dim]`: `H(L)`.
pub(super) fn full(
    form: Form,
    vectors: Tensor<3>,
    cross: Tensor<3>,
    residual: Tensor<3>,
    bias: Tensor<2>,
) -> Tensor<3> {
    Tensor::from_dispatch(<Dispatch as StackOps>::stack(
        vectors.into_dispatch(),
        cross.into_dispatch(),
        residual.into_dispatch(),
        bias.into_dispatch(),
        form,
        false,
    ))
}

/// The operation as backends see it.
#[backend_extension(Flex, Autodiff)]
pub trait StackOps: Backend {
    fn stack(
        vectors: FloatTensor<Self>,
        cross: FloatTensor<Self>,
        residual: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        form: Form,
        pooled: bool,
    ) -> FloatTensor<Self>;
}

/// Forward and backward pass of a backend that has them; inputs are `[vectors, cross, residual, bias]`.
pub trait StackKernels: Backend {
    fn stack_forward(inputs: [FloatTensor<Self>; 4], form: Form, pooled: bool) -> FloatTensor<Self>;
    fn stack_backward(
        inputs: [FloatTensor<Self>; 4],
        form: Form,
        pooled: bool,
        gradient: FloatTensor<Self>,
    ) -> [FloatTensor<Self>; 4];
}

impl StackOps for Flex {
    fn stack(
        vectors: FloatTensor<Self>,
        cross: FloatTensor<Self>,
        residual: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        form: Form,
        pooled: bool,
    ) -> FloatTensor<Self> {
        Self::stack_forward([vectors, cross, residual, bias], form, pooled)
    }
}

impl StackKernels for Flex {
    fn stack_forward(inputs: [FloatTensor<Self>; 4], form: Form, pooled: bool) -> FloatTensor<Self> {
        let inputs = inputs.map(|input| input.to_contiguous());
        let [vectors, cross, residual, bias] = &inputs;
        let [batch, fields, dim] = vectors.shape().dims();
        let [layers, ..] = cross.shape().dims::<3>();
        let weights =
            Weights { cross: cross.storage(), residual: residual.storage(), bias: bias.storage(), layers, fields };
        let mut output = vec![0.0; if pooled { batch * dim } else { batch * fields * dim }];
        kernel::forward(form, &weights, vectors.storage(), dim, pooled, &mut output);
        if pooled { flex::tensor(output, [batch, dim]) } else { flex::tensor(output, [batch, fields, dim]) }
    }

    fn stack_backward(
        inputs: [FloatTensor<Self>; 4],
        form: Form,
        pooled: bool,
        gradient: FloatTensor<Self>,
    ) -> [FloatTensor<Self>; 4] {
        let inputs = inputs.map(|input| input.to_contiguous());
        let gradient = gradient.to_contiguous();
        let [vectors, cross, residual, bias] = &inputs;
        let [batch, fields, dim] = vectors.shape().dims();
        let [layers, ..] = cross.shape().dims::<3>();
        let weights =
            Weights { cross: cross.storage(), residual: residual.storage(), bias: bias.storage(), layers, fields };
        let gradients = kernel::backward(form, &weights, vectors.storage(), dim, pooled, gradient.storage());
        [
            flex::tensor(gradients.vectors, [batch, fields, dim]),
            flex::tensor(gradients.cross, [layers, fields, fields]),
            flex::tensor(gradients.residual, [layers, fields, fields]),
            flex::tensor(gradients.bias, [layers, fields]),
        ]
    }
}

#[derive(Debug)]
struct Stack;

impl<B: StackKernels> Backward<B, 4> for Stack {
    type State = ([FloatTensor<B>; 4], Form, bool);

    fn backward(self, ops: Ops<Self::State, 4>, gradients: &mut Gradients, _: &mut Checkpointer) {
        let gradient = gradients.consume::<B>(&ops.node);
        let (inputs, form, pooled) = ops.state;
        let results = B::stack_backward(inputs, form, pooled, gradient);
        for (parent, result) in ops.parents.into_iter().zip(results) {
            if let Some(parent) = parent {
                gradients.register::<B>(parent.id, result);
            }
        }
    }
}

impl<B: StackKernels, C: CheckpointStrategy> StackOps for Autodiff<B, C> {
    fn stack(
        vectors: FloatTensor<Self>,
        cross: FloatTensor<Self>,
        residual: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        form: Form,
        pooled: bool,
    ) -> FloatTensor<Self> {
        let inputs = [vectors, cross, residual, bias];
        let nodes = inputs.each_ref().map(FloatTensor::<Self>::node);
        match Stack.prepare::<C>(nodes).compute_bound().stateful() {
            OpsKind::Tracked(prepared) => {
                let inputs = inputs.map(FloatTensor::<Self>::into_primitive);
                let output = B::stack_forward(inputs.clone(), form, pooled);
                prepared.finish((inputs, form, pooled), output)
            }
            OpsKind::UnTracked(prepared) => {
                prepared.finish(B::stack_forward(inputs.map(FloatTensor::<Self>::into_primitive), form, pooled))
            }
        }
    }
}
