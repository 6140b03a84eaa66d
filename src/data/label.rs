//! The label: its column, and how a cell becomes 0 or 1.

use std::borrow::Cow;
use std::fmt;
use std::sync::OnceLock;

use serde::de::{self, Deserializer, MapAccess, SeqAccess, Visitor};
use serde::ser::{SerializeMap, Serializer};
use serde::{Deserialize, Serialize};

use super::{ColumnRef, DataConfig, cells::number, config::Text, error::excerpt};

/// `data.label`: a column, or `{ column = "rating", at_least = 4 }`.
#[derive(Clone, Debug, PartialEq)]
pub struct LabelConfig {
    pub column: ColumnRef,
    /// Numbers from here on are 1, smaller ones 0.
    pub at_least: Option<f64>,
}

impl Default for LabelConfig {
    fn default() -> Self {
        Self { column: ColumnRef::Name("label".into()), at_least: None }
    }
}

impl Serialize for LabelConfig {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Some(at_least) = self.at_least else { return self.column.serialize(serializer) };
        let mut map = serializer.serialize_map(Some(2))?;
        map.serialize_entry("column", &self.column)?;
        map.serialize_entry("at_least", &at_least)?;
        map.end()
    }
}

impl<'de> Deserialize<'de> for LabelConfig {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(LabelVisitor)
    }
}

struct LabelVisitor;

impl<'de> Visitor<'de> for LabelVisitor {
    type Value = LabelConfig;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a column's name, its 0-based position, or { column = …, at_least = … }")
    }

    fn visit_str<E: de::Error>(self, name: &str) -> Result<LabelConfig, E> {
        Ok(LabelConfig { column: ColumnRef::Name(name.into()), at_least: None })
    }

    fn visit_i64<E: de::Error>(self, position: i64) -> Result<LabelConfig, E> {
        let position = usize::try_from(position);
        let position =
            position.map_err(|error| E::custom(format!("expected a 0-based position, found one below 0 ({error})")))?;
        Ok(LabelConfig { column: ColumnRef::Position(position), at_least: None })
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<LabelConfig, A::Error> {
        let (mut column, mut at_least) = (None, None);
        while let Some(key) = map.next_key::<String>()? {
            match key.as_str() {
                "column" => column = Some(map.next_value()?),
                "at_least" => at_least = Some(map.next_value()?),
                other => return Err(de::Error::unknown_field(other, &["column", "at_least"])),
            }
        }
        let column = column.ok_or_else(|| de::Error::missing_field("column"))?;
        Ok(LabelConfig { column, at_least })
    }
}

/// `data.positive` and `data.negative`: a value of the label, a list of them, or `""` for none.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LabelValues(Vec<String>);

impl From<&str> for LabelValues {
    fn from(value: &str) -> Self {
        Self(if value.is_empty() { Vec::new() } else { vec![value.into()] })
    }
}

impl fmt::Display for LabelValues {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&one_of(&self.trimmed()))
    }
}

impl LabelValues {
    /// Whether the config names none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// A value that `other` names, too.
    pub(super) fn common(&self, other: &Self) -> Option<String> {
        let others = other.trimmed();
        let mut values = self.trimmed().into_iter();
        values.find(|value| others.contains(value)).map(|value| excerpt(&value))
    }

    /// Without the blanks around them, as cells are read.
    fn trimmed(&self) -> Vec<Vec<u8>> {
        self.0.iter().map(|value| value.as_bytes().trim_ascii().to_vec()).collect()
    }
}

impl Serialize for LabelValues {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0.as_slice() {
            [] => serializer.serialize_str(""),
            [value] => serializer.serialize_str(value),
            values => values.serialize(serializer),
        }
    }
}

impl<'de> Deserialize<'de> for LabelValues {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ValuesVisitor)
    }
}

struct ValuesVisitor;

impl<'de> Visitor<'de> for ValuesVisitor {
    type Value = LabelValues;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a value of the label or a list of them")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<LabelValues, E> {
        Ok(text.into())
    }

    fn visit_i64<E: de::Error>(self, number: i64) -> Result<LabelValues, E> {
        Ok(LabelValues(vec![number.to_string()]))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<LabelValues, A::Error> {
        let mut values = Vec::new();
        while let Some(Text(value)) = list.next_element()? {
            if value.trim_ascii().is_empty() {
                return Err(de::Error::custom("expected values of the label, found an empty one"));
            }
            values.push(value);
        }
        Ok(LabelValues(values))
    }
}

/// Reads labels. One serves all files of a reader, so that a third label value is found wherever it stands.
#[derive(Debug)]
pub(super) enum Labels {
    /// 0 or 1, as numbers and words are written.
    Written,
    AtLeast(f64),
    /// Each of `positive` is 1; `negative` is 0, or the first other value that is met, or any other value.
    Named {
        positive: Vec<Vec<u8>>,
        negative: Negative,
    },
}

#[derive(Debug)]
pub(super) enum Negative {
    Any,
    Only(Vec<Vec<u8>>),
    FirstFound(OnceLock<Vec<u8>>),
}

/// The spelling of `data.negative` for every value but the positive one.
const ANY: &str = "*";

impl Labels {
    pub(super) fn new(config: &DataConfig) -> Self {
        let (positive, negative) = (config.positive.trimmed(), config.negative.trimmed());
        match config.label.at_least {
            _ if !positive.is_empty() => {
                let negative = match negative.as_slice() {
                    [] => Negative::FirstFound(OnceLock::new()),
                    values if values.iter().any(|value| value == ANY.as_bytes()) => Negative::Any,
                    _ => Negative::Only(negative),
                };
                Self::Named { positive, negative }
            }
            Some(at_least) => Self::AtLeast(at_least),
            None => Self::Written,
        }
    }

    /// 0 or 1, or what was expected.
    #[inline]
    pub(super) fn read(&self, cell: &[u8]) -> Result<u8, Cow<'static, str>> {
        match (cell, self) {
            (b"0", Self::Written) => Ok(0),
            (b"1", Self::Written) => Ok(1),
            (_, Self::Written) => written(cell.trim_ascii()).ok_or(Cow::Borrowed("0 or 1")),
            (_, Self::AtLeast(at_least)) => match number(cell) {
                Ok(number) if !number.is_nan() => Ok(u8::from(number >= *at_least)),
                _ => Err(Cow::Borrowed("a number")),
            },
            (_, Self::Named { positive, negative }) => match cell.trim_ascii() {
                [] => Err(Cow::Borrowed("a label")),
                cell if positive.iter().any(|value| value == cell) => Ok(1),
                cell => negative.check(cell, positive),
            },
        }
    }
}

impl Negative {
    fn check(&self, cell: &[u8], positive: &[Vec<u8>]) -> Result<u8, Cow<'static, str>> {
        let only = match self {
            Self::Any => return Ok(0),
            Self::Only(only) => only.as_slice(),
            Self::FirstFound(first) => std::slice::from_ref(first.get_or_init(|| cell.to_vec())),
        };
        if only.iter().any(|value| value == cell) {
            return Ok(0);
        }
        Err(Cow::Owned(one_of(&[positive, only].concat())))
    }
}

/// Values as errors show them: `a`, `b` or `c`.
fn one_of(values: &[Vec<u8>]) -> String {
    let shown: Vec<String> = values.iter().map(|value| format!("`{}`", excerpt(value))).collect();
    match shown.split_last() {
        Some((last, first)) if !first.is_empty() => format!("{} or {last}", first.join(", ")),
        _ => shown.concat(),
    }
}

fn written(cell: &[u8]) -> Option<u8> {
    const WORDS: [(&str, u8); 4] = [("true", 1), ("false", 0), ("yes", 1), ("no", 0)];
    if let Some((_, label)) = WORDS.iter().find(|(word, _)| cell.eq_ignore_ascii_case(word.as_bytes())) {
        return Some(*label);
    }
    match number(cell) {
        Ok(1.0) => Some(1),
        Ok(0.0 | -1.0) => Some(0),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(lines: &str) -> Labels {
        let config = format!("format = \"csv\"\ntrain = [\"a.csv\"]\n{lines}\n");
        Labels::new(&toml::from_str(&config).unwrap())
    }

    #[test]
    fn labels_are_read_in_all_their_spellings() {
        let labels = labels("");
        for text in ["1", "1.0", "true", "TRUE", " 1", "+1", "Yes"] {
            assert_eq!(labels.read(text.as_bytes()), Ok(1), "{text}");
        }
        for text in ["0", "0.0", "-1", "False", "-1.0", "no"] {
            assert_eq!(labels.read(text.as_bytes()), Ok(0), "{text}");
        }
        for text in ["", "2", "x", "nan", "0.5", "inf"] {
            assert_eq!(labels.read(text.as_bytes()).unwrap_err(), "0 or 1", "{text}");
        }
    }

    #[test]
    fn a_named_label_has_one_other_value() {
        let named = labels("positive = \">50K\"");
        assert_eq!(named.read(b" >50K"), Ok(1));
        assert_eq!(named.read(b"<=50K "), Ok(0));
        assert_eq!(named.read(b">50K.").unwrap_err(), "`>50K` or `<=50K`");
        assert_eq!(named.read(b" ").unwrap_err(), "a label");
        let both = labels("positive = 2\nnegative = 1");
        assert_eq!([both.read(b"2"), both.read(b"1")], [Ok(1), Ok(0)]);
        assert_eq!(both.read(b"3").unwrap_err(), "`2` or `1`");
        let lists = labels("positive = [\">50K\", \" >50K.\"]\nnegative = [\"<=50K\", \"<=50K.\"]");
        for (text, label) in [(" >50K", 1), (">50K.", 1), ("<=50K", 0), ("<=50K. ", 0)] {
            assert_eq!(lists.read(text.as_bytes()), Ok(label), "{text}");
        }
        assert_eq!(lists.read(b"<50K").unwrap_err(), "`>50K`, `>50K.`, `<=50K` or `<=50K.`");
        let found = labels("positive = [\"a\", 2]");
        assert_eq!([found.read(b"2"), found.read(b"b"), found.read(b"a")], [Ok(1), Ok(0), Ok(1)]);
        assert_eq!(found.read(b"c").unwrap_err(), "`a`, `2` or `b`");
        let any = labels("positive = \"cat\"\nnegative = \"*\"");
        assert_eq!([any.read(b"cat"), any.read(b"dog"), any.read(b"cow")], [Ok(1), Ok(0), Ok(0)]);
    }

    #[test]
    fn a_value_is_not_positive_and_negative() {
        let values = |text: &str| {
            let config: DataConfig = toml::from_str(&format!("format = \"csv\"\ntrain = [\"a\"]\n{text}")).unwrap();
            config.positive.common(&config.negative)
        };
        assert_eq!(values("positive = [\"p\", \"q\"]\nnegative = [\"r\", \" q\"]").as_deref(), Some("q"));
        assert_eq!(values("positive = \"p\"\nnegative = \"r\""), None);
        assert_eq!(values("positive = \"p\"\nnegative = \"*\""), None);
        assert_eq!(values(""), None);
    }

    #[test]
    fn numbers_from_a_threshold_on_are_positive() {
        let labels = labels("label = { column = \"rating\", at_least = 4 }");
        assert_eq!([labels.read(b"4"), labels.read(b"3.9"), labels.read(b"5")], [Ok(1), Ok(0), Ok(1)]);
        assert_eq!(labels.read(b"").unwrap_err(), "a number");
        assert_eq!(labels.read(b"good").unwrap_err(), "a number");
    }

    #[test]
    fn every_way_to_name_the_label_survives_writing() {
        #[derive(Debug, PartialEq, Serialize, Deserialize)]
        struct Data {
            #[serde(default)]
            label: LabelConfig,
            #[serde(default)]
            positive: LabelValues,
        }
        for line in [
            "label = \"y\"",
            "label = 3",
            "label = { column = \"y\", at_least = 0.5 }",
            "positive = \"\"",
            "positive = 1",
            "positive = [\"a\", 1]",
        ] {
            let read: Data = toml::from_str(line).unwrap();
            assert_eq!(toml::from_str::<Data>(&toml::to_string(&read).unwrap()).unwrap(), read, "{line}");
        }
        for line in [
            "label = -1",
            "label = { at_least = 3 }",
            "label = { column = \"y\", above = 3 }",
            "label = true",
            "positive = true",
            "positive = [\" \"]",
        ] {
            assert!(toml::from_str::<Data>(line).is_err(), "{line}");
        }
    }
}
