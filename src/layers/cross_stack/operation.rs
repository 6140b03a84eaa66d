//! The whole stack as one differentiable operation of the CPU backend, through burn's backend extension.

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

use super::kernel::{self, Form, Kept, Weights};
use crate::device::cpu_tensor;

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
    fn stack_forward_keeping(inputs: [FloatTensor<Self>; 4], form: Form, pooled: bool) -> (FloatTensor<Self>, Kept);
    fn stack_backward(
        inputs: [FloatTensor<Self>; 4],
        form: Form,
        pooled: bool,
        kept: &Kept,
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
        run_forward(&inputs, pooled, |weights, vectors, dim, output| {
            kernel::forward(form, weights, vectors, dim, pooled, output);
        })
        .0
    }

    fn stack_forward_keeping(inputs: [FloatTensor<Self>; 4], form: Form, pooled: bool) -> (FloatTensor<Self>, Kept) {
        run_forward(&inputs, pooled, |weights, vectors, dim, output| {
            kernel::forward_keeping(form, weights, vectors, dim, pooled, output)
        })
    }

    fn stack_backward(
        inputs: [FloatTensor<Self>; 4],
        form: Form,
        pooled: bool,
        kept: &Kept,
        gradient: FloatTensor<Self>,
    ) -> [FloatTensor<Self>; 4] {
        let inputs = inputs.map(|input| input.to_contiguous());
        let gradient = gradient.to_contiguous();
        let [vectors, cross, residual, bias] = &inputs;
        let [batch, fields, dim] = vectors.shape().dims();
        let [layers, ..] = cross.shape().dims::<3>();
        let weights =
            Weights { cross: cross.storage(), residual: residual.storage(), bias: bias.storage(), layers, fields };
        let gradients = kernel::backward(form, &weights, vectors.storage(), dim, pooled, kept, gradient.storage());
        [
            cpu_tensor(gradients.vectors, [batch, fields, dim]),
            cpu_tensor(gradients.cross, [layers, fields, fields]),
            cpu_tensor(gradients.residual, [layers, fields, fields]),
            cpu_tensor(gradients.bias, [layers, fields]),
        ]
    }
}

/// The output of a pass over the inputs' memory, and what that pass returns.
fn run_forward<R>(
    inputs: &[FloatTensor<Flex>; 4],
    pooled: bool,
    pass: impl FnOnce(&Weights, &[f32], usize, &mut [f32]) -> R,
) -> (FloatTensor<Flex>, R) {
    let [vectors, cross, residual, bias] = inputs.each_ref().map(FloatTensor::<Flex>::to_contiguous);
    let [batch, fields, dim] = vectors.shape().dims();
    let [layers, ..] = cross.shape().dims::<3>();
    let weights =
        Weights { cross: cross.storage(), residual: residual.storage(), bias: bias.storage(), layers, fields };
    let mut output = vec![0.0; if pooled { batch * dim } else { batch * fields * dim }];
    let result = pass(&weights, vectors.storage(), dim, &mut output);
    let output = if pooled { cpu_tensor(output, [batch, dim]) } else { cpu_tensor(output, [batch, fields, dim]) };
    (output, result)
}

#[derive(Debug)]
struct Stack;

impl<B: StackKernels> Backward<B, 4> for Stack {
    type State = ([FloatTensor<B>; 4], Form, bool, Arc<Kept>);

    fn backward(self, ops: Ops<Self::State, 4>, gradients: &mut Gradients, _: &mut Checkpointer) {
        let gradient = gradients.consume::<B>(&ops.node);
        let (inputs, form, pooled, kept) = ops.state;
        let results = B::stack_backward(inputs, form, pooled, &kept, gradient);
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
                let (output, kept) = B::stack_forward_keeping(inputs.clone(), form, pooled);
                prepared.finish((inputs, form, pooled, Arc::new(kept)), output)
            }
            OpsKind::UnTracked(prepared) => {
                prepared.finish(B::stack_forward(inputs.map(FloatTensor::<Self>::into_primitive), form, pooled))
            }
        }
    }
}
