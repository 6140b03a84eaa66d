//! Numbers that carry their range in their type, so that the config's parser reports a wrong one with its line.

use serde::{Deserialize, Deserializer, Serialize};

macro_rules! bounded {
    ($(#[$doc:meta])* $name:ident, $expected:literal, $holds:expr) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, PartialOrd, Serialize)]
        #[serde(transparent)]
        pub struct $name(f64);

        impl $name {
            /// Checks the range; `None` outside of it.
            pub fn new(value: f64) -> Option<Self> {
                let holds: fn(f64) -> bool = $holds;
                holds(value).then_some(Self(value))
            }

            /// The number itself.
            pub const fn value(self) -> f64 {
                self.0
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let value = f64::deserialize(deserializer)?;
                Self::new(value)
                    .ok_or_else(|| serde::de::Error::custom(format!("expected {}, found {value}", $expected)))
            }
        }
    };
}

impl Portion {
    /// 1.
    pub const WHOLE: Self = Self(1.0);
}

impl NonNegative {
    /// 0.
    pub const ZERO: Self = Self(0.0);
}

bounded!(
    /// A number from 0 to 1, both included.
    Probability,
    "a number from 0 to 1",
    |value| (0.0..=1.0).contains(&value)
);
bounded!(
    /// A number above 0 and below 1.
    Share,
    "a number above 0 and below 1",
    |value| value > 0.0 && value < 1.0
);
bounded!(
    /// A number above 0, 1 included.
    Portion,
    "a number above 0 and at most 1",
    |value| value > 0.0 && value <= 1.0
);
bounded!(
    /// A finite number above 0.
    Positive,
    "a number above 0",
    |value| value > 0.0 && value.is_finite()
);
bounded!(
    /// A finite number, 0 or above.
    NonNegative,
    "a number not below 0",
    |value| value >= 0.0 && value.is_finite()
);

/// A whole number above 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(transparent)]
pub struct Count(usize);

impl Count {
    /// Checks the range; `None` for 0.
    pub const fn new(value: usize) -> Option<Self> {
        if value == 0 { None } else { Some(Self(value)) }
    }

    /// The number itself.
    pub const fn get(self) -> usize {
        self.0
    }
}

impl<'de> Deserialize<'de> for Count {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let value = i64::deserialize(deserializer)?;
        usize::try_from(value)
            .ok()
            .and_then(Self::new)
            .ok_or_else(|| serde::de::Error::custom(format!("expected a whole number above 0, found {value}")))
    }
}

/// A whole number from `LOW` to `HIGH`, both included.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(transparent)]
pub struct Within<const LOW: u32, const HIGH: u32>(u32);

impl<const LOW: u32, const HIGH: u32> Within<LOW, HIGH> {
    /// Checks the range; `None` outside of it.
    pub const fn new(value: u32) -> Option<Self> {
        if value < LOW || value > HIGH { None } else { Some(Self(value)) }
    }

    /// The number itself.
    pub const fn get(self) -> u32 {
        self.0
    }
}

impl<'de, const LOW: u32, const HIGH: u32> Deserialize<'de> for Within<LOW, HIGH> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let value = i64::deserialize(deserializer)?;
        u32::try_from(value).ok().and_then(Self::new).ok_or_else(|| {
            serde::de::Error::custom(format!("expected a whole number from {LOW} to {HIGH}, found {value}"))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_hold_at_their_ends() {
        assert!(Probability::new(1.0).is_some() && Probability::new(1.5).is_none());
        assert!(Share::new(0.0).is_none() && Share::new(0.1).is_some() && Share::new(1.0).is_none());
        assert!(Positive::new(0.0).is_none() && Positive::new(f64::NAN).is_none());
        assert!(NonNegative::new(0.0).is_some() && NonNegative::new(f64::INFINITY).is_none());
        assert!(Count::new(0).is_none());
        assert!(Within::<2, 4>::new(1).is_none() && Within::<2, 4>::new(5).is_none());
        assert_eq!([2, 4].map(|value| Within::<2, 4>::new(value).unwrap().get()), [2, 4]);
    }

    #[test]
    fn a_number_out_of_range_is_reported_with_its_line() {
        #[derive(Debug, Deserialize)]
        #[expect(dead_code, reason = "only the error is looked at")]
        struct Config {
            dropout: Probability,
        }
        let error = toml::from_str::<Config>("\ndropout = 1.5\n").unwrap_err().to_string();
        assert!(error.contains("line 2"), "{error}");
        assert!(error.contains("expected a number from 0 to 1, found 1.5"), "{error}");
    }
}
