//! Counts that stand on the disk, where those in memory would pass `features.max_memory`.
//!
//! A thread that has more than its share of the memory writes its largest field's counts as a run, ascending by value, and goes on
//! with an empty map. In the end a field's runs are merged, which gives each value once with its rows in all of them, so that only
//! values that keep an id come back to memory. Ids follow from values and rows alone, so they are those of counts in memory.

mod fields;
mod merge;
mod run;
mod runs;
#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};

use self::run::RunWriter;
use super::config::MemoryLimit;
use super::count::Fields;
use super::error::FeaturesError;

pub(super) use self::fields::spilled_draft;
pub(super) use self::runs::Runs;

/// Holds the counts of all threads to `features.max_memory`.
#[derive(Debug)]
pub(super) struct Spill {
    folder: PathBuf,
    pub(super) limit: MemoryLimit,
    threads: u64,
    /// What all threads' counts take, and soon will.
    bytes: AtomicUsize,
    /// What the values take that came back from the disk.
    kept_bytes: AtomicU64,
    /// How many files there were.
    files: AtomicUsize,
    happened: AtomicBool,
}

impl Spill {
    /// For the counts of so many threads, in files in `folder`.
    pub(super) fn new(folder: &Path, limit: MemoryLimit, threads: usize) -> Self {
        Self {
            folder: folder.into(),
            limit,
            threads: threads as u64,
            bytes: AtomicUsize::new(0),
            kept_bytes: AtomicU64::new(0),
            files: AtomicUsize::new(0),
            happened: AtomicBool::new(false),
        }
    }

    /// Whether some counts stand on the disk.
    pub(super) fn happened(&self) -> bool {
        self.happened.load(Ordering::Relaxed)
    }

    /// Writes the largest of a thread's `fields` as long as all counts are too large, or would be after so many more `rows`, and
    /// this thread has more than its share of the memory. `known_bytes` is what its fields took the last time.
    ///
    /// # Errors
    /// When files can't be written.
    pub(super) fn hold(&self, fields: &mut Fields, known_bytes: &mut usize, rows: usize) -> Result<(), FeaturesError> {
        let Some(limit_bytes) = self.limit.bytes() else { return Ok(()) };
        loop {
            let own_bytes: usize = fields.iter().map(|(.., counted)| counted.bytes_ahead(rows)).sum();
            // the sum wraps around where they shrank
            let grown = own_bytes.wrapping_sub(*known_bytes);
            let all_bytes = self.bytes.fetch_add(grown, Ordering::Relaxed).wrapping_add(grown);
            *known_bytes = own_bytes;
            if all_bytes as u64 <= limit_bytes || own_bytes as u64 <= limit_bytes / self.threads {
                return Ok(());
            }
            let largest =
                fields.iter_mut().map(|(.., counted)| counted).max_by_key(|counted| counted.bytes_ahead(rows));
            match largest.filter(|counted| counted.bytes_ahead(rows) > 0) {
                Some(counted) => {
                    self.happened.store(true, Ordering::Relaxed);
                    counted.spill(self)?;
                }
                None => return Ok(()),
            }
        }
    }

    /// Holds the values that came back from the disk, of which one more takes so many `bytes`.
    ///
    /// # Errors
    /// Where they are too large.
    fn keep(&self, bytes: usize) -> Result<(), FeaturesError> {
        let found_bytes = self.kept_bytes.fetch_add(bytes as u64, Ordering::Relaxed) + bytes as u64;
        self.check("the part of the vocabulary that is merged so far", found_bytes)
    }

    /// # Errors
    /// Where so many bytes are beyond the limit.
    pub(super) fn check(&self, what: &str, found_bytes: u64) -> Result<(), FeaturesError> {
        match self.limit.bytes() {
            Some(limit_bytes) if found_bytes > limit_bytes => {
                Err(FeaturesError::Memory { limit_bytes, found_bytes, what: what.into() })
            }
            _ => Ok(()),
        }
    }

    /// A new file.
    fn create_run(&self) -> Result<RunWriter, FeaturesError> {
        let number = self.files.fetch_add(1, Ordering::Relaxed);
        RunWriter::create(&self.folder.join(format!("counts-{number}.run")))
    }
}
