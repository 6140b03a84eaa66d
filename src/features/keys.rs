//! Maps from a cell to a count or an id. No allocation for a value that is there, none ever for one of 8 hex digits.

use std::cmp::Ordering;
use std::hash::Hash;

use foldhash::fast::FixedState;
use hashbrown::HashMap;

use super::hex_map::HexMap;
use crate::seed::mix;

/// Cells that a map is asked for before the first of them is looked up.
pub(super) const CELLS_AHEAD: usize = 32;

/// A map of cells' texts.
///
/// Texts of exactly 8 lower-case hex digits, which Criteo's are, have their number for a key.
#[derive(Clone, Debug)]
pub(super) struct TextMap<V> {
    hex: HexMap<V>,
    text: HashMap<Vec<u8>, V, FixedState>,
    text_bytes: usize,
}

impl<V: Copy> TextMap<V> {
    pub(super) fn new() -> Self {
        Self { hex: HexMap::new(), text: HashMap::with_hasher(FixedState::default()), text_bytes: 0 }
    }

    /// With room for so many texts of 8 hex digits, and others; `filler` is of no meaning.
    pub(super) fn with_capacity(hex: usize, text: usize, filler: V) -> Self {
        let text = HashMap::with_capacity_and_hasher(text, FixedState::default());
        Self { hex: HexMap::with_capacity(hex, filler), text, text_bytes: 0 }
    }

    /// Has the memory bring what the map holds of `cells`, all at once, before each is looked up.
    #[inline]
    pub(super) fn ask<'a>(&self, cells: impl Iterator<Item = &'a [u8]>) {
        self.ask_numbers(cells.filter_map(hex_number));
    }

    /// As [`Self::ask`], of texts of 8 hex digits by their numbers.
    #[inline]
    pub(super) fn ask_numbers(&self, numbers: impl Iterator<Item = u32>) {
        self.hex.ask(numbers);
    }

    #[inline]
    pub(super) fn get(&self, cell: &[u8]) -> Option<V> {
        match hex_number(cell) {
            Some(number) => self.hex.get(number),
            None => self.text.get(cell).copied(),
        }
    }

    /// The value of `cell`, which is `absent` at first.
    #[inline]
    pub(super) fn entry(&mut self, cell: &[u8], absent: V) -> &mut V {
        if let Some(number) = hex_number(cell) {
            return self.hex.entry(number, absent);
        }
        let text_bytes = &mut self.text_bytes;
        self.text.entry_ref(cell).or_insert_with(|| {
            *text_bytes += cell.len();
            absent
        })
    }

    /// As [`Self::entry`], of a text of 8 hex digits by its number.
    #[inline]
    pub(super) fn number_entry(&mut self, number: u32, absent: V) -> &mut V {
        self.hex.entry(number, absent)
    }

    pub(super) fn insert(&mut self, key: TextKey, value: V) {
        match key {
            TextKey::Hex(number) => {
                *self.hex.entry(number, value) = value;
            }
            TextKey::Text(text) => {
                self.text_bytes += text.len();
                self.text.insert(text.into_vec(), value);
            }
        }
    }

    /// All entries, in no order that means anything.
    pub(super) fn into_entries(self) -> impl Iterator<Item = (TextKey, V)> {
        let hex = self.hex.into_entries().map(|(number, value)| (TextKey::Hex(number), value));
        hex.chain(self.text.into_iter().map(|(text, value)| (TextKey::Text(text.into_boxed_slice()), value)))
    }

    /// All entries with their texts, in no order that means anything.
    pub(super) fn entries(&self) -> impl Iterator<Item = (TextKey, V)> + '_ {
        let hex = self.hex().map(|(number, value)| (TextKey::Hex(number), value));
        hex.chain(self.texts().map(|(text, value)| (TextKey::Text(text.into()), value)))
    }

    /// The entries of texts of 8 hex digits by their numbers, in no order that means anything.
    pub(super) fn hex(&self) -> impl Iterator<Item = (u32, V)> + '_ {
        self.hex.entries()
    }

    /// The entries of all other texts, in no order that means anything.
    pub(super) fn texts(&self) -> impl Iterator<Item = (&[u8], V)> + '_ {
        self.text.iter().map(|(text, value)| (text.as_slice(), *value))
    }

    /// The memory that the map takes, in bytes.
    pub(super) fn bytes(&self) -> usize {
        self.hex.bytes() + self.text.allocation_size() + self.text_bytes
    }

    /// The most memory that the map takes while so many texts come, in bytes.
    pub(super) fn bytes_ahead(&self, texts: usize) -> usize {
        self.hex.bytes_ahead(texts) + table_bytes_ahead(&self.text, texts) + self.text_bytes
    }
}

/// A text as the maps keep it; ordered as texts are, byte by byte.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum TextKey {
    /// Of exactly 8 lower-case hex digits.
    Hex(u32),
    /// Any other.
    Text(Box<[u8]>),
}

impl TextKey {
    pub(super) fn of(cell: &[u8]) -> Self {
        hex_number(cell).map_or_else(|| Self::Text(cell.into()), Self::Hex)
    }

    /// Whether the cell's key is a number.
    pub(super) fn is_hex(cell: &[u8]) -> bool {
        hex_number(cell).is_some()
    }

    /// The text; `digits` is where 8 hex digits are written.
    pub(super) fn text<'a>(&'a self, digits: &'a mut [u8; 8]) -> &'a [u8] {
        match self {
            Self::Hex(number) => {
                for (position, digit) in digits.iter_mut().enumerate() {
                    *digit = b"0123456789abcdef"[(number >> (28 - 4 * position)) as usize & 15];
                }
                digits
            }
            Self::Text(text) => text,
        }
    }
}

impl Ord for TextKey {
    fn cmp(&self, other: &Self) -> Ordering {
        match (self, other) {
            (Self::Hex(left), Self::Hex(right)) => left.cmp(right),
            (Self::Text(left), Self::Text(right)) => left.cmp(right),
            _ => self.text(&mut [0; 8]).cmp(other.text(&mut [0; 8])),
        }
    }
}

impl PartialOrd for TextKey {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// The number that exactly 8 lower-case hex digits are, all of them at once.
#[inline]
pub(super) fn hex_number(cell: &[u8]) -> Option<u32> {
    const fn every(byte: u8) -> u64 {
        u64::from_ne_bytes([byte; 8])
    }
    let text = u64::from_be_bytes(cell.try_into().ok()?);
    // a byte below 0x80 plus another one below 0x80 carries nothing into the next byte
    let digit = text ^ every(b'0');
    let letter = text ^ every(0x60);
    let digits = !digit.wrapping_add(every(0x80 - 10));
    let letters = !letter.wrapping_add(every(0x80 - 7)) & letter.wrapping_add(every(0x80 - 1));
    if text & every(0x80) != 0 || (digits | letters) & every(0x80) != every(0x80) {
        return None;
    }
    let nibbles = (text & every(0x0F)) + ((text >> 6) & every(1)) * 9;
    let bytes = (nibbles | nibbles >> 4) & 0x00FF_00FF_00FF_00FF;
    let pairs = (bytes | bytes >> 8) & 0x0000_FFFF_0000_FFFF;
    #[expect(clippy::cast_possible_truncation, reason = "the upper half is what was shifted together")]
    Some((pairs | pairs >> 16) as u32)
}

/// A map of numbers; whole ones from 0 to 1023, which nearly all buckets are, stand in an array.
#[derive(Clone, Debug)]
pub(super) struct NumberMap<V> {
    absent: V,
    small: Vec<V>,
    other: HashMap<u64, V, FixedState>,
}

impl<V: Copy + PartialEq> NumberMap<V> {
    /// The array's length.
    pub(super) const SMALL: usize = 1024;

    /// `absent` is the value of every number that isn't there.
    pub(super) fn new(absent: V) -> Self {
        let other = HashMap::with_hasher(FixedState::default());
        Self { absent, small: vec![absent; Self::SMALL], other }
    }

    #[inline]
    pub(super) fn get(&self, number: f64) -> V {
        match small(number) {
            Some(position) => self.small[position],
            None => self.other.get(&number.to_bits()).copied().unwrap_or(self.absent),
        }
    }

    #[inline]
    pub(super) fn entry(&mut self, number: f64) -> &mut V {
        match small(number) {
            Some(position) => &mut self.small[position],
            None => self.other.entry(number.to_bits()).or_insert(self.absent),
        }
    }

    /// Where a number stands in the array, if it does.
    #[inline]
    pub(super) fn position(number: f64) -> Option<u32> {
        #[expect(clippy::cast_possible_truncation, reason = "the array is short")]
        small(number).map(|position| position as u32)
    }

    /// As [`Self::entry`], of the number at a position of the array.
    #[inline]
    pub(super) fn entry_at(&mut self, position: usize) -> &mut V {
        &mut self.small[position]
    }

    /// All numbers that are there, in no order that means anything.
    pub(super) fn entries(&self) -> impl Iterator<Item = (f64, V)> + '_ {
        let small = self.small.iter().enumerate().map(|(number, value)| (number as f64, *value));
        let other = self.other.iter().map(|(bits, value)| (f64::from_bits(*bits), *value));
        small.chain(other).filter(|(_, value)| *value != self.absent)
    }

    /// The memory that the map takes, in bytes.
    pub(super) fn bytes(&self) -> usize {
        size_of_val(&self.small[..]) + self.other.allocation_size()
    }

    /// The most memory that the map takes beside its array while so many numbers come, in bytes.
    pub(super) fn bytes_ahead(&self, numbers: usize) -> usize {
        table_bytes_ahead(&self.other, numbers)
    }
}

/// What a table takes while `more` keys come: a full one stands beside one of twice its size for a while.
fn table_bytes_ahead<K, V>(table: &HashMap<K, V, FixedState>, more: usize) -> usize
where
    K: Eq + Hash,
{
    let bytes = table.allocation_size();
    if table.len() + more > table.capacity() { 3 * bytes } else { bytes }
}

#[inline]
fn small(number: f64) -> Option<usize> {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "the cast saturates, then is compared")]
    let whole = number as usize;
    // by bits, so that -0 is no 0
    (whole < NumberMap::<u32>::SMALL && (whole as f64).to_bits() == number.to_bits()).then_some(whole)
}

/// The fixed hash of a text, for `{ hash = N }` and for groups: from its length on, each 8 bytes (little-endian, the last ones
/// filled up with zeros) are xored in and then mixed by SplitMix64's finalizer. A change of it changes ids, and so the caches.
#[inline]
pub(super) fn stable_hash(text: &[u8]) -> u64 {
    let mut words = text.chunks_exact(8);
    let mut hash = mix(text.len() as u64, 1);
    for word in words.by_ref() {
        hash = mix(hash ^ u64::from_le_bytes(word.try_into().expect("a word has 8 bytes")), 1);
    }
    let rest = words.remainder();
    if !rest.is_empty() {
        let mut word = [0; 8];
        word[..rest.len()].copy_from_slice(rest);
        hash = mix(hash ^ u64::from_le_bytes(word), 1);
    }
    hash
}

/// Shares out hashes equally to `buckets`.
#[inline]
pub(super) fn hash_bucket(hash: u64, buckets: u32) -> u32 {
    #[expect(clippy::cast_possible_truncation, reason = "the product's upper half is below `buckets`")]
    {
        ((u128::from(hash) * u128::from(buckets)) >> 64) as u32
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn only_eight_lower_case_hex_digits_are_a_number() {
        assert_eq!(hex_number(b"68fd1e64"), Some(0x68fd_1e64));
        assert_eq!(hex_number(b"09af09af"), Some(0x09af_09af));
        for text in ["68FD1E64", "68fd1e6", "68fd1e640", "", "68fd1eg4", "68fd1e`4", "68fd1e:4", "68fd1e/4", "        "]
        {
            assert_eq!(hex_number(text.as_bytes()), None, "{text}");
        }
        for byte in 0..=255_u8 {
            let cell = [b'0', byte, b'0', b'0', b'0', b'0', b'0', b'f'];
            let expected = matches!(byte, b'0'..=b'9' | b'a'..=b'f');
            assert_eq!(hex_number(&cell).is_some(), expected, "{byte}");
        }
    }

    #[test]
    fn maps_give_back_what_was_put_in() {
        let mut map = TextMap::new();
        for cell in [&b"68fd1e64"[..], b"x", b"68fd1e64", b"68FD1E64", b"x", b"x"] {
            *map.entry(cell, 0) += 1;
        }
        assert_eq!(
            [map.get(b"68fd1e64"), map.get(b"x"), map.get(b"68FD1E64"), map.get(b"y")],
            [Some(2), Some(3), Some(1), None]
        );
        let mut numbers = NumberMap::new(0);
        for number in [1.0, 1.0, 0.5, -3.0, 1e9, 1023.0, 1024.0] {
            *numbers.entry(number) += 1;
        }
        assert_eq!([numbers.get(1.0), numbers.get(0.5), numbers.get(-3.0), numbers.get(7.0)], [2, 1, 1, 0]);
        assert_eq!(numbers.entries().map(|(_, count)| count).sum::<i32>(), 7);
        assert!(map.bytes() > 0 && numbers.bytes() > 0);
    }

    #[test]
    fn the_stable_hash_stays_what_it_is() {
        assert_eq!(stable_hash(b""), 0xE220_A839_7B1D_CDAF);
        assert_ne!(stable_hash(b"a"), stable_hash(b"a\0"));
        assert_ne!(stable_hash(b"12345678"), stable_hash(b"123456789"));
        let counts = (0..10_000_u32).fold([0; 4], |mut counts, number| {
            counts[hash_bucket(stable_hash(number.to_string().as_bytes()), 4) as usize] += 1;
            counts
        });
        assert!(counts.iter().all(|count| (2300..2700).contains(count)), "{counts:?}");
    }

    proptest! {
        #[test]
        fn keys_are_ordered_as_their_texts(left in "[0-9a-fA-F]{6,9}", right in "[0-9a-fA-F]{6,9}") {
            let (first, second) = (TextKey::of(left.as_bytes()), TextKey::of(right.as_bytes()));
            prop_assert_eq!(first.cmp(&second), left.cmp(&right));
            let mut digits = [0; 8];
            prop_assert_eq!(first.text(&mut digits), left.as_bytes());
        }
    }
}
