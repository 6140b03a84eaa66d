//! Tokens of a line, parted by blanks, and the numbers in them, parted by colons.

use std::ops::Range;

use memchr::{memchr, memchr_iter};

/// A token's start and end.
pub(super) type Span = (usize, usize);

/// What stands before the first colon and behind it.
#[inline]
pub(super) fn before_colon(token: &[u8]) -> Option<(&[u8], &[u8])> {
    let colon = memchr(b':', token)?;
    Some((&token[..colon], &token[colon + 1..]))
}

/// How many colons a token has.
pub(super) fn colons(token: &[u8]) -> usize {
    memchr_iter(b':', token).count()
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
        Self::within(line, 0..line.len())
    }

    /// Those of a line's part, at `range`.
    pub(super) fn within(bytes: &'a [u8], range: Range<usize>) -> Self {
        Self { bytes, position: range.start, end: range.end }
    }

    /// Where the next token is looked for.
    pub(super) fn position(&self) -> usize {
        self.position
    }

    /// Whether no token is left.
    #[inline]
    pub(super) fn is_over(&mut self) -> bool {
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
