//! ChaLearn AutoML, as of the challenges of 2015 and 2018: `NAME_train.data` with a row a line, values between blanks, `NaN`
//! for missing; beside it `NAME_train.solution` with a label a line, `NAME_public.info`, `NAME_feat.type`, `NAME_feat.name`.
//!
//! - Rows are dense, sparse (`index:value` from 1 on, an omitted value being 0) or sparse and binary (`index`); the info's
//!   `is_sparse`, or else the rows, tell which. A sparse line that is empty is a row.
//! - A feature is a field, named by `NAME_feat.name` or its number from 1 on. Sparse rows of more than 1,000 features are one
//!   field `features` of several values instead: `index`, or `index:value`, which `weighted = true` takes for a weight.
//! - `Binary` and `Categorical` are categories, `Multi-value` is several of them joined by commas; `Time` is a time if it is
//!   written as one, and a number otherwise.
//! - Parts that are numbered, `NAME_train1.data` or `NAME_train.data.1`, are one set: each with a solution of its own, or
//!   all with one. `NAME_train.data` names all of them where there is no such file.
//! - A task that isn't binary is refused unless `data.label` chooses a column of its solution, or makes two classes of one.

mod companions;
mod description;
mod rows;
#[cfg(test)]
mod set_tests;
mod solution;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod wrong_tests;

use std::path::PathBuf;
use std::sync::Arc;

use memchr::memrchr;

pub(super) use companions::{companions, parts};

use super::{
    DataConfig, DataError, Format, Input, OnBadRow, Place,
    input::Text,
    layout::{BYTE_ORDER_MARK, FixedLabel},
    made::{self, Column, Lines, RowSource, RowWriter, Source},
    reader::RECORD_BYTES,
};
use crate::schema::FieldKind;
use companions::{Companions, SolutionFile};
use description::{Description, Stated};
use rows::{Entry, Form, Rows, largest_index, tokens};
use solution::Solution;

/// The label's column among those that the rows are made into.
const LABEL: &str = "label";
/// The one field of sparse rows with more features than [`MOST_FIELDS`].
const FEATURES: &str = "features";
const MOST_FIELDS: u64 = 1_000;
/// More features than this of dense rows are a wrong number.
const MOST_FEATURES: u64 = 1 << 20;
/// Bytes of a file that are looked at before its rows are read.
const SAMPLE_BYTES: usize = 1 << 20;

pub(super) const AUTOML: Format = Format {
    about: "ChaLearn AutoML: NAME_train.data, dense or sparse, beside its .solution, NAME_public.info and NAME_feat.type",
    open: Some(open),
    records: made::RECORDS,
    fixed_names: None,
    head: made::head,
    sample: None,
    label: Some(FixedLabel {
        name: LABEL,
        without: "its labels in a solution beside it (`NAME_train.solution` for `NAME_train.data`), found none",
    }),
    kind: |_| FieldKind::Categorical,
    split: made::split,
};

/// The rows of one file with their labels.
struct AutomlRows {
    file: Arc<str>,
    columns: Vec<Column>,
    lines: Lines,
    rows: Rows,
    solution: Option<Solution>,
    skip_bad_rows: bool,
    /// The last line.
    line: u64,
    entries: Vec<Entry>,
    cell: Vec<u8>,
}

fn open(source: &Source, config: &DataConfig) -> Result<Box<dyn RowSource>, DataError> {
    let files = match source.input {
        Input::File(path) => Companions::of(path)?,
        Input::Stdin => Companions::default(),
    };
    let description = Description::read(&files)?;
    let mut text = (source.text)()?;
    let file = Arc::clone(&text.file);
    let (head, sample_bytes) = read_sample(&mut text)?;
    let sample = &head[..sample_bytes];
    let form = Form::of(&description, sample)?;
    let features = match &description.count {
        Some(Stated { value, .. }) => *value,
        None if form == Form::Dense => first_line(sample, &file)?,
        None => largest_of(source.input)?,
    };
    check_features(form, features, &description)?;
    let one_field = form != Form::Dense && features > MOST_FIELDS;
    let rows = Rows::new(form, features, one_field, &description, sample);
    let solution = files.solution.as_ref().map(|solution| {
        let earlier = earlier_rows(solution, form)?;
        Solution::open(solution, earlier, files.label_names.as_deref(), &description, config)
    });
    let solution = solution.transpose()?;
    Ok(Box::new(AutomlRows {
        columns: columns(solution.is_some(), &rows, &description),
        lines: Lines::behind(head, text),
        file,
        rows,
        solution,
        skip_bad_rows: config.on_bad_row == OnBadRow::Skip,
        line: 0,
        entries: Vec::new(),
        cell: Vec::new(),
    }))
}

/// The file's first bytes, and how many of them are whole lines.
fn read_sample(text: &mut Text) -> Result<(Vec<u8>, usize), DataError> {
    let mut head = Vec::new();
    loop {
        let read = text.read_more(&mut head, SAMPLE_BYTES)?;
        if head.starts_with(BYTE_ORDER_MARK) {
            head.drain(..BYTE_ORDER_MARK.len());
        }
        if read < SAMPLE_BYTES {
            let whole = head.len();
            return Ok((head, whole));
        }
        match memrchr(b'\n', &head) {
            Some(end) => return Ok((head, end + 1)),
            None if head.len() > RECORD_BYTES => {
                let place = Place { file: Arc::clone(&text.file), line: 1 };
                return Err(DataError::RecordTooLong { place, limit_bytes: RECORD_BYTES });
            }
            None => {}
        }
    }
}

/// How many values the first row has.
fn first_line(sample: &[u8], file: &Arc<str>) -> Result<u64, DataError> {
    let lengths = sample.split(|byte| *byte == b'\n').map(|line| tokens(line).count());
    let first = lengths.into_iter().find(|length| *length > 0);
    first.map(|length| length as u64).ok_or_else(|| DataError::Empty { file: Arc::clone(file) })
}

/// The largest index in a file of sparse rows.
fn largest_of(input: &Input) -> Result<u64, DataError> {
    let place = Place { file: input.name(), line: 1 };
    if *input == Input::Stdin {
        let expected = "a file beside which `NAME_public.info` says how many features there are";
        return Err(DataError::stated(place, expected, "sparse rows from standard input", "name the file"));
    }
    let mut lines = Lines::new(Text::rows(input, &Arc::default())?);
    let mut largest = 0;
    while let Some((line, _)) = lines.next()? {
        largest = largest.max(largest_index(line));
    }
    if largest > 0 {
        return Ok(largest);
    }
    let hint = "`feat_num = …` in `NAME_public.info` says how many features there are";
    Err(DataError::stated(place, "an index from 1 on in some row", "none in the file", hint))
}

fn check_features(form: Form, features: u64, description: &Description) -> Result<(), DataError> {
    let most = if form == Form::Dense { MOST_FEATURES } else { u64::MAX };
    match &description.count {
        Some(count) if features == 0 || features > most => {
            let expected = format!("a number of features from 1 to {most}");
            Err(DataError::stated(count.place.clone(), expected, features.to_string(), "mend the number"))
        }
        _ => Ok(()),
    }
}

fn columns(has_label: bool, rows: &Rows, description: &Description) -> Vec<Column> {
    let mut columns = Vec::with_capacity(rows.kinds.len() + 1);
    if rows.kinds.is_empty() {
        columns.push(Column { name: FEATURES.into(), kind: FieldKind::MultiValue });
    }
    let feature = |(feature, kind): (usize, &FieldKind)| Column { name: description.name(feature), kind: *kind };
    columns.extend(rows.kinds.iter().enumerate().map(feature));
    // behind the features, whose positions are those in the file
    columns.extend(has_label.then(|| Column { name: LABEL.into(), kind: FieldKind::Categorical }));
    columns
}

/// How many rows the parts have whose labels stand before this one's.
fn earlier_rows(solution: &SolutionFile, form: Form) -> Result<u64, DataError> {
    let rows = |path: &PathBuf| {
        let mut lines = Lines::new(Text::rows(&Input::File(path.clone()), &Arc::default())?);
        let mut rows = 0;
        while let Some((line, _)) = lines.next()? {
            rows += u64::from(is_row(form, line));
        }
        Ok(rows)
    };
    solution.earlier.iter().map(rows).sum()
}

/// A sparse row may be empty.
fn is_row(form: Form, line: &[u8]) -> bool {
    form != Form::Dense || tokens(line).next().is_some()
}

impl RowSource for AutomlRows {
    fn columns(&self) -> &[Column] {
        &self.columns
    }

    fn next_row(&mut self, row: &mut RowWriter) -> Result<bool, DataError> {
        let Self { file, lines, rows, solution, skip_bad_rows, line, entries, cell, .. } = self;
        let place = |line| Place { file: Arc::clone(file), line };
        let text = loop {
            let Some((text, number)) = lines.next()? else {
                let end = place(*line + 1);
                return solution.as_mut().map_or(Ok(()), |solution| solution.finish(end)).map(|()| false);
            };
            *line = number;
            if is_row(rows.form, text) {
                break text;
            }
        };
        let label = match solution {
            Some(solution) => Some(solution.next(&|| format!("the row at {}", place(*line)))?),
            None => None,
        };
        match rows.read(text, entries) {
            Ok(()) => {
                row.start(*line);
                rows.write(text, entries, cell, row);
                if let Some(label) = label {
                    row.cell(label);
                }
                row.end();
            }
            // without cells it is one that the split leaves out and counts
            Err(_) if *skip_bad_rows => {
                row.start(*line);
                row.end();
            }
            Err(wrong) => return Err(wrong.at(place(*line))),
        }
        Ok(true)
    }
}
