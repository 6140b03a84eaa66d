//! Products of matrices that the first two caches hold: sums of a few rows and packets of columns stay in registers.

#![expect(clippy::inline_always, reason = "inlined into functions that may use more instructions, see layers/lanes")]

use crate::layers::lanes::{Lanes, Packet, with_count};

/// A matrix whose numbers are read one by one.
#[derive(Clone, Copy)]
pub(super) enum Left<'a, T> {
    /// `[rows, inner]`, rows so many numbers apart.
    Rows(&'a [T], usize),
    /// The transpose of `[inner, rows]`, whose rows are so many numbers apart.
    Turned(&'a [T], usize),
}

/// A matrix of packets, its rows so many packets apart.
#[derive(Clone, Copy)]
pub(super) struct Right<'a, T, const WIDTH: usize>(pub(super) &'a [Packet<T, WIDTH>], pub(super) usize);

/// Rows, the products' length, and packets a row.
#[derive(Clone, Copy)]
pub(super) struct Size {
    pub(super) rows: usize,
    pub(super) inner: usize,
    pub(super) packets: usize,
}

/// What becomes of a product's sums: they are written over what is there ([`Over`]) or added to it ([`Added`]).
pub(super) trait Target {
    const IS_ADDED: bool;
}

pub(super) struct Over;
pub(super) struct Added;

impl Target for Over {
    const IS_ADDED: bool = false;
}

impl Target for Added {
    const IS_ADDED: bool = true;
}

/// `left right` to `target`, whose rows are `stride` packets apart.
#[inline(always)]
pub(super) fn product<const WIDTH: usize, L: Lanes<WIDTH>, A: Target>(
    left: Left<'_, L::Real>,
    right: Right<'_, L::Real, WIDTH>,
    target: &mut [Packet<L::Real, WIDTH>],
    stride: usize,
    size: Size,
) {
    let mut row = 0;
    while row < size.rows {
        let rows = L::TILE_ROWS.min(size.rows - row);
        let target = &mut target[row * stride..];
        match left {
            Left::Rows(left, apart) => {
                let left = &left[row * apart..];
                with_count!(
                    rows,
                    up to L::TILE_ROWS,
                    along::<WIDTH, L, A>((left, apart), right, (target, stride), size)
                );
            }
            Left::Turned(left, apart) => {
                let left = &left[row..];
                with_count!(
                    rows,
                    up to L::TILE_ROWS,
                    across::<WIDTH, L, A>((left, apart), right, (target, stride), size)
                );
            }
        }
        row += rows;
    }
}

/// The numbers of a tile's rows at each place of the products, read one by one when they are needed: few registers are left.
trait Numbers<const WIDTH: usize, L: Lanes<WIDTH>, const ROWS: usize>: Copy {
    type Place: Copy;
    fn place(self, at: usize) -> Self::Place;
    fn number(self, place: Self::Place, row: usize) -> L;
}

/// Rows of numbers, cut to the products' length.
#[derive(Clone, Copy)]
struct Along<'a, T, const ROWS: usize>([&'a [T]; ROWS]);

impl<const WIDTH: usize, L: Lanes<WIDTH>, const ROWS: usize> Numbers<WIDTH, L, ROWS> for Along<'_, L::Real, ROWS> {
    type Place = usize;

    #[inline(always)]
    fn place(self, at: usize) -> usize {
        at
    }

    #[inline(always)]
    fn number(self, at: usize, row: usize) -> L {
        L::splat(self.0[row][at])
    }
}

/// Columns of numbers, so many apart.
#[derive(Clone, Copy)]
struct Across<'a, T>(&'a [T], usize);

impl<'a, const WIDTH: usize, L: Lanes<WIDTH, Real: 'a>, const ROWS: usize> Numbers<WIDTH, L, ROWS>
    for Across<'a, L::Real>
{
    type Place = &'a [L::Real];

    #[inline(always)]
    fn place(self, at: usize) -> &'a [L::Real] {
        &self.0[at * self.1..][..ROWS]
    }

    #[inline(always)]
    fn number(self, column: &'a [L::Real], row: usize) -> L {
        L::splat(column[row])
    }
}

/// So many rows of the product.
#[inline(always)]
fn along<const WIDTH: usize, L: Lanes<WIDTH>, A: Target, const ROWS: usize>(
    (left, apart): (&[L::Real], usize),
    right: Right<'_, L::Real, WIDTH>,
    target: (&mut [Packet<L::Real, WIDTH>], usize),
    size: Size,
) {
    let mut rows = [&left[..size.inner]; ROWS];
    for (number, row) in rows.iter_mut().enumerate() {
        *row = &left[number * apart..][..size.inner];
    }
    strip::<WIDTH, L, A, _, ROWS>(Along(rows), right, target, size);
}

#[inline(always)]
fn across<const WIDTH: usize, L: Lanes<WIDTH>, A: Target, const ROWS: usize>(
    (left, apart): (&[L::Real], usize),
    right: Right<'_, L::Real, WIDTH>,
    target: (&mut [Packet<L::Real, WIDTH>], usize),
    size: Size,
) {
    strip::<WIDTH, L, A, _, ROWS>(Across(left, apart), right, target, size);
}

#[inline(always)]
fn strip<const WIDTH: usize, L: Lanes<WIDTH>, A: Target, N: Numbers<WIDTH, L, ROWS>, const ROWS: usize>(
    left: N,
    right: Right<'_, L::Real, WIDTH>,
    (target, stride): (&mut [Packet<L::Real, WIDTH>], usize),
    size: Size,
) {
    let tiles = size.packets.div_ceil(L::TILE_PACKETS);
    for number in 0..tiles {
        // as even as they can be: four packets are two and two
        let [start, end] = [number, number + 1].map(|boundary| boundary * size.packets / tiles);
        let columns = [start, size.inner];
        with_count!(
            end - start,
            up to L::TILE_PACKETS,
            tile::<WIDTH, L, A, N, ROWS>(left, right, (target, stride), columns)
        );
    }
}

#[inline(always)]
fn tile<
    const WIDTH: usize,
    L: Lanes<WIDTH>,
    A: Target,
    N: Numbers<WIDTH, L, ROWS>,
    const ROWS: usize,
    const PACKETS: usize,
>(
    left: N,
    Right(right, right_stride): Right<'_, L::Real, WIDTH>,
    (target, stride): (&mut [Packet<L::Real, WIDTH>], usize),
    [column, inner]: [usize; 2],
) {
    let mut sums = [[L::splat(L::Real::default()); PACKETS]; ROWS];
    for (at, packets) in (0..inner).zip(right[column..].chunks(right_stride)) {
        let packets = &packets[..PACKETS];
        let mut values = [L::splat(L::Real::default()); PACKETS];
        for (value, packet) in values.iter_mut().zip(packets) {
            *value = L::load(packet);
        }
        let place = left.place(at);
        for (row, sums) in sums.iter_mut().enumerate() {
            let number = left.number(place, row);
            for (sum, &value) in sums.iter_mut().zip(&values) {
                *sum = sum.plus_product(number, value);
            }
        }
    }
    for (row, sums) in sums.into_iter().enumerate() {
        let target = &mut target[row * stride + column..][..PACKETS];
        for (target, sum) in target.iter_mut().zip(sums) {
            if A::IS_ADDED {
                L::load(target).plus(sum).store(target);
            } else {
                sum.store(target);
            }
        }
    }
}
