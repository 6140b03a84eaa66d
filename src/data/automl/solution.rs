//! The labels, which stand in a file of their own: a line a row, a column a target.

use std::path::Path;
use std::sync::Arc;

use super::super::{ColumnRef, DataConfig, DataError, LabelConfig, Place, layout::nearest, made::Lines};
use super::companions::SolutionFile;
use super::description::{Description, Stated, file_name, list, open_lines, text};
use super::rows::{beginning, tokens};

const BINARY: &str = "binary.classification";

/// Reads the labels of a part's rows.
pub(super) struct Solution {
    lines: Lines,
    file: Arc<str>,
    /// The values of a line, and which of them is the label.
    columns: usize,
    label: usize,
    /// Whether no labels follow those of the part.
    is_last: bool,
    text: Vec<u8>,
}

impl Solution {
    /// Opens the file behind the labels of `earlier_rows` rows.
    ///
    /// # Errors
    /// For a task that isn't binary and of which no column is chosen, a chosen column that isn't there, and a file without
    /// labels, or fewer than the earlier parts have rows.
    pub(super) fn open(
        solution: &SolutionFile,
        earlier_rows: u64,
        label_names: Option<&Path>,
        description: &Description,
        config: &DataConfig,
    ) -> Result<Self, DataError> {
        let (path, file) = (&solution.path, file_name(&solution.path));
        let columns = first_line_columns(path)?;
        check_columns(columns, &file, description)?;
        if !is_chosen(config) {
            check_task(columns, &file, description)?;
        }
        let names = label_names.map(|path| list(path, |line, _| Ok(text(line)))).transpose()?.unwrap_or_default();
        let label = label_column(&config.label, columns, &names, &file)?;
        let (lines, text) = (open_lines(path)?, Vec::new());
        let mut solution = Self { lines, file, columns, label, is_last: solution.is_last, text };
        for row in 0..earlier_rows {
            solution.next(&|| format!("the row {} of the earlier parts", row + 1))?;
        }
        Ok(solution)
    }

    /// The next row's label; `row` tells which row it is.
    ///
    /// # Errors
    /// Where there is no label, or a line has more or fewer values than the first one.
    pub(super) fn next(&mut self, row: &dyn Fn() -> String) -> Result<&[u8], DataError> {
        let Some((line, number)) = self.lines.next()? else {
            let place = self.lines.place(self.lines.line() + 1);
            return Err(no_label(place, row, "the end of the file".into()));
        };
        let place = Place { file: Arc::clone(&self.file), line: number };
        let found = tokens(line).count();
        if found == 0 {
            return Err(no_label(place, row, beginning(line)));
        }
        if found != self.columns {
            let expected = format!("{} values, as in the file's first line", self.columns);
            return Err(DataError::stated(place, expected, found.to_string(), "mend the line"));
        }
        self.text.clear();
        self.text.extend_from_slice(tokens(line).nth(self.label).expect("the label is one of the columns"));
        Ok(&self.text)
    }

    /// What follows the last row's label.
    ///
    /// # Errors
    /// Where that is another label.
    pub(super) fn finish(&mut self, end_of_rows: Place) -> Result<(), DataError> {
        if !self.is_last {
            return Ok(());
        }
        while let Some((line, number)) = self.lines.next()? {
            if tokens(line).next().is_some() {
                let expected = format!("a row for the label at {}:{number}", self.file);
                let hint = "a row and its label stand at the same place of their files; fetch or cut both anew";
                return Err(DataError::stated(end_of_rows, expected, "the end of the file", hint));
            }
        }
        Ok(())
    }
}

fn no_label(place: Place, row: &dyn Fn() -> String, found: String) -> DataError {
    let hint = "a row and its label stand at the same place of their files; fetch or cut both anew";
    DataError::stated(place, format!("a label for {}", row()), found, hint)
}

fn first_line_columns(path: &Path) -> Result<usize, DataError> {
    let mut lines = open_lines(path)?;
    match lines.next()? {
        Some((line, _)) if tokens(line).next().is_some() => Ok(tokens(line).count()),
        found => {
            let found = if found.is_some() { "an empty line" } else { "an empty file" };
            let place = Place { file: file_name(path), line: 1 };
            Err(DataError::stated(place, "labels, a line a row", found, "fetch the file again"))
        }
    }
}

/// A solution has a column a target, or, where it is one of several classes, a column a class.
fn check_columns(columns: usize, file: &Arc<str>, description: &Description) -> Result<(), DataError> {
    let info = &description.info;
    let said: Vec<_> = [&info.target_num, &info.label_num].into_iter().flatten().collect();
    if said.is_empty() || said.iter().any(|number| number.value == columns as u64) {
        return Ok(());
    }
    let said: Vec<String> = said.iter().map(|Stated { value, place }| format!("{value} ({place})")).collect();
    let place = Place { file: Arc::clone(file), line: 1 };
    let expected = format!("as many values as there are targets or classes, {}", said.join(" or "));
    Err(DataError::stated(place, expected, columns.to_string(), "mend the file that is wrong"))
}

/// Whether the config says what makes a binary task of the solution.
fn is_chosen(config: &DataConfig) -> bool {
    config.label != LabelConfig::default() || !config.positive.is_empty()
}

fn check_task(columns: usize, file: &Arc<str>, description: &Description) -> Result<(), DataError> {
    let task = description.info.task.as_ref().filter(|task| task.value != BINARY);
    let (place, found) = match task {
        Some(Stated { value, place }) => (place.clone(), format!("`{value}`")),
        None if columns == 1 => return Ok(()),
        None => (Place { file: Arc::clone(file), line: 1 }, format!("a solution of {columns} columns")),
    };
    let hint = match task.map(|task| task.value.as_str()) {
        _ if columns > 1 => format!(
            "`data.label = 0` takes the first of the solution's {columns} columns as a binary task of its own, and so on"
        ),
        Some("regression") => {
            "`data.label = { column = 0, at_least = … }` makes numbers from a threshold on the positive ones".into()
        }
        _ => {
            "`data.positive = \"…\"` and `data.negative = \"*\"` make one value of the solution the positive one".into()
        }
    };
    Err(DataError::stated(place, format!("the task `{BINARY}`"), found, &hint))
}

fn label_column(label: &LabelConfig, columns: usize, names: &[String], file: &Arc<str>) -> Result<usize, DataError> {
    let missing = |nearest, found| DataError::NoColumn {
        file: Arc::clone(file),
        column: label.column.to_string(),
        key: Some("data.label"),
        nearest,
        found,
    };
    match &label.column {
        ColumnRef::Position(position) if *position < columns => Ok(*position),
        ColumnRef::Position(_) => Err(missing(None, format!("{columns} columns, counted from 0"))),
        ColumnRef::Name(name) => match names.iter().position(|other| other == name) {
            Some(position) if position < columns => Ok(position),
            _ if columns == 1 && label.column == LabelConfig::default().column => Ok(0),
            _ if names.is_empty() => {
                Err(missing(None, format!("{columns} columns without names, which go by their position from 0 on")))
            }
            _ => Err(missing(nearest(names, name), format!("{} others in the set's `_label.name`", names.len()))),
        },
    }
}
