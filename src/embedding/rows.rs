//! The loops over rows that a batch touches, compiled for the usual dims.

use std::ops::Range;

use rayon::prelude::*;

use super::{RowOptimizer, RowStep, optimizer::LANES};

/// Numbers below which a task isn't worth handing over.
pub(super) const LEAST_NUMBERS_A_TASK: usize = 1 << 14;
/// Rows whose numbers are asked for before the first of them is needed.
const ROWS_AHEAD: usize = 32;

/// The part of a table that one task changes: the rows of some neighbouring fields.
pub(super) struct Share<'a> {
    pub first_row: usize,
    pub rows: &'a mut [f32],
    /// Empty where rows don't decay.
    pub decayed: &'a mut [u32],
    /// Which of the batch's distinct ids stand here.
    pub uniques: Range<usize>,
}

/// Calls a function whose first parameter is a constant dim, 0 standing for those that it isn't compiled for.
macro_rules! for_dim {
    ($function:ident, $dim:expr, ($($argument:expr),*)) => {
        match $dim {
            1 => $function::<1>($dim, $($argument),*),
            8 => $function::<8>($dim, $($argument),*),
            16 => $function::<16>($dim, $($argument),*),
            32 => $function::<32>($dim, $($argument),*),
            _ => $function::<0>($dim, $($argument),*),
        }
    };
}
pub(super) use for_dim;

/// Runs the tasks, without waking other threads for a single one.
pub(super) fn for_each<T: Send>(tasks: Vec<T>, work: impl Fn(T) + Send + Sync) {
    if tasks.len() == 1 {
        tasks.into_iter().for_each(work);
    } else {
        tasks.into_par_iter().for_each(work);
    }
}

/// The weights of `ids`, one after the other.
pub(super) fn gather(data: &[f32], stride: usize, dim: usize, ids: &[u32]) -> Vec<f32> {
    match dim {
        1 => gather_vectors::<1>(data, stride, ids),
        8 => gather_vectors::<8>(data, stride, ids),
        16 => gather_vectors::<16>(data, stride, ids),
        32 => gather_vectors::<32>(data, stride, ids),
        _ => gather_rows(data, stride, dim, ids),
    }
}

/// Collected, not copied into zeros: a large batch's vectors are written once.
fn gather_vectors<const DIM: usize>(data: &[f32], stride: usize, ids: &[u32]) -> Vec<f32> {
    let vector = |id: &u32| -> [f32; DIM] {
        *data[*id as usize * stride..].first_chunk().expect("every id is below the table's row count")
    };
    let ids_a_task = (LEAST_NUMBERS_A_TASK / DIM).max(1);
    if ids.len() < 2 * ids_a_task {
        return ids.iter().map(vector).collect::<Vec<_>>().into_flattened();
    }
    ids.par_iter().with_min_len(ids_a_task).map(vector).collect::<Vec<_>>().into_flattened()
}

fn gather_rows(data: &[f32], stride: usize, dim: usize, ids: &[u32]) -> Vec<f32> {
    let ids_a_task = (LEAST_NUMBERS_A_TASK / dim).max(1);
    let mut output = vec![0.0; ids.len() * dim];
    output.par_chunks_mut(ids_a_task * dim).zip(ids.par_chunks(ids_a_task)).for_each(|(output, ids)| {
        for (output, &id) in output.chunks_exact_mut(dim).zip(ids) {
            let start = id as usize * stride;
            output.copy_from_slice(&data[start..start + dim]);
        }
    });
    output
}

/// Lets the share's touched rows take the decay that they missed.
pub(super) fn catch_up(share: Share<'_>, dim: usize, unique: &[u32], step: &RowStep) {
    if dim == 1 && step.optimizer == RowOptimizer::Adagrad {
        return catch_up_numbers(share, unique, step);
    }
    for_dim!(catch_up_rows, dim, (share, unique, step));
}

fn catch_up_rows<const DIM: usize>(dim: usize, share: Share<'_>, unique: &[u32], step: &RowStep) {
    let dim = if DIM > 0 { DIM } else { dim };
    let Share { first_row, rows, decayed, uniques } = share;
    let stride = rows.len() / decayed.len().max(1);
    let mut missed = [0; ROWS_AHEAD];
    for ids in unique[uniques].chunks(ROWS_AHEAD) {
        // the decay is long enough to hide the next row from the processor, so all rows of a chunk are asked for at once
        let mut touched = 0.0;
        for (missed, &id) in missed.iter_mut().zip(ids) {
            let row = id as usize - first_row;
            *missed = miss(&mut decayed[row], step);
            touched += rows[row * stride] + rows[(row + 1) * stride - 1];
        }
        std::hint::black_box(touched);
        for (&missed, &id) in missed.iter().zip(ids) {
            let start = (id as usize - first_row) * stride;
            if missed > 0 {
                step.decay(&mut rows[start..start + stride], dim, missed);
            }
        }
    }
}

/// Of a row with one number, as first-order weights are: several rows at once.
fn catch_up_numbers(share: Share<'_>, unique: &[u32], step: &RowStep) {
    const STRIDE: usize = 1 + RowOptimizer::Adagrad.moments();
    let Share { first_row, rows, decayed, uniques } = share;
    for ids in unique[uniques].chunks(LANES) {
        let (mut weights, mut sums, mut missed) = ([0.0; LANES], [0.0; LANES], [0; LANES]);
        for (((weight, sum), missed), &id) in weights.iter_mut().zip(&mut sums).zip(&mut missed).zip(ids) {
            let row = id as usize - first_row;
            *missed = miss(&mut decayed[row], step);
            (*weight, *sum) = (rows[row * STRIDE], rows[row * STRIDE + 1]);
        }
        step.decay_lanes(&mut weights, &sums, missed);
        for (weight, &id) in weights.iter().zip(ids) {
            rows[(id as usize - first_row) * STRIDE] = *weight;
        }
    }
}

/// The steps that a row missed, 0 for a new one, which counts from now on.
#[inline]
fn miss(decayed: &mut u32, step: &RowStep) -> u32 {
    let last = std::mem::replace(decayed, step.step);
    if last > 0 { step.step - last } else { 0 }
}

/// Updates the share's touched rows by `gradients`, `[unique, dim]`.
pub(super) fn update_touched(share: Share<'_>, dim: usize, unique: &[u32], gradients: &[f32], step: &RowStep) {
    for_dim!(update_by_rule, dim, (share, unique, gradients, step));
}

fn update_by_rule<const DIM: usize>(dim: usize, share: Share<'_>, unique: &[u32], gradients: &[f32], step: &RowStep) {
    match step.optimizer {
        RowOptimizer::Sgd => update_rows::<DIM, 0>(dim, share, unique, gradients, |row, gradient| {
            step.sgd(row, gradient);
        }),
        RowOptimizer::Adagrad => update_rows::<DIM, 1>(dim, share, unique, gradients, |row, gradient| {
            let (weights, sums) = row.split_at_mut(gradient.len());
            step.adagrad(weights, sums, gradient);
        }),
        RowOptimizer::Adam | RowOptimizer::DenseAdam => {
            update_rows::<DIM, 2>(dim, share, unique, gradients, |row, gradient| {
                let (weights, moments) = row.split_at_mut(gradient.len());
                step.adam(weights, moments, gradient);
            });
        }
        RowOptimizer::Ftrl => update_rows::<DIM, 2>(dim, share, unique, gradients, |row, gradient| {
            let (weights, moments) = row.split_at_mut(gradient.len());
            step.ftrl(weights, moments, gradient);
        }),
    }
}

#[inline]
fn update_rows<const DIM: usize, const MOMENTS: usize>(
    dim: usize,
    share: Share<'_>,
    unique: &[u32],
    gradients: &[f32],
    rule: impl Fn(&mut [f32], &[f32]),
) {
    let dim = if DIM > 0 { DIM } else { dim };
    let stride = dim * (1 + MOMENTS);
    let Share { first_row, rows, uniques, .. } = share;
    let gradients = gradients[uniques.start * dim..uniques.end * dim].chunks_exact(dim);
    for (&id, gradient) in unique[uniques].iter().zip(gradients) {
        let start = (id as usize - first_row) * stride;
        rule(&mut rows[start..start + stride], gradient);
    }
}

/// The textbook's Adam: a row that the batch doesn't touch has the gradient zero (or its L2 term alone).
pub(super) fn update_all(share: Share<'_>, dim: usize, unique: &[u32], gradients: &[f32], step: &RowStep) {
    let Share { first_row, rows, uniques, .. } = share;
    let stride = dim * (1 + RowOptimizer::DenseAdam.moments());
    let mut dense = vec![0.0; rows.len() / stride * dim];
    let gradients = gradients[uniques.start * dim..uniques.end * dim].chunks_exact(dim);
    for (&id, gradient) in unique[uniques].iter().zip(gradients) {
        let start = (id as usize - first_row) * dim;
        dense[start..start + dim].copy_from_slice(gradient);
    }
    for (row, gradient) in rows.chunks_exact_mut(stride).zip(dense.chunks_exact(dim)) {
        let (weights, moments) = row.split_at_mut(dim);
        step.adam(weights, moments, gradient);
    }
}
