//! `e^x` of numbers not above zero, without a call, so that some of them run at a time.
//!
//! `2^n e^r`, with `n` the whole number next to `x / ln 2` and `e^r` by Taylor: `|r| < 0.35`, so that what is left out is below
//! `r^8 / 8! < 6e-9`.

/// Adding it leaves a number's whole part in the lowest bits.
pub(super) const ROUND: f32 = 12_582_912.0;
/// The exponent's place.
pub(super) const EXPONENT: u32 = 23;
/// The exponent's bias, in its place.
pub(super) const ONE: u32 = 127 << EXPONENT;
/// `-ln 2` as a number of few bits, so that its multiples are exact, and the rest.
pub(super) const MINUS_LN_2: [f32; 2] = [-0.693_359_4, 2.121_944_4e-4];
/// `1 / n!` from `n = 0`.
pub(super) const TAYLOR: [f32; 8] = [1.0, 1.0, 0.5, 1.0 / 6.0, 1.0 / 24.0, 1.0 / 120.0, 1.0 / 720.0, 1.0 / 5040.0];
/// About the smallest with a normal number as its result.
pub(super) const LEAST: f32 = -87.0;

/// `e^value` for `value` up to 0; what is not a number stays so.
#[inline(always)]
pub(super) fn exponential(value: f32) -> f32 {
    let value = if value < LEAST { LEAST } else { value };
    let rounded = value * std::f32::consts::LOG2_E + ROUND;
    let whole = rounded - ROUND;
    let rest = (value + whole * MINUS_LN_2[0]) + whole * MINUS_LN_2[1];
    let series = TAYLOR.iter().rev().fold(0.0, |sum, factor| sum * rest + factor);
    series * f32::from_bits((rounded.to_bits() << EXPONENT).wrapping_add(ONE))
}

#[cfg(test)]
mod tests {
    use super::super::{Lanes, Plain};

    /// `e^value` by the vectors of any processor, and by this one's.
    fn all_ways(value: f32) -> Vec<f32> {
        let mut packet = [0.0; 8];
        Plain::splat(value).exponential().store(&mut packet);
        #[cfg_attr(not(target_arch = "x86_64"), expect(unused_mut, reason = "there are no others"))]
        let mut found = packet.to_vec();
        #[cfg(target_arch = "x86_64")]
        {
            use super::super::x86::tests::{avx2, avx512};
            found.extend([avx2::exponential(value), avx512::exponential(value)].into_iter().flatten());
        }
        found
    }

    /// 2.5e-7: four roundings of 6e-8 in the last steps.
    #[test]
    fn it_is_the_exponential_of_everything_up_to_zero() {
        for step in 0..870_000_u32 {
            let value = -1e-4 * step as f32;
            let expected = f64::from(value).exp();
            for found in all_ways(value) {
                let error = (f64::from(found) - expected).abs() / expected;
                assert!(error < 2.5e-7, "e^{value}: off by {error}");
            }
        }
        assert!(all_ways(0.0).iter().all(|found| found.to_bits() == 1.0_f32.to_bits()));
    }

    #[test]
    fn what_is_far_below_vanishes_and_what_is_no_number_stays() {
        for far in [-1e30, f32::NEG_INFINITY] {
            assert!(all_ways(far).iter().all(|found| *found < 1e-37));
        }
        assert!(all_ways(f32::NAN).iter().all(|found| found.is_nan()));
    }
}
