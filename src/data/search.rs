//! Where separators and line ends stand in a text.

use super::DataError;

/// Gives each position from `start` on at which one of the two bytes stands to `found`, 64 bytes at a time: where they are as
/// frequent as in tables, a call of `memchr` for each costs more than the search itself.
#[inline]
pub(super) fn each_of_two(
    one: u8,
    other: u8,
    bytes: &[u8],
    start: usize,
    mut found: impl FnMut(usize) -> Result<(), DataError>,
) -> Result<(), DataError> {
    const LOW: u64 = u64::from_ne_bytes([0x7F; 8]);
    // the highest bit of each byte that is zero, and no other
    let zeros = |word: u64| !(((word & LOW) + LOW) | word | LOW);
    let (one_everywhere, other_everywhere) = (u64::from_ne_bytes([one; 8]), u64::from_ne_bytes([other; 8]));
    // the highest bits of a word's bytes side by side: the product moves that of byte i to bit 56 + i, and no two meet below
    let side_by_side = |zeros: u64| (zeros >> 7).wrapping_mul(0x0102_0408_1020_4080) >> 56;
    let mut lines = bytes[start..].chunks_exact(64);
    let mut first = start;
    for line in lines.by_ref() {
        let mut hits = 0;
        for (number, word) in line.chunks_exact(8).enumerate() {
            let word = u64::from_le_bytes(word.try_into().expect("a word has 8 bytes"));
            let zeros = zeros(word ^ one_everywhere) | zeros(word ^ other_everywhere);
            hits |= side_by_side(zeros) << (8 * number);
        }
        while hits != 0 {
            found(first + hits.trailing_zeros() as usize)?;
            hits &= hits - 1;
        }
        first += 64;
    }
    let rest = lines.remainder().iter().enumerate().filter(|(_, byte)| **byte == one || **byte == other);
    rest.map(|(position, _)| first + position).try_for_each(found)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn both_bytes_are_found_wherever_they_stand(
            mut bytes in proptest::collection::vec(any::<u8>(), 0..300),
            [one, other] in prop_oneof![Just([b'\t', b'\n']), any::<[u8; 2]>()],
            more in proptest::collection::vec((any::<proptest::sample::Index>(), any::<bool>()), 0..80),
            start in any::<proptest::sample::Index>(),
        ) {
            for (position, is_one) in more.iter().take(bytes.len()) {
                let position = position.index(bytes.len());
                bytes[position] = if *is_one { one } else { other };
            }
            let start = start.index(bytes.len() + 1);
            let mut found = Vec::new();
            each_of_two(one, other, &bytes, start, |position| {
                found.push(position);
                Ok(())
            }).unwrap();
            let expected: Vec<usize> =
                (start..bytes.len()).filter(|position| [one, other].contains(&bytes[*position])).collect();
            prop_assert_eq!(found, expected);
        }
    }
}
