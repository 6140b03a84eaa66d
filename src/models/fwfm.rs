//! FwFM: a factorization machine with a weight for every pair of fields.
//!
//! Pan et al. 2018, arXiv 1806.03514; first-order weights a feature, the paper's plain variant.

use burn::{
    module::{Module, Param},
    tensor::Tensor,
};
use serde::{Deserialize, Serialize};

use super::{Embedded, Needs, Parameters, Settings, Shape, Vectors};

/// `[model.fwfm]`; it has no keys.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FwFmConfig {}

impl Settings for FwFmConfig {
    fn needs(&self) -> Needs {
        Needs { vectors: Vectors::One, linear: true }
    }
}

impl FwFmConfig {
    /// The pairs' weights start from one, which is FM; the bias from zero.
    pub fn init(&self, shape: Shape, parameters: &Parameters) -> FwFm {
        let Shape { fields, .. } = shape;
        FwFm { bias: parameters.zeros("bias", [1]), pairs: parameters.constant("pairs", [fields, fields], 1.0) }
    }
}

/// `logit = b + Σ w_i + Σ_{i<j} r_ij <x_i, x_j>`.
#[derive(Module, Debug)]
pub struct FwFm {
    bias: Param<Tensor<1>>,
    /// `r`: `[fields, fields]`, of which only what lies above the diagonal is read.
    pairs: Param<Tensor<2>>,
}

impl FwFm {
    /// # Shapes
    /// - returns: `[batch]`
    pub fn forward(&self, embedded: &Embedded) -> Tensor<1> {
        const FIELDS: usize = 0;
        const DIM: usize = 1;
        let vectors = embedded.vectors();
        let [batch, fields, dim] = vectors.dims();
        // one product on the field axis: Σ_i x_i ⊙ Σ_{j>i} r_ij x_j
        let columns = vectors.swap_dims(0, 1).reshape([fields, batch * dim]);
        let weighted = self.pairs.val().triu(1).matmul(columns.clone());
        let pairs = (columns * weighted).sum_dim(FIELDS).reshape([batch, dim]).sum_dim(DIM).squeeze_dim::<1>(DIM);
        embedded.linear_sum() + pairs + self.bias.val()
    }
}
