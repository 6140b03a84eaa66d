//! A look at a Parquet file's footer before the decoder reads it. The decoder passes over lists that it doesn't know entry by
//! entry, however many the footer claims, and entries that are Booleans have no bytes, at whose end it would stop: a footer
//! of a few hundred bytes keeps it busy for hours.

use std::fs::File;
use std::io::{Read, Result, Seek, SeekFrom};

const MAGIC: &[u8] = b"PAR1";
/// As deep as the decoder follows.
const MOST_DEPTH: u8 = 64;

/// Whether the footer has no more entries than bytes, as far as it can be followed; what else is wrong with it, the decoder
/// tells. The file's position is at its start again.
///
/// # Errors
/// Where the file can't be read.
pub(super) fn is_countable(file: &mut File) -> Result<bool> {
    let footer = footer(file)?;
    file.rewind()?;
    let mut walk = Walk { entries_left: footer.len(), rest: &footer };
    Ok(!matches!(walk.skip(STRUCT, MOST_DEPTH), Err(Stop::Entries)))
}

/// The footer's bytes; none where there is no footer.
fn footer(file: &mut File) -> Result<Vec<u8>> {
    const TRAILER: usize = 8;
    let length = file.seek(SeekFrom::End(0))?;
    let Some(trailer_start) = length.checked_sub(TRAILER as u64) else { return Ok(Vec::new()) };
    file.seek(SeekFrom::Start(trailer_start))?;
    let mut trailer = [0; TRAILER];
    file.read_exact(&mut trailer)?;
    let [length @ .., _, _, _, _] = trailer;
    let footer_length = u64::from(u32::from_le_bytes(length));
    let start = trailer_start.checked_sub(footer_length).filter(|_| trailer.ends_with(MAGIC));
    let Some(start) = start else { return Ok(Vec::new()) };
    file.seek(SeekFrom::Start(start))?;
    let mut footer = Vec::new();
    file.take(footer_length).read_to_end(&mut footer)?;
    Ok(footer)
}

// the types of Thrift's compact protocol, as far as they differ in length
const BOOLEANS: [u8; 2] = [1, 2];
const BYTE: u8 = 3;
const INTEGERS: [u8; 3] = [4, 5, 6];
const DOUBLE: u8 = 7;
const BINARY: u8 = 8;
const LIST: u8 = 9;
const SET: u8 = 10;
const MAP: u8 = 11;
const STRUCT: u8 = 12;
const UUID: u8 = 13;

/// Why a walk ends before its end.
enum Stop {
    /// The bytes are no Thrift.
    Unknown,
    /// There are more entries than bytes.
    Entries,
}

/// What is still to be walked over.
struct Walk<'a> {
    rest: &'a [u8],
    entries_left: usize,
}

impl Walk<'_> {
    /// Passes over a value as the decoder does.
    fn skip(&mut self, kind: u8, depth: u8) -> std::result::Result<(), Stop> {
        let below = depth.checked_sub(1).ok_or(Stop::Unknown)?;
        match kind {
            _ if BOOLEANS.contains(&kind) => Ok(()),
            BYTE => self.bytes(1),
            _ if INTEGERS.contains(&kind) => self.varint().map(|_| ()),
            DOUBLE => self.bytes(8),
            UUID => self.bytes(16),
            BINARY => {
                let length = self.varint()?;
                self.bytes(length)
            }
            LIST | SET => {
                let header = self.byte()?;
                let size = if header >> 4 == 15 { self.varint()? } else { usize::from(header >> 4) };
                self.entries(size, &[header & 15], below)
            }
            MAP => match self.varint()? {
                0 => Ok(()),
                size => {
                    let kinds = self.byte()?;
                    self.entries(size, &[kinds >> 4, kinds & 15], below)
                }
            },
            STRUCT => self.fields(below),
            _ => Err(Stop::Unknown),
        }
    }

    fn entries(&mut self, size: usize, kinds: &[u8], depth: u8) -> std::result::Result<(), Stop> {
        self.entries_left = self.entries_left.checked_sub(size).ok_or(Stop::Entries)?;
        (0..size).try_for_each(|_| kinds.iter().try_for_each(|kind| self.skip(*kind, depth)))
    }

    fn fields(&mut self, depth: u8) -> std::result::Result<(), Stop> {
        loop {
            let header = self.byte()?;
            if header % 16 == 0 {
                return Ok(());
            }
            // the field's number stands behind the header where it isn't a little above the last one's
            if header >> 4 == 0 {
                self.varint()?;
            }
            self.skip(header & 15, depth)?;
        }
    }

    fn byte(&mut self) -> std::result::Result<u8, Stop> {
        let (byte, rest) = self.rest.split_first().ok_or(Stop::Unknown)?;
        self.rest = rest;
        Ok(*byte)
    }

    fn bytes(&mut self, length: usize) -> std::result::Result<(), Stop> {
        self.rest = self.rest.get(length..).ok_or(Stop::Unknown)?;
        Ok(())
    }

    /// A number of 7 bits a byte, the lowest ones first.
    fn varint(&mut self) -> std::result::Result<usize, Stop> {
        let mut number = 0;
        for shift in (0..usize::BITS).step_by(7) {
            let byte = self.byte()?;
            number |= usize::from(byte & 0x7F) << shift;
            if byte < 0x80 {
                return Ok(number);
            }
        }
        Err(Stop::Unknown)
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    fn is_countable_footer(footer: &[u8]) -> bool {
        let mut file = tempfile::tempfile().unwrap();
        let length = u32::try_from(footer.len()).unwrap().to_le_bytes();
        file.write_all(&[MAGIC, footer, &length, MAGIC].concat()).unwrap();
        let is_countable = is_countable(&mut file).unwrap();
        assert_eq!(file.stream_position().unwrap(), 0);
        is_countable
    }

    #[test]
    fn lists_of_more_entries_than_the_footer_has_bytes_are_not_followed() {
        const MOST: [u8; 5] = [0xFF, 0xFF, 0xFF, 0xFF, 0x07];
        // field 15, a list of three lists of 2^31 - 1 Booleans each
        let list = [&[0xF1][..], &MOST].concat();
        assert!(!is_countable_footer(&[&[0xF9, 0x39][..], &list, &list, &list, &[0]].concat()));
        // a map from Booleans to Booleans, and a set of structs
        assert!(!is_countable_footer(&[&[0xFB][..], &MOST, &[0x11, 0]].concat()));
        assert!(!is_countable_footer(&[&[0xFA, 0xFC][..], &MOST, &[0]].concat()));
        // three Booleans, an integer with its number, a text, an empty struct
        assert!(is_countable_footer(&[0x19, 0x31, 0x05, 0x40, 0x80, 0x01, 0x18, 2, b'a', b'b', 0x1C, 0, 0]));
    }

    #[test]
    fn what_is_no_footer_is_left_to_the_decoder() {
        assert!(is_countable_footer(b""));
        assert!(is_countable_footer(&[0x1C; 500]));
        assert!(is_countable_footer(&[0x18, 200, 1]));
        let mut file = tempfile::tempfile().unwrap();
        for bytes in [&b"PAR1"[..], b"PAR1\xFF\xFF\xFF\xFFPAR1", b"PAR1\x02\0\0\0PARE"] {
            file.rewind().unwrap();
            file.write_all(bytes).unwrap();
            assert!(is_countable(&mut file).unwrap());
        }
    }
}
