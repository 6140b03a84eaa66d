//! A multi-layer perceptron with ReLU, dropout and optional batch norm: the deep branch of most models.

use burn::{
    module::{Module, Param},
    nn::{Dropout, DropoutConfig, Linear},
    tensor::Tensor,
};

use super::{batch_norm::BatchNorm, hidden, parameters::Parameters};
use crate::ranges::{Count, Share};

/// What an MLP is built from: the keys of a model's table.
#[derive(Clone, Copy, Debug)]
pub struct MlpConfig<'a> {
    /// Units of the hidden layers.
    pub units: &'a [Count],
    /// The share of hidden units dropped in training.
    pub dropout: Option<Share>,
    /// Whether each hidden layer is normalized before its ReLU.
    pub batch_norm: bool,
}

impl MlpConfig<'_> {
    /// Hidden layers and one output; `name` is the MLP's own among the model's weights.
    ///
    /// Weights by Glorot's normal, biases zero.
    pub fn init(&self, name: &str, input: usize, parameters: &Parameters) -> Mlp {
        let output = parameters.linear(&format!("{name}.output"), [self.width(input), 1]);
        Mlp { hidden: self.init_hidden(name, input, parameters), output }
    }

    /// As [`Self::init`], the hidden layers alone.
    pub fn init_body(&self, name: &str, input: usize, parameters: &Parameters) -> MlpBody {
        MlpBody { hidden: self.init_hidden(name, input, parameters) }
    }

    /// Units of the last hidden layer.
    pub fn width(&self, input: usize) -> usize {
        self.units.last().map_or(input, |units| units.get())
    }

    fn init_hidden(&self, name: &str, input: usize, parameters: &Parameters) -> Vec<HiddenLayer> {
        let mut width = input;
        let mut layers = Vec::with_capacity(self.units.len());
        for (index, units) in self.units.iter().map(|units| units.get()).enumerate() {
            let name = format!("{name}.hidden.{index}");
            layers.push(HiddenLayer {
                weight: parameters.glorot(&format!("{name}.weight"), [width, units]),
                bias: parameters.zeros(&format!("{name}.bias"), [units]),
                norm: self.batch_norm.then(|| BatchNorm::init(&format!("{name}.norm"), units, parameters)),
                dropout: dropout(self.dropout),
            });
            width = units;
        }
        layers
    }
}

/// A dropout that may be absent.
pub fn dropout(share: Option<Share>) -> Dropout {
    DropoutConfig::new(share.map_or(0.0, Share::value)).init()
}

/// `dropout(relu(norm(x W + b)))`.
#[derive(Module, Debug)]
struct HiddenLayer {
    /// `[input, units]`
    weight: Param<Tensor<2>>,
    bias: Param<Tensor<1>>,
    norm: Option<BatchNorm>,
    dropout: Dropout,
}

impl HiddenLayer {
    fn forward(&self, input: Tensor<2>) -> Tensor<2> {
        let (weight, bias) = (self.weight.val(), self.bias.val());
        match &self.norm {
            Some(norm) => norm.relu_dropout(hidden::linear(input, weight, bias), &self.dropout),
            None => hidden::linear_relu(input, weight, bias, &self.dropout),
        }
    }
}

/// Hidden layers alone.
#[derive(Module, Debug)]
pub struct MlpBody {
    hidden: Vec<HiddenLayer>,
}

impl MlpBody {
    /// # Shapes
    /// - input: `[batch, input]`
    /// - returns: `[batch, units of the last layer]`
    pub fn forward(&self, input: Tensor<2>) -> Tensor<2> {
        self.hidden.iter().fold(input, |hidden, layer| layer.forward(hidden))
    }
}

/// Hidden layers, then one output.
#[derive(Module, Debug)]
pub struct Mlp {
    hidden: Vec<HiddenLayer>,
    output: Linear,
}

impl Mlp {
    /// # Shapes
    /// - input: `[batch, input]`
    /// - returns: `[batch]`
    pub fn forward(&self, input: Tensor<2>) -> Tensor<1> {
        const UNITS: usize = 1;
        let hidden = self.hidden.iter().fold(input, |hidden, layer| layer.forward(hidden));
        self.output.forward(hidden).squeeze_dim(UNITS)
    }
}
