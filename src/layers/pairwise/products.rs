//! The inner products of all pairs of vectors on the CPU, and their gradients. Rows run in parallel.
//!
//! Sums run in the order of the formula and without fused multiply-adds, so that every processor gives the same bits.

use rayon::prelude::*;

use super::{
    kernel::{TASK_ROWS, check, with_buffer},
    pair_count,
};
use crate::vectorized::vectorized;

/// Products that are summed side by side in registers.
const LANES: usize = 8;

/// `<vᵢ, vⱼ>` for `i < j`, in lexicographic order.
///
/// # Shapes
/// - vectors: `[batch, fields, dim]`
/// - output: `[batch, pairs]`
///
/// # Panics
/// If the lengths don't fit these shapes.
pub fn products_forward(vectors: &[f32], fields: usize, dim: usize, batch: usize, output: &mut [f32]) {
    let row = check(vectors, fields, dim, batch);
    let pairs = pair_count(fields);
    assert_eq!(output.len(), batch * pairs, "the output is [{batch}, {pairs}]");
    if pairs == 0 {
        return;
    }
    let tasks = output.par_chunks_mut(TASK_ROWS * pairs).zip(vectors.par_chunks(TASK_ROWS * row));
    tasks.for_each(|(output, vectors)| {
        with_buffer(row + dim * LANES, |transposed| {
            for (output, vectors) in output.chunks_exact_mut(pairs).zip(vectors.chunks_exact(row)) {
                forward(vectors, dim, transposed, output);
            }
        });
    });
}

/// `Σ_{j≠i} g_ij vⱼ`
///
/// # Shapes
/// - vectors: `[batch, fields, dim]`
/// - gradient: `[batch, pairs]`
/// - output: `[batch, fields, dim]`, all zeros before
///
/// # Panics
/// If the lengths don't fit these shapes.
pub fn products_backward(vectors: &[f32], gradient: &[f32], fields: usize, dim: usize, output: &mut [f32]) {
    let row = check(vectors, fields, dim, vectors.len() / (fields * dim));
    let pairs = pair_count(fields);
    assert_eq!(gradient.len() * row, vectors.len() * pairs, "the gradient is [batch, {pairs}]");
    assert_eq!(output.len(), vectors.len(), "the output is shaped as the vectors");
    if pairs == 0 {
        return;
    }
    let tasks = output.par_chunks_mut(TASK_ROWS * row).zip(vectors.par_chunks(TASK_ROWS * row));
    tasks.zip(gradient.par_chunks(TASK_ROWS * pairs)).for_each(|((output, vectors), gradient)| {
        let rows = output.chunks_exact_mut(row).zip(vectors.chunks_exact(row));
        for ((output, vectors), gradient) in rows.zip(gradient.chunks_exact(pairs)) {
            backward(vectors, gradient, dim, output);
        }
    });
}

vectorized! {
    // One row's `<vᵢ, vⱼ>`: field after field against all later ones, which lie side by side in `transposed`, with room for
    // `LANES` behind each of its lines.
    fn forward(vectors: &[f32], dim: usize, transposed: &mut [f32], output: &mut [f32]) {
        let fields = vectors.len() / dim;
        let line = fields + LANES;
        for (field, vector) in vectors.chunks_exact(dim).enumerate() {
            for (column, value) in vector.iter().enumerate() {
                transposed[column * line + field] = *value;
            }
        }
        let mut rest = output;
        for (field, vector) in vectors.chunks_exact(dim).enumerate() {
            let (products, after) = rest.split_at_mut(fields - field - 1);
            rest = after;
            for (products, first) in products.chunks_mut(LANES).zip((field + 1..).step_by(LANES)) {
                let mut sums = [0.0; LANES];
                for (value, partners) in vector.iter().zip(transposed.chunks_exact(line)) {
                    for (sum, partner) in sums.iter_mut().zip(&partners[first..first + LANES]) {
                        *sum += value * partner;
                    }
                }
                products.copy_from_slice(&sums[..products.len()]);
            }
        }
    }

    // One row's `Σ_{j≠i} g_ij vⱼ`, added to `output`.
    fn backward(vectors: &[f32], gradient: &[f32], dim: usize, output: &mut [f32]) {
        let mut gradients = gradient.iter();
        for (field, vector) in vectors.chunks_exact(dim).enumerate() {
            let (own, others) = output[field * dim..].split_at_mut(dim);
            let partners = vectors[(field + 1) * dim..].chunks_exact(dim);
            for ((partner, other), gradient) in partners.zip(others.chunks_exact_mut(dim)).zip(&mut gradients) {
                for (((own, other), value), partner) in own.iter_mut().zip(other).zip(vector).zip(partner) {
                    *own += gradient * partner;
                    *other += gradient * value;
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        layers::pairwise::pairs,
        seed::{mix, unit},
    };

    /// `[batch, fields, dim]`
    const SHAPES: [[usize; 3]; 5] = [[1, 1, 1], [2, 3, 5], [130, 39, 16], [64, 2, 3], [0, 4, 4]];

    #[expect(clippy::cast_possible_truncation, reason = "what f32 is for")]
    fn numbers(stream: u64, count: usize) -> Vec<f32> {
        (0..count as u64).map(|index| (2.0 * unit(mix(stream, index)) - 1.0) as f32).collect()
    }

    /// Some 40 roundings of 6e-8 of numbers up to 40.
    #[track_caller]
    fn assert_near(found: f32, expected: f64) {
        assert!((f64::from(found) - expected).abs() < 1e-4, "expected {expected}, found {found}");
    }

    #[test]
    fn products_and_gradients_follow_the_formulas() {
        for [batch, fields, dim] in SHAPES {
            let pairs: Vec<_> = pairs(fields).collect();
            let vectors = numbers(1, batch * fields * dim);
            let gradient = numbers(2, batch * pairs.len());
            let value =
                |row: usize, field: usize, column: usize| f64::from(vectors[(row * fields + field) * dim + column]);
            let mut products = vec![0.0; batch * pairs.len()];
            products_forward(&vectors, fields, dim, batch, &mut products);
            let mut found = vec![0.0; vectors.len()];
            products_backward(&vectors, &gradient, fields, dim, &mut found);
            let mut expected = vec![0.0; vectors.len()];
            for row in 0..batch {
                for (pair, &(left, right)) in pairs.iter().enumerate() {
                    let place = row * pairs.len() + pair;
                    let dot = (0..dim).map(|column| value(row, left, column) * value(row, right, column)).sum();
                    assert_near(products[place], dot);
                    for column in 0..dim {
                        let gradient = f64::from(gradient[place]);
                        expected[(row * fields + left) * dim + column] += gradient * value(row, right, column);
                        expected[(row * fields + right) * dim + column] += gradient * value(row, left, column);
                    }
                }
            }
            for (found, expected) in found.iter().zip(expected) {
                assert_near(*found, expected);
            }
        }
    }
}
