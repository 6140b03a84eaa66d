//! The products with the matrix: sums of a few pairs and units at a time, held in registers.
//!
//! Buffers hold a packet of a block's rows' numbers: `products` are `[GROUP, dim]`, `hidden` is `[GROUP, units]`.

#![expect(clippy::inline_always, reason = "inlined into functions that may use more instructions, see layers/lanes")]

use std::array;

use super::plan::{Plan, UNITS};
use crate::layers::lanes::{Lanes, Packet, with_count};

/// `Σ_n input[n] weights[n]` of some pairs and one tile of units, added to `start`.
#[inline(always)]
fn sums<const WIDTH: usize, L: Lanes<WIDTH>, const PAIRS: usize>(
    weights: &[[L::Real; UNITS]],
    inputs: [&[Packet<L::Real, WIDTH>]; PAIRS],
    start: [L; UNITS],
) -> [[L; UNITS]; PAIRS] {
    let inputs = inputs.map(|input| &input[..weights.len()]);
    let mut sums = [start; PAIRS];
    for (at, weights) in weights.iter().enumerate() {
        let mut values = [L::splat(L::Real::default()); PAIRS];
        for (value, input) in values.iter_mut().zip(inputs) {
            *value = L::load(&input[at]);
        }
        for (unit, &weight) in weights.iter().enumerate() {
            let weight = L::splat(weight);
            for pair in 0..PAIRS {
                sums[pair][unit] = sums[pair][unit].plus_product(values[pair], weight);
            }
        }
    }
    sums
}

/// `relu(Wᵀ p + c)` and the scores `hᵀ` times it, of a group's pairs.
#[inline(always)]
pub(super) fn hidden<const WIDTH: usize, L: Lanes<WIDTH>>(
    plan: &Plan<L::Real, WIDTH>,
    products: &[Packet<L::Real, WIDTH>],
    hidden: &mut [Packet<L::Real, WIDTH>],
    scores: &mut [Packet<L::Real, WIDTH>],
) {
    if const { L::TILE_ROWS >= 6 } {
        hidden_of::<WIDTH, L, 3>(plan, products, hidden, scores);
    } else {
        hidden_of::<WIDTH, L, 1>(plan, products, hidden, scores);
    }
}

#[inline(always)]
fn hidden_of<const WIDTH: usize, L: Lanes<WIDTH>, const PAIRS: usize>(
    plan: &Plan<L::Real, WIDTH>,
    products: &[Packet<L::Real, WIDTH>],
    hidden: &mut [Packet<L::Real, WIDTH>],
    scores: &mut [Packet<L::Real, WIDTH>],
) {
    let (dim, units) = (plan.dim, plan.units());
    let groups = products.chunks_exact(PAIRS * dim).zip(hidden.chunks_exact_mut(PAIRS * units));
    for ((products, hidden), scores) in groups.zip(scores.chunks_mut(PAIRS)) {
        let inputs: [&[Packet<L::Real, WIDTH>]; PAIRS] = array::from_fn(|pair| &products[pair * dim..][..dim]);
        let mut totals = [L::splat(L::Real::default()); PAIRS];
        let tiles = plan.forward.chunks_exact(dim).zip(plan.bias.iter().zip(&plan.head));
        for (tile, (weights, (bias, head))) in tiles.enumerate() {
            let mut start = [L::splat(L::Real::default()); UNITS];
            for (start, &bias) in start.iter_mut().zip(bias) {
                *start = L::splat(bias);
            }
            let sums = sums::<WIDTH, L, PAIRS>(weights, inputs, start);
            for pair in 0..PAIRS {
                let target = &mut hidden[pair * units + tile * UNITS..][..UNITS];
                for unit in 0..UNITS {
                    let active = sums[pair][unit].relu();
                    active.store(&mut target[unit]);
                    totals[pair] = totals[pair].plus_product(active, L::splat(head[unit]));
                }
            }
        }
        for (score, total) in scores.iter_mut().zip(totals) {
            total.store(score);
        }
    }
}

/// A group on its way back.
pub(super) struct InputGradient<'a, T, const WIDTH: usize> {
    /// The gradients of `Wᵀ p + c`.
    pub(super) hidden: &'a [Packet<T, WIDTH>],
    /// The attention of each pair.
    pub(super) attention: &'a [Packet<T, WIDTH>],
    /// The gradient of the pooled vector: `[dim]`.
    pub(super) gradient: &'a [Packet<T, WIDTH>],
    /// `[fields, dim]`
    pub(super) vectors: &'a [Packet<T, WIDTH>],
    /// `[fields, dim]`, added to.
    pub(super) vector_gradients: &'a mut [Packet<T, WIDTH>],
}

/// The gradients of the pairs' products, `a g + W ∂(Wᵀ p + c)`, passed on to both vectors of each.
#[inline(always)]
pub(super) fn input_gradient<const WIDTH: usize, L: Lanes<WIDTH>>(
    plan: &Plan<L::Real, WIDTH>,
    pairs: &[[usize; 2]],
    pass: InputGradient<L::Real, WIDTH>,
) {
    if const { L::TILE_ROWS >= 6 } {
        input_gradient_of::<WIDTH, L, 3>(plan, pairs, pass);
    } else {
        input_gradient_of::<WIDTH, L, 1>(plan, pairs, pass);
    }
}

#[inline(always)]
fn input_gradient_of<const WIDTH: usize, L: Lanes<WIDTH>, const PAIRS: usize>(
    plan: &Plan<L::Real, WIDTH>,
    pairs: &[[usize; 2]],
    pass: InputGradient<L::Real, WIDTH>,
) {
    let (dim, units) = (plan.dim, plan.units());
    let InputGradient { hidden, attention, gradient, vectors, vector_gradients } = pass;
    let zero = [L::splat(L::Real::default()); UNITS];
    let groups = hidden.chunks_exact(PAIRS * units).zip(attention.chunks(PAIRS));
    for ((hidden, attention), pairs) in groups.zip(pairs.chunks(PAIRS)) {
        let inputs: [&[Packet<L::Real, WIDTH>]; PAIRS] = array::from_fn(|pair| &hidden[pair * units..][..units]);
        for (tile, weights) in plan.backward.chunks_exact(units).enumerate() {
            let sums = sums::<WIDTH, L, PAIRS>(weights, inputs, zero);
            let start = tile * UNITS;
            for ((sums, attention), fields) in sums.into_iter().zip(attention).zip(pairs) {
                let attention = L::load(attention);
                let [left, right] = fields.map(|field| field * dim + start);
                for (unit, sum) in sums.into_iter().enumerate().take(dim - start) {
                    let sum = sum.plus_product(attention, L::load(&gradient[start + unit]));
                    for (own, other) in [(left, right), (right, left)] {
                        let target = &mut vector_gradients[own + unit];
                        L::load(target).plus_product(sum, L::load(&vectors[other + unit])).store(target);
                    }
                }
            }
        }
    }
}

/// Adds the products of `products` and `hidden` over a group's pairs to `sums`, `[dim, units]`.
#[inline(always)]
pub(super) fn weight_gradient<const WIDTH: usize, L: Lanes<WIDTH>>(
    plan: &Plan<L::Real, WIDTH>,
    products: &[Packet<L::Real, WIDTH>],
    hidden: &[Packet<L::Real, WIDTH>],
    sums: &mut [Packet<L::Real, WIDTH>],
) {
    let mut start = 0;
    while start < plan.dim {
        let left = plan.dim - start;
        // Four are two and two: a tile of one would leave the processor waiting for its few sums.
        let most = if left == 4 { 2 } else { left }.min(L::TILE_ROWS / 2);
        let dims =
            with_count!(most, up to L::TILE_ROWS / 2, weight_tile::<WIDTH, L>(plan, start, products, hidden, sums));
        start += dims;
    }
}

/// The sums of so many dims from `start`; returns their number.
#[inline(always)]
fn weight_tile<const WIDTH: usize, L: Lanes<WIDTH>, const DIMS: usize>(
    plan: &Plan<L::Real, WIDTH>,
    start: usize,
    products: &[Packet<L::Real, WIDTH>],
    hidden: &[Packet<L::Real, WIDTH>],
    sums: &mut [Packet<L::Real, WIDTH>],
) -> usize {
    let (dim, units) = (plan.dim, plan.units());
    for unit in (0..units).step_by(UNITS) {
        let place = |row: usize| (start + row) * units + unit;
        let mut tile = [[L::splat(L::Real::default()); UNITS]; DIMS];
        for (row, tile) in tile.iter_mut().enumerate() {
            *tile = loads(&sums[place(row)..]);
        }
        for (products, hidden) in products.chunks_exact(dim).zip(hidden.chunks_exact(units)) {
            let products: [L; DIMS] = loads(&products[start..]);
            for (column, gradient) in hidden[unit..][..UNITS].iter().enumerate() {
                let gradient = L::load(gradient);
                for row in 0..DIMS {
                    tile[row][column] = tile[row][column].plus_product(products[row], gradient);
                }
            }
        }
        for (row, tile) in tile.into_iter().enumerate() {
            for (sum, target) in tile.into_iter().zip(&mut sums[place(row)..][..UNITS]) {
                sum.store(target);
            }
        }
    }
    DIMS
}

/// The first packets. A loop, because a closure's instructions would not be those of the function that it ends up in.
#[inline(always)]
pub(super) fn loads<const WIDTH: usize, L: Lanes<WIDTH>, const COUNT: usize>(
    packets: &[Packet<L::Real, WIDTH>],
) -> [L; COUNT] {
    let mut loaded = [L::splat(L::Real::default()); COUNT];
    for (loaded, packet) in loaded.iter_mut().zip(&packets[..COUNT]) {
        *loaded = L::load(packet);
    }
    loaded
}
