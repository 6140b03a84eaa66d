//! Factorization machine of order two.
//!
//! Rendle, ICDM 2010.

use burn::{
    module::{Module, Param},
    tensor::Tensor,
};
use serde::{Deserialize, Serialize};

use super::{Embedded, Needs, Parameters, Settings, Shape, Vectors, pairs::pairwise_dot};

/// `[model.fm]`; it has no keys.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FmConfig {}

impl Settings for FmConfig {
    fn needs(&self) -> Needs {
        Needs { vectors: Vectors::One, linear: true }
    }
}

impl FmConfig {
    /// The bias starts from zero.
    pub fn init(&self, _shape: Shape, parameters: &Parameters) -> Fm {
        Fm { bias: parameters.zeros("bias", [1]) }
    }
}

/// `logit = b + Σ w_i + Σ_{i<j} <x_i, x_j>` (equation 1).
#[derive(Module, Debug)]
pub struct Fm {
    bias: Param<Tensor<1>>,
}

impl Fm {
    /// # Shapes
    /// - returns: `[batch]`
    pub fn forward(&self, embedded: &Embedded) -> Tensor<1> {
        let pairs = pairwise_dot(embedded.feature_vectors());
        embedded.linear_sum() + pairs + self.bias.val()
    }
}
