//! A line of a file of rows → what its features have: dense, sparse (`index:value`) or sparse and binary (`index`).

use std::io::Write;
use std::ops::Range;

use super::super::{
    DataError, Place,
    cells::{category, number},
    error::{excerpt, shown_cell},
    made::{RowWriter, UNIT_SEPARATOR},
    time::seconds,
    tokens::{Tokens, before_colon, digits},
};
use super::description::{Description, FeatureType, Stated};
use crate::schema::{FieldKind, TimeFormat};

/// How a row is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// A value a feature.
    Dense,
    /// `index:value` with indices from 1 on; what isn't there is 0.
    Sparse,
    /// The indices of the features that are 1.
    SparseBinary,
}

const FORMS: [(&str, Form); 3] =
    [("dense", Form::Dense), ("sparse", Form::Sparse), ("sparse_binary", Form::SparseBinary)];

impl Form {
    /// The form that the set's info tells, or else that `sample`, whole lines from the file's start, has.
    ///
    /// # Errors
    /// For an info that names another one.
    pub(super) fn of(description: &Description, sample: &[u8]) -> Result<Self, DataError> {
        let info = &description.info;
        if let Some(Stated { value, place }) = &info.format {
            let form = FORMS.iter().find(|(name, _)| name == value).map(|(_, form)| *form);
            return form.ok_or_else(|| {
                let (expected, found) = ("`dense`, `sparse` or `sparse_binary`", shown_cell(value.as_bytes()));
                DataError::stated(place.clone(), expected, found, "leave the line out to have the rows looked at")
            });
        }
        let first = sample.split(|byte| *byte == b'\n').find(|line| tokens(line).next().is_some()).unwrap_or_default();
        let sparse = if tokens(first).all(is_entry) { Self::Sparse } else { Self::SparseBinary };
        match &info.is_sparse {
            Some(Stated { value: 0, .. }) => Ok(Self::Dense),
            // what is wrong with a row is said when it is read
            Some(_) if tokens(first).any(|token| token.contains(&b':')) => Ok(Self::Sparse),
            Some(_) => Ok(Self::SparseBinary),
            None if sparse == Self::Sparse && !first.is_empty() => Ok(Self::Sparse),
            None if looks_sparse_binary(sample) => Ok(Self::SparseBinary),
            None => Ok(Self::Dense),
        }
    }
}

fn is_entry(token: &[u8]) -> bool {
    before_colon(token).is_some_and(|(index, value)| digits(index).is_some() && number(value).is_ok())
}

/// Whether rows differ in length and consist of ascending indices; a last row that was cut off is no such difference.
fn looks_sparse_binary(sample: &[u8]) -> bool {
    let mut lengths = Vec::new();
    for line in sample.split(|byte| *byte == b'\n') {
        let mut last = 0;
        for token in tokens(line) {
            match digits(token) {
                Some(index) if index > last => last = index,
                _ => return false,
            }
        }
        lengths.extend(Some(tokens(line).count()).filter(|length| *length > 0));
    }
    lengths.pop();
    lengths.windows(2).any(|pair| pair[0] != pair[1])
}

/// What stands between blanks.
pub(super) fn tokens(line: &[u8]) -> impl Iterator<Item = &[u8]> {
    Tokens::of(line).map(|(start, end)| &line[start..end])
}

/// A feature that stands in a line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Entry {
    /// The feature's number, the first being 1.
    index: u64,
    /// Where its value stands in the line; an empty range is the 1 of an index alone.
    value: Range<usize>,
}

impl Entry {
    fn value<'a>(&self, line: &'a [u8]) -> &'a [u8] {
        if self.value.is_empty() { b"1" } else { &line[self.value.clone()] }
    }
}

/// What is wrong with a row.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Wrong {
    /// The token, the first being 1.
    token: Option<usize>,
    expected: String,
    found: String,
}

impl Wrong {
    fn token(token: usize, expected: impl Into<String>, found: &[u8]) -> Self {
        Self { token: Some(token), expected: expected.into(), found: shown_cell(found) }
    }

    pub(super) fn at(self, place: Place) -> DataError {
        DataError::BadRow {
            place,
            part: self.token.map(|token| ("token", token)),
            expected: self.expected,
            found: self.found,
        }
    }
}

/// How rows become cells.
#[derive(Debug)]
pub(super) struct Rows {
    pub(super) form: Form,
    features: u64,
    /// Where the number of features is said.
    said_in: Option<Place>,
    /// The kind of each feature; empty where all of them are one field of several values.
    pub(super) kinds: Vec<FieldKind>,
    /// Whether each feature's type is told.
    has_types: bool,
    /// Whether values have to be numbers that no field of numbers checks.
    are_numbers: bool,
}

impl Rows {
    /// `sample` are whole lines from the file's start, from which the way that times are written is read.
    pub(super) fn new(form: Form, features: u64, one_field: bool, description: &Description, sample: &[u8]) -> Self {
        let default = if form == Form::SparseBinary { FeatureType::Binary } else { FeatureType::Numerical };
        let types = if one_field { 0 } else { usize::try_from(features).unwrap_or(usize::MAX) };
        let types: Vec<_> = (0..types).map(|feature| description.feature_type(feature, default)).collect();
        let said_in = description.count.as_ref().map(|count| count.place.clone());
        let are_numbers = one_field && description.are_numbers(default);
        let mut rows = Self {
            form,
            features,
            said_in,
            kinds: types.iter().copied().map(kind).collect(),
            has_types: description.has_types(),
            are_numbers,
        };
        rows.read_time_formats(&types, sample);
        rows
    }

    fn read_time_formats(&mut self, types: &[FeatureType], sample: &[u8]) {
        let times = types.iter().zip(1..).filter(|(kind, _)| **kind == FeatureType::Time);
        let mut times: Vec<(u64, Clock)> = times.map(|(_, index)| (index, Clock::default())).collect();
        if times.is_empty() {
            return;
        }
        let mut entries = Vec::new();
        for line in sample.split(|byte| *byte == b'\n') {
            if self.read(line, &mut entries).is_err() {
                continue;
            }
            for (index, clock) in &mut times {
                if let Ok(position) = entries.binary_search_by_key(index, |entry| entry.index) {
                    clock.see(entries[position].value(line));
                }
            }
        }
        for (index, clock) in times {
            let position = usize::try_from(index - 1).expect("a feature's number is that of a column");
            self.kinds[position] = clock.kind();
        }
    }

    /// Fills `entries` with the row's features, ascending by index.
    ///
    /// # Errors
    /// What is wrong with the row.
    pub(super) fn read(&self, line: &[u8], entries: &mut Vec<Entry>) -> Result<(), Wrong> {
        entries.clear();
        if self.form == Form::Dense {
            entries.extend((1..).zip(Tokens::of(line)).map(|(index, (start, end))| Entry { index, value: start..end }));
            return if entries.len() as u64 == self.features { Ok(()) } else { Err(self.ragged(entries.len())) };
        }
        for (position, span) in Tokens::of(line).enumerate() {
            let wrong = |expected| Wrong::token(position + 1, expected, &line[span.0..span.1]);
            entries.push(self.entry(line, span).map_err(wrong)?);
        }
        if entries.windows(2).any(|pair| pair[0].index >= pair[1].index) {
            entries.sort_by_key(|entry| entry.index);
            if let Some(pair) = entries.windows(2).find(|pair| pair[0].index == pair[1].index) {
                let (expected, found) = ("each index at most once", format!("`{}` twice", pair[0].index));
                return Err(Wrong { token: None, expected: expected.into(), found });
            }
        }
        Ok(())
    }

    fn ragged(&self, found: usize) -> Wrong {
        let said = match &self.said_in {
            Some(place) => format!(", as many as {place} says"),
            None => ", as in the file's first row".into(),
        };
        let expected = format!("{} values{said}", self.features);
        Wrong { token: None, expected, found: found.to_string() }
    }

    fn entry(&self, line: &[u8], (start, end): (usize, usize)) -> Result<Entry, String> {
        let token = &line[start..end];
        let (index, value): (_, &[u8]) = match (self.form, before_colon(token)) {
            (Form::SparseBinary, None) => (token, b""),
            (Form::SparseBinary, Some(_)) => return Err("an index alone, the rows being sparse and binary".into()),
            (_, Some((index, value))) if !value.is_empty() => (index, value),
            _ => return Err("`index:value`".into()),
        };
        match digits(index) {
            Some(index) if index >= 1 && index <= self.features => {
                if self.are_numbers && number(value).is_err() {
                    return Err("`index:value` with a number for the value".into());
                }
                Ok(Entry { index, value: end - value.len()..end })
            }
            Some(_) => Err(format!("an index from 1 to {}{}", self.features, self.said())),
            None => Err("a whole number for the index".into()),
        }
    }

    fn said(&self) -> String {
        self.said_in.as_ref().map(|place| format!(", the number of features that {place} says")).unwrap_or_default()
    }

    /// Writes the cells of a line's features; `cell` is a buffer.
    pub(super) fn write(&self, line: &[u8], entries: &[Entry], cell: &mut Vec<u8>, row: &mut RowWriter) {
        if self.kinds.is_empty() {
            self.write_together(line, entries, cell, row);
            return;
        }
        let mut entries = entries.iter().peekable();
        for (index, kind) in (1..).zip(&self.kinds) {
            let value = entries.next_if(|entry| entry.index == index).map(|entry| entry.value(line));
            match (value, kind) {
                (None, FieldKind::MultiValue | FieldKind::WeightedValues | FieldKind::Time(_)) => row.cell(b""),
                (None, _) => row.cell(b"0"),
                (Some(value), _) if is_missing(value) => row.cell(b""),
                // rows to be scored may lack the types, and commas have no other use
                (Some(value), kind) if !self.has_types || *kind == FieldKind::MultiValue => {
                    cell.clear();
                    cell.extend(value.iter().map(|byte| if *byte == b',' { UNIT_SEPARATOR } else { *byte }));
                    row.cell(cell);
                }
                (Some(value), _) => row.cell(value),
            }
        }
    }

    /// Writes the features that are there as the values of one field.
    fn write_together(&self, line: &[u8], entries: &[Entry], cell: &mut Vec<u8>, row: &mut RowWriter) {
        cell.clear();
        for entry in entries {
            let value = entry.value(line);
            let is_zero = self.are_numbers && matches!(number(value), Ok(0.0));
            if is_missing(value) || is_zero {
                continue;
            }
            if !cell.is_empty() {
                cell.push(UNIT_SEPARATOR);
            }
            write!(cell, "{}", entry.index).expect("a vector takes any number of bytes");
            if self.form == Form::Sparse {
                cell.push(b':');
                cell.extend_from_slice(category(value, &[]));
            }
        }
        row.cell(cell);
    }
}

fn is_missing(value: &[u8]) -> bool {
    value.eq_ignore_ascii_case(b"NaN")
}

/// Times wait for [`Rows::read_time_formats`].
fn kind(feature: FeatureType) -> FieldKind {
    match feature {
        FeatureType::Numerical | FeatureType::Time => FieldKind::Numeric,
        FeatureType::Binary | FeatureType::Categorical => FieldKind::Categorical,
        FeatureType::MultiValue => FieldKind::MultiValue,
    }
}

/// How a column's times are written, by those that were seen.
#[derive(Debug, Default)]
struct Clock {
    seen: bool,
    not: [bool; 3],
}

impl Clock {
    /// With the seconds since 1970 between which a number is taken for a time of this format.
    const FORMATS: [(TimeFormat, [f64; 2]); 3] = [
        (TimeFormat::Iso, [f64::MIN, f64::MAX]),
        (TimeFormat::Unix, [1e8, 1e11]),
        (TimeFormat::UnixMilliseconds, [1e8, 1e11]),
    ];

    fn see(&mut self, value: &[u8]) {
        if is_missing(value) {
            return;
        }
        self.seen = true;
        for (not, (format, [from, to])) in self.not.iter_mut().zip(Self::FORMATS) {
            *not |= !seconds(value, format).is_ok_and(|seconds| seconds >= from && seconds < to);
        }
    }

    /// A column of other numbers, which orders rows by time, is one of numbers.
    fn kind(&self) -> FieldKind {
        let format = self.not.iter().zip(Self::FORMATS).find(|(not, _)| self.seen && !**not);
        format.map_or(FieldKind::Numeric, |(_, (format, _))| FieldKind::Time(format))
    }
}

/// The largest index of a line's entries, whatever else is wrong with them.
pub(super) fn largest_index(line: &[u8]) -> u64 {
    let index = |token| digits(before_colon(token).map_or(token, |(index, _)| index));
    tokens(line).filter_map(index).max().unwrap_or(0)
}

/// A line's beginning, for errors.
pub(super) fn beginning(line: &[u8]) -> String {
    if line.is_empty() { "an empty line".into() } else { format!("`{}`", excerpt(line)) }
}
