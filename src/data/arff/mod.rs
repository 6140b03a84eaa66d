//! ARFF, Weka's attribute-relation file format: dense rows, and sparse ones `{index value, …}`.
//!
//! The format as Weka's reference describes it; a date is a text, and what a file of strings leaves out of a sparse row is
//! missing.

mod header;
#[cfg(test)]
mod tests;
mod values;

use std::sync::Arc;

use super::{
    DataConfig, DataError, Format, OnBadRow, Place,
    error::shown_cell,
    made::{self, Column, Lines, RowSource, RowWriter, Source},
};
use crate::schema::FieldKind;
use header::{Attribute, Domain};
use values::{Cursor, Value};

pub(super) const ARFF: Format = Format {
    about: "Weka's ARFF: attributes with their types, then dense or sparse rows",
    open: Some(open),
    records: made::RECORDS,
    fixed_names: None,
    head: made::head,
    sample: None,
    label: None,
    kind: |_| FieldKind::Categorical,
    split: made::split,
};

fn open(source: &Source, config: &DataConfig) -> Result<Box<dyn RowSource>, DataError> {
    let text = (source.text)()?;
    let file = Arc::clone(&text.file);
    let mut lines = Lines::new(text);
    let attributes = header::read(&mut lines)?;
    let column = |attribute: &Attribute| Column { name: attribute.name.clone(), kind: attribute.kind() };
    Ok(Box::new(Rows {
        file,
        columns: attributes.iter().map(column).collect(),
        cells: vec![Vec::new(); attributes.len()],
        named: vec![false; attributes.len()],
        attributes,
        lines,
        skips_bad: config.on_bad_row == OnBadRow::Skip,
    }))
}

struct Rows {
    file: Arc<str>,
    columns: Vec<Column>,
    attributes: Vec<Attribute>,
    lines: Lines,
    /// The cells of a row, empty where missing.
    cells: Vec<Vec<u8>>,
    /// Which attributes a sparse row names.
    named: Vec<bool>,
    skips_bad: bool,
}

impl RowSource for Rows {
    fn columns(&self) -> &[Column] {
        &self.columns
    }

    fn next_row(&mut self, row: &mut RowWriter) -> Result<bool, DataError> {
        let Self { file, attributes, lines, cells, named, skips_bad, .. } = self;
        let (line, number) = loop {
            match lines.next()? {
                Some((line, number)) => {
                    let line = line.trim_ascii();
                    if !line.is_empty() && !line.starts_with(b"%") {
                        break (line, number);
                    }
                }
                None => return Ok(false),
            }
        };
        let read = if line.starts_with(b"{") {
            sparse(line, attributes, cells, named)
        } else {
            dense(line, attributes, cells)
        };
        match read {
            Ok(()) => {
                row.start(number);
                for cell in &*cells {
                    row.cell(cell);
                }
                row.end();
            }
            // without cells it is one that the split leaves out and counts
            Err(_) if *skips_bad => {
                row.start(number);
                row.end();
            }
            Err(wrong) => return Err(wrong.at(Place { file: Arc::clone(file), line: number })),
        }
        Ok(true)
    }
}

/// What is wrong with a row.
struct Wrong {
    /// The value, the first being 1.
    value: Option<usize>,
    expected: String,
    found: String,
}

impl Wrong {
    fn value(value: usize, expected: impl Into<String>, found: &[u8]) -> Self {
        Self { value: Some(value), expected: expected.into(), found: shown_cell(found) }
    }

    fn at(self, place: Place) -> DataError {
        let Self { value, expected, found } = self;
        DataError::BadRow { place, part: value.map(|value| ("value", value)), expected, found }
    }
}

/// `value, value, …`; blanks part values where no comma does.
fn dense(line: &[u8], attributes: &[Attribute], cells: &mut [Vec<u8>]) -> Result<(), Wrong> {
    let has_comma = memchr::memchr(b',', line).is_some();
    let is_end = |byte: u8| byte == b',' || (!has_comma && byte.is_ascii_whitespace());
    let mut cursor = Cursor::new(line);
    let mut found = 0;
    loop {
        let before = cursor.rest();
        let value = cursor.value(is_end).map_err(|expected| Wrong::value(found + 1, expected, before))?;
        if let (Some(attribute), Some(cell)) = (attributes.get(found), cells.get_mut(found)) {
            take(attribute, found + 1, &value, cell)?;
        } else if value.text.starts_with(b"{") && !value.quoted {
            let expected = "no weight of the row; an attribute of its own and `data.weight` give one";
            return Err(Wrong::value(found + 1, expected, &value.text));
        }
        found += 1;
        let goes_on = if has_comma { cursor.take(b',') } else { !cursor.rest().is_empty() };
        if !goes_on {
            break;
        }
    }
    if !cursor.rest().is_empty() {
        return Err(Wrong::value(found, "a comma behind the closing quote", cursor.rest()));
    }
    if found == attributes.len() {
        return Ok(());
    }
    Err(Wrong { value: None, expected: format!("{} values", attributes.len()), found: found.to_string() })
}

/// `{index value, …}` with indices from 0 on; what isn't named is 0 or the first value of a nominal attribute.
fn sparse(line: &[u8], attributes: &[Attribute], cells: &mut [Vec<u8>], named: &mut [bool]) -> Result<(), Wrong> {
    named.fill(false);
    let mut cursor = Cursor::new(&line[1..]);
    let mut entry = 0;
    while !cursor.take(b'}') {
        entry += 1;
        let before = cursor.rest();
        let closing = |expected| Wrong::value(entry, expected, before);
        let index = cursor.value(|byte| byte.is_ascii_whitespace() || matches!(byte, b',' | b'}')).map_err(closing)?;
        let value = cursor.value(|byte| matches!(byte, b',' | b'}')).map_err(closing)?;
        let position = std::str::from_utf8(&index.text).ok().and_then(|text| text.parse::<usize>().ok());
        let Some(position) = position.filter(|position| *position < attributes.len()) else {
            let expected = format!("an index from 0 to {} and a value", attributes.len() - 1);
            return Err(Wrong::value(entry, expected, &index.text));
        };
        if named[position] {
            return Err(Wrong::value(entry, "each index once in a row", &index.text));
        }
        named[position] = true;
        take(&attributes[position], entry, &value, &mut cells[position])?;
        if !cursor.take(b',') && !cursor.rest().starts_with(b"}") {
            return Err(Wrong::value(entry, "a comma or a closing brace", cursor.rest()));
        }
    }
    if !cursor.rest().is_empty() {
        let expected = "nothing behind the closing brace; an attribute of its own and `data.weight` give a weight";
        return Err(Wrong { value: None, expected: expected.into(), found: shown_cell(cursor.rest()) });
    }
    for ((attribute, cell), _) in attributes.iter().zip(cells).zip(named).filter(|(_, named)| !**named) {
        cell.clear();
        match &attribute.domain {
            Domain::Numeric => cell.push(b'0'),
            Domain::Nominal { first, .. } => cell.extend_from_slice(first),
            Domain::Text => {}
        }
    }
    Ok(())
}

/// Puts a value into its cell.
fn take(attribute: &Attribute, number: usize, value: &Value, cell: &mut Vec<u8>) -> Result<(), Wrong> {
    cell.clear();
    if value.is_missing() {
        return Ok(());
    }
    match &attribute.domain {
        Domain::Nominal { values, .. } if !values.contains(&*value.text) => {
            let expected = format!("one of the values that `{}` is declared with, or `?`", attribute.name);
            return Err(Wrong::value(number, expected, &value.text));
        }
        _ if value.text.is_empty() && !value.quoted => {
            return Err(Wrong::value(number, "a value, or `?` for a missing one", &value.text));
        }
        _ => {}
    }
    cell.extend_from_slice(&value.text);
    Ok(())
}
