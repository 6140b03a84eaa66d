//! Logistic regression: a weight a feature and a bias.

use burn::{
    module::{Module, Param},
    tensor::Tensor,
};
use serde::{Deserialize, Serialize};

use super::{Embedded, Needs, Parameters, Settings, Shape, Vectors};

/// `[model.lr]`; it has no keys.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LrConfig {}

impl Settings for LrConfig {
    fn needs(&self) -> Needs {
        Needs { vectors: Vectors::None, linear: true }
    }
}

impl LrConfig {
    /// The bias starts from zero.
    pub fn init(&self, _shape: Shape, parameters: &Parameters) -> Lr {
        Lr { bias: parameters.zeros("bias", [1]) }
    }
}

/// `logit = b + Σ w_i`.
#[derive(Module, Debug)]
pub struct Lr {
    bias: Param<Tensor<1>>,
}

impl Lr {
    /// # Shapes
    /// - returns: `[batch]`
    pub fn forward(&self, embedded: &Embedded) -> Tensor<1> {
        embedded.linear_sum() + self.bias.val()
    }
}
