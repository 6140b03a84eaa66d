//! The products with the weights: sums of a tile's rows over one strip, held in registers.

#![expect(clippy::inline_always, reason = "inlined into functions that may use more instructions, see layers/lanes")]

use super::{
    plan::{Plan, TILE},
    strips::{PACKETS, Strip},
};
use crate::layers::lanes::{Lanes, Packet};

/// `Σ_n weights[n] ⊗ inputs[n]` of some packets from `first`.
#[inline(always)]
fn sums<const WIDTH: usize, L: Lanes<WIDTH>, const COUNT: usize>(
    weights: &[[L::Real; TILE]],
    inputs: &[Strip<L::Real, WIDTH>],
    first: usize,
) -> [[L; COUNT]; TILE] {
    let mut sums = [[L::splat(L::Real::default()); COUNT]; TILE];
    for (weights, input) in weights.iter().zip(inputs) {
        let values: [L; COUNT] = loads(&input[first..]);
        for row in 0..TILE {
            let weight = L::splat(weights[row]);
            for packet in 0..COUNT {
                sums[row][packet] = sums[row][packet].plus_product(weight, values[packet]);
            }
        }
    }
    sums
}

/// Adds a block's maps to `output`.
///
/// # Shapes
/// - vectors: `[strips, vectors]`
/// - output: `[strips, maps]`
#[inline(always)]
pub(super) fn maps<const WIDTH: usize, L: Lanes<WIDTH>>(
    plan: &Plan<L::Real, WIDTH>,
    vectors: &[Strip<L::Real, WIDTH>],
    output: &mut [Strip<L::Real, WIDTH>],
) {
    if const { L::TILE_ROWS >= 6 } {
        maps_of::<WIDTH, L, PACKETS>(plan, vectors, output);
    } else {
        maps_of::<WIDTH, L, 1>(plan, vectors, output);
    }
}

#[inline(always)]
fn maps_of<const WIDTH: usize, L: Lanes<WIDTH>, const COUNT: usize>(
    plan: &Plan<L::Real, WIDTH>,
    vectors: &[Strip<L::Real, WIDTH>],
    output: &mut [Strip<L::Real, WIDTH>],
) {
    for tile in plan.forward.iter() {
        for (vectors, output) in vectors.chunks_exact(plan.vectors()).zip(output.chunks_exact_mut(plan.maps)) {
            for first in (0..PACKETS).step_by(COUNT) {
                let sums = sums::<WIDTH, L, COUNT>(tile.weights, &vectors[tile.columns.clone()], first);
                for (sums, &[vector, map]) in sums.iter().zip(&tile.pairs) {
                    let (vector, target) = (&vectors[vector], &mut output[map]);
                    for packet in 0..COUNT {
                        let (factor, target) = (L::load(&vector[first + packet]), &mut target[first + packet]);
                        L::load(target).plus_product(sums[packet], factor).store(target);
                    }
                }
            }
        }
    }
}

/// Adds the gradients of a block's vectors to `gradients`, given those of its maps.
///
/// # Shapes
/// - vectors: `[strips, vectors]`
/// - output: `[strips, maps]`
/// - gradients: `[strips, vectors]`
#[inline(always)]
pub(super) fn inputs<const WIDTH: usize, L: Lanes<WIDTH>>(
    plan: &Plan<L::Real, WIDTH>,
    vectors: &[Strip<L::Real, WIDTH>],
    output: &[Strip<L::Real, WIDTH>],
    gradients: &mut [Strip<L::Real, WIDTH>],
) {
    if const { L::TILE_ROWS >= 6 } {
        inputs_of::<WIDTH, L, PACKETS>(plan, vectors, output, gradients);
    } else {
        inputs_of::<WIDTH, L, 1>(plan, vectors, output, gradients);
    }
}

#[inline(always)]
fn inputs_of<const WIDTH: usize, L: Lanes<WIDTH>, const COUNT: usize>(
    plan: &Plan<L::Real, WIDTH>,
    vectors: &[Strip<L::Real, WIDTH>],
    output: &[Strip<L::Real, WIDTH>],
    gradients: &mut [Strip<L::Real, WIDTH>],
) {
    let count = plan.vectors();
    for tile in plan.inputs.iter() {
        let strips = vectors.chunks_exact(count).zip(output.chunks_exact(plan.maps));
        for ((vectors, output), gradients) in strips.zip(gradients.chunks_exact_mut(count)) {
            for first in (0..PACKETS).step_by(COUNT) {
                let sums = sums::<WIDTH, L, COUNT>(tile.weights, output, first);
                for (sums, &[left, right]) in sums.iter().zip(&tile.pairs) {
                    for (own, other) in [(left, right), (right, left)] {
                        let (vector, target) = (&vectors[other], &mut gradients[own]);
                        for packet in 0..COUNT {
                            let (factor, target) = (L::load(&vector[first + packet]), &mut target[first + packet]);
                            L::load(target).plus_product(sums[packet], factor).store(target);
                        }
                    }
                }
            }
        }
    }
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
