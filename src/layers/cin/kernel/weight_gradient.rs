//! The weights' gradients: sums over a block's columns, a few pairs and fields at a time, held in registers.
//!
//! `∂W_hij = Σ_c (X^{k−1}_i ∂X^k_h)_c X^0_{j,c}`: the products in brackets are made once for some pairs `(i, h)` and stay
//! in the first cache while all fields pass.

#![expect(clippy::inline_always, reason = "inlined into functions that may use more instructions, see layers/lanes")]

use super::{
    plan::Plan,
    strips::{PACKETS, Strip},
    tiles::loads,
};
use crate::layers::lanes::{Lanes, Packet, Real};

/// Neighbouring pairs of a tile.
const PAIRS: usize = 3;

/// Neighbouring fields of a tile.
const FIELDS: usize = 4;

/// Tiles of pairs whose products are kept at a time.
const GROUP: usize = 4;

/// Numbers of one pair's sums.
pub(super) fn row_len<T: Real, const WIDTH: usize>(plan: &Plan<T, WIDTH>) -> usize {
    plan.fields.next_multiple_of(FIELDS)
}

/// Scratch memory of [`WeightGradient`].
pub(super) fn packets<T: Real, const WIDTH: usize>(plan: &Plan<T, WIDTH>, strips: usize) -> usize {
    strips * PACKETS * (row_len(plan) + GROUP * PAIRS)
}

/// A block's part of the sums, `[pairs of vector and map, row_len]`.
pub(super) struct WeightGradient<'a, T, const WIDTH: usize> {
    pub(super) plan: &'a Plan<T, WIDTH>,
    /// `[strips, vectors]`
    pub(super) vectors: &'a [Strip<T, WIDTH>],
    /// The gradients of the maps: `[strips, maps]`.
    pub(super) output: &'a [Strip<T, WIDTH>],
}

impl<T: Real, const WIDTH: usize> WeightGradient<'_, T, WIDTH> {
    /// Adds the block's part.
    #[inline(always)]
    pub(super) fn add<L: Lanes<WIDTH, Real = T>>(&self, scratch: &mut [Packet<T, WIDTH>], sums: &mut [T]) {
        let depth = self.vectors.len() / self.plan.vectors() * PACKETS;
        let (starts, products) =
            scratch[..packets(self.plan, depth / PACKETS)].split_at_mut(depth * row_len(self.plan));
        let (starts, products) = (starts.as_chunks_mut().0, products.as_chunks_mut().0);
        self.pack_starts(depth, starts);
        let pairs = self.plan.forward.pairs.chunks(GROUP * PAIRS);
        for (pairs, sums) in pairs.zip(sums.chunks_mut(GROUP * PAIRS * row_len(self.plan))) {
            self.multiply::<L>(depth, pairs, products);
            let [vector, _] = pairs[0];
            let first = if self.plan.is_first { vector / FIELDS } else { 0 };
            for (tile, starts) in starts.chunks_exact(depth).enumerate().skip(first) {
                self.add_fields::<L>(tile * FIELDS, starts, products, sums);
            }
        }
    }

    /// `[tiles of fields, packets, FIELDS]`
    fn pack_starts(&self, depth: usize, starts: &mut [[Packet<T, WIDTH>; FIELDS]]) {
        let strips = self.vectors.chunks_exact(self.plan.vectors()).enumerate();
        for (strip, vectors) in strips {
            for (tile, fields) in vectors[..self.plan.fields].chunks(FIELDS).enumerate() {
                let targets = &mut starts[tile * depth + strip * PACKETS..][..PACKETS];
                for (packet, target) in targets.iter_mut().enumerate() {
                    *target = [[T::default(); _]; FIELDS];
                    target.iter_mut().zip(fields).for_each(|(target, field)| *target = field[packet]);
                }
            }
        }
    }

    /// Products of vectors and maps' gradients: `[tiles of pairs, packets, PAIRS]`; anything beyond the last pair.
    #[inline(always)]
    fn multiply<L: Lanes<WIDTH, Real = T>>(
        &self,
        depth: usize,
        pairs: &[[usize; 2]],
        products: &mut [[Packet<T, WIDTH>; PAIRS]],
    ) {
        for (pairs, products) in pairs.chunks(PAIRS).zip(products.chunks_exact_mut(depth)) {
            let strips = self.vectors.chunks_exact(self.plan.vectors()).zip(self.output.chunks_exact(self.plan.maps));
            for ((vectors, output), products) in strips.zip(products.chunks_exact_mut(PACKETS)) {
                for (place, &[vector, map]) in pairs.iter().enumerate() {
                    for (packet, products) in products.iter_mut().enumerate() {
                        let (vector, output) = (L::load(&vectors[vector][packet]), L::load(&output[map][packet]));
                        vector.times(output).store(&mut products[place]);
                    }
                }
            }
        }
    }

    /// One tile of fields of a group's pairs.
    #[inline(always)]
    fn add_fields<L: Lanes<WIDTH, Real = T>>(
        &self,
        field: usize,
        starts: &[[Packet<T, WIDTH>; FIELDS]],
        products: &[[Packet<T, WIDTH>; PAIRS]],
        sums: &mut [T],
    ) {
        let row_len = row_len(self.plan);
        for (products, sums) in products.chunks_exact(starts.len()).zip(sums.chunks_mut(PAIRS * row_len)) {
            let tile = sums_of::<WIDTH, L>(products, starts);
            for (tile, sums) in tile.into_iter().zip(sums.chunks_exact_mut(row_len)) {
                for (sum, part) in sums[field..][..FIELDS].iter_mut().zip(L::sums(tile)) {
                    *sum += part;
                }
            }
        }
    }
}

/// Sums, `[pairs of vector and map, row_len]` → the gradient of the weights, `[maps, fed, fields]`.
pub(super) fn unpack<T: Real, const WIDTH: usize>(plan: &Plan<T, WIDTH>, sums: &[T]) -> Vec<T> {
    let Plan { maps, fed, fields, .. } = *plan;
    let row_len = row_len(plan);
    let mut weight = Vec::with_capacity(maps * fed * fields);
    for map in 0..maps {
        for vector in 0..fed {
            weight.extend((0..fields).map(|field| {
                let (vector, field) = if plan.is_first && field < vector { (field, vector) } else { (vector, field) };
                sums[(vector * maps + map) * row_len + field]
            }));
        }
    }
    weight
}

/// `Σ_n products[n] ⊗ starts[n]`
#[inline(always)]
fn sums_of<const WIDTH: usize, L: Lanes<WIDTH>>(
    products: &[[Packet<L::Real, WIDTH>; PAIRS]],
    starts: &[[Packet<L::Real, WIDTH>; FIELDS]],
) -> [[L; FIELDS]; PAIRS] {
    let mut sums = [[L::splat(L::Real::default()); FIELDS]; PAIRS];
    for (products, starts) in products.iter().zip(starts) {
        let products: [L; PAIRS] = loads(products);
        for field in 0..FIELDS {
            let start = L::load(&starts[field]);
            for pair in 0..PAIRS {
                sums[pair][field] = sums[pair][field].plus_product(products[pair], start);
            }
        }
    }
    sums
}
