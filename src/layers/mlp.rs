//! A multi-layer perceptron with ReLU and dropout that ends in one logit: the deep branch of DeepFM, SECN and others.

use burn::{
    module::Module,
    nn::{Dropout, DropoutConfig, Linear},
    tensor::{Tensor, activation},
};

use super::parameters::Parameters;

/// Hidden layers with ReLU, then one output.
#[derive(Module, Debug)]
pub struct Mlp {
    hidden: Vec<Linear>,
    output: Linear,
    dropout: Dropout,
}

impl Mlp {
    /// Weights by Glorot's normal (variance `2 / (in + out)`), biases zero.
    pub fn init(input: usize, hidden: &[usize], dropout: f64, parameters: &Parameters) -> Self {
        let mut width = input;
        let mut layers = Vec::with_capacity(hidden.len());
        for (index, &units) in hidden.iter().enumerate() {
            layers.push(linear(&format!("mlp.hidden.{index}"), width, units, parameters));
            width = units;
        }
        let output = linear("mlp.output", width, 1, parameters);
        Self { hidden: layers, output, dropout: DropoutConfig::new(dropout).init() }
    }

    /// # Shapes
    /// - input: `[batch, input]`
    /// - returns: `[batch]`
    pub fn forward(&self, input: Tensor<2>) -> Tensor<1> {
        const UNITS: usize = 1;
        let mut hidden = input;
        for layer in &self.hidden {
            hidden = self.dropout.forward(activation::relu(layer.forward(hidden)));
        }
        self.output.forward(hidden).squeeze_dim(UNITS)
    }
}

fn linear(name: &str, input: usize, output: usize, parameters: &Parameters) -> Linear {
    let deviation = (2.0 / (input + output) as f64).sqrt();
    Linear {
        weight: parameters.normal(&format!("{name}.weight"), [input, output], deviation),
        bias: Some(parameters.zeros(&format!("{name}.bias"), [output])),
    }
}
