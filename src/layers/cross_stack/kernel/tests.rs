mod kept;

use proptest::prelude::*;

use super::*;
use crate::{
    layers::lanes::tests::{assert_last_is_slowest, assert_same_with_any_threads},
    seed::{mix, unit},
};

const FORMS: [(Product, Activation); 9] = [
    (Product::Square, Activation::Relu),
    (Product::Square, Activation::GateRelu),
    (Product::Square, Activation::None),
    (Product::Gate, Activation::Relu),
    (Product::Gate, Activation::GateRelu),
    (Product::Gate, Activation::None),
    (Product::Base, Activation::Relu),
    (Product::Base, Activation::GateRelu),
    (Product::Base, Activation::None),
];

fn forms() -> impl Iterator<Item = Form> {
    FORMS.into_iter().map(|(product, activation)| Form { product, activation })
}

/// A stack, its input and the gradient of its output, all at random.
#[derive(Clone)]
struct Case<T> {
    form: Form,
    pooled: bool,
    layers: usize,
    fields: usize,
    dim: usize,
    cross: Vec<T>,
    residual: Vec<T>,
    bias: Vec<T>,
    vectors: Vec<T>,
    gradient: Vec<T>,
}

/// One of a case's inputs.
type Input = fn(&mut Case<f64>) -> &mut Vec<f64>;

fn numbers(stream: u64, count: usize, scale: f64) -> Vec<f64> {
    (0..count as u64).map(|index| scale * (2.0 * unit(mix(stream, index)) - 1.0)).collect()
}

impl Case<f64> {
    fn new(form: Form, pooled: bool, [batch, fields, dim, layers]: [usize; 4]) -> Self {
        let scale = (3.0 / fields as f64).sqrt();
        Self {
            form,
            pooled,
            layers,
            fields,
            dim,
            cross: numbers(1, layers * fields * fields, scale),
            residual: numbers(2, layers * fields * fields, scale),
            bias: numbers(3, layers * fields, 1.0),
            vectors: numbers(4, batch * fields * dim, 1.0),
            gradient: numbers(5, batch * dim * if pooled { 1 } else { fields }, 1.0),
        }
    }

    #[expect(clippy::cast_possible_truncation, reason = "what f32 is for")]
    fn narrow(&self) -> Case<f32> {
        let narrow = |values: &[f64]| values.iter().map(|&value| value as f32).collect();
        Case {
            form: self.form,
            pooled: self.pooled,
            layers: self.layers,
            fields: self.fields,
            dim: self.dim,
            cross: narrow(&self.cross),
            residual: narrow(&self.residual),
            bias: narrow(&self.bias),
            vectors: narrow(&self.vectors),
            gradient: narrow(&self.gradient),
        }
    }

    /// `Σ gradient ⊙ output`
    fn value(&self) -> f64 {
        let output = self.forward(&Kernels::<f64, 8>::portable());
        output.iter().zip(&self.gradient).map(|(output, gradient)| output * gradient).sum()
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

    /// The equations as they stand in [`Form`], for one row and dim.
    fn equations(&self, row: usize, column: usize) -> Vec<f64> {
        let Self { fields, dim, .. } = *self;
        let start: Vec<f64> = (0..fields).map(|field| self.vectors[(row * fields + field) * dim + column]).collect();
        let relu = |value: f64| value.max(0.0);
        let mut hidden = start.clone();
        for layer in 0..self.layers {
            let product = |matrix: &[f64], field: usize, input: &dyn Fn(f64) -> f64| -> f64 {
                let weights = &matrix[(layer * fields + field) * fields..][..fields];
                weights.iter().zip(&hidden).map(|(weight, &value)| weight * input(value)).sum()
            };
            let next = (0..fields).map(|field| {
                let bias = self.bias[layer * fields + field];
                let residual = product(&self.residual, field, &|value| value);
                let (cross, partner) = match self.form.product {
                    Product::Square => (product(&self.cross, field, &|value| value * value), 1.0),
                    Product::Gate => (product(&self.cross, field, &|value| value), hidden[field]),
                    Product::Base => (product(&self.cross, field, &|value| value), start[field]),
                };
                match self.form.activation {
                    Activation::Relu => relu(partner * cross + residual + bias),
                    Activation::GateRelu => partner * relu(cross + bias) + residual,
                    Activation::None => partner * cross + residual + bias,
                }
            });
            hidden = next.collect();
        }
        hidden
    }
}

impl<T: Real> Case<T> {
    fn weights(&self) -> Weights<'_, T> {
        let Self { cross, residual, bias, layers, fields, .. } = self;
        Weights { cross, residual, bias, layers: *layers, fields: *fields }
    }

    fn forward(&self, kernels: &dyn Passes<T>) -> Vec<T> {
        let mut output = vec![T::default(); self.gradient.len()];
        kernels.forward(self.form, &self.weights(), &self.vectors, self.dim, self.pooled, &mut output);
        output
    }

    fn backward(&self, kernels: &dyn Passes<T>) -> Gradients<T> {
        self.backward_from(kernels, &Kept::NOTHING)
    }

    fn backward_from(&self, kernels: &dyn Passes<T>, kept: &Kept<T>) -> Gradients<T> {
        kernels.backward(self.form, &self.weights(), &self.vectors, self.dim, self.pooled, kept, &self.gradient)
    }

    fn forward_keeping(&self, kernels: &dyn Passes<T>, most_bytes: usize) -> (Vec<T>, Kept<T>) {
        let mut output = vec![T::default(); self.gradient.len()];
        let (weights, vectors) = (self.weights(), &self.vectors);
        let kept =
            kernels.forward_keeping(self.form, &weights, vectors, self.dim, self.pooled, &mut output, most_bytes);
        (output, kept)
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

/// Odd sizes: `[batch, fields, dim, layers]`.
const SHAPES: [[usize; 4]; 8] = [
    [1, 1, 1, 1],
    [2, 3, 3, 2],
    [17, 5, 8, 3],
    [2, 39, 10, 2],
    [17, 39, 16, 3],
    [64, 40, 32, 1],
    [1, 7, 300, 2],
    [64, 13, 3, 2],
];

/// Kernels of two widths for exact comparisons; sixteen numbers of any processor would take minutes to compile.
fn exact_kernels() -> [Box<dyn Passes<f64>>; 2] {
    [Box::new(Kernels::<f64, 8>::portable()), Box::new(Kernels::<f64, 2>::portable())]
}

#[test]
fn forward_follows_the_equations() {
    for form in forms() {
        for [batch, fields, dim, layers] in SHAPES {
            let case = Case::new(form, false, [batch, fields, dim, layers]);
            let pooled = Case { pooled: true, gradient: numbers(5, batch * dim, 1.0), ..case.clone() };
            let mut expected = vec![0.0; batch * fields * dim];
            let mut expected_sum = vec![0.0; batch * dim];
            for row in 0..batch {
                for column in 0..dim {
                    for (field, value) in case.equations(row, column).into_iter().enumerate() {
                        expected[(row * fields + field) * dim + column] = value;
                        expected_sum[row * dim + column] += value;
                    }
                }
            }
            let what = format!("{form:?} {batch} {fields} {dim}");
            for kernels in exact_kernels() {
                // Sums in another order.
                assert_near(&case.forward(&*kernels), &expected, 1e-12, &what);
                assert_near(&pooled.forward(&*kernels), &expected_sum, 1e-12, &what);
            }
        }
    }
}

#[test]
fn gradients_are_central_differences() {
    for form in forms() {
        let kernels = exact_kernels();
        for (index, shape) in SHAPES.into_iter().enumerate() {
            let case = Case::new(form, index % 2 == 0, shape);
            let Gradients { vectors, cross, residual, bias } = case.backward(&*kernels[index / 2 % 2]);
            let inputs: [(&str, Input, Vec<f64>); 4] = [
                ("vectors", |case| &mut case.vectors, vectors),
                ("cross", |case| &mut case.cross, cross),
                ("residual", |case| &mut case.residual, residual),
                ("bias", |case| &mut case.bias, bias),
            ];
            for (name, input, gradient) in inputs {
                let places = (0..4).map(|place| place * (gradient.len() - 1) / 3).collect::<Vec<_>>();
                let expected: Vec<f64> = places.iter().map(|&place| case.difference(input, place)).collect();
                let found: Vec<f64> = places.iter().map(|&place| gradient[place]).collect();
                // The step's own error is about 1e-10; a ReLU that it passes over adds some 1e-7 of a whole sum.
                assert_near(&found, &expected, 1e-6, &format!("{form:?} {shape:?} {name}"));
            }
        }
    }
}

#[test]
fn this_processors_kernels_agree_with_the_portable_ones() {
    let portable = Kernels::<f64, 8>::portable();
    for form in forms() {
        for (index, shape) in SHAPES.into_iter().enumerate() {
            let wide = Case::new(form, index % 2 == 1, shape);
            let narrow = wide.narrow();
            for kernels in &all_kernels() {
                let what = format!("{form:?} {shape:?}");
                // f32 against f64: some 40 roundings of 6e-8 a layer, and sums over a batch of these.
                assert_near(&widen(&narrow.forward(&**kernels)), &wide.forward(&portable), 1e-5, &what);
                let (found, expected) = (narrow.backward(&**kernels), wide.backward(&portable));
                assert_near(&widen(&found.vectors), &expected.vectors, 1e-5, &what);
                assert_near(&widen(&found.cross), &expected.cross, 1e-5, &what);
                assert_near(&widen(&found.residual), &expected.residual, 1e-5, &what);
                assert_near(&widen(&found.bias), &expected.bias, 1e-5, &what);
            }
        }
    }
}

#[test]
fn bits_do_not_depend_on_the_number_of_threads() {
    let case = Case::new(Form::default(), true, [600, 39, 16, 3]).narrow();
    for kernels in &all_kernels() {
        assert_same_with_any_threads(|| (case.forward(&**kernels), case.backward(&**kernels)));
    }
}

/// Code that is not inlined into the functions with a processor's instructions is many times as slow, and right.
#[test]
fn kernels_for_more_instructions_are_faster() {
    let (case, kernels) = (Case::new(Form::default(), true, [64, 39, 16, 3]).narrow(), all_kernels());
    assert_last_is_slowest(kernels.len(), |number| {
        case.forward(&*kernels[number]);
        case.backward(&*kernels[number]);
    });
}

#[test]
fn an_empty_batch_has_zero_gradients() {
    let case = Case::new(Form::default(), true, [0, 3, 2, 2]);
    let gradients = case.backward(&Kernels::<f64, 8>::portable());
    assert!(case.forward(&Kernels::<f64, 8>::portable()).is_empty() && gradients.vectors.is_empty());
    assert_eq!(gradients.cross, [0.0; 18]);
    assert_eq!(gradients.bias, [0.0; 6]);
}

#[test]
fn what_is_not_a_number_is_not_hidden_by_relu() {
    for kernels in &all_kernels() {
        let mut case = Case::new(Form::default(), true, [3, 5, 4, 2]).narrow();
        case.vectors[7] = f32::NAN;
        assert!(case.forward(&**kernels).iter().any(|value| value.is_nan()));
    }
}

#[test]
#[should_panic(expected = "vectors are [batch, 3, 2]")]
fn lengths_that_do_not_fit_are_refused() {
    let mut case = Case::new(Form::default(), true, [4, 3, 2, 1]);
    case.vectors.pop();
    case.forward(&Kernels::<f64, 8>::portable());
}

proptest! {
    /// Blocks, chunks and padding are invisible: a row's output is the same alone and within a batch.
    #[test]
    fn a_row_does_not_see_its_batch(
        batch in 1_usize..40, fields in 1_usize..14, dim in 1_usize..20, layers in 1_usize..4, form in 0..FORMS.len(),
    ) {
        for kernels in &all_kernels() {
            let (product, activation) = FORMS[form];
            let case = Case::new(Form { product, activation }, false, [batch, fields, dim, layers]).narrow();
            let (together, gradients) = (case.forward(&**kernels), case.backward(&**kernels));
            let row = fields * dim;
            for start in (0..batch * row).step_by(row) {
                let alone = Case {
                    vectors: case.vectors[start..start + row].to_vec(),
                    gradient: case.gradient[start..start + row].to_vec(),
                    ..case.clone()
                };
                prop_assert_eq!(&alone.forward(&**kernels), &together[start..start + row]);
                prop_assert_eq!(&alone.backward(&**kernels).vectors, &gradients.vectors[start..start + row]);
            }
        }
    }
}
