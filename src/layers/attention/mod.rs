//! Multi-head self-attention over the fields with a residual.
//!
//! Song et al. 2018, AutoInt, arXiv 1810.11921, equations 5 to 8. On the CPU it is one operation (`operation.rs`, `kernel`), which
//! keeps no pair in memory; elsewhere it is composed of burn's.

pub mod kernel;
pub mod operation;

use burn::{
    module::{Module, Param},
    tensor::{Tensor, activation},
};
use serde::{Deserialize, Serialize};

use super::parameters::Parameters;
use crate::{device::has_fused_kernels, ranges::Count};

/// `attention` of a model's table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AttentionConfig {
    /// Number of heads. Default 2.
    pub heads: Count,
    /// Size of a head's query, key and value. Default 16.
    pub dim: Count,
}

impl Default for AttentionConfig {
    fn default() -> Self {
        Self { heads: Count::new(2).expect("2 is above 0"), dim: Count::new(16).expect("16 is above 0") }
    }
}

impl AttentionConfig {
    /// The size of a field's vector after the attention.
    pub fn output_dim(&self) -> usize {
        self.heads.get() * self.dim.get()
    }

    /// Weights by Glorot's normal; `name` is the attention's own among the model's weights.
    pub fn init(&self, name: &str, dim: usize, parameters: &Parameters) -> Attention {
        let weight = |part: &str| parameters.glorot(&format!("{name}.{part}"), [dim, self.output_dim()]);
        Attention {
            query: weight("query"),
            key: weight("key"),
            value: weight("value"),
            residual: weight("residual"),
            heads: self.heads.get(),
        }
    }
}

/// `relu(concat_h(softmax(Q_h K_hᵀ / √d) V_h) + E W_res)`.
#[derive(Module, Debug)]
pub struct Attention {
    query: Param<Tensor<2>>,
    key: Param<Tensor<2>>,
    value: Param<Tensor<2>>,
    residual: Param<Tensor<2>>,
    heads: usize,
}

impl Attention {
    /// # Shapes
    /// - vectors: `[batch, fields, dim]`
    /// - returns: `[batch, fields, heads * attention dim]`
    pub fn forward(&self, vectors: Tensor<3>) -> Tensor<3> {
        let [query, key, value, residual] = [&self.query, &self.key, &self.value, &self.residual].map(Param::val);
        field_attention(vectors, Projections { query, key, value, residual }, self.heads)
    }
}

/// The matrices that vectors are multiplied by, `[dim, heads * head dim]` each.
#[derive(Clone, Debug)]
pub struct Projections {
    pub query: Tensor<2>,
    pub key: Tensor<2>,
    pub value: Tensor<2>,
    pub residual: Tensor<2>,
}

/// What scores are divided by.
#[expect(clippy::cast_precision_loss, reason = "heads are small")]
fn scale(head_dim: usize) -> f64 {
    (head_dim as f64).sqrt()
}

/// `relu(concat_h(softmax(Q_h K_hᵀ / √d) V_h) + E W_res)`.
///
/// # Shapes
/// - vectors: `[batch, fields, dim]`
/// - returns: `[batch, fields, heads * head dim]`
pub fn field_attention(vectors: Tensor<3>, projections: Projections, heads: usize) -> Tensor<3> {
    if has_fused_kernels(&vectors.device()) {
        return operation::field_attention(vectors, projections, heads);
    }
    field_attention_composed(vectors, projections, heads)
}

/// The same of burn's own operations.
pub fn field_attention_composed(vectors: Tensor<3>, projections: Projections, heads: usize) -> Tensor<3> {
    const FIELDS: usize = 1;
    const HEADS: usize = 2;
    const KEY_FIELDS: usize = 3;
    let Projections { query, key, value, residual } = projections;
    let ([batch, fields, dim], [_, width]) = (vectors.dims(), query.dims());
    let head_dim = width / heads;
    let flat = vectors.reshape([batch * fields, dim]);
    let project = |weight: Tensor<2>| {
        flat.clone().matmul(weight).reshape([batch, fields, heads, head_dim]).swap_dims(FIELDS, HEADS)
    };
    let scores = project(query).matmul(project(key).swap_dims(2, 3)).div_scalar(scale(head_dim));
    let mixed = activation::softmax(scores, KEY_FIELDS).matmul(project(value));
    let mixed = mixed.swap_dims(FIELDS, HEADS).reshape([batch, fields, width]);
    activation::relu(mixed + flat.clone().matmul(residual).reshape([batch, fields, width]))
}

#[cfg(test)]
mod tests {
    use burn::tensor::{Device, TensorData};

    use super::*;

    type Forward = fn(Tensor<3>, Projections, usize) -> Tensor<3>;

    /// The result, then the gradients of vectors and matrices.
    fn run(forward: Forward, [batch, fields, dim, heads, head_dim]: [usize; 5]) -> Vec<Vec<f32>> {
        fn leaf<const D: usize>(step: usize, shape: [usize; D]) -> Tensor<D> {
            let count = shape.iter().product();
            let values: Vec<f32> = (0..count).map(|number| ((number * step % 101) as f32 - 50.0) / 60.0).collect();
            Tensor::from_data(TensorData::new(values, shape), &Device::flex().autodiff()).require_grad()
        }
        fn values<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
            tensor.into_data().try_to_vec().unwrap()
        }
        let vectors = leaf(37, [batch, fields, dim]);
        let [query, key, value, residual] = [29, 23, 19, 17].map(|step| leaf(step, [dim, heads * head_dim]));
        let projections = Projections { query, key, value, residual };
        let output = forward(vectors.clone(), projections.clone(), heads);
        let gradients = output.clone().square().sum().backward();
        let Projections { query, key, value, residual } = projections;
        let of_matrices = [query, key, value, residual].map(|matrix| values(matrix.grad(&gradients).unwrap()));
        [values(output), values(vectors.grad(&gradients).unwrap())].into_iter().chain(of_matrices).collect()
    }

    /// 1e-5 of each part's largest number: both ways sum hundreds of f32 products, 6e-8 a rounding, in different orders.
    #[test]
    fn the_fused_operation_is_the_composed_one() {
        for shape in [[5, 4, 3, 2, 6], [3, 39, 16, 2, 16], [1, 1, 1, 1, 1], [9, 7, 17, 3, 8], [2, 9, 32, 1, 20]] {
            let composed = run(field_attention_composed, shape);
            for (part, (fused, composed)) in run(field_attention, shape).iter().zip(&composed).enumerate() {
                let largest = composed.iter().fold(1.0_f32, |largest, value| largest.max(value.abs()));
                assert_eq!(fused.len(), composed.len());
                for (fused, composed) in fused.iter().zip(composed) {
                    assert!((fused - composed).abs() < 1e-5 * largest, "{shape:?} {part}: {fused} {composed}");
                }
            }
        }
    }
}
