//! DeepFM: a factorization machine and a multi-layer perceptron that share their vectors.
//!
//! Guo et al. 2017, arXiv 1703.04247. Ours has ReLU in the hidden layers and dropout behind each, as the paper chose.

use burn::{
    module::{Module, Param},
    tensor::Tensor,
};
use serde::{Deserialize, Serialize};

use super::{Embedded, Needs, Parameters, Shape};
use crate::{
    layers::{mlp::Mlp, pairwise::pairwise_dot},
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
}

impl Default for DeepFmConfig {
    fn default() -> Self {
        let units = Count::new(400).expect("400 is above 0");
        Self { mlp: vec![units; 3], dropout: None }
    }
}

impl DeepFmConfig {
    #[expect(clippy::unused_self, reason = "every model's config answers in the same way")]
    pub(super) fn needs(&self) -> Needs {
        Needs { vectors: true, linear: true }
    }

    /// Weights as [`Mlp::init`] draws them; the bias starts from zero.
    pub fn init(&self, shape: Shape, parameters: &Parameters) -> DeepFm {
        let Shape { fields, dim } = shape;
        let hidden: Vec<usize> = self.mlp.iter().map(|units| units.get()).collect();
        let dropout = self.dropout.map_or(0.0, Share::value);
        DeepFm { bias: parameters.zeros("bias", [1]), mlp: Mlp::init(fields * dim, &hidden, dropout, parameters) }
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
    pub fn forward(&self, embedded: Embedded) -> Tensor<1> {
        let vectors = embedded.vectors();
        let [batch, fields, dim] = vectors.dims();
        let pairs = pairwise_dot(vectors.clone());
        let deep = self.mlp.forward(vectors.reshape([batch, fields * dim]));
        embedded.linear_sum() + pairs + deep + self.bias.val()
    }
}
