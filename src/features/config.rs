//! The `[features]` section of the config.

use std::collections::BTreeMap;
use std::fmt;
use std::num::NonZeroU32;
use std::str::FromStr;

use serde::de::{self, Deserializer, Visitor};
use serde::ser::Serializer;
use serde::{Deserialize, Serialize};

use super::derived::{Choice, CountsConfig, StatisticsConfig, all_pairs_or_list, write_all_pairs_or_list};
use super::many::Pooling;
use super::numeric::{Numeric, TimePart};
use crate::{
    data::Separator,
    ranges::{Count, Within},
    schema::TimeFormat,
};

/// How rows become ids.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct FeaturesConfig {
    /// What numeric fields become. Default: `log2-bucket`.
    pub numeric: Numeric,
    /// Values that stand in fewer training rows share the out-of-vocabulary id of their field. Default: 2.
    pub min_count: NonZeroU32,
    /// At most so many values of each field have an id, the most frequent ones; the others share the out-of-vocabulary id.
    /// Default: 0, no limit.
    pub max_size: u32,
    /// `"exact"`, an id a value, or `{ hash = N }`, N ids in all and no first pass. Default: `"exact"`.
    pub vocabulary: VocabularyConfig,
    /// The most memory that the counts of values, and then the vocabulary and the table may take, as `"4GiB"` or in bytes. Counts
    /// beyond it go to the disk, larger vocabularies and tables are refused. Default: `"none"`.
    pub max_memory: MemoryLimit,
    /// Up to so many rows the order of an epoch is a full permutation, beyond it one of blocks and then of the rows within
    /// windows of so many rows. Default: 50,000,000 (200 MB).
    pub shuffle_rows: Count,
    /// Fields `cross(C1,C2)` with an id for each combination of values that stands in `features.min_count` training rows or
    /// more: a list of lists of fields' names, or `"all-pairs"` of the categorical fields. Default: none.
    #[serde(
        deserialize_with = "all_pairs_or_list",
        serialize_with = "write_all_pairs_or_list",
        skip_serializing_if = "Choice::is_empty"
    )]
    pub cross: Choice<Vec<String>>,
    /// Fields that say how often rows with the same values were clicked. Default: none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub target_statistics: Option<StatisticsConfig>,
    /// Fields that say how often rows with the same values were seen. Default: none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub counts: Option<CountsConfig>,
    /// Single fields by their name. Default: none.
    pub fields: BTreeMap<String, FieldConfig>,
}

impl Default for FeaturesConfig {
    fn default() -> Self {
        Self {
            numeric: Numeric::default(),
            min_count: NonZeroU32::MIN.saturating_add(1),
            max_size: 0,
            vocabulary: VocabularyConfig::default(),
            max_memory: MemoryLimit::default(),
            shuffle_rows: Count::new(50_000_000).expect("not zero"),
            cross: Choice::Listed(Vec::new()),
            target_statistics: None,
            counts: None,
            fields: BTreeMap::new(),
        }
    }
}

/// What one field does in its own way; what is not given is as for all fields.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct FieldConfig {
    /// Any transform makes a column numeric, but `category` makes it categorical. Default: `features.numeric` for the columns
    /// that the format knows as numeric.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub numeric: Option<Numeric>,
    /// Default: `features.min_count`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub min_count: Option<NonZeroU32>,
    /// Default: `features.max_size`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_size: Option<u32>,
    /// The field has several values in a cell, parted by this character; an empty cell has none, and a vector of zeros.
    /// Default: one value, but where the format knows of several.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub separator: Option<Separator>,
    /// How the vectors of several values become one: `sum` or `mean`. Default: `sum`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pooling: Option<Pooling>,
    /// The most values of a cell that are read, those behind them being left out. Default: 64.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_values: Option<Within<1, 4096>>,
    /// Whether each of several values may have a weight behind a colon, as `news:0.5`. Default: false.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub weighted: Option<bool>,
    /// The column is a time, and a field for each of its parts takes its place. Default: none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub time: Option<TimeConfig>,
}

/// A column of times.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TimeConfig {
    /// `"YYMMDDHH"`, `"iso"`, `"unix"` (seconds) or `"unix-milliseconds"`.
    pub format: TimeFormat,
    /// Fields `hour(NAME)`, `weekday(NAME)`, `weekend(NAME)`, `day(NAME)` (of the month). Default: hour, weekday, weekend.
    #[serde(default = "default_parts")]
    pub parts: Vec<TimePart>,
}

pub(super) fn default_parts() -> Vec<TimePart> {
    vec![TimePart::Hour, TimePart::Weekday, TimePart::Weekend]
}

/// Where ids come from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum VocabularyConfig {
    /// A first pass counts the values of the training rows.
    #[default]
    Exact,
    /// A hash of the value, this many ids in all, shared out equally to the fields (4 each at least).
    Hash(Count),
}

/// A number of bytes, or no limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MemoryLimit(Option<u64>);

impl MemoryLimit {
    /// A limit of so many bytes.
    pub const fn new(bytes: u64) -> Self {
        Self(Some(bytes))
    }

    /// The limit, where there is one.
    pub const fn bytes(self) -> Option<u64> {
        self.0
    }
}

const UNITS: [(&str, u64); 8] = [
    ("KiB", 1 << 10),
    ("MiB", 1 << 20),
    ("GiB", 1 << 30),
    ("TiB", 1 << 40),
    ("kB", 1_000),
    ("MB", 1_000_000),
    ("GB", 1_000_000_000),
    ("TB", 1_000_000_000_000),
];
const EXPECTED_LIMIT: &str = "a number of bytes, a size such as \"4GiB\" or \"500MB\", or \"none\"";

impl FromStr for MemoryLimit {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text == "none" {
            return Ok(Self(None));
        }
        let wrong = || format!("expected {EXPECTED_LIMIT}, found `{text}`");
        let (number, unit) = UNITS
            .iter()
            .find_map(|(name, unit)| text.strip_suffix(name).map(|number| (number, *unit)))
            .unwrap_or((text, 1));
        let number: u64 = number.trim().parse().map_err(|_| wrong())?;
        number.checked_mul(unit).filter(|bytes| *bytes > 0).map(Self::new).ok_or_else(wrong)
    }
}

impl fmt::Display for MemoryLimit {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(bytes) = self.0 else {
            return formatter.write_str("none");
        };
        let unit = UNITS.iter().filter(|(_, unit)| bytes % unit == 0).max_by_key(|(_, unit)| *unit);
        match unit {
            Some((name, unit)) => write!(formatter, "{}{name}", bytes / unit),
            None => write!(formatter, "{bytes}"),
        }
    }
}

impl Serialize for MemoryLimit {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for MemoryLimit {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct LimitVisitor;
        impl Visitor<'_> for LimitVisitor {
            type Value = MemoryLimit;
            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str(EXPECTED_LIMIT)
            }
            fn visit_str<E: de::Error>(self, text: &str) -> Result<MemoryLimit, E> {
                text.parse().map_err(E::custom)
            }
            fn visit_i64<E: de::Error>(self, bytes: i64) -> Result<MemoryLimit, E> {
                bytes.to_string().parse().map_err(E::custom)
            }
            fn visit_u64<E: de::Error>(self, bytes: u64) -> Result<MemoryLimit, E> {
                bytes.to_string().parse().map_err(E::custom)
            }
        }
        deserializer.deserialize_any(LimitVisitor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn defaults_are_written_out_and_read_again() {
        let config: FeaturesConfig = toml::from_str("").unwrap();
        assert_eq!(config, FeaturesConfig::default());
        let written = toml::to_string(&config).unwrap();
        for line in [
            "numeric = \"log2-bucket\"",
            "min_count = 2",
            "max_size = 0",
            "vocabulary = \"exact\"",
            "max_memory = \"none\"",
            "shuffle_rows = 50000000",
            "[fields]",
        ] {
            assert!(written.contains(line), "{line}: {written}");
        }
        assert_eq!(toml::from_str::<FeaturesConfig>(&written).unwrap(), config);
    }

    #[test]
    fn every_key_survives_writing() {
        let text = "numeric = \"quantile:8\"\nmin_count = 3\nvocabulary = { hash = 1000 }\nmax_memory = \"4GiB\"\n\
                    [fields.I2]\nnumeric = \"min-max\"\n[fields.C1]\nmin_count = 9\nmax_size = 5\n\
                    [fields.tags]\nseparator = \"|\"\npooling = \"mean\"\nmax_values = 3\nweighted = true\n\
                    [fields.hour]\ntime = { format = \"YYMMDDHH\", parts = [\"hour\", \"day\"] }\n";
        let config: FeaturesConfig = toml::from_str(text).unwrap();
        assert_eq!(config.vocabulary, VocabularyConfig::Hash(Count::new(1000).unwrap()));
        assert_eq!(config.max_memory.bytes(), Some(4 << 30));
        assert_eq!(config.fields["I2"].numeric, Some(Numeric::MinMax));
        assert_eq!(config.fields["C1"].min_count.unwrap().get(), 9);
        assert_eq!(toml::from_str::<FeaturesConfig>(&toml::to_string(&config).unwrap()).unwrap(), config);
    }

    #[test]
    fn wrong_values_are_reported_with_their_line() {
        for line in [
            "min_count = 0",
            "numeric = \"log\"",
            "numeric = \"quantile:1\"",
            "vocabulary = { hash = 0 }",
            "vocabulary = \"hash\"",
            "max_memory = \"4 gigs\"",
            "max_memory = 0",
            "shuffle_rows = 0",
            "max_size = -1",
            "fields.C1.pooling = \"max\"",
            "fields.C1.separator = \"||\"",
            "fields.C1.max_values = 0",
            "fields.C1.time = { format = \"hour\" }",
        ] {
            let message = toml::from_str::<FeaturesConfig>(&format!("\n{line}\n")).unwrap_err().to_string();
            assert!(message.contains("line 2"), "{line}: {message}");
        }
    }

    #[test]
    fn sizes_are_understood() {
        for (text, bytes) in [("1KiB", 1024), ("3GB", 3_000_000_000), ("17", 17), ("2 MiB", 2 << 20)] {
            assert_eq!(text.parse::<MemoryLimit>().unwrap().bytes(), Some(bytes), "{text}");
        }
        assert_eq!(MemoryLimit::new(1 << 31).to_string(), "2GiB");
        assert_eq!(MemoryLimit::new(1500).to_string(), "1500");
    }
}
