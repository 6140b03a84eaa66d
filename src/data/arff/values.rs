//! A value of ARFF: bare, or in single or double quotes with backslash escapes.

use std::borrow::Cow;

use memchr::memchr;

/// A value as it stands in a line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Value<'a> {
    pub(super) text: Cow<'a, [u8]>,
    pub(super) quoted: bool,
}

impl Value<'_> {
    /// A bare `?`.
    pub(super) fn is_missing(&self) -> bool {
        !self.quoted && *self.text == *b"?"
    }
}

/// Walks through a line, value by value.
#[derive(Clone, Debug)]
pub(super) struct Cursor<'a> {
    rest: &'a [u8],
}

impl<'a> Cursor<'a> {
    pub(super) fn new(line: &'a [u8]) -> Self {
        Self { rest: line }
    }

    /// What is left, without blanks around it.
    pub(super) fn rest(&self) -> &'a [u8] {
        self.rest.trim_ascii()
    }

    pub(super) fn skip_blanks(&mut self) {
        self.rest = self.rest.trim_ascii_start();
    }

    /// Takes `byte`, where it comes next behind blanks.
    pub(super) fn take(&mut self, byte: u8) -> bool {
        self.skip_blanks();
        let Some(rest) = self.rest.strip_prefix(&[byte]) else { return false };
        self.rest = rest;
        true
    }

    /// The next value: a quoted one, or what stands before the first byte of `ends`, without blanks around it.
    ///
    /// # Errors
    /// For a quote that isn't closed.
    pub(super) fn value(&mut self, ends: impl Fn(u8) -> bool) -> Result<Value<'a>, &'static str> {
        self.skip_blanks();
        match self.rest {
            [quote @ (b'\'' | b'"'), text @ ..] => {
                let (text, rest) = quoted(*quote, text).ok_or("a closing quote")?;
                self.rest = rest;
                Ok(Value { text, quoted: true })
            }
            rest => {
                let end = rest.iter().position(|byte| ends(*byte)).unwrap_or(rest.len());
                self.rest = &rest[end..];
                Ok(Value { text: Cow::Borrowed(rest[..end].trim_ascii_end()), quoted: false })
            }
        }
    }
}

/// The text up to its closing quote, and what follows that.
fn quoted(quote: u8, text: &[u8]) -> Option<(Cow<'_, [u8]>, &[u8])> {
    let end = memchr(quote, text)?;
    if memchr(b'\\', &text[..end]).is_none() {
        return Some((Cow::Borrowed(&text[..end]), &text[end + 1..]));
    }
    let (mut plain, mut position) = (Vec::with_capacity(end), 0);
    loop {
        match *text.get(position)? {
            byte if byte == quote => return Some((Cow::Owned(plain), &text[position + 1..])),
            b'\\' => position += escaped(text.get(position + 1..)?, &mut plain)? + 1,
            byte => {
                plain.push(byte);
                position += 1;
            }
        }
    }
}

/// Adds what an escape means, `text` being what follows its backslash; tells how long that is.
fn escaped(text: &[u8], plain: &mut Vec<u8>) -> Option<usize> {
    let letter = *text.first()?;
    match letter {
        b'n' => plain.push(b'\n'),
        b'r' => plain.push(b'\r'),
        b't' => plain.push(b'\t'),
        b'u' => {
            let code = text.get(1..5).and_then(|digits| std::str::from_utf8(digits).ok());
            let letter = code.and_then(|digits| u32::from_str_radix(digits, 16).ok()).and_then(char::from_u32);
            if let Some(letter) = letter {
                plain.extend_from_slice(letter.encode_utf8(&mut [0; 4]).as_bytes());
                return Some(5);
            }
            plain.push(b'u');
        }
        // a quote, a backslash, a per cent sign, and whatever else needs no escape
        other => plain.push(other),
    }
    Some(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn values(line: &str) -> Vec<(String, bool)> {
        let mut cursor = Cursor::new(line.as_bytes());
        let mut values = Vec::new();
        loop {
            let value = cursor.value(|byte| byte == b',').unwrap();
            values.push((String::from_utf8(value.text.into_owned()).unwrap(), value.quoted));
            if !cursor.take(b',') {
                assert!(cursor.rest().is_empty(), "{line}");
                return values;
            }
        }
    }

    #[test]
    fn quotes_of_both_kinds_and_escapes_are_taken_off() {
        let expected = [("a b", true), ("c,d", true), ("it's", true), ("e", false), ("?", true), ("?", false)];
        let found = values(r#"'a b',"c,d" , 'it\'s', e ,'?',?"#);
        assert_eq!(found, expected.map(|(text, quoted)| (text.to_owned(), quoted)));
        assert_eq!(values(r#""a\"b\\""#)[0].0, "a\"b\\");
        assert_eq!(values(r"'50\% \u00e4\n\t\x'")[0].0, "50% ä\n\tx");
        assert_eq!(values("'',")[0].0, "");
        assert_eq!(values(r"a\b")[0].0, r"a\b");
    }

    #[test]
    fn a_quote_that_is_not_closed_is_told() {
        for line in ["'a", "\"a'", r"'a\'", r"'a\"] {
            let value = Cursor::new(line.as_bytes()).value(|byte| byte == b',');
            assert_eq!(value.unwrap_err(), "a closing quote", "{line}");
        }
    }
}
