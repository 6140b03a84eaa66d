//! The products along the field axis, tile by tile: sums of a few fields and two packets of columns stay in registers.
//!
//! Every product has two streams: the cross stream, which `W_C` multiplies, and the residual stream, which `W_R`
//! multiplies. Where both end in the same number they share one sum, and a tile holds twice as many fields.

#![expect(clippy::inline_always, reason = "inlined into functions that may use more instructions, see layers/lanes")]

use super::{Activation, Form, Product, plan::Tile};
use crate::layers::lanes::{Lanes, Packet, with_count};

/// The two streams of a product, read for one field and two packets of columns.
trait Streams<const WIDTH: usize, L: Lanes<WIDTH>> {
    fn residual(&self, at: usize) -> [L; 2];
    fn cross(&self, at: usize, residual: [L; 2]) -> [L; 2];
}

/// One buffer for both.
struct Same<'a, T, const WIDTH: usize>(&'a [Packet<T, WIDTH>]);

/// The cross stream is the square of the residual's.
struct Squared<'a, T, const WIDTH: usize>(&'a [Packet<T, WIDTH>]);

/// A buffer each.
struct Both<'a, T, const WIDTH: usize> {
    cross: &'a [Packet<T, WIDTH>],
    residual: &'a [Packet<T, WIDTH>],
}

#[inline(always)]
fn load_pair<const WIDTH: usize, L: Lanes<WIDTH>>(packets: &[Packet<L::Real, WIDTH>], at: usize) -> [L; 2] {
    let pair = &packets[at..][..2];
    [L::load(&pair[0]), L::load(&pair[1])]
}

impl<const WIDTH: usize, L: Lanes<WIDTH>> Streams<WIDTH, L> for Same<'_, L::Real, WIDTH> {
    #[inline(always)]
    fn residual(&self, at: usize) -> [L; 2] {
        load_pair(self.0, at)
    }

    #[inline(always)]
    fn cross(&self, _: usize, residual: [L; 2]) -> [L; 2] {
        residual
    }
}

impl<const WIDTH: usize, L: Lanes<WIDTH>> Streams<WIDTH, L> for Squared<'_, L::Real, WIDTH> {
    #[inline(always)]
    fn residual(&self, at: usize) -> [L; 2] {
        load_pair(self.0, at)
    }

    #[inline(always)]
    fn cross(&self, _: usize, [left, right]: [L; 2]) -> [L; 2] {
        [left.times(left), right.times(right)]
    }
}

impl<const WIDTH: usize, L: Lanes<WIDTH>> Streams<WIDTH, L> for Both<'_, L::Real, WIDTH> {
    #[inline(always)]
    fn residual(&self, at: usize) -> [L; 2] {
        load_pair(self.residual, at)
    }

    #[inline(always)]
    fn cross(&self, at: usize, _: [L; 2]) -> [L; 2] {
        load_pair(self.cross, at)
    }
}

/// Adds one stream's field to the sums of a tile.
#[inline(always)]
fn accumulate<const WIDTH: usize, L: Lanes<WIDTH>, const ROWS: usize>(
    sums: &mut [[L; 2]; ROWS],
    weights: &[L::Real; ROWS],
    values: [L; 2],
) {
    for row in 0..ROWS {
        let weight = L::splat(weights[row]);
        sums[row][0] = sums[row][0].plus_product(weight, values[0]);
        sums[row][1] = sums[row][1].plus_product(weight, values[1]);
    }
}

/// `start + W_C · cross + W_R · residual` of a tile's rows.
#[inline(always)]
fn merged_sums<const WIDTH: usize, L: Lanes<WIDTH>, S: Streams<WIDTH, L>, const ROWS: usize>(
    weights: &[L::Real],
    streams: &S,
    [at, stride]: [usize; 2],
    start: [L; ROWS],
) -> [[L; 2]; ROWS] {
    let mut sums = [[L::splat(L::Real::default()); 2]; ROWS];
    for row in 0..ROWS {
        sums[row] = [start[row]; 2];
    }
    for (field, [cross_weights, residual_weights]) in weights_of_fields(weights).iter().enumerate() {
        let residual = streams.residual(field * stride + at);
        accumulate(&mut sums, residual_weights, residual);
        let cross = streams.cross(field * stride + at, residual);
        accumulate(&mut sums, cross_weights, cross);
    }
    sums
}

/// `[W_C · cross, W_R · residual]` of a tile's rows.
#[inline(always)]
fn separate_sums<const WIDTH: usize, L: Lanes<WIDTH>, S: Streams<WIDTH, L>, const ROWS: usize>(
    weights: &[L::Real],
    streams: &S,
    [at, stride]: [usize; 2],
) -> [[[L; 2]; ROWS]; 2] {
    let mut cross_sums = [[L::splat(L::Real::default()); 2]; ROWS];
    let mut residual_sums = cross_sums;
    for (field, [cross_weights, residual_weights]) in weights_of_fields(weights).iter().enumerate() {
        let residual = streams.residual(field * stride + at);
        accumulate(&mut residual_sums, residual_weights, residual);
        let cross = streams.cross(field * stride + at, residual);
        accumulate(&mut cross_sums, cross_weights, cross);
    }
    [cross_sums, residual_sums]
}

/// A tile's weights by input field: those of `W_C`, those of `W_R`.
#[inline(always)]
fn weights_of_fields<T, const ROWS: usize>(weights: &[T]) -> &[[[T; ROWS]; 2]] {
    let (rows, _) = weights.as_chunks::<ROWS>();
    let (fields, _) = rows.as_chunks::<2>();
    fields
}

/// The weights that were packed for a tile.
#[inline(always)]
fn weights_of_tile<T>(weights: &[T], fields: usize, tile: Tile) -> &[T] {
    &weights[2 * fields * tile.field..][..2 * fields * tile.rows]
}

/// One layer of the forward pass. Buffers are `[fields, stride]` packets.
pub(super) struct ForwardLayer<'a, T, const WIDTH: usize> {
    pub(super) form: Form,
    pub(super) stride: usize,
    /// Packets in use, an even number.
    pub(super) packets: usize,
    pub(super) weights: &'a [T],
    pub(super) bias: &'a [T],
    pub(super) input: &'a [Packet<T, WIDTH>],
    /// `H(0)`
    pub(super) start: &'a [Packet<T, WIDTH>],
    pub(super) output: &'a mut [Packet<T, WIDTH>],
    /// `W_C H` or its ReLU, where sums are separate.
    pub(super) gate: &'a mut [Packet<T, WIDTH>],
}

/// Runs one layer.
#[inline(always)]
pub(super) fn forward<const WIDTH: usize, L: Lanes<WIDTH>>(mut layer: ForwardLayer<L::Real, WIDTH>, tiles: &[Tile]) {
    for at in (0..layer.packets).step_by(2) {
        for &tile in tiles {
            if layer.form.is_merged() {
                with_count!(tile.rows, up to L::TILE_ROWS, forward_merged::<WIDTH, L>(&mut layer, tile, at));
            } else if layer.form.is_square() {
                let streams = Squared(layer.input);
                with_count!(
                    tile.rows,
                    up to L::TILE_ROWS / 2,
                    forward_separate::<WIDTH, L, _>(&mut layer, &streams, tile, at)
                );
            } else {
                let streams = Same(layer.input);
                with_count!(
                    tile.rows,
                    up to L::TILE_ROWS / 2,
                    forward_separate::<WIDTH, L, _>(&mut layer, &streams, tile, at)
                );
            }
        }
    }
}

#[inline(always)]
fn forward_merged<const WIDTH: usize, L: Lanes<WIDTH>, const ROWS: usize>(
    layer: &mut ForwardLayer<L::Real, WIDTH>,
    tile: Tile,
    at: usize,
) {
    let weights = weights_of_tile(layer.weights, layer.bias.len(), tile);
    let mut bias = [L::splat(L::Real::default()); ROWS];
    for (bias, &value) in bias.iter_mut().zip(&layer.bias[tile.field..][..ROWS]) {
        *bias = L::splat(value);
    }
    let sums = merged_sums::<WIDTH, L, _, ROWS>(weights, &Squared(layer.input), [at, layer.stride], bias);
    let relu = layer.form.activation == Activation::Relu;
    for (row, sums) in sums.into_iter().enumerate() {
        let output = &mut layer.output[(tile.field + row) * layer.stride + at..][..2];
        for (output, sum) in output.iter_mut().zip(sums) {
            (if relu { sum.relu() } else { sum }).store(output);
        }
    }
}

#[inline(always)]
fn forward_separate<const WIDTH: usize, L: Lanes<WIDTH>, S: Streams<WIDTH, L>, const ROWS: usize>(
    layer: &mut ForwardLayer<L::Real, WIDTH>,
    streams: &S,
    tile: Tile,
    at: usize,
) {
    let weights = weights_of_tile(layer.weights, layer.bias.len(), tile);
    let [cross, residual] = separate_sums::<WIDTH, L, S, ROWS>(weights, streams, [at, layer.stride]);
    for row in 0..ROWS {
        let bias = L::splat(layer.bias[tile.field + row]);
        for half in 0..2 {
            let place = (tile.field + row) * layer.stride + at + half;
            let (mut gate, mut residual) = (cross[row][half], residual[row][half]);
            if layer.form.is_gated() {
                gate = gate.plus(bias).relu();
            } else {
                residual = residual.plus(bias);
            }
            gate.store(&mut layer.gate[place]);
            let sum = match layer.form.product {
                Product::Square => residual.plus(gate),
                Product::Gate => residual.plus_product(gate, L::load(&layer.input[place])),
                Product::Base => residual.plus_product(gate, L::load(&layer.start[place])),
            };
            let output = if layer.form.activation == Activation::Relu { sum.relu() } else { sum };
            output.store(&mut layer.output[place]);
        }
    }
}

/// From the gradients of a layer's two sums to that of its input. Buffers are `[fields, stride]` packets.
pub(super) struct InputGradient<'a, T, const WIDTH: usize> {
    pub(super) form: Form,
    pub(super) stride: usize,
    /// Packets in use, an even number.
    pub(super) packets: usize,
    /// The transposed weights.
    pub(super) weights: &'a [T],
    pub(super) input: &'a [Packet<T, WIDTH>],
    pub(super) gate: &'a [Packet<T, WIDTH>],
    /// Gradient of `W_C` times its input.
    pub(super) cross: &'a [Packet<T, WIDTH>],
    /// Gradient of `W_R H`.
    pub(super) residual: &'a [Packet<T, WIDTH>],
    pub(super) output: &'a mut [Packet<T, WIDTH>],
}

/// Computes the gradient of a layer's input.
#[inline(always)]
pub(super) fn input_gradient<const WIDTH: usize, L: Lanes<WIDTH>>(
    mut pass: InputGradient<L::Real, WIDTH>,
    tiles: &[Tile],
) {
    let fields: usize = tiles.iter().map(|tile| tile.rows).sum();
    for at in (0..pass.packets).step_by(2) {
        for &tile in tiles {
            let weights = weights_of_tile(pass.weights, fields, tile);
            let both = Both { cross: pass.cross, residual: pass.residual };
            if pass.form.is_merged() {
                let same = Same(pass.residual);
                with_count!(
                    tile.rows,
                    up to L::TILE_ROWS / 2,
                    input_separate::<WIDTH, L, _>(&mut pass, weights, &same, tile, at)
                );
            } else if pass.form.is_square() {
                with_count!(
                    tile.rows,
                    up to L::TILE_ROWS / 2,
                    input_separate::<WIDTH, L, _>(&mut pass, weights, &both, tile, at)
                );
            } else {
                with_count!(
                    tile.rows,
                    up to L::TILE_ROWS,
                    input_merged::<WIDTH, L, _>(&mut pass, weights, &both, tile, at)
                );
            }
        }
    }
}

/// `W_Rᵀ residual + 2 H ⊙ W_Cᵀ cross`, for the square.
#[inline(always)]
fn input_separate<const WIDTH: usize, L: Lanes<WIDTH>, S: Streams<WIDTH, L>, const ROWS: usize>(
    pass: &mut InputGradient<L::Real, WIDTH>,
    weights: &[L::Real],
    streams: &S,
    tile: Tile,
    at: usize,
) {
    let [cross, residual] = separate_sums::<WIDTH, L, S, ROWS>(weights, streams, [at, pass.stride]);
    for row in 0..ROWS {
        for half in 0..2 {
            let place = (tile.field + row) * pass.stride + at + half;
            let input = L::load(&pass.input[place]);
            residual[row][half].plus_product(input.plus(input), cross[row][half]).store(&mut pass.output[place]);
        }
    }
}

/// `W_Rᵀ residual + W_Cᵀ cross`, and `residual ⊙ gate` where the input is also the gate's partner.
#[inline(always)]
fn input_merged<const WIDTH: usize, L: Lanes<WIDTH>, S: Streams<WIDTH, L>, const ROWS: usize>(
    pass: &mut InputGradient<L::Real, WIDTH>,
    weights: &[L::Real],
    streams: &S,
    tile: Tile,
    at: usize,
) {
    let zero = [L::splat(L::Real::default()); ROWS];
    let sums = merged_sums::<WIDTH, L, S, ROWS>(weights, streams, [at, pass.stride], zero);
    for (row, sums) in sums.into_iter().enumerate() {
        for (half, mut sum) in sums.into_iter().enumerate() {
            let place = (tile.field + row) * pass.stride + at + half;
            if pass.form.product == Product::Gate {
                sum = sum.plus_product(L::load(&pass.residual[place]), L::load(&pass.gate[place]));
            }
            sum.store(&mut pass.output[place]);
        }
    }
}
