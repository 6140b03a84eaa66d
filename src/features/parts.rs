//! Which training rows validate instead.

use std::path::Path;

use super::error::FeaturesError;
use crate::{
    data::{Input, RowBlock, SplitBy, Validation, whole},
    seed::{Seed, mix, unit},
};

/// Decides for each row of the training files by its number, or by a column.
#[derive(Clone, Debug)]
pub(super) enum Splitter {
    /// All rows train.
    None,
    /// Each row on its own, by the seed.
    Random { key: u64, share: f64 },
    /// The rows from this number on.
    From(u64),
    /// The rows whose extra column has this text.
    Column { extra: usize, equals: Vec<u8> },
    /// The rows of these numbers, ascending.
    Rows(Vec<u64>),
}

impl Splitter {
    /// `count` gives the number of training rows, and costs a pass over them; only a split by order asks for it.
    pub(super) fn new(
        validation: &Validation,
        split_by: SplitBy,
        seed: Seed,
        extra: usize,
        count: impl FnOnce() -> Result<u64, FeaturesError>,
    ) -> Result<Self, FeaturesError> {
        Ok(match (validation, split_by) {
            (Validation::None | Validation::Files(_), _) => Self::None,
            (Validation::Share(share), SplitBy::Random) => {
                Self::Random { key: seed.draw("validation", &[]), share: *share }
            }
            (Validation::Share(share), SplitBy::Order) => {
                let rows = count()?;
                #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a share of a count")]
                let last = (rows as f64 * share).round() as u64;
                Self::From(rows - last.min(rows))
            }
            (Validation::Column { equals, .. }, _) => Self::Column { extra, equals: equals.as_bytes().to_vec() },
            (Validation::Rows(path), _) => Self::Rows(read_row_numbers(path)?),
        })
    }

    /// Whether the row of this number, which is `block`'s row `row`, validates.
    #[inline]
    pub(super) fn validates(&self, number: u64, block: &RowBlock, row: usize) -> bool {
        match self {
            Self::None => false,
            Self::Random { key, share } => unit(mix(*key, number)) < *share,
            Self::From(first) => number >= *first,
            Self::Column { extra, equals } => block.extra(row, *extra) == equals.as_slice(),
            Self::Rows(numbers) => numbers.binary_search(&number).is_ok(),
        }
    }

    /// # Errors
    /// For a row number beyond the rows.
    pub(super) fn check(&self, validation: &Validation, rows: u64) -> Result<(), FeaturesError> {
        match (self, validation) {
            (Self::Rows(numbers), Validation::Rows(path)) => match numbers.last() {
                Some(&found) if found >= rows => Err(FeaturesError::RowBeyond { path: path.clone(), rows, found }),
                _ => Ok(()),
            },
            _ => Ok(()),
        }
    }
}

/// The numbers of a file, plain or packed, ascending.
fn read_row_numbers(path: &Path) -> Result<Vec<u64>, FeaturesError> {
    let text = String::from_utf8_lossy(&whole(&Input::File(path.to_owned()))?).into_owned();
    let mut numbers = Vec::new();
    for (line, text) in text.lines().enumerate().filter(|(_, text)| !text.trim().is_empty()) {
        let number = text.trim().parse().map_err(|_| FeaturesError::RowNumber {
            path: path.to_owned(),
            line: line + 1,
            expected: "a row number, counted from 0".into(),
            found: text.trim().chars().take(40).collect(),
        })?;
        numbers.push(number);
    }
    numbers.sort_unstable();
    numbers.dedup();
    Ok(numbers)
}
