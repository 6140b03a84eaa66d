//! A batch's rows of a table, each of them once, and what models make of them without a copy of a row for every feature
//! that has it.
//!
//! The leaf of the graph is `[distinct rows, width]`. What a model reads of it is one operation (`operation.rs`), whose way
//! back adds straight to the sums over equal ids, in the order of the batch's rows.

mod field_aware;
mod kernel;
mod operation;

use std::{cell::OnceCell, ops::Range, sync::Arc};

use burn::tensor::Tensor;

pub(super) use self::kernel::sum_over_equal_ids;
use crate::{
    features::Batch,
    layers::pairwise::{field_aware_products, pairwise_dot},
};

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

/// Rows of a table as a leaf of the graph, and where each feature's stands among them.
#[derive(Clone, Debug)]
pub(super) struct Lookup {
    /// `[distinct, width]`
    rows: Tensor<2>,
    places: Arc<Places>,
    /// Each feature's row, once it was asked for.
    features: OnceCell<Tensor<3>>,
}

impl Lookup {
    pub(super) fn new(rows: Tensor<2>, places: Arc<Places>) -> Self {
        Self { rows, places, features: OnceCell::new() }
    }

    /// The leaf.
    pub(super) fn into_rows(self) -> Tensor<2> {
        self.rows
    }

    /// `[batch, columns, width]`; one tensor for all who ask, so that its gradients are summed over equal ids once.
    pub(super) fn features(&self) -> Tensor<3> {
        self.features.get_or_init(|| self.look_up(Form::Features)).clone()
    }

    /// The sum of all features' numbers, of rows of one number: `[batch]`.
    pub(super) fn sum(&self) -> Tensor<1> {
        self.look_up(Form::Sum)
    }

    fn look_up<const D: usize>(&self, form: Form) -> Tensor<D> {
        operation::look_up(self.rows.clone(), Arc::clone(&self.places), form)
    }
}

/// The vectors of a batch's features, as a tensor or as rows of a table.
#[derive(Clone, Debug)]
pub struct FeatureVectors(Source);

#[derive(Clone, Debug)]
enum Source {
    /// `[batch, fields, width]`
    Tensor(Tensor<3>),
    Rows(Lookup),
}

impl From<Tensor<3>> for FeatureVectors {
    fn from(vectors: Tensor<3>) -> Self {
        Self(Source::Tensor(vectors))
    }
}

impl From<Lookup> for FeatureVectors {
    /// One feature a field.
    fn from(lookup: Lookup) -> Self {
        Self(Source::Rows(lookup))
    }
}

impl FeatureVectors {
    /// # Shapes
    /// - returns: `[batch, fields, width]`
    pub fn tensor(&self) -> Tensor<3> {
        match &self.0 {
            Source::Tensor(vectors) => vectors.clone(),
            Source::Rows(lookup) => lookup.features(),
        }
    }

    /// As [`pairwise_dot`].
    ///
    /// # Shapes
    /// - returns: `[batch]`
    pub fn pairwise_dot(&self) -> Tensor<1> {
        match &self.0 {
            Source::Tensor(vectors) => pairwise_dot(vectors.clone()),
            Source::Rows(lookup) => lookup.look_up(Form::Dot),
        }
    }

    /// As [`field_aware_products`].
    ///
    /// # Shapes
    /// - returns: `[batch, pairs]`
    pub fn field_aware_products(&self) -> Tensor<2> {
        match &self.0 {
            Source::Tensor(vectors) => field_aware_products(vectors.clone()),
            Source::Rows(lookup) => lookup.look_up(Form::FieldAware),
        }
    }

    /// The sum of [`Self::field_aware_products`] over the pairs.
    ///
    /// # Shapes
    /// - returns: `[batch]`
    pub fn field_aware_sum(&self) -> Tensor<1> {
        const PAIRS: usize = 1;
        match &self.0 {
            Source::Tensor(vectors) => field_aware_products(vectors.clone()).sum_dim(PAIRS).squeeze_dim(PAIRS),
            Source::Rows(lookup) => lookup.look_up(Form::FieldAwareSum),
        }
    }
}
