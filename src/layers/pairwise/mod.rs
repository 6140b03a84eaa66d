//! The sum over all pairs of fields of their vectors' products: FM's second order, the pooling of NFM.
//!
//! Rendle, ICDM 2010, Lemma 3.1. One operation on the CPU, composed of burn's operations elsewhere.

pub mod kernel;

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

use super::flex;
use crate::device::has_fused_kernels;

/// Sums the inner products of all pairs of vectors, in time linear in `fields`.
///
/// `Σ_{i<j} <vᵢ, vⱼ> = ½ Σ_d [(Σᵢ v_id)² − Σᵢ v_id²]`.
///
/// # Shapes
/// - vectors: `[batch, fields, dim]`
/// - returns: `[batch]`
pub fn pairwise_dot(vectors: Tensor<3>) -> Tensor<1> {
    if has_fused_kernels(&vectors.device()) {
        return Tensor::from_dispatch(<Dispatch as PairwiseOps>::pairwise_dot(vectors.into_dispatch()));
    }
    pairwise_dot_composed(vectors)
}

/// The same of burn's own operations.
pub fn pairwise_dot_composed(vectors: Tensor<3>) -> Tensor<1> {
    const FIELDS: usize = 1;
    let square_of_sum = vectors.clone().sum_dim(FIELDS).square();
    let sum_of_squares = vectors.square().sum_dim(FIELDS);
    let pairs: Tensor<2> = (square_of_sum - sum_of_squares).mul_scalar(0.5).squeeze_dim(FIELDS);
    pairs.sum_dim(1).squeeze_dim(1)
}

/// The operation as backends see it.
#[backend_extension(Flex, Autodiff)]
pub trait PairwiseOps: Backend {
    fn pairwise_dot(vectors: FloatTensor<Self>) -> FloatTensor<Self>;
}

/// Forward and backward pass of a backend that has them.
pub trait PairwiseKernels: Backend {
    fn dot_forward(vectors: FloatTensor<Self>) -> FloatTensor<Self>;
    fn dot_backward(vectors: FloatTensor<Self>, gradient: FloatTensor<Self>) -> FloatTensor<Self>;
}

impl PairwiseOps for Flex {
    fn pairwise_dot(vectors: FloatTensor<Self>) -> FloatTensor<Self> {
        Self::dot_forward(vectors)
    }
}

impl PairwiseKernels for Flex {
    fn dot_forward(vectors: FloatTensor<Self>) -> FloatTensor<Self> {
        let [batch, fields, dim] = vectors.shape().dims();
        let vectors = vectors.to_contiguous();
        let mut output = vec![0.0; batch];
        kernel::dot_forward(vectors.storage(), fields, dim, &mut output);
        flex::tensor(output, [batch])
    }

    fn dot_backward(vectors: FloatTensor<Self>, gradient: FloatTensor<Self>) -> FloatTensor<Self> {
        let [batch, fields, dim] = vectors.shape().dims();
        let (vectors, gradient) = (vectors.to_contiguous(), gradient.to_contiguous());
        let mut output = vec![0.0; batch * fields * dim];
        kernel::dot_backward(vectors.storage(), gradient.storage(), fields, dim, &mut output);
        flex::tensor(output, [batch, fields, dim])
    }
}

#[derive(Debug)]
struct Dot;

impl<B: PairwiseKernels> Backward<B, 1> for Dot {
    type State = FloatTensor<B>;

    fn backward(self, ops: Ops<Self::State, 1>, gradients: &mut Gradients, _: &mut Checkpointer) {
        let gradient = gradients.consume::<B>(&ops.node);
        let [parent] = ops.parents;
        if let Some(parent) = parent {
            gradients.register::<B>(parent.id, B::dot_backward(ops.state, gradient));
        }
    }
}

impl<B: PairwiseKernels, C: CheckpointStrategy> PairwiseOps for Autodiff<B, C> {
    fn pairwise_dot(vectors: FloatTensor<Self>) -> FloatTensor<Self> {
        match Dot.prepare::<C>([vectors.node()]).compute_bound().stateful() {
            OpsKind::Tracked(prepared) => {
                let state = vectors.primitive().clone();
                prepared.finish(state, B::dot_forward(vectors.into_primitive()))
            }
            OpsKind::UnTracked(prepared) => prepared.finish(B::dot_forward(vectors.into_primitive())),
        }
    }
}

#[cfg(test)]
mod tests {
    use burn::tensor::{Device, TensorData};

    use super::*;

    /// 1e-5: sums of 12 products of numbers below 1, in different orders.
    #[test]
    fn the_fused_operation_is_the_composed_one() {
        let run = |forward: fn(Tensor<3>) -> Tensor<1>| {
            let device = Device::flex().autodiff();
            let values: Vec<f32> = (0..5 * 4 * 3).map(|number| ((number * 37 % 101) as f32 - 50.0) / 60.0).collect();
            let vectors = Tensor::<3>::from_data(TensorData::new(values, [5, 4, 3]), &device).require_grad();
            let output = forward(vectors.clone());
            let gradients = output.clone().square().sum().backward();
            let gradient = vectors.grad(&gradients).unwrap().into_data().try_to_vec::<f32>().unwrap();
            [output.into_data().try_to_vec::<f32>().unwrap(), gradient].concat()
        };
        for (fused, composed) in run(pairwise_dot).iter().zip(&run(pairwise_dot_composed)) {
            assert!((fused - composed).abs() < 1e-5, "{fused} {composed}");
        }
    }
}
