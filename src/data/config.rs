//! The `[data]` section of the config.

use std::fmt;
use std::path::PathBuf;

use serde::de::{self, Deserializer, MapAccess, SeqAccess, Visitor};
use serde::ser::{SerializeMap, Serializer};
use serde::{Deserialize, Serialize};

use super::{FormatName, LabelConfig, LabelValues, Separator};
use crate::seed::Seed;

/// The largest number that `data.columns` may be.
const MOST_COLUMNS: u32 = 100_000;

/// Which rows there are and how their columns are used.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DataConfig {
    /// `criteo`, `avazu`, `automl`, `csv`, `tsv`, `libsvm` or `libffm`.
    pub format: FormatName,
    /// Paths or globs of the training rows; `-` is standard input.
    #[serde(deserialize_with = "at_least_one")]
    pub train: Vec<String>,
    /// Paths or globs of the test rows. Default: none.
    #[serde(default)]
    pub test: Vec<String>,
    /// Which rows validate. Default: `"none"`.
    #[serde(default)]
    pub validation: Validation,
    /// How a share of the training rows is taken. Default: `random`.
    #[serde(default)]
    pub split_by: SplitBy,
    /// The seed of a random share. Default: `training.seed`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub split_seed: Option<Seed>,
    /// The label's column, or `{ column = …, at_least = … }` for a column of numbers. Default: `label`. Criteo's is always the
    /// first.
    #[serde(default)]
    pub label: LabelConfig,
    /// The label's value that counts as 1, or a list of them. Default: `""`, labels are 0 and 1 themselves.
    #[serde(default)]
    pub positive: LabelValues,
    /// The label's value that counts as 0 beside `positive`, or a list of them; `"*"` is every other one. Default: `""`, the
    /// one other value that the files have.
    #[serde(default)]
    pub negative: LabelValues,
    /// The column of the rows' weights in the training loss, numbers from 0 on; not a field. Default: `""`, all weigh the same.
    #[serde(default, deserialize_with = "column_or_none", serialize_with = "write_or_empty")]
    pub weight: Option<ColumnRef>,
    /// The column whose values form the groups of the grouped AUC; not a field. Default: `""`, no groups.
    #[serde(default, deserialize_with = "column_or_none", serialize_with = "write_or_empty")]
    pub group: Option<ColumnRef>,
    /// Columns that are not fields. Default: none.
    #[serde(default)]
    pub drop: Vec<String>,
    /// Texts that mean a missing value, beside the empty cell. Default: none.
    #[serde(default)]
    pub missing: Vec<String>,
    /// What lines start with that are no rows; not for Parquet, ARFF and AutoML. Default: `""`, no line.
    #[serde(default)]
    pub comment: String,
    /// What separates the cells of CSV, one ASCII character. Default: `","`.
    #[serde(default)]
    pub separator: Separator,
    /// The columns' names, for CSV and TSV without a header; a number N stands for `c0` to `cN-1`. Default: none, the first
    /// line names them.
    #[serde(default, deserialize_with = "names_or_count")]
    pub columns: Vec<String>,
    /// What a row that cannot be read does. Default: `fail`.
    #[serde(default)]
    pub on_bad_row: OnBadRow,
    /// The folder of prepared data. Default: `.secn-cache`.
    #[serde(default = "default_cache")]
    pub cache: PathBuf,
}

fn default_cache() -> PathBuf {
    PathBuf::from(".secn-cache")
}

/// How a share of the training rows is taken for validation.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SplitBy {
    /// By the seed, each row on its own.
    #[default]
    Random,
    /// The last rows.
    Order,
}

/// What a row that cannot be read does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum OnBadRow {
    /// Ends the run with an error.
    #[default]
    Fail,
    /// Is left out and counted.
    Skip,
}

/// Which rows validate.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Validation {
    /// `"none"` or `0`: no row.
    #[default]
    None,
    /// `0.1`: a share of the training rows, above 0 and below 1.
    Share(f64),
    /// `["files"]`: own files.
    Files(Vec<String>),
    /// `{ column = "day", equals = "31" }`: the training rows with this value.
    Column { column: ColumnRef, equals: String },
    /// `{ rows = "numbers.txt" }`: the training rows with these 0-based numbers, one a line.
    Rows(PathBuf),
}

impl Serialize for Validation {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::None => serializer.serialize_str("none"),
            Self::Share(share) => serializer.serialize_f64(*share),
            Self::Files(files) => files.serialize(serializer),
            Self::Column { column, equals } => {
                let mut map = serializer.serialize_map(Some(2))?;
                map.serialize_entry("column", column)?;
                map.serialize_entry("equals", equals)?;
                map.end()
            }
            Self::Rows(path) => {
                let mut map = serializer.serialize_map(Some(1))?;
                map.serialize_entry("rows", path)?;
                map.end()
            }
        }
    }
}

impl<'de> Deserialize<'de> for Validation {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ValidationVisitor)
    }
}

struct ValidationVisitor;

impl<'de> Visitor<'de> for ValidationVisitor {
    type Value = Validation;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(
            "a share above 0 and below 1, a list of files, { column = …, equals = … }, { rows = \"file\" } or \"none\"",
        )
    }

    fn visit_f64<E: de::Error>(self, share: f64) -> Result<Validation, E> {
        if share > 0.0 && share < 1.0 {
            Ok(Validation::Share(share))
        } else if share == 0.0 {
            Ok(Validation::None)
        } else {
            Err(E::invalid_value(de::Unexpected::Float(share), &self))
        }
    }

    fn visit_i64<E: de::Error>(self, share: i64) -> Result<Validation, E> {
        if share == 0 { Ok(Validation::None) } else { Err(E::invalid_value(de::Unexpected::Signed(share), &self)) }
    }

    fn visit_u64<E: de::Error>(self, share: u64) -> Result<Validation, E> {
        if share == 0 { Ok(Validation::None) } else { Err(E::invalid_value(de::Unexpected::Unsigned(share), &self)) }
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Validation, E> {
        if text == "none" { Ok(Validation::None) } else { Err(E::invalid_value(de::Unexpected::Str(text), &self)) }
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Validation, A::Error> {
        let mut files = Vec::new();
        while let Some(file) = list.next_element()? {
            files.push(file);
        }
        Ok(if files.is_empty() { Validation::None } else { Validation::Files(files) })
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Validation, A::Error> {
        let (mut column, mut equals, mut rows) = (None, None, None);
        while let Some(key) = map.next_key::<String>()? {
            match key.as_str() {
                "column" => column = Some(map.next_value()?),
                "equals" => equals = Some(map.next_value::<Text>()?.0),
                "rows" => rows = Some(map.next_value()?),
                other => return Err(de::Error::unknown_field(other, &["column", "equals", "rows"])),
            }
        }
        match (column, equals, rows) {
            (Some(column), Some(equals), None) => Ok(Validation::Column { column, equals }),
            (None, None, Some(rows)) => Ok(Validation::Rows(rows)),
            (Some(_), None, None) => Err(de::Error::missing_field("equals")),
            (None, Some(_), None) => Err(de::Error::missing_field("column")),
            _ => Err(de::Error::custom("expected either `column` and `equals`, or `rows`")),
        }
    }
}

/// A column by its name in the header or by its 0-based position in the file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum ColumnRef {
    Name(String),
    Position(usize),
}

impl fmt::Display for ColumnRef {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(name) => formatter.write_str(name),
            Self::Position(position) => position.fmt(formatter),
        }
    }
}

impl<'de> Deserialize<'de> for ColumnRef {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct ColumnVisitor;
        impl Visitor<'_> for ColumnVisitor {
            type Value = ColumnRef;
            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("a column's name or its 0-based position")
            }
            fn visit_str<E: de::Error>(self, name: &str) -> Result<ColumnRef, E> {
                Ok(ColumnRef::Name(name.into()))
            }
            fn visit_i64<E: de::Error>(self, position: i64) -> Result<ColumnRef, E> {
                usize::try_from(position)
                    .map(ColumnRef::Position)
                    .map_err(|_| E::invalid_value(de::Unexpected::Signed(position), &self))
            }
            fn visit_u64<E: de::Error>(self, position: u64) -> Result<ColumnRef, E> {
                usize::try_from(position)
                    .map(ColumnRef::Position)
                    .map_err(|_| E::invalid_value(de::Unexpected::Unsigned(position), &self))
            }
        }
        deserializer.deserialize_any(ColumnVisitor)
    }
}

/// A cell's text; a whole number is taken as it is written.
pub(super) struct Text(pub(super) String);

impl<'de> Deserialize<'de> for Text {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct TextVisitor;
        impl Visitor<'_> for TextVisitor {
            type Value = Text;
            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("a cell's text")
            }
            fn visit_str<E: de::Error>(self, text: &str) -> Result<Text, E> {
                Ok(Text(text.into()))
            }
            fn visit_i64<E: de::Error>(self, number: i64) -> Result<Text, E> {
                Ok(Text(number.to_string()))
            }
            fn visit_u64<E: de::Error>(self, number: u64) -> Result<Text, E> {
                Ok(Text(number.to_string()))
            }
        }
        deserializer.deserialize_any(TextVisitor)
    }
}

fn at_least_one<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
    let list = Vec::deserialize(deserializer)?;
    if list.is_empty() { Err(de::Error::custom("expected at least one path, found an empty list")) } else { Ok(list) }
}

/// A list of names, or how many columns there are, which are then named by their positions.
fn names_or_count<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
    struct NamesVisitor;
    impl<'de> Visitor<'de> for NamesVisitor {
        type Value = Vec<String>;
        fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
            write!(formatter, "the columns' names or a number of columns from 1 to {MOST_COLUMNS}")
        }
        fn visit_i64<E: de::Error>(self, count: i64) -> Result<Vec<String>, E> {
            let known = u32::try_from(count).ok().filter(|count| (1..=MOST_COLUMNS).contains(count));
            let count = known.ok_or_else(|| E::invalid_value(de::Unexpected::Signed(count), &self))?;
            Ok((0..count).map(|column| format!("c{column}")).collect())
        }
        fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Vec<String>, A::Error> {
            let mut names = Vec::new();
            while let Some(name) = list.next_element()? {
                names.push(name);
            }
            Ok(names)
        }
    }
    deserializer.deserialize_any(NamesVisitor)
}

fn column_or_none<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<ColumnRef>, D::Error> {
    let column = ColumnRef::deserialize(deserializer)?;
    Ok(if column == ColumnRef::Name(String::new()) { None } else { Some(column) })
}

/// Writes `""` for nothing, so that the resolved config names every key.
#[expect(clippy::ref_option, reason = "serde's serialize_with passes the field by reference")]
fn write_or_empty<T: Serialize, S: Serializer>(value: &Option<T>, serializer: S) -> Result<S::Ok, S::Error> {
    match value {
        Some(value) => value.serialize(serializer),
        None => serializer.serialize_str(""),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(line: &str) -> Result<DataConfig, String> {
        toml::from_str(&format!("format = \"csv\"\ntrain = [\"a.csv\"]\n{line}\n")).map_err(|error| error.to_string())
    }

    #[test]
    fn every_way_to_validate_is_understood_and_survives_writing() {
        let column = |name: ColumnRef| Validation::Column { column: name, equals: "31".into() };
        let cases = [
            ("validation = 0.1", Validation::Share(0.1)),
            ("validation = 0", Validation::None),
            ("validation = \"none\"", Validation::None),
            ("validation = []", Validation::None),
            ("validation = [\"b.csv\"]", Validation::Files(vec!["b.csv".into()])),
            ("validation = { column = \"day\", equals = \"31\" }", column(ColumnRef::Name("day".into()))),
            ("validation = { equals = 31, column = 2 }", column(ColumnRef::Position(2))),
            ("validation = { rows = \"numbers.txt\" }", Validation::Rows("numbers.txt".into())),
        ];
        for (line, expected) in cases {
            let config = with(line).unwrap();
            assert_eq!(config.validation, expected, "{line}");
            let written = toml::to_string(&config).unwrap();
            assert_eq!(toml::from_str::<DataConfig>(&written).unwrap(), config, "{written}");
        }
    }

    #[test]
    fn wrong_values_are_reported_with_their_line() {
        for line in [
            "validation = 1.5",
            "validation = 3",
            "validation = \"some\"",
            "validation = { column = \"day\" }",
            "validation = { rows = \"a\", column = \"b\" }",
            "validation = { row = \"a\" }",
            "label = -1",
            "split_by = \"time\"",
            "columns = 0",
            "columns = -3",
            "no_such_key = 1",
        ] {
            let message = with(line).unwrap_err();
            assert!(message.contains("line 3"), "{line}: {message}");
        }
        let message = toml::from_str::<DataConfig>("format = \"csv\"\ntrain = []").unwrap_err().to_string();
        assert!(message.contains("line 2") && message.contains("at least one path"), "{message}");
    }

    #[test]
    fn every_key_is_written_out() {
        let written = toml::to_string(&with("").unwrap()).unwrap();
        let keys = "format train test validation split_by label positive negative weight group drop missing separator columns \
                    on_bad_row cache";
        for key in keys.split(' ') {
            assert!(written.lines().any(|line| line.starts_with(&format!("{key} = "))), "{key}: {written}");
        }
    }

    #[test]
    fn a_number_of_columns_names_them_by_their_positions() {
        let config = with("columns = 3").unwrap();
        assert_eq!(config.columns, ["c0", "c1", "c2"]);
        assert_eq!(config, with("columns = [\"c0\", \"c1\", \"c2\"]").unwrap());
    }

    #[test]
    fn columns_go_by_name_or_position() {
        let config = with("label = 3\ngroup = \"user\"\npositive = 2").unwrap();
        assert_eq!(config.label.column, ColumnRef::Position(3));
        assert_eq!(config.group, Some(ColumnRef::Name("user".into())));
        assert_eq!(config.positive.to_string(), "`2`");
    }
}
