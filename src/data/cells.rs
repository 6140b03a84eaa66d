//! The text of a cell → a number or a category.

/// A numeric cell: missing is NaN (an empty cell, or `nan` in any case).
///
/// Whole numbers of up to 15 digits, which are nearly all there are, don't go through the general parser.
#[inline]
pub(super) fn number(cell: &[u8]) -> Result<f64, &'static str> {
    match whole_number(cell) {
        Some(number) => Ok(number),
        None => any_number(cell),
    }
}

#[inline]
fn whole_number(cell: &[u8]) -> Option<f64> {
    // every whole number of 15 digits is exact in an f64
    const EXACT_DIGITS: usize = 15;
    let (negative, digits) = match cell {
        [b'-', digits @ ..] => (true, digits),
        digits => (false, digits),
    };
    if digits.is_empty() || digits.len() > EXACT_DIGITS {
        return None;
    }
    let mut number = 0_u64;
    for byte in digits {
        let digit = byte.wrapping_sub(b'0');
        if digit > 9 {
            return None;
        }
        number = number * 10 + u64::from(digit);
    }
    let number = number as f64;
    Some(if negative { -number } else { number })
}

fn any_number(cell: &[u8]) -> Result<f64, &'static str> {
    let cell = cell.trim_ascii();
    if cell.is_empty() {
        return Ok(f64::NAN);
    }
    let parsed: f64 = std::str::from_utf8(cell).ok().and_then(|text| text.parse().ok()).ok_or("a number")?;
    if parsed.is_infinite() { Err("a finite number") } else { Ok(parsed) }
}

/// The weight of a row: a finite number from 0 on.
pub(super) fn weight(cell: &[u8]) -> Result<f32, &'static str> {
    match number(cell) {
        #[expect(clippy::cast_possible_truncation, reason = "a weight needs no more digits than an f32 has")]
        Ok(weight) if weight >= 0.0 && (weight as f32).is_finite() => Ok(weight as f32),
        _ => Err("a weight from 0 on"),
    }
}

/// A category's text: blanks around it mean nothing, a text of `missing` is none, and a decimal number has no needless
/// zeros (`1.0` is `1`, `0.50` is `0.5`), so that a number is the same feature whoever wrote it.
#[inline]
pub(super) fn category<'a>(cell: &'a [u8], missing: &[Vec<u8>]) -> &'a [u8] {
    if let [first, .., last] = cell
        && missing.is_empty()
        && *first > b' '
        && *last > b' '
        && *last != b'0'
        && *last != b'.'
    {
        return cell;
    }
    let cell = cell.trim_ascii();
    if missing.iter().any(|text| text == cell) { &[] } else { without_needless_zeros(cell) }
}

fn without_needless_zeros(cell: &[u8]) -> &[u8] {
    if !matches!(cell, [.., b'0' | b'.']) {
        return cell;
    }
    let digits = cell.strip_prefix(b"-").unwrap_or(cell);
    let Some(point) = memchr::memchr(b'.', digits) else { return cell };
    let (whole, fraction) = (&digits[..point], &digits[point + 1..]);
    if whole.is_empty() || !whole.iter().chain(fraction).all(u8::is_ascii_digit) {
        return cell;
    }
    let zeros = fraction.iter().rev().take_while(|digit| **digit == b'0').count();
    let point = usize::from(zeros == fraction.len());
    &cell[..cell.len() - zeros - point]
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn numbers_are_read_and_missing_ones_are_nan() {
        for (text, expected) in [("0", 0.0), ("-3", -3.0), ("123456789012345", 123_456_789_012_345.0), (" 77 ", 77.0)] {
            assert_eq!(number(text.as_bytes()), Ok(expected), "{text}");
        }
        for (text, expected) in [("1.5", 1.5), ("+2", 2.0), ("1e3", 1000.0), ("1618112.0", 1_618_112.0), (".5", 0.5)] {
            assert_eq!(number(text.as_bytes()), Ok(expected), "{text}");
        }
        for text in ["", " ", "nan", "NaN", "NAN"] {
            assert!(number(text.as_bytes()).unwrap().is_nan(), "{text}");
        }
    }

    #[test]
    fn what_is_no_number_is_refused() {
        for text in ["4e", "-", "--1", "1 2", "0x1f", "68fd1e64", "1,5", "\u{663}"] {
            assert_eq!(number(text.as_bytes()), Err("a number"), "{text}");
        }
        for text in ["inf", "-Infinity", "1e999"] {
            assert_eq!(number(text.as_bytes()), Err("a finite number"), "{text}");
        }
        assert_eq!(number(b"\xff"), Err("a number"));
    }

    #[test]
    fn a_category_is_the_same_text_however_it_was_written() {
        for (text, expected) in [
            ("a", "a"),
            (" a b ", "a b"),
            ("", ""),
            (" ", ""),
            ("?", ""),
            (" ? ", ""),
            ("1.0", "1"),
            ("-12.00", "-12"),
            ("1.", "1"),
            ("0.50", "0.5"),
            ("0.0", "0"),
            ("10", "10"),
            ("1.05", "1.05"),
            ("1.2.0", "1.2.0"),
            (".0", ".0"),
            ("a.0", "a.0"),
            ("0", "0"),
            ("-", "-"),
            (".", "."),
        ] {
            let missing = [b"?".to_vec()];
            assert_eq!(category(text.as_bytes(), &missing), expected.as_bytes(), "{text}");
        }
        assert_eq!(category(b"?", &[]), b"?");
    }

    proptest! {
        #[test]
        fn the_short_way_gives_the_general_parsers_number(text in "-?[0-9]{1,18}") {
            prop_assert_eq!(number(text.as_bytes()).unwrap().to_bits(), text.parse::<f64>().unwrap().to_bits());
        }
    }
}
