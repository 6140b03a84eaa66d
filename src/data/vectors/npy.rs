//! One array as NumPy saves it: a line that says type, order and shape, then the numbers
//! (<https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html>).
//!
//! The crate for it, npyz, brings a parser generator and big numbers for that one line, and would build burn anew.

use std::io::{self, Read};

use half::f16;

const MAGIC: &[u8] = b"\x93NUMPY";
/// More than any header of a plain array, and than any text that is a key, has.
const MOST_BYTES: usize = 1 << 20;

/// An array whose elements are still to be read.
pub(super) struct Array<R> {
    bytes: R,
    /// The type as NumPy writes it: `<f4`.
    pub(super) descr: String,
    pub(super) fortran_order: bool,
    pub(super) shape: Vec<u64>,
}

/// How an element's bytes are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Signed,
    Unsigned,
    Float,
    /// Of 32-bit characters that zeros end.
    Text,
    /// That zeros end.
    Bytes,
}

impl<R: Read> Array<R> {
    /// Reads the header.
    pub(super) fn open(mut bytes: R) -> Result<Self, String> {
        let told = |error: io::Error| error.to_string();
        let mut start = [0; 8];
        bytes.read_exact(&mut start).map_err(told)?;
        if !start.starts_with(MAGIC) {
            return Err("no array of NumPy".into());
        }
        let mut length = [0; 4];
        let digits = if start[6] == 1 { 2 } else { 4 };
        bytes.read_exact(&mut length[..digits]).map_err(told)?;
        let length = u32::from_le_bytes(length) as usize;
        if length > MOST_BYTES {
            return Err(format!("a header of {length} bytes"));
        }
        let mut header = vec![0; length];
        bytes.read_exact(&mut header).map_err(told)?;
        let header = String::from_utf8_lossy(&header).into_owned();
        let part = |name| part(&header, name).ok_or_else(|| format!("a header without {name}"));
        let descr = part("descr")?;
        let shape = part("shape")?.trim_start_matches('(').split(')').next().unwrap_or_default();
        let sizes = shape.split(',').map(str::trim).filter(|size| !size.is_empty());
        let shape: Result<_, _> = sizes.map(|size| size.parse().map_err(|_| format!("the size `{size}`"))).collect();
        let descr = match descr.chars().next() {
            Some(quote @ ('\'' | '"')) => descr[1..].split(quote).next().unwrap_or_default(),
            _ => return Err("an array of records".into()),
        };
        Ok(Self {
            descr: descr.to_owned(),
            fortran_order: part("fortran_order")?.starts_with("True"),
            shape: shape?,
            bytes,
        })
    }

    /// The kind of the elements, the bytes of each and whether the highest one comes first; none for other types.
    pub(super) fn kind(&self) -> Option<(Kind, usize, bool)> {
        let (order, rest) = self.descr.split_at_checked(1)?;
        let (kind, size) = rest.split_at_checked(1)?;
        let size: usize = size.parse().ok()?;
        let (kind, bytes) = match (kind, size) {
            ("i", 1 | 2 | 4 | 8) => (Kind::Signed, size),
            ("u", 1 | 2 | 4 | 8) => (Kind::Unsigned, size),
            ("f", 2 | 4 | 8) => (Kind::Float, size),
            ("U", _) => (Kind::Text, size.checked_mul(4)?),
            ("S", _) => (Kind::Bytes, size),
            _ => return None,
        };
        (bytes > 0 && bytes <= MOST_BYTES).then_some((kind, bytes, order == ">"))
    }

    /// Reads one element after the other into a buffer, the lowest byte first.
    pub(super) fn elements(mut self) -> Option<impl FnMut(&mut Vec<u8>) -> io::Result<Kind>> {
        let (kind, size, big_end) = self.kind()?;
        let unit = if kind == Kind::Text { 4 } else { size };
        Some(move |element: &mut Vec<u8>| {
            element.resize(size, 0);
            self.bytes.read_exact(element)?;
            if big_end && kind != Kind::Bytes {
                element.chunks_exact_mut(unit).for_each(<[u8]>::reverse);
            }
            Ok(kind)
        })
    }
}

/// What stands behind a name in the header.
fn part<'a>(header: &'a str, name: &str) -> Option<&'a str> {
    let (_, behind) = header.split_once(&format!("'{name}'"))?;
    Some(behind.trim_start().strip_prefix(':')?.trim_start())
}

/// A floating-point number of 2, 4 or 8 bytes, the lowest one first.
pub(super) fn float(bytes: &[u8]) -> f64 {
    match *bytes {
        [a, b] => f16::from_le_bytes([a, b]).to_f64(),
        [a, b, c, d] => f32::from_le_bytes([a, b, c, d]).into(),
        _ => bytes.try_into().map_or(f64::NAN, f64::from_le_bytes),
    }
}

/// A key as text.
pub(super) fn key(kind: Kind, bytes: &[u8]) -> Vec<u8> {
    match kind {
        Kind::Signed => {
            let negative = bytes.last().is_some_and(|byte| *byte >= 0x80);
            let mut wide = [if negative { 0xFF } else { 0 }; 8];
            wide[..bytes.len()].copy_from_slice(bytes);
            i64::from_le_bytes(wide).to_string().into_bytes()
        }
        Kind::Unsigned => {
            let mut wide = [0; 8];
            wide[..bytes.len()].copy_from_slice(bytes);
            u64::from_le_bytes(wide).to_string().into_bytes()
        }
        // in the digits that its own width needs
        #[expect(clippy::cast_possible_truncation, reason = "a number of 4 bytes or fewer is an f32")]
        Kind::Float if bytes.len() < 8 => (float(bytes) as f32).to_string().into_bytes(),
        Kind::Float => float(bytes).to_string().into_bytes(),
        Kind::Text => {
            let characters = bytes.as_chunks().0.iter().map(|unit| u32::from_le_bytes(*unit));
            let text: String =
                characters.map(|code| char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER)).collect();
            text.trim_end_matches('\0').to_owned().into_bytes()
        }
        Kind::Bytes => {
            let end = bytes.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
            bytes[..end].to_vec()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn array(descr: &str, shape: &str, data: &[u8]) -> Vec<u8> {
        let header = format!("{{'descr': '{descr}', 'fortran_order': False, 'shape': {shape}, }}\n");
        let length = u16::try_from(header.len()).unwrap().to_le_bytes();
        [MAGIC, &[1, 0], &length, header.as_bytes(), data].concat()
    }

    fn keys(descr: &str, data: &[u8], count: usize) -> Vec<String> {
        let bytes = array(descr, &format!("({count},)"), data);
        let array = Array::open(&bytes[..]).unwrap();
        assert_eq!(array.shape, [count as u64]);
        let mut elements = array.elements().unwrap();
        let mut bytes = Vec::new();
        let mut text = |_| {
            let kind = elements(&mut bytes).unwrap();
            String::from_utf8(key(kind, &bytes)).unwrap()
        };
        (0..count).map(&mut text).collect()
    }

    #[test]
    fn elements_of_either_byte_order_are_read() {
        assert_eq!(keys("<i2", &[1, 0, 0xFF, 0xFF], 2), ["1", "-1"]);
        assert_eq!(keys(">i4", &[0, 0, 1, 2], 1), ["258"]);
        assert_eq!(keys(">u8", &[0xFF; 8], 1), [u64::MAX.to_string()]);
        assert_eq!(keys("|u1", &[200], 1), ["200"]);
        assert_eq!(keys("<f4", &0.1_f32.to_le_bytes(), 1), ["0.1"]);
        assert_eq!(keys(">f8", &(-2.0_f64).to_be_bytes(), 1), ["-2"]);
        assert_eq!(keys(">U2", &[0, 0, 0, b'x', 0, 0, 0, 0], 1), ["x"]);
        assert_eq!(keys("|S3", b"ab\0xyz", 2), ["ab", "xyz"]);
    }

    #[test]
    fn headers_that_are_none_are_told() {
        let refused = |bytes: &[u8]| Array::open(bytes).err().unwrap();
        assert_eq!(refused(b"PK\x03\x04abcd"), "no array of NumPy");
        assert!(refused(&array("<f4", "(1,x)", &[])).contains("the size `x`"));
        let records = array("<f4", "(1,)", &[]);
        let records = String::from_utf8_lossy(&records[10..]).replace("'<f4'", "[('a', '<f4')]");
        let length = u16::try_from(records.len()).unwrap().to_le_bytes();
        let bytes = [MAGIC, &[1, 0], &length, records.as_bytes()].concat();
        assert_eq!(refused(&bytes), "an array of records");
        assert!(refused(&[MAGIC, &[2, 0], &u32::MAX.to_le_bytes()].concat()).contains("4294967295 bytes"));
        for descr in ["|O", "<c8", "<M8", "<U0", "<U4611686018427387904", ""] {
            assert!(Array::open(&array(descr, "(1,)", &[])[..]).unwrap().kind().is_none(), "{descr}");
        }
    }
}
