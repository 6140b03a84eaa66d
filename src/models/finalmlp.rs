//! FinalMLP: two multi-layer perceptrons, fused by a bilinear product of heads.
//!
//! Mao et al. 2023, arXiv 2304.00902. `gate` is the paper's stream-specific feature selection in the form that needs no
//! chosen context fields: each gate reads a learned constant.

use burn::{
    module::{Module, Param},
    nn::Linear,
    tensor::{Tensor, activation},
};
use serde::{Deserialize, Serialize};

use super::{Embedded, Needs, Parameters, Settings, Shape, Vectors, count, counts};
use crate::{
    layers::mlp::{MlpBody, MlpConfig},
    ranges::{Count, Share},
};

/// `[model.finalmlp]`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct FinalMlpConfig {
    /// Units of the first stream's layers. Default `[400, 400, 400]`.
    pub first: Vec<Count>,
    /// Units of the second stream's layers. Default `[400]`.
    pub second: Vec<Count>,
    /// Heads of the bilinear product; they divide the last units of both streams. Default 10.
    pub heads: Count,
    /// Units of the hidden layers of each stream's gate on the vectors. Default: no gates.
    pub gate: Vec<Count>,
    /// The share of the streams' units dropped in training. Default: none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dropout: Option<Share>,
    /// Whether the streams' layers are normalized over the batch, before ReLU. Default false.
    pub batch_norm: bool,
}

impl Default for FinalMlpConfig {
    fn default() -> Self {
        Self {
            first: counts(400, 3),
            second: counts(400, 1),
            heads: count(10),
            gate: Vec::new(),
            dropout: None,
            batch_norm: false,
        }
    }
}

impl Settings for FinalMlpConfig {
    fn needs(&self) -> Needs {
        Needs { vectors: Vectors::One, linear: false }
    }

    fn check(&self, _dim: usize) -> Result<(), String> {
        for (key, units) in [("first", &self.first), ("second", &self.second)] {
            let heads = self.heads.get();
            match units.last().map(|units| units.get()) {
                None => return Err(format!("`model.finalmlp.{key}`: expected at least one layer, found none")),
                Some(last) if !last.is_multiple_of(heads) => {
                    return Err(format!(
                        "`model.finalmlp.{key}`: expected the last layer to be a multiple of `model.finalmlp.heads` \
                         {heads}, found {last}"
                    ));
                }
                Some(_) => {}
            }
        }
        Ok(())
    }
}

impl FinalMlpConfig {
    /// Weights as [`MlpConfig::init`] and [`Parameters::head`] draw them; the bilinear product's from
    /// `N(0, 2 / (sum of a head's sizes))`, the gates' constants from `N(0, 1 / dim)`, biases zero.
    pub fn init(&self, shape: Shape, parameters: &Parameters) -> FinalMlp {
        let width = shape.fields * shape.dim;
        let stream = |units| MlpConfig { units, dropout: self.dropout, batch_norm: self.batch_norm };
        let (first, second) = (stream(&self.first), stream(&self.second));
        let heads = self.heads.get();
        let (first_width, second_width) = (first.width(width), second.width(width));
        let [first_size, second_size] = [first_width / heads, second_width / heads];
        let deviation = (2.0 / (first_size + second_size) as f64).sqrt();
        let gate = |name: &str| (!self.gate.is_empty()).then(|| self.init_gate(name, shape, parameters));
        FinalMlp {
            gate1: gate("gate1"),
            gate2: gate("gate2"),
            first: first.init_body("first", width, parameters),
            second: second.init_body("second", width, parameters),
            first_head: parameters.head("first_head", first_width),
            second_head: parameters.head("second_head", second_width),
            bilinear: parameters.normal("bilinear", [heads, first_size, second_size], deviation),
            bias: parameters.zeros("bias", [1]),
        }
    }

    fn init_gate(&self, name: &str, shape: Shape, parameters: &Parameters) -> Gate {
        let Shape { fields, dim } = shape;
        let hidden = MlpConfig { units: &self.gate, dropout: None, batch_norm: false };
        Gate {
            context: parameters.normal(&format!("{name}.context"), [dim], (1.0 / dim as f64).sqrt()),
            body: hidden.init_body(name, dim, parameters),
            output: parameters.linear(&format!("{name}.output"), [hidden.width(dim), fields * dim]),
        }
    }
}

/// `logit = b + o₁ w₁ + o₂ w₂ + Σ_h o₁ₕᵀ W_h o₂ₕ`, with `o₁` and `o₂` of the two streams on (gated) vectors.
#[derive(Module, Debug)]
pub struct FinalMlp {
    gate1: Option<Gate>,
    gate2: Option<Gate>,
    first: MlpBody,
    second: MlpBody,
    first_head: Param<Tensor<2>>,
    second_head: Param<Tensor<2>>,
    /// `W`: `[heads, first units / heads, second units / heads]`
    bilinear: Param<Tensor<3>>,
    bias: Param<Tensor<1>>,
}

impl FinalMlp {
    /// # Shapes
    /// - returns: `[batch]`
    pub fn forward(&self, embedded: &Embedded) -> Tensor<1> {
        const UNITS: usize = 1;
        let gated = |gate: Option<&Gate>| match gate {
            Some(gate) => embedded.concatenation() * gate.forward(),
            None => embedded.concatenation(),
        };
        let first = self.first.forward(gated(self.gate1.as_ref()));
        let second = self.second.forward(gated(self.gate2.as_ref()));
        let linear = first.clone().matmul(self.first_head.val()) + second.clone().matmul(self.second_head.val());
        linear.squeeze_dim::<1>(UNITS) + self.fuse(first, second) + self.bias.val()
    }

    /// `Σ_h o₁ₕᵀ W_h o₂ₕ`.
    ///
    /// # Shapes
    /// - first, second: `[batch, units]` of the streams
    /// - returns: `[batch]`
    fn fuse(&self, first: Tensor<2>, second: Tensor<2>) -> Tensor<1> {
        const HEADS: usize = 0;
        const UNITS: usize = 2;
        let [batch, _] = first.dims();
        let [heads, first_size, second_size] = self.bilinear.dims();
        let first = first.reshape([batch, heads, first_size]).swap_dims(0, 1);
        let second = second.reshape([batch, heads, second_size]).swap_dims(0, 1);
        let products = first.matmul(self.bilinear.val()) * second;
        products.sum_dim(UNITS).sum_dim(HEADS).reshape([batch])
    }
}

/// `2 σ(G)`, with `G` an MLP's output for a learned constant: factors of all vectors' numbers.
#[derive(Module, Debug)]
struct Gate {
    /// `[dim]`
    context: Param<Tensor<1>>,
    body: MlpBody,
    /// To `fields * dim` numbers.
    output: Linear,
}

impl Gate {
    /// # Shapes
    /// - returns: `[1, fields * dim]`
    fn forward(&self) -> Tensor<2> {
        let hidden = self.body.forward(self.context.val().unsqueeze());
        activation::sigmoid(self.output.forward(hidden)).mul_scalar(2.0)
    }
}
