//! Cross layers on the concatenation of all vectors, with an MLP beside or behind them: DCNv2 and GDCN.
//!
//! Wang et al. 2020, DCN V2, arXiv 2008.13535; the gate is of Wang et al. 2023, GDCN, arXiv 2311.04635.
//!
//! On the CPU what follows `x V` and the gate is one operation (`operation.rs`, `kernel.rs`); elsewhere it is composed of burn's.

pub mod kernel;
pub mod operation;

use burn::{
    module::{Module, Param},
    tensor::{Tensor, activation, module},
};
use serde::{Deserialize, Serialize};

use super::{
    mlp::{MlpBody, MlpConfig},
    parameters::Parameters,
};
use crate::device::has_fused_kernels;

/// Where the MLP stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Structure {
    /// Beside the cross layers; the head reads both.
    #[default]
    Parallel,
    /// Behind the cross layers; the head reads the MLP.
    Stacked,
}

/// What a cross network is built from.
#[derive(Clone, Copy, Debug)]
pub struct CrossNetworkConfig<'a> {
    /// Number of cross layers.
    pub layers: usize,
    /// The rank of their matrices; none: full.
    pub rank: Option<usize>,
    pub structure: Structure,
    /// Whether each layer has GDCN's gate.
    pub gated: bool,
    /// With no units there is no MLP.
    pub mlp: MlpConfig<'a>,
}

/// Cross layers, MLP and head.
#[derive(Module, Debug)]
pub struct CrossNetwork {
    cross: Vec<CrossLayer>,
    mlp: Option<MlpBody>,
    head: Param<Tensor<2>>,
    bias: Param<Tensor<1>>,
    #[module(skip)]
    structure: Structure,
}

impl CrossNetworkConfig<'_> {
    /// Matrices by Glorot's normal, biases zero; the head starts from `U(-1/√n, 1/√n)`.
    pub fn init(&self, width: usize, parameters: &Parameters) -> CrossNetwork {
        let layer = |index: usize| {
            let name = format!("cross.{index}");
            CrossLayer {
                down: self.rank.map(|rank| parameters.glorot(&format!("{name}.down"), [width, rank])),
                weight: parameters.glorot(&format!("{name}.weight"), [self.rank.unwrap_or(width), width]),
                bias: parameters.zeros(&format!("{name}.bias"), [width]),
                gate: self.gated.then(|| parameters.glorot(&format!("{name}.gate"), [width, width])),
            }
        };
        let mlp = (!self.mlp.units.is_empty()).then(|| self.mlp.init_body("mlp", width, parameters));
        let head_width = match (&mlp, self.structure) {
            (None, _) => width,
            (Some(_), Structure::Parallel) => width + self.mlp.width(width),
            (Some(_), Structure::Stacked) => self.mlp.width(width),
        };
        CrossNetwork {
            cross: (0..self.layers).map(layer).collect(),
            mlp,
            head: parameters.head("head", head_width),
            bias: parameters.zeros("bias", [1]),
            structure: self.structure,
        }
    }
}

impl CrossNetwork {
    /// # Shapes
    /// - input: `[batch, width]`
    /// - returns: `[batch]`
    pub fn forward(&self, input: Tensor<2>) -> Tensor<1> {
        const UNITS: usize = 1;
        let crossed = self.cross.iter().fold(input.clone(), |hidden, layer| layer.forward(hidden, input.clone()));
        let last = match (&self.mlp, self.structure) {
            (None, _) => crossed,
            (Some(mlp), Structure::Parallel) => Tensor::cat(vec![crossed, mlp.forward(input)], UNITS),
            (Some(mlp), Structure::Stacked) => mlp.forward(crossed),
        };
        last.matmul(self.head.val()).squeeze_dim::<1>(UNITS) + self.bias.val()
    }
}

/// `x₀ ⊙ (x W + b) + x`, or with a gate `x₀ ⊙ (x W + b) ⊙ σ(x W_g) + x`; of a low rank, `x V W` stands for `x W`, so that `W` is `Uᵀ`.
#[derive(Module, Debug)]
struct CrossLayer {
    /// `V`: `[width, rank]`
    down: Option<Param<Tensor<2>>>,
    /// `[width, width]` or `[rank, width]`
    weight: Param<Tensor<2>>,
    bias: Param<Tensor<1>>,
    /// `W_g`: `[width, width]`
    gate: Option<Param<Tensor<2>>>,
}

impl CrossLayer {
    fn forward(&self, hidden: Tensor<2>, first: Tensor<2>) -> Tensor<2> {
        let given = self.down.as_ref().map(|down| hidden.clone().matmul(down.val()));
        let first = match &self.gate {
            Some(gate) => first * activation::sigmoid(hidden.clone().matmul(gate.val())),
            None => first,
        };
        cross(hidden, first, given, self.weight.val(), self.bias.val())
    }
}

/// `first ⊙ (given W + b) + hidden`; without `given` that is `hidden`.
///
/// # Shapes
/// - hidden, first: `[batch, width]`
/// - given: `[batch, rank]`
/// - weight: `[rank, width]`
/// - bias: `[width]`
/// - returns: `[batch, width]`
pub fn cross(
    hidden: Tensor<2>,
    first: Tensor<2>,
    given: Option<Tensor<2>>,
    weight: Tensor<2>,
    bias: Tensor<1>,
) -> Tensor<2> {
    if has_fused_kernels(&hidden.device()) {
        return operation::cross(hidden, first, given, weight, bias);
    }
    cross_composed(hidden, first, given, weight, bias)
}

/// The same of burn's own operations.
pub fn cross_composed(
    hidden: Tensor<2>,
    first: Tensor<2>,
    given: Option<Tensor<2>>,
    weight: Tensor<2>,
    bias: Tensor<1>,
) -> Tensor<2> {
    let given = given.unwrap_or_else(|| hidden.clone());
    first * module::linear(given, weight, Some(bias)) + hidden
}

#[cfg(test)]
mod tests {
    use burn::tensor::{Device, TensorData};

    use super::*;

    type Layer = fn(Tensor<2>, Tensor<2>, Option<Tensor<2>>, Tensor<2>, Tensor<1>) -> Tensor<2>;

    fn leaf<const D: usize>(factor: usize, shape: [usize; D], device: &Device) -> Tensor<D> {
        let count = shape.iter().product::<usize>();
        let values: Vec<f32> = (0..count).map(|number| ((number * factor % 101) as f32 - 50.0) / 60.0).collect();
        Tensor::from_data(TensorData::new(values, shape), device).require_grad()
    }

    fn values<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
        tensor.into_data().try_to_vec().unwrap()
    }

    /// Two layers on one another, the first input of both being one tensor, as in DCNv2: output and all gradients.
    fn run([batch, width]: [usize; 2], rank: Option<usize>, layer: Layer) -> Vec<Vec<f32>> {
        let device = Device::flex().autodiff();
        let start = leaf(37, [batch, width], &device);
        let weights: Vec<_> = (0..2)
            .map(|layer| {
                let down = rank.map(|rank| leaf(41 + layer, [width, rank], &device));
                let weight = leaf(53 + layer, [rank.unwrap_or(width), width], &device);
                (down, weight, leaf::<1>(29 + layer, [width], &device))
            })
            .collect();
        let output = weights.iter().fold(start.clone(), |hidden, (down, weight, bias)| {
            let given = down.clone().map(|down| hidden.clone().matmul(down));
            layer(hidden, start.clone(), given, weight.clone(), bias.clone())
        });
        let gradients = output.clone().square().mean().backward();
        let mut found = vec![values(output), values(start.grad(&gradients).unwrap())];
        for (down, weight, bias) in weights {
            found.extend(down.map(|down| values(down.grad(&gradients).unwrap())));
            found.push(values(weight.grad(&gradients).unwrap()));
            found.push(values(bias.grad(&gradients).unwrap()));
        }
        found
    }

    /// 1e-4 of each part's largest number: both ways sum some hundred f32 products, in different orders.
    #[test]
    fn the_fused_layer_is_the_composed_one() {
        for sizes in [[1, 1], [5, 7], [131, 33], [300, 70]] {
            for rank in [None, Some(1), Some(9)] {
                let (fused, composed) = (run(sizes, rank, cross), run(sizes, rank, cross_composed));
                assert_eq!(fused.len(), composed.len());
                for (part, (fused, composed)) in fused.iter().zip(&composed).enumerate() {
                    assert_eq!(fused.len(), composed.len());
                    let largest = composed.iter().fold(1e-3_f32, |largest, value| largest.max(value.abs()));
                    for (fused, composed) in fused.iter().zip(composed) {
                        let error = (fused - composed).abs();
                        assert!(error < 1e-4 * largest, "{sizes:?} {rank:?} part {part}: {fused} {composed}");
                    }
                }
            }
        }
    }

    #[test]
    fn bits_are_the_same_for_any_number_of_threads() {
        for rank in [None, Some(8)] {
            let by = |threads| {
                let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
                let found = pool.install(|| run([300, 130], rank, cross));
                found.into_iter().flatten().map(f32::to_bits).collect::<Vec<_>>()
            };
            let one = by(1);
            assert!([2, 3, 9].into_iter().all(|threads| by(threads) == one), "{rank:?}");
        }
    }

    /// Where only the weights learn, or `first` alone is frozen.
    #[test]
    fn frozen_inputs_leave_the_weights_their_gradients() {
        let device = Device::flex().autodiff();
        let frozen = |factor| -> Tensor<2> { Tensor::from_data(leaf(factor, [5, 4], &device).into_data(), &device) };
        let (weight, bias) = (leaf(53, [4, 4], &device), leaf(29, [4], &device));
        let by = |layer: Layer| {
            let gradients = layer(frozen(37), frozen(31), None, weight.clone(), bias.clone()).sum().backward();
            let hidden = leaf(37, [5, 4], &device);
            let output = layer(hidden.clone(), frozen(31), None, weight.clone(), bias.clone());
            let by_hidden = hidden.grad(&output.sum().backward()).unwrap();
            let (weight, bias) = (weight.grad(&gradients).unwrap(), bias.grad(&gradients).unwrap());
            [values(weight), values(bias), values(by_hidden)].concat()
        };
        for (fused, composed) in by(cross).into_iter().zip(by(cross_composed)) {
            assert!((fused - composed).abs() < 1e-5, "{fused} {composed}");
        }
    }
}
