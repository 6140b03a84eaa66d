//! The gradients of a layer's matrices: products along the columns, tile by tile of a few fields.

#![expect(clippy::inline_always, reason = "inlined into functions that may use more instructions, see layers/lanes")]

use std::array;

use super::{
    Form,
    plan::{Tile, tiles},
};
use crate::layers::lanes::{Lanes, Packet, with_count};

/// From a layer's input and the gradients of its two sums to those of its matrices. Buffers are `[fields, stride]`.
pub(super) struct WeightGradient<'a, T, const WIDTH: usize> {
    pub(super) stride: usize,
    pub(super) packets: usize,
    pub(super) input: &'a [Packet<T, WIDTH>],
    pub(super) cross: &'a [Packet<T, WIDTH>],
    pub(super) residual: &'a [Packet<T, WIDTH>],
    /// `[fields, fields]`, added to.
    pub(super) cross_sums: &'a mut [T],
    /// `[fields, fields]`, added to.
    pub(super) residual_sums: &'a mut [T],
}

/// Adds the gradients of `W_C` and `W_R`: sums over the columns of `cross · input` (squared or not) and
/// `residual · input`.
#[inline(always)]
pub(super) fn weight_gradient<const WIDTH: usize, L: Lanes<WIDTH>>(
    form: Form,
    mut pass: WeightGradient<L::Real, WIDTH>,
    fields: usize,
    tile_rows: usize,
) {
    for tile in tiles(fields, tile_rows) {
        if form.is_merged() {
            with_count!(tile.rows, up to L::TILE_ROWS, weight_tile::<WIDTH, L, SquareOfOne>(&mut pass, fields, tile));
        } else if form.is_square() {
            with_count!(tile.rows, up to L::TILE_ROWS, weight_tile::<WIDTH, L, SquareOfTwo>(&mut pass, fields, tile));
        } else {
            with_count!(tile.rows, up to L::TILE_ROWS, weight_tile::<WIDTH, L, PlainOfTwo>(&mut pass, fields, tile));
        }
    }
}

/// What a tile of weight gradients multiplies.
trait Factors {
    /// Whether `W_C` had the square of the input.
    const SQUARED: bool;
    /// Whether both sums have one gradient.
    const ONE: bool;
}

struct SquareOfOne;
struct SquareOfTwo;
struct PlainOfTwo;

impl Factors for SquareOfOne {
    const SQUARED: bool = true;
    const ONE: bool = true;
}

impl Factors for SquareOfTwo {
    const SQUARED: bool = true;
    const ONE: bool = false;
}

impl Factors for PlainOfTwo {
    const SQUARED: bool = false;
    const ONE: bool = false;
}

#[inline(always)]
fn weight_tile<const WIDTH: usize, L: Lanes<WIDTH>, F: Factors, const ROWS: usize>(
    pass: &mut WeightGradient<L::Real, WIDTH>,
    fields: usize,
    tile: Tile,
) {
    let zero = L::splat(L::Real::default());
    let cross: [&[Packet<L::Real, WIDTH>]; ROWS] =
        array::from_fn(|row| &pass.cross[(tile.field + row) * pass.stride..][..pass.packets]);
    let residual: [&[Packet<L::Real, WIDTH>]; ROWS] =
        array::from_fn(|row| &pass.residual[(tile.field + row) * pass.stride..][..pass.packets]);
    for field in 0..fields {
        let input = &pass.input[field * pass.stride..][..pass.packets];
        let mut sums = [[zero; 2]; ROWS];
        for at in 0..pass.packets {
            let input = L::load(&input[at]);
            let factor = if F::SQUARED { input.times(input) } else { input };
            for row in 0..ROWS {
                let residual = L::load(&residual[row][at]);
                let cross = if F::ONE { residual } else { L::load(&cross[row][at]) };
                sums[row][0] = sums[row][0].plus_product(cross, factor);
                sums[row][1] = sums[row][1].plus_product(residual, input);
            }
        }
        for (pair, sums) in sums.chunks(2).enumerate() {
            let [left, right] = if let [left, right] = sums { [*left, *right] } else { [sums[0], [zero; 2]] };
            let totals = L::sums([left[0], left[1], right[0], right[1]]);
            for (row, [cross, residual]) in totals.as_chunks::<2>().0[..sums.len()].iter().enumerate() {
                let place = (tile.field + 2 * pair + row) * fields + field;
                pass.cross_sums[place] += *cross;
                pass.residual_sums[place] += *residual;
            }
        }
    }
}
