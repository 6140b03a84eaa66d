//! One table in host memory: a row an id, each row's moments beside its weights.

use std::ops::Range;

use rand_distr::{Distribution, Normal};
use rayon::prelude::*;

use super::{
    EmbeddingConfig, RowOptimizer, RowStep,
    pretrained::Frozen,
    rows::{self, LEAST_NUMBERS_A_TASK, Share, Touched, shares},
    storage::{Change, Numbers, Rounding, Storage, Stored, with_numbers},
};
use crate::seed::Seed;

/// Rows drawn from one stream at the start, so that the start doesn't depend on the number of threads.
const ROWS_A_STREAM: usize = 4096;

/// The rows of all fields, one field's after the other's.
#[derive(Clone, Debug)]
pub struct Table {
    dim: usize,
    /// Numbers a row: its weights, then its moments.
    stride: usize,
    /// The first row of each field, then the number of rows.
    field_starts: Vec<usize>,
    numbers: Numbers,
    rounding: Rounding,
    /// The step at which each row took its decay last, 0 for a row that was never touched; empty where rows don't decay.
    decayed: Vec<u32>,
    pub(super) frozen: Frozen,
}

impl Table {
    /// A table of zeros that `start` may fill.
    pub fn new(fields: &[Range<u32>], dim: usize, config: &EmbeddingConfig, start: impl FnOnce(&mut Self)) -> Self {
        let rows = fields.last().map_or(0, |field| field.end as usize);
        let field_starts = fields.iter().map(|field| field.start as usize).chain([rows]).collect();
        let stride = dim * (1 + config.optimizer.moments());
        let decayed = vec![0; if config.decays() { rows } else { 0 }];
        let numbers = Numbers::zeros(config.storage, rows * stride);
        let rounding = Rounding::default();
        let mut table = Self { dim, stride, field_starts, numbers, rounding, decayed, frozen: Frozen::default() };
        start(&mut table);
        table
    }

    /// Draws all weights from `N(0, deviation²)`; a deviation of zero leaves them as they are. What rounding needs of chance
    /// is drawn from the same seed.
    pub fn randomize(&mut self, deviation: f64, seed: Seed, name: &str) {
        self.rounding = Rounding::new(seed, name);
        if deviation == 0.0 {
            return;
        }
        #[expect(clippy::cast_possible_truncation, reason = "weights are f32")]
        let normal = Normal::new(0.0, deviation as f32).expect("a deviation is finite and not negative");
        let (dim, stride) = (self.dim, self.stride);
        with_numbers!(&mut self.numbers, data => {
            data.par_chunks_mut(ROWS_A_STREAM * stride).enumerate().for_each(|(chunk, rows)| {
                let mut stream = seed.stream(name, &[chunk as u64]);
                for row in rows.chunks_exact_mut(stride) {
                    row[..dim].fill_with(|| Stored::nearest(normal.sample(&mut stream)));
                }
            });
        });
    }

    pub fn rows(&self) -> usize {
        self.field_starts.last().copied().unwrap_or(0)
    }

    /// The number of a field's rows.
    pub(super) fn field_rows(&self, field: usize) -> usize {
        self.field_starts[field + 1] - self.field_starts[field]
    }

    /// Sets those weights of a field's rows to 0 whose place in the row is not `kept`.
    pub(super) fn clear(&mut self, field: usize, kept: impl Fn(usize) -> bool) {
        let (dim, stride) = (self.dim, self.stride);
        let rows = self.field_starts[field] * stride..self.field_starts[field + 1] * stride;
        with_numbers!(&mut self.numbers, data => for row in data[rows].chunks_exact_mut(stride) {
            for (place, weight) in row[..dim].iter_mut().enumerate() {
                *weight = if kept(place) { *weight } else { Stored::nearest(0.0) };
            }
        });
    }

    /// Sets the first weights of a row.
    pub(super) fn set_weights(&mut self, row: usize, weights: &[f32]) {
        let start = row * self.stride;
        with_numbers!(&mut self.numbers, data => {
            for (number, weight) in data[start..start + self.dim][..weights.len()].iter_mut().zip(weights) {
                *number = Stored::nearest(*weight);
            }
        });
    }

    /// How the numbers stand in memory.
    pub fn storage(&self) -> Storage {
        self.numbers.storage()
    }

    pub fn dim(&self) -> usize {
        self.dim
    }

    /// Moments kept beside each weight.
    pub fn moments(&self) -> usize {
        self.stride / self.dim - 1
    }

    /// The rows' numbers `part · dim ..`, row after row: part 0 has the weights, the next ones the moments.
    pub fn part(&self, part: usize) -> Vec<f32> {
        let columns = part * self.dim..(part + 1) * self.dim;
        with_numbers!(&self.numbers, data => {
            let rows = data.chunks_exact(self.stride);
            rows.flat_map(|row| &row[columns.clone()]).map(|number| number.load()).collect()
        })
    }

    /// As [`Self::part`], as the bytes of the numbers that the table stores.
    pub fn part_bytes(&self, part: usize) -> Vec<u8> {
        let columns = part * self.dim..(part + 1) * self.dim;
        with_numbers!(&self.numbers, data => {
            let mut bytes = Vec::with_capacity(self.rows() * self.dim * self.storage().bytes());
            for number in data.chunks_exact(self.stride).flat_map(|row| &row[columns.clone()]) {
                bytes.extend_from_slice(&number.to_le_bytes());
            }
            bytes
        })
    }

    /// Puts back what [`Self::part`] gave.
    pub fn set_part(&mut self, part: usize, values: impl IntoIterator<Item = f32>) {
        let columns = part * self.dim..(part + 1) * self.dim;
        with_numbers!(&mut self.numbers, data => {
            let numbers = data.chunks_exact_mut(self.stride).flat_map(|row| &mut row[columns.clone()]);
            for (number, value) in numbers.zip(values) {
                *number = Stored::nearest(value);
            }
        });
    }

    /// The step at which each row took its decay last; empty where rows don't decay.
    pub fn decayed(&self) -> &[u32] {
        &self.decayed
    }

    /// As [`Self::decayed`], to be put back.
    pub fn decayed_mut(&mut self) -> &mut [u32] {
        &mut self.decayed
    }

    /// Lets the rows `unique` take the decay that they missed up to `step`, which starts to count for new ones.
    pub fn catch_up(&mut self, unique: &[u32], unique_starts: &[usize], step: &RowStep) {
        if self.decayed.is_empty() {
            return;
        }
        let dim = self.dim;
        let moving = self.frozen.moving(unique, unique_starts);
        let touched = Touched { unique: &moving.unique, rounding: self.rounding.of(Change::Decay, step.step) };
        let Self { field_starts, stride, numbers, decayed, .. } = self;
        with_numbers!(numbers, data => {
            let shares = shares(data, decayed, *stride, field_starts, &moving.starts, LEAST_NUMBERS_A_TASK / dim);
            rows::for_each(shares, |share| rows::catch_up(share, dim, touched, step));
        });
    }

    /// Lets every row take the decay that it missed, as an evaluation after `step` has to see it.
    pub fn catch_up_all(&mut self, step: &RowStep) {
        let (dim, stride) = (self.dim, self.stride);
        let rounding = self.rounding.of(Change::EvaluationDecay, step.step);
        let Self { numbers, decayed, .. } = self;
        with_numbers!(numbers, data => {
            let parts = data.par_chunks_mut(ROWS_A_STREAM * stride).zip(decayed.par_chunks_mut(ROWS_A_STREAM));
            parts.enumerate().for_each(|(part, (rows, decayed))| {
                let first_row = part * ROWS_A_STREAM;
                rows::catch_up_all(Share { first_row, rows, decayed, uniques: 0..0 }, dim, rounding, step);
            });
        });
    }

    /// The weights of `ids`, one after the other.
    pub fn gather(&self, ids: &[u32]) -> Vec<f32> {
        with_numbers!(&self.numbers, data => rows::gather(data, self.stride, self.dim, ids))
    }

    /// Updates the rows `unique` by `gradients` (`[unique, dim]`), in parallel over fields, whose rows are disjoint.
    pub fn apply(&mut self, unique: &[u32], unique_starts: &[usize], gradients: &[f32], step: &RowStep) {
        let dim = self.dim;
        let rounding = self.rounding.of(Change::Update, step.step);
        let Self { field_starts, stride, numbers, decayed, frozen, .. } = self;
        if step.optimizer == RowOptimizer::DenseAdam {
            let touched = Touched { unique, rounding };
            return with_numbers!(numbers, data => {
                let shares = shares(data, decayed, *stride, field_starts, unique_starts, 0);
                rows::for_each(shares, |share| rows::update_all(share, dim, touched, gradients, step));
            });
        }
        let moving = frozen.moving(unique, unique_starts);
        let gradients = &*frozen.moving_gradients(unique, gradients);
        let touched = Touched { unique: &moving.unique, rounding };
        with_numbers!(numbers, data => {
            let shares = shares(data, decayed, *stride, field_starts, &moving.starts, LEAST_NUMBERS_A_TASK / dim);
            rows::for_each(shares, |share| rows::update_touched(share, dim, touched, gradients, step));
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{embedding::Moment, ranges::NonNegative};

    const FIELDS: [Range<u32>; 2] = [0..3, 3..10_000];

    fn config(optimizer: RowOptimizer) -> EmbeddingConfig {
        EmbeddingConfig { optimizer, ..EmbeddingConfig::default() }
    }

    fn step(config: &EmbeddingConfig, step: u64) -> RowStep {
        RowStep::new(config, Moment { step, rate_factor: 1.0, batch_size: 1 })
    }

    #[test]
    fn a_step_moves_the_touched_rows_alone() {
        for optimizer in [RowOptimizer::Adagrad, RowOptimizer::Adam, RowOptimizer::Ftrl, RowOptimizer::Sgd] {
            let start = |table: &mut Table| table.randomize(0.1, Seed(1), "vectors");
            let mut table = Table::new(&FIELDS, 4, &config(optimizer), start);
            let before = table.part(0);
            table.apply(&[1, 9_999], &[0, 1, 2], &[1.0; 8], &step(&config(optimizer), 1));
            for (row, (after, before)) in table.part(0).chunks(4).zip(before.chunks(4)).enumerate() {
                assert_eq!(after != before, row == 1 || row == 9_999, "{optimizer:?}, row {row}");
            }
        }
    }

    #[test]
    fn parts_survive_a_round_trip_and_gather_reads_the_weights() {
        let mut table = Table::new(&FIELDS, 2, &config(RowOptimizer::Adam), |_| {});
        let values: Vec<f32> = (0_u16..20_000).map(f32::from).collect();
        table.set_part(0, values.clone());
        table.set_part(2, values.clone());
        assert_eq!(table.part(0), values);
        assert_eq!(table.part(1), vec![0.0; 20_000]);
        assert_eq!(table.gather(&[5, 0, 5]), vec![10.0, 11.0, 0.0, 1.0, 10.0, 11.0]);
    }

    #[test]
    fn the_start_does_not_depend_on_the_threads() {
        let start = |threads| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            let fill = |table: &mut Table| table.randomize(0.1, Seed(3), "vectors");
            pool.install(|| Table::new(&FIELDS, 3, &config(RowOptimizer::Sgd), fill).part(0))
        };
        assert_eq!(start(1), start(3));
    }

    /// A row that rests takes the decay of all steps at once: the same as if every step had touched it with a gradient of zero.
    /// 1e-6: powers against repeated products, of numbers near 1.
    #[test]
    fn decay_caught_up_is_decay_taken_at_every_step() {
        let decay = NonNegative::new(0.3).unwrap();
        for optimizer in [RowOptimizer::Adagrad, RowOptimizer::Adam, RowOptimizer::Sgd] {
            let config = EmbeddingConfig { weight_decay: decay, ..config(optimizer) };
            let mut resting = Table::new(&FIELDS, 4, &config, |table| table.randomize(0.1, Seed(1), "vectors"));
            let first = step(&config, 1);
            resting.catch_up(&[1], &[0, 1, 1], &first);
            resting.apply(&[1], &[0, 1, 1], &[1.0; 4], &first);
            let untouched = resting.part(0)[8..].to_vec();
            let mut stepping = resting.clone();
            for number in 2..=9 {
                stepping.catch_up(&[1], &[0, 1, 1], &step(&config, number));
            }
            let before = resting.part(0);
            resting.catch_up_all(&step(&config, 9));
            for ((resting, stepping), before) in
                resting.part(0)[4..8].iter().zip(&stepping.part(0)[4..8]).zip(&before[4..8])
            {
                assert!((resting - stepping).abs() < 1e-6, "{optimizer:?}: {resting}, {stepping}");
                assert!(resting.abs() < before.abs(), "{optimizer:?}: {resting}, {before}");
            }
            assert_eq!(resting.part(0)[8..], untouched, "{optimizer:?}");
            assert_eq!(resting.decayed()[..3], [0, 9, 0]);
        }
    }

    /// Its accumulator is 0 and its rate would be `η / ε`, which decays anything to 0 at once.
    #[test]
    fn a_row_that_no_gradient_ever_moved_keeps_its_start() {
        let config = EmbeddingConfig { weight_decay: NonNegative::new(0.3).unwrap(), ..config(RowOptimizer::Adagrad) };
        let mut table = Table::new(&FIELDS, 4, &config, |table| table.randomize(0.1, Seed(1), "vectors"));
        let start = table.part(0);
        table.catch_up(&[1], &[0, 1, 1], &step(&config, 1));
        table.apply(&[1], &[0, 1, 1], &[0.0; 4], &step(&config, 1));
        table.catch_up_all(&step(&config, 9));
        assert_eq!(table.part(0), start);
    }

    /// `w − η g / √(s₀/b² + g²)` by hand.
    #[test]
    fn adagrad_starts_from_its_accumulator() {
        let initial_accumulator = NonNegative::new(12.0).unwrap();
        let config = EmbeddingConfig { initial_accumulator, ..config(RowOptimizer::Adagrad) };
        let mut table = Table::new(&FIELDS, 1, &config, |_| {});
        let step = RowStep::new(&config, Moment { step: 1, rate_factor: 1.0, batch_size: 2 });
        table.apply(&[0], &[0, 1, 1], &[1.0], &step);
        assert!((table.part(0)[0] + 0.05 / 2.0).abs() < 1e-7, "{}", table.part(0)[0]);
    }

    /// `w − η g / (√g² + ε)`, then `w / (1 + η λ / (√g² + ε))^4`, at dims that are compiled for and at others, in one task and in several.
    #[test]
    fn rows_of_any_dim_move_and_decay_alike_whatever_the_threads() {
        let fields: Vec<Range<u32>> = (0..10).map(|field| field * 2000..(field + 1) * 2000).collect();
        let config = EmbeddingConfig { weight_decay: NonNegative::new(0.3).unwrap(), ..config(RowOptimizer::Adagrad) };
        // every second row, backwards within its field
        let unique: Vec<u32> =
            (0..10).flat_map(|field| (0..1000).map(move |row| field * 2000 + 1999 - 2 * row)).collect();
        let unique_starts: Vec<usize> = (0..=10).map(|field| field * 1000).collect();
        for dim in [1, 4, 16, 17] {
            let start = |table: &mut Table| table.randomize(0.1, Seed(1), "vectors");
            let gradients: Vec<f32> =
                (0_u16..10_000).flat_map(|row| vec![0.01 * (1.0 + f32::from(row % 7)); dim]).collect();
            let run = |threads| {
                let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
                pool.install(|| {
                    let mut table = Table::new(&fields, dim, &config, start);
                    table.catch_up(&unique, &unique_starts, &step(&config, 1));
                    table.apply(&unique, &unique_starts, &gradients, &step(&config, 1));
                    table.catch_up(&unique, &unique_starts, &step(&config, 5));
                    table
                })
            };
            let (table, before) = (run(1), Table::new(&fields, dim, &config, start).part(0));
            assert_eq!(table.part(0), run(3).part(0), "dim {dim}");
            for (position, &id) in unique.iter().enumerate() {
                let (start, gradient) = (id as usize * dim, f64::from(gradients[position * dim]));
                let decay = (1.0 + 0.05 * 0.3 / gradient).powi(4);
                for (after, before) in table.gather(&[id]).iter().zip(&before[start..start + dim]) {
                    let expected = (f64::from(*before) - 0.05) / decay;
                    // roundings of a few operations on numbers below 0.5
                    assert!((f64::from(*after) - expected).abs() < 1e-6, "dim {dim}, id {id}: {after}, {expected}");
                }
                assert_eq!(table.gather(&[id - 1]), before[start - dim..start], "dim {dim}: an untouched row");
            }
        }
    }
}
