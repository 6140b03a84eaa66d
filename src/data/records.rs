//! Where a record ends: at a line's end, or, in CSV, at a line's end outside of quotes (RFC 4180).

use memchr::{memchr, memchr2, memrchr};
use serde::de::{self, Deserializer};
use serde::{Deserialize, Serialize, Serializer};

/// What separates the cells of CSV: one ASCII character.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Separator(pub(super) u8);

impl Separator {
    /// The character.
    pub const fn byte(self) -> u8 {
        self.0
    }
}

impl Default for Separator {
    fn default() -> Self {
        Self(b',')
    }
}

impl Serialize for Separator {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_char(char::from(self.0))
    }
}

impl<'de> Deserialize<'de> for Separator {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        match text.as_bytes() {
            [byte] if byte.is_ascii() && !matches!(byte, b'"' | b'\n' | b'\r') => Ok(Self(*byte)),
            _ => Err(de::Error::custom(format!(
                "expected one ASCII character that is no quote and no line end, found `{}`",
                text.escape_debug()
            ))),
        }
    }
}

/// How a format's records end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Records {
    /// A record is a line; quotes mean nothing.
    Lines,
    /// A cell that starts with a quote goes on to the closing one, over line ends too.
    Quoted { separator: u8 },
}

/// What stands at the end of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// A line feed; the next record starts at this position.
    At(usize),
    /// The end of the bytes, outside of quotes.
    Unfinished,
    /// The end of the bytes, within quotes.
    InQuotes,
}

impl Records {
    /// The end of the record that starts at `start`, and whether one of its cells is quoted.
    #[inline]
    pub(super) fn end(self, bytes: &[u8], start: usize) -> (End, bool) {
        match self {
            Self::Lines => match memchr(b'\n', &bytes[start..]) {
                Some(length) => (End::At(start + length + 1), false),
                None => (End::Unfinished, false),
            },
            Self::Quoted { separator } => quoted_end(bytes, start, separator),
        }
    }

    /// The end of the last record that a line feed ends.
    pub(super) fn last_end(self, bytes: &[u8]) -> Option<usize> {
        if self == Self::Lines || memchr(b'"', bytes).is_none() {
            return memrchr(b'\n', bytes).map(|position| position + 1);
        }
        let mut last = None;
        while let (End::At(end), _) = self.end(bytes, last.unwrap_or(0)) {
            last = Some(end);
        }
        last
    }
}

/// As `csv-core` sees it: a quote opens only at the start of a cell, and what follows a closing quote is plain text.
fn quoted_end(bytes: &[u8], start: usize, separator: u8) -> (End, bool) {
    let (mut position, mut quoted) = (start, false);
    loop {
        let Some(found) = memchr2(b'\n', b'"', &bytes[position..]) else {
            return (End::Unfinished, quoted);
        };
        let found = position + found;
        position = found + 1;
        if bytes[found] == b'\n' {
            return (End::At(position), quoted);
        }
        if found == start || bytes[found - 1] == separator {
            quoted = true;
            match after_closing_quote(bytes, position) {
                Some(after) => position = after,
                None => return (End::InQuotes, true),
            }
        }
    }
}

/// The position after the quote that closes the cell whose text starts at `position`.
fn after_closing_quote(bytes: &[u8], mut position: usize) -> Option<usize> {
    loop {
        let quote = position + memchr(b'"', &bytes[position..])?;
        if bytes.get(quote + 1) != Some(&b'"') {
            return Some(quote + 1);
        }
        position = quote + 2;
    }
}

/// A record without its line end.
#[inline]
pub(super) fn without_line_end(record: &[u8]) -> &[u8] {
    let record = record.strip_suffix(b"\n").unwrap_or(record);
    record.strip_suffix(b"\r").unwrap_or(record)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const CSV: Records = Records::Quoted { separator: b',' };

    #[test]
    fn a_line_feed_in_quotes_ends_no_record() {
        assert_eq!(CSV.end(b"a,\"b\nc\",d\ne", 0), (End::At(10), true));
        assert_eq!(CSV.end(b"a,b\"c\nd", 0), (End::At(6), false));
        assert_eq!(CSV.end(b"\"a\"\"\nb\"\n", 0), (End::At(8), true));
        assert_eq!(CSV.end(b"a,\"b\n", 0), (End::InQuotes, true));
        assert_eq!(Records::Lines.end(b"a,\"b\nc", 0), (End::At(5), false));
        assert_eq!(CSV.last_end(b"a\n\"b\nc\"\nd,\"e\n"), Some(8));
        assert_eq!(CSV.last_end(b"\"a\n"), None);
    }

    #[test]
    fn line_ends_are_taken_off() {
        assert_eq!(without_line_end(b"a\r\n"), b"a");
        assert_eq!(without_line_end(b"a\n"), b"a");
        assert_eq!(without_line_end(b"a\n\n"), b"a\n");
    }

    proptest! {
        #[test]
        fn records_end_where_the_csv_crate_ends_them(text in "[a,\"\n]{0,40}") {
            let mut reader = csv::ReaderBuilder::new()
                .has_headers(false)
                .flexible(true)
                .terminator(csv::Terminator::Any(b'\n'))
                .from_reader(text.as_bytes());
            let mut starts = Vec::new();
            for record in reader.byte_records() {
                starts.push(usize::try_from(record.unwrap().position().unwrap().byte()).unwrap());
            }
            let bytes = text.as_bytes();
            let (mut ours, mut position) = (Vec::new(), 0);
            while position < bytes.len() {
                if bytes[position] == b'\n' {
                    position += 1; // the crate passes over blank lines
                    continue;
                }
                ours.push(position);
                match CSV.end(bytes, position).0 {
                    End::At(end) => position = end,
                    End::Unfinished | End::InQuotes => break,
                }
            }
            // the crate's positions are those before the blank lines that it passes over
            let after_blank = |start: usize| start + bytes[start..].iter().take_while(|byte| **byte == b'\n').count();
            let theirs: Vec<usize> = starts.into_iter().map(after_blank).collect();
            prop_assert_eq!(ours, theirs);
        }
    }
}
