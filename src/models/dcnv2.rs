//! DCNv2: cross layers with full or low-rank matrices, beside or before a multi-layer perceptron.
//!
//! Wang et al. 2020, arXiv 2008.13535. `rank` gives its matrices of low rank (equation 2), without the mixture of experts.

use burn::{module::Module, tensor::Tensor};
use serde::{Deserialize, Serialize};

use super::{Embedded, Needs, Parameters, Settings, Shape, Vectors, count, counts};
use crate::{
    layers::{
        cross_network::{CrossNetwork, CrossNetworkConfig, Structure},
        mlp::MlpConfig,
    },
    ranges::{Count, Share},
};

/// `[model.dcnv2]`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct DcnV2Config {
    /// Number of cross layers. Default 3.
    pub layers: Count,
    /// The rank of the cross layers' matrices, `W = U Vᵀ`. Default: none, full matrices.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rank: Option<Count>,
    /// `"parallel"` (default): the MLP beside the cross layers; `"stacked"`: behind them.
    pub structure: Structure,
    /// Units of the MLP's hidden layers. Default `[400, 400, 400]`; `[]` leaves the cross layers alone.
    pub mlp: Vec<Count>,
    /// The share of hidden units dropped in training. Default: none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dropout: Option<Share>,
    /// Whether hidden layers are normalized over the batch, before ReLU. Default false.
    pub batch_norm: bool,
}

impl Default for DcnV2Config {
    fn default() -> Self {
        let structure = Structure::default();
        Self { layers: count(3), rank: None, structure, mlp: counts(400, 3), dropout: None, batch_norm: false }
    }
}

impl Settings for DcnV2Config {
    fn needs(&self) -> Needs {
        Needs { vectors: Vectors::One, linear: false }
    }
}

impl DcnV2Config {
    /// Weights as [`CrossNetworkConfig::init`] draws them.
    pub fn init(&self, shape: Shape, parameters: &Parameters) -> DcnV2 {
        let mlp = MlpConfig { units: &self.mlp, dropout: self.dropout, batch_norm: self.batch_norm };
        let (layers, structure) = (self.layers.get(), self.structure);
        let rank = self.rank.map(Count::get);
        let network = CrossNetworkConfig { layers, rank, structure, gated: false, mlp };
        DcnV2 { network: network.init(shape.fields * shape.dim, parameters) }
    }
}

/// `x_{l+1} = x_0 ⊙ (x_l W + b) + x_l` from `x_0`, the concatenation of all vectors, with `W = V Uᵀ` (for rows: the transpose) where a
/// rank is given; a head reads `x_L` and the MLP.
#[derive(Module, Debug)]
pub struct DcnV2 {
    network: CrossNetwork,
}

impl DcnV2 {
    /// # Shapes
    /// - returns: `[batch]`
    pub fn forward(&self, embedded: &Embedded) -> Tensor<1> {
        self.network.forward(embedded.concatenation())
    }
}
