//! The door between the table and autodiff: gathered rows as leaf tensors, their gradients summed over equal ids.

use burn::tensor::{Device, Gradients, Tensor, TensorData};
use rayon::prelude::*;
use std::{ops::Range, sync::Arc};

use super::{
    Table,
    rows::{self, LEAST_NUMBERS_A_TASK, for_dim},
};
use crate::features::Batch;

/// What a model sees of a batch.
#[derive(Clone, Debug)]
pub struct Embedded {
    vectors: Option<Tensor<3>>,
    linear: Option<Tensor<2>>,
    partners: Option<Tensor<3>>,
}

impl Embedded {
    /// Of given tensors, for tests and tools: vectors `[batch, fields, width]`, first-order weights `[batch, fields]`, vectors
    /// for partners `[batch, fields, fields * partner_dim]`.
    pub fn new(vectors: Option<Tensor<3>>, linear: Option<Tensor<2>>, partners: Option<Tensor<3>>) -> Self {
        Self { vectors, linear, partners }
    }

    /// # Shapes
    /// - returns: `[batch, fields, dim]`, each feature's vector times its value; `fields * dim` numbers a feature for
    ///   [`Vectors::APartner`](super::Vectors)
    ///
    /// # Panics
    /// Where the model didn't say in `needs` that it reads vectors.
    pub fn vectors(&self) -> Tensor<3> {
        self.vectors.clone().expect("a model that reads vectors says so in `needs`")
    }

    /// # Shapes
    /// - returns: `[batch, fields, fields * partner_dim]`, each feature's vectors for its partners, in their order, times its
    ///   value
    ///
    /// # Panics
    /// Where the model didn't say in `needs` that it reads vectors for partners.
    pub fn partners(&self) -> Tensor<3> {
        self.partners.clone().expect("a model that reads vectors for partners says so in `needs`")
    }

    /// All vectors of a row, field after field.
    ///
    /// # Shapes
    /// - returns: `[batch, fields * dim]`
    ///
    /// # Panics
    /// As [`Self::vectors`].
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
        let linear = self.linear.clone().expect("a model that reads first-order weights says so in `needs`");
        linear.sum_dim(FIELDS).squeeze_dim(FIELDS)
    }
}

/// A batch's gathered rows as leaves of the graph.
#[derive(Clone, Debug)]
pub struct Leaves {
    vectors: Option<Tensor<3>>,
    linear: Option<Tensor<2>>,
    partners: Option<Tensor<3>>,
    values: Option<Tensor<2>>,
    extra: Arc<[u32]>,
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
    let [vectors, linear, partners] = tables;
    let Batch { rows, columns, ref ids, ref values, .. } = *batch;
    let values =
        values.as_ref().map(|values| Tensor::from_data(TensorData::new(values.clone(), [rows, columns]), device));
    let tracked = device.is_autodiff();
    let leaf = |table: &Table| {
        let data = TensorData::new(table.gather(ids), [rows, columns, table.dim()]);
        let tensor = Tensor::<3>::from_data(data, device);
        if tracked { tensor.require_grad() } else { tensor }
    };
    Leaves {
        vectors: vectors.map(leaf),
        partners: partners.map(leaf),
        linear: linear.map(|table| {
            let tensor = Tensor::from_data(TensorData::new(table.gather(ids), [rows, columns]), device);
            if tracked { tensor.require_grad() } else { tensor }
        }),
        values,
        extra: Arc::clone(&batch.extra),
    }
}

impl Leaves {
    /// The model's input.
    pub fn embedded(&self) -> Embedded {
        let Some(values) = &self.values else {
            let Self { vectors, linear, partners, .. } = self.clone();
            return Embedded { vectors, linear, partners };
        };
        let [batch, columns] = values.dims();
        let times_values =
            |vectors: Tensor<3>| pooled(vectors * values.clone().reshape([batch, columns, 1]), &self.extra);
        Embedded {
            vectors: self.vectors.clone().map(times_values),
            linear: self.linear.clone().map(|linear| pooled(linear * values.clone(), &self.extra)),
            partners: self.partners.clone().map(times_values),
        }
    }

    /// Takes the leaves' gradients out of `gradients` and sums them over equal ids.
    pub fn sum_gradients(self, gradients: &mut Gradients, batch: &Batch) -> TableGradients {
        let vectors = self.vectors.and_then(|leaf| leaf.grad_remove(gradients)).map(Tensor::into_data);
        let linear = self.linear.and_then(|leaf| leaf.grad_remove(gradients)).map(Tensor::into_data);
        let partners = self.partners.and_then(|leaf| leaf.grad_remove(gradients)).map(Tensor::into_data);
        let sum = |data: TensorData| {
            let gradient = data.as_slice::<f32>().expect("gradients are f32, as the leaves are");
            sum_over_equal_ids(gradient, batch)
        };
        TableGradients { vectors: vectors.map(sum), linear: linear.map(sum), partners: partners.map(sum) }
    }
}

/// Adds what the columns behind those of the fields hold to their fields: `[batch, columns, …]` → `[batch, fields, …]`.
fn pooled<const D: usize>(columns: Tensor<D>, extra: &[u32]) -> Tensor<D> {
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

/// `[rows, columns, dim]` → `[unique, dim]`. Each sum runs in the order of the rows; threads share out the fields.
fn sum_over_equal_ids(gradient: &[f32], batch: &Batch) -> Vec<f32> {
    let Batch { rows: batch_rows, columns, ref unique_starts, .. } = *batch;
    let fields = batch.fields();
    let dim = gradient.len() / (batch_rows * columns).max(1);
    let mut sums = vec![0.0; batch.unique.len() * dim];
    let tasks = rayon::current_num_threads().min(gradient.len() / LEAST_NUMBERS_A_TASK).max(1);
    let group = fields.div_ceil(tasks).max(1);
    let mut groups = Vec::with_capacity(fields / group + 1);
    let mut rest = sums.as_mut_slice();
    for first in (0..fields).step_by(group) {
        let last = (first + group).min(fields);
        let (part, after) = rest.split_at_mut((unique_starts[last] - unique_starts[first]) * dim);
        rest = after;
        groups.push((first..last, part));
    }
    rows::for_each(groups, |(group, sums)| for_dim!(sum_fields, dim, (group, sums, gradient, batch)));
    sums
}

fn sum_fields<const DIM: usize>(dim: usize, group: Range<usize>, sums: &mut [f32], gradient: &[f32], batch: &Batch) {
    let dim = if DIM > 0 { DIM } else { dim };
    let (fields, offset) = (batch.fields(), batch.unique_starts[group.start]);
    let further = (fields..batch.columns).filter(|column| group.contains(&(batch.extra[column - fields] as usize)));
    let further: Vec<usize> = further.collect();
    let mut add = |gradient: &[f32], position: u32| {
        let start = (position as usize - offset) * dim;
        for (sum, gradient) in sums[start..start + dim].iter_mut().zip(gradient) {
            *sum += gradient;
        }
    };
    for (gradients, positions) in
        gradient.chunks_exact(batch.columns * dim).zip(batch.inverse.chunks_exact(batch.columns))
    {
        let of_fields = gradients[group.start * dim..group.end * dim].chunks_exact(dim);
        for (gradient, position) in of_fields.zip(&positions[group.clone()]) {
            add(gradient, *position);
        }
        for &column in &further {
            add(&gradients[column * dim..(column + 1) * dim], positions[column]);
        }
    }
}
