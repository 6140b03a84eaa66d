//! Fields of several values in a row: how they are parted, weighed and pooled.

use serde::{Deserialize, Serialize};

/// How the vectors of a row's values become one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Pooling {
    #[default]
    Sum,
    Mean,
}

/// One field of several values.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Many {
    /// What parts the values, beside what a reader parts itself.
    pub(super) separator: u8,
    pub(super) pooling: Pooling,
    /// Whether a value may have a weight behind a colon.
    pub(super) weighted: bool,
    /// The most values of a row that are read; what follows them is left out.
    pub(super) columns: usize,
}

impl Many {
    /// A value and its weight: 1, or the number behind the last colon of `value:number`.
    #[inline]
    pub(super) fn weighed<'a>(&self, value: &'a [u8]) -> (&'a [u8], f32) {
        if !self.weighted {
            return (value, 1.0);
        }
        let number = memchr::memrchr(b':', value).and_then(|colon| {
            let number: f32 = std::str::from_utf8(&value[colon + 1..]).ok()?.trim().parse().ok()?;
            number.is_finite().then_some((&value[..colon], number))
        });
        number.unwrap_or((value, 1.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_weight_is_the_number_behind_the_last_colon() {
        let many = Many { separator: b'|', pooling: Pooling::Sum, weighted: true, columns: 3 };
        assert_eq!(many.weighed(b"a:2.5"), (&b"a"[..], 2.5));
        assert_eq!(many.weighed(b"a:b:-1"), (&b"a:b"[..], -1.0));
        assert_eq!(many.weighed(b"a"), (&b"a"[..], 1.0));
        assert_eq!(many.weighed(b"a:b"), (&b"a:b"[..], 1.0));
        assert_eq!(many.weighed(b"a:inf"), (&b"a:inf"[..], 1.0));
        assert_eq!(Many { weighted: false, ..many }.weighed(b"a:2"), (&b"a:2"[..], 1.0));
    }
}
