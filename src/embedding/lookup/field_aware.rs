//! The inner products of all pairs of field-aware vectors on the CPU, read from a batch's distinct rows, and their gradients,
//! summed over equal ids.
//!
//! Juan et al., RecSys 2016: of the left field's vector for the right one with the right field's vector for the left one.

#![expect(clippy::inline_always, reason = "only what is inlined is compiled for AVX2")]

use std::ops::Range;

use rayon::prelude::*;

use super::{Places, kernel::by_fields, pair_count};
use crate::vectorized::vectorized;

/// Rows of the batch that one task takes.
const TASK_ROWS: usize = 16;

/// Runs `$function::<DIM>` for the usual numbers of a vector, so that a vector stands in registers, and `::<0>` for others.
macro_rules! for_partner_dim {
    ($function:ident, $dim:expr, ($($argument:expr),*)) => {
        match $dim {
            2 => $function::<2>($dim, $($argument),*),
            4 => $function::<4>($dim, $($argument),*),
            8 => $function::<8>($dim, $($argument),*),
            16 => $function::<16>($dim, $($argument),*),
            _ => $function::<0>($dim, $($argument),*),
        }
    };
}

/// `<vᵢ of field j, vⱼ of field i>` for `i < j`: `[distinct, fields * dim]` → `[batch, pairs]`.
pub(super) fn products_forward(rows: &[f32], width: usize, places: &Places) -> Vec<f32> {
    let pairs = pair_count(places.fields());
    let mut output = vec![0.0; places.batch() * pairs];
    if pairs > 0 {
        let positions = places.positions.par_chunks(TASK_ROWS * places.columns);
        output.par_chunks_mut(TASK_ROWS * pairs).zip(positions).for_each(|(output, positions)| {
            for_partner_dim!(products_of_rows, width / places.columns, (rows, positions, places.columns, output));
        });
    }
    output
}

/// The sum of [`products_forward`] over the pairs: `[batch]`.
pub(super) fn sum_forward(rows: &[f32], width: usize, places: &Places) -> Vec<f32> {
    let mut output = vec![0.0; places.batch()];
    let positions = places.positions.par_chunks(TASK_ROWS * places.columns);
    output.par_chunks_mut(TASK_ROWS).zip(positions).for_each(|(output, positions)| {
        for_partner_dim!(sums_of_rows, width / places.columns, (rows, positions, places.columns, output));
    });
    output
}

/// What the gradients of a row's products are.
#[derive(Clone, Copy)]
pub(super) enum Gradient<'a> {
    /// `[batch, pairs]`, each its own.
    Pairs(&'a [f32]),
    /// `[batch]`, one for all pairs.
    Sum(&'a [f32]),
}

/// `Σ g_ij vⱼ of field i`, to the place of `vᵢ of field j`: `[distinct, fields * dim]`.
pub(super) fn backward(rows: &[f32], width: usize, places: &Places, gradient: Gradient) -> Vec<f32> {
    by_fields(places, width, |fields, output| {
        for_partner_dim!(gradients, width / places.columns, (fields, rows, places, gradient, output));
    })
}

vectorized! {
    fn products_of_rows<const DIM: usize>(
        dim: usize,
        rows: &[f32],
        positions: &[u32],
        fields: usize,
        output: &mut [f32],
    ) {
        let dim = if DIM > 0 { DIM } else { dim };
        let (width, mut starts) = (fields * dim, vec![0; fields]);
        for (positions, mut output) in positions.chunks_exact(fields).zip(output.chunks_exact_mut(pair_count(fields))) {
            set_starts(&mut starts, positions, width);
            for (left, start) in starts.iter().enumerate() {
                let (products, rest) = output.split_at_mut(fields - left - 1);
                output = rest;
                let own = rows[start + (left + 1) * dim..start + width].chunks_exact(dim);
                for ((own, start), product) in own.zip(&starts[left + 1..]).zip(products) {
                    let other = &rows[start + left * dim..][..dim];
                    *product = 0.0;
                    for (own, other) in own.iter().zip(other) {
                        *product += own * other;
                    }
                }
            }
        }
    }

    fn sums_of_rows<const DIM: usize>(
        dim: usize,
        rows: &[f32],
        positions: &[u32],
        fields: usize,
        output: &mut [f32],
    ) {
        let dim = if DIM > 0 { DIM } else { dim };
        let (width, mut starts) = (fields * dim, vec![0; fields]);
        let (mut registers, mut memory) = ([0.0; DIM], vec![0.0; dim]);
        for (positions, output) in positions.chunks_exact(fields).zip(output) {
            set_starts(&mut starts, positions, width);
            registers.fill(0.0);
            memory.fill(0.0);
            for (left, start) in starts.iter().enumerate() {
                let own = rows[start + (left + 1) * dim..start + width].chunks_exact(dim);
                for (own, start) in own.zip(&starts[left + 1..]) {
                    let other = &rows[start + left * dim..][..dim];
                    if DIM > 0 {
                        add_products(&mut registers, own, other);
                    } else {
                        add_products(&mut memory, own, other);
                    }
                }
            }
            *output = 0.0;
            for sum in registers.iter().chain(&memory) {
                *output += sum;
            }
        }
    }

    fn gradients<const DIM: usize>(
        dim: usize,
        group: Range<usize>,
        rows: &[f32],
        places: &Places,
        gradient: Gradient<'_>,
        output: &mut [f32],
    ) {
        let dim = if DIM > 0 { DIM } else { dim };
        let fields = places.fields();
        let (width, pairs, offset) = (fields * dim, pair_count(fields), places.starts[group.start]);
        let (mut starts, mut factors) = (vec![0; fields], vec![0.0; fields]);
        for (row, positions) in places.positions.chunks_exact(fields).enumerate() {
            set_starts(&mut starts, positions, width);
            for field in group.clone() {
                match gradient {
                    Gradient::Sum(gradient) => factors.fill(gradient[row]),
                    Gradient::Pairs(gradient) => set_factors(&mut factors, field, &gradient[row * pairs..][..pairs]),
                }
                factors[field] = 0.0;
                let to = &mut output[(positions[field] as usize - offset) * width..][..width];
                for ((to, start), factor) in to.chunks_exact_mut(dim).zip(&starts).zip(&factors) {
                    let other = &rows[start + field * dim..][..dim];
                    for (to, value) in to.iter_mut().zip(other) {
                        *to += factor * value;
                    }
                }
            }
        }
    }
}

/// Where each field's numbers start.
#[inline(always)]
fn set_starts(starts: &mut [usize], positions: &[u32], width: usize) {
    for (start, position) in starts.iter_mut().zip(positions) {
        *start = *position as usize * width;
    }
}

/// Of the `gradients` of a row's pairs those of one field with the others.
#[inline(always)]
fn set_factors(factors: &mut [f32], field: usize, gradients: &[f32]) {
    let fields = factors.len();
    let mut place = field.wrapping_sub(1);
    for (left, factor) in factors[..field].iter_mut().enumerate() {
        *factor = gradients[place];
        place += fields - left - 2;
    }
    let behind = gradients.len() - pair_count(fields - field);
    factors[field + 1..].copy_from_slice(&gradients[behind..][..fields - field - 1]);
}

#[inline(always)]
fn add_products(sums: &mut [f32], left: &[f32], right: &[f32]) {
    for ((sum, left), right) in sums.iter_mut().zip(left).zip(right) {
        *sum += left * right;
    }
}
