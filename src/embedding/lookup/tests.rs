use burn::tensor::{Device, Int, TensorData};

use super::*;
use crate::seed::{mix, unit};

/// Of each field so many ids, of which the rows take any.
fn batch(rows: usize, fields: usize, ids_a_field: u64, extra: &[u32]) -> Batch {
    let columns = fields + extra.len();
    let field = |column: usize| if column < fields { column } else { extra[column - fields] as usize };
    let mut found = vec![Vec::new(); fields];
    let mut places = Vec::new();
    for cell in 0..rows * columns {
        let (id, found) = (mix(7, cell as u64) % ids_a_field, &mut found[field(cell % columns)]);
        let place = found.iter().position(|known| *known == id).unwrap_or(found.len());
        if place == found.len() {
            found.push(id);
        }
        places.push(place);
    }
    let unique_starts: Vec<usize> = (0..=fields).map(|field| found[..field].iter().map(Vec::len).sum()).collect();
    let position = |(cell, place): (usize, usize)| u32::try_from(unique_starts[field(cell % columns)] + place).unwrap();
    let inverse = places.into_iter().enumerate().map(position).collect();
    Batch { rows, columns, extra: extra.into(), unique_starts, inverse: Arc::new(inverse), ..Batch::default() }
}

#[expect(clippy::cast_possible_truncation, reason = "what f32 is for")]
fn numbers(stream: u64, count: usize) -> Vec<f32> {
    (0..count as u64).map(|index| (2.0 * unit(mix(stream, index)) - 1.0) as f32).collect()
}

/// What `form` is in burn's own operations.
fn composed(rows: Tensor<2>, places: &Places, form: Form) -> Tensor<1> {
    const COLUMNS: usize = 1;
    let ([_, width], device) = (rows.dims(), rows.device());
    let positions: Vec<i64> = places.positions.iter().map(|position| i64::from(*position)).collect();
    let cells = positions.len();
    let positions = Tensor::<1, Int>::from_data(TensorData::new(positions, [cells]), &device);
    let (batch, fields) = (places.batch(), places.columns);
    let features = rows.select(0, positions).reshape([batch, fields, width]);
    let upper = |dim: usize| {
        let left = features.clone().reshape([batch, fields, fields, dim]);
        let products = (left.clone() * left.swap_dims(1, 2)).sum_dim(3).reshape([batch, fields * fields]);
        let pairs = (0..fields).flat_map(|left| (left + 1..fields).map(move |right| left * fields + right));
        let pairs: Vec<i64> = pairs.map(|pair| i64::try_from(pair).unwrap()).collect();
        let count = pairs.len();
        products.select(1, Tensor::<1, Int>::from_data(TensorData::new(pairs, [count]), &device))
    };
    match form {
        Form::Features => features.flatten(0, 2),
        Form::Sum => features.sum_dim(COLUMNS).flatten(0, 2),
        Form::Dot => {
            let square_of_sum = features.clone().sum_dim(COLUMNS).square();
            let sum_of_squares = features.square().sum_dim(COLUMNS);
            (square_of_sum - sum_of_squares).mul_scalar(0.5).sum_dim(2).flatten(0, 2)
        }
        Form::FieldAware => upper(width / fields).flatten(0, 1),
        Form::FieldAwareSum => upper(width / fields).sum_dim(1).flatten(0, 1),
    }
}

/// The result, and the gradient of the rows where that of the result differs from number to number.
fn run(batch: &Batch, width: usize, forward: impl Fn(Tensor<2>, Arc<Places>) -> Tensor<1>) -> [Vec<f32>; 2] {
    let (device, places) = (Device::flex().autodiff(), Arc::new(Places::new(batch)));
    let rows = TensorData::new(numbers(1, places.distinct() * width), [places.distinct(), width]);
    let rows = Tensor::<2>::from_data(rows, &device).require_grad();
    let output = forward(rows.clone(), places);
    let [count] = output.dims();
    let weights = Tensor::<1>::from_data(TensorData::new(numbers(2, count), [count]), &device);
    let gradients = (output.clone() * weights).sum().backward();
    let gradient = rows.grad(&gradients).unwrap().into_data().try_to_vec().unwrap();
    [output.into_data().try_to_vec().unwrap(), gradient]
}

fn looked_up(form: Form) -> impl Fn(Tensor<2>, Arc<Places>) -> Tensor<1> {
    move |rows, places| match form {
        Form::Features => operation::look_up::<3>(rows, places, form).flatten(0, 2),
        Form::FieldAware => operation::look_up::<2>(rows, places, form).flatten(0, 1),
        Form::Sum | Form::Dot | Form::FieldAwareSum => operation::look_up::<1>(rows, places, form),
    }
}

/// Each form at dims that its loops are compiled for and at others, and at shapes that fill tasks and that don't; the widths are of
/// one vector, or one a partner.
fn cases() -> Vec<(Form, Batch, usize)> {
    let mut cases = Vec::new();
    for (rows, fields, ids) in [(1, 1, 1), (5, 2, 3), (150, 7, 40), (300, 13, 5)] {
        let batch = batch(rows, fields, ids, &[]);
        cases.push((Form::Sum, batch.clone(), 1));
        for dim in [1, 2, 3, 4, 8, 16, 17, 32] {
            cases.push((Form::Features, batch.clone(), dim));
            cases.push((Form::Dot, batch.clone(), dim));
            cases.push((Form::FieldAware, batch.clone(), fields * dim));
            cases.push((Form::FieldAwareSum, batch.clone(), fields * dim));
        }
    }
    cases
}

/// 2e-6 of the largest number, and of 1: sums of up to 2,500 products below 1 in other orders, 6e-8 a rounding, whose errors
/// mostly cancel.
#[test]
fn every_form_is_what_it_is_in_burns_own_operations() {
    for (form, batch, width) in cases() {
        let found = run(&batch, width, looked_up(form));
        let expected = run(&batch, width, |rows, places| composed(rows, &places, form));
        for (found, expected) in found.iter().zip(&expected) {
            let largest = expected.iter().fold(1.0_f32, |largest, value| largest.max(value.abs()));
            assert_eq!(found.len(), expected.len());
            for (found, expected) in found.iter().zip(expected) {
                let what = format!("{form:?} of {} rows of width {width}", batch.rows);
                assert!((found - expected).abs() < 2e-6 * largest, "{what}: expected {expected}, found {found}");
            }
        }
    }
}

#[test]
fn bits_do_not_depend_on_the_number_of_threads() {
    // so many rows that even those of one number are several tasks
    let batch = batch(12_000, 9, 200, &[]);
    let forms =
        [(Form::Sum, 1), (Form::Features, 16), (Form::Dot, 16), (Form::FieldAware, 36), (Form::FieldAwareSum, 36)];
    for (form, width) in forms {
        let on = |threads| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            pool.install(|| run(&batch, width, looked_up(form)))
        };
        let expected = on(1);
        for threads in [2, 3, 7] {
            assert!(on(threads) == expected, "{form:?} on {threads} threads");
        }
    }
}

/// Further columns are of their fields: their gradients go to the same rows.
#[test]
fn further_columns_are_summed_with_their_fields() {
    for rows in [3, 6000] {
        let batch = batch(rows, 4, 300, &[0, 2, 2]);
        let places = Places::new(&batch);
        let gradient = numbers(3, batch.inverse.len() * 5);
        let mut expected = vec![0.0_f64; places.distinct() * 5];
        for (vector, position) in gradient.chunks_exact(5).zip(batch.inverse.iter()) {
            for (sum, value) in expected[*position as usize * 5..].iter_mut().zip(vector) {
                *sum += f64::from(*value);
            }
        }
        let on = |threads| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            pool.install(|| sum_over_equal_ids(&gradient, &places))
        };
        let found = on(3);
        assert!(found == on(1), "{rows} rows");
        for (found, expected) in found.iter().zip(expected) {
            // some 60 roundings of 6e-8 of sums below 30
            assert!((f64::from(*found) - expected).abs() < 1e-4, "expected {expected}, found {found}");
        }
    }
}
