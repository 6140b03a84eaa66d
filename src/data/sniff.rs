//! A look at a file before anything is read from it in earnest: what its bytes are like, and which columns it has.

use std::sync::Arc;

use memchr::memchr;

use super::{
    DataConfig, DataError, Input, Place,
    input::Text,
    layout::{BYTE_ORDER_MARK, peek_head},
};
use crate::schema::FieldKind;

const CHUNK_BYTES: usize = 1 << 20;

/// What is odd about a file, and what to do about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Oddity {
    pub place: Place,
    pub found: String,
    pub todo: &'static str,
}

/// What a text's bytes are like.
#[derive(Clone, Debug, Default)]
pub struct Look {
    /// Unpacked.
    pub bytes: u64,
    pub lines: u64,
    /// Whether the text was read to its end.
    pub whole: bool,
    pub oddities: Vec<Oddity>,
}

/// Reads a text up to about `limit_bytes` of it and tells what is odd, each kind where it stands first.
///
/// # Errors
/// [`DataError`] for a file that can't be read.
pub fn look(input: &Input, limit_bytes: u64) -> Result<Look, DataError> {
    let mut text = Text::rows(input, &Arc::default())?;
    let file = Arc::clone(&text.file);
    let mut look = Look::default();
    let mut firsts: [(u64, u64); KINDS.len()] = [(0, 0); KINDS.len()];
    let (mut rest, mut crlf_lines, mut blank_end) = (Vec::new(), 0_u64, 0_u64);
    loop {
        let read = text.read_more(&mut rest, CHUNK_BYTES)?;
        look.bytes += read as u64;
        let at_end = read == 0;
        let mut start = 0;
        if look.bytes == read as u64 && rest.starts_with(BYTE_ORDER_MARK) {
            note(&mut firsts, MARK, 1);
            start = BYTE_ORDER_MARK.len();
        }
        while let Some(length) =
            memchr(b'\n', &rest[start..]).or((at_end && start < rest.len()).then(|| rest.len() - start))
        {
            let line = &rest[start..(start + length).min(rest.len())];
            look.lines += 1;
            let (line, is_crlf) = line.strip_suffix(b"\r").map_or((line, false), |line| (line, true));
            crlf_lines += u64::from(is_crlf);
            if line.is_empty() {
                blank_end += 1;
            } else {
                if blank_end > 0 {
                    note(&mut firsts, BLANK, look.lines - blank_end);
                    blank_end = 0;
                }
                if memchr(0, line).is_some() {
                    note(&mut firsts, NUL, look.lines);
                }
                if memchr(b'\r', line).is_some() {
                    note(&mut firsts, RETURN, look.lines);
                }
                if !line.is_ascii() && std::str::from_utf8(line).is_err() {
                    note(&mut firsts, ENCODING, look.lines);
                }
            }
            if crlf_lines > 0 && crlf_lines < look.lines && firsts[MIXED].0 == 0 {
                note(&mut firsts, MIXED, look.lines);
            }
            start = (start + length + 1).min(rest.len());
        }
        rest.drain(..start);
        if at_end || look.bytes >= limit_bytes {
            look.whole = at_end;
            break;
        }
    }
    let found = KINDS.iter().zip(firsts).filter(|(_, (lines, _))| *lines > 0);
    look.oddities = found
        .map(|((what, todo), (lines, line))| Oddity {
            place: Place { file: Arc::clone(&file), line },
            found: if lines > 1 { format!("{what}, {lines} times in all") } else { (*what).to_owned() },
            todo,
        })
        .collect();
    Ok(look)
}

const MARK: usize = 0;
const BLANK: usize = 1;
const NUL: usize = 2;
const RETURN: usize = 3;
const ENCODING: usize = 4;
const MIXED: usize = 5;
const KINDS: [(&str, &str); 6] = [
    ("a byte order mark", "nothing, it is left out"),
    ("a blank line among the rows", "nothing, blank lines are no rows"),
    ("a NUL byte", "look whether the file was written whole; the byte becomes a part of its cell"),
    ("a carriage return within a line", "if lines are meant to end there, `tr '\\r' '\\n'` makes them"),
    ("bytes that are no UTF-8", "nothing, if they are categories; they are compared byte by byte"),
    ("lines that end with and without a carriage return", "nothing, both are line ends"),
];

fn note(firsts: &mut [(u64, u64); KINDS.len()], kind: usize, line: u64) {
    let (lines, first) = &mut firsts[kind];
    if *lines == 0 {
        *first = line;
    }
    *lines += 1;
}

/// The beginning of a text, unpacked.
///
/// # Errors
/// [`DataError`] for a file that can't be read or is no text.
pub fn beginning(input: &Input, bytes: usize) -> Result<Vec<u8>, DataError> {
    let mut beginning = Vec::new();
    Text::rows(input, &Arc::default())?.read_more(&mut beginning, bytes)?;
    if beginning.starts_with(BYTE_ORDER_MARK) {
        beginning.drain(..BYTE_ORDER_MARK.len());
    }
    Ok(beginning)
}

/// A small text as a whole, unpacked.
///
/// # Errors
/// [`DataError`] for a file that can't be read or is no text.
pub fn whole(input: &Input) -> Result<Vec<u8>, DataError> {
    let (mut text, mut whole) = (Text::rows(input, &Arc::default())?, Vec::new());
    while text.read_more(&mut whole, CHUNK_BYTES)? > 0 {}
    Ok(whole)
}

/// All columns of a file with their kinds, as its format tells them, the label's among them.
///
/// # Errors
/// [`DataError`] for a file that can't be read or isn't of the config's format.
pub fn columns(config: &DataConfig, input: &Input) -> Result<Vec<(String, FieldKind)>, DataError> {
    let head = peek_head(config, input)?;
    let format = config.format.format();
    let kinds = head.kinds.unwrap_or_else(|| head.names.iter().map(|name| (format.kind)(name)).collect());
    Ok(head.names.into_iter().zip(kinds).skip(head.hidden).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mark_is_one_at_the_start_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("rows.txt");
        std::fs::write(&path, b"\xEF\xBB\xBF\xEF\xBB\xBF").unwrap();
        let look = look(&Input::File(path), u64::MAX).unwrap();
        let found: Vec<&str> = look.oddities.iter().map(|oddity| oddity.found.as_str()).collect();
        assert_eq!((look.lines, found), (1, vec!["a byte order mark"]));
    }

    #[test]
    fn what_is_odd_is_told_where_it_stands_first() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("rows.txt");
        let text = b"\xEF\xBB\xBFlabel,x\r\n1,a\n\n0,\xff\n1,\0\n0,b\rc\n1,d\n\n";
        std::fs::write(&path, text).unwrap();
        let look = look(&Input::File(path), u64::MAX).unwrap();
        assert_eq!((look.lines, look.bytes, look.whole), (8, text.len() as u64, true));
        let found: Vec<(u64, &str)> =
            look.oddities.iter().map(|oddity| (oddity.place.line, oddity.found.split(',').next().unwrap())).collect();
        let expected = [
            (1, "a byte order mark"),
            (3, "a blank line among the rows"),
            (5, "a NUL byte"),
            (6, "a carriage return within a line"),
            (4, "bytes that are no UTF-8"),
            (2, "lines that end with and without a carriage return"),
        ];
        assert_eq!(found, expected);
    }
}
