//! Linear maps with what follows them in a hidden layer: ReLU and dropout.
//!
//! On the CPU a layer is one operation (`operation.rs`, `kernel.rs`); elsewhere it is composed of burn's.

pub mod kernel;
pub mod operation;
pub(super) mod product;

use burn::{
    nn::Dropout,
    tensor::{Device, Distribution, Tensor, activation, module},
};

use self::kernel::{Activation, Dropping};
use crate::device::has_fused_kernels;

/// `x W + b`
///
/// # Shapes
/// - input: `[batch, input]`
/// - weight: `[input, units]`
/// - bias: `[units]`
/// - returns: `[batch, units]`
pub fn linear(input: Tensor<2>, weight: Tensor<2>, bias: Tensor<1>) -> Tensor<2> {
    if has_fused_kernels(&input.device()) {
        return operation::hidden(input, weight, bias, Activation::None);
    }
    module::linear(input, weight, Some(bias))
}

/// `dropout(relu(x W + b))`
///
/// # Shapes
/// As [`linear`].
pub fn linear_relu(input: Tensor<2>, weight: Tensor<2>, bias: Tensor<1>, dropout: &Dropout) -> Tensor<2> {
    let device = input.device();
    if !has_fused_kernels(&device) {
        return linear_relu_composed(input, weight, bias, dropout);
    }
    operation::hidden(input, weight, bias, relu(dropout, &device))
}

/// ReLU and what a step of training drops behind it.
pub(super) fn relu(dropout: &Dropout, device: &Device) -> Activation {
    match dropping(dropout, device) {
        Some(dropping) => Activation::ReluDropout(dropping),
        None => Activation::Relu,
    }
}

/// The same of burn's own operations.
pub fn linear_relu_composed(input: Tensor<2>, weight: Tensor<2>, bias: Tensor<1>, dropout: &Dropout) -> Tensor<2> {
    relu_dropout(module::linear(input, weight, Some(bias)), dropout)
}

/// `dropout(relu(x))` of burn's own operations.
///
/// # Shapes
/// - input: `[batch, units]`
/// - returns: `[batch, units]`
pub fn relu_dropout(input: Tensor<2>, dropout: &Dropout) -> Tensor<2> {
    dropout.forward(activation::relu(input))
}

/// What a step of training drops; its key comes from the device's random stream, one draw a layer.
fn dropping(dropout: &Dropout, device: &Device) -> Option<Dropping> {
    if !dropout.training.is_enabled() || !device.is_autodiff() || dropout.prob == 0.0 {
        return None;
    }
    let draws = Tensor::<1>::random([4], Distribution::Default, &device.clone().inner()).into_data();
    let draws = draws.try_to_vec::<f32>().expect("random numbers of the CPU are f32");
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "16 bits of a number from 0 to 1")]
    let key = draws.into_iter().fold(0, |key, draw| key << 16 | (draw * 65_536.0) as u64);
    Some(Dropping::new(key, dropout.prob))
}

#[cfg(test)]
mod tests {
    use burn::{nn::DropoutConfig, tensor::TensorData};

    use super::*;

    /// `[batch, input, units]`; the last ones take several blocks of rows.
    const SIZES: [[usize; 3]; 4] = [[1, 1, 1], [5, 7, 3], [131, 17, 33], [300, 70, 9]];

    fn values<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
        tensor.into_data().try_to_vec().unwrap()
    }

    fn leaf<const D: usize>(factor: usize, shape: [usize; D], device: &Device) -> Tensor<D> {
        let count = shape.iter().product::<usize>();
        let values: Vec<f32> = (0..count).map(|number| ((number * factor % 101) as f32 - 50.0) / 60.0).collect();
        Tensor::from_data(TensorData::new(values, shape), device).require_grad()
    }

    /// Output, then the gradients of input, weight and bias.
    fn run(sizes: [usize; 3], forward: impl Fn(Tensor<2>, Tensor<2>, Tensor<1>) -> Tensor<2>) -> [Vec<f32>; 4] {
        let ([batch, width, units], device) = (sizes, Device::flex().autodiff());
        let (input, weight) = (leaf(37, [batch, width], &device), leaf(53, [width, units], &device));
        let bias = leaf(29, [units], &device);
        let output = forward(input.clone(), weight.clone(), bias.clone());
        let gradients = output.clone().square().sum().backward();
        [
            values(output),
            values(input.grad(&gradients).unwrap()),
            values(weight.grad(&gradients).unwrap()),
            values(bias.grad(&gradients).unwrap()),
        ]
    }

    /// 1e-4 of each part's largest number: both ways sum some hundred f32 products, in different orders.
    #[track_caller]
    fn assert_near(found: &[Vec<f32>; 4], expected: &[Vec<f32>; 4]) {
        for (found, expected) in found.iter().zip(expected) {
            assert_eq!(found.len(), expected.len());
            let largest = expected.iter().fold(1.0_f32, |largest, value| largest.max(value.abs()));
            for (found, expected) in found.iter().zip(expected) {
                assert!((found - expected).abs() < 1e-4 * largest, "expected {expected}, found {found}");
            }
        }
    }

    #[test]
    fn the_fused_operation_is_the_composed_one() {
        let without = DropoutConfig::new(0.0).init();
        for sizes in SIZES {
            let fused = run(sizes, |input, weight, bias| linear_relu(input, weight, bias, &without));
            assert_near(&fused, &run(sizes, |input, weight, bias| linear_relu_composed(input, weight, bias, &without)));
            let fused = run(sizes, linear);
            assert_near(&fused, &run(sizes, |input, weight, bias| module::linear(input, weight, Some(bias))));
        }
    }

    /// With the units that it dropped taken for a mask, the layer is ReLU times that mask.
    #[test]
    fn dropout_passes_the_gradient_of_what_it_kept() {
        let dropping = Dropping::new(7, 0.4);
        for sizes in SIZES {
            let [batch, _, units] = sizes;
            let mask = TensorData::new(kernel::dropout_mask(dropping, batch, units), [batch, units]);
            let fused = run(sizes, |input, weight, bias| {
                operation::hidden(input, weight, bias, Activation::ReluDropout(dropping))
            });
            let masked = run(sizes, |input, weight, bias| {
                let mask = Tensor::from_data(mask.clone(), &input.device());
                activation::relu(module::linear(input, weight, Some(bias))) * mask
            });
            assert_near(&fused, &masked);
        }
    }

    #[test]
    fn dropout_follows_the_seed_of_the_device() {
        let (device, dropout) = (Device::flex().autodiff(), DropoutConfig::new(0.5).init());
        let keys = |seed| {
            device.seed(seed);
            [dropping(&dropout, &device).unwrap(), dropping(&dropout, &device).unwrap()]
        };
        let first = keys(3);
        assert_ne!(first[0], first[1], "each layer draws its own");
        assert_ne!(first, keys(4));
        assert!(dropping(&dropout, &device.inner()).is_none(), "evaluation drops nothing");
    }

    #[test]
    fn a_frozen_input_leaves_the_weight_its_gradient() {
        let device = Device::flex().autodiff();
        let input: Tensor<2> = Tensor::from_data(leaf(37, [5, 4], &device).into_data(), &device);
        let (weight, bias) = (leaf(53, [4, 3], &device), leaf(29, [3], &device));
        let gradients = linear(input.clone(), weight.clone(), bias).sum().backward();
        assert!(input.grad(&gradients).is_none());
        let sums = values(input.sum_dim(0).flatten::<1>(0, 1));
        for (place, found) in values(weight.grad(&gradients).unwrap()).into_iter().enumerate() {
            assert!((found - sums[place / 3]).abs() < 1e-5, "expected {}, found {found}", sums[place / 3]);
        }
    }
}
