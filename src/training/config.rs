//! `[training]` of the config.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use super::Schedule;
use crate::{
    device::DeviceName,
    metrics::MetricName,
    ranges::{Count, NonNegative, Portion, Positive},
    seed::Seed,
};

/// How long, how fast and where.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TrainingConfig {
    /// All randomness follows from it. Default 2019.
    pub seed: Seed,
    /// Passes over the training rows. Default 1.
    pub epochs: Count,
    /// Rows a step. Default 1024.
    pub batch_size: Count,
    /// Of the training rows with label 0 an epoch sees only this share, in each epoch another one; all probabilities are
    /// corrected for it. A batch is of `batch_size` rows before. Default 1.
    pub negative_share: Portion,
    /// The rule that updates the dense weights. Default `"adam"`.
    pub optimizer: DenseOptimizer,
    /// Of the dense weights. Default 1e-3.
    pub learning_rate: Positive,
    /// Gradients of a step, dense and table together, are scaled down to this L2 norm; 0 leaves them. Default 10.
    pub clip_norm: NonNegative,
    /// How both learning rates change. Default `"constant"`.
    pub schedule: Schedule,
    /// Which metric of the validation part decides on the best checkpoint and on the end.
    /// Default `{ metric = "logloss", patience = 2 }`.
    pub early_stop: EarlyStop,
    /// `"epoch"` (default), or a number of steps; each epoch's end is evaluated in any case.
    pub evaluate_every: EvaluateEvery,
    /// Minutes between checkpoints within an epoch, for `--resume`. Default 10.
    pub checkpoint_minutes: Positive,
    /// Default `"auto"`.
    pub device: DeviceName,
}

impl Default for TrainingConfig {
    fn default() -> Self {
        Self {
            seed: Seed(2019),
            epochs: Count::new(1).expect("1 is above 0"),
            batch_size: Count::new(1024).expect("1024 is above 0"),
            negative_share: Portion::WHOLE,
            optimizer: DenseOptimizer::default(),
            learning_rate: Positive::new(1e-3).expect("1e-3 is above 0"),
            clip_norm: NonNegative::new(10.0).expect("10 is not negative"),
            schedule: Schedule::default(),
            early_stop: EarlyStop::default(),
            evaluate_every: EvaluateEvery::default(),
            checkpoint_minutes: Positive::new(10.0).expect("10 is above 0"),
            device: DeviceName::default(),
        }
    }
}

impl TrainingConfig {
    /// What is added to the logits of a model that saw a share `w` of the negative rows, whose odds are `1/w` times too high:
    /// `ln w` (He et al. 2014, "Practical lessons from predicting clicks on ads at Facebook", section 6.3).
    pub fn logit_offset(&self) -> f32 {
        #[expect(clippy::cast_possible_truncation, reason = "logits are f32")]
        let offset = self.negative_share.value().ln() as f32;
        offset
    }
}

/// The optimizer of the dense weights.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum DenseOptimizer {
    /// Kingma and Ba 2015, with ε 1e-8.
    #[default]
    Adam,
    /// Duchi et al. 2011, with ε 1e-10.
    Adagrad,
    /// Plain stochastic gradient descent.
    Sgd,
}

/// Stops when a metric hasn't gained for too long.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct EarlyStop {
    /// A metric of the validation part; each knows its direction. Default `"logloss"`.
    pub metric: MetricName,
    /// Evaluations in a row without gain that are borne; one more ends the training. Default 2.
    pub patience: usize,
}

impl Default for EarlyStop {
    fn default() -> Self {
        Self { metric: MetricName::Logloss, patience: 2 }
    }
}

/// When the validation part is evaluated.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum EvaluateEvery {
    /// At the end of each epoch.
    #[default]
    Epoch,
    /// Every so many steps, and at the end of each epoch.
    Steps(usize),
}

impl Serialize for EvaluateEvery {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Epoch => serializer.serialize_str("epoch"),
            Self::Steps(steps) => serializer.serialize_u64(*steps as u64),
        }
    }
}

impl<'de> Deserialize<'de> for EvaluateEvery {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(EvaluateEveryVisitor)
    }
}

struct EvaluateEveryVisitor;

impl de::Visitor<'_> for EvaluateEveryVisitor {
    type Value = EvaluateEvery;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("`\"epoch\"` or a number of steps above 0")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<EvaluateEvery, E> {
        match text {
            "epoch" => Ok(EvaluateEvery::Epoch),
            _ => Err(E::invalid_value(de::Unexpected::Str(text), &self)),
        }
    }

    fn visit_i64<E: de::Error>(self, steps: i64) -> Result<EvaluateEvery, E> {
        match usize::try_from(steps) {
            Ok(steps) if steps > 0 => Ok(EvaluateEvery::Steps(steps)),
            _ => Err(E::invalid_value(de::Unexpected::Signed(steps), &self)),
        }
    }

    fn visit_u64<E: de::Error>(self, steps: u64) -> Result<EvaluateEvery, E> {
        self.visit_i64(i64::try_from(steps).unwrap_or(-1))
    }
}
