//! Some numbers at a time: the few vector instructions that the kernels are made of, their form for any processor, and what
//! kernels share beside them.
//!
//! `WIDTH` is how many numbers one vector holds: eight, or sixteen where the processor has AVX-512.

#![expect(clippy::inline_always, reason = "instructions only reach the loops if every step down to them is inlined")]

mod exponential;
#[cfg(target_arch = "x86_64")]
pub(super) mod x86;

use std::{
    cell::RefCell,
    ops::{Add, AddAssign, Div, Mul, Sub},
    sync::{Mutex, MutexGuard, PoisonError},
};

use rayon::prelude::*;

/// As many neighbouring numbers in memory as one vector holds.
pub(super) type Packet<T, const WIDTH: usize> = [T; WIDTH];

/// Calls a function that is generic over a count, which is `$most` or lower. No higher ones are compiled: with vectors of any
/// processor, which are many instructions each, that would take minutes.
macro_rules! with_count {
    ($count:expr, up to $most:expr, $function:ident::<$($kind:tt),+>($($argument:expr),+ $(,)?)) => {
        match $count {
            1 => $function::<$($kind,)+ 1>($($argument),+),
            2 if const { $most >= 2 } => $function::<$($kind,)+ 2>($($argument),+),
            3 if const { $most >= 3 } => $function::<$($kind,)+ 3>($($argument),+),
            4 if const { $most >= 4 } => $function::<$($kind,)+ 4>($($argument),+),
            5 if const { $most >= 5 } => $function::<$($kind,)+ 5>($($argument),+),
            6 if const { $most >= 6 } => $function::<$($kind,)+ 6>($($argument),+),
            count => unreachable!("expected a count from 1 to {}, found {count}", $most),
        }
    };
}

pub(in crate::layers) use with_count;

/// Without instructions beyond the baseline: see `x86.rs`.
#[cfg(not(target_arch = "x86_64"))]
macro_rules! compile {
    ($($kernels:tt)+) => {
        pub(super) fn kernels() -> impl Iterator<Item = Box<dyn Passes>> {
            std::iter::empty()
        }
    };
}

#[cfg(not(target_arch = "x86_64"))]
pub(in crate::layers) use compile;
#[cfg(target_arch = "x86_64")]
pub(in crate::layers) use x86::compile;

/// `f32`, and `f64` for the tests of gradients.
pub(super) trait Real:
    Copy
    + Default
    + PartialOrd
    + Add<Output = Self>
    + AddAssign
    + Sub<Output = Self>
    + Mul<Output = Self>
    + Div<Output = Self>
    + Send
    + Sync
    + 'static
{
    const ONE: Self;

    /// `e^self` for `self` up to 0; what is not a number stays so.
    fn exponential(self) -> Self;

    /// Lends `packets` of this thread's scratch memory, aligned to cache lines and holding anything.
    fn with_scratch<const WIDTH: usize, R>(packets: usize, work: impl FnOnce(&mut [Packet<Self, WIDTH>]) -> R) -> R;

    /// Buffers that are not in use, holding anything, of all threads.
    fn spare() -> MutexGuard<'static, Vec<Vec<Self>>>;
}

macro_rules! real {
    ($real:ty, $exponential:path) => {
        impl Real for $real {
            const ONE: Self = 1.0;

            #[inline(always)]
            fn exponential(self) -> Self {
                $exponential(self)
            }

            fn with_scratch<const WIDTH: usize, R>(
                packets: usize,
                work: impl FnOnce(&mut [Packet<Self, WIDTH>]) -> R,
            ) -> R {
                const CACHE_LINE: usize = 64;
                thread_local! { static SCRATCH: RefCell<Vec<$real>> = const { RefCell::new(Vec::new()) } }
                SCRATCH.with_borrow_mut(|scratch| {
                    let wanted = packets * WIDTH + CACHE_LINE / size_of::<$real>();
                    if scratch.len() < wanted {
                        scratch.resize(wanted, 0.0);
                    }
                    let start = scratch.as_ptr().align_offset(CACHE_LINE);
                    let (aligned, _) = scratch[start..].as_chunks_mut();
                    work(&mut aligned[..packets])
                })
            }

            fn spare() -> MutexGuard<'static, Vec<Vec<Self>>> {
                static SPARE: Mutex<Vec<Vec<$real>>> = Mutex::new(Vec::new());
                // buffers hold anything, so also what a panic left
                SPARE.lock().unwrap_or_else(PoisonError::into_inner)
            }
        }
    };
}
real!(f32, exponential::exponential);
real!(f64, f64::exp);

/// A vector of `WIDTH` numbers in registers, a power of two.
pub(super) trait Lanes<const WIDTH: usize>: Copy {
    type Real: Real;

    /// The most fields of one tile, with two vectors of sums each in registers.
    const TILE_ROWS: usize;
    /// The most vectors of sums of so many fields.
    const TILE_PACKETS: usize;

    fn splat(value: Self::Real) -> Self;
    fn load(packet: &Packet<Self::Real, WIDTH>) -> Self;
    fn store(self, packet: &mut Packet<Self::Real, WIDTH>);
    fn plus(self, other: Self) -> Self;
    fn times(self, other: Self) -> Self;
    /// `self + left · right`
    fn plus_product(self, left: Self, right: Self) -> Self;
    /// `max(self, 0)`; what is not a number stays so.
    fn relu(self) -> Self;
    /// `self` where `condition` is above zero, 0 elsewhere.
    fn where_positive(self, condition: Self) -> Self;
    /// `e^self` of numbers up to 0; what is not a number stays so.
    fn exponential(self) -> Self;
    /// The sum of each of the four vectors.
    fn sums(vectors: [Self; 4]) -> [Self::Real; 4];
}

/// [`Lanes`] of plain Rust, which the compiler turns into what the target's baseline offers.
#[derive(Clone, Copy)]
pub(super) struct Plain<T, const WIDTH: usize>(Packet<T, WIDTH>);

impl<T: Real, const WIDTH: usize> Plain<T, WIDTH> {
    #[inline(always)]
    fn zip(mut self, other: Self, operation: impl Fn(T, T) -> T) -> Self {
        for (value, other) in self.0.iter_mut().zip(other.0) {
            *value = operation(*value, other);
        }
        self
    }
}

impl<T: Real, const WIDTH: usize> Lanes<WIDTH> for Plain<T, WIDTH> {
    type Real = T;

    const TILE_ROWS: usize = 2;
    const TILE_PACKETS: usize = 2;

    #[inline(always)]
    fn splat(value: T) -> Self {
        Self([value; WIDTH])
    }

    #[inline(always)]
    fn load(packet: &Packet<T, WIDTH>) -> Self {
        Self(*packet)
    }

    #[inline(always)]
    fn store(self, packet: &mut Packet<T, WIDTH>) {
        *packet = self.0;
    }

    #[inline(always)]
    fn plus(self, other: Self) -> Self {
        self.zip(other, |value, other| value + other)
    }

    #[inline(always)]
    fn times(self, other: Self) -> Self {
        self.zip(other, |value, other| value * other)
    }

    // Not `mul_add`: without the instruction that is a slow call of the C library.
    #[inline(always)]
    fn plus_product(self, left: Self, right: Self) -> Self {
        self.plus(left.times(right))
    }

    #[inline(always)]
    fn relu(self) -> Self {
        self.zip(self, |value, _| if value < T::default() { T::default() } else { value })
    }

    #[inline(always)]
    fn where_positive(self, condition: Self) -> Self {
        self.zip(condition, |value, condition| if condition > T::default() { value } else { T::default() })
    }

    #[inline(always)]
    fn exponential(self) -> Self {
        self.zip(self, |value, _| value.exponential())
    }

    #[inline(always)]
    fn sums(vectors: [Self; 4]) -> [T; 4] {
        const { assert!(WIDTH.is_power_of_two()) };
        let mut sums = [T::default(); 4];
        for (sum, Self(mut values)) in sums.iter_mut().zip(vectors) {
            let mut width = WIDTH;
            while width > 1 {
                width /= 2;
                for lane in 0..width {
                    values[lane] += values[lane + width];
                }
            }
            *sum = values[0];
        }
        sums
    }
}

/// Adds all chunks' sums to the first one's, each number's in order.
pub(super) fn add_chunks<T: Real>(sums: &mut [T], length: usize) -> &[T] {
    const NUMBERS_A_TASK: usize = 1 << 14;
    let (total, others) = sums.split_at_mut(length);
    total.par_chunks_mut(NUMBERS_A_TASK).enumerate().for_each(|(task, total)| {
        for chunk in others.chunks_exact(length) {
            for (total, &part) in total.iter_mut().zip(&chunk[task * NUMBERS_A_TASK..]) {
                *total += part;
            }
        }
    });
    total
}

#[cfg(test)]
pub(super) mod tests {
    use std::time::Instant;

    /// Whether the work gives the same on one thread as on several.
    pub(in crate::layers) fn assert_same_with_any_threads<R: PartialEq + Send>(work: impl Fn() -> R + Sync) {
        let with = |threads| rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap().install(&work);
        let expected = with(1);
        for threads in [2, 3, 7] {
            assert!(with(threads) == expected, "{threads} threads");
        }
    }

    /// Runs `count` works in turns on one thread and compares the shortest times.
    pub(in crate::layers) fn assert_last_is_slowest(count: usize, work: impl Fn(usize) + Sync) {
        const ROUNDS: usize = 10;
        let mut fastest = vec![f64::INFINITY; count];
        let alone = rayon::ThreadPoolBuilder::new().num_threads(1).build().unwrap();
        alone.install(|| {
            for _ in 0..ROUNDS {
                for (number, fastest) in fastest.iter_mut().enumerate() {
                    let start = Instant::now();
                    work(number);
                    *fastest = fastest.min(start.elapsed().as_secs_f64());
                }
            }
        });
        let (last, others) = fastest.split_last().unwrap();
        assert!(others.iter().all(|other| other < last), "expected the last to take longest, found {fastest:?} s");
    }
}
