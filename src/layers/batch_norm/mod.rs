//! Batch normalization: units standardized by the batch in training, by running statistics in evaluation.
//!
//! Ioffe and Szegedy 2015, arXiv 1502.03167, with the settings of PyTorch's `BatchNorm1d`. On the CPU it is one operation with
//! the ReLU behind it (`operation.rs`, `kernel.rs`); elsewhere it is composed of burn's.

pub mod kernel;
pub mod operation;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use burn::{
    module::{
        Content, Devices, Module, ModuleDisplay, ModuleDisplayDefault, ModuleMapper, ModuleVisitor, Param, ParamId,
    },
    nn::Dropout,
    tensor::{
        Device, Tensor, TensorData,
        module::{batch_norm, batch_norm_train},
    },
};

use self::kernel::Statistics;
use super::{hidden, parameters::Parameters};
use crate::device::has_fused_kernels;

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

    /// `dropout(relu(norm(x)))`, see [`Self::composed`].
    ///
    /// # Shapes
    /// - input: `[batch, units]`
    /// - returns: `[batch, units]`
    pub fn relu_dropout(&self, input: Tensor<2>, dropout: &Dropout) -> Tensor<2> {
        let device = input.device();
        if !has_fused_kernels(&device) {
            return hidden::relu_dropout(self.composed(input), dropout);
        }
        let statistics = if device.is_autodiff() { self.batch_statistics(&input) } else { self.running_statistics() };
        let weights = [self.gamma.val(), self.beta.val()];
        operation::norm(input, weights, Arc::new(statistics), hidden::relu(dropout, &device))
    }

    fn batch_statistics(&self, input: &Tensor<2>) -> Statistics {
        let [batch, units] = input.dims();
        let mut mean = floats(&operation::statistics(input.clone()).into_data());
        let variance = mean.split_off(units);
        if batch > 1 {
            let device = input.device();
            let tensor = |values: &[f32]| Tensor::from_data(TensorData::new(values.to_vec(), [units]), &device);
            self.follow(batch, tensor(&mean), tensor(&variance));
        }
        Statistics { mean, variance }
    }

    fn running_statistics(&self) -> Statistics {
        let [mean, variance] =
            [&self.running_mean, &self.running_variance].map(|running| floats(&running.value().into_data()));
        Statistics { mean, variance }
    }

    /// The running statistics move towards a batch's, whose variance is the biased one.
    fn follow(&self, batch: usize, mean: Tensor<1>, variance: Tensor<1>) {
        self.running_mean.follow(mean);
        self.running_variance.follow(variance.mul_scalar(batch as f64 / (batch - 1) as f64));
    }

    /// `norm(x)` of burn's own operations.
    ///
    /// On an autodiff device the batch's own statistics count, with its biased variance, and the running ones follow
    /// them, with its unbiased variance.
    ///
    /// # Shapes
    /// - input: `[batch, units]`
    /// - returns: `[batch, units]`
    pub fn composed(&self, input: Tensor<2>) -> Tensor<2> {
        let [batch, _] = input.dims();
        let (gamma, beta) = (self.gamma.val(), self.beta.val());
        if !input.device().is_autodiff() {
            return batch_norm(input, gamma, beta, self.running_mean.value(), self.running_variance.value(), EPSILON);
        }
        let normed = batch_norm_train(input, gamma, beta, EPSILON);
        // one row alone has no variance
        if batch > 1 {
            self.follow(batch, normed.mean, normed.variance);
        }
        normed.output
    }
}

fn floats(data: &TensorData) -> Vec<f32> {
    data.try_to_vec().expect("statistics are f32")
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
    use burn::{nn::DropoutConfig, tensor::activation::relu};

    use super::*;
    use crate::{
        layers::hidden::kernel::{Activation, Dropping, dropout_mask},
        seed::Seed,
    };

    fn values<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
        floats(&tensor.into_data())
    }

    fn batch(device: &Device) -> Tensor<2> {
        Tensor::from_floats([[1.0, -2.0], [3.0, 2.0]], device)
    }

    fn leaf<const D: usize>(factor: usize, shape: [usize; D], device: &Device) -> Tensor<D> {
        let count = shape.iter().product::<usize>();
        let values: Vec<f32> = (0..count).map(|number| ((number * factor % 101) as f32 - 30.0) / 60.0).collect();
        Tensor::from_data(TensorData::new(values, shape), device).require_grad()
    }

    type Normed = fn(&BatchNorm, Tensor<2>) -> Tensor<2>;

    fn fused(norm: &BatchNorm, input: Tensor<2>) -> Tensor<2> {
        norm.relu_dropout(input, &DropoutConfig::new(0.0).init())
    }

    fn composed(norm: &BatchNorm, input: Tensor<2>) -> Tensor<2> {
        relu(norm.composed(input))
    }

    /// One batch of mean 2 and 0, biased variance 1 and 4, unbiased 2 and 8.
    #[test]
    fn the_running_statistics_move_a_tenth_towards_each_batch() {
        let device = Device::flex().autodiff();
        for normed in [fused as Normed, composed] {
            let norm = BatchNorm::init("norm", 2, &Parameters::new(Seed(1), &device));
            let before = norm.clone();
            let output = values(normed(&norm, batch(&device)));
            for (found, expected) in output.iter().zip([0.0, 0.0, 1.0, 1.0]) {
                assert!((found - expected).abs() < 1e-4, "{output:?}");
            }
            let [mean, variance] = [&norm.running_mean, &norm.running_variance].map(|running| values(running.value()));
            for (found, expected) in mean.iter().chain(&variance).zip([0.2, 0.0, 1.1, 1.7]) {
                assert!((found - expected).abs() < 1e-6, "{mean:?} {variance:?}");
            }
            assert_eq!(values(before.running_mean.value()), [0.0, 0.0], "a clone has statistics of its own");
        }
    }

    #[test]
    fn evaluation_uses_the_running_statistics_and_leaves_them() {
        let device = Device::flex().autodiff();
        for normed in [fused as Normed, composed] {
            let norm = BatchNorm::init("norm", 2, &Parameters::new(Seed(1), &device));
            normed(&norm, batch(&device));
            let norm = norm.valid();
            let output = values(normed(&norm, batch(&device.clone().inner())));
            assert!((output[0] - 0.8 / 1.1_f32.sqrt()).abs() < 1e-4, "{output:?}");
            assert!((output[3] - 2.0 / 1.7_f32.sqrt()).abs() < 1e-4, "{output:?}");
            let mean = values(norm.running_mean.value());
            assert!((mean[0] - 0.2).abs() < 1e-6, "{mean:?}");
        }
    }

    /// A row alone, blocks of rows with a rest, and a mean far from 0. 1e-4 of each part's largest number: sums of some hundred
    /// f32 in different orders.
    #[test]
    fn the_fused_operation_is_the_composed_one() {
        let device = Device::flex().autodiff();
        for [batch, units, offset] in [[1, 3, 0], [2, 1, 0], [7, 5, 0], [300, 17, 0], [513, 40, 3]] {
            let run = |normed: Normed| {
                let mut norm = BatchNorm::init("norm", units, &Parameters::new(Seed(1), &device));
                norm.gamma = Param::from_tensor(leaf(29, [units], &device));
                norm.beta = Param::from_tensor(leaf(23, [units], &device));
                let input = leaf(37, [batch, units], &device);
                let output = normed(&norm, input.clone().add_scalar(offset as f64));
                let weights = leaf(53, [batch, units], &device).detach();
                let gradients = (output.clone() * weights).sum().backward();
                [
                    values(output),
                    values(input.grad(&gradients).unwrap()),
                    values(norm.gamma.val().grad(&gradients).unwrap()),
                    values(norm.beta.val().grad(&gradients).unwrap()),
                    values(norm.running_mean.value()),
                    values(norm.running_variance.value()),
                ]
            };
            for (part, (found, expected)) in run(fused).iter().zip(&run(composed)).enumerate() {
                assert_eq!(found.len(), expected.len());
                let largest = expected.iter().fold(1.0_f32, |largest, value| largest.max(value.abs()));
                for (found, expected) in found.iter().zip(expected) {
                    let difference = (found - expected).abs();
                    assert!(difference < 1e-4 * largest, "{batch} {units}, part {part}: {expected}, found {found}");
                }
            }
        }
    }

    /// With the units that it dropped taken for a mask, the operation is the composed one times that mask.
    #[test]
    fn dropout_passes_the_gradient_of_what_it_kept() {
        let (device, sizes) = (Device::flex().autodiff(), [300, 17]);
        let ([batch, units], dropping) = (sizes, Dropping::new(7, 0.4));
        let run = |is_fused: bool| {
            let norm = BatchNorm::init("norm", units, &Parameters::new(Seed(1), &device));
            let input = leaf(37, sizes, &device);
            let output = if is_fused {
                let statistics = Arc::new(norm.batch_statistics(&input));
                let weights = [norm.gamma.val(), norm.beta.val()];
                operation::norm(input.clone(), weights, statistics, Activation::ReluDropout(dropping))
            } else {
                let mask = TensorData::new(dropout_mask(dropping, batch, units), sizes);
                composed(&norm, input.clone()) * Tensor::from_data(mask, &device)
            };
            let gradients = output.clone().square().sum().backward();
            [output, input.grad(&gradients).unwrap()].map(values)
        };
        for (found, expected) in run(true).iter().flatten().zip(run(false).iter().flatten()) {
            // numbers of some units, by sums of 300 f32
            assert!((found - expected).abs() < 1e-4, "expected {expected}, found {found}");
        }
    }

    /// A mean square less a squared mean would be off by some thousandths of the variance.
    #[test]
    fn statistics_far_from_zero_keep_their_precision() {
        let device = Device::flex().autodiff();
        let input: Vec<f32> = values(leaf(37, [513, 3], &device)).iter().map(|value| value + 1e3).collect();
        let Statistics { mean, variance } = Statistics::of(&input, 3);
        for unit in 0..3 {
            let of_unit: Vec<f64> = input.iter().skip(unit).step_by(3).copied().map(f64::from).collect();
            let exact_mean = of_unit.iter().sum::<f64>() / 513.0;
            let exact = of_unit.iter().map(|value| (value - exact_mean).powi(2)).sum::<f64>() / 513.0;
            assert!((f64::from(mean[unit]) - exact_mean).abs() < 1e-4, "{mean:?} {exact_mean}");
            assert!((f64::from(variance[unit]) / exact - 1.0).abs() < 1e-3, "{variance:?} {exact}");
        }
    }

    #[test]
    fn bits_are_the_same_for_any_number_of_threads() {
        let device = Device::flex().autodiff();
        for [batch, units] in [[1, 3], [700, 33], [4100, 40]] {
            let numbers = |factor| values(leaf(factor, [batch, units], &device));
            let (input, mut gradient) = (numbers(37), numbers(53));
            let weights = [values(leaf(29, [units], &device)), values(leaf(23, [units], &device))];
            let mut by = |threads| {
                let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
                pool.install(|| {
                    let (statistics, activation) = (Statistics::of(&input, units), Activation::Relu);
                    let [gamma, beta] = [&*weights[0], &*weights[1]];
                    let output = kernel::forward(&input, [gamma, beta], &statistics, activation);
                    gradient.copy_from_slice(&numbers(53));
                    let found = kernel::backward([&input, &output], gamma, &statistics, activation, &mut gradient);
                    let all = [output, gradient.clone(), found.concat(), statistics.mean, statistics.variance];
                    all.map(|values| values.into_iter().map(f32::to_bits).collect::<Vec<_>>())
                })
            };
            let one = by(1);
            assert!([2, 3, 9].into_iter().all(|threads| by(threads) == one), "{batch} {units}");
        }
    }
}
