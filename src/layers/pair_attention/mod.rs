//! AFM's pooling of all pairs of fields by their attention.
//!
//! Xiao et al. 2017, arXiv 1708.04617, equations 4 and 5. On the CPU it is one operation (`operation.rs`, `kernel`), which
//! keeps no pair in memory; elsewhere it is composed of burn's.

pub mod kernel;
pub mod operation;

use burn::tensor::{Tensor, activation, module::linear};

use super::pairwise::{pairs, positions};
use crate::device::has_fused_kernels;

/// Sums the elementwise products of all pairs of vectors, weighted by their attention.
///
/// `Σ_{i<j} a_ij (x_i ⊙ x_j)` with `a = softmax over pairs of hᵀ relu(Wᵀ (x_i ⊙ x_j) + c)`.
///
/// # Shapes
/// - vectors: `[batch, fields, dim]`, two fields at least
/// - weight: `W`, `[dim, hidden]`
/// - bias: `c`, `[hidden]`
/// - head: `h`, `[hidden, 1]`
/// - returns: `[batch, dim]`
pub fn pair_attention(vectors: Tensor<3>, weight: Tensor<2>, bias: Tensor<1>, head: Tensor<2>) -> Tensor<2> {
    let [_, fields, _] = vectors.dims();
    if fields > 1 && has_fused_kernels(&vectors.device()) {
        return operation::pair_attention(vectors, weight, bias, head);
    }
    pair_attention_composed(&vectors, weight, bias, head)
}

/// The same of burn's own operations.
pub fn pair_attention_composed(vectors: &Tensor<3>, weight: Tensor<2>, bias: Tensor<1>, head: Tensor<2>) -> Tensor<2> {
    const PAIRS: usize = 0;
    let products = pair_products(vectors);
    let [pairs, batch, dim] = products.dims();
    let flat = products.clone().reshape([pairs * batch, dim]);
    let hidden = activation::relu(linear(flat, weight, Some(bias)));
    let attention = activation::softmax(hidden.matmul(head).reshape([pairs, batch]), PAIRS);
    (products * attention.unsqueeze_dim::<3>(2)).sum_dim(PAIRS).squeeze_dim(PAIRS)
}

/// `x_i ⊙ x_j` of all pairs. The pairs come first, so that picking a field copies one long row.
///
/// # Shapes
/// - vectors: `[batch, fields, dim]`
/// - returns: `[pairs, batch, dim]`
fn pair_products(vectors: &Tensor<3>) -> Tensor<3> {
    const FIELDS: usize = 0;
    let [batch, fields, dim] = vectors.dims();
    let rows = vectors.clone().swap_dims(0, 1).reshape([fields, batch * dim]);
    let pick = |one: fn((usize, usize)) -> usize| {
        rows.clone().select(FIELDS, positions(pairs(fields).map(one), &vectors.device()))
    };
    let products = pick(|(left, _)| left) * pick(|(_, right)| right);
    let [pairs, _] = products.dims();
    products.reshape([pairs, batch, dim])
}

#[cfg(test)]
mod tests {
    use burn::tensor::{Device, TensorData};

    use super::*;

    type Forward = fn(Tensor<3>, Tensor<2>, Tensor<1>, Tensor<2>) -> Tensor<2>;

    /// The result, then the gradients of vectors, `W`, `c` and `h`.
    fn run(forward: Forward, [batch, fields, dim, hidden]: [usize; 4]) -> [Vec<f32>; 5] {
        fn leaf<const D: usize>(step: usize, shape: [usize; D]) -> Tensor<D> {
            let count = shape.iter().product();
            let values: Vec<f32> = (0..count).map(|number| ((number * step % 101) as f32 - 50.0) / 50.0).collect();
            Tensor::from_data(TensorData::new(values, shape), &Device::flex().autodiff()).require_grad()
        }
        fn values<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
            tensor.into_data().try_to_vec().unwrap()
        }
        let (vectors, weight) = (leaf(37, [batch, fields, dim]), leaf(29, [dim, hidden]));
        let (bias, head) = (leaf(23, [hidden]), leaf(19, [hidden, 1]));
        let pooled = forward(vectors.clone(), weight.clone(), bias.clone(), head.clone());
        let gradients = pooled.clone().square().sum().backward();
        [
            values(pooled),
            values(vectors.grad(&gradients).unwrap()),
            values(weight.grad(&gradients).unwrap()),
            values(bias.grad(&gradients).unwrap()),
            values(head.grad(&gradients).unwrap()),
        ]
    }

    /// 1e-5 of each part's largest number: both ways sum hundreds of f32 products, 6e-8 a rounding, in different orders.
    #[test]
    fn the_fused_operation_is_the_composed_one() {
        for shape in [[5, 4, 3, 6], [9, 7, 16, 16], [8, 2, 1, 1], [17, 3, 17, 33], [3, 39, 16, 5]] {
            let composed = run(|vectors, w, c, h| pair_attention_composed(&vectors, w, c, h), shape);
            for (part, (fused, composed)) in run(pair_attention, shape).iter().zip(&composed).enumerate() {
                let largest = composed.iter().fold(1.0_f32, |largest, value| largest.max(value.abs()));
                assert_eq!(fused.len(), composed.len());
                for (fused, composed) in fused.iter().zip(composed) {
                    assert!((fused - composed).abs() < 1e-5 * largest, "{shape:?} {part}: {fused} {composed}");
                }
            }
        }
    }
}
