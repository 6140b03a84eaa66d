//! NFM: a multi-layer perceptron on the pooled products of all pairs.
//!
//! He and Chua 2017, arXiv 1708.05027, equations 1 to 7. The paper drops shares of the pooled products too; ours drops
//! shares of the hidden layers alone, and its batch norm, there on the pooled products as well, is on those layers.

use burn::{
    module::{Module, Param},
    tensor::Tensor,
};
use serde::{Deserialize, Serialize};

use super::{Embedded, Needs, Parameters, Settings, Shape, Vectors, counts};
use crate::{
    layers::{
        mlp::{Mlp, MlpConfig},
        pairwise::pairwise_sum,
    },
    ranges::{Count, Share},
};

/// `[model.nfm]`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct NfmConfig {
    /// Units of the hidden layers. Default `[400, 400, 400]`.
    pub mlp: Vec<Count>,
    /// The share of hidden units dropped in training. Default: none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dropout: Option<Share>,
    /// Whether hidden layers are normalized over the batch, before ReLU. Default false.
    pub batch_norm: bool,
}

impl Default for NfmConfig {
    fn default() -> Self {
        Self { mlp: counts(400, 3), dropout: None, batch_norm: false }
    }
}

impl Settings for NfmConfig {
    fn needs(&self) -> Needs {
        Needs { vectors: Vectors::One, linear: true }
    }
}

impl NfmConfig {
    /// Weights as [`MlpConfig::init`] draws them; the bias starts from zero.
    pub fn init(&self, shape: Shape, parameters: &Parameters) -> Nfm {
        let mlp = MlpConfig { units: &self.mlp, dropout: self.dropout, batch_norm: self.batch_norm };
        Nfm { bias: parameters.zeros("bias", [1]), mlp: mlp.init("mlp", shape.dim, parameters) }
    }
}

/// `logit = b + Σ w_i + MLP(½ [(Σ x_i)² − Σ x_i²])`.
#[derive(Module, Debug)]
pub struct Nfm {
    bias: Param<Tensor<1>>,
    mlp: Mlp,
}

impl Nfm {
    /// # Shapes
    /// - returns: `[batch]`
    pub fn forward(&self, embedded: &Embedded) -> Tensor<1> {
        let deep = self.mlp.forward(pairwise_sum(embedded.vectors()));
        embedded.linear_sum() + deep + self.bias.val()
    }
}
