//! Plain memory ↔ tensors of the CPU backend, for the fused operations.

use burn::{
    backend::{Flex, ops::FloatTensorOps, tensor::FloatTensor},
    tensor::TensorData,
};

/// A tensor that owns `values`, without a copy.
pub(crate) fn tensor<const D: usize>(values: Vec<f32>, shape: [usize; D]) -> FloatTensor<Flex> {
    <Flex as FloatTensorOps<Flex>>::float_from_data(TensorData::new(values, shape), &burn::backend::flex::FlexDevice)
}
