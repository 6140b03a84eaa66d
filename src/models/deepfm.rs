//! DeepFM: a factorization machine and a multi-layer perceptron that share their vectors.
//!
//! Guo et al. 2017, arXiv 1703.04247. Ours has ReLU in the hidden layers and dropout behind each, as the paper chose.

use burn::{
    module::{Module, Param},
    tensor::Tensor,
};
use serde::{Deserialize, Serialize};

use super::{Embedded, Needs, Parameters, Settings, Shape, Vectors, counts, pairs::pairwise_dot};
use crate::{
    layers::mlp::{Mlp, MlpConfig},
    ranges::{Count, Share},
};

/// `[model.deepfm]`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct DeepFmConfig {
    /// Units of the hidden layers. Default `[400, 400, 400]`, the paper's.
    pub mlp: Vec<Count>,
    /// The share of hidden units dropped in training. Default: none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dropout: Option<Share>,
    /// Whether hidden layers are normalized over the batch, before ReLU. Default false.
    pub batch_norm: bool,
}

impl Default for DeepFmConfig {
    fn default() -> Self {
        Self { mlp: counts(400, 3), dropout: None, batch_norm: false }
    }
}

impl Settings for DeepFmConfig {
    fn needs(&self) -> Needs {
        Needs { vectors: Vectors::One, linear: true }
    }
}

impl DeepFmConfig {
    /// Weights as [`MlpConfig::init`] draws them; the bias starts from zero.
    pub fn init(&self, shape: Shape, parameters: &Parameters) -> DeepFm {
        let Shape { fields, dim } = shape;
        let mlp = MlpConfig { units: &self.mlp, dropout: self.dropout, batch_norm: self.batch_norm };
        DeepFm { bias: parameters.zeros("bias", [1]), mlp: mlp.init("mlp", fields * dim, parameters) }
    }
}

/// `logit = FM + MLP(concatenation of all vectors)` (equations 1 to 4).
#[derive(Module, Debug)]
pub struct DeepFm {
    bias: Param<Tensor<1>>,
    mlp: Mlp,
}

impl DeepFm {
    /// # Shapes
    /// - returns: `[batch]`
    pub fn forward(&self, embedded: &Embedded) -> Tensor<1> {
        let pairs = pairwise_dot(embedded.feature_vectors());
        let deep = self.mlp.forward(embedded.concatenation());
        embedded.linear_sum() + pairs + deep + self.bias.val()
    }
}
