//! The forward pass of some rows of the batch, one after the other: a row's projections and scores stay in the cache.

#![expect(clippy::inline_always, reason = "inlined into functions that may use more instructions, see layers/lanes")]

use super::{
    plan::{Part, Plan},
    products::{Left, Over, Right, Size, product},
};
use crate::layers::lanes::{Lanes, Packet, Real};

/// Some rows of the batch and where their results go.
pub(super) struct ForwardRows<'a, T> {
    /// `[rows, fields, dim]`
    pub(super) vectors: &'a [T],
    /// `[rows, fields, width]`
    pub(super) output: &'a mut [T],
}

/// Scratch memory of [`forward`].
pub(super) fn forward_packets<T: Real, const WIDTH: usize>(plan: &Plan<T, WIDTH>) -> usize {
    let Plan { fields, dim, .. } = *plan;
    let keys = plan.part_packets() * WIDTH * plan.field_packets();
    fields * (3 * plan.part_packets() + plan.field_packets() + plan.head_packets()) + dim * plan.field_packets() + keys
}

/// `relu(concat_h(softmax(Q_h K_hᵀ / √d) V_h) + E W_res)` of each row of the batch.
#[inline(always)]
pub(super) fn forward<const WIDTH: usize, L: Lanes<WIDTH>>(
    plan: &Plan<L::Real, WIDTH>,
    rows: ForwardRows<L::Real>,
    scratch: &mut [Packet<L::Real, WIDTH>],
) {
    let (ForwardRows { vectors, output }, fields) = (rows, plan.fields);
    let row = 3 * plan.part_packets();
    let (projected, rest) = scratch.split_at_mut(fields * row);
    let (turned, rest) = rest.split_at_mut(plan.dim * plan.field_packets());
    let (keys, rest) = rest.split_at_mut(plan.part_packets() * WIDTH * plan.field_packets());
    let (scores, mixed) = rest.split_at_mut(fields * plan.field_packets());
    for (vectors, output) in vectors.chunks_exact(plan.row_len()).zip(output.chunks_exact_mut(plan.output_len())) {
        let size = Size { rows: fields, inner: plan.dim, packets: row };
        let weights = Right(&plan.weights, plan.row_packets());
        product::<WIDTH, L, Over>(Left::Rows(vectors, plan.dim), weights, projected, row, size);
        turn(vectors, plan.dim, turned);
        project_turned::<WIDTH, L>(plan, Part::Key, turned, keys);
        for head in 0..plan.heads {
            let queries = &projected.as_flattened()[plan.place(Part::Query, head) * WIDTH..];
            attend::<WIDTH, L>(plan, (queries, row * WIDTH), head_of(plan, keys, head), scores);
            let values = Right(&projected[plan.place(Part::Value, head)..], row);
            let size = Size { rows: fields, inner: fields, packets: plan.head_packets() };
            let left = Left::Rows(scores.as_flattened(), plan.field_packets() * WIDTH);
            product::<WIDTH, L, Over>(left, values, mixed, plan.head_packets(), size);
            let residual = &projected[plan.place(Part::Residual, head)..];
            for field in 0..fields {
                let mixed = &mut mixed[field * plan.head_packets()..][..plan.head_packets()];
                let residual = &residual[field * row..][..plan.head_packets()];
                for (mixed, residual) in mixed.iter_mut().zip(residual) {
                    L::load(mixed).plus(L::load(residual)).relu().store(mixed);
                }
                let place = field * plan.width() + head * plan.head_dim();
                output[place..][..plan.head_dim()].copy_from_slice(&mixed.as_flattened()[..plan.head_dim()]);
            }
        }
    }
}

/// `[fields, dim]` → `[dim, field packets]`, whose padding is zero.
#[inline(always)]
pub(super) fn turn<T: Real, const WIDTH: usize>(vectors: &[T], dim: usize, turned: &mut [Packet<T, WIDTH>]) {
    let packets = turned.len() / dim;
    let turned = turned.as_flattened_mut();
    turned.fill(T::default());
    for (field, vector) in vectors.chunks_exact(dim).enumerate() {
        for (place, &value) in vector.iter().enumerate() {
            turned[place * packets * WIDTH + field] = value;
        }
    }
}

/// One part's projection with the fields as columns: `[heads * head packets * W, field packets]`.
#[inline(always)]
pub(super) fn project_turned<const WIDTH: usize, L: Lanes<WIDTH>>(
    plan: &Plan<L::Real, WIDTH>,
    part: Part,
    turned: &[Packet<L::Real, WIDTH>],
    target: &mut [Packet<L::Real, WIDTH>],
) {
    let weights = &plan.weights.as_flattened()[plan.place(part, 0) * WIDTH..];
    let size = Size { rows: plan.part_packets() * WIDTH, inner: plan.dim, packets: plan.field_packets() };
    let left = Left::Turned(weights, plan.row_packets() * WIDTH);
    product::<WIDTH, L, Over>(left, Right(turned, plan.field_packets()), target, plan.field_packets(), size);
}

/// A head's rows of a projection with the fields as columns.
#[inline(always)]
pub(super) fn head_of<'a, T: Real, const WIDTH: usize>(
    plan: &Plan<T, WIDTH>,
    turned: &'a [Packet<T, WIDTH>],
    head: usize,
) -> &'a [Packet<T, WIDTH>] {
    let packets = plan.head_packets() * WIDTH * plan.field_packets();
    &turned[head * packets..][..packets]
}

/// The attention of a head's queries, rows so many numbers apart, to its keys: `[fields, field packets]`, whose padding is zero.
#[inline(always)]
pub(super) fn attend<const WIDTH: usize, L: Lanes<WIDTH>>(
    plan: &Plan<L::Real, WIDTH>,
    (queries, apart): (&[L::Real], usize),
    keys: &[Packet<L::Real, WIDTH>],
    scores: &mut [Packet<L::Real, WIDTH>],
) {
    let (fields, packets) = (plan.fields, plan.field_packets());
    let size = Size { rows: fields, inner: plan.head_dim(), packets };
    product::<WIDTH, L, Over>(Left::Rows(queries, apart), Right(keys, packets), scores, packets, size);
    for scores in scores.chunks_exact_mut(packets) {
        // what is beyond the fields may be above the largest score
        let first = scores[0][0];
        scores.as_flattened_mut()[fields..].fill(first);
        let mut lanes = scores[0];
        for scores in &*scores {
            for (largest, &score) in lanes.iter_mut().zip(scores) {
                *largest = if score > *largest { score } else { *largest };
            }
        }
        let mut largest = first;
        for score in lanes {
            largest = if score > largest { score } else { largest };
        }
        let minus_largest = L::splat(L::Real::default() - largest);
        for score in &mut *scores {
            L::load(score).plus(minus_largest).exponential().store(score);
        }
        scores.as_flattened_mut()[fields..].fill(L::Real::default());
        let zero = L::splat(L::Real::default());
        let mut total = zero;
        for score in &*scores {
            total = total.plus(L::load(score));
        }
        let [total, ..] = L::sums([total, zero, zero, zero]);
        let share = L::splat(L::Real::ONE / total);
        for score in scores {
            L::load(score).times(share).store(score);
        }
    }
}
