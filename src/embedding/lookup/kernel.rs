//! Sums over a batch's features on the CPU, read from its distinct rows, and their gradients, summed over equal ids.
//!
//! Rows of the batch run in parallel forward; on the way back fields do, whose distinct rows are their own. Each sum runs in
//! the order of the rows, whatever the threads.

#![expect(clippy::inline_always, reason = "only what is inlined is compiled for AVX2")]

use std::ops::Range;

use rayon::prelude::*;

use super::Places;
use crate::{
    embedding::rows::{self, LEAST_NUMBERS_A_TASK, for_dim},
    vectorized::vectorized,
};

/// Rows of the batch that one task takes: enough work to be worth handing over.
const TASK_ROWS: usize = 128;

/// Each feature's row: `[distinct, width]` → `[batch, columns, width]`.
pub(super) fn features(rows: &[f32], width: usize, places: &Places) -> Vec<f32> {
    rows::gather(rows, width, width, &places.positions)
}

/// The gradient of [`features`]: `[batch, columns, width]` → `[distinct, width]`.
pub(in crate::embedding) fn sum_over_equal_ids(gradient: &[f32], places: &Places) -> Vec<f32> {
    assert!(gradient.is_empty() || !places.positions.is_empty(), "a batch for training has its distinct ids");
    let width = gradient.len() / places.positions.len().max(1);
    by_fields(places, width, |fields, sums| for_dim!(sum_features, width, (fields, sums, gradient, places)))
}

/// `Σ_i w_i`: `[distinct]` → `[batch]`.
pub(super) fn sum_forward(rows: &[f32], places: &Places) -> Vec<f32> {
    let rows_of_batch = places.positions.par_chunks_exact(places.columns).with_min_len(TASK_ROWS);
    rows_of_batch.map(|positions| positions.iter().map(|position| rows[*position as usize]).sum()).collect()
}

/// The gradient of [`sum_forward`]: `[batch]` → `[distinct]`.
pub(super) fn sum_backward(gradient: &[f32], places: &Places) -> Vec<f32> {
    by_fields(places, 1, |fields, sums| {
        let offset = places.starts[fields.start];
        for (positions, gradient) in places.rows().zip(gradient) {
            for position in &positions[fields.clone()] {
                sums[*position as usize - offset] += gradient;
            }
        }
    })
}

/// What [`dot_forward`] gives.
pub(super) struct Dots {
    /// `[batch]`
    pub dots: Vec<f32>,
    /// `Σ_i v_i`, `[batch, dim]`
    pub sums: Vec<f32>,
}

/// `½ Σ_d [(Σᵢ v_id)² − Σᵢ v_id²]` (Rendle, ICDM 2010, Lemma 3.1): `[distinct, dim]` → `[batch]`.
pub(super) fn dot_forward(rows: &[f32], dim: usize, places: &Places) -> Dots {
    let batch = places.batch();
    let (mut dots, mut sums) = (vec![0.0; batch], vec![0.0; batch * dim]);
    let tasks = dots.par_chunks_mut(TASK_ROWS).zip(sums.par_chunks_mut(TASK_ROWS * dim));
    let positions = places.positions.par_chunks(TASK_ROWS * places.columns);
    tasks.zip(positions).for_each(|((dots, sums), positions)| {
        for_dim!(dots_of_rows, dim, (rows, positions, places.columns, dots, sums));
    });
    Dots { dots, sums }
}

/// The gradient of [`dot_forward`], `Σ g (Σⱼ vⱼ − vᵢ)`: `[batch]` → `[distinct, dim]`.
pub(super) fn dot_backward(rows: &[f32], dim: usize, places: &Places, sums: &[f32], gradient: &[f32]) -> Vec<f32> {
    by_fields(places, dim, |fields, output| {
        for_dim!(dot_gradients, dim, (fields, rows, places, sums, gradient, output));
    })
}

/// `[distinct, width]` sums, to which `add` adds those of neighbouring fields.
pub(super) fn by_fields(
    places: &Places,
    width: usize,
    add: impl Fn(Range<usize>, &mut [f32]) + Send + Sync,
) -> Vec<f32> {
    let fields = places.fields();
    let mut sums = vec![0.0; places.distinct() * width];
    let numbers = places.positions.len() * width;
    let tasks = rayon::current_num_threads().min(numbers / LEAST_NUMBERS_A_TASK).max(1);
    let group = fields.div_ceil(tasks).max(1);
    let mut groups = Vec::with_capacity(fields / group + 1);
    let mut rest = sums.as_mut_slice();
    for first in (0..fields).step_by(group) {
        let group = first..(first + group).min(fields);
        let (part, after) = rest.split_at_mut(places.of(&group).len() * width);
        rest = after;
        groups.push((group, part));
    }
    rows::for_each(groups, |(group, sums)| add(group, sums));
    sums
}

vectorized! {
    fn sum_features<const WIDTH: usize>(
        width: usize,
        fields: Range<usize>,
        sums: &mut [f32],
        gradient: &[f32],
        places: &Places,
    ) {
        let width = if WIDTH > 0 { WIDTH } else { width };
        let (count, offset, columns) = (places.fields(), places.starts[fields.start], places.columns);
        let mut further = Vec::new();
        for column in count..columns {
            if fields.contains(&(places.extra[column - count] as usize)) {
                further.push(column);
            }
        }
        for (gradients, positions) in gradient.chunks_exact(columns * width).zip(places.positions.chunks_exact(columns)) {
            for column in fields.clone().chain(further.iter().copied()) {
                let start = (positions[column] as usize - offset) * width;
                add(&mut sums[start..start + width], &gradients[column * width..(column + 1) * width]);
            }
        }
    }

    fn dots_of_rows<const DIM: usize>(
        dim: usize,
        rows: &[f32],
        positions: &[u32],
        columns: usize,
        dots: &mut [f32],
        sums: &mut [f32],
    ) {
        let dim = if DIM > 0 { DIM } else { dim };
        let mut squares = vec![0.0; dim];
        for ((positions, dot), sum) in positions.chunks_exact(columns).zip(dots).zip(sums.chunks_exact_mut(dim)) {
            if DIM > 0 {
                let (mut of_row, mut of_squares) = ([0.0; DIM], [0.0; DIM]);
                for position in positions {
                    let start = *position as usize * DIM;
                    add_with_squares(&mut of_row, &mut of_squares, &rows[start..start + DIM]);
                }
                sum.copy_from_slice(&of_row);
                squares.copy_from_slice(&of_squares);
            } else {
                squares.fill(0.0);
                for position in positions {
                    let start = *position as usize * dim;
                    add_with_squares(sum, &mut squares, &rows[start..start + dim]);
                }
            }
            *dot = 0.0;
            for (sum, squares) in sum.iter().zip(&squares) {
                *dot += 0.5 * (sum * sum - squares);
            }
        }
    }

    fn dot_gradients<const DIM: usize>(
        dim: usize,
        fields: Range<usize>,
        rows: &[f32],
        places: &Places,
        sums: &[f32],
        gradient: &[f32],
        output: &mut [f32],
    ) {
        let dim = if DIM > 0 { DIM } else { dim };
        let here = places.of(&fields);
        let rows = &rows[here.start * dim..here.end * dim];
        let batch = places.positions.chunks_exact(places.columns);
        for ((positions, sum), gradient) in batch.zip(sums.chunks_exact(dim)).zip(gradient) {
            for position in &positions[fields.clone()] {
                let start = (*position as usize - here.start) * dim;
                let (vector, output) = (&rows[start..start + dim], &mut output[start..start + dim]);
                for ((output, value), sum) in output.iter_mut().zip(vector).zip(sum) {
                    *output += gradient * (sum - value);
                }
            }
        }
    }
}

#[inline(always)]
fn add(sum: &mut [f32], vector: &[f32]) {
    for (sum, value) in sum.iter_mut().zip(vector) {
        *sum += value;
    }
}

#[inline(always)]
fn add_with_squares(sum: &mut [f32], squares: &mut [f32], vector: &[f32]) {
    for ((sum, squares), value) in sum.iter_mut().zip(squares).zip(vector) {
        *sum += value;
        *squares += value * value;
    }
}
