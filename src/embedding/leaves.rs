//! The door between the table and autodiff: a batch's rows as leaf tensors, and their gradients, summed over equal ids.
//!
//! In training on the CPU the leaf is a batch's distinct rows (`lookup`); elsewhere a row for each feature.

use burn::tensor::{Device, Gradients, Tensor, TensorData};
use rayon::prelude::*;
use std::{ops::Range, sync::Arc};

use super::{
    Table,
    lookup::{FeatureVectors, Lookup, Places, sum_over_equal_ids},
};
use crate::{device::has_fused_kernels, features::Batch};

/// What a model sees of a batch.
#[derive(Clone, Debug)]
pub struct Embedded {
    vectors: Option<FeatureVectors>,
    linear: Option<Linear>,
    partners: Option<FeatureVectors>,
}

/// First-order weights: of each field, `[batch, fields]`, or as rows of a table.
#[derive(Clone, Debug)]
enum Linear {
    Tensor(Tensor<2>),
    Rows(Lookup),
}

impl Embedded {
    /// Of given tensors, for tests and tools: vectors `[batch, fields, width]`, first-order weights `[batch, fields]`, vectors
    /// for partners `[batch, fields, fields * partner_dim]`.
    pub fn new(vectors: Option<Tensor<3>>, linear: Option<Tensor<2>>, partners: Option<Tensor<3>>) -> Self {
        Self {
            vectors: vectors.map(FeatureVectors::Tensor),
            linear: linear.map(Linear::Tensor),
            partners: partners.map(FeatureVectors::Tensor),
        }
    }

    /// Each feature's vector times its value, as a model may read it without a tensor of them all: `fields * dim` numbers a
    /// feature for [`Vectors::APartner`](super::Vectors).
    ///
    /// # Panics
    /// Where the model didn't say in `needs` that it reads vectors.
    pub fn feature_vectors(&self) -> &FeatureVectors {
        self.vectors.as_ref().expect("a model that reads vectors says so in `needs`")
    }

    /// Each feature's vectors for its partners, in their order, times its value.
    ///
    /// # Panics
    /// Where the model didn't say in `needs` that it reads vectors for partners.
    pub fn partner_vectors(&self) -> &FeatureVectors {
        self.partners.as_ref().expect("a model that reads vectors for partners says so in `needs`")
    }

    /// # Shapes
    /// - returns: `[batch, fields, width]` of [`Self::feature_vectors`]
    ///
    /// # Panics
    /// As [`Self::feature_vectors`].
    pub fn vectors(&self) -> Tensor<3> {
        self.feature_vectors().tensor()
    }

    /// All vectors of a row, field after field.
    ///
    /// # Shapes
    /// - returns: `[batch, fields * dim]`
    ///
    /// # Panics
    /// As [`Self::feature_vectors`].
    pub fn concatenation(&self) -> Tensor<2> {
        let vectors = self.vectors();
        let [batch, fields, dim] = vectors.dims();
        vectors.reshape([batch, fields * dim])
    }

    /// `Σ_i w_i x_i`, the first-order term.
    ///
    /// # Shapes
    /// - returns: `[batch]`
    ///
    /// # Panics
    /// Where the model didn't say in `needs` that it reads first-order weights.
    pub fn linear_sum(&self) -> Tensor<1> {
        const FIELDS: usize = 1;
        match self.linear.as_ref().expect("a model that reads first-order weights says so in `needs`") {
            Linear::Tensor(weights) => weights.clone().sum_dim(FIELDS).squeeze_dim(FIELDS),
            Linear::Rows(lookup) => lookup.sum(),
        }
    }
}

/// A batch's rows of the tables as leaves of the graph.
#[derive(Clone, Debug)]
pub struct Leaves {
    /// Of vectors, first-order weights and vectors for partners.
    tables: [Option<Leaf>; 3],
    /// `[batch, columns]`
    values: Option<Tensor<2>>,
    places: Arc<Places>,
    extra: Arc<[u32]>,
}

#[derive(Clone, Debug)]
enum Leaf {
    /// A row for each feature: `[batch, columns, width]`.
    Features(Tensor<3>),
    /// Each row once.
    Rows(Lookup),
}

/// Gradients of a batch's distinct rows, summed over equal ids: `[unique, width]`, `[unique]` and `[unique, width]`.
#[derive(Clone, Debug)]
pub struct TableGradients {
    pub vectors: Option<Vec<f32>>,
    pub linear: Option<Vec<f32>>,
    pub partners: Option<Vec<f32>>,
}

/// The tables are those of vectors, first-order weights and vectors for partners.
pub(super) fn gather(tables: [Option<&Table>; 3], batch: &Batch, device: &Device) -> Leaves {
    let Batch { rows, columns, ref ids, ref values, .. } = *batch;
    let values =
        values.as_ref().map(|values| Tensor::from_data(TensorData::new(values.clone(), [rows, columns]), device));
    let (tracked, places) = (device.is_autodiff(), Arc::new(Places::new(batch)));
    let has_distinct_ids = batch.inverse.len() == ids.len();
    let is_looked_up = tracked && has_distinct_ids && has_fused_kernels(device);
    let leaf = |table: &Table| {
        if is_looked_up {
            let data = TensorData::new(table.gather(&batch.unique), [batch.unique.len(), table.dim()]);
            let rows = Tensor::<2>::from_data(data, device).require_grad();
            return Leaf::Rows(Lookup::new(rows, Arc::clone(&places)));
        }
        let data = TensorData::new(table.gather(ids), [rows, columns, table.dim()]);
        let features = Tensor::<3>::from_data(data, device);
        Leaf::Features(if tracked { features.require_grad() } else { features })
    };
    let tables = tables.map(|table| table.map(leaf));
    Leaves { tables, values, places, extra: Arc::clone(&batch.extra) }
}

impl Leaf {
    /// Each feature's row: `[batch, columns, width]`.
    fn features(self) -> Tensor<3> {
        match self {
            Self::Features(features) => features,
            Self::Rows(lookup) => lookup.features(),
        }
    }

    /// The leaf's gradient, summed over equal ids: `[distinct, width]`.
    fn sum_gradient(self, gradients: &mut Gradients, places: &Places) -> Option<Vec<f32>> {
        const ARE_F32: &str = "gradients are f32, as the leaves are";
        match self {
            Self::Features(features) => {
                let data = features.grad_remove(gradients)?.into_data();
                Some(sum_over_equal_ids(data.as_slice().expect(ARE_F32), places))
            }
            Self::Rows(lookup) => {
                let data = lookup.into_rows().grad_remove(gradients)?.into_data();
                Some(data.try_into_vec().expect(ARE_F32))
            }
        }
    }
}

impl Leaves {
    /// The model's input.
    pub fn embedded(&self) -> Embedded {
        const WIDTH: usize = 2;
        let [vectors, linear, partners] = self.tables.clone();
        let is_plain = self.values.is_none() && self.extra.is_empty();
        let feature_vectors = |leaf: Leaf| match leaf {
            Leaf::Rows(lookup) if is_plain => FeatureVectors::Rows(lookup),
            leaf => FeatureVectors::Tensor(self.of_fields(leaf.features())),
        };
        Embedded {
            vectors: vectors.map(feature_vectors),
            partners: partners.map(feature_vectors),
            linear: linear.map(|leaf| match leaf {
                Leaf::Rows(lookup) if is_plain => Linear::Rows(lookup),
                leaf => Linear::Tensor(self.of_fields(leaf.features()).squeeze_dim(WIDTH)),
            }),
        }
    }

    /// Each feature times its value, added up a field: `[batch, columns, width]` → `[batch, fields, width]`.
    fn of_fields(&self, features: Tensor<3>) -> Tensor<3> {
        let Some(values) = &self.values else { return pooled(features, &self.extra) };
        let [batch, columns] = values.dims();
        pooled(features * values.clone().reshape([batch, columns, 1]), &self.extra)
    }

    /// Takes the leaves' gradients out of `gradients` and sums them over equal ids.
    ///
    /// # Panics
    /// For a batch without its distinct ids.
    pub fn sum_gradients(self, gradients: &mut Gradients) -> TableGradients {
        let Self { tables, places, .. } = self;
        let sum = |leaf: Option<Leaf>| leaf?.sum_gradient(gradients, &places);
        let [vectors, linear, partners] = tables.map(sum);
        TableGradients { vectors, linear, partners }
    }
}

/// Adds what the columns behind those of the fields hold to their fields: `[batch, columns, width]` → `[batch, fields, width]`.
fn pooled(columns: Tensor<3>, extra: &[u32]) -> Tensor<3> {
    const COLUMNS: usize = 1;
    if extra.is_empty() {
        return columns;
    }
    let fields = columns.dims()[COLUMNS] - extra.len();
    let part = |range: Range<usize>| columns.clone().narrow(COLUMNS, range.start, range.len());
    let (mut parts, mut plain, mut further) = (Vec::new(), 0, fields);
    for same in extra.chunk_by(|left, right| left == right) {
        let field = same[0] as usize;
        if plain < field {
            parts.push(part(plain..field));
        }
        let others = part(further..further + same.len()).sum_dim(COLUMNS);
        parts.push(part(field..field + 1) + others);
        (plain, further) = (field + 1, further + same.len());
    }
    if plain < fields {
        parts.push(part(plain..fields));
    }
    Tensor::cat(parts, COLUMNS)
}

impl TableGradients {
    /// The sum of all squares, in a fixed order.
    pub fn squared_norm(&self) -> f64 {
        let parts = [&self.vectors, &self.linear, &self.partners];
        parts.into_iter().flatten().map(|part| squared_norm(part)).sum()
    }

    /// Multiplies every gradient by `factor`.
    pub fn scale(&mut self, factor: f32) {
        for part in [&mut self.vectors, &mut self.linear, &mut self.partners].into_iter().flatten() {
            part.par_iter_mut().for_each(|gradient| *gradient *= factor);
        }
    }
}

fn squared_norm(values: &[f32]) -> f64 {
    const NUMBERS_A_TASK: usize = 1 << 16;
    if values.len() <= NUMBERS_A_TASK {
        return partial_norm(values);
    }
    let partials: Vec<f64> = values.par_chunks(NUMBERS_A_TASK).map(partial_norm).collect();
    partials.iter().sum()
}

/// Several sums side by side, since one would wait for each addition.
fn partial_norm(values: &[f32]) -> f64 {
    const LANES: usize = 8;
    let (packets, rest) = values.as_chunks::<LANES>();
    let mut sums = [0.0; LANES];
    for packet in packets {
        for (sum, value) in sums.iter_mut().zip(packet) {
            *sum += f64::from(value * value);
        }
    }
    sums.iter().sum::<f64>() + rest.iter().map(|value| f64::from(value * value)).sum::<f64>()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        embedding::{Embedding, EmbeddingConfig, Needs, Vectors},
        ranges::{Count, NonNegative},
        seed::Seed,
    };

    const DIM: usize = 2;

    fn embedding() -> Embedding {
        let config = EmbeddingConfig {
            dim: Count::new(DIM).unwrap(),
            init_std: NonNegative::new(1.0).unwrap(),
            ..EmbeddingConfig::default()
        };
        Embedding::new(&config, Needs { vectors: Vectors::One, linear: true }, &[0..3, 3..5], Seed(1))
    }

    /// Two fields, of which the second has two values in a row, each with a number that its vector is multiplied by.
    fn batch() -> Batch {
        Batch {
            rows: 3,
            columns: 3,
            extra: [1].into(),
            ids: vec![0, 3, 4, 2, 4, 4, 0, 3, 3],
            values: Some(vec![1.0, 2.0, -0.5, 3.0, 0.25, 4.0, -1.0, 0.5, 1.5]),
            unique: vec![0, 2, 3, 4],
            unique_starts: vec![0, 2, 4],
            inverse: Arc::new(vec![0, 2, 3, 1, 3, 3, 0, 2, 2]),
            ..Batch::default()
        }
    }

    /// Of each row and field, what the model sees; 1e-6: a few products of numbers below 10, 6e-8 a rounding.
    #[test]
    fn several_values_a_field_are_summed_and_their_gradients_go_to_their_rows() {
        let (embedding, batch) = (embedding(), batch());
        let (_, table) = embedding.tables().next().unwrap();
        let values = batch.values.clone().unwrap();
        let field = |column: usize| column.min(1);
        let leaves = embedding.gather(&batch, &Device::flex().autodiff());
        let vectors = leaves.embedded().vectors();
        let weights: Vec<f32> = (0..3 * 2 * DIM).map(|number| number as f32 - 4.5).collect();
        let (mut expected, mut expected_gradients) = (vec![0.0; 3 * 2 * DIM], vec![0.0; 4 * DIM]);
        for (cell, (id, position)) in batch.ids.iter().zip(&*batch.inverse).enumerate() {
            for (number, weight) in table.gather(&[*id]).into_iter().enumerate() {
                let place = (cell / 3 * 2 + field(cell % 3)) * DIM + number;
                expected[place] += weight * values[cell];
                expected_gradients[*position as usize * DIM + number] += weights[place] * values[cell];
            }
        }
        let weights = Tensor::<3>::from_data(TensorData::new(weights, [3, 2, DIM]), &vectors.device());
        let mut gradients = (vectors.clone() * weights).sum().backward();
        let found = vectors.into_data().try_to_vec::<f32>().unwrap();
        let found_gradients = leaves.sum_gradients(&mut gradients).vectors.unwrap();
        for (found, expected) in found.iter().chain(&found_gradients).zip(expected.iter().chain(&expected_gradients)) {
            assert!((found - expected).abs() < 1e-6 * expected.abs().max(1.0), "expected {expected}, found {found}");
        }
    }

    #[test]
    fn a_batch_without_distinct_ids_is_seen_alike() {
        let (embedding, batch) = (embedding(), batch());
        let plain = Batch { unique: Vec::new(), unique_starts: Vec::new(), inverse: Arc::default(), ..batch.clone() };
        let seen = |batch: &Batch, device: Device| {
            embedding.gather(batch, &device).embedded().vectors().into_data().try_to_vec::<f32>().unwrap()
        };
        let expected = seen(&batch, Device::flex());
        assert_eq!(seen(&plain, Device::flex().autodiff()), expected);
        assert_eq!(seen(&batch, Device::flex().autodiff()), expected);
    }
}
