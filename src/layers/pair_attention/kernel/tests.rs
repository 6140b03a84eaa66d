use proptest::prelude::*;

use super::*;
use crate::{
    layers::{
        lanes::tests::{assert_last_is_slowest, assert_same_with_any_threads},
        pairwise::pairs,
    },
    seed::{mix, unit},
};

/// An attention, its input and the gradient of its output, all at random.
#[derive(Clone)]
struct Case<T> {
    fields: usize,
    dim: usize,
    hidden: usize,
    weight: Vec<T>,
    bias: Vec<T>,
    head: Vec<T>,
    vectors: Vec<T>,
    gradient: Vec<T>,
}

/// One of a case's inputs.
type Input = fn(&mut Case<f64>) -> &mut Vec<f64>;

/// `[batch, fields, dim, hidden]`: every rest of tiles, groups and blocks.
const SHAPES: [[usize; 4]; 11] = [
    [1, 2, 1, 1],
    [3, 2, 3, 5],
    [8, 3, 17, 16],
    [9, 3, 1, 33],
    [17, 5, 2, 4],
    [7, 6, 4, 3],
    [2, 39, 16, 16],
    [65, 13, 8, 16],
    [70, 4, 3, 33],
    [5, 40, 5, 2],
    [16, 7, 17, 5],
];

fn numbers(stream: u64, count: usize, scale: f64) -> Vec<f64> {
    (0..count as u64).map(|index| scale * (2.0 * unit(mix(stream, index)) - 1.0)).collect()
}

impl Case<f64> {
    fn new([batch, fields, dim, hidden]: [usize; 4]) -> Self {
        Self {
            fields,
            dim,
            hidden,
            weight: numbers(1, dim * hidden, 1.5),
            bias: numbers(2, hidden, 0.5),
            head: numbers(3, hidden, 1.0),
            vectors: numbers(4, batch * fields * dim, 1.5),
            gradient: numbers(5, batch * dim, 1.0),
        }
    }

    #[expect(clippy::cast_possible_truncation, reason = "what f32 is for")]
    fn narrow(&self) -> Case<f32> {
        let narrow = |values: &[f64]| values.iter().map(|&value| value as f32).collect();
        Case {
            fields: self.fields,
            dim: self.dim,
            hidden: self.hidden,
            weight: narrow(&self.weight),
            bias: narrow(&self.bias),
            head: narrow(&self.head),
            vectors: narrow(&self.vectors),
            gradient: narrow(&self.gradient),
        }
    }

    /// `Σ gradient ⊙ pooled`
    fn value(&self) -> f64 {
        let pooled = self.forward(&Kernels::<f64, 8>::portable()).pooled;
        pooled.iter().zip(&self.gradient).map(|(pooled, gradient)| pooled * gradient).sum()
    }

    /// The central difference of [`Self::value`] by one input.
    fn difference(&self, input: Input, index: usize) -> f64 {
        const STEP: f64 = 1e-6;
        let mut moved = self.clone();
        let start = input(&mut moved)[index];
        let mut value_at = |place| {
            input(&mut moved)[index] = place;
            moved.value()
        };
        (value_at(start + STEP) - value_at(start - STEP)) / (2.0 * STEP)
    }

    /// The pooled vector of one row, as the equations stand in [`crate::layers::pair_attention`].
    fn equations(&self, row: usize) -> Vec<f64> {
        let Self { fields, dim, hidden, .. } = *self;
        let vector = |field: usize| &self.vectors[(row * fields + field) * dim..][..dim];
        let products: Vec<Vec<f64>> = pairs(fields)
            .map(|(left, right)| vector(left).iter().zip(vector(right)).map(|(left, right)| left * right).collect())
            .collect();
        let score = |product: &Vec<f64>| -> f64 {
            let unit = |unit: usize| {
                let sum: f64 =
                    product.iter().enumerate().map(|(n, value)| self.weight[n * hidden + unit] * value).sum();
                self.head[unit] * (sum + self.bias[unit]).max(0.0)
            };
            (0..hidden).map(unit).sum()
        };
        let powers: Vec<f64> = products.iter().map(|product| score(product).exp()).collect();
        let total: f64 = powers.iter().sum();
        let weighted = |column: usize| products.iter().zip(&powers).map(move |(p, power)| p[column] * power / total);
        (0..dim).map(|column| weighted(column).sum()).collect()
    }
}

impl<T: Real> Case<T> {
    fn weights(&self) -> Weights<'_, T> {
        let Self { weight, bias, head, dim, hidden, .. } = self;
        Weights { weight, bias, head, dim: *dim, hidden: *hidden }
    }

    fn forward(&self, kernels: &dyn Passes<T>) -> Attended<T> {
        kernels.forward(&self.weights(), &self.vectors, self.fields)
    }

    fn backward(&self, kernels: &dyn Passes<T>) -> Gradients<T> {
        let Attended { pooled, statistics } = &self.forward(kernels);
        kernels.backward(&self.weights(), &self.vectors, self.fields, Kept { pooled, statistics }, &self.gradient)
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
            assert_near(&case.forward(&*kernels).pooled, &expected, 1e-12, &format!("{shape:?}"));
        }
    }
}

#[test]
fn gradients_are_central_differences() {
    for (shape, kernels) in SHAPES.into_iter().flat_map(|shape| exact_kernels().map(|kernels| (shape, kernels))) {
        let case = Case::new(shape);
        let Gradients { vectors, weight, bias, head } = case.backward(&*kernels);
        let inputs: [(&str, Input, Vec<f64>); 4] = [
            ("vectors", |case| &mut case.vectors, vectors),
            ("weight", |case| &mut case.weight, weight),
            ("bias", |case| &mut case.bias, bias),
            ("head", |case| &mut case.head, head),
        ];
        for (name, input, gradient) in inputs {
            let places: Vec<usize> = (0..6).map(|place| place * (gradient.len() - 1) / 5).collect();
            let expected: Vec<f64> = places.iter().map(|&place| case.difference(input, place)).collect();
            let found: Vec<f64> = places.iter().map(|&place| gradient[place]).collect();
            // The step's own error is about 1e-10; a ReLU that it passes over adds some 1e-7 of a whole sum.
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
            // f32 against f64: a score of some 10 is off by a few roundings of 6e-7, and with it its attention.
            assert_near(&widen(&narrow.forward(&**kernels).pooled), &wide.forward(&portable).pooled, 1e-5, &what);
            let (found, expected) = (narrow.backward(&**kernels), wide.backward(&portable));
            assert_near(&widen(&found.vectors), &expected.vectors, 1e-5, &what);
            assert_near(&widen(&found.weight), &expected.weight, 1e-5, &what);
            assert_near(&widen(&found.bias), &expected.bias, 1e-5, &what);
            assert_near(&widen(&found.head), &expected.head, 1e-5, &what);
        }
    }
}

#[test]
fn bits_do_not_depend_on_the_number_of_threads() {
    let case = Case::new([1030, 9, 16, 16]).narrow();
    for kernels in &all_kernels() {
        assert_same_with_any_threads(|| (case.forward(&**kernels), case.backward(&**kernels)));
    }
}

#[test]
fn an_only_pair_moves_no_weight() {
    for kernels in &all_kernels() {
        let gradients = Case::new([9, 2, 7, 5]).narrow().backward(&**kernels);
        assert!(gradients.weight.iter().chain(&gradients.bias).chain(&gradients.head).all(|gradient| *gradient == 0.0));
    }
}

#[test]
fn large_scores_do_not_overflow() {
    for kernels in &all_kernels() {
        let mut case = Case::new([9, 6, 4, 5]).narrow();
        case.head.iter_mut().for_each(|head| *head *= 1e4);
        assert!(case.forward(&**kernels).pooled.iter().all(|value| value.is_finite()));
        assert!(case.backward(&**kernels).vectors.iter().all(|value| value.is_finite()));
    }
}

/// Code that is not inlined into the functions with a processor's instructions is many times as slow, and right.
#[test]
fn kernels_for_more_instructions_are_faster() {
    let (case, kernels) = (Case::new([16, 39, 16, 16]).narrow(), all_kernels());
    assert_last_is_slowest(kernels.len(), |number| {
        case.forward(&*kernels[number]);
        case.backward(&*kernels[number]);
    });
}

#[test]
fn an_empty_batch_has_zero_gradients() {
    let case = Case::new([0, 3, 2, 2]);
    let gradients = case.backward(&Kernels::<f64, 8>::portable());
    assert!(case.forward(&Kernels::<f64, 8>::portable()).pooled.is_empty() && gradients.vectors.is_empty());
    assert_eq!(gradients.weight, [0.0; 4]);
    assert_eq!((gradients.bias, gradients.head), (vec![0.0; 2], vec![0.0; 2]));
}

#[test]
fn what_is_not_a_number_stays_in_its_row() {
    for kernels in &all_kernels() {
        let mut case = Case::new([11, 5, 4, 3]).narrow();
        case.vectors[7] = f32::NAN;
        let pooled = case.forward(&**kernels).pooled;
        assert!(pooled[..4].iter().any(|value| value.is_nan()) && pooled[4..].iter().all(|value| value.is_finite()));
    }
}

#[test]
#[should_panic(expected = "vectors are [batch, 3, 2]")]
fn lengths_that_do_not_fit_are_refused() {
    let mut case = Case::new([4, 3, 2, 1]);
    case.vectors.pop();
    case.forward(&Kernels::<f64, 8>::portable());
}

proptest! {
    /// Blocks, chunks and padding are invisible: a row's result is the same alone and within a batch.
    #[test]
    fn a_row_does_not_see_its_batch(batch in 1_usize..40, fields in 2_usize..12, dim in 1_usize..20, hidden in 1_usize..20) {
        for kernels in &all_kernels() {
            let case = Case::new([batch, fields, dim, hidden]).narrow();
            let (together, gradients) = (case.forward(&**kernels).pooled, case.backward(&**kernels).vectors);
            let row = fields * dim;
            for place in 0..batch {
                let alone = Case {
                    vectors: case.vectors[place * row..][..row].to_vec(),
                    gradient: case.gradient[place * dim..][..dim].to_vec(),
                    ..case.clone()
                };
                prop_assert_eq!(&alone.forward(&**kernels).pooled, &together[place * dim..][..dim]);
                prop_assert_eq!(&alone.backward(&**kernels).vectors, &gradients[place * row..][..row]);
            }
        }
    }
}
