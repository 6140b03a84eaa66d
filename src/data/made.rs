//! Formats whose files aren't one record a row (Parquet, ARFF, AutoML): a [`RowSource`] reads them, [`MadeText`] writes their
//! rows as text, and the reader cuts and splits that text as any other.
//!
//! The text is CSV. Its header gives each column's name and kind; the first cell of a record is the line or the row of the
//! file from which it was made, so that errors name the place in the file.

use std::io::{self, Read};
use std::sync::{Arc, atomic::AtomicU64};

use memchr::{memchr, memchr_iter, memchr3};

use super::{
    DataConfig, DataError, Input, Place, RowBlock,
    delimited::Unquoter,
    error::excerpt,
    input::Text,
    layout::{BYTE_ORDER_MARK, Head},
    reader::RECORD_BYTES,
    records::{End, Records, without_line_end},
};
use crate::schema::{FieldKind, TimeFormat};

/// Stands in no text that people write: it parts a column's name from its kind, and the values of a multi-value cell.
pub(super) const UNIT_SEPARATOR: u8 = 0x1F;
/// The column that holds each row's line.
const PLACE: &str = "\u{1f}place";
/// Text made at a time.
const CHUNK_BYTES: usize = 1 << 16;

pub(super) const RECORDS: Records = Records::Quoted { separator: b',' };

/// A column of a file that says what its columns are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Column {
    pub(super) name: String,
    pub(super) kind: FieldKind,
}

/// Reads the rows of one file, in order.
pub(super) trait RowSource: Send {
    fn columns(&self) -> &[Column];

    /// Writes the next row, or tells that there is none.
    ///
    /// # Errors
    /// [`DataError`] for a file that can't be read on. A row that alone is wrong is written as it is found where the split
    /// will refuse it, since only the split knows whether bad rows are left out.
    fn next_row(&mut self, row: &mut RowWriter) -> Result<bool, DataError>;
}

/// Opens a file whose rows are made into text.
pub(super) type Open = fn(source: &Source, config: &DataConfig) -> Result<Box<dyn RowSource>, DataError>;

/// A file that is to be opened.
pub(super) struct Source<'a> {
    pub(super) input: &'a Input,
    /// Opens the input's text, unpacked; its packed bytes are counted.
    pub(super) text: &'a dyn Fn() -> Result<Text, DataError>,
    /// Where a source that doesn't read the text counts the file's bytes.
    pub(super) bytes_read: &'a Arc<AtomicU64>,
}

/// The lines of a text, one after the other.
pub(super) struct Lines {
    text: Text,
    bytes: Vec<u8>,
    start: usize,
    line: u64,
}

impl Lines {
    pub(super) fn new(text: Text) -> Self {
        Self { text, bytes: Vec::new(), start: 0, line: 0 }
    }

    /// The lines of a text whose first bytes, `head`, were read from it already.
    pub(super) fn behind(head: Vec<u8>, text: Text) -> Self {
        Self { bytes: head, ..Self::new(text) }
    }

    /// The number of the last line given out.
    pub(super) fn line(&self) -> u64 {
        self.line
    }

    /// The next line without its end, with its number, the first being 1; `None` behind the last one. What follows the last
    /// line feed is a line, where there is anything.
    ///
    /// # Errors
    /// [`DataError`] where the text can't be read on or a line is longer than any record may be.
    pub(super) fn next(&mut self) -> Result<Option<(&[u8], u64)>, DataError> {
        let mut searched = self.start;
        let end = loop {
            if let Some(length) = memchr(b'\n', &self.bytes[searched..]) {
                break searched + length + 1;
            }
            self.bytes.drain(..self.start);
            self.start = 0;
            searched = self.bytes.len();
            if searched > RECORD_BYTES {
                return Err(DataError::RecordTooLong { place: self.place(self.line + 1), limit_bytes: RECORD_BYTES });
            }
            if self.text.read_more(&mut self.bytes, CHUNK_BYTES)? == 0 {
                break searched;
            }
            if self.line == 0 && self.bytes.starts_with(BYTE_ORDER_MARK) {
                self.bytes.drain(..BYTE_ORDER_MARK.len());
            }
        };
        if end == self.start {
            return Ok(None);
        }
        let line = without_line_end(&self.bytes[self.start..end]);
        self.start = end;
        self.line += 1;
        Ok(Some((line, self.line)))
    }

    /// A line of the text.
    pub(super) fn place(&self, line: u64) -> Place {
        Place { file: Arc::clone(&self.text.file), line }
    }
}

/// Writes one row's cells.
#[derive(Debug, Default)]
pub(super) struct RowWriter {
    text: Vec<u8>,
}

impl RowWriter {
    /// Starts a row; `line` is where it stands in its file.
    pub(super) fn start(&mut self, line: u64) {
        self.text.extend_from_slice(line.to_string().as_bytes());
    }

    /// Adds the next cell; empty is missing.
    pub(super) fn cell(&mut self, cell: &[u8]) {
        self.text.push(b',');
        if memchr3(b',', b'\n', b'"', cell).is_none() && memchr(b'\r', cell).is_none() {
            self.text.extend_from_slice(cell);
            return;
        }
        self.text.push(b'"');
        for part in cell.split_inclusive(|byte| *byte == b'"') {
            self.text.extend_from_slice(part);
            if part.ends_with(b"\"") {
                self.text.push(b'"');
            }
        }
        self.text.push(b'"');
    }

    pub(super) fn end(&mut self) {
        self.text.push(b'\n');
    }
}

/// The text made of a source's rows.
pub(super) struct MadeText {
    source: Box<dyn RowSource>,
    writer: RowWriter,
    read: usize,
    over: bool,
}

impl MadeText {
    pub(super) fn new(source: Box<dyn RowSource>) -> Self {
        let mut writer = RowWriter::default();
        writer.text.extend_from_slice(PLACE.as_bytes());
        for column in source.columns() {
            writer.cell(format!("{}\u{1f}{}", column.name, letter(column.kind)).as_bytes());
        }
        writer.end();
        Self { source, writer, read: 0, over: false }
    }

    fn make_more(&mut self) -> Result<(), DataError> {
        self.writer.text.clear();
        self.read = 0;
        while !self.over && self.writer.text.len() < CHUNK_BYTES {
            self.over = !self.source.next_row(&mut self.writer)?;
        }
        Ok(())
    }
}

impl Read for MadeText {
    /// An error carries the source's [`DataError`].
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.read == self.writer.text.len() {
            self.make_more().map_err(io::Error::other)?;
        }
        let rest = &self.writer.text[self.read..];
        let length = rest.len().min(buffer.len());
        buffer[..length].copy_from_slice(&rest[..length]);
        self.read += length;
        Ok(length)
    }
}

const KINDS: [(char, FieldKind); 8] = [
    ('n', FieldKind::Numeric),
    ('c', FieldKind::Categorical),
    ('m', FieldKind::MultiValue),
    ('w', FieldKind::WeightedValues),
    ('h', FieldKind::Time(TimeFormat::YearToHour)),
    ('i', FieldKind::Time(TimeFormat::Iso)),
    ('u', FieldKind::Time(TimeFormat::Unix)),
    ('s', FieldKind::Time(TimeFormat::UnixMilliseconds)),
];

fn letter(kind: FieldKind) -> char {
    KINDS.iter().find(|(_, other)| *other == kind).expect("every kind has a letter").0
}

/// The columns of a made text's header.
pub(super) fn head(record: &[u8], place: &Place, _config: &DataConfig) -> Result<Head, DataError> {
    let mut text = record.to_vec();
    let (mut names, mut kinds) = (Vec::new(), Vec::new());
    Unquoter::new(b',').unquote(&mut text, 0, record.len(), |text, start, end| {
        let cell = String::from_utf8_lossy(&text[start..end]).into_owned();
        let (name, kind) = cell.rsplit_once('\u{1f}').filter(|_| !names.is_empty()).unwrap_or((&cell, "c"));
        let kind = KINDS.iter().find(|(letter, _)| kind.starts_with(*letter)).map(|(_, kind)| *kind);
        kinds.push(kind.unwrap_or(FieldKind::Categorical));
        names.push(name.to_owned());
    });
    if names.len() < 2 {
        let beginning = excerpt(record);
        return Err(DataError::Separator { place: place.clone(), expected: "columns", beginning, seems: None });
    }
    Ok(Head { names, kinds: Some(kinds), is_header: true, hidden: 1, numbering: None })
}

/// Splits a block of made text.
pub(super) fn split(bytes: &mut [u8], _first_line: u64, rows: &mut RowBlock) -> Result<(), DataError> {
    let mut unquoter = Unquoter::new(b',');
    let mut start = 0;
    while start < bytes.len() {
        let (end, quoted) = RECORDS.end(bytes, start);
        let end = if let End::At(end) = end { end } else { bytes.len() };
        let length = without_line_end(&bytes[start..end]).len();
        let line = line_number(&bytes[start..start + length]);
        if quoted {
            unquoter
                .unquote(bytes, start, start + length, |_, cell_start, cell_end| rows.add_cell(cell_start, cell_end));
        } else {
            let mut cell_start = start;
            for comma in memchr_iter(b',', &bytes[start..start + length]) {
                rows.add_cell(cell_start, start + comma);
                cell_start = start + comma + 1;
            }
            rows.add_cell(cell_start, start + length);
        }
        rows.end_row(bytes, line)?;
        start = end;
    }
    Ok(())
}

fn line_number(record: &[u8]) -> u64 {
    let digits = record.iter().take_while(|byte| byte.is_ascii_digit());
    digits.fold(0, |number, digit| number * 10 + u64::from(digit - b'0'))
}
