//! Factorization machine of order two.
//!
//! Rendle, ICDM 2010.

use burn::{
    module::{Module, Param},
    tensor::Tensor,
};
use serde::{Deserialize, Serialize};

use super::{Embedded, Needs, Parameters, Shape};
use crate::layers::pairwise::pairwise_dot;

/// `[model.fm]`; it has no keys.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FmConfig {}

impl FmConfig {
    #[expect(clippy::unused_self, reason = "every model's config answers in the same way")]
    pub(super) fn needs(&self) -> Needs {
        Needs { vectors: true, linear: true }
    }

    /// The bias starts from zero.
    #[expect(clippy::unused_self, reason = "every model's config answers in the same way")]
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
    pub fn forward(&self, embedded: Embedded) -> Tensor<1> {
        let pairs = pairwise_dot(embedded.vectors());
        embedded.linear_sum() + pairs + self.bias.val()
    }
}
