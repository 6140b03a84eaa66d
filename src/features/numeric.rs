//! What a number becomes: a bucket that is a value like any other, or one feature whose vector is multiplied by it.

use std::fmt;
use std::str::FromStr;
use std::sync::LazyLock;

use chrono::{DateTime, Datelike};
use serde::de::{self, Deserializer};
use serde::ser::Serializer;
use serde::{Deserialize, Serialize};

/// The transform of a numeric field.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Numeric {
    /// `x > 2 → floor(ln(x)²)`, otherwise x itself; then a value like a category's, under the same min count.
    #[default]
    Log2Bucket,
    /// At most so many buckets of about equally many training rows; equal numbers share a bucket.
    Quantile(u32),
    /// Linear between at most so many + 1 knots at the quantiles of the training rows: a number between two knots is both
    /// of their features, each with its share as the value. The piecewise-linear encoding (Gorishniy et al. 2022,
    /// arXiv 2203.05556) in the basis of its knots; clipped at the outer ones.
    Piecewise(u32),
    /// One feature with the value `(x - mean) / deviation` of the training rows, clipped to [-5, 5].
    Standardize,
    /// One feature with the value of x in the training rows' range, which becomes [0, 1], clipped.
    MinMax,
    /// The cell's text, as for a categorical field.
    Category,
}

impl Numeric {
    /// Whether the training rows have to be seen before the first id can be given.
    pub(super) const fn needs_statistics(self) -> bool {
        matches!(self, Self::Quantile(_) | Self::Piecewise(_) | Self::Standardize | Self::MinMax)
    }
}

impl FromStr for Numeric {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        const MOST_BUCKETS: u32 = 65_536;
        let (name, buckets) = match text.split_once(':') {
            Some((name, buckets)) => (name, buckets.parse().ok()),
            None => (text, None),
        };
        match (name, buckets) {
            ("quantile", Some(buckets @ 2..=MOST_BUCKETS)) => Ok(Self::Quantile(buckets)),
            ("piecewise", Some(buckets @ 2..=MOST_BUCKETS)) => Ok(Self::Piecewise(buckets)),
            _ => match text {
                "log2-bucket" => Ok(Self::Log2Bucket),
                "standardize" => Ok(Self::Standardize),
                "min-max" => Ok(Self::MinMax),
                "category" => Ok(Self::Category),
                _ => Err(format!(
                    "expected `log2-bucket`, `quantile:N` or `piecewise:N` (N from 2 to {MOST_BUCKETS}), `standardize`, \
                     `min-max` or `category`, found `{text}`"
                )),
            },
        }
    }
}

impl fmt::Display for Numeric {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Log2Bucket => formatter.write_str("log2-bucket"),
            Self::Quantile(buckets) => write!(formatter, "quantile:{buckets}"),
            Self::Piecewise(buckets) => write!(formatter, "piecewise:{buckets}"),
            Self::Standardize => formatter.write_str("standardize"),
            Self::MinMax => formatter.write_str("min-max"),
            Self::Category => formatter.write_str("category"),
        }
    }
}

impl Serialize for Numeric {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Numeric {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

/// Numbers that share a feature.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Buckets {
    /// As [`log2_bucket`] says.
    Log2,
    /// By a part of the time, of which the number is the seconds.
    Time(TimePart),
}

impl Buckets {
    #[inline]
    pub(super) fn bucket(self, number: f64) -> f64 {
        match self {
            Self::Log2 => log2_bucket(number),
            Self::Time(part) => part.of(number),
        }
    }
}

/// A part of a time, in UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TimePart {
    /// Of the day, 0 to 23.
    Hour,
    /// 0 is Monday.
    Weekday,
    /// 1 on Saturdays and Sundays, otherwise 0.
    Weekend,
    /// Of the month, 1 to 31.
    Day,
}

impl TimePart {
    /// The part's name, as the config spells it.
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Hour => "hour",
            Self::Weekday => "weekday",
            Self::Weekend => "weekend",
            Self::Day => "day",
        }
    }

    /// Of seconds since 1970-01-01 00:00 UTC, which was a Thursday.
    fn of(self, seconds: f64) -> f64 {
        const DAY: f64 = 86_400.0;
        let weekday = ((seconds / DAY).floor() + 3.0).rem_euclid(7.0);
        match self {
            Self::Hour => (seconds.rem_euclid(DAY) / 3600.0).floor(),
            Self::Weekday => weekday,
            Self::Weekend => f64::from(weekday >= 5.0),
            #[expect(clippy::cast_possible_truncation, reason = "times are whole seconds, far below 2^53")]
            Self::Day => DateTime::from_timestamp(seconds as i64, 0).map_or(0.0, |time| f64::from(time.day())),
        }
    }
}

/// `x > 2 → floor(ln(x)²)`, otherwise x itself, and 0 for -0.
#[inline]
pub(super) fn log2_bucket(number: f64) -> f64 {
    const TABLE: usize = 4096;
    static BUCKETS: LazyLock<Vec<f64>> = LazyLock::new(|| (0..TABLE).map(|number| bucket(number as f64)).collect());
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "the cast saturates, then is compared")]
    let whole = number as usize;
    #[expect(clippy::float_cmp, reason = "whether the cast lost anything")]
    if whole < TABLE && whole as f64 == number { BUCKETS[whole] } else { bucket(number) }
}

fn bucket(number: f64) -> f64 {
    if number > 2.0 {
        let logarithm = number.ln();
        (logarithm * logarithm).floor()
    } else {
        number + 0.0 // -0 becomes 0
    }
}

/// The upper edges of the buckets but the last: bucket k holds the numbers above edge k-1 up to edge k itself.
///
/// Edge k is the least number up to which there are at least `k / buckets` of all rows, so equal numbers share a bucket, and
/// numbers that fill more than one bucket leave fewer. `counted` holds distinct numbers with their rows.
pub(super) fn quantile_edges(mut counted: Vec<(f64, u32)>, buckets: u32) -> Vec<f64> {
    counted.sort_unstable_by(|left, right| left.0.total_cmp(&right.0));
    let rows = counted.iter().map(|(_, rows)| u128::from(*rows)).sum();
    sorted_quantile_edges(counted.iter().copied(), counted.len(), rows, buckets)
}

/// [`quantile_edges`] of so many numbers, which ascend and have so many rows in all.
pub(super) fn sorted_quantile_edges(
    counted: impl Iterator<Item = (f64, u32)>,
    numbers: usize,
    rows: u128,
    buckets: u32,
) -> Vec<f64> {
    let buckets = u128::from(buckets);
    let (mut edges, mut up_to_here, mut bucket) = (Vec::new(), 0, 1);
    for (number, number_rows) in counted.take(numbers.saturating_sub(1)) {
        up_to_here += u128::from(number_rows);
        if up_to_here * buckets >= bucket * rows {
            edges.push(number);
            bucket = up_to_here * buckets / rows + 1;
        }
    }
    edges
}

/// Where a number stands between `knots`, which ascend: the knot below it, and the share of the one above.
#[inline]
pub(super) fn between_knots(knots: &[f64], number: f64) -> (usize, f64) {
    let above = knots.partition_point(|knot| *knot <= number);
    if above == 0 || above == knots.len() {
        return (above.saturating_sub(1), 0.0);
    }
    let (low, high) = (knots[above - 1], knots[above]);
    // halves, so that the span of two huge numbers is finite
    (above - 1, (number / 2.0 - low / 2.0) / (high / 2.0 - low / 2.0))
}

/// The bucket of a number; the first is 0.
#[inline]
pub(super) fn quantile_bucket(edges: &[f64], number: f64) -> usize {
    edges.partition_point(|edge| *edge < number)
}

/// Mean and deviation, row by row in the rows' order (Welford 1962).
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Moments {
    pub(super) rows: u32,
    mean: f64,
    squares: f64,
}

impl Moments {
    pub(super) fn add(&mut self, number: f64) {
        self.rows = self.rows.saturating_add(1);
        let distance = number - self.mean;
        self.mean += distance / f64::from(self.rows);
        self.squares += distance * (number - self.mean);
    }

    pub(super) fn scale(self) -> Scale {
        let deviation = (self.squares / f64::from(self.rows.max(1))).sqrt();
        Scale { offset: self.mean, unit: deviation, lowest: -5.0, highest: 5.0 }
    }
}

/// The least and the greatest number.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Extremes {
    pub(super) rows: u32,
    least: f64,
    greatest: f64,
}

impl Default for Extremes {
    fn default() -> Self {
        Self { rows: 0, least: f64::INFINITY, greatest: f64::NEG_INFINITY }
    }
}

impl Extremes {
    pub(super) fn add(&mut self, number: f64) {
        self.rows = self.rows.saturating_add(1);
        self.least = self.least.min(number);
        self.greatest = self.greatest.max(number);
    }

    pub(super) fn scale(self) -> Scale {
        let (offset, unit) = if self.rows == 0 { (0.0, 0.0) } else { (self.least, self.greatest - self.least) };
        Scale { offset, unit, lowest: 0.0, highest: 1.0 }
    }
}

/// `clip((x - offset) / unit)`; 0 where the unit is 0 or not finite.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Scale {
    pub(super) offset: f64,
    pub(super) unit: f64,
    pub(super) lowest: f64,
    pub(super) highest: f64,
}

impl Scale {
    #[inline]
    pub(super) fn apply(&self, number: f64) -> f32 {
        if self.unit == 0.0 || !self.unit.is_finite() {
            return 0.0;
        }
        let value = ((number - self.offset) / self.unit).clamp(self.lowest, self.highest);
        #[expect(clippy::cast_possible_truncation, reason = "values are f32, and clipped")]
        {
            value as f32
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_is_shared_out_to_the_knots_around_it() {
        let knots = [-1.0, 0.0, 4.0];
        for (number, expected) in
            [(-2.0, (0, 0.0)), (-1.0, (0, 0.0)), (-0.25, (0, 0.75)), (1.0, (1, 0.25)), (4.0, (2, 0.0)), (9.0, (2, 0.0))]
        {
            assert_eq!(between_knots(&knots, number), expected, "{number}");
        }
        assert_eq!(between_knots(&[f64::MIN, f64::MAX], 0.0), (0, 0.5));
        assert_eq!(between_knots(&[3.0], 7.0), (0, 0.0));
    }

    #[test]
    fn a_time_has_its_parts() {
        let parts = [TimePart::Hour, TimePart::Weekday, TimePart::Weekend, TimePart::Day];
        // Tuesday 2014-10-21 13:05:59, Saturday 1969-12-27 23:00, Thursday 1970-01-01 00:00
        for (seconds, expected) in [
            (1_413_896_759.0, [13.0, 1.0, 0.0, 21.0]),
            (-349_200.0, [23.0, 5.0, 1.0, 27.0]),
            (0.0, [0.0, 3.0, 0.0, 1.0]),
        ] {
            let found = parts.map(|part| part.of(seconds));
            assert!(
                found.iter().zip(&expected).all(|(found, expected)| (found - expected).abs() < 1e-9),
                "{seconds}: {found:?}"
            );
        }
    }

    #[test]
    fn log2_buckets_are_the_published_ones() {
        for (number, bucket) in
            [(0.0, 0.0), (-3.0, -3.0), (2.0, 2.0), (3.0, 1.0), (10.0, 5.0), (1e6, 190.0), (0.5, 0.5)]
        {
            assert_eq!(log2_bucket(number).to_bits(), f64::to_bits(bucket), "{number}");
        }
        assert_eq!(log2_bucket(-0.0).to_bits(), 0);
        for number in 0..10_000 {
            assert_eq!(log2_bucket(f64::from(number)).to_bits(), bucket(f64::from(number)).to_bits(), "{number}");
        }
    }

    #[test]
    fn quantiles_share_out_the_rows_and_keep_equal_numbers_together() {
        let even: Vec<(f64, u32)> = (0..100).rev().map(|number| (f64::from(number), 1)).collect();
        assert_eq!(quantile_edges(even, 4), [24.0, 49.0, 74.0]);
        assert_eq!(quantile_edges(vec![(7.0, 90), (8.0, 5), (9.0, 5)], 4), [7.0]);
        assert_eq!(quantile_edges(vec![(1.0, 5), (2.0, 95)], 4), Vec::<f64>::new());
        assert_eq!(quantile_edges(vec![(1.0, 1), (2.0, 1)], 32), [1.0]);
        assert!(quantile_edges(Vec::new(), 4).is_empty());
        let edges = [24.0, 49.0, 74.0];
        let bucket = |number| quantile_bucket(&edges, number);
        assert_eq!([bucket(-1.0), bucket(24.0), bucket(24.5), bucket(74.0), bucket(75.0)], [0, 0, 1, 2, 3]);
    }

    #[test]
    fn scales_clip_and_a_constant_becomes_zero() {
        let mut moments = Moments::default();
        let mut extremes = Extremes::default();
        for number in [1.0, 3.0, 5.0, 7.0] {
            moments.add(number);
            extremes.add(number);
        }
        let deviation = 5.0_f32.sqrt();
        assert!((moments.scale().apply(7.0) - 3.0 / deviation).abs() < 1e-6);
        assert!((moments.scale().apply(1e9) - 5.0).abs() < f32::EPSILON);
        assert!((extremes.scale().apply(4.0) - 0.5).abs() < f32::EPSILON);
        assert!(extremes.scale().apply(-9.0).abs() < f32::EPSILON);
        let mut constant = Moments::default();
        constant.add(4.0);
        assert!(constant.scale().apply(9.0).abs() < f32::EPSILON);
        assert!(Extremes::default().scale().apply(1.0).abs() < f32::EPSILON);
    }

    #[test]
    fn names_are_read_as_they_are_written() {
        for name in ["log2-bucket", "quantile:32", "standardize", "min-max", "category"] {
            assert_eq!(name.parse::<Numeric>().unwrap().to_string(), name);
        }
    }
}
