//! Linear maps with what follows them in a hidden layer: ReLU and dropout.
//!
//! On the CPU a layer is one operation (`operation.rs`, `kernel.rs`); elsewhere it is composed of burn's.

pub mod kernel;
pub mod operation;
mod product;

use burn::{
    nn::Dropout,
    tensor::{Device, Distribution, Tensor, TensorData, activation, module},
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
    let activation = match dropping(dropout, &device) {
        Some(dropping) => Activation::ReluDropout(dropping),
        None => Activation::Relu,
    };
    operation::hidden(input, weight, bias, activation)
}

/// The same of burn's own operations.
pub fn linear_relu_composed(input: Tensor<2>, weight: Tensor<2>, bias: Tensor<1>, dropout: &Dropout) -> Tensor<2> {
    dropout.forward(activation::relu(module::linear(input, weight, Some(bias))))
}

/// `dropout(relu(x))`
///
/// # Shapes
/// - input: `[batch, units]`
/// - returns: `[batch, units]`
pub fn relu_dropout(input: Tensor<2>, dropout: &Dropout) -> Tensor<2> {
    let (device, [batch, units]) = (input.device(), input.dims());
    let output = activation::relu(input);
    if !has_fused_kernels(&device) {
        return dropout.forward(output);
    }
    match dropping(dropout, &device) {
        Some(dropping) => {
            let mask = TensorData::new(kernel::dropout_mask(dropping, batch, units), [batch, units]);
            output * Tensor::from_data(mask, &device)
        }
        None => output,
    }
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
