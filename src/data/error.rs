//! What can be wrong with inputs, files and rows; each error carries its place and its values.

use std::borrow::Cow;
use std::fmt;
use std::io;
use std::sync::Arc;

/// What people write for a number that is missing, as errors show it.
const MISSING_TEXTS: [&str; 9] = ["NA", "N/A", "na", "NULL", "null", "None", "?", "-", "\\\\N"];

/// Where a row stands; shown as `data/train.txt:10482`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    pub file: Arc<str>,
    /// The line on which the record starts; the first is 1.
    pub line: u64,
}

impl fmt::Display for Place {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}:{}", self.file, self.line)
    }
}

/// An input that cannot be found or read, or a row that is not what the config says.
#[derive(Debug, thiserror::Error)]
pub enum DataError {
    #[error("{path}: expected a file, found nothing at this path")]
    Missing { path: String },
    #[error("`{pattern}`: expected at least one file, found none that matches")]
    NoMatch { pattern: String },
    #[error("`{pattern}`: expected a path or a glob, found a broken glob ({source})")]
    Glob { pattern: String, source: glob::PatternError },
    #[error("{path}: expected a file, found a folder")]
    Folder { path: String },
    #[error("{path}: expected a regular file, found a pipe or a device")]
    NotRegular { path: String },
    #[error("`-`: expected standard input at most once in a list, found it twice")]
    StdinTwice,
    #[error("expected at least one input, found an empty list")]
    NoInput,
    #[error("expected each value of the label in `data.positive` or in `data.negative`, found `{value}` in both")]
    LabelInBoth { value: String },
    #[error("{file}: {source}")]
    Io { file: Arc<str>, source: io::Error },
    #[error("{file}: expected a complete {compression} stream, found its end cut off")]
    Truncated { file: Arc<str>, compression: &'static str },
    #[error("{file}: expected a sound {compression} stream, found damage ({source})")]
    Damaged { file: Arc<str>, compression: &'static str, source: io::Error },
    #[error("{file}: expected {expected}, found {found}")]
    NotText { file: Arc<str>, expected: &'static str, found: String },
    #[error("{file}: expected a Parquet file that can be read, found {found}")]
    Parquet { file: Arc<str>, found: String },
    #[error("{file}, column `{column}`: expected values, or lists of categories, found {found}")]
    ColumnType { file: Arc<str>, column: String, found: String },
    #[error("{file}: expected {expected}, found {found}")]
    Vectors { file: Arc<str>, expected: String, found: String },
    #[error("{file}: expected rows, found an empty file")]
    Empty { file: Arc<str> },
    #[error("{file}: expected rows, found only a header")]
    OnlyHeader { file: Arc<str> },
    #[error("{place}: expected a record of at most {limit_bytes} bytes, found a longer one")]
    RecordTooLong { place: Place, limit_bytes: usize },
    #[error("{place}: expected lines that end with a line feed, found a carriage return within the first one")]
    CarriageReturn { place: Place },
    #[error("{place}: expected a closing quote, found the end of the file")]
    OpenQuote { place: Place },
    #[error("{place}: expected {expected}, found `{beginning}`")]
    Separator { place: Place, expected: &'static str, beginning: String, seems: Option<char> },
    #[error("{place}: expected a row, found a header, though `data.columns` says that there is none")]
    Header { place: Place },
    #[error("{place}: expected the {expected} columns of `data.columns`, found {found} cells")]
    Columns { place: Place, expected: usize, found: usize },
    #[error("{file}: expected a column `{column}`{key}, found {found}", key = in_brackets(*key))]
    NoColumn { file: Arc<str>, column: String, key: Option<&'static str>, nearest: Option<String>, found: String },
    #[error("{file}: expected one column `{column}`, found two of this name in the header")]
    ColumnTwice { file: Arc<str>, column: String },
    #[error("{file}: expected {without}")]
    NoLabel { file: Arc<str>, without: &'static str },
    #[error("{place}: expected {expected} cells, found {found}")]
    Cells { place: Place, expected: usize, found: usize },
    #[error("{place}: expected {expected} tokens behind the label, as in the file's first row, found {found}")]
    Tokens { place: Place, expected: usize, found: usize },
    #[error("{place}, token {token}: expected {expected}, found {found}")]
    Token { place: Place, token: usize, expected: &'static str, found: String },
    #[error("{place}, token {token}, field `{field}`: expected {expected}, found {found}")]
    Value { place: Place, token: usize, field: u64, expected: &'static str, found: String },
    #[error("{path}: expected the part {expected}, found the part {found} in its place")]
    PartMissing { path: String, expected: u64, found: u64 },
    #[error("{place}: expected {expected}, found {found}")]
    Stated { place: Place, expected: String, found: String, todo: String },
    #[error("{place}{part}: expected {expected}, found {found}", part = comma_part(*part))]
    BadRow { place: Place, part: Option<(&'static str, usize)>, expected: String, found: String },
    #[error("{place}, field `{field}`: expected {expected}, found {found}")]
    Label { place: Place, field: String, expected: Cow<'static, str>, found: String },
    #[error("{place}, column `{column}` (`data.weight`): expected {expected}, found {found}")]
    Weight { place: Place, column: String, expected: &'static str, found: String },
    #[error("{place}, field `{field}`: expected {expected}, found {found}")]
    Number { place: Place, field: String, expected: &'static str, found: String },
}

impl DataError {
    /// What is wrong with what a file says of itself; `todo` is the hint.
    pub(super) fn stated(place: Place, expected: impl Into<String>, found: impl Into<String>, todo: &str) -> Self {
        Self::Stated { place, expected: expected.into(), found: found.into(), todo: todo.into() }
    }

    /// What to do about it, for the line that starts with `hint:`.
    pub fn hint(&self) -> Option<String> {
        let text = match self {
            Self::NotRegular { .. } => "pipe the rows into the command and name the input `-`".into(),
            Self::Folder { path } => format!("a glob names the files of a folder: `{}/*`", path.trim_end_matches('/')),
            Self::Missing { .. } | Self::NoMatch { .. } => "paths are relative to the working directory".into(),
            Self::Truncated { .. } | Self::Damaged { .. } => "fetch or make the file again".into(),
            Self::Parquet { .. } => "write or fetch the file again; encrypted files are not read".into(),
            Self::Vectors { .. } => "`file`, `key` and `vectors` of `[embedding.pretrained.FIELD]` name the file and its parts".into(),
            Self::ColumnType { column, .. } => format!("`data.drop = [\"{column}\"]` leaves the column out"),
            Self::NotText { .. } => "text, gzip and zstd are read; unpack or convert the file first".into(),
            Self::RecordTooLong { .. } => "a line end or a closing quote may be missing".into(),
            Self::OpenQuote { .. } => {
                "a `\"` at the start of a cell opens a quoted cell; `data.format = \"tsv\"` takes \
                 quotes literally"
                    .into()
            }
            Self::CarriageReturn { place } => {
                format!("`tr '\\r' '\\n' < {} > NEW` makes lines of it", place.file)
            }
            Self::Separator { seems, .. } => separator_hint((*seems)?),
            Self::NoColumn { nearest: None, key: Some("data.label"), .. } => {
                "`data.label` names the label's column; where the first line is a row, `data.columns` names all columns".into()
            }
            Self::NoColumn { nearest, key, .. } => column_hint(nearest.as_deref()?, *key),
            Self::ColumnTwice { column, .. } => {
                format!("give each column called `{column}` a name of its own in the header")
            }
            Self::NoLabel { .. } => "`predict` needs no label; training and evaluation do".into(),
            Self::Label { place, found, .. } if place.line == 1 && found.eq_ignore_ascii_case("`label`") => {
                "the first line looks like a header: leave `data.columns` out, or take a format that reads one (`tsv`, `csv`)".into()
            }
            Self::Label { field, found, .. } if *found == format!("`{field}`") => {
                "the line seems to repeat the header; remove it, or drop such rows by `data.on_bad_row = \"skip\"`".into()
            }
            Self::Label { .. } => {
                "`data.positive` (and `data.negative`) name the label values that count as 1 and 0, `data.label = { column = …, \
                 at_least = … }` splits numbers; `data.on_bad_row = \"skip\"` drops such rows and counts them in the report"
                    .into()
            }
            Self::Tokens { .. } => {
                "a row of libsvm has a token a field; `data.format = \"libffm\"` names the field in each token; \
                 `data.on_bad_row = \"skip\"` drops such rows and counts them in the report"
                    .into()
            }
            Self::Token { .. } => {
                "tokens are `index:1` in libsvm and `field:index:value` in libffm; `data.on_bad_row = \"skip\"` drops such \
                 rows and counts them in the report"
                    .into()
            }
            Self::Value { field, .. } => {
                format!(
                    "the first MiB of the first training file has the field once a row and with the value 1 alone; \
                     `features.fields.{field} = {{ separator = \"|\", weighted = true }}` reads several values, each with \
                     its weight"
                )
            }
            Self::PartMissing { .. } => "all parts of a file are read as one, so fetch the one that is missing".into(),
            Self::Stated { todo, .. } => todo.clone(),
            Self::Header { .. } => "leave `data.columns` out, the header names the columns".into(),
            Self::Columns { .. } => "`data.columns` names every column, `data.separator` separates them".into(),
            Self::Number { found, .. } if MISSING_TEXTS.iter().any(|text| *found == format!("`{text}`")) => {
                format!(
                    "if that means a missing value: `data.missing = [\"{}\"]`; `data.on_bad_row = \"skip\"` drops such rows and \
                     counts them in the report",
                    found.trim_matches('`')
                )
            }
            Self::Cells { .. } | Self::BadRow { .. } | Self::Number { .. } | Self::Weight { .. } => {
                "`data.on_bad_row = \"skip\"` drops such rows and counts them in the report".into()
            }
            _ => return None,
        };
        Some(text)
    }
}

fn comma_part(part: Option<(&'static str, usize)>) -> String {
    part.map(|(what, number)| format!(", {what} {number}")).unwrap_or_default()
}

fn in_brackets(key: Option<&str>) -> String {
    key.map(|key| format!(" (`{key}`)")).unwrap_or_default()
}

fn separator_hint(seems: char) -> String {
    match seems {
        '\t' => "the line seems to be separated by tabs; `data.format = \"tsv\"` reads such files".into(),
        ',' => "the line seems to be separated by `,`; `data.format = \"csv\"` reads such files with a header".into(),
        ':' => {
            "`data.format = \"libsvm\"` reads tokens `index:1`, `data.format = \"libffm\"` `field:index:value`".into()
        }
        ' ' => "the line seems to be separated by spaces; convert the file to tabs or commas".into(),
        other => format!("the line seems to be separated by `{other}`; convert the file to tabs or commas"),
    }
}

fn column_hint(nearest: &str, key: Option<&str>) -> String {
    match key {
        Some(key) => format!("the nearest column is `{nearest}`; `{key}` names the one to use"),
        None => format!("the nearest column is `{nearest}`"),
    }
}

/// A cell or a line's beginning as errors show it: escaped, at most 60 characters.
pub(super) fn excerpt(bytes: &[u8]) -> String {
    const LIMIT: usize = 60;
    // 4 bytes a character at most; cutting first keeps a 64 MiB line from being escaped as a whole
    let window = &bytes[..bytes.len().min(4 * LIMIT + 4)];
    let text = String::from_utf8_lossy(window);
    let mut shown: String = text.chars().take(LIMIT).flat_map(char::escape_debug).collect();
    if text.chars().count() > LIMIT {
        shown.push('…');
    }
    shown.replace("\\'", "'").replace("\\\"", "\"")
}

/// A cell's content in an error: in backticks, or `an empty cell`.
pub(super) fn shown_cell(cell: &[u8]) -> String {
    if cell.is_empty() { "an empty cell".into() } else { format!("`{}`", excerpt(cell)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_excerpt_is_escaped_and_short() {
        assert_eq!(excerpt(b"a\tb \"c\" it's"), "a\\tb \"c\" it's");
        assert_eq!(excerpt(&[b'x'; 500]).chars().count(), 61);
        assert_eq!(excerpt(b"\xff"), "\u{fffd}");
        assert_eq!(shown_cell(b""), "an empty cell");
    }

    #[test]
    fn a_text_that_means_missing_is_known_by_its_hint() {
        for text in ["NA", "?", "\\N"] {
            let place = Place { file: "data/train.txt".into(), line: 7 };
            let found = shown_cell(text.as_bytes());
            let hint = DataError::Number { place, field: "I3".into(), expected: "a number", found }.hint().unwrap();
            let key = hint.split('`').nth(1).unwrap();
            let table: toml::Table = toml::from_str(key).unwrap_or_else(|error| panic!("{key}: {error}"));
            assert_eq!(table["data"]["missing"][0].as_str(), Some(text));
        }
    }

    #[test]
    fn a_message_says_where_expected_and_found() {
        let place = Place { file: "data/train.txt".into(), line: 10482 };
        let error = DataError::Number { place, field: "I3".into(), expected: "a number", found: shown_cell(b"4e") };
        assert_eq!(error.to_string(), "data/train.txt:10482, field `I3`: expected a number, found `4e`");
        assert!(error.hint().unwrap().contains("on_bad_row"));
    }
}
