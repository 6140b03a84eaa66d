//! New trainable weights: each drawn from a stream of its own, so that every device and every build starts alike.

use burn::{
    module::{Param, ParamId},
    nn::Linear,
    tensor::{Device, Tensor, TensorData},
};
use rand_distr::{Distribution, Normal, Uniform};

use crate::seed::Seed;

/// Makes a model's weights on a device.
#[derive(Clone, Debug)]
pub struct Parameters<'a> {
    seed: Seed,
    device: &'a Device,
    /// What stands before every name.
    scope: String,
}

impl<'a> Parameters<'a> {
    pub fn new(seed: Seed, device: &'a Device) -> Self {
        Self { seed, device, scope: String::new() }
    }

    /// The weights of a part named `name`, drawn apart from those of the same names outside of it.
    #[must_use]
    pub fn scoped(&self, name: &str) -> Self {
        Self { scope: format!("{}{name}.", self.scope), ..self.clone() }
    }

    /// A weight of zeros.
    pub fn zeros<const D: usize>(&self, name: &str, shape: [usize; D]) -> Param<Tensor<D>> {
        self.constant(name, shape, 0.0)
    }

    /// A weight whose numbers all are `value`.
    pub fn constant<const D: usize>(&self, name: &str, shape: [usize; D], value: f32) -> Param<Tensor<D>> {
        self.filled(name, shape, vec![value; shape.iter().product()])
    }

    /// A matrix `[input, output]` by Glorot's normal: variance `2 / (input + output)`.
    pub fn glorot(&self, name: &str, shape: [usize; 2]) -> Param<Tensor<2>> {
        let [input, output] = shape;
        self.normal(name, shape, (2.0 / (input + output) as f64).sqrt())
    }

    /// The last weight before a logit, `[input, 1]`, from `U(-1/√input, 1/√input)`.
    pub fn head(&self, name: &str, input: usize) -> Param<Tensor<2>> {
        self.uniform(name, [input, 1], (1.0 / input as f64).sqrt())
    }

    /// A linear map: its weight by [`Self::glorot`], its bias zero.
    pub fn linear(&self, name: &str, shape: [usize; 2]) -> Linear {
        let [_, output] = shape;
        Linear {
            weight: self.glorot(&format!("{name}.weight"), shape),
            bias: Some(self.zeros(&format!("{name}.bias"), [output])),
        }
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
        let mut stream = self.seed.stream("weights", &[self.bits(name)]);
        let count = shape.iter().product();
        #[expect(clippy::cast_possible_truncation, reason = "weights are f32")]
        let values = (0..count).map(|_| distribution.sample(&mut stream) as f32).collect();
        self.filled(name, shape, values)
    }

    /// The identifier follows from the name, so that an optimizer's saved state finds its weight again.
    fn filled<const D: usize>(&self, name: &str, shape: [usize; D], values: Vec<f32>) -> Param<Tensor<D>> {
        let tensor = Tensor::from_data(TensorData::new(values, shape), self.device);
        let tensor = if self.device.is_autodiff() { tensor.require_grad() } else { tensor };
        Param::initialized(ParamId::from(self.bits(name)), tensor)
    }

    fn bits(&self, name: &str) -> u64 {
        Seed(0).draw(&format!("{}{name}", self.scope), &[])
    }
}
