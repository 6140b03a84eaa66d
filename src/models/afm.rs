//! AFM: a factorization machine whose pairs are weighted by attention.
//!
//! Xiao et al. 2017, arXiv 1708.04617. Dropout is on the weighted sum of the pairs, as in the paper.

use burn::{
    module::{Module, Param},
    nn::Dropout,
    tensor::Tensor,
};
use serde::{Deserialize, Serialize};

use super::{Embedded, Needs, Parameters, Settings, Shape, Vectors, count};
use crate::{
    layers::{mlp::dropout, pair_attention::pair_attention},
    ranges::{Count, Share},
};

/// `[model.afm]`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AfmConfig {
    /// Hidden units of the attention. Default 16.
    pub attention_dim: Count,
    /// The share of the pooled numbers dropped in training. Default: none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dropout: Option<Share>,
}

impl Default for AfmConfig {
    fn default() -> Self {
        Self { attention_dim: count(16), dropout: None }
    }
}

impl Settings for AfmConfig {
    fn needs(&self) -> Needs {
        Needs { vectors: Vectors::One, linear: true }
    }
}

impl AfmConfig {
    /// The attention's matrix by Glorot's normal, its head and the projection from `U(-1/√n, 1/√n)`, biases zero.
    pub fn init(&self, shape: Shape, parameters: &Parameters) -> Afm {
        let Shape { dim, .. } = shape;
        let hidden = self.attention_dim.get();
        let attention = PairAttention {
            weight: parameters.glorot("attention.weight", [dim, hidden]),
            bias: parameters.zeros("attention.bias", [hidden]),
            head: parameters.head("attention.head", hidden),
        };
        Afm {
            bias: parameters.zeros("bias", [1]),
            attention,
            projection: parameters.head("projection", dim),
            dropout: dropout(self.dropout),
        }
    }
}

/// `logit = b + Σ w_i + pᵀ Σ_{i<j} a_ij (x_i ⊙ x_j)`, with the attention `a` as below.
#[derive(Module, Debug)]
pub struct Afm {
    bias: Param<Tensor<1>>,
    attention: PairAttention,
    /// `p`: `[dim, 1]`
    projection: Param<Tensor<2>>,
    dropout: Dropout,
}

/// `a = softmax over pairs of hᵀ relu(Wᵀ (x_i ⊙ x_j) + b)`.
#[derive(Module, Debug)]
struct PairAttention {
    /// `W`: `[dim, hidden]`
    weight: Param<Tensor<2>>,
    bias: Param<Tensor<1>>,
    /// `h`: `[hidden, 1]`
    head: Param<Tensor<2>>,
}

impl Afm {
    /// # Shapes
    /// - returns: `[batch]`
    pub fn forward(&self, embedded: &Embedded) -> Tensor<1> {
        const UNITS: usize = 1;
        let pooled = self.attention.forward(embedded.vectors());
        let second_order = self.dropout.forward(pooled).matmul(self.projection.val()).squeeze_dim::<1>(UNITS);
        embedded.linear_sum() + second_order + self.bias.val()
    }
}

impl PairAttention {
    /// The pairs' products, pooled.
    ///
    /// # Shapes
    /// - vectors: `[batch, fields, dim]`
    /// - returns: `[batch, dim]`
    fn forward(&self, vectors: Tensor<3>) -> Tensor<2> {
        pair_attention(vectors, self.weight.val(), self.bias.val(), self.head.val())
    }
}
