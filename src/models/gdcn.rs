//! GDCN: DCNv2's cross layers with a gate that decides how much of each crossing passes.
//!
//! Wang et al. 2023, arXiv 2311.04635; without the paper's field-level compression of the dimensions.

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

/// `[model.gdcn]`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct GdcnConfig {
    /// Number of gated cross layers. Default 3.
    pub layers: Count,
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

impl Default for GdcnConfig {
    fn default() -> Self {
        let structure = Structure::default();
        Self { layers: count(3), structure, mlp: counts(400, 3), dropout: None, batch_norm: false }
    }
}

impl Settings for GdcnConfig {
    fn needs(&self) -> Needs {
        Needs { vectors: Vectors::One, linear: false }
    }
}

impl GdcnConfig {
    /// Weights as [`CrossNetworkConfig::init`] draws them.
    pub fn init(&self, shape: Shape, parameters: &Parameters) -> Gdcn {
        let mlp = MlpConfig { units: &self.mlp, dropout: self.dropout, batch_norm: self.batch_norm };
        let (layers, structure) = (self.layers.get(), self.structure);
        let network = CrossNetworkConfig { layers, rank: None, structure, gated: true, mlp };
        Gdcn { network: network.init(shape.fields * shape.dim, parameters) }
    }
}

/// `x_{l+1} = x_0 ⊙ (x_l W + b) ⊙ σ(x_l W_g) + x_l` from `x_0`, the concatenation of all vectors; a head reads `x_L`
/// and the MLP.
#[derive(Module, Debug)]
pub struct Gdcn {
    network: CrossNetwork,
}

impl Gdcn {
    /// # Shapes
    /// - returns: `[batch]`
    pub fn forward(&self, embedded: &Embedded) -> Tensor<1> {
        self.network.forward(embedded.concatenation())
    }
}
