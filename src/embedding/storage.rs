//! How a table's numbers stand in memory: as f32, or as bfloat16 with stochastic rounding.
//!
//! A bfloat16 is the upper half of an f32, so it has 8 bits of precision: rounded to the nearest one, a number would never
//! move by steps below a 512th of itself. Rounded up with the probability of the part that is cut off, it moves by them on
//! average (Gupta et al. 2015, arXiv 1502.02551). The random bits follow from the seed, the step and the row.

#![expect(clippy::inline_always, reason = "only what is inlined is compiled for AVX2, with the loops over rows")]

use half::bf16;
use serde::{Deserialize, Serialize};

use crate::seed::{Seed, mix};

/// `embedding.storage`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Storage {
    /// 4 bytes a number.
    #[default]
    F32,
    /// 2 bytes a number, for the weights and the moments beside them: half the memory, and half of what a step reads of it.
    Bf16,
}

impl Storage {
    /// Bytes a number.
    pub const fn bytes(self) -> usize {
        match self {
            Self::F32 => size_of::<f32>(),
            Self::Bf16 => size_of::<bf16>(),
        }
    }
}

/// A number as a table stores it.
pub(super) trait Stored: Copy + Default + Send + Sync + 'static {
    fn load(self) -> f32;

    fn load_all<const N: usize>(numbers: &[Self; N]) -> [f32; N];

    fn load_into(numbers: &[Self], wide: &mut [f32]);

    fn nearest(value: f32) -> Self;

    /// A neighbour of `value`, which the lowest 16 of `bits` choose.
    fn rounded(value: f32, bits: u64) -> Self;

    /// Memory for [`Self::change`] on as many numbers.
    fn scratch(numbers: usize) -> Vec<f32>;

    /// Lets `change` work on neighbouring numbers, whose rounding `key` decides.
    fn change(numbers: &mut [Self], scratch: &mut [f32], key: u64, change: impl FnOnce(&mut [f32]));
}

impl Stored for f32 {
    #[inline(always)]
    fn load(self) -> f32 {
        self
    }

    #[inline]
    fn load_all<const N: usize>(numbers: &[Self; N]) -> [f32; N] {
        *numbers
    }

    #[inline(always)]
    fn load_into(numbers: &[Self], wide: &mut [f32]) {
        wide.copy_from_slice(numbers);
    }

    #[inline]
    fn nearest(value: f32) -> Self {
        value
    }

    #[inline(always)]
    fn rounded(value: f32, _bits: u64) -> Self {
        value
    }

    fn scratch(_numbers: usize) -> Vec<f32> {
        Vec::new()
    }

    #[inline(always)]
    fn change(numbers: &mut [Self], _scratch: &mut [f32], _key: u64, change: impl FnOnce(&mut [f32])) {
        change(numbers);
    }
}

impl Stored for bf16 {
    #[inline(always)]
    fn load(self) -> f32 {
        f32::from_bits(u32::from(self.to_bits()) << 16)
    }

    #[inline]
    fn load_all<const N: usize>(numbers: &[Self; N]) -> [f32; N] {
        std::array::from_fn(|number| numbers[number].load())
    }

    #[inline(always)]
    fn load_into(numbers: &[Self], wide: &mut [f32]) {
        for (wide, number) in wide.iter_mut().zip(numbers) {
            *wide = number.load();
        }
    }

    #[inline]
    fn nearest(value: f32) -> Self {
        Self::from_f32(value)
    }

    #[inline]
    #[expect(clippy::cast_possible_truncation, reason = "the upper half is what is stored")]
    fn rounded(value: f32, bits: u64) -> Self {
        // carried into the upper half as often as the lower half is large; what is not finite has nothing to carry
        if value.is_finite() {
            Self::from_bits(((value.to_bits() + u32::from(bits as u16)) >> 16) as u16)
        } else {
            Self::from_f32(value)
        }
    }

    fn scratch(numbers: usize) -> Vec<f32> {
        vec![0.0; numbers]
    }

    #[inline(always)]
    fn change(numbers: &mut [Self], scratch: &mut [f32], key: u64, change: impl FnOnce(&mut [f32])) {
        const NUMBERS_A_DRAW: usize = 4;
        let wide = &mut scratch[..numbers.len()];
        Self::load_into(numbers, wide);
        change(wide);
        let draws = numbers.chunks_mut(NUMBERS_A_DRAW).zip(wide.chunks(NUMBERS_A_DRAW)).enumerate();
        for (draw, (numbers, wide)) in draws {
            let mut bits = mix(key, draw as u64);
            for (number, wide) in numbers.iter_mut().zip(wide) {
                *number = Self::rounded(*wide, bits);
                bits >>= 16;
            }
        }
    }
}

/// The numbers of all rows.
#[derive(Clone, Debug)]
pub(super) enum Numbers {
    F32(Vec<f32>),
    Bf16(Vec<bf16>),
}

impl Numbers {
    pub(super) fn zeros(storage: Storage, count: usize) -> Self {
        match storage {
            Storage::F32 => Self::F32(vec![0.0; count]),
            Storage::Bf16 => Self::Bf16(vec![bf16::ZERO; count]),
        }
    }

    pub(super) fn storage(&self) -> Storage {
        match self {
            Self::F32(_) => Storage::F32,
            Self::Bf16(_) => Storage::Bf16,
        }
    }
}

/// Works on the numbers, whatever they are stored as.
macro_rules! with_numbers {
    ($numbers:expr, $data:ident => $work:expr) => {
        match $numbers {
            $crate::embedding::storage::Numbers::F32($data) => $work,
            $crate::embedding::storage::Numbers::Bf16($data) => $work,
        }
    };
}
pub(super) use with_numbers;

/// Which of a step's changes to a row is rounded.
#[derive(Clone, Copy, Debug)]
pub(super) enum Change {
    Decay,
    Update,
    EvaluationDecay,
}

/// Where the random bits of a table's rounding come from.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Rounding(u64);

impl Rounding {
    pub(super) fn new(seed: Seed, table: &str) -> Self {
        Self(seed.draw("rounding", &table.bytes().map(u64::from).collect::<Vec<_>>()))
    }

    /// Those of one change in one step.
    pub(super) fn of(self, change: Change, step: u32) -> Self {
        Self(mix(self.0, u64::from(step) << 2 | change as u64))
    }

    /// Those of one row.
    #[inline]
    pub(super) fn row(self, row: usize) -> u64 {
        mix(self.0, row as u64)
    }
}

#[cfg(test)]
mod tests {
    use std::ops::Range;

    use super::*;
    use crate::{
        embedding::{EmbeddingConfig, Moment, RowOptimizer, RowStep, Table},
        ranges::{NonNegative, Positive},
    };

    const ROWS: u32 = 20_000;
    const STARTS: [usize; 3] = [0, 7_000, ROWS as usize];
    /// Between neighbours from 1/4 to 1/2.
    const UNIT: f32 = 1.0 / 512.0;

    /// The weights behind some steps that touch every row, from 1/4.
    fn moved(config: &EmbeddingConfig, dim: usize, gradients: &[f32], steps: u64, seed: Seed) -> Vec<f32> {
        let fields: [Range<u32>; 2] = [0..7_000, 7_000..ROWS];
        let unique: Vec<u32> = (0..ROWS).collect();
        let mut table = Table::new(&fields, dim, config, |table| table.randomize(0.1, seed, "vectors"));
        table.set_part(0, vec![0.25; ROWS as usize * dim]);
        let step = |step| RowStep::new(config, Moment { step, rate_factor: 1.0, batch_size: 1 });
        for number in 1..=steps {
            table.catch_up(&unique, &STARTS, &step(number));
            table.apply(&unique, &STARTS, gradients, &step(number));
        }
        table.catch_up_all(&step(steps + 1));
        let weights = table.part(0);
        let rows = [9, 19_999, 0].map(|row| &weights[row * dim..][..dim]);
        assert_eq!(table.gather(&[9, 19_999, 0]), rows.concat());
        weights
    }

    /// The errors' mean lies within 5 of its standard errors, and each of them within `largest`.
    #[track_caller]
    fn assert_right_on_average(rounded: &[f32], exact: &[f32], largest: f32) {
        let (mut sum, mut squares) = (0.0, 0.0);
        for error in rounded.iter().zip(exact).map(|(rounded, exact)| rounded - exact) {
            assert!(error.abs() < largest, "{error}");
            (sum, squares) = (sum + f64::from(error), squares + f64::from(error * error));
        }
        let count = rounded.len() as f64;
        let (mean, standard_error) = (sum / count, (squares / count / count).sqrt());
        assert!(squares > 0.0 && mean.abs() < 5.0 * standard_error, "{mean} {standard_error}");
    }

    fn pool(threads: usize) -> rayon::ThreadPool {
        rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap()
    }

    /// Two steps and their decays: at most five roundings of numbers below a half, those of the moments with them.
    #[test]
    fn rows_of_16_bits_move_as_those_of_32_on_average_whatever_the_threads() {
        use RowOptimizer::{Adagrad, Adam, DenseAdam, Ftrl, Sgd};
        for (optimizer, dim) in
            [Sgd, Adagrad, Adam, DenseAdam, Ftrl].into_iter().flat_map(|rule| [(rule, 1), (rule, 10)])
        {
            let decay = NonNegative::new(if optimizer == Ftrl { 0.0 } else { 0.3 }).unwrap();
            let gradients: Vec<f32> = (0..ROWS as usize * dim).map(|number| 0.01 * (number % 7 + 1) as f32).collect();
            let run = |storage, threads, seed| {
                let config = EmbeddingConfig { storage, optimizer, weight_decay: decay, ..EmbeddingConfig::default() };
                pool(threads).install(|| moved(&config, dim, &gradients, 2, Seed(seed)))
            };
            let rounded = run(Storage::Bf16, 1, 1);
            assert_eq!(rounded, run(Storage::Bf16, 3, 1), "{optimizer:?}, dim {dim}");
            assert_ne!(rounded, run(Storage::Bf16, 1, 2), "{optimizer:?}, dim {dim}: another seed");
            assert_right_on_average(&rounded, &run(Storage::F32, 1, 1), 5.0 * UNIT);
        }
    }

    /// 64 steps of a quarter of a unit: a number's error has the deviation `√(64 · 1/4 · 3/4)` units, and 6 of them are 21; the
    /// same bits at every step would leave 48.
    #[test]
    fn each_step_is_rounded_by_bits_of_its_own() {
        let learning_rate = Positive::new(f64::from(UNIT) / 4.0).unwrap();
        let run = |storage| {
            let optimizer = RowOptimizer::Sgd;
            let config = EmbeddingConfig { optimizer, storage, learning_rate, ..EmbeddingConfig::default() };
            moved(&config, 4, &vec![-1.0; ROWS as usize * 4], 64, Seed(1))
        };
        assert_right_on_average(&run(Storage::Bf16), &run(Storage::F32), 21.0 * UNIT);
    }

    /// 2,000 steps of a 2000th each, which the nearest bfloat16 of 1 never leaves: 2 on average, and the mean of 512 numbers
    /// lies within 5 of its standard errors. A number's is at most `√(2000 / 4) · 2⁻⁷`.
    #[test]
    fn steps_below_the_precision_are_taken_on_average() {
        let mut numbers = [bf16::ONE; 512];
        let mut scratch = bf16::scratch(512);
        let rounding = Rounding::new(Seed(1), "vectors");
        for step in 0..2000 {
            let key = rounding.of(Change::Update, step).row(0);
            bf16::change(&mut numbers, &mut scratch, key, |wide| wide.iter_mut().for_each(|number| *number += 0.0005));
        }
        let mean = numbers.iter().map(|number| number.load()).sum::<f32>() / 512.0;
        let deviation = (2000.0_f32 / 4.0).sqrt() / 128.0;
        assert!((mean - 2.0).abs() < 5.0 * deviation / 512.0_f32.sqrt(), "{mean}");
        assert!(numbers.iter().any(|number| *number != numbers[0]), "each number has bits of its own");
    }

    #[test]
    fn what_a_bfloat16_holds_stays_and_all_else_goes_to_a_neighbour() {
        for value in [0.0, -0.0, 1.0, -3.5, f32::INFINITY, f32::NEG_INFINITY] {
            for bits in [0, 0x7FFF, 0xFFFF] {
                assert_eq!(bf16::rounded(value, bits).load().to_bits(), value.to_bits(), "{value} {bits:x}");
            }
        }
        for value in [1.001_f32, -1.001, 1e-30, -7e20] {
            let [down, up] = [0, 0xFFFF].map(|bits| bf16::rounded(value, bits).load());
            assert!(down.abs() < value.abs() && value.abs() < up.abs(), "{down} {value} {up}");
            assert_eq!(bf16::from_f32(down).to_bits() + 1, bf16::from_f32(up).to_bits());
        }
        for bits in [0x7FFF_FFFF, 0xFFFF_FFFF, 0x7FC0_0000, 0x7F80_0001] {
            assert!(bf16::rounded(f32::from_bits(bits), 0xFFFF).load().is_nan(), "{bits:x}");
        }
    }
}
