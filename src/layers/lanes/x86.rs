//! Vectors as instructions of x86-64: eight numbers with AVX2 and FMA, sixteen with AVX-512.
//!
//! A kernel that is generic over [`Lanes`] is compiled for each of them, inlined into functions of its own that may use
//! the instructions ([`compile`]). `benches/layers.rs` measures what that brings.

#![expect(unsafe_code, reason = "instructions outside of the baseline: docs/performance.md has what they bring")]
#![expect(clippy::inline_always, reason = "the instructions are only available once inlined into a kernel's functions")]

use std::arch::x86_64::{
    __m128, __m256, __m512, _CMP_GT_OQ, _mm_add_ps, _mm_storeu_ps, _mm256_add_epi32, _mm256_add_ps, _mm256_and_ps,
    _mm256_castps_si256, _mm256_castps256_ps128, _mm256_castsi256_ps, _mm256_cmp_ps, _mm256_extractf128_ps,
    _mm256_fmadd_ps, _mm256_hadd_ps, _mm256_loadu_ps, _mm256_max_ps, _mm256_mul_ps, _mm256_set1_epi32, _mm256_set1_ps,
    _mm256_setzero_ps, _mm256_slli_epi32, _mm256_storeu_ps, _mm256_sub_ps, _mm512_add_epi32, _mm512_add_ps,
    _mm512_castpd_ps, _mm512_castps_pd, _mm512_castps_si512, _mm512_castps512_ps256, _mm512_castsi512_ps,
    _mm512_cmp_ps_mask, _mm512_fmadd_ps, _mm512_loadu_ps, _mm512_maskz_mov_ps, _mm512_max_ps, _mm512_mul_ps,
    _mm512_set1_epi32, _mm512_set1_ps, _mm512_setzero_ps, _mm512_shuffle_f64x2, _mm512_shuffle_ps, _mm512_slli_epi32,
    _mm512_storeu_ps, _mm512_sub_ps, _mm512_unpackhi_ps, _mm512_unpacklo_ps,
};

use super::{
    Lanes, Packet,
    exponential::{EXPONENT, LEAST, MINUS_LN_2, ONE, ROUND, TAYLOR},
};

/// A vector of `f32` in a register, and [`Lanes`] by the instructions' names.
macro_rules! vector {
    (
        $(#[$attribute:meta])*
        $name:ident($register:ty), $width:literal numbers, tiles of $tile_packets:literal {
            splat: $splat:ident, load: $load:ident, store: $store:ident, largest: $largest:ident,
            plus: $plus:ident, minus: $minus:ident, times: $times:ident, plus_product: $plus_product:ident,
            where_positive: ($value:ident, $condition:ident) => $where_positive:expr,
            shifted: ($bits:ident) => $shifted:expr,
            four_sums: ($a:ident, $b:ident, $c:ident, $d:ident) => $four_sums:expr,
        }
    ) => {
        $(#[$attribute])*
        #[derive(Clone, Copy)]
        pub(in crate::layers) struct $name($register);

        impl Lanes<$width> for $name {
            type Real = f32;

            // Of 16 registers 12 hold sums, of 32 as many or 18.
            const TILE_ROWS: usize = 6;
            const TILE_PACKETS: usize = $tile_packets;

            #[inline(always)]
            fn splat(value: f32) -> Self {
                // SAFETY: inlined into functions that may use the instructions.
                Self(unsafe { $splat(value) })
            }

            #[inline(always)]
            fn load(packet: &Packet<f32, $width>) -> Self {
                // SAFETY: inlined into functions that may use the instructions; a packet is as many readable numbers.
                Self(unsafe { $load(packet.as_ptr()) })
            }

            #[inline(always)]
            fn store(self, packet: &mut Packet<f32, $width>) {
                // SAFETY: inlined into functions that may use the instructions; a packet is as many writable numbers.
                unsafe { $store(packet.as_mut_ptr(), self.0) }
            }

            #[inline(always)]
            fn plus(self, other: Self) -> Self {
                // SAFETY: inlined into functions that may use the instructions.
                Self(unsafe { $plus(self.0, other.0) })
            }

            #[inline(always)]
            fn times(self, other: Self) -> Self {
                // SAFETY: inlined into functions that may use the instructions.
                Self(unsafe { $times(self.0, other.0) })
            }

            #[inline(always)]
            fn plus_product(self, left: Self, right: Self) -> Self {
                // SAFETY: inlined into functions that may use the instructions.
                Self(unsafe { $plus_product(left.0, right.0, self.0) })
            }

            #[inline(always)]
            fn relu(self) -> Self {
                // SAFETY: inlined into functions that may use the instructions. The second operand is the result where one is not a number.
                Self(unsafe { $largest($splat(0.0), self.0) })
            }

            #[inline(always)]
            fn where_positive(self, condition: Self) -> Self {
                let ($value, $condition) = (self.0, condition.0);
                // SAFETY: inlined into functions that may use the instructions.
                Self(unsafe { $where_positive })
            }

            /// The series in pairs of terms, which wait less for each other than one after the other.
            #[inline(always)]
            fn exponential(self) -> Self {
                // SAFETY: inlined into functions that may use the instructions. The second operand of `max` is the result where one is not a number.
                let value = Self(unsafe { $largest($splat(LEAST), self.0) });
                let rounded = Self::splat(ROUND).plus_product(value, Self::splat(std::f32::consts::LOG2_E));
                // SAFETY: inlined into functions that may use the instructions.
                let whole = Self(unsafe { $minus(rounded.0, $splat(ROUND)) });
                let rest = value.plus_product(whole, Self::splat(MINUS_LN_2[0]));
                let rest = rest.plus_product(whole, Self::splat(MINUS_LN_2[1]));
                let square = rest.times(rest);
                let mut pairs = [rest; 4];
                for (place, pair) in pairs.iter_mut().enumerate() {
                    *pair = Self::splat(TAYLOR[2 * place]).plus_product(Self::splat(TAYLOR[2 * place + 1]), rest);
                }
                let low = pairs[0].plus_product(square, pairs[1]);
                let high = pairs[2].plus_product(square, pairs[3]);
                let series = low.plus_product(square.times(square), high);
                let $bits = rounded.0;
                // SAFETY: inlined into functions that may use the instructions.
                series.times(Self(unsafe { $shifted }))
            }

            #[inline(always)]
            fn sums([$a, $b, $c, $d]: [Self; 4]) -> [f32; 4] {
                let mut sums = [0.0; 4];
                let ($a, $b, $c, $d) = ($a.0, $b.0, $c.0, $d.0);
                // SAFETY: inlined into functions that may use the instructions; `sums` is four writable numbers.
                unsafe {
                    let total: __m128 = $four_sums;
                    _mm_storeu_ps(sums.as_mut_ptr(), total);
                }
                sums
            }
        }
    };
}

vector! {
    /// Eight `f32` in a register, for functions alone that may use AVX2 and FMA and were called where both were detected.
    Avx2(__m256), 8 numbers, tiles of 2 {
        splat: _mm256_set1_ps, load: _mm256_loadu_ps, store: _mm256_storeu_ps, largest: _mm256_max_ps,
        plus: _mm256_add_ps, minus: _mm256_sub_ps, times: _mm256_mul_ps, plus_product: _mm256_fmadd_ps,
        where_positive: (value, condition) =>
            _mm256_and_ps(value, _mm256_cmp_ps::<_CMP_GT_OQ>(condition, _mm256_setzero_ps())),
        shifted: (bits) => {
            let exponent = _mm256_slli_epi32::<{ EXPONENT.cast_signed() }>(_mm256_castps_si256(bits));
            _mm256_castsi256_ps(_mm256_add_epi32(exponent, _mm256_set1_epi32(ONE.cast_signed())))
        },
        four_sums: (a, b, c, d) => {
            let halves = _mm256_hadd_ps(_mm256_hadd_ps(a, b), _mm256_hadd_ps(c, d));
            _mm_add_ps(_mm256_castps256_ps128(halves), _mm256_extractf128_ps::<1>(halves))
        },
    }
}

vector! {
    /// Sixteen `f32` in a register, for functions alone that may use AVX-512 and were called where it was detected.
    Avx512(__m512), 16 numbers, tiles of 3 {
        splat: _mm512_set1_ps, load: _mm512_loadu_ps, store: _mm512_storeu_ps, largest: _mm512_max_ps,
        plus: _mm512_add_ps, minus: _mm512_sub_ps, times: _mm512_mul_ps, plus_product: _mm512_fmadd_ps,
        where_positive: (value, condition) =>
            _mm512_maskz_mov_ps(_mm512_cmp_ps_mask::<_CMP_GT_OQ>(condition, _mm512_setzero_ps()), value),
        shifted: (bits) => {
            let exponent = _mm512_slli_epi32::<{ EXPONENT }>(_mm512_castps_si512(bits));
            _mm512_castsi512_ps(_mm512_add_epi32(exponent, _mm512_set1_epi32(ONE.cast_signed())))
        },
        four_sums: (a, b, c, d) => {
            let left = _mm512_add_ps(_mm512_unpacklo_ps(a, b), _mm512_unpackhi_ps(a, b));
            let right = _mm512_add_ps(_mm512_unpacklo_ps(c, d), _mm512_unpackhi_ps(c, d));
            let low = _mm512_shuffle_ps::<0b01_00_01_00>(left, right);
            let high = _mm512_shuffle_ps::<0b11_10_11_10>(left, right);
            let halves = folded(_mm512_add_ps(low, high));
            _mm_add_ps(_mm256_castps256_ps128(halves), _mm256_extractf128_ps::<1>(halves))
        },
    }
}

/// The sum of both halves.
#[inline(always)]
fn folded(vector: __m512) -> __m256 {
    // SAFETY: inlined into functions with AVX-512.
    unsafe {
        let (whole, wide) = (_mm512_castps512_ps256(vector), _mm512_castps_pd(vector));
        let upper = _mm512_castpd_ps(_mm512_shuffle_f64x2::<0b0000_1110>(wide, wide));
        _mm256_add_ps(whole, _mm512_castps512_ps256(upper))
    }
}

/// Whether the processor has what [`Avx2`] is made of.
pub(in crate::layers) fn has_avx2() -> bool {
    is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma")
}

/// Whether the processor has what [`Avx512`] is made of, and what `avx512f` turns on beside it.
pub(in crate::layers) fn has_avx512() -> bool {
    is_x86_feature_detected!("avx512f") && has_avx2()
}

/// Compiles a kernel's functions for AVX2 and for AVX-512, and makes `kernels()`, which gives those that the processor has.
///
/// Within the block `L` are the vectors and `WIDTH` is their width. What the functions call has to be inlined always, since only that is
/// compiled with their instructions.
macro_rules! compile {
    (@module $module:ident, $lanes:ident, $width:literal, $features:literal, $has:ident, {
        $kernels:ident $([$($constant:ident: $value:expr),+])? {
            $(fn $function:ident($($argument:ident: $type:ty),+) = $body:expr;)+
        }
    }) => {
        #[expect(unsafe_code, reason = "instructions outside of the baseline: docs/performance.md has what they bring")]
        mod $module {
            #[allow(clippy::wildcard_imports, reason = "the kernel's own names, whichever it uses")]
            use super::*;
            use $crate::layers::lanes::x86::{$has, $lanes as L};

            const WIDTH: usize = $width;

            /// The kernels, if this processor has the instructions.
            pub(super) fn kernels() -> Option<$kernels<f32, WIDTH>> {
                $has().then_some($kernels {
                    $($($constant: $value,)+)?
                    // SAFETY: the features were just detected.
                    $($function: |$($argument),+| unsafe { $function($($argument),+) },)+
                })
            }

            $(
                #[target_feature(enable = $features)]
                fn $function($($argument: $type),+) {
                    $body
                }
            )+
        }
    };
    ($($kernels:tt)+) => {
        $crate::layers::lanes::x86::compile!(@module avx2, Avx2, 8, "avx2,fma", has_avx2, { $($kernels)+ });
        $crate::layers::lanes::x86::compile!(@module avx512, Avx512, 16, "avx512f", has_avx512, { $($kernels)+ });

        /// The kernels of all instructions that this processor has, the fastest first.
        pub(super) fn kernels() -> impl Iterator<Item = Box<dyn Passes>> {
            let wide = avx512::kernels().map(|kernels| Box::new(kernels) as Box<dyn Passes>);
            wide.into_iter().chain(avx2::kernels().map(|kernels| Box::new(kernels) as Box<dyn Passes>))
        }
    };
}

pub(in crate::layers) use compile;

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    macro_rules! detected {
        ($module:ident, $lanes:ident, $width:literal, $features:literal, $has:ident) => {
            pub(in super::super) mod $module {
                use super::*;

                /// `e^value` where the processor has the instructions.
                pub(in super::super::super) fn exponential(value: f32) -> Option<f32> {
                    #[target_feature(enable = $features)]
                    fn detected(value: f32) -> f32 {
                        let mut packet = [0.0; $width];
                        $lanes::splat(value).exponential().store(&mut packet);
                        packet[$width - 1]
                    }
                    // SAFETY: the features were just detected.
                    $has().then(|| unsafe { detected(value) })
                }

                /// The sums of four vectors that hold 1, 2, … but for their first number, which is 2, 3, 4 and 5.
                pub(super) fn sums() -> Option<[f32; 4]> {
                    #[target_feature(enable = $features)]
                    fn detected() -> [f32; 4] {
                        let mut vectors = [$lanes::splat(0.0); 4];
                        for (number, vector) in vectors.iter_mut().enumerate() {
                            let mut packet: [f32; $width] = std::array::from_fn(|lane| lane as f32 + 1.0);
                            packet[0] += number as f32 + 1.0;
                            *vector = $lanes::load(&packet);
                        }
                        $lanes::sums(vectors)
                    }
                    // SAFETY: the features were just detected.
                    $has().then(|| unsafe { detected() })
                }
            }
        };
    }
    detected!(avx2, Avx2, 8, "avx2,fma", has_avx2);
    detected!(avx512, Avx512, 16, "avx512f", has_avx512);

    #[test]
    fn sums_are_of_all_lanes() {
        for (name, width, found) in [("AVX2", 8_u16, avx2::sums()), ("AVX-512", 16, avx512::sums())] {
            let sum = f32::from(width * (width + 1) / 2);
            match found {
                Some(found) => {
                    assert_eq!(found.map(f32::to_bits), [1.0, 2.0, 3.0, 4.0].map(|more| (sum + more).to_bits()));
                }
                None => eprintln!("skipped: this processor has no {name}"),
            }
        }
    }
}
