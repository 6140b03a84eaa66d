//! A map of numbers of 32 bits whose entries stand where their keys say, so that many can be asked for at once.
//!
//! A map that is larger than the processor's caches costs a wait for the memory a lookup. hashbrown's has two places to look at,
//! and one lookup waits for the other; here [`HexMap::ask`] reads the places of several keys before the first is needed.

use std::hint::black_box;

/// One more slot is full than may be after so many eighths of all.
const FULL_EIGHTHS: usize = 5;
const FEWEST_SLOTS: usize = 16;

/// Open addressing with linear probing; a full slot has a key other than 0, and 0 has a place of its own.
#[derive(Clone, Debug)]
pub(super) struct HexMap<V> {
    /// A power of two, or none.
    slots: Vec<(u32, V)>,
    full: usize,
    zero: Option<V>,
}

impl<V: Copy> HexMap<V> {
    pub(super) const fn new() -> Self {
        Self { slots: Vec::new(), full: 0, zero: None }
    }

    /// With room for so many entries.
    pub(super) fn with_capacity(entries: usize, filler: V) -> Self {
        let mut map = Self::new();
        if entries > 0 {
            let slots = (entries * 8).div_ceil(FULL_EIGHTHS) + 1;
            map.slots = vec![(0, filler); slots.next_power_of_two().max(FEWEST_SLOTS)];
        }
        map
    }

    /// Where the search for a key starts.
    #[inline]
    fn start(&self, key: u32) -> usize {
        // Fibonacci hashing; the upper half depends on all bits of the key
        let hash = u64::from(key).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        #[expect(clippy::cast_possible_truncation, reason = "the mask leaves the bits that a slot's number has")]
        let place = ((hash >> 32) ^ (hash >> 20)) as usize;
        place & (self.slots.len() - 1)
    }

    /// Reads where `keys` stand, so that the memory brings all of them at once.
    #[inline]
    pub(super) fn ask(&self, keys: impl Iterator<Item = u32>) {
        if !self.slots.is_empty() {
            black_box(keys.fold(0, |all, key| all ^ self.slots[self.start(key)].0));
        }
    }

    #[inline]
    pub(super) fn get(&self, key: u32) -> Option<V> {
        if key == 0 || self.slots.is_empty() {
            return self.zero.filter(|_| key == 0);
        }
        let mut position = self.start(key);
        loop {
            let (found, value) = self.slots[position];
            if found == key {
                return Some(value);
            }
            if found == 0 {
                return None;
            }
            position = (position + 1) & (self.slots.len() - 1);
        }
    }

    /// The value of `key`, which is `absent` at first.
    #[inline]
    pub(super) fn entry(&mut self, key: u32, absent: V) -> &mut V {
        if key == 0 {
            return self.zero.get_or_insert(absent);
        }
        if self.full * 8 >= self.slots.len() * FULL_EIGHTHS {
            self.grow(absent);
        }
        let mask = self.slots.len() - 1;
        let mut position = self.start(key);
        while self.slots[position].0 != key {
            if self.slots[position].0 == 0 {
                self.slots[position] = (key, absent);
                self.full += 1;
                break;
            }
            position = (position + 1) & mask;
        }
        &mut self.slots[position].1
    }

    #[cold]
    fn grow(&mut self, filler: V) {
        let slots = vec![(0, filler); (self.slots.len() * 2).max(FEWEST_SLOTS)];
        let old = std::mem::replace(&mut self.slots, slots);
        let mask = self.slots.len() - 1;
        for (key, value) in old.into_iter().filter(|(key, _)| *key != 0) {
            let mut position = self.start(key);
            while self.slots[position].0 != 0 {
                position = (position + 1) & mask;
            }
            self.slots[position] = (key, value);
        }
    }

    /// All entries, in no order that means anything.
    pub(super) fn entries(&self) -> impl Iterator<Item = (u32, V)> + '_ {
        let others = self.slots.iter().copied().filter(|(key, _)| *key != 0);
        self.zero.iter().map(|value| (0, *value)).chain(others)
    }

    /// As [`Self::entries`], of a map that nobody needs any more.
    pub(super) fn into_entries(self) -> impl Iterator<Item = (u32, V)> {
        self.zero.into_iter().map(|value| (0, value)).chain(self.slots.into_iter().filter(|(key, _)| *key != 0))
    }

    /// The most memory that the map takes while so many entries come, in bytes: full slots stand beside twice as many for a while.
    pub(super) fn bytes_ahead(&self, entries: usize) -> usize {
        let grows = (self.full + entries) * 8 > self.slots.len() * FULL_EIGHTHS;
        if grows { 3 * self.bytes() } else { self.bytes() }
    }

    /// The memory that the map takes, in bytes.
    pub(super) fn bytes(&self) -> usize {
        self.slots.capacity() * size_of::<(u32, V)>()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn keys_that_follow_each_other_or_differ_in_high_bits_alone_stand_apart() {
        for shift in [0, 8, 16, 20] {
            let mut map = HexMap::new();
            let keys = (0..4_000_u32).map(|key| key << shift);
            keys.clone().for_each(|key| *map.entry(key, 0) += 1);
            let mask = map.slots.len() - 1;
            let far = |(position, (key, _)): (usize, &(u32, i32))| position.wrapping_sub(map.start(*key)) & mask;
            let farthest = map.slots.iter().enumerate().filter(|(_, (key, _))| *key != 0).map(far).max().unwrap();
            assert!(farthest < 64, "shift {shift}: {farthest} slots from its own");
            assert!(keys.clone().all(|key| map.get(key).is_some()), "shift {shift}");
        }
    }

    proptest! {
        #[test]
        fn the_map_is_a_map(keys in proptest::collection::vec(prop_oneof![0..50_u32, any::<u32>()], 0..400), reserve in 0..100_usize) {
            let mut map = HexMap::with_capacity(reserve, 0);
            let mut expected = BTreeMap::new();
            for key in &keys {
                *map.entry(*key, 0) += 1;
                *expected.entry(*key).or_insert(0) += 1;
            }
            map.ask(keys.iter().copied());
            for key in keys.iter().flat_map(|key| [*key, key.wrapping_add(1), !key]) {
                prop_assert_eq!(map.get(key), expected.get(&key).copied());
            }
            prop_assert_eq!(map.entries().collect::<BTreeMap<_, _>>(), expected.clone());
            prop_assert_eq!(map.into_entries().collect::<BTreeMap<_, _>>(), expected);
        }
    }
}
