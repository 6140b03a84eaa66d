//! Cross layers on the concatenation of all vectors, with an MLP beside or behind them: DCNv2 and GDCN.
//!
//! Wang et al. 2020, DCN V2, arXiv 2008.13535; the gate is of Wang et al. 2023, GDCN, arXiv 2311.04635.

use burn::{
    module::{Module, Param},
    tensor::{Tensor, activation},
};
use serde::{Deserialize, Serialize};

use super::{
    hidden::linear,
    mlp::{MlpBody, MlpConfig},
    parameters::Parameters,
};

/// Where the MLP stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Structure {
    /// Beside the cross layers; the head reads both.
    #[default]
    Parallel,
    /// Behind the cross layers; the head reads the MLP.
    Stacked,
}

/// What a cross network is built from.
#[derive(Clone, Copy, Debug)]
pub struct CrossNetworkConfig<'a> {
    /// Number of cross layers.
    pub layers: usize,
    /// The rank of their matrices; none: full.
    pub rank: Option<usize>,
    pub structure: Structure,
    /// Whether each layer has GDCN's gate.
    pub gated: bool,
    /// With no units there is no MLP.
    pub mlp: MlpConfig<'a>,
}

/// Cross layers, MLP and head.
#[derive(Module, Debug)]
pub struct CrossNetwork {
    cross: Vec<CrossLayer>,
    mlp: Option<MlpBody>,
    head: Param<Tensor<2>>,
    bias: Param<Tensor<1>>,
    #[module(skip)]
    structure: Structure,
}

impl CrossNetworkConfig<'_> {
    /// Matrices by Glorot's normal, biases zero; the head starts from `U(-1/√n, 1/√n)`.
    pub fn init(&self, width: usize, parameters: &Parameters) -> CrossNetwork {
        let layer = |index: usize| {
            let name = format!("cross.{index}");
            CrossLayer {
                down: self.rank.map(|rank| parameters.glorot(&format!("{name}.down"), [width, rank])),
                weight: parameters.glorot(&format!("{name}.weight"), [self.rank.unwrap_or(width), width]),
                bias: parameters.zeros(&format!("{name}.bias"), [width]),
                gate: self.gated.then(|| parameters.glorot(&format!("{name}.gate"), [width, width])),
            }
        };
        let mlp = (!self.mlp.units.is_empty()).then(|| self.mlp.init_body("mlp", width, parameters));
        let head_width = match (&mlp, self.structure) {
            (None, _) => width,
            (Some(_), Structure::Parallel) => width + self.mlp.width(width),
            (Some(_), Structure::Stacked) => self.mlp.width(width),
        };
        CrossNetwork {
            cross: (0..self.layers).map(layer).collect(),
            mlp,
            head: parameters.head("head", head_width),
            bias: parameters.zeros("bias", [1]),
            structure: self.structure,
        }
    }
}

impl CrossNetwork {
    /// # Shapes
    /// - input: `[batch, width]`
    /// - returns: `[batch]`
    pub fn forward(&self, input: Tensor<2>) -> Tensor<1> {
        const UNITS: usize = 1;
        let crossed = self.cross.iter().fold(input.clone(), |hidden, layer| layer.forward(hidden, input.clone()));
        let last = match (&self.mlp, self.structure) {
            (None, _) => crossed,
            (Some(mlp), Structure::Parallel) => Tensor::cat(vec![crossed, mlp.forward(input)], UNITS),
            (Some(mlp), Structure::Stacked) => mlp.forward(crossed),
        };
        last.matmul(self.head.val()).squeeze_dim::<1>(UNITS) + self.bias.val()
    }
}

/// `x₀ ⊙ (x W + b) + x`, or with a gate `x₀ ⊙ (x W + b) ⊙ σ(x W_g) + x`; of a low rank, `x V W` stands for `x W`, so that `W` is `Uᵀ`.
#[derive(Module, Debug)]
struct CrossLayer {
    /// `V`: `[width, rank]`
    down: Option<Param<Tensor<2>>>,
    /// `[width, width]` or `[rank, width]`
    weight: Param<Tensor<2>>,
    bias: Param<Tensor<1>>,
    /// `W_g`: `[width, width]`
    gate: Option<Param<Tensor<2>>>,
}

impl CrossLayer {
    fn forward(&self, hidden: Tensor<2>, first: Tensor<2>) -> Tensor<2> {
        let given = match &self.down {
            Some(down) => hidden.clone().matmul(down.val()),
            None => hidden.clone(),
        };
        let product = first * linear(given, self.weight.val(), self.bias.val());
        let gated = match &self.gate {
            Some(gate) => product * activation::sigmoid(hidden.clone().matmul(gate.val())),
            None => product,
        };
        gated + hidden
    }
}
