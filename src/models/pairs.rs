//! What models read of the pairs of features: straight from the table's rows where these are at hand, else from a tensor of
//! all features' vectors.

use burn::tensor::Tensor;

use super::FeatureVectors;
use crate::layers::pairwise;

/// As [`pairwise::pairwise_dot`].
///
/// # Shapes
/// - returns: `[batch]`
pub(super) fn pairwise_dot(vectors: &FeatureVectors) -> Tensor<1> {
    match vectors {
        FeatureVectors::Tensor(vectors) => pairwise::pairwise_dot(vectors.clone()),
        FeatureVectors::Rows(rows) => rows.pairwise_dot(),
    }
}

/// As [`pairwise::field_aware_products`].
///
/// # Shapes
/// - returns: `[batch, pairs]`
pub(super) fn field_aware_products(vectors: &FeatureVectors) -> Tensor<2> {
    match vectors {
        FeatureVectors::Tensor(vectors) => pairwise::field_aware_products(vectors.clone()),
        FeatureVectors::Rows(rows) => rows.field_aware_products(),
    }
}

/// The sum of [`field_aware_products`] over the pairs.
///
/// # Shapes
/// - returns: `[batch]`
pub(super) fn field_aware_sum(vectors: &FeatureVectors) -> Tensor<1> {
    const PAIRS: usize = 1;
    match vectors {
        FeatureVectors::Tensor(vectors) => {
            pairwise::field_aware_products(vectors.clone()).sum_dim(PAIRS).squeeze_dim(PAIRS)
        }
        FeatureVectors::Rows(rows) => rows.field_aware_sum(),
    }
}
