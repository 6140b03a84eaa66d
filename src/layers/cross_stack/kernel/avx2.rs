//! The kernel's vectors as AVX2 and FMA instructions of x86-64.
//!
//! Everything above is safe code that is generic over [`Lanes`]; it is compiled a second time here, inlined into two
//! functions that may use the instructions. `benches/layers.rs` measures what that brings.

#![expect(
    unsafe_code,
    reason = "instructions outside of the baseline: 60k instead of 14k rows/s and thread in benches/layers.rs"
)]
#![expect(clippy::inline_always, reason = "the instructions are only available once inlined into the functions below")]

use std::arch::x86_64::{
    __m256, _CMP_GT_OQ, _mm_add_ps, _mm_storeu_ps, _mm256_add_ps, _mm256_and_ps, _mm256_castps256_ps128, _mm256_cmp_ps,
    _mm256_extractf128_ps, _mm256_fmadd_ps, _mm256_hadd_ps, _mm256_loadu_ps, _mm256_max_ps, _mm256_mul_ps,
    _mm256_set1_ps, _mm256_setzero_ps, _mm256_storeu_ps,
};

use super::{
    Kernels,
    block::{self, BackwardChunk, ForwardBlock},
    lanes::{Lanes, Packet},
    plan::Plan,
};

/// The kernels, if this processor has the instructions.
pub(super) fn kernels() -> Option<Kernels<f32>> {
    (is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma")).then_some(Kernels {
        tile_rows: Avx2::TILE_ROWS,
        // SAFETY: both features were just detected.
        forward_block: |plan, block, scratch| unsafe { forward(plan, block, scratch) },
        // SAFETY: both features were just detected.
        backward_chunk: |plan, chunk, scratch| unsafe { backward(plan, chunk, scratch) },
    })
}

#[target_feature(enable = "avx2,fma")]
fn forward(plan: &Plan<f32>, block: ForwardBlock<f32>, scratch: &mut [Packet<f32>]) {
    block::forward::<Avx2>(plan, block, scratch);
}

#[target_feature(enable = "avx2,fma")]
fn backward(plan: &Plan<f32>, chunk: BackwardChunk<f32>, scratch: &mut [Packet<f32>]) {
    block::backward::<Avx2>(plan, chunk, scratch);
}

/// Eight `f32` in a register. Used by the two functions above alone.
#[derive(Clone, Copy)]
struct Avx2(__m256);

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
