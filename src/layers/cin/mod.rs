//! A layer of xDeepFM's compressed interaction network.
//!
//! Lian et al. 2018, arXiv 1803.05170, equation 6: `X^k_h = Σ_ij W_hij (X^{k−1}_i ⊙ X^0_j)`. With 64 maps and 39 fields
//! there are 2,496 products for each row and dimension. On the CPU the layer is one operation (`operation.rs`,
//! `kernel`), which keeps no product in memory; elsewhere it is composed of burn's.

pub mod kernel;
pub mod operation;

use burn::tensor::Tensor;

use crate::device::has_fused_kernels;

/// One layer. The first has no feed: `X^0` feeds it.
///
/// # Shapes
/// - feed: `X^{k−1}`, `[batch, fed, dim]`
/// - start: `X^0`, `[batch, fields, dim]`
/// - weight: `[maps, fed, fields]`
/// - returns: `[batch, maps, dim]`
pub fn cin_layer(feed: Option<Tensor<3>>, start: Tensor<3>, weight: Tensor<3>) -> Tensor<3> {
    if has_fused_kernels(&start.device()) {
        return operation::cin_layer(feed, start, weight);
    }
    cin_layer_composed(feed, start, weight)
}

/// The same of burn's own operations.
pub fn cin_layer_composed(feed: Option<Tensor<3>>, start: Tensor<3>, weight: Tensor<3>) -> Tensor<3> {
    let [maps, fed, fields] = weight.dims();
    let [batch, _, dim] = start.dims();
    let feed = feed.unwrap_or_else(|| start.clone());
    let [feed, start] = [feed, start].map(|vectors| vectors.swap_dims(0, 1).reshape([0, -1]));
    let products: Tensor<3> = feed.unsqueeze_dim(1) * start.unsqueeze_dim(0);
    let output = weight.reshape([maps, fed * fields]).matmul(products.reshape([fed * fields, batch * dim]));
    output.reshape([maps, batch, dim]).swap_dims(0, 1)
}

#[cfg(test)]
mod tests {
    use burn::tensor::{Device, TensorData};

    use super::*;

    type Forward = fn(Option<Tensor<3>>, Tensor<3>, Tensor<3>) -> Tensor<3>;

    /// The maps, then the gradients of start, weight and, if there is one, feed.
    fn run(forward: Forward, [batch, fields, dim, maps, fed]: [usize; 5]) -> Vec<Vec<f32>> {
        fn leaf(step: usize, shape: [usize; 3]) -> Tensor<3> {
            let count = shape.iter().product();
            let values: Vec<f32> = (0..count).map(|number| ((number * step % 101) as f32 - 50.0) / 50.0).collect();
            Tensor::from_data(TensorData::new(values, shape), &Device::flex().autodiff()).require_grad()
        }
        let feed = (fed > 0).then(|| leaf(37, [batch, fed, dim]));
        let start = leaf(29, [batch, fields, dim]);
        let weight = leaf(23, [maps, if fed > 0 { fed } else { fields }, fields]);
        let output = forward(feed.clone(), start.clone(), weight.clone());
        let gradients = output.clone().square().sum().backward();
        let values = |tensor: Tensor<3>| tensor.into_data().try_to_vec().unwrap();
        let leaves = [start, weight].into_iter().chain(feed);
        [values(output)].into_iter().chain(leaves.map(|leaf| values(leaf.grad(&gradients).unwrap()))).collect()
    }

    /// 1e-5 of each part's largest number: both ways sum up to some thousand f32 products, 6e-8 a rounding, in different
    /// orders.
    #[test]
    fn the_fused_layer_is_the_composed_one() {
        for shape in [[1, 1, 1, 1, 0], [5, 4, 10, 3, 6], [40, 7, 16, 7, 0], [300, 3, 3, 1, 2], [3, 39, 16, 32, 32]] {
            let composed = run(cin_layer_composed, shape);
            for (part, (fused, composed)) in run(cin_layer, shape).iter().zip(&composed).enumerate() {
                let largest = composed.iter().fold(1.0_f32, |largest, value| largest.max(value.abs()));
                assert_eq!(fused.len(), composed.len());
                for (fused, composed) in fused.iter().zip(composed) {
                    assert!((fused - composed).abs() < 1e-5 * largest, "{shape:?} {part}: {fused} {composed}");
                }
            }
        }
    }
}
