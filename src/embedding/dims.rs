//! Fields whose vectors have fewer numbers than the others: what is beyond them is 0 and stays so.

use super::{Embedding, TableGradients};
use crate::features::Batch;

/// The number of numbers of one field's vectors.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FieldDim {
    pub field: usize,
    pub dim: usize,
}

/// Sets what lies beyond the first `narrow` of each `dim` numbers to 0.
fn zero_beyond(numbers: &mut [f32], dim: usize, narrow: usize) {
    numbers.chunks_exact_mut(dim).for_each(|vector| vector[narrow..].fill(0.0));
}

impl Embedding {
    /// Gives some fields smaller vectors, before the first step.
    pub fn narrow(&mut self, dims: Vec<FieldDim>) {
        let dim = self.config.dim.get();
        if let Some(table) = &mut self.vectors {
            for FieldDim { field, dim: narrow } in &dims {
                table.clear(*field, |place| place % dim < *narrow);
            }
        }
        self.narrow = dims;
    }

    /// Leaves the gradients of the numbers that there are; without one, no optimizer moves a weight from 0.
    pub fn mask(&self, gradients: &mut TableGradients, batch: &Batch) {
        self.mask_frozen(gradients, batch);
        let Some(vectors) = gradients.vectors.as_mut().filter(|_| !self.narrow.is_empty()) else { return };
        let dim = self.config.dim.get();
        let width = vectors.len() / batch.unique.len().max(1);
        for FieldDim { field, dim: narrow } in &self.narrow {
            let rows = batch.unique_starts[*field]..batch.unique_starts[field + 1];
            zero_beyond(&mut vectors[rows.start * width..rows.end * width], dim, *narrow);
        }
    }

    /// The numbers that are there of no vector, in all rows.
    pub(super) fn absent(&self) -> usize {
        let Some(table) = &self.vectors else { return 0 };
        let dim = self.config.dim.get();
        let vectors = table.dim() / dim;
        self.narrow.iter().map(|narrow| table.field_rows(narrow.field) * vectors * (dim - narrow.dim)).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        embedding::{EmbeddingConfig, Moment, Needs, RowOptimizer, Vectors},
        ranges::{Count, NonNegative},
        seed::Seed,
    };

    /// Whatever the optimizer, with decay and L2: numbers beyond a field's own never leave 0, and the others move.
    #[test]
    fn what_is_beyond_a_fields_dim_stays_zero() {
        for optimizer in
            [RowOptimizer::Adagrad, RowOptimizer::Adam, RowOptimizer::Ftrl, RowOptimizer::Sgd, RowOptimizer::DenseAdam]
        {
            let weight_decay = NonNegative::new(if optimizer == RowOptimizer::Ftrl { 0.0 } else { 0.1 }).unwrap();
            let l2 = NonNegative::new(0.1).unwrap();
            let dim = Count::new(4).unwrap();
            let config = EmbeddingConfig { dim, optimizer, l2, weight_decay, ..EmbeddingConfig::default() };
            let needs = Needs { vectors: Vectors::One, linear: true };
            let mut embedding = Embedding::new(&config, needs, &[0..3, 3..5], Seed(1));
            let all = embedding.parameters();
            embedding.narrow(vec![FieldDim { field: 1, dim: 1 }]);
            assert_eq!(embedding.parameters(), all - 2 * 3);
            let batch =
                Batch { rows: 1, columns: 2, unique: vec![2, 4], unique_starts: vec![0, 1, 2], ..Batch::default() };
            for step in 1..4 {
                let moment = Moment { step, rate_factor: 1.0, batch_size: 1 };
                embedding.catch_up(&batch, moment);
                let mut gradients =
                    TableGradients { vectors: Some(vec![1.0; 8]), linear: Some(vec![1.0; 2]), partners: None };
                embedding.mask(&mut gradients, &batch);
                embedding.apply(&batch, &gradients, moment);
            }
            embedding.catch_up_all(Moment { step: 4, rate_factor: 1.0, batch_size: 1 });
            let (_, vectors) = embedding.tables().next().unwrap();
            let weights = vectors.part(0);
            assert_eq!(weights[13..16], [0.0; 3], "{optimizer:?}");
            assert_eq!(weights[17..20], [0.0; 3], "{optimizer:?}");
            assert!(weights[8..12].iter().all(|weight| weight.abs() > 1e-3) && weights[16].abs() > 1e-3);
        }
    }
}
