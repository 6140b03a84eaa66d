//! What the rows before each training row say of its combinations, and the file that holds it during the third pass.

use std::{
    fs::{File, OpenOptions},
    io::{self, Read, Seek, SeekFrom, Write},
    ops::Range,
    path::{Path, PathBuf},
    sync::atomic::{AtomicUsize, Ordering},
};

use super::{Combination, KeyMap, Seen};
use crate::{
    features::{
        cache::Cache,
        config::MemoryLimit,
        error::{FeaturesError, io_error},
        shuffle::Shuffle,
    },
    seed::Seed,
};

/// Rows between two looks at the memory.
pub(super) const CHUNK_ROWS: usize = 1 << 16;
/// Of a row in the file.
pub(super) const ROW_BYTES: usize = 8;

/// The order in which the training rows are visited: a full permutation.
pub(super) fn order(rows: usize, seed: Seed) -> Vec<u32> {
    let mut order = Vec::with_capacity(rows);
    Shuffle::new(rows, Seed(seed.draw("target-statistics", &[])), 0, rows, 0).next_rows(rows, &mut order);
    order
}

/// For each training row what the rows before it in `order` say of its combination; and what all rows do.
pub(super) fn visit(
    combination: &Combination,
    train: &Cache,
    order: &[u32],
    memory: &Memory,
) -> Result<(Vec<Seen>, KeyMap<Seen>), FeaturesError> {
    let mut earlier = vec![Seen::default(); train.rows()];
    let mut all: KeyMap<Seen> = KeyMap::default();
    let mut known_bytes = 0;
    for rows in order.chunks(CHUNK_ROWS) {
        for row in rows {
            let row = *row as usize;
            let seen = all.entry(combination.key(train.ids(row))).or_default();
            earlier[row] = *seen;
            seen.add(train.label(row));
        }
        memory.grow(&mut known_bytes, all.allocation_size())?;
    }
    all.shrink_to_fit();
    Ok((earlier, all))
}

/// Holds the combinations of all threads to `features.max_memory`.
pub(super) struct Memory {
    bytes: AtomicUsize,
    limit: MemoryLimit,
}

impl Memory {
    pub(super) fn new(limit: MemoryLimit) -> Self {
        Self { bytes: AtomicUsize::new(0), limit }
    }

    /// Adds what a map has grown since it was `known_bytes` large.
    pub(super) fn grow(&self, known_bytes: &mut usize, now_bytes: usize) -> Result<(), FeaturesError> {
        let grown = now_bytes - *known_bytes;
        *known_bytes = now_bytes;
        let found_bytes = (self.bytes.fetch_add(grown, Ordering::Relaxed) + grown) as u64;
        match self.limit.bytes() {
            Some(limit_bytes) if found_bytes > limit_bytes => {
                let what = "the combinations of fields".into();
                Err(FeaturesError::Memory { limit_bytes, found_bytes, what })
            }
            _ => Ok(()),
        }
    }
}

/// A file of one column a combination: of each training row the rows before it, and their clicks.
pub(super) struct EarlierFile {
    path: PathBuf,
    rows: usize,
}

impl EarlierFile {
    pub(super) fn create(path: &Path, rows: usize) -> Result<Self, FeaturesError> {
        File::create(path).map_err(io_error(path))?;
        Ok(Self { path: path.to_owned(), rows })
    }

    /// Columns may be written in any order, and at the same time.
    pub(super) fn write(&self, column: usize, earlier: &[Seen]) -> Result<(), FeaturesError> {
        let write = || -> io::Result<()> {
            let mut file = OpenOptions::new().write(true).open(&self.path)?;
            file.seek(SeekFrom::Start(self.position(column, 0)))?;
            let mut bytes = Vec::with_capacity(CHUNK_ROWS * ROW_BYTES);
            for chunk in earlier.chunks(CHUNK_ROWS) {
                bytes.clear();
                for seen in chunk {
                    bytes.extend(seen.rows.to_le_bytes());
                    bytes.extend(seen.clicks.to_le_bytes());
                }
                file.write_all(&bytes)?;
            }
            Ok(())
        };
        write().map_err(io_error(&self.path))
    }

    /// Some rows of the first `columns` columns.
    pub(super) fn read(&self, columns: usize, rows: Range<usize>) -> Result<Vec<Vec<Seen>>, FeaturesError> {
        let read = || -> io::Result<Vec<Vec<Seen>>> {
            let mut file = File::open(&self.path)?;
            let mut bytes = vec![0; rows.len() * ROW_BYTES];
            let column = |column| {
                file.seek(SeekFrom::Start(self.position(column, rows.start)))?;
                file.read_exact(&mut bytes)?;
                Ok(bytes.chunks_exact(ROW_BYTES).map(seen).collect())
            };
            (0..columns).map(column).collect()
        };
        read().map_err(io_error(&self.path))
    }

    fn position(&self, column: usize, row: usize) -> u64 {
        (column as u64 * self.rows as u64 + row as u64) * ROW_BYTES as u64
    }
}

fn seen(bytes: &[u8]) -> Seen {
    let number = |bytes: &[u8]| u32::from_le_bytes(bytes.try_into().expect("a number has 4 bytes"));
    Seen { rows: number(&bytes[..4]), clicks: number(&bytes[4..]) }
}
