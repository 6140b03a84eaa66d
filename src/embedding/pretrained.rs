//! Rows that start from vectors trained elsewhere, and those of them that no step may move.

use std::borrow::Cow;

use super::{Embedding, Table, TableGradients};
use crate::features::{Batch, Pretrained};

impl Embedding {
    /// Starts the rows of `pretrained` from its vectors, in the first numbers of each; `frozen` rows stay there.
    ///
    /// Returns whether the model has such vectors: nothing happens where an id has none, or one for each partner.
    pub fn start_from(&mut self, pretrained: &Pretrained, frozen: bool) -> bool {
        let dim = self.config.dim.get();
        let Some(table) = self.vectors.as_mut().filter(|table| table.dim() == dim) else { return false };
        for (&id, vector) in pretrained.ids.iter().zip(pretrained.vectors.chunks_exact(pretrained.dim)) {
            table.set_weights(id as usize, vector);
        }
        if frozen {
            table.freeze(&pretrained.ids);
        }
        true
    }

    /// Numbers of vectors that no step moves.
    pub(super) fn frozen_numbers(&self) -> usize {
        self.tables().map(|(_, table)| table.frozen.count() * table.dim()).sum()
    }

    /// Sets the gradients of rows that don't move to 0, so that they count for nothing in a norm.
    pub(super) fn mask_frozen(&self, gradients: &mut TableGradients, batch: &Batch) {
        let (Some(table), Some(vectors)) = (&self.vectors, &mut gradients.vectors) else { return };
        if table.frozen.is_empty() {
            return;
        }
        for (id, gradient) in batch.unique.iter().zip(vectors.chunks_exact_mut(table.dim())) {
            if table.frozen.has(*id) {
                gradient.fill(0.0);
            }
        }
    }
}

impl Table {
    /// Lets no step move these rows.
    fn freeze(&mut self, ids: &[u32]) {
        self.frozen.rows.resize(self.rows(), false);
        for &id in ids {
            self.frozen.rows[id as usize] = true;
        }
    }

    /// Whether there are rows that no step moves.
    pub fn freezes(&self) -> bool {
        !self.frozen.is_empty()
    }

    /// The rows that no step moves, as `1.0` among `0.0`; empty where all move.
    pub fn frozen(&self) -> Vec<f32> {
        self.frozen.rows.iter().map(|frozen| f32::from(u8::from(*frozen))).collect()
    }

    /// Puts back what [`Self::frozen`] gave.
    pub fn set_frozen(&mut self, rows: &[f32]) {
        self.frozen.rows = rows.iter().map(|frozen| *frozen > 0.0).collect();
    }
}

/// Which rows no step moves.
#[derive(Clone, Debug, Default)]
pub(super) struct Frozen {
    /// One a row; empty where all rows move.
    rows: Vec<bool>,
}

/// Some of a batch's distinct ids, and where those of each field start.
pub(super) struct Moving<'a> {
    pub(super) unique: Cow<'a, [u32]>,
    pub(super) starts: Cow<'a, [usize]>,
}

impl Frozen {
    fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    fn has(&self, id: u32) -> bool {
        self.rows[id as usize]
    }

    fn count(&self) -> usize {
        self.rows.iter().filter(|frozen| **frozen).count()
    }

    /// Those of a batch's distinct ids whose rows move.
    pub(super) fn moving<'a>(&self, unique: &'a [u32], starts: &'a [usize]) -> Moving<'a> {
        if self.is_empty() {
            return Moving { unique: unique.into(), starts: starts.into() };
        }
        let (mut moving, mut moving_starts) = (Vec::with_capacity(unique.len()), vec![0]);
        for field in starts.windows(2) {
            moving.extend(unique[field[0]..field[1]].iter().filter(|id| !self.has(**id)));
            moving_starts.push(moving.len());
        }
        Moving { unique: moving.into(), starts: moving_starts.into() }
    }

    /// Of gradients `[unique, width]`, those of rows that move.
    pub(super) fn moving_gradients<'a>(&self, unique: &[u32], gradients: &'a [f32]) -> Cow<'a, [f32]> {
        if self.is_empty() || unique.is_empty() {
            return gradients.into();
        }
        let rows = unique.iter().zip(gradients.chunks_exact(gradients.len() / unique.len()));
        rows.filter(|(id, _)| !self.has(**id)).flat_map(|(_, gradient)| gradient).copied().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        embedding::{EmbeddingConfig, FieldDim, Moment, Needs, RowOptimizer, Vectors},
        ranges::{Count, NonNegative},
        seed::Seed,
    };

    fn embedding(optimizer: RowOptimizer, vectors: Vectors) -> Embedding {
        let weight_decay = NonNegative::new(if optimizer == RowOptimizer::Ftrl { 0.0 } else { 0.1 }).unwrap();
        let (dim, l2) = (Count::new(2).unwrap(), NonNegative::new(0.1).unwrap());
        let config = EmbeddingConfig { dim, optimizer, l2, weight_decay, ..EmbeddingConfig::default() };
        Embedding::new(&config, Needs { vectors, linear: true }, &[0..3, 3..6], Seed(1))
    }

    fn pretrained(dim: usize) -> Pretrained {
        let vectors = [1.0, 2.0, 3.0, 4.0][..2 * dim].to_vec();
        Pretrained { ids: vec![5, 3], vectors, dim, ..Pretrained::default() }
    }

    fn rows(embedding: &Embedding) -> Vec<Vec<f32>> {
        let (_, vectors) = embedding.tables().next().unwrap();
        vectors.part(0).chunks(vectors.dim()).map(<[f32]>::to_vec).collect()
    }

    /// Whatever the optimizer, with decay and L2: frozen rows stay, those that only start from a vector and all others move.
    #[test]
    fn frozen_rows_stay_where_they_start() {
        for optimizer in [RowOptimizer::Adagrad, RowOptimizer::Adam, RowOptimizer::Ftrl, RowOptimizer::Sgd] {
            for frozen in [true, false] {
                let mut embedding = embedding(optimizer, Vectors::One);
                let all = embedding.parameters();
                assert!(embedding.start_from(&pretrained(2), frozen));
                assert_eq!(embedding.parameters(), all - if frozen { 4 } else { 0 });
                let start = rows(&embedding);
                assert_eq!((&start[5], &start[3]), (&vec![1.0, 2.0], &vec![3.0, 4.0]));
                let batch = Batch {
                    rows: 1,
                    columns: 2,
                    unique: vec![2, 4, 5],
                    unique_starts: vec![0, 1, 3],
                    ..Batch::default()
                };
                for step in 1..4 {
                    let moment = Moment { step, rate_factor: 1.0, batch_size: 1 };
                    embedding.catch_up(&batch, moment);
                    let mut gradients =
                        TableGradients { vectors: Some(vec![1.0; 6]), linear: Some(vec![1.0; 3]), partners: None };
                    embedding.mask(&mut gradients, &batch);
                    let masked = if frozen { 0.0 } else { 1.0 };
                    assert_eq!(gradients.vectors.as_ref().unwrap()[3..], [1.0, masked, masked]);
                    embedding.apply(&batch, &gradients, moment);
                }
                embedding.catch_up_all(Moment { step: 4, rate_factor: 1.0, batch_size: 1 });
                for (row, (after, before)) in rows(&embedding).iter().zip(&start).enumerate() {
                    let moves = row == 2 || row == 4 || row == 5 && !frozen;
                    assert_eq!(after != before, moves, "{optimizer:?}, frozen {frozen}, row {row}");
                }
                let (_, linear) = embedding.tables().nth(1).unwrap();
                assert!(linear.part(0)[5].abs() > 1e-3, "a first-order weight moves");
                let mut restored = self::embedding(optimizer, Vectors::One);
                let (_, table) = restored.tables_mut().next().unwrap();
                table.set_frozen(&embedding.tables().next().unwrap().1.frozen());
                assert_eq!(restored.parameters(), embedding.parameters());
            }
        }
    }

    #[test]
    fn vectors_fill_the_first_numbers_of_a_narrow_field() {
        let mut embedding = embedding(RowOptimizer::Adagrad, Vectors::One);
        embedding.narrow(vec![FieldDim { field: 1, dim: 1 }]);
        assert!(embedding.start_from(&pretrained(1), false));
        assert_eq!(rows(&embedding)[3..=5].iter().map(|row| row[1]).collect::<Vec<_>>(), [0.0; 3]);
        assert_eq!((rows(&embedding)[5][0], rows(&embedding)[3][0]), (1.0, 2.0));
    }

    #[test]
    fn models_without_a_vector_an_id_leave_them() {
        for vectors in [Vectors::None, Vectors::APartner] {
            assert!(!embedding(RowOptimizer::Adagrad, vectors).start_from(&pretrained(2), true), "{vectors:?}");
        }
    }
}
