//! Which column of a file is which: the label, the fields in the schema's order, and the columns kept beside them.

use std::sync::Arc;

use memchr::memchr2;

use super::{
    ColumnRef, DataConfig, DataError, Format, Input, OnBadRow, Place,
    error::excerpt,
    input::Text,
    label::Labels,
    records::{End, Records, without_line_end},
};
use crate::schema::{Field, FieldKind, Schema};

/// Bytes read at a time while a file's first record is looked for.
const HEAD_BYTES: usize = 1 << 16;
/// UTF-8's byte order mark.
pub(super) const BYTE_ORDER_MARK: &[u8] = b"\xEF\xBB\xBF";

/// What a reader shall pick out of every row.
#[derive(Clone, Debug, Default)]
pub struct Wanted {
    /// The fields, in the order in which [`super::RowBlock::cell`] gives them.
    pub schema: Schema,
    /// The label's column; `None` reads no label.
    pub label: Option<ColumnRef>,
    /// Whether a file without the label's column is an error.
    pub label_required: bool,
    /// The column of the rows' weights.
    pub weight: Option<ColumnRef>,
    /// Columns beside the fields, in the order in which [`super::RowBlock::extra`] gives them.
    pub extra: Vec<ColumnRef>,
}

/// What a file's first record tells.
#[derive(Clone, Debug)]
pub(super) struct Head {
    /// The columns' names, in the file's order.
    pub(super) names: Vec<String>,
    /// Their kinds, where the file tells them.
    pub(super) kinds: Option<Vec<FieldKind>>,
    /// Whether the first record holds the names and no row.
    pub(super) is_header: bool,
    /// So many first columns are the reader's own.
    pub(super) hidden: usize,
    /// The column that numbers the rows, which is no field.
    pub(super) numbering: Option<usize>,
}

/// A format's label column, which has no name of its own in the data.
#[derive(Clone, Copy, Debug)]
pub(super) struct FixedLabel {
    pub(super) name: &'static str,
    /// What is expected and what is found where it isn't there.
    pub(super) without: &'static str,
}

/// How the columns of a format are found whose rows name them, each some.
#[derive(Debug)]
pub(super) struct Sample {
    /// The first bytes of the first file, in which every column has to stand.
    pub(super) bytes: usize,
    /// The columns named in these bytes, beside those of the head.
    pub(super) columns: fn(&[u8]) -> Vec<(String, FieldKind)>,
}

/// The columns of one file.
#[derive(Debug)]
pub(super) struct Layout {
    pub(super) format: &'static Format,
    pub(super) file: Arc<str>,
    /// The columns' names; every row has a cell for each.
    pub(super) names: Vec<String>,
    /// The kind of each column's field; none for columns that are no field.
    pub(super) kinds: Vec<Option<FieldKind>>,
    /// The column of each field.
    pub(super) fields: Vec<usize>,
    /// Each field of numbers or times with its column.
    pub(super) numbers: Vec<(usize, usize, FieldKind)>,
    /// The column's name of each field.
    pub(super) field_names: Vec<String>,
    pub(super) label: Option<usize>,
    pub(super) label_name: String,
    pub(super) labels: Arc<Labels>,
    /// The column of the rows' weights.
    pub(super) weight: Option<usize>,
    /// Texts that mean a missing value.
    pub(super) missing: Vec<Vec<u8>>,
    pub(super) separator: u8,
    /// What lines start with that are no rows; empty where there are none.
    pub(super) comment: Vec<u8>,
    pub(super) extra: Vec<usize>,
    pub(super) skip_bad_rows: bool,
}

impl Layout {
    pub(super) fn new(
        config: &DataConfig,
        wanted: &Wanted,
        head: &Head,
        file: &Arc<str>,
        labels: &Arc<Labels>,
    ) -> Result<Self, DataError> {
        let format = config.format.format();
        let names = match format.sample {
            Some(_) => with_named(head.names.clone(), config, wanted),
            None => head.names.clone(),
        };
        let columns = Columns { names: &names, hidden: head.hidden, file };
        let find = |column: &ColumnRef, key| columns.position(column, key);
        let fields = wanted.schema.fields.iter().map(|field| find(&ColumnRef::Name(field.column().to_owned()), None));
        let fields = fields.collect::<Result<Vec<_>, _>>()?;
        let mut kinds = vec![None; names.len()];
        fields.iter().zip(&wanted.schema.fields).for_each(|(column, field)| kinds[*column] = Some(field.kind));
        let label = label_column(format, wanted, columns)?;
        let weight = wanted.weight.as_ref().map(|column| find(column, Some("data.weight"))).transpose()?;
        let extra = wanted.extra.iter().map(|column| find(column, None)).collect::<Result<_, _>>()?;
        let is_numeric = |(_, field): &(usize, &Field)| matches!(field.kind, FieldKind::Numeric | FieldKind::Time(_));
        let numbers = wanted.schema.fields.iter().enumerate().filter(is_numeric);
        Ok(Self {
            format,
            file: Arc::clone(file),
            numbers: numbers.map(|(field, Field { kind, .. })| (field, fields[field], *kind)).collect(),
            kinds,
            fields,
            field_names: wanted.schema.fields.iter().map(|field| field.column().to_owned()).collect(),
            label,
            label_name: label.map_or_else(String::new, |label| names[label].clone()),
            names,
            labels: Arc::clone(labels),
            weight,
            // cells are trimmed as well
            missing: config.missing.iter().map(|text| text.as_bytes().trim_ascii().to_vec()).collect(),
            separator: config.separator.0,
            comment: format.comment(config).to_vec(),
            extra,
            skip_bad_rows: config.on_bad_row == OnBadRow::Skip,
        })
    }
}

/// The columns of a file whose rows name them: those that are wanted or left out. All others are an error of their row,
/// so that what a file's first bytes hold decides nothing.
fn with_named(mut names: Vec<String>, config: &DataConfig, wanted: &Wanted) -> Vec<String> {
    let fields = wanted.schema.fields.iter().map(Field::column);
    let others = wanted.extra.iter().chain(&config.group).filter_map(|column| match column {
        ColumnRef::Name(name) => Some(name.as_str()),
        ColumnRef::Position(_) => None,
    });
    for name in fields.chain(others).chain(config.drop.iter().map(String::as_str)) {
        if !names.iter().any(|known| known == name) {
            names.push(name.to_owned());
        }
    }
    names
}

fn label_column(format: &Format, wanted: &Wanted, columns: Columns) -> Result<Option<usize>, DataError> {
    let Some(label) = &wanted.label else { return Ok(None) };
    match columns.label(format, label) {
        Ok(position) => Ok(Some(position)),
        Err(_) if !wanted.label_required => Ok(None),
        Err(error) => Err(error),
    }
}

/// The columns of a file, of which the `hidden` first ones are the reader's own.
#[derive(Clone, Copy)]
struct Columns<'a> {
    names: &'a [String],
    hidden: usize,
    file: &'a Arc<str>,
}

impl Columns<'_> {
    fn label(self, format: &Format, label: &ColumnRef) -> Result<usize, DataError> {
        let Some(FixedLabel { name, without }) = format.label else {
            return self.position(label, Some("data.label"));
        };
        let missing = DataError::NoLabel { file: Arc::clone(self.file), without };
        self.names.iter().position(|other| other == name).ok_or(missing)
    }

    fn position(self, column: &ColumnRef, key: Option<&'static str>) -> Result<usize, DataError> {
        let Self { names, hidden, file } = self;
        let missing = |column: String, nearest, found| DataError::NoColumn {
            file: Arc::clone(file),
            column,
            key,
            nearest,
            found,
        };
        match column {
            ColumnRef::Position(position) if *position < names.len() - hidden => Ok(hidden + position),
            ColumnRef::Position(position) => {
                let found = format!("{} columns, counted from 0", names.len() - hidden);
                Err(missing(position.to_string(), None, found))
            }
            ColumnRef::Name(name) => {
                let mut found = names.iter().enumerate().filter(|(_, other)| *other == name);
                let Some((position, _)) = found.next() else {
                    let nearest = nearest(&names[hidden..], name);
                    let found = other_columns(&names[hidden..]);
                    return Err(missing(name.clone(), nearest, found));
                };
                if found.next().is_some() {
                    return Err(DataError::ColumnTwice { file: Arc::clone(file), column: name.clone() });
                }
                Ok(position)
            }
        }
    }
}

/// How many columns there are, with the first ones' names.
fn other_columns(names: &[String]) -> String {
    const SHOWN: usize = 4;
    let shown: Vec<String> = names.iter().take(SHOWN).map(|name| format!("`{}`", excerpt(name.as_bytes()))).collect();
    let more = if names.len() > SHOWN { ", …" } else { "" };
    format!("{} other columns ({}{more})", names.len(), shown.join(", "))
}

/// The name that a misspelt one most likely stands for, if any is like it.
pub(super) fn nearest(names: &[String], misspelt: &str) -> Option<String> {
    const ALIKE: f64 = 0.5;
    let misspelt = misspelt.to_lowercase();
    let likeness = |name: &String| strsim::normalized_damerau_levenshtein(&misspelt, &name.to_lowercase());
    let (likeness, name) =
        names.iter().map(|name| (likeness(name), name)).max_by(|one, other| one.0.total_cmp(&other.0))?;
    (likeness >= ALIKE).then(|| name.clone())
}

/// The fields that the first input's head gives; `kind_of` has the last word on a column's kind.
///
/// # Errors
/// [`DataError`] for an input that can't be read, or a column that the config names and the file lacks.
pub fn schema(
    config: &DataConfig,
    inputs: &[Input],
    kind_of: &dyn Fn(&str, FieldKind) -> FieldKind,
) -> Result<Schema, DataError> {
    let format = config.format.format();
    let first = inputs.first().ok_or(DataError::NoInput)?;
    let file = first.name();
    let (names, kinds, hidden, numbering) = match format.fixed_names {
        Some(names) => (names(), None, 0, None),
        None => peek_head(config, first).map(|head| (head.names, head.kinds, head.hidden, head.numbering))?,
    };
    let mut left_out: Vec<usize> = (0..hidden).chain(numbering).collect();
    let columns = Columns { names: &names, hidden, file: &file };
    left_out.push(columns.label(format, &config.label.column)?);
    if let Some(group) = &config.group {
        left_out.push(columns.position(group, Some("data.group"))?);
    }
    if let Some(weight) = &config.weight {
        left_out.push(columns.position(weight, Some("data.weight"))?);
    }
    for name in &config.drop {
        left_out.push(columns.position(&ColumnRef::Name(name.clone()), Some("data.drop"))?);
    }
    let fields = names.into_iter().enumerate().filter(|(column, _)| !left_out.contains(column));
    let field = |(column, name): (usize, String)| {
        let kind = kinds.as_ref().map_or_else(|| (format.kind)(&name), |kinds| kinds[column]);
        Field { kind: kind_of(&name, kind), name, column: None }
    };
    Ok(Schema { fields: fields.map(field).collect() })
}

pub(super) fn peek_head(config: &DataConfig, input: &Input) -> Result<Head, DataError> {
    let format = config.format.format();
    let records = format.records(config);
    let mut text = Text::peek(input, config)?;
    let mut buffer = Vec::new();
    loop {
        let read = text.read_more(&mut buffer, HEAD_BYTES)?;
        let bytes = buffer.strip_prefix(BYTE_ORDER_MARK).unwrap_or(&buffer);
        let wanted_bytes = format.sample.as_ref().map_or(0, |sample| sample.bytes);
        let first = if bytes.len() >= wanted_bytes || read == 0 {
            first_record(records, format.comment(config), bytes, read == 0)
        } else {
            None
        };
        if let Some((record, line)) = first {
            let place = Place { file: Arc::clone(&text.file), line };
            let mut head = read_head(format, record, &place, config)?;
            if let Some(sample) = &format.sample {
                let end = if read == 0 { bytes.len() } else { records.last_end(bytes).unwrap_or(0) };
                let mut kinds: Vec<FieldKind> = head.names.iter().map(|name| (format.kind)(name)).collect();
                for (name, kind) in (sample.columns)(&bytes[..end]) {
                    head.names.push(name);
                    kinds.push(kind);
                }
                head.kinds = Some(kinds);
            }
            return Ok(head);
        }
        if read == 0 {
            return Err(DataError::Empty { file: text.file });
        }
    }
}

/// What a file's first record tells.
pub(super) fn read_head(format: &Format, record: &[u8], place: &Place, config: &DataConfig) -> Result<Head, DataError> {
    // within quotes it is a cell's own
    if memchr2(b'\r', b'"', record).is_some_and(|position| record[position] == b'\r') {
        return Err(DataError::CarriageReturn { place: place.clone() });
    }
    (format.head)(record, place, config)
}

/// The first record that is neither blank nor a comment, with its line; `None` where more bytes are needed.
pub(super) fn first_record<'a>(
    records: Records,
    comment: &[u8],
    bytes: &'a [u8],
    at_end: bool,
) -> Option<(&'a [u8], u64)> {
    let (mut start, mut line) = (0, 1);
    while start < bytes.len() {
        let end = match records.end(bytes, start).0 {
            End::At(end) => end,
            End::Unfinished | End::InQuotes if at_end => bytes.len(),
            End::Unfinished | End::InQuotes => return None,
        };
        let record = without_line_end(&bytes[start..end]);
        if !record.is_empty() && !is_comment(record, comment) {
            return Some((record, line));
        }
        start = end;
        line += 1;
    }
    None
}

/// Whether a record is one of the lines that start with `comment`, where there are such.
#[inline]
pub(super) fn is_comment(record: &[u8], comment: &[u8]) -> bool {
    !comment.is_empty() && record.starts_with(comment)
}
