//! Batch normalization: units standardized by the batch in training, by running statistics in evaluation.
//!
//! Ioffe and Szegedy 2015, arXiv 1502.03167, with the settings of PyTorch's `BatchNorm1d`.

use std::sync::{Mutex, MutexGuard, PoisonError};

use burn::{
    module::{
        Content, Devices, Module, ModuleDisplay, ModuleDisplayDefault, ModuleMapper, ModuleVisitor, Param, ParamId,
    },
    tensor::{
        Device, Tensor,
        module::{batch_norm, batch_norm_train},
    },
};

use super::parameters::Parameters;

const EPSILON: f64 = 1e-5;
/// The share of a batch in the running statistics.
const MOMENTUM: f64 = 0.1;

/// `(x − mean) / √(variance + ε) · γ + β`, unit by unit.
#[derive(Module, Debug)]
pub struct BatchNorm {
    gamma: Param<Tensor<1>>,
    beta: Param<Tensor<1>>,
    running_mean: Running,
    running_variance: Running,
}

impl BatchNorm {
    /// `γ` and the running variance start from one, `β` and the running mean from zero.
    pub fn init(name: &str, units: usize, parameters: &Parameters) -> Self {
        let constant = |part: &str, value| parameters.constant(&format!("{name}.{part}"), [units], value);
        Self {
            gamma: constant("gamma", 1.0),
            beta: constant("beta", 0.0),
            running_mean: Running::new(constant("running_mean", 0.0)),
            running_variance: Running::new(constant("running_variance", 1.0)),
        }
    }

    /// On an autodiff device the batch's own statistics count, with its biased variance, and the running ones follow
    /// them, with its unbiased variance.
    ///
    /// # Shapes
    /// - input: `[batch, units]`
    /// - returns: `[batch, units]`
    pub fn forward(&self, input: Tensor<2>) -> Tensor<2> {
        let [batch, _] = input.dims();
        let (gamma, beta) = (self.gamma.val(), self.beta.val());
        if !input.device().is_autodiff() {
            return batch_norm(input, gamma, beta, self.running_mean.value(), self.running_variance.value(), EPSILON);
        }
        let normed = batch_norm_train(input, gamma, beta, EPSILON);
        // one row alone has no variance
        if batch > 1 {
            let unbiased = normed.variance.mul_scalar(batch as f64 / (batch - 1) as f64);
            self.running_mean.follow(normed.mean);
            self.running_variance.follow(unbiased);
        }
        normed.output
    }
}

/// Numbers that follow the batches instead of a gradient. Checkpoints hold them; optimizers have nothing to move.
///
/// burn's own `RunningState` is shared by a module's clones and shows its visitors the value of one update ago; this one
/// belongs to its module alone and is always current.
#[derive(Debug)]
struct Running {
    id: ParamId,
    value: Mutex<Tensor<1>>,
}

impl Running {
    fn new(start: Param<Tensor<1>>) -> Self {
        let id = start.id;
        Self { id, value: Mutex::new(start.into_value().set_require_grad(false)) }
    }

    fn with(&self, change: impl FnOnce(Tensor<1>) -> Tensor<1>) -> Self {
        Self { id: self.id, value: Mutex::new(change(self.value())) }
    }

    fn value(&self) -> Tensor<1> {
        self.lock().clone()
    }

    /// Moves towards a batch's statistic.
    fn follow(&self, batch: Tensor<1>) {
        let mut value = self.lock();
        *value = value.clone().mul_scalar(1.0 - MOMENTUM) + batch.mul_scalar(MOMENTUM);
    }

    fn lock(&self) -> MutexGuard<'_, Tensor<1>> {
        // the value is replaced whole, so it is sound whatever happened to another holder
        self.value.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Clone for Running {
    fn clone(&self) -> Self {
        self.with(|value| value)
    }
}

impl Module for Running {
    fn visit<V: ModuleVisitor>(&self, visitor: &mut V) {
        visitor.visit_float(&Param::initialized(self.id, self.value()));
    }

    fn map<M: ModuleMapper>(self, mapper: &mut M) -> Self {
        Self::new(mapper.map_float(Param::initialized(self.id, self.value())))
    }

    fn collect_devices(&self, mut devices: Devices) -> Devices {
        let device = self.value().device();
        if !devices.contains(&device) {
            devices.push(device);
        }
        devices
    }

    fn to_device(self, device: &Device) -> Self {
        self.with(|value| value.to_device(device))
    }

    fn fork(self, device: &Device) -> Self {
        self.to_device(device)
    }

    fn train(self) -> Self {
        self.with(Tensor::autodiff)
    }

    fn valid(&self) -> Self {
        self.with(Tensor::without_autodiff)
    }

    fn materialize(self) -> Self {
        self
    }
}

impl ModuleDisplay for Running {}

impl ModuleDisplayDefault for Running {
    fn content(&self, content: Content) -> Option<Content> {
        content.add_formatted(&"running statistic".to_owned()).optional()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::seed::Seed;

    fn values(tensor: Tensor<1>) -> Vec<f32> {
        tensor.into_data().try_to_vec().unwrap()
    }

    fn batch(device: &Device) -> Tensor<2> {
        Tensor::from_floats([[1.0, -2.0], [3.0, 2.0]], device)
    }

    /// One batch of mean 2 and 0, biased variance 1 and 4, unbiased 2 and 8.
    #[test]
    fn the_running_statistics_move_a_tenth_towards_each_batch() {
        let device = Device::flex().autodiff();
        let norm = BatchNorm::init("norm", 2, &Parameters::new(Seed(1), &device));
        let before = norm.clone();
        let output: Vec<f32> = norm.forward(batch(&device)).into_data().try_to_vec().unwrap();
        for (found, expected) in output.iter().zip([-1.0, -1.0, 1.0, 1.0]) {
            assert!((found - expected).abs() < 1e-4, "{output:?}");
        }
        let [mean, variance] = [&norm.running_mean, &norm.running_variance].map(|running| values(running.value()));
        for (found, expected) in mean.iter().chain(&variance).zip([0.2, 0.0, 1.1, 1.7]) {
            assert!((found - expected).abs() < 1e-6, "{mean:?} {variance:?}");
        }
        assert_eq!(values(before.running_mean.value()), [0.0, 0.0], "a clone has statistics of its own");
    }

    #[test]
    fn evaluation_uses_the_running_statistics_and_leaves_them() {
        let device = Device::flex().autodiff();
        let norm = BatchNorm::init("norm", 2, &Parameters::new(Seed(1), &device));
        norm.forward(batch(&device));
        let norm = norm.valid();
        let output: Vec<f32> = norm.forward(batch(&device.inner())).into_data().try_to_vec().unwrap();
        assert!((output[0] - 0.8 / 1.1_f32.sqrt()).abs() < 1e-4, "{output:?}");
        assert!((output[3] - 2.0 / 1.7_f32.sqrt()).abs() < 1e-4, "{output:?}");
        let mean = values(norm.running_mean.value());
        assert!((mean[0] - 0.2).abs() < 1e-6, "{mean:?}");
    }
}
