//! The row-wise update rules.

use super::{EmbeddingConfig, RowOptimizer};

const BETA_1: f32 = 0.9;
const BETA_2: f32 = 0.999;
const ADAM_EPSILON: f32 = 1e-8;
const ADAGRAD_EPSILON: f32 = 1e-10;
const FTRL_BETA: f32 = 1.0;

/// When in the training an update is made.
#[derive(Clone, Copy, Debug)]
pub struct Moment {
    /// From 1.
    pub step: u64,
    /// The schedule's.
    pub rate_factor: f64,
    /// Rows whose gradients are averaged in a step.
    pub batch_size: usize,
}

/// The numbers of one step's updates.
#[derive(Clone, Copy, Debug)]
pub struct RowStep {
    pub(super) optimizer: RowOptimizer,
    learning_rate: f32,
    pub(super) l2: f32,
    /// `η / (1 − β₁ᵗ)`.
    adam_rate: f32,
    /// `1 / √(1 − β₂ᵗ)`.
    adam_scale: f32,
    adam_epsilon: f32,
    pub(super) weight_decay: f32,
    adagrad_start: f32,
    /// From 1.
    pub(super) step: u32,
}

impl RowStep {
    /// What holds for one table.
    #[expect(clippy::cast_possible_truncation, reason = "weights are f32")]
    pub fn new(config: &EmbeddingConfig, moment: Moment) -> Self {
        let Moment { step, rate_factor, batch_size } = moment;
        let learning_rate = config.learning_rate.value() * rate_factor;
        let power = |beta: f32| f64::from(beta).powf(step as f64);
        Self {
            optimizer: config.optimizer,
            learning_rate: learning_rate as f32,
            l2: config.l2.value() as f32,
            adam_rate: (learning_rate / (1.0 - power(BETA_1))) as f32,
            adam_scale: (1.0 / (1.0 - power(BETA_2)).sqrt()) as f32,
            // as PyTorch: SparseAdam adds ε before the correction, Adam after it
            adam_epsilon: match config.optimizer {
                RowOptimizer::Adam => (f64::from(ADAM_EPSILON) / (1.0 - power(BETA_2)).sqrt()) as f32,
                _ => ADAM_EPSILON,
            },
            weight_decay: config.weight_decay.value() as f32,
            adagrad_start: (config.initial_accumulator.value() / (batch_size as f64).powi(2)) as f32,
            step: u32::try_from(step).unwrap_or(u32::MAX),
        }
    }

    /// Shrinks a row as `steps` steps without a gradient do.
    #[inline]
    pub(super) fn decay(&self, row: &mut [f32], dim: usize, steps: u32) {
        let steps = i32::try_from(steps).unwrap_or(i32::MAX);
        let (weights, moments) = row.split_at_mut(dim);
        if self.optimizer == RowOptimizer::Adagrad {
            // a weight that no gradient ever moved has no rate yet
            let moved = weights.iter_mut().zip(moments).filter(|(_, sum)| **sum + self.adagrad_start > 0.0);
            for (weight, sum) in moved {
                let rate = self.learning_rate / ((*sum + self.adagrad_start).sqrt() + ADAGRAD_EPSILON);
                *weight /= (1.0 + rate * self.weight_decay).powi(steps);
            }
        } else {
            let factor = (1.0 + self.learning_rate * self.weight_decay).powi(steps).recip();
            for weight in weights {
                *weight *= factor;
            }
        }
    }

    /// Updates one row, laid out as `[weights | first moment | second moment]` of `gradient.len()` numbers each.
    #[inline]
    pub(super) fn update(&self, row: &mut [f32], gradient: &[f32]) {
        let (weights, moments) = row.split_at_mut(gradient.len());
        match self.optimizer {
            RowOptimizer::Sgd => self.sgd(weights, gradient),
            RowOptimizer::Adagrad => self.adagrad(weights, moments, gradient),
            RowOptimizer::Adam | RowOptimizer::DenseAdam => self.adam(weights, moments, gradient),
            RowOptimizer::Ftrl => self.ftrl(weights, moments, gradient),
        }
    }

    #[inline]
    fn sgd(&self, weights: &mut [f32], gradient: &[f32]) {
        for (weight, gradient) in weights.iter_mut().zip(gradient) {
            *weight -= self.learning_rate * (gradient + self.l2 * *weight);
        }
    }

    #[inline]
    fn adagrad(&self, weights: &mut [f32], sums: &mut [f32], gradient: &[f32]) {
        for ((weight, sum), gradient) in weights.iter_mut().zip(sums).zip(gradient) {
            let gradient = gradient + self.l2 * *weight;
            *sum += gradient * gradient;
            *weight -= self.learning_rate * gradient / ((*sum + self.adagrad_start).sqrt() + ADAGRAD_EPSILON);
        }
    }

    #[inline]
    fn adam(&self, weights: &mut [f32], moments: &mut [f32], gradient: &[f32]) {
        let (firsts, seconds) = moments.split_at_mut(gradient.len());
        for (((weight, first), second), gradient) in weights.iter_mut().zip(firsts).zip(seconds).zip(gradient) {
            let gradient = gradient + self.l2 * *weight;
            *first += (1.0 - BETA_1) * (gradient - *first);
            *second += (1.0 - BETA_2) * (gradient * gradient - *second);
            *weight -= self.adam_rate * *first / (second.sqrt() * self.adam_scale + self.adam_epsilon);
        }
    }

    /// `z` starts so that the weight's own start is the proximal point: `w = −z · α / (β + √n)`.
    #[inline]
    fn ftrl(&self, weights: &mut [f32], moments: &mut [f32], gradient: &[f32]) {
        let (sums, squares) = moments.split_at_mut(gradient.len());
        for (((weight, sum), square), gradient) in weights.iter_mut().zip(sums).zip(squares).zip(gradient) {
            let gradient = gradient + self.l2 * *weight;
            if *square == 0.0 {
                *sum = -*weight * FTRL_BETA / self.learning_rate;
            }
            let next = *square + gradient * gradient;
            let sigma = (next.sqrt() - square.sqrt()) / self.learning_rate;
            *sum += gradient - sigma * *weight;
            *square = next;
            *weight = -*sum * self.learning_rate / (FTRL_BETA + next.sqrt());
        }
    }
}
