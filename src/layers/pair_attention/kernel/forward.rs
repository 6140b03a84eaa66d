//! The forward pass of one block: as many rows of the batch as a vector has lanes, pair after pair.
//!
//! A block with fewer rows is padded with zeros, whose results are not read.

#![expect(clippy::inline_always, reason = "inlined into functions that may use more instructions, see layers/lanes")]

use super::{
    plan::{GROUP, Plan, UNITS},
    tiles,
};
use crate::layers::lanes::{Lanes, Packet, Real};

/// Rows of a batch, as many as a vector has lanes or fewer, and where their results go.
pub(super) struct ForwardBlock<'a, T> {
    pub(super) vectors: &'a [T],
    /// `[rows, dim]`
    pub(super) pooled: &'a mut [T],
    /// The softmax's largest score and its sum: `[rows, 2]`.
    pub(super) statistics: &'a mut [T],
}

/// Scratch memory of [`forward`].
pub(super) fn forward_packets<T: Real, const WIDTH: usize>(plan: &Plan<T, WIDTH>) -> usize {
    plan.row_len() + plan.pairs.len() + GROUP * (plan.dim + plan.units()) + plan.dim
}

/// Pools the pairs of a block.
#[inline(always)]
pub(super) fn forward<const WIDTH: usize, L: Lanes<WIDTH>>(
    plan: &Plan<L::Real, WIDTH>,
    block: ForwardBlock<L::Real>,
    scratch: &mut [Packet<L::Real, WIDTH>],
) {
    let ForwardBlock { vectors: rows, pooled, statistics } = block;
    let (vectors, rest) = scratch.split_at_mut(plan.row_len());
    let (scores, rest) = rest.split_at_mut(plan.pairs.len());
    let (products, rest) = rest.split_at_mut(GROUP * plan.dim);
    let (hidden, sums) = rest.split_at_mut(GROUP * plan.units());
    load(rows, vectors);
    for (pairs, scores) in plan.pairs.chunks(GROUP).zip(scores.chunks_mut(GROUP)) {
        multiply::<WIDTH, L>(plan.dim, vectors, pairs, products);
        tiles::hidden::<WIDTH, L>(plan, products, hidden, scores);
    }
    let [largest, total] = exponentials::<WIDTH, L>(scores);
    pool::<WIDTH, L>(plan, vectors, scores, sums);
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
pub(super) fn load<T: Real, const WIDTH: usize>(rows: &[T], packets: &mut [Packet<T, WIDTH>]) {
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
pub(super) fn store<T: Real, const WIDTH: usize>(packets: &[Packet<T, WIDTH>], rows: &mut [T]) {
    for (lane, row) in rows.chunks_exact_mut(packets.len()).enumerate() {
        for (packet, value) in packets.iter().zip(row) {
            *value = packet[lane];
        }
    }
}

/// `x_i ⊙ x_j` of a group's pairs: `[GROUP, dim]`, the rest of the group left as it is.
#[inline(always)]
pub(super) fn multiply<const WIDTH: usize, L: Lanes<WIDTH>>(
    dim: usize,
    vectors: &[Packet<L::Real, WIDTH>],
    pairs: &[[usize; 2]],
    products: &mut [Packet<L::Real, WIDTH>],
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
fn exponentials<const WIDTH: usize, L: Lanes<WIDTH>>(
    scores: &mut [Packet<L::Real, WIDTH>],
) -> [Packet<L::Real, WIDTH>; 2] {
    let mut largest = scores[0];
    for score in &*scores {
        for (largest, &score) in largest.iter_mut().zip(score) {
            *largest = if score > *largest { score } else { *largest };
        }
    }
    let mut total = [L::Real::default(); WIDTH];
    powers::<WIDTH, L>(scores, &largest);
    for score in scores {
        for (total, &score) in total.iter_mut().zip(&*score) {
            *total += score;
        }
    }
    [largest, total]
}

/// Turns scores into `e^(score - largest)`.
#[inline(always)]
pub(super) fn powers<const WIDTH: usize, L: Lanes<WIDTH>>(
    scores: &mut [Packet<L::Real, WIDTH>],
    largest: &Packet<L::Real, WIDTH>,
) {
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
fn pool<const WIDTH: usize, L: Lanes<WIDTH>>(
    plan: &Plan<L::Real, WIDTH>,
    vectors: &[Packet<L::Real, WIDTH>],
    weights: &[Packet<L::Real, WIDTH>],
    sums: &mut [Packet<L::Real, WIDTH>],
) {
    let whole = plan.dim - plan.dim % UNITS;
    sums.as_flattened_mut().fill(L::Real::default());
    let mut rest = weights;
    for left in 0..plan.fields {
        let (weights, after) = rest.split_at(plan.fields - left - 1);
        rest = after;
        for start in (0..whole).step_by(UNITS) {
            pool_dims::<WIDTH, L, UNITS>(plan.dim, [left, start], vectors, weights, sums);
        }
        for start in whole..plan.dim {
            pool_dims::<WIDTH, L, 1>(plan.dim, [left, start], vectors, weights, sums);
        }
    }
}

/// One field's part of [`pool`] for some dims from `start`.
#[inline(always)]
fn pool_dims<const WIDTH: usize, L: Lanes<WIDTH>, const DIMS: usize>(
    dim: usize,
    [left, start]: [usize; 2],
    vectors: &[Packet<L::Real, WIDTH>],
    weights: &[Packet<L::Real, WIDTH>],
    sums: &mut [Packet<L::Real, WIDTH>],
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
