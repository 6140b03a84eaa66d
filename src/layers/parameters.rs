//! New trainable weights: each drawn from a stream of its own, so that every device and every build starts alike.

use burn::{
    module::{Param, ParamId},
    tensor::{Device, Tensor, TensorData},
};
use rand_distr::{Distribution, Normal, Uniform};

use crate::seed::Seed;

/// Makes a model's weights on a device.
#[derive(Clone, Debug)]
pub struct Parameters<'a> {
    seed: Seed,
    device: &'a Device,
}

impl<'a> Parameters<'a> {
    pub fn new(seed: Seed, device: &'a Device) -> Self {
        Self { seed, device }
    }

    /// A weight of zeros.
    pub fn zeros<const D: usize>(&self, name: &str, shape: [usize; D]) -> Param<Tensor<D>> {
        self.filled(name, shape, vec![0.0; shape.iter().product()])
    }

    /// A weight drawn from `N(0, deviation²)`.
    pub fn normal<const D: usize>(&self, name: &str, shape: [usize; D], deviation: f64) -> Param<Tensor<D>> {
        let normal = Normal::new(0.0, deviation).expect("a deviation is finite and not negative");
        self.sampled(name, shape, &normal)
    }

    /// A weight drawn from `U(-bound, bound)`.
    pub fn uniform<const D: usize>(&self, name: &str, shape: [usize; D], bound: f64) -> Param<Tensor<D>> {
        let uniform = Uniform::new_inclusive(-bound, bound).expect("a bound is finite and not negative");
        self.sampled(name, shape, &uniform)
    }

    fn sampled<const D: usize>(
        &self,
        name: &str,
        shape: [usize; D],
        distribution: &impl Distribution<f64>,
    ) -> Param<Tensor<D>> {
        let mut stream = self.seed.stream("weights", &[name_bits(name)]);
        let count = shape.iter().product();
        #[expect(clippy::cast_possible_truncation, reason = "weights are f32")]
        let values = (0..count).map(|_| distribution.sample(&mut stream) as f32).collect();
        self.filled(name, shape, values)
    }

    /// The identifier follows from the name, so that an optimizer's saved state finds its weight again.
    fn filled<const D: usize>(&self, name: &str, shape: [usize; D], values: Vec<f32>) -> Param<Tensor<D>> {
        let tensor = Tensor::from_data(TensorData::new(values, shape), self.device);
        let tensor = if self.device.is_autodiff() { tensor.require_grad() } else { tensor };
        Param::initialized(ParamId::from(name_bits(name)), tensor)
    }
}

fn name_bits(name: &str) -> u64 {
    Seed(0).draw(name, &[])
}
