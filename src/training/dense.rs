//! The dense weights: their optimizer, their gradients' norm, and their way into and out of plain memory.

use burn::{
    module::{Module, ModuleMapper, ModuleVisitor, Param},
    optim::{AdaGradConfig, AdamConfig, GradientsParams, ModuleOptimizer, SgdConfig},
    tensor::{Bytes, Tensor, TensorData},
};

use super::DenseOptimizer;
use crate::models::Model;

/// The optimizer of the dense weights with its moments.
pub struct DenseState {
    optimizer: ModuleOptimizer,
}

impl DenseState {
    pub fn new(optimizer: DenseOptimizer) -> Self {
        let optimizer = match optimizer {
            // burn's own default for ε is 1e-5
            DenseOptimizer::Adam => AdamConfig::new().with_epsilon(1e-8).init(),
            DenseOptimizer::Adagrad => AdaGradConfig::new().with_epsilon(1e-10).init(),
            DenseOptimizer::Sgd => SgdConfig::new().init(),
        };
        Self { optimizer }
    }

    /// One update.
    pub(super) fn step(&mut self, learning_rate: f64, model: Model, gradients: GradientsParams) -> Model {
        self.optimizer.step(learning_rate, model, gradients)
    }

    /// The moments, to be kept.
    ///
    /// # Errors
    /// A reason in words.
    pub fn to_bytes(&self) -> Result<Vec<u8>, String> {
        self.optimizer.into_bytes().map(|bytes| bytes.to_vec()).map_err(|error| error.to_string())
    }

    /// Puts back what [`Self::to_bytes`] gave.
    ///
    /// # Errors
    /// A reason in words.
    pub fn restore(self, bytes: Vec<u8>) -> Result<Self, String> {
        let optimizer = self.optimizer.from_bytes(Bytes::from_bytes_vec(bytes)).map_err(|error| error.to_string())?;
        Ok(Self { optimizer })
    }
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

/// All dense weights, in the model's order, named by their path in it.
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
                self.problem.get_or_insert(format!("weight `{name}`: expected shape {shape:?}, found {:?}", weight.shape));
                return parameter;
            }
            let device = parameter.device();
            let tensor = Tensor::from_data(TensorData::new(weight.values.clone(), shape), &device);
            Param::initialized(parameter.id, if device.is_autodiff() { tensor.require_grad() } else { tensor })
        }
    }
    let mut loader = Loader { path: Vec::new(), weights, problem: None };
    let model = model.map(&mut loader);
    loader.problem.map_or(Ok(model), Err)
}
