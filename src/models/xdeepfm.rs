//! xDeepFM: a compressed interaction network (CIN) beside first-order weights and a multi-layer perceptron.
//!
//! Lian et al. 2018, arXiv 1803.05170; the CIN's activation is the identity, the paper's choice. Beyond the paper's
//! text, `split_half` is of the authors' code.

use burn::{
    module::{Module, Param},
    tensor::Tensor,
};
use serde::{Deserialize, Serialize};

use super::{Embedded, Needs, Parameters, Settings, Shape, Vectors, counts};
use crate::{
    layers::{
        cin::cin_layer,
        mlp::{Mlp, MlpConfig},
    },
    ranges::{Count, Share},
};

/// `[model.xdeepfm]`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct XDeepFmConfig {
    /// Maps of the CIN's layers. Default `[64, 64, 64]`.
    pub cin: Vec<Count>,
    /// Whether, in all layers but the last, the first half of the maps feeds the next layer and the second half the
    /// head. Default false: all maps do both.
    pub split_half: bool,
    /// Units of the MLP's hidden layers. Default `[400, 400, 400]`.
    pub mlp: Vec<Count>,
    /// The share of hidden units dropped in training. Default: none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dropout: Option<Share>,
    /// Whether hidden layers are normalized over the batch, before ReLU. Default false.
    pub batch_norm: bool,
}

impl Default for XDeepFmConfig {
    fn default() -> Self {
        Self { cin: counts(64, 3), split_half: false, mlp: counts(400, 3), dropout: None, batch_norm: false }
    }
}

impl Settings for XDeepFmConfig {
    fn needs(&self) -> Needs {
        Needs { vectors: Vectors::One, linear: true }
    }

    fn check(&self, _dim: usize) -> Result<(), String> {
        let Some((_, before_last)) = self.cin.split_last() else {
            return Err("`model.xdeepfm.cin`: expected the maps of at least one layer, found none".to_owned());
        };
        match before_last.iter().find(|maps| self.split_half && !maps.get().is_multiple_of(2)) {
            Some(maps) => Err(format!(
                "`model.xdeepfm.cin`: with `model.xdeepfm.split_half` expected even numbers before the last, found {}",
                maps.get()
            )),
            None => Ok(()),
        }
    }
}

impl XDeepFmConfig {
    /// The CIN's weights from `N(0, 2 / (inputs + maps))`; the rest as [`MlpConfig::init`] and [`Parameters::head`] draw
    /// it; the bias starts from zero.
    pub fn init(&self, shape: Shape, parameters: &Parameters) -> XDeepFm {
        let Shape { fields, dim } = shape;
        let (mut fed, mut pooled) = (fields, 0);
        let mut cin = Vec::with_capacity(self.cin.len());
        for (layer, maps) in self.cin.iter().map(|maps| maps.get()).enumerate() {
            let deviation = (2.0 / (fed * fields + maps) as f64).sqrt();
            cin.push(parameters.normal(&format!("cin.{layer}"), [maps, fed, fields], deviation));
            fed = if self.split_half { maps / 2 } else { maps };
            pooled += if self.split_half && layer + 1 < self.cin.len() { maps - fed } else { maps };
        }
        let mlp = MlpConfig { units: &self.mlp, dropout: self.dropout, batch_norm: self.batch_norm };
        XDeepFm {
            cin,
            head: parameters.head("head", pooled),
            bias: parameters.zeros("bias", [1]),
            mlp: mlp.init("mlp", fields * dim, parameters),
            split_half: self.split_half,
        }
    }
}

/// `logit = b + Σ w_i + CIN + MLP(concatenation of all vectors)`.
#[derive(Module, Debug)]
pub struct XDeepFm {
    /// A layer's `W`: `[maps, maps that feed it, fields]`.
    cin: Vec<Param<Tensor<3>>>,
    /// `[pooled maps, 1]`
    head: Param<Tensor<2>>,
    bias: Param<Tensor<1>>,
    mlp: Mlp,
    split_half: bool,
}

impl XDeepFm {
    /// # Shapes
    /// - returns: `[batch]`
    pub fn forward(&self, embedded: &Embedded) -> Tensor<1> {
        let deep = self.mlp.forward(embedded.concatenation());
        embedded.linear_sum() + self.explicit(&embedded.vectors()) + deep + self.bias.val()
    }

    /// The CIN's part of the logit, `Σ_kh w^k_h Σ_d X^k_hd` with the head's weights `w` and
    /// `X^k_h = Σ_ij W^k_hij (X^{k−1}_i ⊙ X^0_j)`.
    ///
    /// A layer's maps that feed no other are not made one by one: their weighted sum is the map of `Σ_h w_h W_h`.
    ///
    /// # Shapes
    /// - start: `[batch, fields, dim]`
    /// - returns: `[batch]`
    fn explicit(&self, start: &Tensor<3>) -> Tensor<1> {
        const MAPS: usize = 0;
        let [batch, _, _] = start.dims();
        let (mut feed, mut pooled) = (None, 0);
        let mut parts = Vec::with_capacity(self.cin.len());
        for (layer, weight) in self.cin.iter().enumerate() {
            let weight = weight.val();
            let [maps, fed, fields] = weight.dims();
            let feeding = match layer + 1 < self.cin.len() {
                false => 0,
                true if self.split_half => maps / 2,
                true => maps,
            };
            let direct = if feeding < maps { maps - feeding } else { maps };
            let head = self.head.val().narrow(MAPS, pooled, direct);
            pooled += direct;
            let output = if feeding == maps {
                cin_layer(feed, start.clone(), weight)
            } else {
                let direct = weight.clone().narrow(MAPS, feeding, direct).reshape([direct, fed * fields]);
                let combined = head.clone().transpose().matmul(direct).reshape([1, fed, fields]);
                let weights =
                    if feeding > 0 { vec![weight.narrow(MAPS, 0, feeding), combined] } else { vec![combined] };
                cin_layer(feed, start.clone(), Tensor::cat(weights, MAPS))
            };
            let of_maps = |first, count| output.clone().narrow(1, first, count);
            parts.push(if feeding == maps { pool(output.clone()).matmul(head) } else { pool(of_maps(feeding, 1)) });
            feed = (feeding > 0).then(|| of_maps(0, feeding));
        }
        Tensor::cat(parts, 1).sum_dim(1).reshape([batch])
    }
}

/// # Shapes
/// - maps: `[batch, maps, dim]`
/// - returns: `[batch, maps]`
fn pool(maps: Tensor<3>) -> Tensor<2> {
    const DIM: usize = 2;
    maps.sum_dim(DIM).squeeze_dim(DIM)
}
