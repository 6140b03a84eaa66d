//! The numbers of the pairwise sums on the CPU. Each row is read once; rows run in parallel.
//!
//! Rendle, ICDM 2010, Lemma 3.1: `Σ_{i<j} vᵢ ⊙ vⱼ = ½ [(Σᵢ vᵢ)² − Σᵢ vᵢ²]`.

use std::cell::RefCell;

use rayon::prelude::*;

/// Rows that one task takes: enough work to be worth handing over.
pub(super) const TASK_ROWS: usize = 64;

/// `½ Σ_d [(Σᵢ v_id)² − Σᵢ v_id²]`
///
/// # Shapes
/// - vectors: `[batch, fields, dim]`
/// - output: `[batch]`
///
/// # Panics
/// If the lengths don't fit these shapes.
pub fn dot_forward(vectors: &[f32], fields: usize, dim: usize, output: &mut [f32]) {
    let row = check(vectors, fields, dim, output.len());
    let tasks = output.par_chunks_mut(TASK_ROWS).zip(vectors.par_chunks(TASK_ROWS * row));
    tasks.for_each(|(output, vectors)| {
        with_buffer(2 * dim, |buffer| {
            let (sum, squares) = buffer.split_at_mut(dim);
            for (output, vectors) in output.iter_mut().zip(vectors.chunks_exact(row)) {
                sums(vectors, sum, squares);
                *output = sum.iter().zip(&*squares).map(|(sum, squares)| 0.5 * (sum * sum - squares)).sum();
            }
        });
    });
}

/// `g (Σⱼ vⱼ − vᵢ)`
///
/// # Shapes
/// - vectors: `[batch, fields, dim]`
/// - gradient: `[batch]`
/// - output: `[batch, fields, dim]`
///
/// # Panics
/// If the lengths don't fit these shapes.
pub fn dot_backward(vectors: &[f32], gradient: &[f32], fields: usize, dim: usize, output: &mut [f32]) {
    let row = check(vectors, fields, dim, gradient.len());
    assert_eq!(output.len(), vectors.len(), "the output is shaped as the vectors");
    let tasks = output.par_chunks_mut(TASK_ROWS * row).zip(vectors.par_chunks(TASK_ROWS * row));
    tasks.zip(gradient.par_chunks(TASK_ROWS)).for_each(|((output, vectors), gradient)| {
        with_buffer(dim, |sum| {
            let rows = output.chunks_exact_mut(row).zip(vectors.chunks_exact(row));
            for ((output, vectors), &gradient) in rows.zip(gradient) {
                sum_of_fields(vectors, sum);
                for (output, vector) in output.chunks_exact_mut(dim).zip(vectors.chunks_exact(dim)) {
                    for ((output, value), sum) in output.iter_mut().zip(vector).zip(&*sum) {
                        *output = gradient * (sum - value);
                    }
                }
            }
        });
    });
}

/// As [`dot_backward`]. Of the usual dims the output is collected, not written over zeros, which cost a large batch more
/// than the products do.
///
/// # Shapes
/// - vectors: `[batch, fields, dim]`
/// - gradient: `[batch]`
/// - returns: `[batch, fields, dim]`
///
/// # Panics
/// If the lengths don't fit these shapes.
pub fn dot_gradients(vectors: &[f32], gradient: &[f32], fields: usize, dim: usize) -> Vec<f32> {
    check(vectors, fields, dim, gradient.len());
    match dim {
        8 => collect_dot_gradients::<8>(vectors, gradient, fields),
        16 => collect_dot_gradients::<16>(vectors, gradient, fields),
        32 => collect_dot_gradients::<32>(vectors, gradient, fields),
        _ => {
            let mut output = vec![0.0; vectors.len()];
            dot_backward(vectors, gradient, fields, dim, &mut output);
            output
        }
    }
}

fn collect_dot_gradients<const DIM: usize>(vectors: &[f32], gradient: &[f32], fields: usize) -> Vec<f32> {
    let vectors = vectors.as_chunks::<DIM>().0;
    let sums = vectors.par_chunks(fields).with_min_len(TASK_ROWS).map(|row| {
        let mut sum = [0.0; DIM];
        sum_of_fields(row.as_flattened(), &mut sum);
        sum
    });
    let sums: Vec<[f32; DIM]> = sums.collect();
    let products = vectors.par_iter().enumerate().with_min_len(TASK_ROWS * fields).map(|(place, vector)| {
        let row = place / fields;
        let (sum, gradient) = (&sums[row], gradient[row]);
        std::array::from_fn::<f32, DIM, _>(|column| gradient * (sum[column] - vector[column]))
    });
    products.collect::<Vec<_>>().into_flattened()
}

/// `½ [(Σᵢ vᵢ)² − Σᵢ vᵢ²]`
///
/// # Shapes
/// - vectors: `[batch, fields, dim]`
/// - output: `[batch, dim]`
///
/// # Panics
/// If the lengths don't fit these shapes.
pub fn sum_forward(vectors: &[f32], fields: usize, dim: usize, output: &mut [f32]) {
    let row = check(vectors, fields, dim, output.len() / dim);
    let tasks = output.par_chunks_mut(TASK_ROWS * dim).zip(vectors.par_chunks(TASK_ROWS * row));
    tasks.for_each(|(output, vectors)| {
        with_buffer(2 * dim, |buffer| {
            let (sum, squares) = buffer.split_at_mut(dim);
            for (output, vectors) in output.chunks_exact_mut(dim).zip(vectors.chunks_exact(row)) {
                sums(vectors, sum, squares);
                for ((output, sum), squares) in output.iter_mut().zip(&*sum).zip(&*squares) {
                    *output = 0.5 * (sum * sum - squares);
                }
            }
        });
    });
}

/// `g ⊙ (Σⱼ vⱼ − vᵢ)`
///
/// # Shapes
/// - vectors: `[batch, fields, dim]`
/// - gradient: `[batch, dim]`
/// - output: `[batch, fields, dim]`
///
/// # Panics
/// If the lengths don't fit these shapes.
pub fn sum_backward(vectors: &[f32], gradient: &[f32], fields: usize, dim: usize, output: &mut [f32]) {
    let row = check(vectors, fields, dim, gradient.len() / dim);
    assert_eq!(output.len(), vectors.len(), "the output is shaped as the vectors");
    let tasks = output.par_chunks_mut(TASK_ROWS * row).zip(vectors.par_chunks(TASK_ROWS * row));
    tasks.zip(gradient.par_chunks(TASK_ROWS * dim)).for_each(|((output, vectors), gradient)| {
        with_buffer(dim, |sum| {
            let rows = output.chunks_exact_mut(row).zip(vectors.chunks_exact(row));
            for ((output, vectors), gradient) in rows.zip(gradient.chunks_exact(dim)) {
                sum_of_fields(vectors, sum);
                for (output, vector) in output.chunks_exact_mut(dim).zip(vectors.chunks_exact(dim)) {
                    for (((output, value), sum), gradient) in output.iter_mut().zip(vector).zip(&*sum).zip(gradient) {
                        *output = gradient * (sum - value);
                    }
                }
            }
        });
    });
}

/// The length of one row.
pub(super) fn check(vectors: &[f32], fields: usize, dim: usize, batch: usize) -> usize {
    assert!(fields > 0 && dim > 0, "expected sizes above 0, found {fields} fields and {dim} dims");
    assert_eq!(vectors.len(), batch * fields * dim, "vectors are [{batch}, {fields}, {dim}]");
    fields * dim
}

/// Lends this thread's scratch memory, holding anything.
pub(super) fn with_buffer(length: usize, work: impl FnOnce(&mut [f32])) {
    thread_local! { static BUFFER: RefCell<Vec<f32>> = const { RefCell::new(Vec::new()) } }
    BUFFER.with_borrow_mut(|buffer| {
        if buffer.len() < length {
            buffer.resize(length, 0.0);
        }
        work(&mut buffer[..length]);
    });
}

/// `Σᵢ vᵢ` and `Σᵢ vᵢ²` of one row.
fn sums(vectors: &[f32], sum: &mut [f32], squares: &mut [f32]) {
    sum.fill(0.0);
    squares.fill(0.0);
    for vector in vectors.chunks_exact(sum.len()) {
        for ((value, sum), squares) in vector.iter().zip(&mut *sum).zip(&mut *squares) {
            *sum += value;
            *squares += value * value;
        }
    }
}

/// `Σᵢ vᵢ` of one row.
fn sum_of_fields(vectors: &[f32], sum: &mut [f32]) {
    sum.fill(0.0);
    for vector in vectors.chunks_exact(sum.len()) {
        for (value, sum) in vector.iter().zip(&mut *sum) {
            *sum += value;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::seed::{mix, unit};

    /// `[batch, fields, dim]`
    const SHAPES: [[usize; 3]; 5] = [[1, 1, 1], [2, 3, 5], [130, 39, 16], [64, 2, 3], [0, 4, 4]];

    #[expect(clippy::cast_possible_truncation, reason = "what f32 is for")]
    fn numbers(stream: u64, count: usize) -> Vec<f32> {
        (0..count as u64).map(|index| (2.0 * unit(mix(stream, index)) - 1.0) as f32).collect()
    }

    /// `Σ_{i<j} v_i v_j` of one row and dim, pair by pair in f64.
    fn pairs(vectors: &[f32], [fields, dim]: [usize; 2], row: usize, column: usize) -> f64 {
        let value = |field: usize| f64::from(vectors[(row * fields + field) * dim + column]);
        (0..fields).flat_map(|right| (0..right).map(move |left| (left, right))).map(|(l, r)| value(l) * value(r)).sum()
    }

    /// Differences of sums of `fields` squares: some 40 roundings of 6e-8 of numbers up to 40.
    #[track_caller]
    fn assert_near(found: f32, expected: f64) {
        assert!((f64::from(found) - expected).abs() < 1e-4, "expected {expected}, found {found}");
    }

    #[test]
    fn forward_sums_every_pair_once() {
        for [batch, fields, dim] in SHAPES {
            let vectors = numbers(1, batch * fields * dim);
            let (mut dots, mut sums) = (vec![0.0; batch], vec![0.0; batch * dim]);
            dot_forward(&vectors, fields, dim, &mut dots);
            sum_forward(&vectors, fields, dim, &mut sums);
            for row in 0..batch {
                let expected: Vec<f64> = (0..dim).map(|column| pairs(&vectors, [fields, dim], row, column)).collect();
                assert_near(dots[row], expected.iter().sum());
                for (found, expected) in sums[row * dim..][..dim].iter().zip(expected) {
                    assert_near(*found, expected);
                }
            }
        }
    }

    #[test]
    fn gradients_are_sums_of_the_other_fields() {
        for [batch, fields, dim] in SHAPES {
            let vectors = numbers(1, batch * fields * dim);
            let (dot_gradient, sum_gradient) = (numbers(2, batch), numbers(3, batch * dim));
            let (mut by_dot, mut by_sum) = (vec![0.0; vectors.len()], vec![0.0; vectors.len()]);
            dot_backward(&vectors, &dot_gradient, fields, dim, &mut by_dot);
            sum_backward(&vectors, &sum_gradient, fields, dim, &mut by_sum);
            assert_eq!(dot_gradients(&vectors, &dot_gradient, fields, dim), by_dot);
            for place in 0..vectors.len() {
                let (row, field, column) = (place / (fields * dim), place / dim % fields, place % dim);
                let others = (0..fields).filter(|&other| other != field);
                let sum: f64 = others.map(|other| f64::from(vectors[(row * fields + other) * dim + column])).sum();
                assert_near(by_dot[place], f64::from(dot_gradient[row]) * sum);
                assert_near(by_sum[place], f64::from(sum_gradient[row * dim + column]) * sum);
            }
        }
    }
}
