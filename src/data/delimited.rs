//! CSV and TSV with a header. CSV has quotes as RFC 4180 says, read by `csv-core`; in TSV a quote is text.

use csv_core::{ReadRecordResult, Reader, ReaderBuilder, Terminator};
use memchr::{memchr, memchr_iter};

use super::{
    ColumnRef, DataConfig, DataError, Format, OnBadRow, Place, RowBlock, Separator,
    error::excerpt,
    layout::{BYTE_ORDER_MARK, Head},
    records::{End, Records, without_line_end},
    rows::{split_lines, split_lines_from},
};
use crate::schema::FieldKind;

const CSV_RECORDS: Records = Records::Quoted { separator: b',' };

pub(super) const CSV: Format = Format {
    about: "a header, then rows separated by commas; quotes as RFC 4180 says",
    open: None,
    records: CSV_RECORDS,
    fixed_names: None,
    head: csv_head,
    sample: None,
    label: None,
    kind: |_| FieldKind::Categorical,
    split: split_csv,
};

pub(super) const TSV: Format = Format {
    about: "a header, then rows separated by tabs; quotes are text",
    open: None,
    records: Records::Lines,
    fixed_names: None,
    head: tsv_head,
    sample: None,
    label: None,
    kind: |_| FieldKind::Categorical,
    split: |bytes, first_line, rows| split_lines(b'\t', bytes, first_line, rows),
};

fn csv_head(record: &[u8], place: &Place, config: &DataConfig) -> Result<Head, DataError> {
    let names = cells(record, config.separator);
    let expected = if config.separator.0 == b',' {
        "a header separated by commas"
    } else {
        "a header separated by `data.separator`"
    };
    header(names, record, place, config, expected)
}

/// The cells of a record of CSV, without quotes and blanks around them.
pub(super) fn cells(record: &[u8], separator: Separator) -> Vec<String> {
    let mut text = record.to_vec();
    let mut cells = Vec::new();
    Unquoter::new(separator.0).unquote(&mut text, 0, record.len(), |text, start, end| {
        cells.push(name(&text[start..end]));
    });
    cells
}

fn tsv_head(record: &[u8], place: &Place, config: &DataConfig) -> Result<Head, DataError> {
    let names = record.split(|byte| *byte == b'\t').map(name).collect();
    header(names, record, place, config, "a header separated by tabs")
}

fn name(cell: &[u8]) -> String {
    String::from_utf8_lossy(cell).trim().to_owned()
}

fn header(
    names: Vec<String>,
    record: &[u8],
    place: &Place,
    config: &DataConfig,
    expected: &'static str,
) -> Result<Head, DataError> {
    if !config.columns.is_empty() {
        return without_header(&names, place, config);
    }
    if names.len() > 1 {
        return Ok(Head { names, kinds: None, is_header: true, hidden: 0, numbering: None });
    }
    let others = [',', '\t', ';', '|', ' '];
    let seems = others.into_iter().find(|separator| record.contains(&(*separator as u8)));
    Err(DataError::Separator { place: place.clone(), expected, beginning: excerpt(record), seems })
}

/// The columns are those of `data.columns`, and `found` is the first row.
fn without_header(found: &[String], place: &Place, config: &DataConfig) -> Result<Head, DataError> {
    let mut names = config.columns.clone();
    if found == names {
        return Err(DataError::Header { place: place.clone() });
    }
    // as of other formats, files to be scored may lack the label
    if found.len() + 1 == names.len() {
        names = without_label(names, &config.label.column);
    }
    // a first line that is no row is left out as any other, and counted
    if found.len() != names.len() && config.on_bad_row != OnBadRow::Skip {
        return Err(DataError::Columns { place: place.clone(), expected: names.len(), found: found.len() });
    }
    Ok(Head { names, kinds: None, is_header: false, hidden: 0, numbering: None })
}

fn without_label(mut names: Vec<String>, label: &ColumnRef) -> Vec<String> {
    let position = match label {
        ColumnRef::Position(position) => Some(*position),
        ColumnRef::Name(label) => names.iter().position(|name| name == label),
    };
    if let Some(position) = position.filter(|position| *position < names.len()) {
        names.remove(position);
    }
    names
}

pub(super) fn split_csv(bytes: &mut [u8], first_line: u64, rows: &mut RowBlock) -> Result<(), DataError> {
    let separator = rows.separator();
    let records = Records::Quoted { separator };
    if memchr(b'"', bytes).is_none() {
        return split_lines(separator, bytes, first_line, rows);
    }
    let mut unquoter = Unquoter::new(separator);
    let (mut start, mut line) = (0, first_line);
    while start < bytes.len() {
        let (end, quoted) = records.end(bytes, start);
        let end = if let End::At(end) = end { end } else { bytes.len() };
        let lines = memchr_iter(b'\n', &bytes[start..end]).count() as u64;
        let length = without_line_end(&bytes[start..end]).len();
        if rows.is_comment(&bytes[start..start + length]) {
            (start, line) = (end, line + lines);
            continue;
        }
        if quoted {
            unquoter.unquote(bytes, start, start + length, |_, cell_start, cell_end| {
                rows.add_cell(cell_start, cell_end);
            });
            rows.end_row(bytes, line)?;
        } else {
            split_lines_from(start, separator, &bytes[..end], line, rows)?;
        }
        start = end;
        line += lines;
    }
    Ok(())
}

/// Takes quotes out of records, with the automaton and the buffers for the next one.
pub(super) struct Unquoter {
    reader: Reader,
    text: Vec<u8>,
    ends: Vec<usize>,
}

impl Unquoter {
    pub(super) fn new(separator: u8) -> Self {
        // building the automaton costs far more than a record; the record's own line end is off already
        let reader = ReaderBuilder::new().delimiter(separator).terminator(Terminator::Any(b'\n')).build();
        Self { reader, text: Vec::new(), ends: Vec::new() }
    }

    /// Takes the quotes out of the record at `start..end`, in place, and gives each cell's new position.
    ///
    /// A record never grows by it, so that its cells fit where it stood.
    pub(super) fn unquote(
        &mut self,
        bytes: &mut [u8],
        start: usize,
        end: usize,
        mut cell: impl FnMut(&[u8], usize, usize),
    ) {
        let record = &bytes[start..end];
        self.reader.reset();
        self.text.resize(record.len() + 1, 0);
        self.ends.resize(record.len() + 2, 0);
        // the automaton would leave a mark out, which only a file's first bytes are; a part of one it doesn't know
        let (first, rest) = record.split_at(usize::from(record.starts_with(BYTE_ORDER_MARK)));
        let (mut read, mut written, mut cells) = (0, 0, 0);
        for part in [first, rest].into_iter().filter(|part| !part.is_empty()) {
            let (_, more_read, more, more_cells) =
                self.reader.read_record(part, &mut self.text[written..], &mut self.ends[cells..]);
            (read, written, cells) = (read + more_read, written + more, cells + more_cells);
        }
        debug_assert_eq!(read, record.len(), "a record holds no line end outside of quotes");
        // the empty input says that the record is over
        let (result, _, more, more_cells) =
            self.reader.read_record(&[], &mut self.text[written..], &mut self.ends[cells..]);
        debug_assert_eq!(result, ReadRecordResult::Record, "the end of the input ends a record");
        written += more;
        cells += more_cells;
        bytes[start..start + written].copy_from_slice(&self.text[..written]);
        let mut cell_start = 0;
        for &cell_end in &self.ends[..cells] {
            cell(bytes, start + cell_start, start + cell_end);
            cell_start = cell_end;
        }
    }
}
