//! MaskNet: layers whose inputs are multiplied by masks that the row's own vectors make.
//!
//! Wang et al. 2021, arXiv 2102.07619. Dropout, which the paper doesn't name, is behind each block and each hidden layer.

use burn::{
    module::{Module, Param},
    nn::{Dropout, Linear},
    tensor::{Tensor, activation},
};
use serde::{Deserialize, Serialize};

use super::{Embedded, Needs, Parameters, Settings, Shape, Vectors, count, counts};
use crate::{
    layers::{
        layer_norm::{LayerNorm, standardize},
        mlp::{Mlp, MlpConfig, dropout},
    },
    ranges::{Count, Share},
};

/// `[model.masknet]`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct MaskNetConfig {
    /// `"parallel"` (default): every block reads the vectors, an MLP the blocks; `"serial"`: each block reads the one
    /// before it, the head the last.
    pub structure: Structure,
    /// Number of mask blocks. Default 3.
    pub blocks: Count,
    /// Units of a block. Default 64.
    pub block_dim: Count,
    /// A mask's hidden units are so many times its block's inputs. Default 2.
    pub reduction: Count,
    /// Units of the hidden layers behind parallel blocks. Default `[400, 400, 400]`; serial blocks have none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mlp: Option<Vec<Count>>,
    /// The share of units dropped in training, behind blocks and hidden layers. Default: none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dropout: Option<Share>,
    /// Whether hidden layers are normalized over the batch, before ReLU. Default false.
    pub batch_norm: bool,
}

/// How the blocks stand to each other.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Structure {
    #[default]
    Parallel,
    Serial,
}

impl Default for MaskNetConfig {
    fn default() -> Self {
        Self {
            structure: Structure::default(),
            blocks: count(3),
            block_dim: count(64),
            reduction: count(2),
            mlp: None,
            dropout: None,
            batch_norm: false,
        }
    }
}

impl Settings for MaskNetConfig {
    fn needs(&self) -> Needs {
        Needs { vectors: Vectors::One, linear: false }
    }

    fn check(&self, _dim: usize) -> Result<(), String> {
        match &self.mlp {
            Some(mlp) if self.structure == Structure::Serial && !mlp.is_empty() => {
                Err("`model.masknet.mlp`: with `model.masknet.structure = \"serial\"` expected none, found some".into())
            }
            _ => Ok(()),
        }
    }
}

impl MaskNetConfig {
    /// Matrices by Glorot's normal, biases zero; norms start as the identity.
    pub fn init(&self, shape: Shape, parameters: &Parameters) -> MaskNet {
        let Shape { fields, dim } = shape;
        let (width, blocks, units) = (fields * dim, self.blocks.get(), self.block_dim.get());
        let is_serial = self.structure == Structure::Serial;
        let block = |index: usize| {
            let input = if is_serial && index > 0 { units } else { width };
            self.init_block(&format!("blocks.{index}"), [width, input], parameters)
        };
        let hidden = if is_serial { Vec::new() } else { self.mlp.clone().unwrap_or_else(|| counts(400, 3)) };
        let mlp = MlpConfig { units: &hidden, dropout: self.dropout, batch_norm: self.batch_norm };
        MaskNet {
            norm: FieldNorm {
                gamma: parameters.constant("norm.gamma", [fields, dim], 1.0),
                beta: parameters.zeros("norm.beta", [fields, dim]),
            },
            blocks: (0..blocks).map(block).collect(),
            mlp: mlp.init("mlp", if is_serial { units } else { blocks * units }, parameters),
            structure: self.structure,
        }
    }

    fn init_block(&self, name: &str, [width, input]: [usize; 2], parameters: &Parameters) -> MaskBlock {
        let (hidden, units) = (self.reduction.get() * input, self.block_dim.get());
        MaskBlock {
            aggregation: parameters.linear(&format!("{name}.aggregation"), [width, hidden]),
            projection: parameters.linear(&format!("{name}.projection"), [hidden, input]),
            weight: parameters.glorot(&format!("{name}.weight"), [input, units]),
            norm: LayerNorm::init(&format!("{name}.norm"), units, parameters),
            dropout: dropout(self.dropout),
        }
    }
}

/// Blocks on the normalized vectors `E`; masks are made of the vectors `V` themselves.
#[derive(Module, Debug)]
pub struct MaskNet {
    norm: FieldNorm,
    blocks: Vec<MaskBlock>,
    /// Without hidden layers it is the serial blocks' head.
    mlp: Mlp,
    #[module(skip)]
    structure: Structure,
}

impl MaskNet {
    /// # Shapes
    /// - returns: `[batch]`
    pub fn forward(&self, embedded: &Embedded) -> Tensor<1> {
        const UNITS: usize = 1;
        let vectors = embedded.concatenation();
        let normed = self.norm.forward(embedded.vectors());
        let blocks = self.blocks.iter();
        let last = match self.structure {
            Structure::Serial => blocks.fold(normed, |hidden, block| block.forward(vectors.clone(), hidden)),
            Structure::Parallel => {
                Tensor::cat(blocks.map(|block| block.forward(vectors.clone(), normed.clone())).collect(), UNITS)
            }
        };
        self.mlp.forward(last)
    }
}

/// `relu(LN((mask ⊙ input) W))` with `mask = relu(V W_a + b_a) W_p + b_p`.
#[derive(Module, Debug)]
struct MaskBlock {
    aggregation: Linear,
    projection: Linear,
    /// `W`: `[input, units]`
    weight: Param<Tensor<2>>,
    norm: LayerNorm,
    dropout: Dropout,
}

impl MaskBlock {
    fn forward(&self, vectors: Tensor<2>, input: Tensor<2>) -> Tensor<2> {
        let mask = self.projection.forward(activation::relu(self.aggregation.forward(vectors)));
        let hidden = self.norm.forward((mask * input).matmul(self.weight.val()));
        self.dropout.forward(activation::relu(hidden))
    }
}

/// Layer normalization of each field's vector, with `γ` and `β` of its own.
#[derive(Module, Debug)]
struct FieldNorm {
    /// `[fields, dim]`
    gamma: Param<Tensor<2>>,
    /// `[fields, dim]`
    beta: Param<Tensor<2>>,
}

impl FieldNorm {
    /// # Shapes
    /// - vectors: `[batch, fields, dim]`
    /// - returns: `[batch, fields * dim]`
    fn forward(&self, vectors: Tensor<3>) -> Tensor<2> {
        let [batch, fields, dim] = vectors.dims();
        let normed = standardize(vectors) * self.gamma.val().unsqueeze::<3>() + self.beta.val().unsqueeze::<3>();
        normed.reshape([batch, fields * dim])
    }
}
