//! libsvm (also libFM's) and libffm: a label, then tokens separated by blanks, without a header.
//!
//! - libsvm, `label index:1 …`: all rows have equally many tokens. The n-th token is the field `n` (`1` is the first),
//!   its index the category. Rows of varying length have no fields, so they are refused.
//! - libffm, `label field:index:1 …`: a field a field number, named by it, its index the category. A field that a row
//!   lacks is missing. The fields are those that the first MiB of the first training file names.
//!
//! A feature is a category here, so values other than 1 are refused, and so is a field that stands twice in a row.

use memchr::memchr;

use super::{
    DataConfig, DataError, Format, Place, RowBlock,
    cells::number,
    error::{excerpt, shown_cell},
    layout::{FixedLabel, Head, Sample},
    records::Records,
};
use crate::schema::FieldKind;

const LABEL: &str = "label";
const FIXED_LABEL: FixedLabel = FixedLabel { name: LABEL, without: "a label before each row's tokens, found none" };

pub(super) const LIBSVM: Format = Format {
    about: "label index:1 …, separated by blanks, as libFM reads it; as many tokens in every row, the n-th being field n",
    open: None,
    records: Records::Lines,
    fixed_names: None,
    head: libsvm_head,
    sample: None,
    label: Some(FIXED_LABEL),
    kind: |_| FieldKind::Categorical,
    split: |bytes, first_line, rows| {
        let fields = rows.column_names().iter().filter(|name| *name != LABEL).count();
        split_rows(bytes, first_line, rows, |bytes, tokens, rows| libsvm_row(bytes, tokens, fields, rows))
    },
};

pub(super) const LIBFFM: Format = Format {
    about: "label field:index:1 …, separated by blanks; a field a field number, missing where a row lacks it",
    open: None,
    records: Records::Lines,
    fixed_names: None,
    head: libffm_head,
    sample: Some(Sample { bytes: 1 << 20, names: libffm_names }),
    label: Some(FIXED_LABEL),
    kind: |_| FieldKind::Categorical,
    split: |bytes, first_line, rows| {
        let columns = FieldColumns::of(rows.column_names());
        split_rows(bytes, first_line, rows, |bytes, tokens, rows| libffm_row(bytes, tokens, &columns, rows))
    },
};

/// What is wrong with a row.
enum Wrong {
    /// A token, by its number behind the label, the first being 1.
    Token {
        token: usize,
        expected: &'static str,
        found: String,
    },
    Count {
        expected: usize,
        found: usize,
    },
}

impl Wrong {
    fn token(token: usize, expected: &'static str, found: &[u8]) -> Self {
        Self::Token { token, expected, found: shown_cell(found) }
    }

    fn at(self, place: Place) -> DataError {
        match self {
            Self::Token { token, expected, found } => DataError::Token { place, token, expected, found },
            Self::Count { expected, found } => DataError::Tokens { place, expected, found },
        }
    }
}

fn libsvm_head(record: &[u8], place: &Place, _config: &DataConfig) -> Result<Head, DataError> {
    const EXPECTED: &str = "`label index:1 …`, separated by blanks";
    let (label, tokens) = label_and_tokens(record);
    if tokens.is_empty() || tokens.iter().any(|(start, end)| colons(&record[*start..*end]) != 1) {
        return Err(other_format(record, place, EXPECTED));
    }
    let names = label.map(|_| LABEL.to_owned()).into_iter();
    Ok(Head {
        names: names.chain((1..=tokens.len()).map(|number| number.to_string())).collect(),
        kinds: None,
        is_header: false,
        hidden: 0,
        numbering: None,
    })
}

fn libffm_head(record: &[u8], place: &Place, _config: &DataConfig) -> Result<Head, DataError> {
    const EXPECTED: &str = "`label field:index:1 …`, separated by blanks";
    let (label, tokens) = label_and_tokens(record);
    if tokens.iter().any(|(start, end)| colons(&record[*start..*end]) != 2) {
        return Err(other_format(record, place, EXPECTED));
    }
    Ok(Head {
        names: label.map(|_| LABEL.to_owned()).into_iter().collect(),
        kinds: None,
        is_header: false,
        hidden: 0,
        numbering: None,
    })
}

fn other_format(record: &[u8], place: &Place, expected: &'static str) -> DataError {
    let seems = ['\t', ',', ';', '|', ':'].into_iter().find(|separator| record.contains(&(*separator as u8)));
    DataError::Separator { place: place.clone(), expected, beginning: excerpt(record), seems }
}

/// The field numbers of a sample's tokens, ascending; what isn't a token is left for the reader to refuse.
fn libffm_names(sample: &[u8]) -> Vec<String> {
    let tokens = sample.split(u8::is_ascii_whitespace).filter(|token| colons(token) == 2);
    let numbers: std::collections::BTreeSet<u64> = tokens.filter_map(|token| digits(before_colon(token)?.0)).collect();
    numbers.into_iter().map(|number| number.to_string()).collect()
}

/// A token's start and end.
type Span = (usize, usize);

/// The label, if the first token is one, and where all others stand.
fn label_and_tokens(record: &[u8]) -> (Option<Span>, Vec<Span>) {
    let mut tokens: Vec<Span> = Tokens::of(record).collect();
    let has_label = tokens.first().is_some_and(|(start, end)| colons(&record[*start..*end]) == 0);
    let label = has_label.then(|| tokens.remove(0));
    (label, tokens)
}

/// Splits lines into a label and tokens; `add` adds a row's cells behind the label, one a column.
fn split_rows(
    bytes: &[u8],
    first_line: u64,
    rows: &mut RowBlock,
    add: impl Fn(&[u8], Tokens, &mut RowBlock) -> Result<(), Wrong>,
) -> Result<(), DataError> {
    let has_label = rows.column_names().first().is_some_and(|name| name == LABEL);
    let (mut start, mut line) = (0, first_line);
    while start < bytes.len() {
        let end = memchr(b'\n', &bytes[start..]).map_or(bytes.len(), |length| start + length);
        let mut tokens = Tokens { bytes, position: start, end };
        // a blank line is no row
        if !tokens.is_over() {
            let added = if has_label { add_label(bytes, &mut tokens, rows) } else { Ok(()) };
            match added.and_then(|()| add(bytes, tokens, rows)) {
                Ok(()) => rows.end_row(bytes, line)?,
                Err(wrong) => rows.drop_row(wrong.at(rows.place_of(line)))?,
            }
        }
        start = end + 1;
        line += 1;
    }
    Ok(())
}

fn add_label(bytes: &[u8], tokens: &mut Tokens, rows: &mut RowBlock) -> Result<(), Wrong> {
    let (start, end) = tokens.next().expect("a row has a token");
    if colons(&bytes[start..end]) > 0 {
        return Err(Wrong::token(1, "a label before it", &bytes[start..end]));
    }
    rows.add_cell(start, end);
    Ok(())
}

fn libsvm_row(bytes: &[u8], tokens: Tokens, expected: usize, rows: &mut RowBlock) -> Result<(), Wrong> {
    let mut found = 0;
    for (start, end) in tokens {
        found += 1;
        let token = &bytes[start..end];
        let wrong = |expected| Wrong::token(found, expected, token);
        let (index, value) = before_colon(token).ok_or_else(|| wrong("`index:1`"))?;
        digits(index).ok_or_else(|| wrong("`index:1` with a whole number for the index"))?;
        check_value(value).map_err(wrong)?;
        rows.add_cell(start, start + index.len());
    }
    if found == expected { Ok(()) } else { Err(Wrong::Count { expected, found }) }
}

fn libffm_row(bytes: &[u8], tokens: Tokens, columns: &FieldColumns, rows: &mut RowBlock) -> Result<(), Wrong> {
    let first = rows.add_empty_cells(columns.fields.len());
    for (position, (start, end)) in tokens.enumerate() {
        let token = &bytes[start..end];
        let wrong = |expected| Wrong::token(position + 1, expected, token);
        let (field, rest) = before_colon(token).ok_or_else(|| wrong("`field:index:1`"))?;
        let (index, value) = before_colon(rest).ok_or_else(|| wrong("`field:index:1`"))?;
        let field = digits(field).ok_or_else(|| wrong("`field:index:1` with a whole number for the field"))?;
        digits(index).ok_or_else(|| wrong("`field:index:1` with a whole number for the index"))?;
        check_value(value).map_err(wrong)?;
        let column = columns.of_field(field, position).ok_or_else(|| wrong("one of the data's fields"))?;
        let index_start = end - rest.len();
        if !rows.set_cell(first + column, index_start, index_start + index.len()) {
            return Err(wrong("each field at most once in a row"));
        }
    }
    Ok(())
}

/// The columns of the fields, behind the label's.
struct FieldColumns {
    /// The number of each field, with its column.
    fields: Vec<u64>,
    /// The same, ascending by number.
    sorted: Vec<(u64, usize)>,
}

impl FieldColumns {
    fn of(names: &[String]) -> Self {
        let names = names.iter().filter(|name| *name != LABEL);
        // a name that is no number, which `--keep` may give, is a field that no row has
        let fields: Vec<u64> = names.map(|name| digits(name.as_bytes()).unwrap_or(u64::MAX)).collect();
        let mut sorted: Vec<(u64, usize)> = fields.iter().copied().zip(0..).collect();
        sorted.sort_unstable();
        Self { fields, sorted }
    }

    /// `position` is the token's, which in most files is the column too.
    #[inline]
    fn of_field(&self, field: u64, position: usize) -> Option<usize> {
        if self.fields.get(position) == Some(&field) {
            return Some(position);
        }
        let found = self.sorted.binary_search_by_key(&field, |(number, _)| *number).ok()?;
        Some(self.sorted[found].1)
    }
}

fn check_value(value: &[u8]) -> Result<(), &'static str> {
    if value == b"1" || matches!(number(value), Ok(1.0)) {
        Ok(())
    } else {
        Err("the value 1, since a feature is a category")
    }
}

#[inline]
pub(super) fn before_colon(token: &[u8]) -> Option<(&[u8], &[u8])> {
    let colon = memchr(b':', token)?;
    Some((&token[..colon], &token[colon + 1..]))
}

fn colons(token: &[u8]) -> usize {
    memchr::memchr_iter(b':', token).count()
}

/// A whole number of decimal digits alone.
#[inline]
pub(super) fn digits(text: &[u8]) -> Option<u64> {
    let start = (!text.is_empty()).then_some(0_u64);
    text.iter().fold(start, |number, byte| {
        let digit = byte.wrapping_sub(b'0');
        if digit > 9 { None } else { number?.checked_mul(10)?.checked_add(u64::from(digit)) }
    })
}

/// The tokens of one line, as positions in the block's bytes.
pub(super) struct Tokens<'a> {
    bytes: &'a [u8],
    position: usize,
    end: usize,
}

impl<'a> Tokens<'a> {
    /// Those of a whole line.
    pub(super) fn of(line: &'a [u8]) -> Self {
        Self { bytes: line, position: 0, end: line.len() }
    }

    #[inline]
    fn is_over(&mut self) -> bool {
        let line = &self.bytes[self.position..self.end];
        self.position += line.iter().take_while(|byte| is_blank(**byte)).count();
        self.position == self.end
    }
}

impl Iterator for Tokens<'_> {
    type Item = Span;

    #[inline]
    fn next(&mut self) -> Option<Span> {
        if self.is_over() {
            return None;
        }
        let start = self.position;
        self.position += self.bytes[start..self.end].iter().take_while(|byte| !is_blank(**byte)).count();
        Some((start, self.position))
    }
}

/// A carriage return before the line's end is one, too.
#[inline]
fn is_blank(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\r')
}
