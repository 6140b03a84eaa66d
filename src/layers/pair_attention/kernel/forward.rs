//! The forward pass of one block: eight rows of the batch, one a lane, pair after pair.
//!
//! A block with fewer rows is padded with zeros, whose results are not read.

#![expect(clippy::inline_always, reason = "inlined into functions that may use more instructions, see layers/lanes")]

use super::{
    plan::{GROUP, Plan, UNITS},
    tiles,
};
use crate::layers::lanes::{Lanes, Packet, Real, WIDTH};

/// Up to eight rows of a batch and where their results go.
pub(super) struct ForwardBlock<'a, T> {
    pub(super) vectors: &'a [T],
    /// `[rows, dim]`
    pub(super) pooled: &'a mut [T],
    /// The softmax's largest score and its sum: `[rows, 2]`.
    pub(super) statistics: &'a mut [T],
}

/// Scratch memory of [`forward`].
pub(super) fn forward_packets<T: Real>(plan: &Plan<T>) -> usize {
    plan.row_len() + plan.pairs.len() + GROUP * (plan.dim + plan.units()) + plan.dim
}

/// Pools the pairs of a block.
#[inline(always)]
pub(super) fn forward<L: Lanes>(plan: &Plan<L::Real>, block: ForwardBlock<L::Real>, scratch: &mut [Packet<L::Real>]) {
    let ForwardBlock { vectors: rows, pooled, statistics } = block;
    let (vectors, rest) = scratch.split_at_mut(plan.row_len());
    let (scores, rest) = rest.split_at_mut(plan.pairs.len());
    let (products, rest) = rest.split_at_mut(GROUP * plan.dim);
    let (hidden, sums) = rest.split_at_mut(GROUP * plan.units());
    load(rows, vectors);
    for (pairs, scores) in plan.pairs.chunks(GROUP).zip(scores.chunks_mut(GROUP)) {
        multiply::<L>(plan.dim, vectors, pairs, products);
        tiles::hidden::<L>(plan, products, hidden, scores);
    }
    let [largest, total] = exponentials::<L>(scores);
    pool::<L>(plan, vectors, scores, sums);
    for sum in &mut *sums {
        for (sum, total) in sum.iter_mut().zip(total) {
            *sum = *sum / total;
        }
    }
    store(sums, pooled);
    store(&[largest, total], statistics);
}

/// Rows → one packet for each of a row's numbers; zeros for the rows that there are not.
#[inline(always)]
pub(super) fn load<T: Real>(rows: &[T], packets: &mut [Packet<T>]) {
    let length = packets.len();
    if rows.len() < WIDTH * length {
        packets.as_flattened_mut().fill(T::default());
    }
    for (lane, row) in rows.chunks_exact(length).enumerate() {
        for (packet, &value) in packets.iter_mut().zip(row) {
            packet[lane] = value;
        }
    }
}

/// Packets → as many rows as there are.
#[inline(always)]
pub(super) fn store<T: Real>(packets: &[Packet<T>], rows: &mut [T]) {
    for (lane, row) in rows.chunks_exact_mut(packets.len()).enumerate() {
        for (packet, value) in packets.iter().zip(row) {
            *value = packet[lane];
        }
    }
}

/// `x_i ⊙ x_j` of a group's pairs: `[GROUP, dim]`, the rest of the group left as it is.
#[inline(always)]
pub(super) fn multiply<L: Lanes>(
    dim: usize,
    vectors: &[Packet<L::Real>],
    pairs: &[[usize; 2]],
    products: &mut [Packet<L::Real>],
) {
    for (products, &[left, right]) in products.chunks_exact_mut(dim).zip(pairs) {
        let factors = vectors[left * dim..][..dim].iter().zip(&vectors[right * dim..][..dim]);
        for (product, (left, right)) in products.iter_mut().zip(factors) {
            L::load(left).times(L::load(right)).store(product);
        }
    }
}

/// Turns scores into `e^(score - largest)`; returns the largest and the sum of each lane.
#[inline(always)]
fn exponentials<L: Lanes>(scores: &mut [Packet<L::Real>]) -> [Packet<L::Real>; 2] {
    let mut largest = scores[0];
    for score in &*scores {
        for (largest, &score) in largest.iter_mut().zip(score) {
            *largest = if score > *largest { score } else { *largest };
        }
    }
    let mut total = [L::Real::default(); WIDTH];
    powers::<L>(scores, &largest);
    for score in scores {
        for (total, &score) in total.iter_mut().zip(&*score) {
            *total += score;
        }
    }
    [largest, total]
}

/// Turns scores into `e^(score - largest)`.
#[inline(always)]
pub(super) fn powers<L: Lanes>(scores: &mut [Packet<L::Real>], largest: &Packet<L::Real>) {
    let mut minus = *largest;
    for minus in &mut minus {
        *minus = L::Real::default() - *minus;
    }
    let minus = L::load(&minus);
    for score in scores {
        L::load(score).plus(minus).exponential().store(score);
    }
}

/// `Σ_i x_i ⊙ Σ_{j>i} weight_ij x_j`: `[dim]`.
#[inline(always)]
fn pool<L: Lanes>(
    plan: &Plan<L::Real>,
    vectors: &[Packet<L::Real>],
    weights: &[Packet<L::Real>],
    sums: &mut [Packet<L::Real>],
) {
    let whole = plan.dim - plan.dim % UNITS;
    sums.as_flattened_mut().fill(L::Real::default());
    let mut rest = weights;
    for left in 0..plan.fields {
        let (weights, after) = rest.split_at(plan.fields - left - 1);
        rest = after;
        for start in (0..whole).step_by(UNITS) {
            pool_dims::<L, UNITS>(plan.dim, [left, start], vectors, weights, sums);
        }
        for start in whole..plan.dim {
            pool_dims::<L, 1>(plan.dim, [left, start], vectors, weights, sums);
        }
    }
}

/// One field's part of [`pool`] for some dims from `start`.
#[inline(always)]
fn pool_dims<L: Lanes, const DIMS: usize>(
    dim: usize,
    [left, start]: [usize; 2],
    vectors: &[Packet<L::Real>],
    weights: &[Packet<L::Real>],
    sums: &mut [Packet<L::Real>],
) {
    let mut partners = [L::splat(L::Real::default()); DIMS];
    for (vector, weight) in vectors[(left + 1) * dim..].chunks_exact(dim).zip(weights) {
        let (weight, vector) = (L::load(weight), &vector[start..][..DIMS]);
        for (partner, value) in partners.iter_mut().zip(vector) {
            *partner = partner.plus_product(weight, L::load(value));
        }
    }
    let own = &vectors[left * dim + start..][..DIMS];
    for ((sum, own), partner) in sums[start..][..DIMS].iter_mut().zip(own).zip(partners) {
        L::load(sum).plus_product(L::load(own), partner).store(sum);
    }
}
