//! AutoInt: layers of multi-head self-attention over the fields; with `mlp` it is AutoInt+.
//!
//! Song et al. 2018, arXiv 1810.11921, equations 5 to 8. Scores are divided by the root of a head's size.

use burn::{
    module::{Module, Param},
    tensor::Tensor,
};
use serde::{Deserialize, Serialize};

use super::{Embedded, Needs, Parameters, Settings, Shape, Vectors, count};
use crate::{
    layers::{
        attention::{Attention, AttentionConfig},
        mlp::{Mlp, MlpConfig},
    },
    ranges::{Count, Share},
};

/// `[model.autoint]`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AutoIntConfig {
    /// Number of attention layers. Default 3.
    pub layers: Count,
    /// Heads and their size. Default `{ heads = 2, dim = 16 }`.
    pub attention: AttentionConfig,
    /// Units of a parallel MLP on all vectors. Default: none.
    pub mlp: Vec<Count>,
    /// The share of the MLP's hidden units dropped in training. Default: none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dropout: Option<Share>,
    /// Whether the MLP's hidden layers are normalized over the batch, before ReLU. Default false.
    pub batch_norm: bool,
}

impl Default for AutoIntConfig {
    fn default() -> Self {
        Self {
            layers: count(3),
            attention: AttentionConfig::default(),
            mlp: Vec::new(),
            dropout: None,
            batch_norm: false,
        }
    }
}

impl Settings for AutoIntConfig {
    fn needs(&self) -> Needs {
        Needs { vectors: Vectors::One, linear: false }
    }
}

impl AutoIntConfig {
    /// Weights as [`AttentionConfig::init`], [`MlpConfig::init`] and [`Parameters::head`] draw them; the bias starts from
    /// zero.
    pub fn init(&self, shape: Shape, parameters: &Parameters) -> AutoInt {
        let Shape { fields, dim } = shape;
        let width = self.attention.output_dim();
        let layer = |index: usize| {
            let input = if index == 0 { dim } else { width };
            self.attention.init(&format!("attention.{index}"), input, parameters)
        };
        let mlp = MlpConfig { units: &self.mlp, dropout: self.dropout, batch_norm: self.batch_norm };
        AutoInt {
            attention: (0..self.layers.get()).map(layer).collect(),
            head: parameters.head("head", fields * width),
            bias: parameters.zeros("bias", [1]),
            mlp: (!self.mlp.is_empty()).then(|| mlp.init("mlp", fields * dim, parameters)),
        }
    }
}

/// `logit = b + wᵀ (concatenation of all fields behind the last layer)`, and `MLP(concatenation of all vectors)`.
#[derive(Module, Debug)]
pub struct AutoInt {
    attention: Vec<Attention>,
    /// `[fields * heads * attention dim, 1]`
    head: Param<Tensor<2>>,
    bias: Param<Tensor<1>>,
    mlp: Option<Mlp>,
}

impl AutoInt {
    /// # Shapes
    /// - returns: `[batch]`
    pub fn forward(&self, embedded: &Embedded) -> Tensor<1> {
        const UNITS: usize = 1;
        let last = self.attention.iter().fold(embedded.vectors(), |hidden, layer| layer.forward(hidden));
        let [batch, fields, width] = last.dims();
        let flat = last.reshape([batch, fields * width]);
        let logits = flat.matmul(self.head.val()).squeeze_dim::<1>(UNITS) + self.bias.val();
        match &self.mlp {
            Some(mlp) => logits + mlp.forward(embedded.concatenation()),
            None => logits,
        }
    }
}
