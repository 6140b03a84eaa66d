//! `[embedding]` of the config.

use serde::{Deserialize, Serialize};

use super::{Needs, Shape};
use crate::ranges::{Count, NonNegative, Positive};

/// Size, start and optimizer of the table.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct EmbeddingConfig {
    /// Numbers a vector. Default 16.
    pub dim: Count,
    /// Standard deviation of the vectors' start. Default 0.01.
    pub init_std: NonNegative,
    /// The rule that updates the rows. Default `"adagrad"`.
    pub optimizer: RowOptimizer,
    /// Default 0.05, which suits Adagrad; Adam wants about 1e-3.
    pub learning_rate: Positive,
    /// `λ` of `λ/2 · ‖w‖²`, added to the gradient of the rows that a batch touches (of every row for `"dense-adam"`).
    /// Default 0.
    pub l2: NonNegative,
}

impl Default for EmbeddingConfig {
    fn default() -> Self {
        Self {
            dim: Count::new(16).expect("16 is above 0"),
            init_std: NonNegative::new(0.01).expect("0.01 is not negative"),
            optimizer: RowOptimizer::Adagrad,
            learning_rate: Positive::new(0.05).expect("0.05 is above 0"),
            l2: NonNegative::new(0.0).expect("0 is not negative"),
        }
    }
}

impl EmbeddingConfig {
    /// The bytes of one id of `fields` fields in the tables that a model needs: weights and the moments beside them.
    pub fn row_bytes(&self, needs: Needs, fields: usize) -> usize {
        let shape = Shape { fields, dim: self.dim.get() };
        let numbers = needs.vectors.width(shape) + usize::from(needs.linear);
        numbers * (1 + self.optimizer.moments()) * size_of::<f32>()
    }
}

/// How a row moves along its gradient. All but [`Self::DenseAdam`] touch the batch's rows alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RowOptimizer {
    /// Duchi et al. 2011: `s += g²; w −= η g / (√s + 1e-10)`.
    Adagrad,
    /// Kingma and Ba 2015, lazily: moments of untouched rows rest; bias corrected by the run's steps.
    Adam,
    /// McMahan et al. 2013, algorithm 1, with `α` the learning rate, `β` 1 and no `λ₁`, `λ₂`.
    Ftrl,
    /// `w −= η g`.
    Sgd,
    /// Adam as in the textbook: every row, every step. Slow; for comparison.
    DenseAdam,
}

impl RowOptimizer {
    /// Numbers kept beside each weight.
    pub const fn moments(self) -> usize {
        match self {
            Self::Sgd => 0,
            Self::Adagrad => 1,
            Self::Adam | Self::Ftrl | Self::DenseAdam => 2,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::embedding::Vectors;

    #[test]
    fn a_row_holds_a_vector_for_each_partner_where_the_model_needs_it() {
        let bytes = |vectors| EmbeddingConfig::default().row_bytes(Needs { vectors, linear: true }, 39);
        // a weight and Adagrad's moment, 4 bytes each
        assert_eq!(bytes(Vectors::None), 8);
        assert_eq!(bytes(Vectors::One), (16 + 1) * 8);
        assert_eq!(bytes(Vectors::APartner), (39 * 16 + 1) * 8);
    }
}
