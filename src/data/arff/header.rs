//! The head of an ARFF file: its attributes up to `@data`.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::super::{DataError, error::shown_cell, made::Lines};
use super::values::Cursor;
use crate::schema::FieldKind;

/// A column of the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Attribute {
    pub(super) name: String,
    pub(super) domain: Domain,
}

/// What an attribute's values are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Domain {
    Numeric,
    /// Strings and dates.
    Text,
    Nominal {
        /// What a sparse row means where it names none.
        first: Vec<u8>,
        values: BTreeSet<Vec<u8>>,
    },
}

impl Attribute {
    pub(super) fn kind(&self) -> FieldKind {
        if self.domain == Domain::Numeric { FieldKind::Numeric } else { FieldKind::Categorical }
    }
}

/// Reads the lines up to `@data`.
///
/// # Errors
/// With the line, for a declaration that can't be understood, a relational attribute, or a head without an end.
pub(super) fn read(lines: &mut Lines) -> Result<Vec<Attribute>, DataError> {
    let mut attributes = Vec::new();
    let mut last = 0;
    loop {
        let (declaration, number) = match lines.next()? {
            Some((line, number)) => (declaration(line), number),
            None if last == 0 => return Err(DataError::Empty { file: Arc::clone(&lines.place(1).file) }),
            None => {
                let expected = "`@data` behind the attributes";
                let todo = "the file may be cut off, or no ARFF file";
                return Err(DataError::stated(lines.place(last), expected, "the end of the file", todo));
            }
        };
        last = number;
        let wrong = |expected: &str, found: String, todo: &str| {
            Err(DataError::stated(lines.place(number), expected, found, todo))
        };
        match declaration {
            Ok(Declaration::Nothing) => {}
            Ok(Declaration::Attribute(attribute)) => attributes.push(attribute),
            Ok(Declaration::Data) if attributes.is_empty() => {
                return wrong(
                    "attributes before `@data`",
                    "none".into(),
                    "declare each column by `@attribute NAME TYPE`",
                );
            }
            Ok(Declaration::Data) => return Ok(attributes),
            Err(Wrong { expected, found, todo }) => return wrong(expected, found, todo),
        }
    }
}

/// A line of the head.
enum Declaration {
    /// A blank line, a comment or the relation's name.
    Nothing,
    Attribute(Attribute),
    Data,
}

struct Wrong {
    expected: &'static str,
    found: String,
    todo: &'static str,
}

const TYPES: &str = "`numeric`, `real`, `integer`, `string`, `date` or `{value, …}` as the type";

fn declaration(line: &[u8]) -> Result<Declaration, Wrong> {
    let line = line.trim_ascii();
    if line.is_empty() || line.starts_with(b"%") {
        return Ok(Declaration::Nothing);
    }
    let end = line.iter().position(u8::is_ascii_whitespace).unwrap_or(line.len());
    let (keyword, rest) = line.split_at(end);
    match keyword.to_ascii_lowercase().as_slice() {
        b"@relation" => Ok(Declaration::Nothing),
        b"@data" => Ok(Declaration::Data),
        b"@attribute" => attribute(rest).map(Declaration::Attribute),
        _ => Err(Wrong {
            expected: "`@relation`, `@attribute` or `@data`",
            found: shown_cell(line),
            todo: "a line of the head starts with one of these, or with `%` for a comment",
        }),
    }
}

fn attribute(text: &[u8]) -> Result<Attribute, Wrong> {
    let wrong = |expected, found: &[u8], todo| Wrong { expected, found: shown_cell(found), todo };
    let mut cursor = Cursor::new(text);
    let name = cursor.value(|byte| byte.is_ascii_whitespace() || byte == b'{');
    let name = name.map_err(|expected| wrong(expected, text.trim_ascii(), "close the name's quote"))?;
    if name.text.is_empty() {
        return Err(wrong("a name and a type", text.trim_ascii(), "write `@attribute NAME TYPE`"));
    }
    let domain = if cursor.take(b'{') {
        nominal(&mut cursor, text)?
    } else {
        let of_type = cursor.value(|byte| byte.is_ascii_whitespace());
        let of_type = of_type.map_err(|expected| wrong(expected, text.trim_ascii(), "close the quote"))?;
        match of_type.text.to_ascii_lowercase().as_slice() {
            b"numeric" | b"real" | b"integer" => Domain::Numeric,
            b"string" | b"date" => Domain::Text,
            b"relational" => {
                let todo = "write each of its attributes as one of the file's own";
                return Err(wrong("an attribute of one value a row", b"a relational one", todo));
            }
            other => return Err(wrong(TYPES, other, "a nominal attribute has its values in braces")),
        }
    };
    Ok(Attribute { name: String::from_utf8_lossy(&name.text).into_owned(), domain })
}

fn nominal(cursor: &mut Cursor, text: &[u8]) -> Result<Domain, Wrong> {
    let wrong = |expected| Wrong {
        expected,
        found: shown_cell(text.trim_ascii()),
        todo: "the values of a nominal attribute stand on its line, separated by commas",
    };
    let (mut first, mut values) = (None, BTreeSet::new());
    while !cursor.take(b'}') {
        let value = cursor.value(|byte| matches!(byte, b',' | b'}')).map_err(wrong)?;
        first.get_or_insert_with(|| value.text.to_vec());
        values.insert(value.text.into_owned());
        if !cursor.take(b',') && !cursor.rest().starts_with(b"}") {
            return Err(wrong("a closing brace"));
        }
    }
    let first = first.ok_or_else(|| wrong("at least one value in the braces"))?;
    Ok(Domain::Nominal { first, values })
}
