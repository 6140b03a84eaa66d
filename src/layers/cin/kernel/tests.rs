use proptest::prelude::*;

use super::*;
use crate::{
    layers::lanes::tests::{assert_last_is_slowest, assert_same_with_any_threads},
    seed::{mix, unit},
};

/// A layer, its inputs and the gradient of its maps, all at random.
#[derive(Clone)]
struct Case<T> {
    maps: usize,
    fed: usize,
    fields: usize,
    dim: usize,
    weight: Vec<T>,
    start: Vec<T>,
    /// None in the first layer.
    feed: Option<Vec<T>>,
    gradient: Vec<T>,
}

/// One of a case's inputs.
type Input = fn(&mut Case<f64>) -> &mut Vec<f64>;

/// `[batch, fields, dim, maps, fed]`, of which the last is 0 in the first layer: every rest of tiles, strips and blocks.
const SHAPES: [[usize; 5]; 14] = [
    [1, 1, 1, 1, 0],
    [1, 1, 1, 1, 1],
    [3, 2, 3, 5, 0],
    [9, 3, 10, 1, 2],
    [20, 7, 10, 6, 0],
    [8, 8, 16, 8, 6],
    [70, 6, 16, 7, 0],
    [5, 4, 40, 2, 13],
    [2, 3, 130, 3, 0],
    [300, 5, 1, 4, 3],
    [33, 13, 4, 1, 0],
    [2, 39, 16, 32, 0],
    [2, 39, 16, 9, 32],
    [3, 40, 8, 1, 11],
];

fn numbers(stream: u64, count: usize) -> Vec<f64> {
    (0..count as u64).map(|index| 2.0 * unit(mix(stream, index)) - 1.0).collect()
}

impl Case<f64> {
    fn new([batch, fields, dim, maps, fed]: [usize; 5]) -> Self {
        let feed = (fed > 0).then(|| numbers(3, batch * fed * dim));
        let fed = if fed > 0 { fed } else { fields };
        Self {
            maps,
            fed,
            fields,
            dim,
            weight: numbers(1, maps * fed * fields),
            start: numbers(2, batch * fields * dim),
            feed,
            gradient: numbers(4, batch * maps * dim),
        }
    }

    #[expect(clippy::cast_possible_truncation, reason = "what f32 is for")]
    fn narrow(&self) -> Case<f32> {
        let narrow = |values: &Vec<f64>| values.iter().map(|&value| value as f32).collect();
        let Self { maps, fed, fields, dim, .. } = *self;
        Case {
            maps,
            fed,
            fields,
            dim,
            weight: narrow(&self.weight),
            start: narrow(&self.start),
            feed: self.feed.as_ref().map(narrow),
            gradient: narrow(&self.gradient),
        }
    }

    /// `Σ gradient ⊙ maps`
    fn value(&self) -> f64 {
        let maps = self.forward(&Kernels::<f64, 8>::portable());
        maps.iter().zip(&self.gradient).map(|(map, gradient)| map * gradient).sum()
    }

    /// The central difference of [`Self::value`] by one input.
    fn difference(&self, input: Input, index: usize) -> f64 {
        const STEP: f64 = 1e-3;
        let mut moved = self.clone();
        let start = input(&mut moved)[index];
        let mut value_at = |place| {
            input(&mut moved)[index] = place;
            moved.value()
        };
        (value_at(start + STEP) - value_at(start - STEP)) / (2.0 * STEP)
    }

    /// The maps, as the equation stands in [`crate::layers::cin`].
    fn equation(&self) -> Vec<f64> {
        let Self { maps, fed, fields, dim, ref weight, ref start, .. } = *self;
        let feed = self.feed.as_ref().unwrap_or(start);
        let map = |row: usize, map: usize, column: usize| -> f64 {
            let products = (0..fed).flat_map(|vector| (0..fields).map(move |field| (vector, field)));
            let terms = products.map(|(vector, field)| {
                let product = feed[(row * fed + vector) * dim + column] * start[(row * fields + field) * dim + column];
                weight[(map * fed + vector) * fields + field] * product
            });
            terms.sum()
        };
        let rows = 0..start.len() / fields / dim;
        let places = rows.flat_map(|row| (0..maps).flat_map(move |map| (0..dim).map(move |column| (row, map, column))));
        places.map(|(row, number, column)| map(row, number, column)).collect()
    }
}

impl<T: Real> Case<T> {
    fn layer(&self) -> Layer<'_, T> {
        let Self { weight, maps, fed, fields, dim, .. } = self;
        Layer { weight, maps: *maps, fed: *fed, fields: *fields, dim: *dim }
    }

    fn inputs(&self) -> Inputs<'_, T> {
        Inputs { start: &self.start, feed: self.feed.as_deref() }
    }

    fn forward(&self, kernels: &dyn Passes<T>) -> Vec<T> {
        kernels.forward(&self.layer(), self.inputs())
    }

    fn backward(&self, kernels: &dyn Passes<T>) -> Gradients<T> {
        kernels.backward(&self.layer(), self.inputs(), &self.gradient)
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
fn forward_follows_the_equation() {
    for shape in SHAPES {
        let case = Case::new(shape);
        for kernels in exact_kernels() {
            // Sums in another order.
            assert_near(&case.forward(&*kernels), &case.equation(), 1e-12, &format!("{shape:?}"));
        }
    }
}

#[test]
fn gradients_are_central_differences() {
    for (shape, kernels) in SHAPES.into_iter().flat_map(|shape| exact_kernels().map(|kernels| (shape, kernels))) {
        let case = Case::new(shape);
        let Gradients { start, feed, weight } = case.backward(&*kernels);
        assert_eq!(feed.is_some(), case.feed.is_some());
        let mut inputs: Vec<(&str, Input, Vec<f64>)> =
            vec![("start", |case| &mut case.start, start), ("weight", |case| &mut case.weight, weight)];
        inputs.extend(feed.map(|feed| {
            let input: Input = |case| case.feed.as_mut().unwrap();
            ("feed", input, feed)
        }));
        for (name, input, gradient) in inputs {
            let places: Vec<usize> = (0..12).map(|place| place * (gradient.len() - 1) / 11).collect();
            let expected: Vec<f64> = places.iter().map(|&place| case.difference(input, place)).collect();
            let found: Vec<f64> = places.iter().map(|&place| gradient[place]).collect();
            // The differences of squares are exact but for roundings of the whole sum, over the step.
            assert_near(&found, &expected, 1e-8, &format!("{shape:?} {name}"));
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
            // f32 against f64: sums of up to some thousand products, 6e-8 a rounding.
            assert_near(&widen(&narrow.forward(&**kernels)), &wide.forward(&portable), 1e-5, &what);
            let (found, expected) = (narrow.backward(&**kernels), wide.backward(&portable));
            assert_near(&widen(&found.start), &expected.start, 1e-5, &what);
            assert_near(&widen(&found.weight), &expected.weight, 1e-5, &what);
            assert_near(&widen(&found.feed.unwrap_or_default()), &expected.feed.unwrap_or_default(), 1e-5, &what);
        }
    }
}

#[test]
fn bits_do_not_depend_on_the_number_of_threads() {
    for kernels in &all_kernels() {
        for shape in [[1030, 9, 16, 7, 5], [1030, 9, 16, 7, 0]] {
            let case = Case::new(shape).narrow();
            assert_same_with_any_threads(|| (case.forward(&**kernels), case.backward(&**kernels)));
        }
    }
}

/// Code that is not inlined into the functions with a processor's instructions is many times as slow, and right.
#[test]
fn kernels_for_more_instructions_are_faster() {
    let (case, kernels) = (Case::new([64, 39, 16, 12, 9]).narrow(), all_kernels());
    assert_last_is_slowest(kernels.len(), |number| {
        case.forward(&*kernels[number]);
        case.backward(&*kernels[number]);
    });
}

#[test]
fn an_empty_batch_has_zero_gradients() {
    for fed in [0, 2] {
        let case = Case::new([0, 3, 2, 2, fed]);
        let gradients = case.backward(&Kernels::<f64, 8>::portable());
        assert!(case.forward(&Kernels::<f64, 8>::portable()).is_empty() && gradients.start.is_empty());
        assert_eq!(gradients.weight, vec![0.0; case.weight.len()]);
    }
}

#[test]
fn what_is_not_a_number_stays_in_its_row() {
    for kernels in &all_kernels() {
        let mut case = Case::new([11, 5, 4, 3, 0]).narrow();
        case.start[7] = f32::NAN;
        let maps = case.forward(&**kernels);
        assert!(maps[..12].iter().any(|value| value.is_nan()) && maps[12..].iter().all(|value| value.is_finite()));
    }
}

#[test]
#[should_panic(expected = "the feed is [4, 2, 3]")]
fn lengths_that_do_not_fit_are_refused() {
    let mut case = Case::new([4, 3, 3, 1, 2]);
    case.feed.as_mut().unwrap().pop();
    case.forward(&Kernels::<f64, 8>::portable());
}

proptest! {
    /// Strips, blocks, chunks and padding are invisible: a row's result is the same alone and within a batch.
    #[test]
    fn a_row_does_not_see_its_batch(
        batch in 1_usize..40, fields in 1_usize..12, dim in 1_usize..40, maps in 1_usize..14, fed in 0_usize..9
    ) {
        for kernels in &all_kernels() {
            let case = Case::new([batch, fields, dim, maps, fed]).narrow();
            let (together, gradients) = (case.forward(&**kernels), case.backward(&**kernels).start);
            let cut = |values: &[f32], row: usize, count: usize| values[row * count * dim..][..count * dim].to_vec();
            for row in 0..batch {
                let alone = Case {
                    start: cut(&case.start, row, fields),
                    feed: case.feed.as_ref().map(|feed| cut(feed, row, fed)),
                    gradient: cut(&case.gradient, row, maps),
                    ..case.clone()
                };
                prop_assert_eq!(alone.forward(&**kernels), cut(&together, row, maps));
                prop_assert_eq!(alone.backward(&**kernels).start, cut(&gradients, row, fields));
            }
        }
    }
}
