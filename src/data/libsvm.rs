//! libsvm (also libFM's) and libffm: a label, then tokens separated by blanks, without a header.
//!
//! - libsvm, `label index:1 …`: all rows have equally many tokens. The n-th token is the field `n` (`1` is the first),
//!   its index the category. Rows of varying length have no fields, so they are refused.
//! - libffm, `label field:index:value …`: a field a field number, named by it, its index the category. A field that a row
//!   lacks is missing. The fields are those that the first MiB of the first training file names.
//!
//! A feature is a category, so its value is 1. The fields of libffm that stand several times in a row of that first MiB, or
//! there with other values, are fields of several values, each with its own as its weight.

use std::{collections::BTreeMap, ops::Range};

use memchr::memchr;

use super::{
    DataConfig, DataError, Format, Place, RowBlock,
    cells::number,
    error::{excerpt, shown_cell},
    layout::{FixedLabel, Head, Sample},
    made::UNIT_SEPARATOR,
    records::Records,
    tokens::{Span, Tokens, before_colon, colons, digits},
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
        split_rows(bytes, first_line, rows, |bytes, line, rows| libsvm_row(bytes, line, fields, rows))
    },
};

pub(super) const LIBFFM: Format = Format {
    about: "label field:index:value …, separated by blanks; a field a field number, missing where a row lacks it",
    open: None,
    records: Records::Lines,
    fixed_names: None,
    head: libffm_head,
    sample: Some(Sample { bytes: 1 << 20, columns: libffm_columns }),
    label: Some(FIXED_LABEL),
    kind: |_| FieldKind::Categorical,
    split: |bytes, first_line, rows| {
        let mut row = FieldRow::of(rows);
        split_rows(bytes, first_line, rows, |bytes, line, rows| row.read(bytes, line, rows))
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
    /// A token of libffm whose field can't have its value.
    Value {
        token: usize,
        field: u64,
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
            Self::Value { token, field, expected, found } => DataError::Value { place, token, field, expected, found },
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
    const EXPECTED: &str = "`label field:index:value …`, separated by blanks";
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

/// The field numbers of a sample's tokens, ascending, with their kinds; what isn't a token is left for the reader to refuse.
fn libffm_columns(sample: &[u8]) -> Vec<(String, FieldKind)> {
    // of each field the last line in which it stands, and whether it has several values
    let mut fields: BTreeMap<u64, (usize, bool)> = BTreeMap::new();
    for (line, text) in sample.split(|byte| *byte == b'\n').enumerate() {
        for token in text.split(u8::is_ascii_whitespace).filter(|token| colons(token) == 2) {
            let Some((field, rest)) = before_colon(token) else { continue };
            let (Some(field), Some((_, value))) = (digits(field), before_colon(rest)) else { continue };
            let (last, has_several) = fields.entry(field).or_insert((usize::MAX, false));
            *has_several |= *last == line || (!is_one(value) && is_weight(value));
            *last = line;
        }
    }
    let kind = |several| if several { FieldKind::WeightedValues } else { FieldKind::Categorical };
    fields.into_iter().map(|(number, (_, several))| (number.to_string(), kind(several))).collect()
}

/// The label, if the first token is one, and where all others stand.
fn label_and_tokens(record: &[u8]) -> (Option<Span>, Vec<Span>) {
    let mut tokens: Vec<Span> = Tokens::of(record).collect();
    let has_label = tokens.first().is_some_and(|(start, end)| colons(&record[*start..*end]) == 0);
    let label = has_label.then(|| tokens.remove(0));
    (label, tokens)
}

/// Splits lines into a label and tokens; `add` adds a row's cells behind the label, one a column, and may change the bytes of
/// the tokens, whose range it gets.
fn split_rows(
    bytes: &mut [u8],
    first_line: u64,
    rows: &mut RowBlock,
    mut add: impl FnMut(&mut [u8], Range<usize>, &mut RowBlock) -> Result<(), Wrong>,
) -> Result<(), DataError> {
    let has_label = rows.column_names().first().is_some_and(|name| name == LABEL);
    let (mut start, mut line) = (0, first_line);
    while start < bytes.len() {
        let end = memchr(b'\n', &bytes[start..]).map_or(bytes.len(), |length| start + length);
        let mut tokens = Tokens::within(bytes, start..end);
        // neither a blank line nor a comment is a row
        if !tokens.is_over() && !rows.is_comment(&bytes[start..end]) {
            let label = if has_label { add_label(bytes, &mut tokens, rows) } else { Ok(()) };
            let tokens = tokens.position()..end;
            match label.and_then(|()| add(bytes, tokens, rows)) {
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

fn libsvm_row(bytes: &[u8], line: Range<usize>, expected: usize, rows: &mut RowBlock) -> Result<(), Wrong> {
    let mut found = 0;
    for (start, end) in Tokens::within(bytes, line) {
        found += 1;
        let token = &bytes[start..end];
        let wrong = |expected| Wrong::token(found, expected, token);
        let (index, value) = before_colon(token).ok_or_else(|| wrong("`index:1`"))?;
        digits(index).ok_or_else(|| wrong("`index:1` with a whole number for the index"))?;
        if !is_one(value) {
            return Err(wrong("the value 1, since a feature is a category"));
        }
        rows.add_cell(start, start + index.len());
    }
    if found == expected { Ok(()) } else { Err(Wrong::Count { expected, found }) }
}

/// Reads the tokens of rows of libffm; its buffers serve all rows of a block.
struct FieldRow {
    columns: FieldColumns,
    /// The kind of each column; none for columns that are no field.
    kinds: Vec<Option<FieldKind>>,
    /// The column of each of a row's values, and where the value stands.
    values: Vec<(usize, Span)>,
    joined: Vec<u8>,
}

impl FieldRow {
    fn of(rows: &RowBlock) -> Self {
        let columns = FieldColumns::of(rows.column_names());
        let labels = rows.column_names().len() - columns.fields.len();
        let kinds = rows.column_kinds()[labels..].to_vec();
        Self { columns, kinds, values: Vec::new(), joined: Vec::new() }
    }

    fn read(&mut self, bytes: &mut [u8], line: Range<usize>, rows: &mut RowBlock) -> Result<(), Wrong> {
        let first = rows.add_empty_cells(self.kinds.len());
        self.values.clear();
        let mut has_several = false;
        for (position, (start, end)) in Tokens::within(bytes, line.clone()).enumerate() {
            let token = &bytes[start..end];
            let wrong = |expected| Wrong::token(position + 1, expected, token);
            let (field, index, value) = field_token(token).map_err(wrong)?;
            let column = self.columns.of_field(field, position).ok_or_else(|| wrong("one of the data's fields"))?;
            let index_start = end - value.len() - 1 - index.len();
            let value_end = match self.kinds[column] {
                Some(FieldKind::WeightedValues) => end,
                _ => index_start + index.len(),
            };
            let is_first = rows.set_cell(first + column, index_start, value_end);
            self.values.push((column, (index_start, value_end)));
            has_several |= !is_first;
            let is_several = self.kinds[column].is_none_or(FieldKind::has_several);
            if is_several && !is_one(value) && !is_weight(value) {
                return Err(wrong("a finite number for the value"));
            }
            if !is_several && let Some(expected) = more_than_a_category(value, is_first) {
                return Err(Wrong::Value { token: position + 1, field, expected, found: shown_cell(token) });
            }
        }
        if has_several {
            self.join(bytes, line.start, first, rows);
        }
        Ok(())
    }

    /// Moves the values of each column together, in place: a value needs less room than its token had.
    fn join(&mut self, bytes: &mut [u8], start: usize, first: usize, rows: &mut RowBlock) {
        // stable: the values of a column keep their order
        self.values.sort_by_key(|(column, _)| *column);
        self.joined.clear();
        for values in self.values.chunk_by(|(one, _), (other, _)| one == other) {
            let cell_start = start + self.joined.len();
            for (number, (_, (value_start, value_end))) in values.iter().enumerate() {
                if number > 0 {
                    self.joined.push(UNIT_SEPARATOR);
                }
                self.joined.extend_from_slice(&bytes[*value_start..*value_end]);
            }
            rows.set_cell(first + values[0].0, cell_start, start + self.joined.len());
        }
        bytes[start..start + self.joined.len()].copy_from_slice(&self.joined);
    }
}

/// The field, the index and the value of a token, or what was expected.
#[inline]
fn field_token(token: &[u8]) -> Result<(u64, &[u8], &[u8]), &'static str> {
    let (field, rest) = before_colon(token).ok_or("`field:index:value`")?;
    let (index, value) = before_colon(rest).ok_or("`field:index:value`")?;
    let field = digits(field).ok_or("`field:index:value` with a whole number for the field")?;
    digits(index).ok_or("`field:index:value` with a whole number for the index")?;
    Ok((field, index, value))
}

/// What was expected of a field of one category a row, where a token says more.
#[inline]
fn more_than_a_category(value: &[u8], is_first: bool) -> Option<&'static str> {
    match (is_one(value), is_first) {
        (true, true) => None,
        (true, false) => Some("a field of one category at most once in a row"),
        (false, _) => Some("the value 1, since the field is one category"),
    }
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

#[inline]
fn is_one(value: &[u8]) -> bool {
    value == b"1" || matches!(number(value), Ok(1.0))
}

/// Whether a value is a number that a weight can be.
#[inline]
fn is_weight(value: &[u8]) -> bool {
    #[expect(clippy::cast_possible_truncation, reason = "weights are f32")]
    number(value).is_ok_and(|number| (number as f32).is_finite())
}
