//! The fields of a data set, in the order in which every row, id and tensor carries them.

use serde::{Deserialize, Serialize};

/// How the text of a cell is understood.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FieldKind {
    /// A number; text that is no number is an error.
    Numeric,
    /// Any text; each distinct value is a feature.
    Categorical,
    /// Any number of texts, each distinct one a feature; their vectors are pooled.
    MultiValue,
    /// The same, each text with its weight behind a colon: `news:0.5`.
    WeightedValues,
    /// A time in this format; text that is none is an error.
    Time(TimeFormat),
}

impl FieldKind {
    /// Whether a cell holds several values.
    pub const fn has_several(self) -> bool {
        matches!(self, Self::MultiValue | Self::WeightedValues)
    }
}

/// How a time is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum TimeFormat {
    /// Two digits each for year (from 2000 on), month, day and hour, as Avazu has it.
    #[serde(rename = "YYMMDDHH")]
    YearToHour,
    /// `2014-10-21`, `2014-10-21 13:05`, `2014-10-21T13:05:59.5Z` and the like; a zone other than UTC is refused.
    #[serde(rename = "iso")]
    Iso,
    /// Seconds since 1970-01-01 00:00 UTC.
    #[serde(rename = "unix")]
    Unix,
    /// Milliseconds since then.
    #[serde(rename = "unix-milliseconds")]
    UnixMilliseconds,
}

/// One column that the model sees.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Field {
    /// The column's name; Criteo's are `I1` to `I13` and `C1` to `C26`.
    pub name: String,
    pub kind: FieldKind,
    /// The column's name where it isn't the field's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub column: Option<String>,
}

impl Field {
    /// The name of the column that the field is read from.
    pub fn column(&self) -> &str {
        self.column.as_ref().unwrap_or(&self.name)
    }
}

/// All fields, in order.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Schema {
    pub fields: Vec<Field>,
}

impl Schema {
    /// The number of fields; Criteo has 39.
    pub fn len(&self) -> usize {
        self.fields.len()
    }

    pub fn is_empty(&self) -> bool {
        self.fields.is_empty()
    }

    /// The position of the field called `name`.
    pub fn position(&self, name: &str) -> Option<usize> {
        self.fields.iter().position(|field| field.name == name)
    }
}
