//! SECN's stack of cross layers: each embedding dimension crossed on its own, along the field axis.
//!
//! Liu et al. 2024, arXiv 2410.15026, step 3:
//! `H(i) = f( W_C (H(i−1) ⊗ H(i−1)) + W_R H(i−1) + b_C )`, with `⊗` elementwise and `W_C`, `W_R` multiplying the field
//! axis from the left. Beside that form stand other products, residuals and activations (see [`Product`],
//! [`Residual`], [`Activation`]), after the ablations of QNN (arXiv 2505.17999) and GDCN (arXiv 2311.04635).
//!
//! On the CPU the whole stack is one operation (`operation.rs`, `kernel.rs`); elsewhere it is composed of burn's.

pub mod kernel;
pub mod operation;

use burn::{
    module::{Module, Param},
    tensor::{Tensor, activation},
};
use serde::{Deserialize, Serialize};

pub use self::kernel::{Activation, Form, Product};
use super::parameters::Parameters;
use crate::device::has_fused_kernels;

/// What a layer adds to its product.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Residual {
    /// The paper's `W_R H`.
    #[default]
    Weighted,
    /// `H` itself.
    Identity,
    /// `W_R H + H`.
    Both,
}

/// Whether the embedding dimensions share their weights.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Sharing {
    /// One pair of matrices a layer.
    #[default]
    Shared,
    /// One pair a layer and dimension.
    PerDimension,
}

/// What a stack is built from.
#[derive(Clone, Copy, Debug)]
pub struct StackConfig {
    pub layers: usize,
    pub sharing: Sharing,
    pub residual: Residual,
    pub form: Form,
}

/// The weights of all layers.
#[derive(Module, Debug)]
pub struct CrossStack {
    /// `W_C`: `[layers, copies, fields, fields]`, with one copy (shared) or `dim` of them.
    cross: Param<Tensor<4>>,
    /// `W_R`, shaped as `W_C`; absent where the residual is the identity.
    residual: Option<Param<Tensor<4>>>,
    /// `b_C`: `[layers, fields]`.
    bias: Param<Tensor<2>>,
    #[module(skip)]
    form: Form,
    #[module(skip)]
    identity: bool,
}

impl StackConfig {
    /// Matrices start from `N(0, 1 / fields)`, biases from zero.
    pub fn init(&self, fields: usize, dim: usize, parameters: &Parameters) -> CrossStack {
        let copies = match self.sharing {
            Sharing::Shared => 1,
            Sharing::PerDimension => dim,
        };
        let shape = [self.layers, copies, fields, fields];
        let deviation = (1.0 / fields as f64).sqrt();
        CrossStack {
            cross: parameters.normal("stack.cross", shape, deviation),
            residual: (self.residual != Residual::Identity)
                .then(|| parameters.normal("stack.residual", shape, deviation)),
            bias: parameters.zeros("stack.bias", [self.layers, fields]),
            form: self.form,
            identity: self.residual != Residual::Weighted,
        }
    }
}

impl CrossStack {
    /// `Σ_fields H(L)`, the input of SECN's head (step 5).
    ///
    /// # Shapes
    /// - vectors: `[batch, fields, dim]`
    /// - returns: `[batch, dim]`
    pub fn forward_pooled(&self, vectors: Tensor<3>) -> Tensor<2> {
        const FIELDS: usize = 1;
        if self.is_fused(&vectors) {
            let [cross, residual] = self.shared_weights();
            return operation::pooled(self.form, vectors, cross, residual, self.bias.val());
        }
        self.forward_composed(vectors).sum_dim(FIELDS).squeeze_dim(FIELDS)
    }

    /// `H(L)`.
    ///
    /// # Shapes
    /// - vectors: `[batch, fields, dim]`
    /// - returns: `[batch, fields, dim]`
    pub fn forward(&self, vectors: Tensor<3>) -> Tensor<3> {
        if self.is_fused(&vectors) {
            let [cross, residual] = self.shared_weights();
            return operation::full(self.form, vectors, cross, residual, self.bias.val());
        }
        self.forward_composed(vectors)
    }

    /// `H(L)`, of burn's own operations: for devices without our kernels, and to hold the kernels to.
    pub fn forward_composed(&self, vectors: Tensor<3>) -> Tensor<3> {
        let [layers, copies, fields, _] = self.cross.dims();
        let [batch, _, dim] = vectors.dims();
        let start = into_columns(vectors, copies);
        let weight = |weights: &Tensor<4>, layer: usize| -> Tensor<3> {
            weights.clone().slice([layer..layer + 1, 0..copies, 0..fields, 0..fields]).squeeze_dim(0)
        };
        let (cross, residual) = (self.cross.val(), self.effective_residual());
        let mut hidden = start.clone();
        for layer in 0..layers {
            let bias = self.bias.val().slice([layer..layer + 1, 0..fields]).reshape([1, fields, 1]);
            let weights = [weight(&cross, layer), weight(&residual, layer)];
            hidden = self.layer(weights, bias, hidden, start.clone());
        }
        from_columns(hidden, copies, [batch, fields, dim])
    }

    /// One layer on `[copies, fields, columns]`.
    fn layer(&self, weights: [Tensor<3>; 2], bias: Tensor<3>, hidden: Tensor<3>, start: Tensor<3>) -> Tensor<3> {
        let [cross, residual] = weights;
        let gated = self.form.activation == Activation::GateRelu;
        let gate = |input: Tensor<3>| {
            let gate = cross.clone().matmul(input);
            if gated { activation::relu(gate + bias.clone()) } else { gate }
        };
        let product = match self.form.product {
            Product::Square => gate(hidden.clone() * hidden.clone()),
            Product::Gate => gate(hidden.clone()) * hidden.clone(),
            Product::Base => gate(hidden.clone()) * start,
        };
        let sum = product + residual.matmul(hidden);
        match self.form.activation {
            Activation::Relu => activation::relu(sum + bias),
            Activation::None => sum + bias,
            Activation::GateRelu => sum,
        }
    }

    fn is_fused(&self, vectors: &Tensor<3>) -> bool {
        let [_, copies, _, _] = self.cross.dims();
        copies == 1 && has_fused_kernels(&vectors.device())
    }

    /// `W_R`, with the identity added where the residual has it.
    fn effective_residual(&self) -> Tensor<4> {
        let [layers, copies, fields, _] = self.cross.dims();
        let identity = || {
            let identity: Tensor<2> = Tensor::eye(fields, &self.cross.val().device());
            identity.reshape([1, 1, fields, fields]).expand([layers, copies, fields, fields])
        };
        match (&self.residual, self.identity) {
            (Some(residual), false) => residual.val(),
            (Some(residual), true) => residual.val() + identity(),
            (None, _) => identity(),
        }
    }

    /// `W_C` and `W_R` as `[layers, fields, fields]`.
    fn shared_weights(&self) -> [Tensor<3>; 2] {
        let [layers, _, fields, _] = self.cross.dims();
        [self.cross.val(), self.effective_residual()].map(|weights| weights.reshape([layers, fields, fields]))
    }
}

/// `[batch, fields, dim]` → `[1, fields, batch · dim]`, or `[dim, fields, batch]` for weights of their own a dimension.
fn into_columns(vectors: Tensor<3>, copies: usize) -> Tensor<3> {
    let [batch, fields, dim] = vectors.dims();
    if copies == 1 { vectors.swap_dims(0, 1).reshape([1, fields, batch * dim]) } else { vectors.swap_dims(0, 2) }
}

fn from_columns(columns: Tensor<3>, copies: usize, shape: [usize; 3]) -> Tensor<3> {
    let [batch, fields, dim] = shape;
    if copies == 1 { columns.reshape([fields, batch, dim]).swap_dims(0, 1) } else { columns.swap_dims(0, 2) }
}

#[cfg(test)]
mod tests {
    use burn::tensor::{Device, TensorData};

    use super::*;
    use crate::seed::Seed;

    const SHAPE: [usize; 3] = [5, 7, 3];

    fn leaf(device: &Device) -> Tensor<3> {
        let count = SHAPE.iter().product::<usize>();
        let values: Vec<f32> = (0..count).map(|number| ((number * 37 % 101) as f32 - 50.0) / 40.0).collect();
        Tensor::from_data(TensorData::new(values, SHAPE), device).require_grad()
    }

    /// Output, then the gradients of vectors, `W_C` and `b_C`.
    fn run(stack: &CrossStack, forward: impl Fn(&CrossStack, Tensor<3>) -> Tensor<2>) -> Vec<Vec<f32>> {
        let device = Device::flex().autodiff();
        let vectors = leaf(&device);
        let output = forward(stack, vectors.clone());
        let gradients = output.clone().square().sum().backward();
        let values = |data: TensorData| data.try_to_vec::<f32>().unwrap();
        vec![
            values(output.into_data()),
            values(vectors.grad(&gradients).unwrap().into_data()),
            values(stack.cross.val().grad(&gradients).unwrap().into_data()),
            values(stack.bias.val().grad(&gradients).unwrap().into_data()),
        ]
    }

    /// 1e-4 of each part's largest number: both ways sum some hundred f32 products, in different orders.
    #[test]
    fn the_fused_operation_is_the_composed_one() {
        let device = Device::flex().autodiff();
        let parameters = Parameters::new(Seed(5), &device);
        for product in [Product::Square, Product::Gate, Product::Base] {
            for activation in [Activation::Relu, Activation::GateRelu, Activation::None] {
                for residual in [Residual::Weighted, Residual::Identity, Residual::Both] {
                    let form = Form { product, activation };
                    let config = StackConfig { layers: 3, sharing: Sharing::Shared, residual, form };
                    let stack = config.init(SHAPE[1], SHAPE[2], &parameters);
                    let composed =
                        run(&stack, |stack, vectors| stack.forward_composed(vectors).sum_dim(1).squeeze_dim(1));
                    let pooled = run(&stack, CrossStack::forward_pooled);
                    let full = run(&stack, |stack, vectors| stack.forward(vectors).sum_dim(1).squeeze_dim(1));
                    for fused in [pooled, full] {
                        for (fused, composed) in fused.iter().zip(&composed) {
                            let largest = composed.iter().fold(1.0_f32, |largest, value| largest.max(value.abs()));
                            for (fused, composed) in fused.iter().zip(composed) {
                                assert!((fused - composed).abs() < 1e-4 * largest, "{form:?} {residual:?}");
                            }
                        }
                    }
                }
            }
        }
    }
}
