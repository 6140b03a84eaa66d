//! Eight numbers at a time as AVX2 and FMA instructions of x86-64.
//!
//! A kernel that is generic over [`Lanes`] is compiled a second time with [`Avx2`], inlined into functions of its own
//! `avx2.rs` that may use the instructions. `benches/layers.rs` measures what that brings.

#![expect(
    unsafe_code,
    reason = "instructions outside of the baseline: four times the rows a second in benches/layers.rs"
)]
#![expect(clippy::inline_always, reason = "the instructions are only available once inlined into a kernel's functions")]

use std::arch::x86_64::{
    __m256, _CMP_GT_OQ, _mm_add_ps, _mm_storeu_ps, _mm256_add_epi32, _mm256_add_ps, _mm256_and_ps, _mm256_castps_si256,
    _mm256_castps256_ps128, _mm256_castsi256_ps, _mm256_cmp_ps, _mm256_extractf128_ps, _mm256_fmadd_ps, _mm256_hadd_ps,
    _mm256_loadu_ps, _mm256_max_ps, _mm256_mul_ps, _mm256_set1_epi32, _mm256_set1_ps, _mm256_setzero_ps,
    _mm256_slli_epi32, _mm256_storeu_ps, _mm256_sub_ps,
};

use super::{
    Lanes, Packet,
    exponential::{EXPONENT, LEAST, MINUS_LN_2, ONE, ROUND, TAYLOR},
};

/// Eight `f32` in a register, for functions alone that may use AVX2 and FMA and were called where both were detected.
#[derive(Clone, Copy)]
pub(in crate::layers) struct Avx2(__m256);

impl Lanes for Avx2 {
    type Real = f32;

    // Of 16 registers, 12 hold sums.
    const TILE_ROWS: usize = 6;

    #[inline(always)]
    fn splat(value: f32) -> Self {
        // SAFETY: inlined into functions with AVX2 and FMA.
        Self(unsafe { _mm256_set1_ps(value) })
    }

    #[inline(always)]
    fn load(packet: &Packet<f32>) -> Self {
        // SAFETY: inlined into functions with AVX2 and FMA; a packet is eight readable numbers.
        Self(unsafe { _mm256_loadu_ps(packet.as_ptr()) })
    }

    #[inline(always)]
    fn store(self, packet: &mut Packet<f32>) {
        // SAFETY: inlined into functions with AVX2 and FMA; a packet is eight writable numbers.
        unsafe { _mm256_storeu_ps(packet.as_mut_ptr(), self.0) }
    }

    #[inline(always)]
    fn plus(self, other: Self) -> Self {
        // SAFETY: inlined into functions with AVX2 and FMA.
        Self(unsafe { _mm256_add_ps(self.0, other.0) })
    }

    #[inline(always)]
    fn times(self, other: Self) -> Self {
        // SAFETY: inlined into functions with AVX2 and FMA.
        Self(unsafe { _mm256_mul_ps(self.0, other.0) })
    }

    #[inline(always)]
    fn plus_product(self, left: Self, right: Self) -> Self {
        // SAFETY: inlined into functions with AVX2 and FMA.
        Self(unsafe { _mm256_fmadd_ps(left.0, right.0, self.0) })
    }

    #[inline(always)]
    fn relu(self) -> Self {
        // SAFETY: inlined into functions with AVX2 and FMA. The second operand is the result where one is not a number.
        Self(unsafe { _mm256_max_ps(_mm256_setzero_ps(), self.0) })
    }

    #[inline(always)]
    fn where_positive(self, condition: Self) -> Self {
        // SAFETY: inlined into functions with AVX2 and FMA.
        Self(unsafe { _mm256_and_ps(self.0, _mm256_cmp_ps::<_CMP_GT_OQ>(condition.0, _mm256_setzero_ps())) })
    }

    /// The series in pairs of terms, which wait less for each other than one after the other.
    #[inline(always)]
    fn exponential(self) -> Self {
        // SAFETY: inlined into functions with AVX2 and FMA. The second operand of `max` is the result where one is not a number.
        unsafe {
            let value = Self(_mm256_max_ps(_mm256_set1_ps(LEAST), self.0));
            let rounded = Self::splat(ROUND).plus_product(value, Self::splat(std::f32::consts::LOG2_E));
            let whole = Self(_mm256_sub_ps(rounded.0, _mm256_set1_ps(ROUND)));
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
            let exponent = _mm256_slli_epi32::<{ EXPONENT.cast_signed() }>(_mm256_castps_si256(rounded.0));
            let power = _mm256_add_epi32(exponent, _mm256_set1_epi32(ONE.cast_signed()));
            series.times(Self(_mm256_castsi256_ps(power)))
        }
    }

    #[inline(always)]
    fn sums([a, b, c, d]: [Self; 4]) -> [f32; 4] {
        let mut sums = [0.0; 4];
        // SAFETY: inlined into functions with AVX2 and FMA; `sums` is four writable numbers.
        unsafe {
            let halves = _mm256_hadd_ps(_mm256_hadd_ps(a.0, b.0), _mm256_hadd_ps(c.0, d.0));
            let total = _mm_add_ps(_mm256_castps256_ps128(halves), _mm256_extractf128_ps::<1>(halves));
            _mm_storeu_ps(sums.as_mut_ptr(), total);
        }
        sums
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::layers::lanes::WIDTH;

    /// `e^value` where the processor has the instructions.
    pub(in super::super) fn exponential(value: f32) -> Option<f32> {
        #[target_feature(enable = "avx2,fma")]
        fn detected(value: f32) -> f32 {
            let mut packet = [0.0; WIDTH];
            Avx2::splat(value).exponential().store(&mut packet);
            packet[WIDTH - 1]
        }
        let has_both = is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma");
        // SAFETY: both features were just detected.
        has_both.then(|| unsafe { detected(value) })
    }
}
