//! The text of a cell → a number or a label.

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

/// A label: 1 or 0 by its value, or by `positive` where the config names it.
#[inline]
pub(super) fn label(cell: &[u8], positive: Option<&[u8]>) -> Result<u8, &'static str> {
    match (cell, positive) {
        (b"0", None) => Ok(0),
        (b"1", None) => Ok(1),
        (_, None) => written_label(cell.trim_ascii()),
        (_, Some(positive)) => match cell.trim_ascii() {
            [] => Err("a label"),
            cell => Ok(u8::from(cell == positive)),
        },
    }
}

fn written_label(cell: &[u8]) -> Result<u8, &'static str> {
    if cell.eq_ignore_ascii_case(b"true") {
        return Ok(1);
    }
    if cell.eq_ignore_ascii_case(b"false") {
        return Ok(0);
    }
    match number(cell) {
        Ok(1.0) => Ok(1),
        Ok(0.0 | -1.0) => Ok(0),
        _ => Err("0 or 1"),
    }
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
    fn labels_are_read_in_all_their_spellings() {
        for text in ["1", "1.0", "true", "TRUE", " 1", "+1"] {
            assert_eq!(label(text.as_bytes(), None), Ok(1), "{text}");
        }
        for text in ["0", "0.0", "-1", "False", "-1.0"] {
            assert_eq!(label(text.as_bytes(), None), Ok(0), "{text}");
        }
        for text in ["", "2", "x", "nan", "0.5"] {
            assert_eq!(label(text.as_bytes(), None), Err("0 or 1"), "{text}");
        }
        assert_eq!(label(b" >50K", Some(b">50K")), Ok(1));
        assert_eq!(label(b"<=50K", Some(b">50K")), Ok(0));
        assert_eq!(label(b"1", Some(b"2")), Ok(0));
        assert_eq!(label(b" ", Some(b"2")), Err("a label"));
    }

    proptest! {
        #[test]
        fn the_short_way_gives_the_general_parsers_number(text in "-?[0-9]{1,18}") {
            prop_assert_eq!(number(text.as_bytes()).unwrap().to_bits(), text.parse::<f64>().unwrap().to_bits());
        }
    }
}
