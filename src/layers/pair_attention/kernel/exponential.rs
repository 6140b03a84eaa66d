//! `e^x` of numbers not above zero, without a call, so that eight of them run at a time.

use std::ops::{Div, Sub};

use crate::layers::lanes::Real;

/// A [`Real`] with what a softmax needs.
pub(super) trait Number: Real + Sub<Output = Self> + Div<Output = Self> {
    /// `e^self` for `self` up to 0; what is not a number stays so.
    fn exponential(self) -> Self;
}

impl Number for f64 {
    fn exponential(self) -> Self {
        self.exp()
    }
}

impl Number for f32 {
    /// `2^n e^r`, with `n` the whole number next to `self / ln 2` and `e^r` by Taylor: `|r| < 0.35`, so that what is left out
    /// is below `r^8 / 8! < 6e-9`.
    #[inline(always)]
    fn exponential(self) -> Self {
        /// Adding it leaves a number's whole part in the lowest bits.
        const ROUND: f32 = 12_582_912.0;
        /// The exponent's place, and its bias there.
        const EXPONENT: u32 = 23;
        const ONE: u32 = 127 << EXPONENT;
        /// `ln 2` as a number of few bits, so that its multiples are exact, and the rest.
        const LN_2: [f32; 2] = [0.693_359_4, -2.121_944_4e-4];
        /// `1 / n!` from the highest.
        const TAYLOR: [f32; 8] = [1.0 / 5040.0, 1.0 / 720.0, 1.0 / 120.0, 1.0 / 24.0, 1.0 / 6.0, 0.5, 1.0, 1.0];
        /// About the smallest with a normal number as its result.
        const LEAST: f32 = -87.0;
        let value = if self < LEAST { LEAST } else { self };
        let rounded = value * std::f32::consts::LOG2_E + ROUND;
        let whole = rounded - ROUND;
        let rest = (value - whole * LN_2[0]) - whole * LN_2[1];
        let series = TAYLOR.iter().fold(0.0, |sum, factor| sum * rest + factor);
        series * Self::from_bits((rounded.to_bits() << EXPONENT).wrapping_add(ONE))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 2.5e-7: four roundings of 6e-8 in the last steps.
    #[test]
    fn it_is_the_exponential_of_everything_up_to_zero() {
        for step in 0..870_000_u32 {
            let value = -1e-4 * step as f32;
            let expected = f64::from(value).exp();
            let error = (f64::from(value.exponential()) - expected).abs() / expected;
            assert!(error < 2.5e-7, "e^{value}: off by {error}");
        }
        assert_eq!(0.0_f32.exponential().to_bits(), 1.0_f32.to_bits());
    }

    #[test]
    fn what_is_far_below_vanishes_and_what_is_no_number_stays() {
        assert!((-1e30_f32).exponential() < 1e-37 && f32::NEG_INFINITY.exponential() < 1e-37);
        assert!(f32::NAN.exponential().is_nan());
    }
}
