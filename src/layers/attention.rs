//! Multi-head self-attention over the fields with a residual.
//!
//! Song et al. 2018, AutoInt, arXiv 1810.11921, equations 5 to 8.

use burn::{
    module::{Module, Param},
    tensor::{Tensor, activation},
};
use serde::{Deserialize, Serialize};

use super::parameters::Parameters;
use crate::ranges::Count;

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
        const FIELDS: usize = 1;
        const HEADS: usize = 2;
        const KEY_FIELDS: usize = 3;
        let [batch, fields, dim] = vectors.dims();
        let [_, width] = self.query.dims();
        let head_dim = width / self.heads;
        let flat = vectors.reshape([batch * fields, dim]);
        let project = |weight: &Param<Tensor<2>>| {
            let projected = flat.clone().matmul(weight.val());
            projected.reshape([batch, fields, self.heads, head_dim]).swap_dims(FIELDS, HEADS)
        };
        let scores =
            project(&self.query).matmul(project(&self.key).swap_dims(2, 3)).div_scalar((head_dim as f64).sqrt());
        let mixed = activation::softmax(scores, KEY_FIELDS).matmul(project(&self.value));
        let mixed = mixed.swap_dims(FIELDS, HEADS).reshape([batch, fields, width]);
        let residual = flat.clone().matmul(self.residual.val()).reshape([batch, fields, width]);
        activation::relu(mixed + residual)
    }
}
