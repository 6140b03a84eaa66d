//! Rows in Criteo's layout from random bits, for the benches that start from text.

use std::fmt::Write as _;

use secn::seed::mix;

/// A cell as the format writes it, from random bits.
pub(crate) fn row(text: &mut String, number: u64, separator: char, category: impl Fn(&mut String, u64)) {
    let bits = |column: u64| mix(number, column);
    write!(text, "{}", bits(0) % 2).expect("a string takes all text");
    for column in 1..=13 {
        text.push(separator);
        // about a fifth of Criteo's integers are missing, and most are small
        if !bits(column).is_multiple_of(5) {
            write!(text, "{}", (bits(column) >> 8) % 10_u64.pow(1 + (column % 5) as u32))
                .expect("a string takes all text");
        }
    }
    for column in 14..40 {
        text.push(separator);
        if !bits(column).is_multiple_of(9) {
            category(text, bits(column) >> 40);
        }
    }
    text.push('\n');
}

/// A category as Criteo writes it: 8 hex digits.
pub(crate) fn hexadecimal(text: &mut String, bits: u64) {
    write!(text, "{:08x}", bits & 0xFFFF_FFFF).expect("a string takes all text");
}
