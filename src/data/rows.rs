//! A block's rows: its cells as positions in the block's bytes, its labels and numbers as values. No allocation a row.

use std::ops::Range;
use std::sync::Arc;

use super::{
    DataError, Place, RawBlock,
    cells::{category, number, weight},
    error::shown_cell,
    layout::{Layout, is_comment},
    made::UNIT_SEPARATOR,
    reader::BLOCK_BYTES,
    search::each_of_two,
    time::seconds,
};
use crate::schema::FieldKind;

/// Rows that were split; its buffers are used again by the next [`split`].
#[derive(Debug, Default)]
pub struct RowBlock {
    layout: Option<Arc<Layout>>,
    bytes: Vec<u8>,
    /// Start and end of each cell in `bytes`, all columns of a row after the other.
    cells: Vec<(u32, u32)>,
    /// The line of each row.
    lines: Vec<u64>,
    labels: Vec<u8>,
    /// The rows' weights; empty without the column.
    weights: Vec<f32>,
    /// The numbers of each row's numeric fields; NaN is missing.
    numbers: Vec<f64>,
    /// For each field its position among the numeric ones.
    number_positions: Vec<usize>,
    skipped: u64,
}

/// Splits a block into rows; pure, so that blocks can be split on several threads.
///
/// # Errors
/// [`DataError`] with the place of the first bad row, unless bad rows are left out.
pub fn split(raw: RawBlock, rows: &mut RowBlock) -> Result<(), DataError> {
    let RawBlock { layout, first_line, lines, mut bytes } = raw;
    rows.clear(&layout);
    rows.reserve(lines + 1);
    (layout.format.split)(&mut bytes, first_line, rows)?;
    rows.bytes = bytes;
    Ok(())
}

impl RowBlock {
    /// The number of rows.
    pub fn rows(&self) -> usize {
        self.lines.len()
    }

    /// Whether the rows' file has the label's column.
    pub fn has_labels(&self) -> bool {
        self.layout.as_ref().is_some_and(|layout| layout.label.is_some())
    }

    /// 0 or 1.
    #[inline]
    pub fn label(&self, row: usize) -> u8 {
        self.labels[row]
    }

    /// The rows' weights in the training loss; empty where there are none.
    pub fn weights(&self) -> &[f32] {
        &self.weights
    }

    /// The text of a field, without blanks around it; empty is missing. A decimal number has no needless zeros.
    #[inline]
    pub fn cell(&self, row: usize, field: usize) -> &[u8] {
        let layout = self.layout();
        category(self.column(row, layout.fields[field], layout.names.len()), &layout.missing)
    }

    /// The texts of a field in `rows`, each as [`Self::cell`] gives it.
    pub fn cells(&self, field: usize, rows: Range<usize>) -> impl Iterator<Item = &[u8]> {
        let layout = self.layout();
        let columns = layout.names.len();
        let (cells, column) = (&self.cells[rows.start * columns..rows.end * columns], layout.fields[field]);
        let cells = cells.chunks_exact(columns.max(1)).map(move |row| row[column]);
        cells.map(|(start, end)| category(&self.bytes[start as usize..end as usize], &layout.missing))
    }

    /// The numbers of a numeric field in `rows`, each as [`Self::number`] gives it.
    pub fn numbers(&self, field: usize, rows: Range<usize>) -> impl Iterator<Item = f64> {
        let columns = self.layout().numbers.len();
        let position = self.number_positions[field];
        let numbers = &self.numbers[rows.start * columns..rows.end * columns];
        numbers.chunks_exact(columns.max(1)).map(move |row| row[position])
    }

    /// The texts of a field of several values, each as [`Self::cell`] gives one. Where a reader knows the single values, they
    /// are as it knows them; otherwise `separator` parts them.
    #[inline]
    pub fn values(&self, row: usize, field: usize, separator: u8) -> impl Iterator<Item = &[u8]> {
        let layout = self.layout();
        let cell = self.column(row, layout.fields[field], layout.names.len());
        let values = cell.split(move |byte| *byte == separator || *byte == UNIT_SEPARATOR);
        values.map(|value| category(value, &layout.missing)).filter(|value| !value.is_empty())
    }

    /// The number of a numeric field, or the seconds since 1970 of a time; NaN is missing.
    #[inline]
    pub fn number(&self, row: usize, field: usize) -> f64 {
        self.numbers[row * self.layout().numbers.len() + self.number_positions[field]]
    }

    /// The text of a column of `Wanted::extra`.
    #[inline]
    pub fn extra(&self, row: usize, index: usize) -> &[u8] {
        let layout = self.layout();
        self.column(row, layout.extra[index], layout.names.len())
    }

    /// Where a row stands.
    pub fn place(&self, row: usize) -> Place {
        self.place_of(self.lines[row])
    }

    /// A line of the block's file.
    pub(super) fn place_of(&self, line: u64) -> Place {
        Place { file: Arc::clone(&self.layout().file), line }
    }

    /// What separates the cells of CSV.
    pub(super) fn separator(&self) -> u8 {
        self.layout().separator
    }

    /// Whether a line is no row but a comment.
    #[inline]
    pub(super) fn is_comment(&self, line: &[u8]) -> bool {
        is_comment(line, &self.layout().comment)
    }

    /// Takes back the cells that were added since the last row.
    pub(super) fn take_back(&mut self) {
        self.cells.truncate(self.lines.len() * self.layout().names.len());
    }

    /// The columns' names, in the order in which a row's cells are added.
    pub(super) fn column_names(&self) -> &[String] {
        &self.layout().names
    }

    /// The kind of each column's field; none for columns that are no field.
    pub(super) fn column_kinds(&self) -> &[Option<FieldKind>] {
        &self.layout().kinds
    }

    /// Bad rows left out.
    pub fn skipped(&self) -> u64 {
        self.skipped
    }

    fn layout(&self) -> &Layout {
        self.layout.as_ref().expect("only a block that was split has rows")
    }

    #[inline]
    fn column(&self, row: usize, column: usize, columns: usize) -> &[u8] {
        let (start, end) = self.cells[row * columns + column];
        &self.bytes[start as usize..end as usize]
    }

    fn clear(&mut self, layout: &Arc<Layout>) {
        self.number_positions.clear();
        self.number_positions.resize(layout.fields.len(), usize::MAX);
        for (position, (field, ..)) in layout.numbers.iter().enumerate() {
            self.number_positions[*field] = position;
        }
        self.layout = Some(Arc::clone(layout));
        self.cells.clear();
        self.lines.clear();
        self.labels.clear();
        self.weights.clear();
        self.numbers.clear();
        self.skipped = 0;
    }

    /// Makes room for about so many rows, so that few buffers are moved as they grow; never for more than an ordinary block may need,
    /// since lines that end within a quoted cell are no rows.
    fn reserve(&mut self, rows: usize) {
        const MOST: usize = 2 * BLOCK_BYTES;
        let layout = self.layout.as_ref().expect("a block has a layout before it has rows");
        self.cells.reserve(rows.saturating_mul(layout.names.len()).min(MOST));
        self.numbers.reserve(rows.saturating_mul(layout.numbers.len()).min(MOST));
        self.lines.reserve(rows.min(MOST));
        self.labels.reserve(rows.min(MOST));
    }

    /// Starts a row; its cells are added by [`Self::add_cell`].
    #[inline]
    pub(super) fn add_cell(&mut self, start: usize, end: usize) {
        #[expect(clippy::cast_possible_truncation, reason = "a block is far below 4 GiB")]
        self.cells.push((start as u32, end as u32));
    }

    /// Adds so many cells that are missing until [`Self::set_cell`] gives them a text; tells the position of the first.
    #[inline]
    pub(super) fn add_empty_cells(&mut self, cells: usize) -> usize {
        let first = self.cells.len();
        self.cells.resize(first + cells, (0, 0));
        first
    }

    /// Puts a text into a cell; false where there was one already.
    #[inline]
    pub(super) fn set_cell(&mut self, position: usize, start: usize, end: usize) -> bool {
        let is_missing = self.cells[position] == (0, 0);
        #[expect(clippy::cast_possible_truncation, reason = "a block is far below 4 GiB")]
        let cell = (start as u32, end as u32);
        self.cells[position] = cell;
        is_missing
    }

    /// Ends the row whose cells were added since the last one: checks their number, reads label and numbers.
    #[inline]
    pub(super) fn end_row(&mut self, bytes: &[u8], line: u64) -> Result<(), DataError> {
        match self.read_row(bytes, line) {
            Ok(()) => {
                self.lines.push(line);
                Ok(())
            }
            Err(error) => self.drop_row(error),
        }
    }

    /// Leaves out the row whose cells were added since the last one, or fails with what is wrong with it.
    #[cold]
    pub(super) fn drop_row(&mut self, error: DataError) -> Result<(), DataError> {
        let layout = self.layout.as_ref().expect("a row ends in a block");
        if !layout.skip_bad_rows {
            return Err(error);
        }
        self.skipped += 1;
        self.cells.truncate(self.lines.len() * layout.names.len());
        self.numbers.truncate(self.lines.len() * layout.numbers.len());
        self.labels.truncate(self.lines.len());
        self.weights.truncate(self.lines.len());
        Ok(())
    }

    #[inline]
    fn read_row(&mut self, bytes: &[u8], line: u64) -> Result<(), DataError> {
        let layout = self.layout.as_deref().expect("a row ends in a block");
        let cells = &self.cells[self.lines.len() * layout.names.len()..];
        let place = || Place { file: Arc::clone(&layout.file), line };
        if cells.len() != layout.names.len() {
            return Err(DataError::Cells { place: place(), expected: layout.names.len(), found: cells.len() });
        }
        let cell = |column: usize| &bytes[cells[column].0 as usize..cells[column].1 as usize];
        if let Some(column) = layout.label {
            match layout.labels.read(cell(column)) {
                Ok(label) => self.labels.push(label),
                Err(expected) => {
                    let (field, found) = (layout.label_name.clone(), shown_cell(cell(column)));
                    return Err(DataError::Label { place: place(), field, expected, found });
                }
            }
        }
        if let Some(column) = layout.weight {
            match weight(cell(column)) {
                Ok(weight) => self.weights.push(weight),
                Err(expected) => {
                    let (column, found) = (layout.names[column].clone(), shown_cell(cell(column)));
                    return Err(DataError::Weight { place: place(), column, expected, found });
                }
            }
        }
        for &(field, column, kind) in &layout.numbers {
            let text = if layout.missing.is_empty() { cell(column) } else { category(cell(column), &layout.missing) };
            let read = if let FieldKind::Time(format) = kind { seconds(text, format) } else { number(text) };
            match read {
                Ok(number) => self.numbers.push(number),
                Err(expected) => {
                    let (field, found) = (layout.field_names[field].clone(), shown_cell(cell(column)));
                    return Err(DataError::Number { place: place(), field, expected, found });
                }
            }
        }
        Ok(())
    }
}

/// Splits lines at `separator`, quotes being text like any other.
pub(super) fn split_lines(separator: u8, bytes: &[u8], first_line: u64, rows: &mut RowBlock) -> Result<(), DataError> {
    split_lines_from(0, separator, bytes, first_line, rows)
}

/// As [`split_lines`], for the lines from the position `start` on.
pub(super) fn split_lines_from(
    mut start: usize,
    separator: u8,
    bytes: &[u8],
    first_line: u64,
    rows: &mut RowBlock,
) -> Result<(), DataError> {
    let (mut line, mut cell_start) = (first_line, start);
    let mut end_line = |rows: &mut RowBlock, cell_start: usize, end: usize| {
        let text_end = if end > cell_start && bytes[end - 1] == b'\r' { end - 1 } else { end };
        // a blank line is no row
        let ended = if rows.is_comment(&bytes[start..text_end]) {
            rows.take_back();
            Ok(())
        } else if text_end > start {
            rows.add_cell(cell_start, text_end);
            rows.end_row(bytes, line)
        } else {
            Ok(())
        };
        start = end + 1;
        line += 1;
        ended
    };
    each_of_two(separator, b'\n', bytes, cell_start, |position| {
        if bytes[position] == separator {
            rows.add_cell(cell_start, position);
        } else {
            end_line(rows, cell_start, position)?;
        }
        cell_start = position + 1;
        Ok(())
    })?;
    if cell_start < bytes.len() || (cell_start == bytes.len() && cell_start > 0 && bytes[cell_start - 1] == separator) {
        end_line(rows, cell_start, bytes.len())?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::{DataConfig, Input, Reader, Wanted, schema};

    #[test]
    fn a_cell_of_line_ends_makes_no_room_beyond_a_blocks() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("rows.csv");
        std::fs::write(&path, format!("label,x\n1,\"{}\"\n0,a\n", "\n".repeat(20 * BLOCK_BYTES))).unwrap();
        let config: DataConfig = toml::from_str("format = \"csv\"\ntrain = [\"-\"]").unwrap();
        let inputs = vec![Input::File(path)];
        let schema = schema(&config, &inputs, &|_, kind| kind).unwrap();
        let wanted = Wanted { schema, label: Some(config.label.column.clone()), ..Wanted::default() };
        let mut reader = Reader::open(&config, inputs, wanted).unwrap();
        let (mut rows, mut read) = (RowBlock::default(), 0);
        while let Some(raw) = reader.next().unwrap() {
            split(raw, &mut rows).unwrap();
            read += rows.rows();
        }
        assert_eq!(read, 2);
        assert!(rows.cells.capacity() <= 4 * BLOCK_BYTES && rows.lines.capacity() <= 4 * BLOCK_BYTES);
    }
}
