use proptest::prelude::*;

use super::*;
use crate::{
    layers::lanes::tests::{assert_last_is_slowest, assert_same_with_any_threads},
    seed::{mix, unit},
};

/// An attention, its input and the gradient of its output, all at random.
#[derive(Clone)]
struct Case<T> {
    fields: usize,
    dim: usize,
    heads: usize,
    head_dim: usize,
    scale: T,
    query: Vec<T>,
    key: Vec<T>,
    value: Vec<T>,
    residual: Vec<T>,
    vectors: Vec<T>,
    gradient: Vec<T>,
}

/// One of a case's inputs.
type Input = fn(&mut Case<f64>) -> &mut Vec<f64>;

/// `[batch, fields, dim, heads, head_dim]`: every rest of tiles, packets, tasks and chunks, and matrices so large that there are few chunks.
const SHAPES: [[usize; 5]; 11] = [
    [1, 1, 1, 1, 1],
    [3, 2, 3, 2, 5],
    [8, 3, 17, 1, 16],
    [9, 8, 8, 2, 8],
    [17, 5, 2, 4, 3],
    [2, 39, 16, 2, 16],
    [65, 13, 8, 3, 9],
    [70, 4, 3, 1, 33],
    [5, 40, 5, 2, 2],
    [530, 3, 4, 2, 4],
    [70, 2, 130, 2, 140],
];

fn numbers(stream: u64, count: usize, scale: f64) -> Vec<f64> {
    (0..count as u64).map(|index| scale * (2.0 * unit(mix(stream, index)) - 1.0)).collect()
}

impl Case<f64> {
    fn new([batch, fields, dim, heads, head_dim]: [usize; 5]) -> Self {
        let matrix = |stream| numbers(stream, dim * heads * head_dim, 1.5 / (dim as f64).sqrt());
        Self {
            fields,
            dim,
            heads,
            head_dim,
            scale: 1.0 / (head_dim as f64).sqrt(),
            query: matrix(1),
            key: matrix(2),
            value: matrix(3),
            residual: matrix(4),
            vectors: numbers(5, batch * fields * dim, 1.5),
            gradient: numbers(6, batch * fields * heads * head_dim, 1.0),
        }
    }

    #[expect(clippy::cast_possible_truncation, reason = "what f32 is for")]
    fn narrow(&self) -> Case<f32> {
        let narrow = |values: &[f64]| values.iter().map(|&value| value as f32).collect();
        Case {
            fields: self.fields,
            dim: self.dim,
            heads: self.heads,
            head_dim: self.head_dim,
            scale: self.scale as f32,
            query: narrow(&self.query),
            key: narrow(&self.key),
            value: narrow(&self.value),
            residual: narrow(&self.residual),
            vectors: narrow(&self.vectors),
            gradient: narrow(&self.gradient),
        }
    }

    /// `Σ gradient ⊙ output`
    fn sum(&self) -> f64 {
        let output = self.forward(&Kernels::<f64, 8>::portable());
        output.iter().zip(&self.gradient).map(|(output, gradient)| output * gradient).sum()
    }

    /// The central difference of [`Self::sum`] by one input.
    fn difference(&self, input: Input, index: usize) -> f64 {
        const STEP: f64 = 1e-6;
        let mut moved = self.clone();
        let start = input(&mut moved)[index];
        let mut sum_at = |place| {
            input(&mut moved)[index] = place;
            moved.sum()
        };
        (sum_at(start + STEP) - sum_at(start - STEP)) / (2.0 * STEP)
    }

    /// The output of one row, as the equations stand in [`crate::layers::attention`].
    fn equations(&self, row: usize) -> Vec<f64> {
        let Self { fields, dim, heads, head_dim, .. } = *self;
        let width = heads * head_dim;
        let project = |matrix: &[f64], field: usize, output: usize| -> f64 {
            let vector = &self.vectors[(row * fields + field) * dim..][..dim];
            vector.iter().enumerate().map(|(input, value)| value * matrix[input * width + output]).sum()
        };
        let mut outputs = Vec::new();
        for field in 0..fields {
            for head in 0..heads {
                let numbers = head * head_dim..(head + 1) * head_dim;
                let power = |other: usize| -> f64 {
                    let score: f64 = numbers
                        .clone()
                        .map(|number| project(&self.query, field, number) * project(&self.key, other, number))
                        .sum();
                    (self.scale * score).exp()
                };
                let powers: Vec<f64> = (0..fields).map(power).collect();
                let total: f64 = powers.iter().sum();
                for number in numbers.clone() {
                    let mixed: f64 =
                        (0..fields).map(|other| powers[other] / total * project(&self.value, other, number)).sum();
                    outputs.push((mixed + project(&self.residual, field, number)).max(0.0));
                }
            }
        }
        outputs
    }
}

impl<T: Real> Case<T> {
    fn weights(&self) -> Weights<'_, T> {
        let Self { dim, heads, head_dim, scale, query, key, value, residual, .. } = self;
        Weights { query, key, value, residual, dim: *dim, heads: *heads, head_dim: *head_dim, scale: *scale }
    }

    fn forward(&self, kernels: &dyn Passes<T>) -> Vec<T> {
        kernels.forward(&self.weights(), &self.vectors, self.fields)
    }

    fn backward(&self, kernels: &dyn Passes<T>) -> Gradients<T> {
        kernels.backward(&self.weights(), &self.vectors, self.fields, &self.forward(kernels), &self.gradient)
    }
}

/// Whether `found` is within `tolerance` times the largest expected number of `expected`, everywhere.
#[track_caller]
fn assert_near(found: &[f64], expected: &[f64], tolerance: f64, what: &str) {
    let largest = expected.iter().fold(0.0_f64, |largest, value| largest.max(value.abs()));
    assert_eq!(found.len(), expected.len(), "{what}");
    for (index, (found, expected)) in found.iter().zip(expected).enumerate() {
        let error = (found - expected).abs();
        assert!(error <= tolerance * largest.max(1e-3), "{what}[{index}]: expected {expected}, found {found}");
    }
}

fn widen(values: &[f32]) -> Vec<f64> {
    values.iter().map(|&value| f64::from(value)).collect()
}

/// Kernels of two widths for exact comparisons; sixteen numbers of any processor would take minutes to compile.
fn exact_kernels() -> [Box<dyn Passes<f64>>; 2] {
    [Box::new(Kernels::<f64, 8>::portable()), Box::new(Kernels::<f64, 2>::portable())]
}

#[test]
fn forward_follows_the_equations() {
    for shape in SHAPES {
        let case = Case::new(shape);
        let expected: Vec<f64> = (0..shape[0]).flat_map(|row| case.equations(row)).collect();
        for kernels in exact_kernels() {
            // Sums in another order.
            assert_near(&case.forward(&*kernels), &expected, 1e-12, &format!("{shape:?}"));
        }
    }
}

#[test]
fn gradients_are_central_differences() {
    for (shape, kernels) in SHAPES.into_iter().flat_map(|shape| exact_kernels().map(|kernels| (shape, kernels))) {
        let case = Case::new(shape);
        let Gradients { vectors, query, key, value, residual } = case.backward(&*kernels);
        let inputs: [(&str, Input, Vec<f64>); 5] = [
            ("vectors", |case| &mut case.vectors, vectors),
            ("query", |case| &mut case.query, query),
            ("key", |case| &mut case.key, key),
            ("value", |case| &mut case.value, value),
            ("residual", |case| &mut case.residual, residual),
        ];
        for (name, input, gradient) in inputs {
            let places: Vec<usize> = (0..6).map(|place| place * (gradient.len() - 1) / 5).collect();
            let expected: Vec<f64> = places.iter().map(|&place| case.difference(input, place)).collect();
            let found: Vec<f64> = places.iter().map(|&place| gradient[place]).collect();
            // The step's own error is about 1e-10 of sums up to 100; a ReLU that it passes over adds some 1e-7 of a whole sum.
            assert_near(&found, &expected, 1e-6, &format!("{shape:?} {name}"));
        }
    }
}

#[test]
fn this_processors_kernels_agree_with_the_portable_ones() {
    let portable = Kernels::<f64, 8>::portable();
    for shape in SHAPES {
        let wide = Case::new(shape);
        let narrow = wide.narrow();
        for kernels in &all_kernels() {
            let what = format!("{shape:?}");
            // f32 against f64: sums of some hundred products, 6e-8 a rounding.
            assert_near(&widen(&narrow.forward(&**kernels)), &wide.forward(&portable), 1e-5, &what);
            let (found, expected) = (narrow.backward(&**kernels), wide.backward(&portable));
            assert_near(&widen(&found.vectors), &expected.vectors, 1e-5, &what);
            assert_near(&widen(&found.query), &expected.query, 1e-5, &what);
            assert_near(&widen(&found.key), &expected.key, 1e-5, &what);
            assert_near(&widen(&found.value), &expected.value, 1e-5, &what);
            assert_near(&widen(&found.residual), &expected.residual, 1e-5, &what);
        }
    }
}

#[test]
fn bits_do_not_depend_on_the_number_of_threads() {
    let case = Case::new([1030, 9, 16, 2, 16]).narrow();
    for kernels in &all_kernels() {
        assert_same_with_any_threads(|| (case.forward(&**kernels), case.backward(&**kernels)));
    }
}

/// Scores of thousands, of either sign, so that what is beyond the fields is far above or far below them.
#[test]
fn large_scores_do_not_overflow() {
    for kernels in &all_kernels() {
        for sign in [1e4, -1e4] {
            let mut case = Case::new([9, 6, 4, 2, 5]).narrow();
            case.query.fill(sign);
            case.key.fill(1.0);
            case.vectors.iter_mut().for_each(|value| *value = value.abs());
            assert!(case.forward(&**kernels).iter().all(|value| value.is_finite()));
            assert!(case.backward(&**kernels).vectors.iter().all(|value| value.is_finite()));
        }
    }
}

/// Code that is not inlined into the functions with a processor's instructions is many times as slow, and right.
#[test]
fn kernels_for_more_instructions_are_faster() {
    let (case, kernels) = (Case::new([16, 39, 16, 2, 16]).narrow(), all_kernels());
    assert_last_is_slowest(kernels.len(), |number| {
        case.forward(&*kernels[number]);
        case.backward(&*kernels[number]);
    });
}

#[test]
fn an_empty_batch_has_zero_gradients() {
    let case = Case::new([0, 3, 2, 2, 2]);
    let gradients = case.backward(&Kernels::<f64, 8>::portable());
    assert!(case.forward(&Kernels::<f64, 8>::portable()).is_empty() && gradients.vectors.is_empty());
    assert_eq!((gradients.query, gradients.residual), (vec![0.0; 8], vec![0.0; 8]));
}

#[test]
fn what_is_not_a_number_stays_in_its_row() {
    for kernels in &all_kernels() {
        let mut case = Case::new([11, 5, 4, 2, 3]).narrow();
        case.vectors[7] = f32::NAN;
        let (output, row) = (case.forward(&**kernels), 5 * 2 * 3);
        assert!(
            output[..row].iter().any(|value| value.is_nan()) && output[row..].iter().all(|value| value.is_finite())
        );
    }
}

#[test]
#[should_panic(expected = "vectors are [batch, 3, 2]")]
fn lengths_that_do_not_fit_are_refused() {
    let mut case = Case::new([4, 3, 2, 1, 1]);
    case.vectors.pop();
    case.forward(&Kernels::<f64, 8>::portable());
}

proptest! {
    /// Tasks, chunks and padding are invisible: a row's result is the same alone and within a batch.
    #[test]
    fn a_row_does_not_see_its_batch(batch in 1_usize..30, fields in 1_usize..12, dim in 1_usize..20, head_dim in 1_usize..20) {
        for kernels in &all_kernels() {
            let case = Case::new([batch, fields, dim, 2, head_dim]).narrow();
            let (together, gradients) = (case.forward(&**kernels), case.backward(&**kernels).vectors);
            let (row, width) = (fields * dim, fields * 2 * head_dim);
            for place in 0..batch {
                let alone = Case {
                    vectors: case.vectors[place * row..][..row].to_vec(),
                    gradient: case.gradient[place * width..][..width].to_vec(),
                    ..case.clone()
                };
                prop_assert_eq!(&alone.forward(&**kernels), &together[place * width..][..width]);
                prop_assert_eq!(&alone.backward(&**kernels).vectors, &gradients[place * row..][..row]);
            }
        }
    }
}
