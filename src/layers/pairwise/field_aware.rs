//! The inner products of all pairs of field-aware vectors on the CPU, and their gradients. Rows run in parallel.
//!
//! Sums run in the order of the formula and without fused multiply-adds, so that every processor gives the same bits.

use rayon::prelude::*;

use super::{kernel::check, pair_count};

/// Rows that one task takes: fewer than of plain vectors, since one has `fields` times as many numbers.
const TASK_ROWS: usize = super::kernel::TASK_ROWS / 4;

/// Runs `$function::<DIM>` for the usual numbers of a vector, so that a vector stands in registers, and `::<0>` for others.
macro_rules! for_partner_dim {
    ($function:ident, $dim:expr, $arguments:tt) => {
        match $dim {
            2 => $function::<2>$arguments,
            4 => $function::<4>$arguments,
            8 => $function::<8>$arguments,
            16 => $function::<16>$arguments,
            _ => $function::<0>$arguments,
        }
    };
}

/// `<vᵢ of field j, vⱼ of field i>` for `i < j`, in lexicographic order.
///
/// # Shapes
/// - vectors: `[batch, fields, fields * dim]`, a field's vectors in the order of their partners
/// - output: `[batch, pairs]`
///
/// # Panics
/// If the lengths don't fit these shapes.
pub fn forward(vectors: &[f32], fields: usize, dim: usize, batch: usize, output: &mut [f32]) {
    let row = check(vectors, fields, fields * dim, batch);
    let pairs = pair_count(fields);
    assert_eq!(output.len(), batch * pairs, "the output is [{batch}, {pairs}]");
    if pairs == 0 {
        return;
    }
    let tasks = output.par_chunks_mut(TASK_ROWS * pairs).zip(vectors.par_chunks(TASK_ROWS * row));
    tasks.for_each(|(output, vectors)| {
        for (output, vectors) in output.chunks_exact_mut(pairs).zip(vectors.chunks_exact(row)) {
            for_partner_dim!(forward_row, dim, (vectors, fields, dim, output));
        }
    });
}

/// `g_ij vⱼ of field i`, to the place of `vᵢ of field j`; 0 where a field would be its own partner.
///
/// # Shapes
/// - vectors: `[batch, fields, fields * dim]`
/// - gradient: `[batch, pairs]`
/// - returns: `[batch, fields, fields * dim]`
///
/// # Panics
/// If the lengths don't fit these shapes.
pub fn gradients(vectors: &[f32], gradient: &[f32], fields: usize, dim: usize) -> Vec<f32> {
    let row = check(vectors, fields, fields * dim, vectors.len() / (fields * fields * dim));
    let pairs = pair_count(fields);
    assert_eq!(gradient.len() * row, vectors.len() * pairs, "the gradient is [batch, {pairs}]");
    let mut output = vec![0.0; vectors.len()];
    if pairs == 0 {
        return output;
    }
    let tasks = output.par_chunks_mut(TASK_ROWS * row).zip(vectors.par_chunks(TASK_ROWS * row));
    tasks.zip(gradient.par_chunks(TASK_ROWS * pairs)).for_each(|((output, vectors), gradient)| {
        let rows = output.chunks_exact_mut(row).zip(vectors.chunks_exact(row));
        for ((output, vectors), gradient) in rows.zip(gradient.chunks_exact(pairs)) {
            for_partner_dim!(backward_row, dim, (vectors, gradient, fields, dim, output));
        }
    });
    output
}

fn forward_row<const DIM: usize>(vectors: &[f32], fields: usize, dim: usize, output: &mut [f32]) {
    let dim = if DIM > 0 { DIM } else { dim };
    let mut products = output.iter_mut();
    for left in 0..fields {
        // what the field has for the others, and what each of the others has for it
        let own = vectors[(left * fields + left + 1) * dim..(left + 1) * fields * dim].chunks_exact(dim);
        let others = vectors[(left + 1) * fields * dim..].chunks_exact(fields * dim);
        for ((own, other), product) in own.zip(others).zip(&mut products) {
            let other = &other[left * dim..(left + 1) * dim];
            *product = own.iter().zip(other).map(|(own, other)| own * other).sum();
        }
    }
}

fn backward_row<const DIM: usize>(vectors: &[f32], gradient: &[f32], fields: usize, dim: usize, output: &mut [f32]) {
    let dim = if DIM > 0 { DIM } else { dim };
    let width = fields * dim;
    let mut gradients = gradient.iter();
    for left in 0..fields {
        let (before, behind) = output.split_at_mut((left + 1) * width);
        let own_gradients = before[left * width + (left + 1) * dim..].chunks_exact_mut(dim);
        let own = vectors[left * width + (left + 1) * dim..(left + 1) * width].chunks_exact(dim);
        let others = vectors[(left + 1) * width..].chunks_exact(width);
        let pairs = own.zip(others).zip(own_gradients.zip(behind.chunks_exact_mut(width)));
        for (((own, other), (own_gradient, other_gradient)), gradient) in pairs.zip(&mut gradients) {
            let place = left * dim..(left + 1) * dim;
            for (to, value) in own_gradient.iter_mut().zip(&other[place.clone()]) {
                *to = gradient * value;
            }
            for (to, value) in other_gradient[place].iter_mut().zip(own) {
                *to = gradient * value;
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
    const SHAPES: [[usize; 3]; 6] = [[1, 1, 1], [2, 3, 5], [70, 39, 4], [33, 5, 2], [3, 4, 8], [3, 4, 16]];

    #[expect(clippy::cast_possible_truncation, reason = "what f32 is for")]
    fn numbers(stream: u64, count: usize) -> Vec<f32> {
        (0..count as u64).map(|index| (2.0 * unit(mix(stream, index)) - 1.0) as f32).collect()
    }

    /// 2e-6: the roundings of a sum of at most 16 products below 1; the gradients are single products.
    #[test]
    fn products_and_gradients_follow_the_formulas() {
        for [batch, fields, dim] in SHAPES {
            let pairs: Vec<_> = pairs(fields).collect();
            let vectors = numbers(1, batch * fields * fields * dim);
            let gradient = numbers(2, batch * pairs.len());
            let place = |row: usize, field: usize, partner: usize| ((row * fields + field) * fields + partner) * dim;
            let mut products = vec![0.0; batch * pairs.len()];
            forward(&vectors, fields, dim, batch, &mut products);
            let found = gradients(&vectors, &gradient, fields, dim);
            let mut expected = vec![0.0; vectors.len()];
            for row in 0..batch {
                for (pair, &(left, right)) in pairs.iter().enumerate() {
                    let pair = row * pairs.len() + pair;
                    let (left, right) = (place(row, left, right), place(row, right, left));
                    let dot: f64 = (0..dim)
                        .map(|column| f64::from(vectors[left + column]) * f64::from(vectors[right + column]))
                        .sum();
                    assert!((f64::from(products[pair]) - dot).abs() < 2e-6, "{} is not {dot}", products[pair]);
                    for column in 0..dim {
                        expected[left + column] = gradient[pair] * vectors[right + column];
                        expected[right + column] = gradient[pair] * vectors[left + column];
                    }
                }
            }
            assert_eq!(found, expected);
        }
    }
}
