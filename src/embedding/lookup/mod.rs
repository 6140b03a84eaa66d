//! A batch's rows of a table, each of them once, and what models make of them without a copy of a row for every feature
//! that has it.
//!
//! The leaf of the graph is `[distinct rows, width]`. What a model reads of it is one operation (`operation.rs`), whose way
//! back adds straight to the sums over equal ids, in the order of the batch's rows.

mod field_aware;
mod kernel;
mod operation;
#[cfg(test)]
mod tests;

use std::{
    ops::Range,
    sync::{Arc, OnceLock},
};

use burn::tensor::Tensor;

pub(super) use self::kernel::sum_over_equal_ids;
use crate::features::Batch;

/// The number of pairs of fields.
const fn pair_count(fields: usize) -> usize {
    fields * fields.saturating_sub(1) / 2
}

/// Where each feature's row stands among a batch's distinct ones.
#[derive(Clone, Debug)]
pub(super) struct Places {
    /// Features a row of the batch: one a field, and behind them those of `extra`.
    columns: usize,
    /// The field of each further column.
    extra: Arc<[u32]>,
    /// `[fields + 1]`, where each field's distinct rows start.
    starts: Vec<usize>,
    /// `[batch, columns]`
    positions: Arc<Vec<u32>>,
}

impl Places {
    pub(super) fn new(batch: &Batch) -> Self {
        Self {
            columns: batch.columns,
            extra: Arc::clone(&batch.extra),
            starts: batch.unique_starts.clone(),
            positions: Arc::clone(&batch.inverse),
        }
    }

    fn fields(&self) -> usize {
        self.columns - self.extra.len()
    }

    fn pairs(&self) -> usize {
        pair_count(self.fields())
    }

    fn batch(&self) -> usize {
        self.positions.len() / self.columns.max(1)
    }

    /// The number of distinct rows.
    fn distinct(&self) -> usize {
        self.starts.last().copied().unwrap_or(0)
    }

    /// The positions of each row of the batch.
    fn rows(&self) -> impl Iterator<Item = &[u32]> {
        self.positions.chunks_exact(self.columns.max(1))
    }

    /// The distinct rows of neighbouring fields.
    fn of(&self, fields: &Range<usize>) -> Range<usize> {
        self.starts[fields.start]..self.starts[fields.end]
    }
}

/// What is made of a batch's rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// Each feature's own: `[batch, columns, width]`.
    Features,
    /// Their sum, of rows of one number: `[batch]`.
    Sum,
    /// The sum of the inner products of all pairs: `[batch]`.
    Dot,
    /// The inner products of all pairs, of the vectors that two fields have for each other: `[batch, pairs]`.
    FieldAware,
    /// The sum of these: `[batch]`.
    FieldAwareSum,
}

/// Rows of a table as a leaf of the graph, and where each feature's stands among them; one feature a field but for
/// [`Self::features`].
#[derive(Clone, Debug)]
pub struct Lookup {
    /// `[distinct, width]`
    rows: Tensor<2>,
    places: Arc<Places>,
    /// Each feature's row, once it was asked for.
    features: Arc<OnceLock<Tensor<3>>>,
}

impl Lookup {
    pub(super) fn new(rows: Tensor<2>, places: Arc<Places>) -> Self {
        Self { rows, places, features: Arc::default() }
    }

    /// The leaf.
    pub(super) fn into_rows(self) -> Tensor<2> {
        self.rows
    }

    /// One tensor for all who ask, so that its gradients are summed over equal ids once.
    ///
    /// # Shapes
    /// - returns: `[batch, columns, width]`
    pub(super) fn features(&self) -> Tensor<3> {
        self.features.get_or_init(|| self.look_up(Form::Features)).clone()
    }

    /// The sum of all features' numbers, of rows of one number.
    ///
    /// # Shapes
    /// - returns: `[batch]`
    pub(super) fn sum(&self) -> Tensor<1> {
        self.look_up(Form::Sum)
    }

    /// The sum of the inner products of all pairs of vectors (Rendle, ICDM 2010, equation 1).
    ///
    /// # Shapes
    /// - returns: `[batch]`
    pub fn pairwise_dot(&self) -> Tensor<1> {
        self.look_up(Form::Dot)
    }

    /// The inner products of all pairs, of the vectors that two fields have for each other (Juan et al., RecSys 2016).
    ///
    /// # Shapes
    /// - returns: `[batch, pairs]`, in lexicographic order
    pub fn field_aware_products(&self) -> Tensor<2> {
        self.look_up(Form::FieldAware)
    }

    /// The sum of [`Self::field_aware_products`] over the pairs.
    ///
    /// # Shapes
    /// - returns: `[batch]`
    pub fn field_aware_sum(&self) -> Tensor<1> {
        self.look_up(Form::FieldAwareSum)
    }

    fn look_up<const D: usize>(&self, form: Form) -> Tensor<D> {
        operation::look_up(self.rows.clone(), Arc::clone(&self.places), form)
    }
}

/// The vectors of a batch's features.
#[derive(Clone, Debug)]
pub enum FeatureVectors {
    /// `[batch, fields, width]`
    Tensor(Tensor<3>),
    /// Rows of a table, one feature a field.
    Rows(Lookup),
}

impl FeatureVectors {
    /// # Shapes
    /// - returns: `[batch, fields, width]`
    pub fn tensor(&self) -> Tensor<3> {
        match self {
            Self::Tensor(vectors) => vectors.clone(),
            Self::Rows(lookup) => lookup.features(),
        }
    }
}
