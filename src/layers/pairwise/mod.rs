//! Products of all pairs of fields' vectors: FM's second order, the pooling of NFM, the order of the pairs of AFM and FFM,
//! the products that SECN's MLP reads.
//!
//! Rendle, ICDM 2010, Lemma 3.1. The products and sums are one operation on the CPU, composed of burn's operations elsewhere.
//! FM and FFM read the table's rows themselves where they can (`models/pairs.rs`), and come here in scoring, with values or several
//! values a field, and on other devices.

pub mod field_aware;
pub mod kernel;
pub mod products;

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
    tensor::{Device, Int, Tensor, TensorData},
};

use crate::device::{cpu_tensor, has_fused_kernels};

/// All pairs `(i, j)` with `i < j < fields`, in lexicographic order.
pub fn pairs(fields: usize) -> impl Iterator<Item = (usize, usize)> {
    (0..fields).flat_map(move |left| (left + 1..fields).map(move |right| (left, right)))
}

/// The number of all pairs.
pub const fn pair_count(fields: usize) -> usize {
    fields * fields.saturating_sub(1) / 2
}

/// Positions along an axis, for `Tensor::select`.
pub fn positions(positions: impl Iterator<Item = usize>, device: &Device) -> Tensor<1, Int> {
    let positions: Vec<i64> =
        positions.map(|position| i64::try_from(position).expect("a position in memory fits 63 bits")).collect();
    let count = positions.len();
    Tensor::from_data(TensorData::new(positions, [count]), device)
}

/// Sums the inner products of all pairs of vectors, in time linear in `fields`.
///
/// `Σ_{i<j} <vᵢ, vⱼ> = ½ Σ_d [(Σᵢ v_id)² − Σᵢ v_id²]`.
///
/// # Shapes
/// - vectors: `[batch, fields, dim]`
/// - returns: `[batch]`
pub fn pairwise_dot(vectors: Tensor<3>) -> Tensor<1> {
    if has_fused_kernels(&vectors.device()) {
        let dot = <Dispatch as PairwiseOps>::pairwise(vectors.into_dispatch(), Pooling::Dot);
        return Tensor::from_dispatch(dot);
    }
    pairwise_dot_composed(vectors)
}

/// The same of burn's own operations.
pub fn pairwise_dot_composed(vectors: Tensor<3>) -> Tensor<1> {
    pairwise_sum_composed(vectors).sum_dim(1).squeeze_dim(1)
}

/// Sums the elementwise products of all pairs of vectors, in time linear in `fields`.
///
/// `Σ_{i<j} vᵢ ⊙ vⱼ = ½ [(Σᵢ vᵢ)² − Σᵢ vᵢ²]`.
///
/// # Shapes
/// - vectors: `[batch, fields, dim]`
/// - returns: `[batch, dim]`
pub fn pairwise_sum(vectors: Tensor<3>) -> Tensor<2> {
    if has_fused_kernels(&vectors.device()) {
        let sum = <Dispatch as PairwiseOps>::pairwise(vectors.into_dispatch(), Pooling::Sum);
        return Tensor::from_dispatch(sum);
    }
    pairwise_sum_composed(vectors)
}

/// The same of burn's own operations.
pub fn pairwise_sum_composed(vectors: Tensor<3>) -> Tensor<2> {
    const FIELDS: usize = 1;
    let square_of_sum = vectors.clone().sum_dim(FIELDS).square();
    let sum_of_squares = vectors.square().sum_dim(FIELDS);
    (square_of_sum - sum_of_squares).mul_scalar(0.5).squeeze_dim(FIELDS)
}

/// The inner products of all pairs of vectors, in the order of [`pairs`].
///
/// # Shapes
/// - vectors: `[batch, fields, dim]`
/// - returns: `[batch, pairs]`
pub fn pair_products(vectors: Tensor<3>) -> Tensor<2> {
    if has_fused_kernels(&vectors.device()) {
        let products = <Dispatch as PairwiseOps>::pairwise(vectors.into_dispatch(), Pooling::None);
        return Tensor::from_dispatch(products);
    }
    pair_products_composed(vectors)
}

/// The same of burn's own operations.
pub fn pair_products_composed(vectors: Tensor<3>) -> Tensor<2> {
    const PARTNERS: usize = 1;
    let [batch, fields, _] = vectors.dims();
    let upper = positions(pairs(fields).map(|(left, right)| left * fields + right), &vectors.device());
    let products = vectors.clone().matmul(vectors.swap_dims(1, 2));
    products.reshape([batch, fields * fields]).select(PARTNERS, upper)
}

/// The inner products of all pairs of field-aware vectors, in the order of [`pairs`]: of the left field's vector for the right
/// one with the right field's vector for the left one (Juan et al., RecSys 2016).
///
/// # Shapes
/// - vectors: `[batch, fields, fields * dim]`, a field's vectors in the order of their partners
/// - returns: `[batch, pairs]`
pub fn field_aware_products(vectors: Tensor<3>) -> Tensor<2> {
    if has_fused_kernels(&vectors.device()) {
        let products = <Dispatch as PairwiseOps>::pairwise(vectors.into_dispatch(), Pooling::FieldAware);
        return Tensor::from_dispatch(products);
    }
    field_aware_products_composed(vectors)
}

/// The same of burn's own operations.
pub fn field_aware_products_composed(vectors: Tensor<3>) -> Tensor<2> {
    const PARTNERS: usize = 1;
    const DIM: usize = 3;
    let [batch, fields, width] = vectors.dims();
    let upper = positions(pairs(fields).map(|(left, right)| left * fields + right), &vectors.device());
    let vectors = vectors.reshape([batch, fields, fields, width / fields]);
    // entry (i, j) is the product of the pair and so is entry (j, i)
    let products = (vectors.clone() * vectors.swap_dims(1, 2)).sum_dim(DIM).reshape([batch, fields * fields]);
    products.select(PARTNERS, upper)
}

/// What becomes of the pairs' products.
#[derive(Clone, Copy, Debug)]
pub enum Pooling {
    /// Inner products: a number a row.
    Dot,
    /// Elementwise products: `dim` numbers a row.
    Sum,
    /// Inner products as they are: a number a pair.
    None,
    /// Inner products of the vectors that two fields have for each other: a number a pair.
    FieldAware,
}

/// The operation as backends see it.
#[backend_extension(Flex, Autodiff)]
pub trait PairwiseOps: Backend {
    fn pairwise(vectors: FloatTensor<Self>, pooling: Pooling) -> FloatTensor<Self>;
}

/// Forward and backward pass of a backend that has them.
pub trait PairwiseKernels: Backend {
    fn pairwise_forward(vectors: FloatTensor<Self>, pooling: Pooling) -> FloatTensor<Self>;
    fn pairwise_backward(
        vectors: FloatTensor<Self>,
        gradient: FloatTensor<Self>,
        pooling: Pooling,
    ) -> FloatTensor<Self>;
}

impl PairwiseOps for Flex {
    fn pairwise(vectors: FloatTensor<Self>, pooling: Pooling) -> FloatTensor<Self> {
        Self::pairwise_forward(vectors, pooling)
    }
}

impl PairwiseKernels for Flex {
    fn pairwise_forward(vectors: FloatTensor<Self>, pooling: Pooling) -> FloatTensor<Self> {
        let [batch, fields, dim] = vectors.shape().dims();
        let vectors = vectors.to_contiguous();
        match pooling {
            Pooling::Dot => {
                let mut output = vec![0.0; batch];
                kernel::dot_forward(vectors.storage(), fields, dim, &mut output);
                cpu_tensor(output, [batch])
            }
            Pooling::Sum => {
                let mut output = vec![0.0; batch * dim];
                kernel::sum_forward(vectors.storage(), fields, dim, &mut output);
                cpu_tensor(output, [batch, dim])
            }
            Pooling::None => {
                let pairs = pair_count(fields);
                let mut output = vec![0.0; batch * pairs];
                products::products_forward(vectors.storage(), fields, dim, batch, &mut output);
                cpu_tensor(output, [batch, pairs])
            }
            Pooling::FieldAware => {
                let pairs = pair_count(fields);
                let mut output = vec![0.0; batch * pairs];
                field_aware::forward(vectors.storage(), fields, dim / fields, batch, &mut output);
                cpu_tensor(output, [batch, pairs])
            }
        }
    }

    fn pairwise_backward(
        vectors: FloatTensor<Self>,
        gradient: FloatTensor<Self>,
        pooling: Pooling,
    ) -> FloatTensor<Self> {
        let [batch, fields, dim] = vectors.shape().dims();
        let (vectors, gradient) = (vectors.to_contiguous(), gradient.to_contiguous());
        let (vectors, gradient) = (vectors.storage(), gradient.storage());
        let added = |backward: fn(&[f32], &[f32], usize, usize, &mut [f32])| {
            let mut output = vec![0.0; batch * fields * dim];
            backward(vectors, gradient, fields, dim, &mut output);
            output
        };
        let output = match pooling {
            Pooling::Dot => kernel::dot_gradients(vectors, gradient, fields, dim),
            Pooling::Sum => added(kernel::sum_backward),
            Pooling::None => added(products::products_backward),
            Pooling::FieldAware => field_aware::gradients(vectors, gradient, fields, dim / fields),
        };
        cpu_tensor(output, [batch, fields, dim])
    }
}

#[derive(Debug)]
struct Pairwise;

impl<B: PairwiseKernels> Backward<B, 1> for Pairwise {
    type State = (FloatTensor<B>, Pooling);

    fn backward(self, ops: Ops<Self::State, 1>, gradients: &mut Gradients, _: &mut Checkpointer) {
        let gradient = gradients.consume::<B>(&ops.node);
        let (vectors, pooling) = ops.state;
        let [parent] = ops.parents;
        if let Some(parent) = parent {
            gradients.register::<B>(parent.id, B::pairwise_backward(vectors, gradient, pooling));
        }
    }
}

impl<B: PairwiseKernels, C: CheckpointStrategy> PairwiseOps for Autodiff<B, C> {
    fn pairwise(vectors: FloatTensor<Self>, pooling: Pooling) -> FloatTensor<Self> {
        match Pairwise.prepare::<C>([vectors.node()]).compute_bound().stateful() {
            OpsKind::Tracked(prepared) => {
                let state = (vectors.primitive().clone(), pooling);
                prepared.finish(state, B::pairwise_forward(vectors.into_primitive(), pooling))
            }
            OpsKind::UnTracked(prepared) => prepared.finish(B::pairwise_forward(vectors.into_primitive(), pooling)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 1e-5: sums of 12 products of numbers below 1, in different orders.
    #[test]
    fn the_fused_operations_are_the_composed_ones() {
        let run = |forward: &dyn Fn(Tensor<3>) -> Tensor<1>| {
            let device = Device::flex().autodiff();
            let values: Vec<f32> = (0..5 * 4 * 3).map(|number| ((number * 37 % 101) as f32 - 50.0) / 60.0).collect();
            let vectors = Tensor::<3>::from_data(TensorData::new(values, [5, 4, 3]), &device).require_grad();
            let output = forward(vectors.clone());
            let gradients = output.clone().square().sum().backward();
            let gradient = vectors.grad(&gradients).unwrap().into_data().try_to_vec::<f32>().unwrap();
            [output.into_data().try_to_vec::<f32>().unwrap(), gradient].concat()
        };
        let near = |fused: Vec<f32>, composed: Vec<f32>| {
            for (fused, composed) in fused.iter().zip(&composed) {
                assert!((fused - composed).abs() < 1e-5, "{fused} {composed}");
            }
        };
        near(run(&pairwise_dot), run(&pairwise_dot_composed));
        near(
            run(&|vectors| pairwise_sum(vectors).flatten(0, 1)),
            run(&|vectors| pairwise_sum_composed(vectors).flatten(0, 1)),
        );
        near(
            run(&|vectors| pair_products(vectors).flatten(0, 1)),
            run(&|vectors| pair_products_composed(vectors).flatten(0, 1)),
        );
        let partners =
            |vectors: Tensor<3>| Tensor::cat(vec![vectors.clone(), vectors.mul_scalar(0.5)], 2).narrow(2, 1, 4);
        near(
            run(&|vectors| field_aware_products(partners(vectors)).flatten(0, 1)),
            run(&|vectors| field_aware_products_composed(partners(vectors)).flatten(0, 1)),
        );
    }

    #[test]
    fn pairs_come_in_lexicographic_order() {
        assert_eq!(pairs(4).collect::<Vec<_>>(), [(0, 1), (0, 2), (0, 3), (1, 2), (1, 3), (2, 3)]);
        assert_eq!(pairs(1).count(), 0);
        assert!((0..50).all(|fields| pair_count(fields) == pairs(fields).count()));
    }
}
