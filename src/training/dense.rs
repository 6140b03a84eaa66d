//! The dense weights: their optimizer, their gradients' norm, and their way into and out of plain memory.

use std::collections::BTreeMap;

use burn::{
    module::{Module, ModuleMapper, ModuleVisitor, Param},
    optim::GradientsParams,
    tensor::{Device, Tensor, TensorData},
};

use super::DenseOptimizer;
use crate::models::Model;

const BETA_1: f64 = 0.9;
const BETA_2: f64 = 0.999;
/// The papers' and PyTorch's.
const ADAM_EPSILON: f64 = 1e-8;
const ADAGRAD_EPSILON: f64 = 1e-10;

/// The optimizer of the dense weights with its moments.
///
/// burn's own optimizers restore their state on burn's default device, which may be a GPU that isn't there; so the rule
/// is written here, on whatever device the weights are.
pub struct DenseState {
    optimizer: DenseOptimizer,
    steps: u64,
    /// Of each weight, by its path: none, one or two moments.
    moments: BTreeMap<String, Vec<Tensor<1>>>,
}

impl DenseState {
    pub fn new(optimizer: DenseOptimizer) -> Self {
        Self { optimizer, steps: 0, moments: BTreeMap::new() }
    }

    /// One update.
    pub(super) fn step(&mut self, learning_rate: f64, model: Model, gradients: GradientsParams) -> Model {
        self.steps += 1;
        model.map(&mut Updater { state: self, path: Vec::new(), gradients, learning_rate })
    }

    /// The moments in plain memory.
    pub fn saved(&self) -> Vec<Weight> {
        let moment = |path: &str, number: usize, moment: &Tensor<1>| {
            let values: Vec<f32> = moment.to_data().try_to_vec().expect("moments are f32, as the weights are");
            Weight { name: format!("{path}#{number}"), shape: vec![values.len()], values }
        };
        let of_weight = |(path, moments): (&String, &Vec<Tensor<1>>)| {
            moments.iter().enumerate().map(|(number, tensor)| moment(path, number, tensor)).collect::<Vec<_>>()
        };
        self.moments.iter().flat_map(of_weight).collect()
    }

    /// Puts back what [`Self::saved`] gave, onto `device`.
    pub fn restore(&mut self, steps: u64, moments: &[Weight], device: &Device) {
        self.steps = steps;
        self.moments.clear();
        // by name, so that a weight's first moment comes before its second
        let mut moments: Vec<&Weight> = moments.iter().collect();
        moments.sort_by(|left, right| left.name.cmp(&right.name));
        for moment in moments {
            let path = moment.name.rsplit_once('#').map_or(moment.name.as_str(), |(path, _)| path);
            let tensor = Tensor::from_data(TensorData::new(moment.values.clone(), [moment.values.len()]), device);
            self.moments.entry(path.to_owned()).or_default().push(tensor);
        }
    }

    /// What is to be subtracted from a weight, for its gradient.
    fn delta(&mut self, path: &str, gradient: Tensor<1>, learning_rate: f64) -> Tensor<1> {
        match self.optimizer {
            DenseOptimizer::Sgd => gradient.mul_scalar(learning_rate),
            DenseOptimizer::Adagrad => {
                let sum = self.moments.remove(path).and_then(|mut moments| moments.pop());
                let square = gradient.clone().square();
                let sum = sum.map_or_else(|| square.clone(), |sum| sum + square.clone());
                self.moments.insert(path.to_owned(), vec![sum.clone()]);
                gradient.mul_scalar(learning_rate) / sum.sqrt().add_scalar(ADAGRAD_EPSILON)
            }
            DenseOptimizer::Adam => self.adam_delta(path, &gradient, learning_rate),
        }
    }

    /// `η / (1 − β₁ᵗ) · m / (√v / √(1 − β₂ᵗ) + ε)`.
    fn adam_delta(&mut self, path: &str, gradient: &Tensor<1>, learning_rate: f64) -> Tensor<1> {
        let moments = self.moments.remove(path).and_then(|moments| <[Tensor<1>; 2]>::try_from(moments).ok());
        let [first, second] = moments.unwrap_or_else(|| [gradient.zeros_like(), gradient.zeros_like()]);
        let first = first.mul_scalar(BETA_1) + gradient.clone().mul_scalar(1.0 - BETA_1);
        let second = second.mul_scalar(BETA_2) + gradient.clone().square().mul_scalar(1.0 - BETA_2);
        self.moments.insert(path.to_owned(), vec![first.clone(), second.clone()]);
        let correction = |beta: f64| 1.0 - beta.powf(self.steps as f64);
        let rate = learning_rate / correction(BETA_1);
        let scale = 1.0 / correction(BETA_2).sqrt();
        first.mul_scalar(rate) / second.sqrt().mul_scalar(scale).add_scalar(ADAM_EPSILON)
    }
}

/// Walks a model and moves each weight along its gradient.
struct Updater<'a> {
    state: &'a mut DenseState,
    path: Vec<String>,
    gradients: GradientsParams,
    learning_rate: f64,
}

impl ModuleMapper for Updater<'_> {
    fn enter_module(&mut self, name: &str, _container: &str) {
        self.path.push(name.to_owned());
    }

    fn exit_module(&mut self, _name: &str, _container: &str) {
        self.path.pop();
    }

    fn map_float<const D: usize>(&mut self, parameter: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let Some(gradient) = self.gradients.remove::<D>(parameter.id) else {
            return parameter;
        };
        let shape = gradient.dims();
        let count = shape.iter().product::<usize>();
        let path = self.path.join(".");
        let delta = self.state.delta(&path, gradient.reshape([count]), self.learning_rate);
        let updated = parameter.val().inner() - delta.reshape(shape);
        Param::initialized(parameter.id, Tensor::from_inner(updated).require_grad())
    }
}

/// The number of trainable weights; running statistics, which no gradient moves, don't count.
pub(super) fn parameters(model: &Model) -> usize {
    struct Counter(usize);
    impl ModuleVisitor for Counter {
        fn visit_float<const D: usize>(&mut self, parameter: &Param<Tensor<D>>) {
            if parameter.is_require_grad() {
                self.0 += parameter.shape().num_elements();
            }
        }
    }
    let mut counter = Counter(0);
    model.visit(&mut counter);
    counter.0
}

/// The sum of all squares of the dense gradients.
pub(super) fn squared_norm(model: &Model, gradients: &GradientsParams) -> f64 {
    struct Norm<'a>(&'a GradientsParams, f64);
    impl ModuleVisitor for Norm<'_> {
        fn visit_float<const D: usize>(&mut self, parameter: &Param<Tensor<D>>) {
            if let Some(gradient) = self.0.get::<D>(parameter.id) {
                self.1 += f64::from(gradient.square().sum().into_scalar::<f32>());
            }
        }
    }
    let mut norm = Norm(gradients, 0.0);
    model.visit(&mut norm);
    norm.1
}

/// Multiplies all dense gradients by `factor`.
pub(super) fn scale(model: &Model, gradients: &mut GradientsParams, factor: f64) {
    struct Scale<'a>(&'a mut GradientsParams, f64);
    impl ModuleVisitor for Scale<'_> {
        fn visit_float<const D: usize>(&mut self, parameter: &Param<Tensor<D>>) {
            if let Some(gradient) = self.0.remove::<D>(parameter.id) {
                self.0.register(parameter.id, gradient.mul_scalar(self.1));
            }
        }
    }
    model.visit(&mut Scale(gradients, factor));
}

/// One dense weight in plain memory.
#[derive(Clone, Debug, PartialEq)]
pub struct Weight {
    pub name: String,
    pub shape: Vec<usize>,
    pub values: Vec<f32>,
}

/// All dense weights and running statistics, in the model's order, named by their path in it.
pub fn weights(model: &impl Module) -> Vec<Weight> {
    #[derive(Default)]
    struct Collector {
        path: Vec<String>,
        weights: Vec<Weight>,
    }
    impl ModuleVisitor for Collector {
        fn enter_module(&mut self, name: &str, _container: &str) {
            self.path.push(name.to_owned());
        }
        fn exit_module(&mut self, _name: &str, _container: &str) {
            self.path.pop();
        }
        fn visit_float<const D: usize>(&mut self, parameter: &Param<Tensor<D>>) {
            let data = parameter.val().into_data();
            self.weights.push(Weight {
                name: self.path.join("."),
                shape: data.shape().to_vec(),
                values: data.try_to_vec().expect("weights are f32"),
            });
        }
    }
    let mut collector = Collector::default();
    model.visit(&mut collector);
    collector.weights
}

/// The model with the given weights in place of its own.
///
/// # Errors
/// The name of a weight that is missing or has another shape.
pub fn with_weights<M: Module>(model: M, weights: &[Weight]) -> Result<M, String> {
    struct Loader<'a> {
        path: Vec<String>,
        weights: &'a [Weight],
        problem: Option<String>,
    }
    impl ModuleMapper for Loader<'_> {
        fn enter_module(&mut self, name: &str, _container: &str) {
            self.path.push(name.to_owned());
        }
        fn exit_module(&mut self, _name: &str, _container: &str) {
            self.path.pop();
        }
        fn map_float<const D: usize>(&mut self, parameter: Param<Tensor<D>>) -> Param<Tensor<D>> {
            let name = self.path.join(".");
            let shape = parameter.dims();
            let Some(weight) = self.weights.iter().find(|weight| weight.name == name) else {
                self.problem.get_or_insert(format!("expected a weight `{name}`, found none"));
                return parameter;
            };
            if weight.shape != shape {
                self.problem
                    .get_or_insert(format!("weight `{name}`: expected shape {shape:?}, found {:?}", weight.shape));
                return parameter;
            }
            let tensor = Tensor::from_data(TensorData::new(weight.values.clone(), shape), &parameter.device());
            let tensor = if parameter.is_require_grad() { tensor.require_grad() } else { tensor };
            Param::initialized(parameter.id, tensor)
        }
    }
    let mut loader = Loader { path: Vec::new(), weights, problem: None };
    let model = model.map(&mut loader);
    loader.problem.map_or(Ok(model), Err)
}
