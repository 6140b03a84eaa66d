//! Numbers as people read them.

/// What stands for an undefined number.
pub(super) const UNDEFINED: &str = "–";

/// Five decimals, which tell two loglosses apart.
pub(super) fn decimals(value: Option<f64>) -> String {
    value.map_or_else(|| UNDEFINED.to_owned(), |value| format!("{value:.5}"))
}

pub(super) fn speed(rows_per_second: f64) -> String {
    format!("{} rows/s", rounded(rows_per_second))
}

/// A whole number with a comma before each three digits.
pub(super) fn grouped(number: u64) -> String {
    grouped_text(&number.to_string())
}

/// The nearest whole number, grouped.
pub(super) fn rounded(number: f64) -> String {
    grouped_text(&format!("{number:.0}"))
}

/// A probability in percent, with as many digits as tell it from its neighbours on a scale of odds.
pub(super) fn percent(probability: f64) -> String {
    let percent = probability * 100.0;
    let to_an_end = percent.min(100.0 - percent);
    let digits = if to_an_end >= 10.0 {
        0
    } else if to_an_end >= 1.0 {
        1
    } else {
        2
    };
    let text = format!("{percent:.digits$}");
    let short = if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.') } else { &text };
    format!("{short} %")
}

fn grouped_text(digits: &str) -> String {
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (position, digit) in digits.chars().enumerate() {
        if position > 0 && (digits.len() - position).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits_are_grouped_by_threes() {
        assert_eq!([0, 999, 1_000, 36_672_493].map(grouped), ["0", "999", "1,000", "36,672,493"]);
        assert_eq!(rounded(47_528.6), "47,529");
    }

    #[test]
    fn percents_have_more_digits_near_their_ends() {
        assert_eq!(
            [0.0, 0.001, 0.05, 0.123, 0.5, 0.987, 1.0].map(percent),
            ["0 %", "0.1 %", "5 %", "12 %", "50 %", "98.7 %", "100 %"]
        );
    }

    #[test]
    fn an_undefined_number_is_a_dash() {
        assert_eq!((decimals(None).as_str(), decimals(Some(0.5)).as_str()), ("–", "0.50000"));
    }
}
