//! The row-wise update rules.

#![expect(clippy::inline_always, reason = "only what is inlined is compiled for AVX2, with the loops over rows")]

use std::array;

use super::{EmbeddingConfig, RowOptimizer};

const BETA_1: f32 = 0.9;
const BETA_2: f32 = 0.999;
const ADAM_EPSILON: f32 = 1e-8;
const ADAGRAD_EPSILON: f32 = 1e-10;
const FTRL_BETA: f32 = 1.0;
/// Weights whose decay is computed together.
pub(super) const LANES: usize = 16;

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

    /// Shrinks a row of `dim` weights as `steps` steps without a gradient do.
    #[inline(always)]
    pub(super) fn decay(&self, row: &mut [f32], dim: usize, steps: u32) {
        let (weights, moments) = row.split_at_mut(dim);
        if self.optimizer == RowOptimizer::Adagrad {
            for (weights, sums) in weights.chunks_mut(LANES).zip(moments.chunks(LANES)) {
                self.decay_few(weights, sums, steps);
            }
        } else {
            let steps = i32::try_from(steps).unwrap_or(i32::MAX);
            let factor = (1.0 + self.learning_rate * self.weight_decay).powi(steps).recip();
            for weight in weights {
                *weight *= factor;
            }
        }
    }

    /// As [`Self::decay_lanes`], of at most [`LANES`] weights with the same steps.
    #[inline(always)]
    fn decay_few(&self, weights: &mut [f32], sums: &[f32], steps: u32) {
        let count = weights.len();
        let (mut lanes, mut lane_sums) = ([0.0; LANES], [0.0; LANES]);
        lanes[..count].copy_from_slice(weights);
        lane_sums[..count].copy_from_slice(sums);
        self.decay_lanes(&mut lanes, &lane_sums, [steps; LANES]);
        weights.copy_from_slice(&lanes[..count]);
    }

    /// Adagrad's decay of several weights, each for its own number of steps; one that no gradient ever moved has no rate yet.
    #[inline(always)]
    pub(super) fn decay_lanes(&self, weights: &mut [f32; LANES], sums: &[f32; LANES], steps: [u32; LANES]) {
        let bases = sums.map(|sum| {
            let rate = self.learning_rate / ((sum + self.adagrad_start).sqrt() + ADAGRAD_EPSILON);
            1.0 + rate * self.weight_decay
        });
        let powers = powers(bases, steps);
        for ((weight, power), sum) in weights.iter_mut().zip(powers).zip(sums) {
            let moved = *sum + self.adagrad_start > 0.0;
            let decayed = *weight / power;
            *weight = if moved { decayed } else { *weight };
        }
    }

    #[inline(always)]
    pub(super) fn sgd(&self, row: &mut [f32], gradient: &[f32]) {
        by_number(row, gradient, |weight, [], gradient| {
            (weight - self.learning_rate * (gradient + self.l2 * weight), [])
        });
    }

    #[inline(always)]
    pub(super) fn adagrad(&self, row: &mut [f32], gradient: &[f32]) {
        by_number(row, gradient, |weight, [sum], gradient| {
            let gradient = gradient + self.l2 * weight;
            let sum = sum + gradient * gradient;
            let root = (sum + self.adagrad_start).sqrt() + ADAGRAD_EPSILON;
            (weight - self.learning_rate * gradient / root, [sum])
        });
    }

    #[inline(always)]
    pub(super) fn adam(&self, row: &mut [f32], gradient: &[f32]) {
        by_number(row, gradient, |weight, [first, second], gradient| {
            let gradient = gradient + self.l2 * weight;
            let first = first + (1.0 - BETA_1) * (gradient - first);
            let second = second + (1.0 - BETA_2) * (gradient * gradient - second);
            (weight - self.adam_rate * first / (second.sqrt() * self.adam_scale + self.adam_epsilon), [first, second])
        });
    }

    /// `z` starts so that the weight's own start is the proximal point: `w = −z · α / (β + √n)`.
    #[inline(always)]
    pub(super) fn ftrl(&self, row: &mut [f32], gradient: &[f32]) {
        by_number(row, gradient, |weight, [sum, square], gradient| {
            let gradient = gradient + self.l2 * weight;
            let sum = if square == 0.0 { -weight * FTRL_BETA / self.learning_rate } else { sum };
            let next = square + gradient * gradient;
            let sigma = (next.sqrt() - square.sqrt()) / self.learning_rate;
            let sum = sum + (gradient - sigma * weight);
            (-sum * self.learning_rate / (FTRL_BETA + next.sqrt()), [sum, next])
        });
    }
}

/// Applies a rule of a weight, its moments and its gradient to a row, several numbers at a time: in arrays of their own, which
/// the compiler sees not to overlap.
#[inline(always)]
fn by_number<const MOMENTS: usize>(
    row: &mut [f32],
    gradient: &[f32],
    rule: impl Fn(f32, [f32; MOMENTS], f32) -> (f32, [f32; MOMENTS]),
) {
    const TOGETHER: usize = 8;
    let dim = gradient.len();
    let place = |moment: usize, number: usize| (moment + 1) * dim + number;
    let (packets, rest) = gradient.as_chunks::<TOGETHER>();
    for (packet, gradient) in packets.iter().enumerate() {
        let start = packet * TOGETHER;
        let load = |start: usize| -> [f32; TOGETHER] {
            *row[start..].first_chunk().expect("a row has its weights' number of each moment")
        };
        let mut weights = load(start);
        let mut moments: [_; MOMENTS] = array::from_fn(|moment| load(place(moment, start)));
        for lane in 0..TOGETHER {
            let old = array::from_fn(|moment| moments[moment][lane]);
            let (weight, new) = rule(weights[lane], old, gradient[lane]);
            weights[lane] = weight;
            for (moments, new) in moments.iter_mut().zip(new) {
                moments[lane] = new;
            }
        }
        row[start..start + TOGETHER].copy_from_slice(&weights);
        for (moment, moments) in moments.iter().enumerate() {
            row[place(moment, start)..][..TOGETHER].copy_from_slice(moments);
        }
    }
    for (number, gradient) in (dim - rest.len()..dim).zip(rest) {
        let (weight, new) = rule(row[number], array::from_fn(|moment| row[place(moment, number)]), *gradient);
        row[number] = weight;
        for (moment, new) in new.into_iter().enumerate() {
            row[place(moment, number)] = new;
        }
    }
}

/// Each base to its own power, by squaring: the products of [`f32::powi`] in their order, for all lanes at once.
#[inline(always)]
fn powers(mut bases: [f32; LANES], mut exponents: [u32; LANES]) -> [f32; LANES] {
    let mut powers = [1.0_f32; LANES];
    while exponents.iter().fold(0, |any, exponent| any | exponent) > 0 {
        for ((power, base), exponent) in powers.iter_mut().zip(&mut bases).zip(&mut exponents) {
            let product = *power * *base;
            *power = if *exponent & 1 == 1 { product } else { *power };
            *base *= *base;
            *exponent >>= 1;
        }
    }
    powers
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 1e-4: a base is rounded to 6e-8, which 1023 factors make 6e-5.
    #[test]
    fn each_lane_has_its_own_power() {
        let bases = std::array::from_fn(|lane| 1.0 + 1e-5 * lane as f32);
        let exponents = [0, 1, 2, 3, 4, 5, 6, 7, 8, 15, 16, 100, 255, 256, 1000, 1023];
        for ((power, base), exponent) in powers(bases, exponents).into_iter().zip(bases).zip(exponents) {
            let expected = f64::from(base).powf(f64::from(exponent));
            assert!((f64::from(power) / expected - 1.0).abs() < 1e-4, "{base} to {exponent}: {power}, {expected}");
        }
        assert!(powers([f32::INFINITY; LANES], [0; LANES]).iter().all(|power| power.to_bits() == 1.0_f32.to_bits()));
    }
}
