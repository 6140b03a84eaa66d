//! `[embedding]` of the config.

use std::{collections::BTreeMap, path::PathBuf};

use serde::{Deserialize, Serialize};

use super::{Needs, Shape, Storage};
use crate::ranges::{Count, NonNegative, Positive};

const ZERO: NonNegative = NonNegative::ZERO;

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
    /// How all tables stand in memory. Default `"f32"`.
    pub storage: Storage,
    /// Default 0.05, which suits Adagrad; Adam wants about 1e-3.
    pub learning_rate: Positive,
    /// `λ` of `λ/2 · ‖w‖²`, added to the gradient of the rows that a batch touches (of every row for `"dense-adam"`).
    /// Default 0.
    pub l2: NonNegative,
    /// `λ` of the decay that every row takes at each step, apart from its gradient: `w ← w / (1 + r λ)`, `r` the rate that
    /// the optimizer has for this weight by then: `η / (√s + ε)` for Adagrad, `η` for the others. So an id weighs
    /// its rows against `λ/2 · ‖w‖²` of the whole set, however rare it is. A row takes what it missed when a batch
    /// touches it next and before an evaluation; one that no gradient ever moved keeps its start. Not for FTRL. Default 0.
    pub weight_decay: NonNegative,
    /// What Adagrad's accumulators start from, as the square of one row's gradient; the gradients that they add up are
    /// means over a batch, so it is divided by `training.batch_size` squared. Default 0.
    pub initial_accumulator: NonNegative,
    /// `[embedding.dims]`: fields whose vectors have fewer numbers, by their names; the rest of `dim` is 0 and takes memory,
    /// since models combine vectors of one size. Default: none.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub dims: BTreeMap<String, Count>,
    /// `[embedding.pretrained.FIELD]`: vectors that a field's values start from. Default: none.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub pretrained: BTreeMap<String, PretrainedConfig>,
    /// What first-order weights do in their own way.
    pub linear: LinearConfig,
}

/// `[embedding.pretrained.FIELD]`: vectors that were trained elsewhere, of as many numbers as the field's own.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PretrainedConfig {
    /// An npz, safetensors or Parquet file.
    pub file: PathBuf,
    /// The array, tensor or column of the values. Default `"key"`.
    #[serde(default = "key")]
    pub key: String,
    /// The array, tensor or column of their vectors. Default `"value"`.
    #[serde(default = "value")]
    pub vectors: String,
    /// Whether they stay as they are; values without a vector always learn. Default false.
    #[serde(default)]
    pub frozen: bool,
}

fn key() -> String {
    "key".to_owned()
}

fn value() -> String {
    "value".to_owned()
}

/// `[embedding.linear]`; what isn't given is as for the vectors.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LinearConfig {
    /// Default: `embedding.learning_rate`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub learning_rate: Option<Positive>,
    /// Default: `embedding.l2`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub l2: Option<NonNegative>,
    /// Default: `embedding.weight_decay`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub weight_decay: Option<NonNegative>,
    /// Default: `embedding.initial_accumulator`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub initial_accumulator: Option<NonNegative>,
}

impl Default for EmbeddingConfig {
    fn default() -> Self {
        Self {
            dim: Count::new(16).expect("16 is above 0"),
            init_std: NonNegative::new(0.01).expect("0.01 is not negative"),
            optimizer: RowOptimizer::Adagrad,
            storage: Storage::F32,
            learning_rate: Positive::new(0.05).expect("0.05 is above 0"),
            l2: ZERO,
            weight_decay: ZERO,
            initial_accumulator: ZERO,
            dims: BTreeMap::new(),
            pretrained: BTreeMap::new(),
            linear: LinearConfig::default(),
        }
    }
}

impl EmbeddingConfig {
    /// The bytes of one id of `fields` fields in the tables that a model needs: weights and the moments beside them.
    pub fn row_bytes(&self, needs: Needs, fields: usize) -> usize {
        let shape = Shape { fields, dim: self.dim.get() };
        let (vectors, partners) = (needs.vectors.width(shape), needs.vectors.partners_width(fields));
        let numbers = vectors + usize::from(needs.linear) + partners;
        let tables = [(vectors > 0, self), (needs.linear, &self.for_linear()), (partners > 0, self)];
        let marks = tables.into_iter().filter(|(needed, table)| *needed && table.decays()).count();
        numbers * (1 + self.optimizer.moments()) * self.storage.bytes() + marks * size_of::<u32>()
    }

    /// What holds for first-order weights.
    #[must_use]
    pub fn for_linear(&self) -> Self {
        let LinearConfig { learning_rate, l2, weight_decay, initial_accumulator } = self.linear;
        Self {
            learning_rate: learning_rate.unwrap_or(self.learning_rate),
            l2: l2.unwrap_or(self.l2),
            weight_decay: weight_decay.unwrap_or(self.weight_decay),
            initial_accumulator: initial_accumulator.unwrap_or(self.initial_accumulator),
            ..self.clone()
        }
    }

    /// Whether rows shrink apart from their gradients.
    pub(super) fn decays(&self) -> bool {
        self.weight_decay.value() > 0.0
    }

    /// Holds the keys to the rules between them.
    ///
    /// # Errors
    /// What was expected and found, with the names of both keys.
    pub fn check(&self) -> Result<(), String> {
        const WIDEST: usize = 65_536;
        let dim = self.dim.get();
        if dim > WIDEST {
            return Err(format!("`embedding.dim`: expected a number from 1 to {WIDEST}, found {dim}"));
        }
        if let Some((field, narrow)) = self.dims.iter().find(|(_, narrow)| narrow.get() > dim) {
            let narrow = narrow.get();
            return Err(format!(
                "`embedding.dims.{field}`: expected a number from 1 to `embedding.dim`, {dim}, found {narrow}"
            ));
        }
        let frozen = self.pretrained.iter().find(|(_, pretrained)| pretrained.frozen);
        if let Some((field, _)) = frozen.filter(|_| self.optimizer == RowOptimizer::DenseAdam) {
            return Err(format!(
                "`embedding.pretrained.{field}.frozen`: expected false with `embedding.optimizer = \"dense-adam\"`, which moves \
                 every row; use `\"adam\"`"
            ));
        }
        let decays = self.decays() || self.for_linear().decays();
        if self.optimizer == RowOptimizer::Ftrl && decays {
            return Err(
                "`embedding.weight_decay`: expected 0 with `embedding.optimizer = \"ftrl\"`, whose weights follow \
                        from its sums alone; use `embedding.l2` or another optimizer"
                    .to_owned(),
            );
        }
        Ok(())
    }
}

/// How a row moves along its gradient. All but [`Self::DenseAdam`] touch the batch's rows alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RowOptimizer {
    /// Duchi et al. 2011: `s += g²; w −= η g / (√s + 1e-10)`, `s` from `embedding.initial_accumulator`.
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
    fn keys_that_contradict_each_other_are_refused() {
        let config = |text: &str| toml::from_str::<EmbeddingConfig>(text).unwrap();
        config("optimizer = \"ftrl\"").check().unwrap();
        for (text, key) in [
            ("optimizer = \"ftrl\"\nweight_decay = 1e-5", "embedding.weight_decay"),
            ("optimizer = \"ftrl\"\nlinear = { weight_decay = 1e-5 }", "embedding.weight_decay"),
            ("dim = 4611686018427387", "embedding.dim"),
            ("dim = 8\ndims = { C1 = 9 }", "embedding.dims.C1"),
            ("optimizer = \"dense-adam\"\npretrained.C1 = { file = \"a.npz\", frozen = true }", "pretrained.C1.frozen"),
        ] {
            let message = config(text).check().unwrap_err();
            assert!(message.contains(key) && message.contains("expected"), "{text}: {message}");
        }
    }

    #[test]
    fn first_order_weights_follow_the_vectors_but_for_their_own_keys() {
        let text = "learning_rate = 0.1\nl2 = 1e-3\nweight_decay = 2.0\n[linear]\nweight_decay = 3.0";
        let linear = toml::from_str::<EmbeddingConfig>(text).unwrap().for_linear();
        let found = (linear.learning_rate.value(), linear.l2.value(), linear.weight_decay.value());
        assert_eq!(found, (0.1, 1e-3, 3.0));
    }

    #[test]
    fn a_row_holds_a_vector_for_each_partner_where_the_model_needs_it() {
        let bytes = |vectors| EmbeddingConfig::default().row_bytes(Needs { vectors, linear: true }, 39);
        // a weight and Adagrad's moment, 4 bytes each
        assert_eq!(bytes(Vectors::None), 8);
        assert_eq!(bytes(Vectors::One), (16 + 1) * 8);
        assert_eq!(bytes(Vectors::APartner), (39 * 16 + 1) * 8);
        assert_eq!(bytes(Vectors::OneAndPartners { partner_dim: 4 }), (16 + 1 + 39 * 4) * 8);
        let half = EmbeddingConfig { storage: Storage::Bf16, ..EmbeddingConfig::default() };
        assert_eq!(half.row_bytes(Needs { vectors: Vectors::One, linear: true }, 39), (16 + 1) * 4);
    }
}
