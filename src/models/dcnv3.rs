//! DCNv3: an exponential cross network (deep) and a linear one (shallow), each trained on the labels beside their mean.
//!
//! Li et al. 2024, arXiv 2407.13349. The order of the deep network's crossings doubles with every layer, the shallow
//! one's grows by one; a masked copy of each crossing stands for its other half. The three losses are in
//! `training::loss`. Dropout is behind each layer.

use burn::{
    module::{Module, Param},
    nn::Dropout,
    tensor::{Tensor, activation, module::linear},
};
use serde::{Deserialize, Serialize};

use super::{Embedded, Logits, Needs, Parameters, Settings, Shape, Towers, Vectors, count};
use crate::{
    layers::{layer_norm::LayerNorm, mlp::dropout},
    ranges::{Count, Share},
};

/// `[model.dcnv3]`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct DcnV3Config {
    /// Layers of the exponential cross network. Default 3.
    pub deep_layers: Count,
    /// Layers of the linear cross network. Default 3.
    pub shallow_layers: Count,
    /// Whether crossings are normalized before they mask themselves. Default true.
    pub layer_norm: bool,
    /// The share of numbers dropped behind each layer in training. Default: none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dropout: Option<Share>,
}

impl Default for DcnV3Config {
    fn default() -> Self {
        Self { deep_layers: count(3), shallow_layers: count(3), layer_norm: true, dropout: None }
    }
}

impl Settings for DcnV3Config {
    fn needs(&self) -> Needs {
        Needs { vectors: Vectors::One, linear: false }
    }

    fn check(&self, dim: usize) -> Result<(), String> {
        if dim.is_multiple_of(2) {
            return Ok(());
        }
        Err(format!(
            "`embedding.dim`: with `model.dcnv3`, which halves all vectors, expected an even number, found {dim}"
        ))
    }
}

impl DcnV3Config {
    /// Matrices by Glorot's normal, heads as [`Parameters::head`] draws them, biases zero; norms start as the identity.
    pub fn init(&self, shape: Shape, parameters: &Parameters) -> DcnV3 {
        let width = shape.fields * shape.dim;
        let layers = |network: &str, count: Count| {
            let names = (0..count.get()).map(|layer| format!("{network}.{layer}"));
            names.map(|name| self.init_layer(&name, width, parameters)).collect()
        };
        DcnV3 {
            deep: layers("deep", self.deep_layers),
            shallow: layers("shallow", self.shallow_layers),
            deep_head: parameters.head("deep_head", width),
            deep_bias: parameters.zeros("deep_bias", [1]),
            shallow_head: parameters.head("shallow_head", width),
            shallow_bias: parameters.zeros("shallow_bias", [1]),
        }
    }

    fn init_layer(&self, name: &str, width: usize, parameters: &Parameters) -> Crossing {
        let half = width / 2;
        Crossing {
            weight: parameters.glorot(&format!("{name}.weight"), [width, half]),
            bias: parameters.zeros(&format!("{name}.bias"), [half]),
            norm: self.layer_norm.then(|| LayerNorm::init(&format!("{name}.norm"), half, parameters)),
            dropout: dropout(self.dropout),
        }
    }
}

/// `logit = ½ (logit of the deep network + logit of the shallow one)`.
#[derive(Module, Debug)]
pub struct DcnV3 {
    deep: Vec<Crossing>,
    shallow: Vec<Crossing>,
    deep_head: Param<Tensor<2>>,
    deep_bias: Param<Tensor<1>>,
    shallow_head: Param<Tensor<2>>,
    shallow_bias: Param<Tensor<1>>,
}

impl DcnV3 {
    /// # Shapes
    /// - returns: `[batch]` each
    pub fn forward(&self, embedded: &Embedded) -> Logits {
        const UNITS: usize = 1;
        let start = embedded.concatenation();
        let deep = self.deep.iter().fold(start.clone(), |hidden, layer| layer.forward(hidden.clone(), hidden));
        let shallow = self.shallow.iter().fold(start.clone(), |hidden, layer| layer.forward(hidden, start.clone()));
        let deep = deep.matmul(self.deep_head.val()).squeeze_dim::<1>(UNITS) + self.deep_bias.val();
        let shallow = shallow.matmul(self.shallow_head.val()).squeeze_dim::<1>(UNITS) + self.shallow_bias.val();
        Logits {
            logits: (deep.clone() + shallow.clone()).mul_scalar(0.5),
            towers: Towers::Lagging(vec![deep, shallow]),
        }
    }
}

/// `y ⊙ [c, c ⊙ relu(LN(c))] + x` with `c = x W + b`; `y` is `x` in the deep network and its start in the shallow one.
#[derive(Module, Debug)]
struct Crossing {
    /// `W`: `[width, width / 2]`
    weight: Param<Tensor<2>>,
    bias: Param<Tensor<1>>,
    norm: Option<LayerNorm>,
    dropout: Dropout,
}

impl Crossing {
    fn forward(&self, hidden: Tensor<2>, factor: Tensor<2>) -> Tensor<2> {
        const UNITS: usize = 1;
        let crossing = linear(hidden.clone(), self.weight.val(), Some(self.bias.val()));
        let normed = match &self.norm {
            Some(norm) => norm.forward(crossing.clone()),
            None => crossing.clone(),
        };
        let masked = crossing.clone() * activation::relu(normed);
        self.dropout.forward(factor * Tensor::cat(vec![crossing, masked], UNITS) + hidden)
    }
}
