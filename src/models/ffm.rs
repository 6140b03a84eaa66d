//! FFM: a factorization machine in which each field has a vector of its own for every partner field.
//!
//! Juan et al., RecSys 2016. With `mlp`, an MLP reads the pairs' products beside their sum, as the deep FFM of
//! `fwumious_wabbit` does. The bias and the first-order weights are not in the paper's equations.

use burn::{
    module::{Module, Param},
    tensor::Tensor,
};
use serde::{Deserialize, Serialize};

use super::{
    Embedded, Needs, Parameters, Settings, Shape, Vectors,
    pairs::{field_aware_products, field_aware_sum},
};
use crate::{
    layers::{
        mlp::{Mlp, MlpConfig},
        pairwise::pair_count,
    },
    ranges::{Count, Share},
};

/// `[model.ffm]`. A feature has `fields * embedding.dim` numbers, so a small `embedding.dim` (4) suits it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct FfmConfig {
    /// Units of an MLP on the products of all pairs. Default: none.
    pub mlp: Vec<Count>,
    /// The share of the MLP's hidden units dropped in training. Default: none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dropout: Option<Share>,
    /// Whether the MLP's hidden layers are normalized over the batch, before ReLU. Default false.
    pub batch_norm: bool,
}

impl Settings for FfmConfig {
    fn needs(&self) -> Needs {
        Needs { vectors: Vectors::APartner, linear: true }
    }
}

impl FfmConfig {
    /// Weights as [`MlpConfig::init`] draws them; the bias starts from zero.
    pub fn init(&self, shape: Shape, parameters: &Parameters) -> Ffm {
        let mlp = MlpConfig { units: &self.mlp, dropout: self.dropout, batch_norm: self.batch_norm };
        let pairs = pair_count(shape.fields);
        Ffm {
            bias: parameters.zeros("bias", [1]),
            mlp: (!self.mlp.is_empty()).then(|| mlp.init("mlp", pairs, parameters)),
        }
    }
}

/// `logit = b + Σ w_i + Σ_{i<j} <x_i^(f_j), x_j^(f_i)>`, and `MLP` of these products where there is one.
#[derive(Module, Debug)]
pub struct Ffm {
    bias: Param<Tensor<1>>,
    mlp: Option<Mlp>,
}

impl Ffm {
    /// # Shapes
    /// - embedded: vectors `[batch, fields, fields * dim]`, a field's vectors in the order of their partners
    /// - returns: `[batch]`
    pub fn forward(&self, embedded: &Embedded) -> Tensor<1> {
        const PAIRS: usize = 1;
        let (vectors, linear) = (embedded.feature_vectors(), embedded.linear_sum() + self.bias.val());
        let Some(mlp) = &self.mlp else { return linear + field_aware_sum(vectors) };
        let products = field_aware_products(vectors);
        let sum: Tensor<1> = products.clone().sum_dim(PAIRS).squeeze_dim(PAIRS);
        linear + sum + mlp.forward(products)
    }
}
