//! Layer normalization: a row standardized over its own units.
//!
//! Ba et al. 2016, arXiv 1607.06450.

use burn::{
    module::{Module, Param},
    tensor::Tensor,
};

use super::parameters::Parameters;

const EPSILON: f64 = 1e-5;

/// `standardize(x) ⊙ γ + β`.
#[derive(Module, Debug)]
pub struct LayerNorm {
    gamma: Param<Tensor<1>>,
    beta: Param<Tensor<1>>,
}

impl LayerNorm {
    /// `γ` starts from one, `β` from zero.
    pub fn init(name: &str, units: usize, parameters: &Parameters) -> Self {
        Self {
            gamma: parameters.constant(&format!("{name}.gamma"), [units], 1.0),
            beta: parameters.zeros(&format!("{name}.beta"), [units]),
        }
    }

    /// # Shapes
    /// - input: `[batch, units]`
    /// - returns: `[batch, units]`
    pub fn forward(&self, input: Tensor<2>) -> Tensor<2> {
        standardize(input) * self.gamma.val().unsqueeze::<2>() + self.beta.val().unsqueeze::<2>()
    }
}

/// `(x − mean) / √(variance + 1e-5)` over the last axis, with the biased variance.
pub fn standardize<const D: usize>(input: Tensor<D>) -> Tensor<D> {
    let last = D - 1;
    let centered = input.clone() - input.mean_dim(last);
    let variance = centered.clone().square().mean_dim(last);
    centered / variance.add_scalar(EPSILON).sqrt()
}
