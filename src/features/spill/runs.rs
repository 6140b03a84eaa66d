//! The runs of one field: from its maps to the disk, and back in the order of the values.

use std::{iter, mem};

use super::Spill;
use super::merge::Merge;
use super::run::{Run, RunWriter};
use crate::features::count::Met;
use crate::features::error::FeaturesError;
use crate::features::keys::{NumberMap, TextKey, TextMap};

/// So many runs become one, which bounds the memory that a merge takes.
const MOST_RUNS: usize = 16;

/// A field's runs, those of level n made of [`MOST_RUNS`]ⁿ maps.
#[derive(Debug, Default)]
pub(in crate::features) struct Runs {
    levels: Vec<Vec<Run>>,
}

impl Runs {
    pub(in crate::features) fn is_empty(&self) -> bool {
        self.levels.is_empty()
    }

    /// Writes a map of texts, but for those that no training row has.
    ///
    /// # Errors
    /// When files can't be written.
    pub(in crate::features) fn add_texts(&mut self, map: &TextMap<Met>, spill: &Spill) -> Result<(), FeaturesError> {
        // numbers, since a text of 8 digits takes three times as much
        let mut hex: Vec<(u32, u32)> = trained(map.hex()).collect();
        hex.sort_unstable();
        self.add(hex, |writer, number, rows| writer.push(TextKey::Hex(number).text(&mut [0; 8]), rows), spill)?;
        let mut texts: Vec<(&[u8], u32)> = trained(map.texts()).collect();
        texts.sort_unstable();
        self.add(texts, RunWriter::push, spill)
    }

    /// Writes a map of numbers, but for those that no training row has.
    ///
    /// # Errors
    /// When files can't be written.
    pub(in crate::features) fn add_numbers(
        &mut self,
        map: &NumberMap<Met>,
        spill: &Spill,
    ) -> Result<(), FeaturesError> {
        let mut numbers: Vec<(f64, u32)> = trained(map.entries()).collect();
        numbers.sort_unstable_by(|left, right| left.0.total_cmp(&right.0));
        self.add(numbers, |writer, number, rows| writer.push(&number_key(number), rows), spill)
    }

    /// Writes keys, which ascend, with their rows.
    fn add<K>(
        &mut self,
        keys: Vec<(K, u32)>,
        write: impl Fn(&mut RunWriter, K, u32) -> Result<(), FeaturesError>,
        spill: &Spill,
    ) -> Result<(), FeaturesError> {
        if keys.is_empty() {
            return Ok(());
        }
        let mut writer = spill.create_run()?;
        for (key, rows) in keys {
            write(&mut writer, key, rows)?;
        }
        self.push(writer.finish()?, spill)
    }

    fn push(&mut self, mut run: Run, spill: &Spill) -> Result<(), FeaturesError> {
        for level in 0.. {
            if self.levels.len() == level {
                self.levels.push(Vec::new());
            }
            let runs = &mut self.levels[level];
            runs.push(run);
            if runs.len() < MOST_RUNS {
                break;
            }
            run = join(&mem::take(runs), spill)?;
        }
        Ok(())
    }

    /// Makes all runs one, so that they can be walked through several times.
    ///
    /// # Errors
    /// When files can't be read or written.
    pub(super) fn join(&mut self, spill: &Spill) -> Result<(), FeaturesError> {
        let runs: Vec<Run> = mem::take(&mut self.levels).into_iter().flatten().collect();
        self.levels = vec![vec![join(&runs, spill)?]];
        Ok(())
    }

    /// Gives what `take` makes of each value's key and rows to `work`, ascending by value; none is left out.
    ///
    /// # Errors
    /// When files can't be read, or those of `take`; then `work` saw only the values before it.
    pub(super) fn walk<V, T>(
        &self,
        mut take: impl FnMut(&[u8], u32) -> Result<Option<V>, FeaturesError>,
        work: impl FnOnce(&mut dyn Iterator<Item = V>) -> T,
    ) -> Result<T, FeaturesError> {
        let mut merge = Merge::start(self.levels.iter().flatten())?;
        let mut failure = None;
        let mut next = || {
            loop {
                let Some((key, rows)) = merge.next()? else { return Ok(None) };
                if let Some(value) = take(key, rows)? {
                    return Ok(Some(value));
                }
            }
        };
        let done = work(&mut iter::from_fn(|| {
            next().unwrap_or_else(|error| {
                failure = Some(error);
                None
            })
        }));
        failure.map_or(Ok(done), Err)
    }
}

/// Those that training rows have.
fn trained<K>(entries: impl Iterator<Item = (K, Met)>) -> impl Iterator<Item = (K, u32)> {
    entries.filter(|(_, met)| met.rows > 0).map(|(key, met)| (key, met.rows))
}

/// One run of several.
fn join(runs: &[Run], spill: &Spill) -> Result<Run, FeaturesError> {
    let mut writer = spill.create_run()?;
    let mut merge = Merge::start(runs.iter())?;
    while let Some((key, rows)) = merge.next()? {
        writer.push(key, rows)?;
    }
    writer.finish()
}

const SIGN: u64 = 1 << 63;

/// A number as bytes that are ordered as [`f64::total_cmp`] does.
fn number_key(number: f64) -> [u8; 8] {
    let bits = number.to_bits();
    let ordered = if bits & SIGN == 0 { bits | SIGN } else { !bits };
    ordered.to_be_bytes()
}

/// The number of [`number_key`]'s bytes.
pub(super) fn key_number(key: &[u8]) -> f64 {
    let ordered = u64::from_be_bytes(key.try_into().expect("a number's key has 8 bytes"));
    f64::from_bits(if ordered & SIGN == 0 { !ordered } else { ordered ^ SIGN })
}
