//! Logistic regression: a weight a feature and a bias.

use burn::{
    module::{Module, Param},
    tensor::Tensor,
};
use serde::{Deserialize, Serialize};

use super::{Embedded, Needs, Parameters, Shape};

/// `[model.lr]`; it has no keys.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LrConfig {}

impl LrConfig {
    #[expect(clippy::unused_self, reason = "every model's config answers in the same way")]
    pub(super) fn needs(&self) -> Needs {
        Needs { vectors: false, linear: true }
    }

    /// The bias starts from zero.
    #[expect(clippy::unused_self, reason = "every model's config answers in the same way")]
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
    pub fn forward(&self, embedded: Embedded) -> Tensor<1> {
        embedded.linear_sum() + self.bias.val()
    }
}
