//! SECN, the separation-embedding cross network.
//!
//! Liu et al. 2024, "A Recommendation Model Utilizing Separation Embedding and Self-Attention for Feature Mining",
//! arXiv 2410.15026. Beyond the paper: first-order weights, other products, residuals and activations of the cross
//! layers, and a parallel MLP; `configs/criteo/secn-paper.toml` has the paper's own form.

use burn::{
    module::{Module, Param},
    tensor::Tensor,
};
use serde::{Deserialize, Serialize};

use super::{Embedded, Needs, Parameters, Settings, Shape, Vectors, count};
use crate::{
    layers::{
        attention::{Attention, AttentionConfig},
        cross_stack::{Activation, CrossStack, Form, Product, Residual, Sharing, StackConfig},
        mlp::{Mlp, MlpConfig},
    },
    ranges::{Count, Share},
};

/// `[model.secn]`; the defaults are the paper's form with first-order weights.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SecnConfig {
    /// Number of cross layers; it bounds the order of the interactions. Default 3.
    pub layers: Count,
    /// `"shared"` (default): all dimensions share `W_C` and `W_R`; `"per-dimension"`: each has its own.
    pub weights: Sharing,
    /// `"square"` (default, the paper's) `W_C (H ⊙ H)`; `"gate"` `H ⊙ (W_C H)`; `"base"` `H(0) ⊙ (W_C H)`.
    pub product: Product,
    /// `"weighted"` (default, the paper's) `W_R H`; `"identity"` `H`; `"both"`.
    pub residual: Residual,
    /// `"relu"` (default): after the sum; `"gate-relu"`: inside the product; `"none"`.
    pub activation: Activation,
    /// First-order weights. Default true.
    pub linear: bool,
    /// Multi-head self-attention over the fields of `H(L)`, before the pooling. Default: none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub attention: Option<AttentionConfig>,
    /// Units of a parallel MLP on all vectors. Default: none.
    pub mlp: Vec<Count>,
    /// The share of the MLP's hidden units dropped in training. Default: none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dropout: Option<Share>,
    /// Whether the MLP's hidden layers are normalized over the batch, before ReLU. Default false.
    pub batch_norm: bool,
}

impl Default for SecnConfig {
    fn default() -> Self {
        Self {
            layers: count(3),
            weights: Sharing::default(),
            product: Product::default(),
            residual: Residual::default(),
            activation: Activation::default(),
            linear: true,
            attention: None,
            mlp: Vec::new(),
            dropout: None,
            batch_norm: false,
        }
    }
}

impl Settings for SecnConfig {
    fn needs(&self) -> Needs {
        Needs { vectors: Vectors::One, linear: self.linear }
    }
}

impl SecnConfig {
    /// Weights as [`StackConfig::init`], [`AttentionConfig::init`], [`MlpConfig::init`] and [`Parameters::head`] draw
    /// them.
    pub fn init(&self, shape: Shape, parameters: &Parameters) -> Secn {
        let Shape { fields, dim } = shape;
        let form = Form { product: self.product, activation: self.activation };
        let stack = StackConfig { layers: self.layers.get(), sharing: self.weights, residual: self.residual, form };
        let pooled_dim = self.attention.map_or(dim, |attention| attention.output_dim());
        let mlp = MlpConfig { units: &self.mlp, dropout: self.dropout, batch_norm: self.batch_norm };
        Secn {
            stack: stack.init(fields, dim, parameters),
            attention: self.attention.map(|attention| attention.init("attention", dim, parameters)),
            head: parameters.head("head", pooled_dim),
            bias: parameters.zeros("bias", [1]),
            mlp: (!self.mlp.is_empty()).then(|| mlp.init("mlp", fields * dim, parameters)),
            linear: self.linear,
        }
    }
}

/// `y = g(V · Σ_i h_i(L) + b)`, with `H(L)` of the cross layers (steps 3 to 6); returns the logit before `g`.
#[derive(Module, Debug)]
pub struct Secn {
    stack: CrossStack,
    attention: Option<Attention>,
    /// `V`: `[dim, 1]`.
    head: Param<Tensor<2>>,
    bias: Param<Tensor<1>>,
    mlp: Option<Mlp>,
    linear: bool,
}

impl Secn {
    /// # Shapes
    /// - returns: `[batch]`
    pub fn forward(&self, embedded: &Embedded) -> Tensor<1> {
        const FIELDS: usize = 1;
        let pooled: Tensor<2> = match &self.attention {
            None => self.stack.forward_pooled(embedded.vectors()),
            Some(attention) => {
                attention.forward(self.stack.forward(embedded.vectors())).sum_dim(FIELDS).squeeze_dim(FIELDS)
            }
        };
        let mut logits: Tensor<1> = pooled.matmul(self.head.val()).squeeze_dim(1) + self.bias.val();
        if let Some(mlp) = &self.mlp {
            logits = logits + mlp.forward(embedded.concatenation());
        }
        if self.linear { logits + embedded.linear_sum() } else { logits }
    }
}
