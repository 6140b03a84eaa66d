//! The loops over rows that a batch touches, compiled for the usual dims.

#![expect(clippy::inline_always, reason = "only what is inlined is compiled for AVX2")]

use std::ops::Range;

use rayon::prelude::*;

use super::{
    RowOptimizer, RowStep,
    optimizer::LANES,
    storage::{Rounding, Stored},
};
use crate::vectorized::vectorized;

/// Numbers below which a task isn't worth handing over.
pub(super) const LEAST_NUMBERS_A_TASK: usize = 1 << 14;
/// Rows whose numbers are asked for before the first of them is needed.
const ROWS_AHEAD: usize = 32;

/// The part of a table that one task changes: the rows of some neighbouring fields.
pub(super) struct Share<'a, S> {
    pub first_row: usize,
    pub rows: &'a mut [S],
    /// Empty where rows don't decay.
    pub decayed: &'a mut [u32],
    /// Which of the batch's distinct ids stand here.
    pub uniques: Range<usize>,
}

/// A batch's distinct ids, and how the numbers of their rows are rounded.
#[derive(Clone, Copy)]
pub(super) struct Touched<'a> {
    pub unique: &'a [u32],
    pub rounding: Rounding,
}

/// Cuts a table between fields, so that a task has `least` of the batch's distinct ids or more.
pub(super) fn shares<'a, S>(
    mut rows: &'a mut [S],
    mut decayed: &'a mut [u32],
    stride: usize,
    field_starts: &[usize],
    unique_starts: &[usize],
    least: usize,
) -> Vec<Share<'a, S>> {
    let tasks = 4 * rayon::current_num_threads();
    let least = if least == 0 { 0 } else { least.max(unique_starts.last().map_or(0, |all| all / tasks)) };
    let fields = field_starts.len() - 1;
    let (mut shares, mut first) = (Vec::with_capacity(tasks.min(fields) + 1), 0);
    for last in 1..=fields {
        let uniques = unique_starts[first]..unique_starts[last];
        if uniques.len() < least && last < fields {
            continue;
        }
        let (first_row, count) = (field_starts[first], field_starts[last] - field_starts[first]);
        let (part, rest) = rows.split_at_mut(count * stride);
        let (marks, rest_of_marks) = decayed.split_at_mut(count.min(decayed.len()));
        (rows, decayed, first) = (rest, rest_of_marks, last);
        shares.push(Share { first_row, rows: part, decayed: marks, uniques });
    }
    shares
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
pub(super) fn gather<S: Stored>(data: &[S], stride: usize, dim: usize, ids: &[u32]) -> Vec<f32> {
    match dim {
        1 => gather_vectors::<1>(data, stride, ids),
        8 => gather_vectors::<8>(data, stride, ids),
        16 => gather_vectors::<16>(data, stride, ids),
        32 => gather_vectors::<32>(data, stride, ids),
        _ => gather_rows(data, stride, dim, ids),
    }
}

/// Collected, not copied into zeros: a large batch's vectors are written once.
fn gather_vectors<const DIM: usize>(data: &[impl Stored], stride: usize, ids: &[u32]) -> Vec<f32> {
    let vector = |id: &u32| -> [f32; DIM] {
        let row = data[*id as usize * stride..].first_chunk::<DIM>();
        Stored::load_all(row.expect("every id is below the table's row count"))
    };
    let ids_a_task = (LEAST_NUMBERS_A_TASK / DIM).max(1);
    if ids.len() < 2 * ids_a_task {
        return ids.iter().map(vector).collect::<Vec<_>>().into_flattened();
    }
    ids.par_iter().with_min_len(ids_a_task).map(vector).collect::<Vec<_>>().into_flattened()
}

fn gather_rows<S: Stored>(data: &[S], stride: usize, dim: usize, ids: &[u32]) -> Vec<f32> {
    let ids_a_task = (LEAST_NUMBERS_A_TASK / dim).max(1);
    let mut output = vec![0.0; ids.len() * dim];
    output.par_chunks_mut(ids_a_task * dim).zip(ids.par_chunks(ids_a_task)).for_each(|(output, ids)| {
        for (output, &id) in output.chunks_exact_mut(dim).zip(ids) {
            let start = id as usize * stride;
            S::load_into(&data[start..start + dim], output);
        }
    });
    output
}

/// Lets the share's touched rows take the decay that they missed.
pub(super) fn catch_up<S: Stored>(share: Share<'_, S>, dim: usize, touched: Touched, step: &RowStep) {
    if dim == 1 && step.optimizer == RowOptimizer::Adagrad {
        return catch_up_numbers(share, touched, step);
    }
    for_dim!(catch_up_rows, dim, (share, touched, step));
}

vectorized! {
    fn catch_up_rows<const DIM: usize>(
        dim: usize,
        share: Share<'_, impl Stored>,
        touched: Touched<'_>,
        step: &RowStep,
    ) {
        let dim = if DIM > 0 { DIM } else { dim };
        let Share { first_row, rows, decayed, uniques } = share;
        let Touched { unique, rounding } = touched;
        let stride = rows.len() / decayed.len().max(1);
        let mut scratch = scratch(rows, stride);
        let mut missed = [0; ROWS_AHEAD];
        for ids in unique[uniques].chunks(ROWS_AHEAD) {
            // the decay is long enough to hide the next row from the processor, so all rows of a chunk are asked for at once
            let mut asked = 0.0;
            for (missed, &id) in missed.iter_mut().zip(ids) {
                let row = id as usize - first_row;
                *missed = miss(&mut decayed[row], step);
                asked += rows[row * stride].load() + rows[(row + 1) * stride - 1].load();
            }
            std::hint::black_box(asked);
            for (&missed, &id) in missed.iter().zip(ids) {
                let start = (id as usize - first_row) * stride;
                if missed > 0 {
                    let row = &mut rows[start..start + stride];
                    Stored::change(row, &mut scratch, rounding.row(id as usize), |row| step.decay(row, dim, missed));
                }
            }
        }
    }
}

/// Memory to change rows of `stride` numbers in.
fn scratch<S: Stored>(_rows: &[S], stride: usize) -> Vec<f32> {
    S::scratch(stride)
}

/// Lets all rows of a share that were ever touched take the decay that they missed.
pub(super) fn catch_up_all(share: Share<'_, impl Stored>, dim: usize, rounding: Rounding, step: &RowStep) {
    let Share { first_row, rows, decayed, .. } = share;
    let stride = rows.len() / decayed.len().max(1);
    let mut scratch = scratch(rows, stride);
    let touched = rows.chunks_exact_mut(stride).zip(decayed).enumerate().filter(|(_, (_, last))| **last > 0);
    for (row, (numbers, last)) in touched {
        let key = rounding.row(first_row + row);
        Stored::change(numbers, &mut scratch, key, |row| step.decay(row, dim, step.step - *last));
        *last = step.step;
    }
}

/// Of a row with one number, as first-order weights are: several rows at once.
fn catch_up_numbers<S: Stored>(share: Share<'_, S>, touched: Touched, step: &RowStep) {
    const STRIDE: usize = 1 + RowOptimizer::Adagrad.moments();
    let Share { first_row, rows, decayed, uniques } = share;
    let Touched { unique, rounding } = touched;
    for ids in unique[uniques].chunks(LANES) {
        let (mut weights, mut sums, mut missed) = ([0.0; LANES], [0.0; LANES], [0; LANES]);
        for (((weight, sum), missed), &id) in weights.iter_mut().zip(&mut sums).zip(&mut missed).zip(ids) {
            let row = id as usize - first_row;
            *missed = miss(&mut decayed[row], step);
            (*weight, *sum) = (rows[row * STRIDE].load(), rows[row * STRIDE + 1].load());
        }
        step.decay_lanes(&mut weights, &sums, missed);
        for (weight, &id) in weights.iter().zip(ids) {
            rows[(id as usize - first_row) * STRIDE] = S::rounded(*weight, rounding.row(id as usize));
        }
    }
}

/// The steps that a row missed, 0 for a new one, which counts from now on.
#[inline(always)]
fn miss(decayed: &mut u32, step: &RowStep) -> u32 {
    let last = std::mem::replace(decayed, step.step);
    if last > 0 { step.step - last } else { 0 }
}

/// Updates the share's touched rows by `gradients`, `[unique, dim]`.
pub(super) fn update_touched<S: Stored>(
    share: Share<'_, S>,
    dim: usize,
    touched: Touched,
    gradients: &[f32],
    step: &RowStep,
) {
    for_dim!(update_by_rule, dim, (share, touched, gradients, step));
}

vectorized! {
    fn update_by_rule<const DIM: usize>(
        dim: usize,
        share: Share<'_, impl Stored>,
        touched: Touched<'_>,
        gradients: &[f32],
        step: &RowStep,
    ) {
        let numbers = (share, touched, gradients);
        match step.optimizer {
            RowOptimizer::Sgd => update_rows::<DIM, 0>(dim, numbers, |row, gradient| step.sgd(row, gradient)),
            RowOptimizer::Adagrad => update_rows::<DIM, 1>(dim, numbers, |row, gradient| step.adagrad(row, gradient)),
            RowOptimizer::Adam | RowOptimizer::DenseAdam => {
                update_rows::<DIM, 2>(dim, numbers, |row, gradient| step.adam(row, gradient));
            }
            RowOptimizer::Ftrl => update_rows::<DIM, 2>(dim, numbers, |row, gradient| step.ftrl(row, gradient)),
        }
    }
}

#[inline(always)]
fn update_rows<const DIM: usize, const MOMENTS: usize>(
    dim: usize,
    (share, touched, gradients): (Share<'_, impl Stored>, Touched<'_>, &[f32]),
    rule: impl Fn(&mut [f32], &[f32]),
) {
    let dim = if DIM > 0 { DIM } else { dim };
    let stride = dim * (1 + MOMENTS);
    let Share { first_row, rows, uniques, .. } = share;
    let Touched { unique, rounding } = touched;
    let mut scratch = scratch(rows, stride);
    let gradients = gradients[uniques.start * dim..uniques.end * dim].chunks(ROWS_AHEAD * dim);
    for (ids, gradients) in unique[uniques].chunks(ROWS_AHEAD).zip(gradients) {
        // roots and divisions are long enough to hide the next row from the processor
        let mut asked = 0.0;
        for &id in ids {
            let row = id as usize - first_row;
            asked += rows[row * stride].load() + rows[(row + 1) * stride - 1].load();
        }
        std::hint::black_box(asked);
        for (&id, gradient) in ids.iter().zip(gradients.chunks_exact(dim)) {
            let start = (id as usize - first_row) * stride;
            let row = &mut rows[start..start + stride];
            Stored::change(row, &mut scratch, rounding.row(id as usize), |row| rule(row, gradient));
        }
    }
}

/// The textbook's Adam: a row that the batch doesn't touch has the gradient zero (or its L2 term alone).
pub(super) fn update_all(
    share: Share<'_, impl Stored>,
    dim: usize,
    touched: Touched,
    gradients: &[f32],
    step: &RowStep,
) {
    let Share { first_row, rows, uniques, .. } = share;
    let Touched { unique, rounding } = touched;
    let stride = dim * (1 + RowOptimizer::DenseAdam.moments());
    let mut scratch = scratch(rows, stride);
    let mut dense = vec![0.0; rows.len() / stride * dim];
    let gradients = gradients[uniques.start * dim..uniques.end * dim].chunks_exact(dim);
    for (&id, gradient) in unique[uniques].iter().zip(gradients) {
        let start = (id as usize - first_row) * dim;
        dense[start..start + dim].copy_from_slice(gradient);
    }
    for (row, (numbers, gradient)) in rows.chunks_exact_mut(stride).zip(dense.chunks_exact(dim)).enumerate() {
        Stored::change(numbers, &mut scratch, rounding.row(first_row + row), |row| step.adam(row, gradient));
    }
}
