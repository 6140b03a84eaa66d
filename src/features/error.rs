//! What can go wrong between rows and batches.

use std::io;
use std::path::PathBuf;

use arrow_schema::ArrowError;
use thiserror::Error;

use super::numeric::Numeric;
use crate::data::DataError;

/// A wrong config, rows that can't be read, or prepared data that can't be written or read.
#[derive(Debug, Error)]
pub enum FeaturesError {
    #[error(transparent)]
    Data(#[from] DataError),
    #[error("`features.fields.{field}`: expected one of the data's fields, found none of this name")]
    UnknownField { field: String, nearest: Option<String> },
    #[error("`features.fields.{field}.{key}`: expected {beside}, found otherwise")]
    FieldKeys { field: String, key: &'static str, beside: &'static str },
    #[error("`{key}`: expected {expected}, found {found}")]
    Combination { key: &'static str, expected: &'static str, found: String, nearest: Option<String> },
    #[error(
        "`features`: expected fewer than 2^64 combinations of the values of the fields `{fields}`, found more, by the \
         numbers of their ids"
    )]
    TooManyCombinations { fields: String },
    #[error(
        "`{key} = \"{numeric}\"`: expected a transform without a first pass beside `features.vocabulary = {{ hash = N }}`, \
         found one that needs the training rows' statistics"
    )]
    NeedsFirstPass { key: String, numeric: Numeric },
    #[error("`embedding.pretrained.{field}`: expected {expected}, found {found}")]
    Pretrained { field: String, expected: String, found: String, nearest: Option<String> },
    #[error("expected at least one field, found none beside the label, `data.group` and `data.drop`")]
    NoFields,
    #[error("`data.{part}`: expected at least one {part} row, found none{because}")]
    NoRows { part: &'static str, because: &'static str },
    #[error("{}:{line}: expected {expected}, found `{found}`", path.display())]
    RowNumber { path: PathBuf, line: usize, expected: String, found: String },
    #[error("{}: expected row numbers below the number of training rows, {rows}, found {found}", path.display())]
    RowBeyond { path: PathBuf, rows: u64, found: u64 },
    #[error(
        "`-`: expected standard input at most once in `data.train`, `data.validation` and `data.test`, found it twice"
    )]
    StdinTwice,
    #[error(
        "`features.max_memory`: expected at most {} for {what}, found {}",
        shown_bytes(*limit_bytes),
        shown_bytes(*found_bytes)
    )]
    Memory { limit_bytes: u64, found_bytes: u64, what: String },
    #[error("expected the same rows in every pass over the files, found that {difference}")]
    ChangedMeanwhile { difference: String },
    #[error("`features`: expected fewer than 2^32 ids, found {found}")]
    TooManyIds { found: u64 },
    #[error("{}: {source}", path.display())]
    Io { path: PathBuf, source: io::Error },
    #[error("{}: {source}", path.display())]
    Arrow { path: PathBuf, source: ArrowError },
    #[error("{}: {reason}", path.display())]
    Damaged { path: PathBuf, reason: String },
}

impl FeaturesError {
    /// Whether the config is wrong, and not the data.
    pub fn is_config(&self) -> bool {
        matches!(
            self,
            Self::UnknownField { .. }
                | Self::FieldKeys { .. }
                | Self::Combination { .. }
                | Self::NeedsFirstPass { .. }
                | Self::Pretrained { .. }
                | Self::StdinTwice
        )
    }

    /// What to do about it, for the line that starts with `hint:`.
    pub fn hint(&self) -> Option<String> {
        let text = match self {
            Self::Data(error) => return error.hint(),
            Self::UnknownField { nearest, .. }
            | Self::Combination { nearest, .. }
            | Self::Pretrained { nearest, .. } => {
                format!("the nearest field is `{}`", nearest.as_ref()?)
            }
            Self::TooManyCombinations { .. } => "raise `features.min_count`, or combine fewer fields".into(),
            Self::NeedsFirstPass { .. } => {
                "`log2-bucket` and `category` need no first pass; `features.vocabulary = \"exact\"` makes one".into()
            }
            Self::ChangedMeanwhile { .. } => "start again when nothing writes to the file any more".into(),
            Self::NoRows { part: "validation", .. } => "`data.validation = \"none\"` does without".into(),
            Self::Memory { .. } | Self::TooManyIds { .. } => {
                "raise `features.min_count`, set `features.max_size` or `features.vocabulary = { hash = N }`, lower \
                 `embedding.dim`, set `embedding.storage = \"bf16\"` or raise `features.max_memory`"
                    .into()
            }
            _ => return None,
        };
        Some(text)
    }
}

/// A number of bytes for people: `1.5 GiB`.
pub(super) fn shown_bytes(bytes: u64) -> String {
    const UNITS: [(&str, u64); 3] = [("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)];
    match UNITS.iter().find(|(_, unit)| bytes >= *unit) {
        Some((name, unit)) => format!("{:.1} {name}", bytes as f64 / *unit as f64),
        None => format!("{bytes} bytes"),
    }
}

/// Makes errors of a path.
pub(super) fn io_error(path: &std::path::Path) -> impl Fn(io::Error) -> FeaturesError + '_ {
    move |source| FeaturesError::Io { path: path.into(), source }
}

/// Makes Arrow's errors of a path.
pub(super) fn arrow_error(path: &std::path::Path) -> impl Fn(ArrowError) -> FeaturesError + '_ {
    move |source| FeaturesError::Arrow { path: path.into(), source }
}

/// What is wrong with a file that this room wrote once.
pub(super) fn damaged(path: &std::path::Path, reason: impl Into<String>) -> FeaturesError {
    FeaturesError::Damaged { path: path.into(), reason: reason.into() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_name_keys_figures_and_ways_out() {
        let error = FeaturesError::Memory { limit_bytes: 1 << 30, found_bytes: 3 << 29, what: "the table".into() };
        assert_eq!(error.to_string(), "`features.max_memory`: expected at most 1.0 GiB for the table, found 1.5 GiB");
        assert!(error.hint().unwrap().contains("min_count"));
        let error = FeaturesError::NeedsFirstPass { key: "features.numeric".into(), numeric: Numeric::Quantile(8) };
        assert!(error.to_string().contains("features.vocabulary") && error.to_string().contains("quantile:8"));
    }
}
