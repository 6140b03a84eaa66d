//! The numbers of a batch norm and the ReLU behind it on the CPU, in as few passes over the batch as they need: two forward,
//! two back.
//!
//! Blocks of rows depend on the shapes alone and are added up in order, so the bits don't depend on threads.

use rayon::prelude::*;

use super::EPSILON;
use crate::layers::hidden::kernel::{Activation, add_blocks};

/// Rows of one task: of some hundred units they stay in the second cache for a second pass.
const BLOCK_ROWS: usize = 128;

/// What a batch's units are standardized by.
#[derive(Clone, Debug, PartialEq)]
pub struct Statistics {
    /// `[units]`
    pub mean: Vec<f32>,
    /// Biased: `[units]`
    pub variance: Vec<f32>,
}

impl Statistics {
    /// Of the batch's rows, `[batch, units]`: block by block, then joined (Chan et al. 1983).
    ///
    /// # Panics
    /// If the input isn't whole rows.
    pub fn of(input: &[f32], units: usize) -> Self {
        check(input, units);
        let blocks: Vec<_> = input.par_chunks(BLOCK_ROWS * units).map(|block| block_moments(block, units)).collect();
        let (mut rows, mut mean, mut squares) = (0.0, vec![0.0; units], vec![0.0; units]);
        for (block, (block_mean, block_squares)) in input.chunks(BLOCK_ROWS * units).zip(blocks) {
            let count = (block.len() / units) as f64;
            let share = count / (rows + count);
            for unit in 0..units {
                let difference = f64::from(block_mean[unit]) - mean[unit];
                mean[unit] += difference * share;
                squares[unit] += f64::from(block_squares[unit]) + difference * difference * rows * share;
            }
            rows += count;
        }
        #[expect(clippy::cast_possible_truncation, reason = "as the tensors")]
        let narrow = |values: Vec<f64>, by: f64| values.into_iter().map(|value| (value / by) as f32).collect();
        Self { mean: narrow(mean, 1.0), variance: narrow(squares, rows.max(1.0)) }
    }

    fn check(&self, units: usize) {
        assert_eq!([self.mean.len(), self.variance.len()], [units; 2], "mean and variance are [{units}]");
    }

    /// `1 / √(variance + ε)`: `[units]`
    fn inverse_deviations(&self) -> Vec<f32> {
        #[expect(clippy::cast_possible_truncation, reason = "a small constant")]
        let epsilon = EPSILON as f32;
        self.variance.iter().map(|variance| (variance + epsilon).sqrt().recip()).collect()
    }
}

fn check(input: &[f32], units: usize) {
    assert!(units > 0, "expected units, found none");
    assert_eq!(input.len() % units, 0, "rows have {units} units");
}

/// A block's means, and its sums of squared distances from them.
fn block_moments(block: &[f32], units: usize) -> (Vec<f32>, Vec<f32>) {
    let (mut mean, mut squares) = (vec![0.0; units], vec![0.0; units]);
    for row in block.chunks_exact(units) {
        mean.iter_mut().zip(row).for_each(|(mean, value)| *mean += value);
    }
    let share = (block.len() as f32 / units as f32).recip();
    for mean in &mut mean {
        *mean *= share;
    }
    for row in block.chunks_exact(units) {
        for ((square, mean), value) in squares.iter_mut().zip(&mean).zip(row) {
            *square += (value - mean) * (value - mean);
        }
    }
    (mean, squares)
}

/// `activation((x − mean) / √(variance + ε) · γ + β)`
///
/// # Shapes
/// - input: `[batch, units]`
/// - gamma, beta: `[units]`
/// - returns: `[batch, units]`
///
/// # Panics
/// If the lengths don't fit these shapes.
pub fn forward(input: &[f32], [gamma, beta]: [&[f32]; 2], statistics: &Statistics, activation: Activation) -> Vec<f32> {
    let units = gamma.len();
    check(input, units);
    statistics.check(units);
    assert_eq!(beta.len(), units, "β is [{units}]");
    let scales: Vec<f32> =
        statistics.inverse_deviations().iter().zip(gamma).map(|(inverse, gamma)| inverse * gamma).collect();
    let mut output = vec![0.0; input.len()];
    let blocks = output.par_chunks_mut(BLOCK_ROWS * units).zip(input.par_chunks(BLOCK_ROWS * units));
    blocks.enumerate().for_each(|(block, (output, input))| {
        for (row, (output, input)) in output.chunks_exact_mut(units).zip(input.chunks_exact(units)).enumerate() {
            let of_unit = statistics.mean.iter().zip(&scales).zip(beta);
            for ((output, value), ((mean, scale), beta)) in output.iter_mut().zip(input).zip(of_unit) {
                *output = (value - mean) * scale + beta;
            }
            activation.apply(block * BLOCK_ROWS + row, output);
        }
    });
    output
}

/// The gradients of [`forward`] where the statistics are the batch's own: those of `γ` and `β`; `gradient` is overwritten by
/// that of the input.
///
/// `∂x = γ / σ · (g − mean(g) − x̂ · mean(g x̂))`, `g` the gradient before the activation, `x̂` the standardized input.
///
/// # Shapes
/// - input, output, gradient: `[batch, units]`, output what [`forward`] returned
/// - gamma: `[units]`
/// - returns: `[units]` each
///
/// # Panics
/// If the lengths don't fit these shapes.
pub fn backward(
    [input, output]: [&[f32]; 2],
    gamma: &[f32],
    statistics: &Statistics,
    activation: Activation,
    gradient: &mut [f32],
) -> [Vec<f32>; 2] {
    let units = gamma.len();
    check(input, units);
    statistics.check(units);
    assert_eq!([output.len(), gradient.len()], [input.len(); 2], "input, output and gradient are of one shape");
    let (width, inverses) = (BLOCK_ROWS * units, statistics.inverse_deviations());
    let sums = mask_and_sum([input, output], &statistics.mean, &inverses, activation, gradient);
    let (by_gamma, by_beta) = sums.split_at(units);
    let share = (input.len() as f32 / units as f32).recip();
    let scales: Vec<f32> = inverses.iter().zip(gamma).map(|(inverse, gamma)| inverse * gamma).collect();
    let slopes: Vec<f32> = by_gamma.iter().zip(&inverses).map(|(sum, inverse)| sum * share * inverse).collect();
    let means: Vec<f32> = by_beta.iter().map(|sum| sum * share).collect();
    gradient.par_chunks_mut(width).zip(input.par_chunks(width)).for_each(|(gradient, input)| {
        for (gradient, input) in gradient.chunks_exact_mut(units).zip(input.chunks_exact(units)) {
            let of_unit = statistics.mean.iter().zip(&slopes).zip(means.iter().zip(&scales));
            for ((gradient, value), ((mean, slope), (shift, scale))) in gradient.iter_mut().zip(input).zip(of_unit) {
                *gradient = (*gradient - shift - (value - mean) * slope) * scale;
            }
        }
    });
    [by_gamma.to_vec(), by_beta.to_vec()]
}

/// Masks the gradient; returns the sums over the rows of it times the standardized input, and of itself: `[2, units]`.
fn mask_and_sum(
    [input, output]: [&[f32]; 2],
    mean: &[f32],
    inverses: &[f32],
    activation: Activation,
    gradient: &mut [f32],
) -> Vec<f32> {
    let (units, width) = (mean.len(), BLOCK_ROWS * mean.len());
    let mut sums = vec![0.0; input.len().div_ceil(width) * 2 * units];
    let blocks = gradient.par_chunks_mut(width).zip(input.par_chunks(width).zip(output.par_chunks(width)));
    blocks.zip(sums.par_chunks_mut(2 * units)).for_each(|((gradient, (input, output)), sums)| {
        let (by_gamma, by_beta) = sums.split_at_mut(units);
        let rows = gradient.chunks_exact_mut(units).zip(input.chunks_exact(units).zip(output.chunks_exact(units)));
        for (gradient, (input, output)) in rows {
            activation.mask(output, gradient);
            let sums = by_gamma.iter_mut().zip(&mut *by_beta);
            let of_unit = sums.zip(mean.iter().zip(inverses));
            for ((gradient, value), ((by_gamma, by_beta), (mean, inverse))) in gradient.iter().zip(input).zip(of_unit) {
                *by_gamma += gradient * ((value - mean) * inverse);
                *by_beta += gradient;
            }
        }
    });
    add_blocks(&sums, 2 * units)
}
