//! The numbers of a hidden layer on the CPU: products by the `gemm` crate, block by block, and one pass for all the rest.
//!
//! Blocks depend on the shapes alone, and each number is summed in one order, so the bits don't depend on threads.

use rayon::prelude::*;

use super::product::{Matrix, Target, product};
use crate::seed::mix;

/// What follows `x W + b`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Activation {
    None,
    Relu,
    /// ReLU, then dropout.
    ReluDropout(Dropping),
}

/// Which units are dropped: chosen by a key and a unit's place alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Dropping {
    key: u64,
    /// Of 65,536 units so many are kept.
    kept: u32,
}

impl Dropping {
    const UNITS: u32 = 1 << 16;

    /// Drops `share` of all units, to the nearest 65,536th.
    pub fn new(key: u64, share: f64) -> Self {
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a share is from 0 to 1")]
        let kept = ((1.0 - share) * f64::from(Self::UNITS)).round() as u32;
        Self { key, kept: kept.clamp(1, Self::UNITS) }
    }

    /// What a kept unit is multiplied with, so that the expectation stays.
    fn scale(self) -> f32 {
        Self::UNITS as f32 / self.kept as f32
    }

    fn apply(self, row: usize, values: &mut [f32]) {
        const DRAWS: usize = 4;
        let (scale, first) = (self.scale(), row * values.len().div_ceil(DRAWS));
        for (index, values) in values.chunks_mut(DRAWS).enumerate() {
            let mut bits = mix(self.key, (first + index) as u64);
            for value in values {
                let is_kept = bits % u64::from(Self::UNITS) < u64::from(self.kept);
                *value = if is_kept { *value * scale } else { 0.0 };
                bits /= u64::from(Self::UNITS);
            }
        }
    }
}

impl Activation {
    /// To row `row` of the batch.
    pub(in crate::layers) fn apply(self, row: usize, values: &mut [f32]) {
        if self == Self::None {
            return;
        }
        for value in values.iter_mut() {
            // what isn't a number stays, so that the loss shows it
            *value = if *value <= 0.0 { 0.0 } else { *value };
        }
        if let Self::ReluDropout(dropping) = self {
            dropping.apply(row, values);
        }
    }

    /// Turns a gradient by the output into one by what the activation was given.
    pub(in crate::layers) fn mask(self, output: &[f32], gradient: &mut [f32]) {
        let scale = match self {
            Self::None => return,
            Self::Relu => 1.0,
            Self::ReluDropout(dropping) => dropping.scale(),
        };
        for (gradient, output) in gradient.iter_mut().zip(output) {
            *gradient = if *output <= 0.0 { 0.0 } else { *gradient * scale };
        }
    }
}

/// Sizes of a layer.
#[derive(Clone, Copy, Debug)]
pub struct Sizes {
    pub batch: usize,
    pub input: usize,
    pub units: usize,
}

impl Sizes {
    /// Rows of one task: several tasks in a small batch, and a gradient's rows within the second cache in a large one.
    pub(in crate::layers) fn block_rows(self) -> usize {
        (self.batch / 16).clamp(128, 256)
    }

    /// Rows of the weight that one task takes: a quarter of them.
    fn block_inputs(self) -> usize {
        self.input.div_ceil(4).next_multiple_of(8)
    }

    pub(in crate::layers) fn check(self, input: &[f32], weight: &[f32], bias: usize) {
        let Self { batch, input: width, units } = self;
        assert!(width > 0 && units > 0, "expected sizes above 0, found {width} inputs and {units} units");
        assert_eq!(input.len(), batch * width, "the input is [{batch}, {width}]");
        assert_eq!(weight.len(), width * units, "the weight is [{width}, {units}]");
        assert_eq!(bias, units, "the bias is [{units}]");
    }
}

/// `activation(x W + b)`
///
/// # Shapes
/// - input: `[batch, input]`
/// - weight: `[input, units]`
/// - bias: `[units]`
/// - returns: `[batch, units]`
///
/// # Panics
/// If the lengths don't fit these shapes.
pub fn forward(sizes: Sizes, input: &[f32], weight: &[f32], bias: &[f32], activation: Activation) -> Vec<f32> {
    sizes.check(input, weight, bias.len());
    let (rows, units) = (sizes.block_rows(), sizes.units);
    let mut output = vec![0.0; sizes.batch * units];
    let tasks = output.par_chunks_mut(rows * units).zip(input.par_chunks(rows * sizes.input)).enumerate();
    let weight = Matrix::new(weight, units);
    tasks.for_each(|(block, (output, input))| {
        product(Target::Over(output), Matrix::new(input, sizes.input), weight, units, sizes.batch.div_ceil(rows));
        for (index, output) in output.chunks_exact_mut(units).enumerate() {
            output.iter_mut().zip(bias).for_each(|(output, bias)| *output += bias);
            activation.apply(block * rows + index, output);
        }
    });
    output
}

/// What [`backward`] finds.
#[derive(Clone, Debug)]
pub struct LayerGradients {
    /// `[batch, input]`, where it was asked for.
    pub input: Option<Vec<f32>>,
    /// `[input, units]`
    pub weight: Vec<f32>,
    /// `[units]`
    pub bias: Vec<f32>,
}

/// The gradients of [`forward`].
///
/// # Shapes
/// - input: `[batch, input]`
/// - weight: `[input, units]`
/// - output: `[batch, units]`, what [`forward`] returned
/// - gradient: `[batch, units]`; it's overwritten by the gradient before the activation
///
/// # Panics
/// If the lengths don't fit these shapes.
pub fn backward(
    sizes: Sizes,
    [input, weight, output]: [&[f32]; 3],
    activation: Activation,
    gradient: &mut [f32],
    wants_input: bool,
) -> LayerGradients {
    let Sizes { batch, units, .. } = sizes;
    sizes.check(input, weight, units);
    assert_eq!([output.len(), gradient.len()], [batch * units; 2], "output and gradient are [{batch}, {units}]");
    let bias = mask_and_sum(sizes, output, activation, gradient);
    let input_gradient = wants_input.then(|| input_gradient(sizes, weight, gradient));
    LayerGradients { input: input_gradient, weight: weight_gradient(sizes, input, gradient), bias }
}

/// Masks the gradient, and sums it over the rows: first each block, then the blocks in order.
fn mask_and_sum(sizes: Sizes, output: &[f32], activation: Activation, gradient: &mut [f32]) -> Vec<f32> {
    let (rows, units) = (sizes.block_rows(), sizes.units);
    let mut sums = vec![0.0; sizes.batch.div_ceil(rows) * units];
    let blocks = gradient.par_chunks_mut(rows * units).zip(output.par_chunks(rows * units));
    blocks.zip(sums.par_chunks_mut(units)).for_each(|((gradient, output), sums)| {
        for (gradient, output) in gradient.chunks_exact_mut(units).zip(output.chunks_exact(units)) {
            activation.mask(output, gradient);
            sums.iter_mut().zip(&*gradient).for_each(|(sum, gradient)| *sum += gradient);
        }
    });
    add_blocks(&sums, units)
}

/// The sum of all blocks' sums, in order.
pub(in crate::layers) fn add_blocks(sums: &[f32], units: usize) -> Vec<f32> {
    let mut total = vec![0.0; units];
    for sums in sums.chunks_exact(units) {
        total.iter_mut().zip(sums).for_each(|(total, sum)| *total += sum);
    }
    total
}

/// `g Wᵀ`: `[batch, input]`
pub(in crate::layers) fn input_gradient(sizes: Sizes, weight: &[f32], gradient: &[f32]) -> Vec<f32> {
    let (rows, units, width) = (sizes.block_rows(), sizes.units, sizes.input);
    let mut output = vec![0.0; sizes.batch * width];
    let tasks = output.par_chunks_mut(rows * width).zip(gradient.par_chunks(rows * units));
    let transposed = Matrix::new(weight, units).transposed();
    tasks.for_each(|(output, gradient)| {
        product(Target::Over(output), Matrix::new(gradient, units), transposed, width, sizes.batch.div_ceil(rows));
    });
    output
}

/// `xᵀ g`: `[input, units]`
pub(in crate::layers) fn weight_gradient(sizes: Sizes, input: &[f32], gradient: &[f32]) -> Vec<f32> {
    let (block, units) = (sizes.block_inputs(), sizes.units);
    let mut output = vec![0.0; sizes.input * units];
    let transposed = Matrix::new(input, sizes.input).transposed();
    output.par_chunks_mut(block * units).enumerate().for_each(|(index, output)| {
        let left = transposed.rows(index * block..index * block + output.len() / units);
        product(Target::Over(output), left, Matrix::new(gradient, units), units, sizes.input.div_ceil(block));
    });
    output
}

/// What dropout multiplies a batch with: 0, or the scale of a kept unit.
///
/// # Shapes
/// - returns: `[rows, units]`
#[cfg(test)]
pub(in crate::layers) fn dropout_mask(dropping: Dropping, rows: usize, units: usize) -> Vec<f32> {
    let mut mask = vec![1.0; rows * units];
    mask.chunks_mut(units.max(1)).enumerate().for_each(|(row, mask)| dropping.apply(row, mask));
    mask
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::seed::unit;

    #[expect(clippy::cast_possible_truncation, reason = "what f32 is for")]
    fn numbers(stream: u64, count: usize) -> Vec<f32> {
        (0..count as u64).map(|index| (2.0 * unit(mix(stream, index)) - 1.0) as f32).collect()
    }

    /// Output, then the gradients of input, weight and bias.
    fn run(sizes: Sizes, weights: &[Vec<f32>; 3], gradient: &[f32], activation: Activation) -> [Vec<f32>; 4] {
        let [input, weight, bias] = weights;
        let output = forward(sizes, input, weight, bias, activation);
        let mut gradient = gradient.to_vec();
        let found = backward(sizes, [input, weight, &output], activation, &mut gradient, true);
        [output, found.input.unwrap(), found.weight, found.bias]
    }

    #[test]
    fn bits_are_the_same_for_any_number_of_threads() {
        let activation = Activation::ReluDropout(Dropping::new(5, 0.3));
        for [batch, input, units] in [[700, 65, 33], [4100, 70, 40], [256, 624, 400], [0, 3, 2]] {
            let sizes = Sizes { batch, input, units };
            let weights = [numbers(1, batch * input), numbers(2, input * units), numbers(3, units)];
            let gradient = numbers(4, batch * units);
            let by = |threads| {
                let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
                pool.install(|| run(sizes, &weights, &gradient, activation))
                    .map(|values| values.into_iter().map(f32::to_bits).collect::<Vec<_>>())
            };
            let one = by(1);
            assert!([2, 3, 9].into_iter().all(|threads| by(threads) == one), "{sizes:?}");
        }
    }

    /// `Σ g y` is linear in each number between two kinks, so a step of 1/64 is off by its f32 roundings alone: 1e-3.
    #[test]
    fn gradients_are_finite_differences() {
        const STEP: f32 = 1.0 / 64.0;
        let sizes = Sizes { batch: 3, input: 4, units: 5 };
        let weights = [numbers(1, 12), numbers(2, 20), numbers(3, 5)];
        for activation in [Activation::None, Activation::Relu, Activation::ReluDropout(Dropping::new(5, 0.3))] {
            let gradient = numbers(4, 15);
            let sum = |[input, weight, bias]: &[Vec<f32>; 3]| -> (f32, Vec<bool>) {
                let output = forward(sizes, input, weight, bias, activation);
                let sum = output.iter().zip(&gradient).map(|(output, gradient)| output * gradient).sum();
                (sum, output.iter().map(|output| *output > 0.0).collect())
            };
            let [_, input, weight, bias] = run(sizes, &weights, &gradient, activation);
            let mut checked = 0;
            for (part, found) in [input, weight, bias].into_iter().enumerate() {
                for (place, found) in found.into_iter().enumerate() {
                    let moved = [STEP, -STEP].map(|step| {
                        let mut weights = weights.clone();
                        weights[part][place] += step;
                        sum(&weights)
                    });
                    if activation != Activation::None && moved[0].1 != moved[1].1 {
                        continue;
                    }
                    let expected = (moved[0].0 - moved[1].0) / (2.0 * STEP);
                    assert!((found - expected).abs() < 1e-3, "{activation:?}: expected {expected}, found {found}");
                    checked += 1;
                }
            }
            assert!(checked > 20, "only {checked} numbers lie away from a kink");
        }
    }

    /// 200,000 draws of deviation 0.46 / 0.7: the mean's own is 0.0015, and 0.01 is more than six of it.
    #[test]
    fn dropout_keeps_the_expectation_and_its_share() {
        let mask = dropout_mask(Dropping::new(11, 0.3), 1000, 200);
        let (count, sum) = (mask.len() as f64, mask.iter().map(|value| f64::from(*value)).sum::<f64>());
        let dropped = mask.iter().filter(|value| **value == 0.0).count() as f64;
        assert!((sum / count - 1.0).abs() < 0.01, "{}", sum / count);
        assert!((dropped / count - 0.3).abs() < 0.01, "{}", dropped / count);
    }

    #[test]
    fn what_is_not_a_number_stays() {
        let sizes = Sizes { batch: 1, input: 1, units: 2 };
        let output = forward(sizes, &[1.0], &[f32::NAN, -1.0], &[0.0, 0.0], Activation::Relu);
        assert!(output[0].is_nan() && output[1] == 0.0, "{output:?}");
    }
}
