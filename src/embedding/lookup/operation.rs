//! The lookup as one differentiable operation of the CPU backend, through burn's backend extension.

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

use super::{
    Form, Places,
    field_aware::{self, Gradient},
    kernel::{self, Dots},
};
use crate::device::cpu_tensor;

/// What `form` makes of the rows.
pub(super) fn look_up<const D: usize>(rows: Tensor<2>, places: Arc<Places>, form: Form) -> Tensor<D> {
    Tensor::from_dispatch(<Dispatch as LookupOps>::look_up(rows.into_dispatch(), places, form))
}

/// The operation as backends see it; rows are `[distinct, width]`.
#[backend_extension(Flex, Autodiff)]
pub(super) trait LookupOps: Backend {
    fn look_up(rows: FloatTensor<Self>, places: Arc<Places>, form: Form) -> FloatTensor<Self>;
}

/// Forward and backward pass of a backend that has them.
pub(super) trait LookupKernels: Backend {
    /// The result, and what beside it the backward pass needs.
    fn look_up_forward(
        rows: FloatTensor<Self>,
        places: &Places,
        form: Form,
    ) -> (FloatTensor<Self>, Option<FloatTensor<Self>>);

    /// The gradient of the rows, summed over equal ids.
    fn look_up_backward(
        rows: FloatTensor<Self>,
        places: &Places,
        form: Form,
        kept: Option<FloatTensor<Self>>,
        gradient: FloatTensor<Self>,
    ) -> FloatTensor<Self>;
}

impl LookupOps for Flex {
    fn look_up(rows: FloatTensor<Self>, places: Arc<Places>, form: Form) -> FloatTensor<Self> {
        let (output, _) = Self::look_up_forward(rows, &places, form);
        output
    }
}

impl LookupKernels for Flex {
    fn look_up_forward(
        rows: FloatTensor<Self>,
        places: &Places,
        form: Form,
    ) -> (FloatTensor<Self>, Option<FloatTensor<Self>>) {
        let [_, width] = rows.shape().dims();
        let rows = rows.to_contiguous();
        let (rows, batch) = (rows.storage(), places.batch());
        let output = match form {
            Form::Features => cpu_tensor(kernel::features(rows, width, places), [batch, places.columns, width]),
            Form::Sum => cpu_tensor(kernel::sum_forward(rows, places), [batch]),
            Form::Dot => {
                let Dots { dots, sums } = kernel::dot_forward(rows, width, places);
                return (cpu_tensor(dots, [batch]), Some(cpu_tensor(sums, [batch, width])));
            }
            Form::FieldAware => {
                let pairs = places.pairs();
                cpu_tensor(field_aware::products_forward(rows, width, places), [batch, pairs])
            }
            Form::FieldAwareSum => cpu_tensor(field_aware::sum_forward(rows, width, places), [batch]),
        };
        (output, None)
    }

    fn look_up_backward(
        rows: FloatTensor<Self>,
        places: &Places,
        form: Form,
        kept: Option<FloatTensor<Self>>,
        gradient: FloatTensor<Self>,
    ) -> FloatTensor<Self> {
        let [distinct, width] = rows.shape().dims();
        let (rows, gradient) = (rows.to_contiguous(), gradient.to_contiguous());
        let (rows, gradient) = (rows.storage(), gradient.storage());
        let sums = match form {
            Form::Features => kernel::sum_over_equal_ids(gradient, places),
            Form::Sum => kernel::sum_backward(gradient, places),
            Form::Dot => {
                let kept = kept.expect("the forward pass keeps its sums");
                kernel::dot_backward(rows, width, places, kept.storage(), gradient)
            }
            Form::FieldAware => field_aware::backward(rows, width, places, Gradient::Pairs(gradient)),
            Form::FieldAwareSum => field_aware::backward(rows, width, places, Gradient::Sum(gradient)),
        };
        cpu_tensor(sums, [distinct, width])
    }
}

#[derive(Debug)]
struct LookupNode;

/// What the way back needs.
#[derive(Clone, Debug)]
struct State<T> {
    rows: T,
    places: Arc<Places>,
    form: Form,
    kept: Option<T>,
}

impl<B: LookupKernels> Backward<B, 1> for LookupNode {
    type State = State<FloatTensor<B>>;

    fn backward(self, ops: Ops<Self::State, 1>, gradients: &mut Gradients, _: &mut Checkpointer) {
        let gradient = gradients.consume::<B>(&ops.node);
        let State { rows, places, form, kept } = ops.state;
        let [parent] = ops.parents;
        if let Some(parent) = parent {
            gradients.register::<B>(parent.id, B::look_up_backward(rows, &places, form, kept, gradient));
        }
    }
}

impl<B: LookupKernels, C: CheckpointStrategy> LookupOps for Autodiff<B, C> {
    fn look_up(rows: FloatTensor<Self>, places: Arc<Places>, form: Form) -> FloatTensor<Self> {
        match LookupNode.prepare::<C>([rows.node()]).compute_bound().stateful() {
            OpsKind::Tracked(prepared) => {
                let rows = rows.into_primitive();
                let (output, kept) = B::look_up_forward(rows.clone(), &places, form);
                prepared.finish(State { rows, places, form, kept }, output)
            }
            OpsKind::UnTracked(prepared) => {
                let (output, _) = B::look_up_forward(rows.into_primitive(), &places, form);
                prepared.finish(output)
            }
        }
    }
}
