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
}

/// One column that the model sees.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Field {
    /// The column's name; Criteo's are `I1` to `I13` and `C1` to `C26`.
    pub name: String,
    pub kind: FieldKind,
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
