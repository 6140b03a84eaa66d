//! Runs: files of keys in ascending order, each with its rows.
//!
//! A file is a sequence of blocks, each the lengths of its content and of its zstd frame (`u32`, little-endian) and the frame. The
//! content is a sequence of entries: the key's length, its rows (`u32`, little-endian) and the key.

use std::fs::{self, File};
use std::io::{self, BufWriter, Read, Seek, SeekFrom, Write};
use std::ops::Range;
use std::path::{Path, PathBuf};

use zstd::bulk::{Compressor, Decompressor};

use crate::features::error::{FeaturesError, io_error};

/// From so many bytes on a block is written.
const BLOCK_BYTES: usize = 1 << 16;

/// A block's and an entry's two numbers.
const HEAD_BYTES: usize = 8;

/// A file of ascending keys, which is removed when this is dropped.
#[derive(Debug)]
pub(super) struct Run {
    path: PathBuf,
}

impl Run {
    /// # Errors
    /// When the file can't be read.
    pub(super) fn read(&self) -> Result<RunReader, FeaturesError> {
        let decompressor = Decompressor::new().map_err(io_error(&self.path))?;
        let (block, compressed) = (Vec::new(), Vec::new());
        Ok(RunReader { path: self.path.clone(), offset: 0, block, compressed, decompressor, rows: 0, key: 0..0 })
    }
}

impl Drop for Run {
    fn drop(&mut self) {
        // the whole folder is removed after an error
        let _ = fs::remove_file(&self.path);
    }
}

/// Writes a run.
pub(super) struct RunWriter {
    run: Run,
    file: BufWriter<File>,
    block: Vec<u8>,
    compressor: Compressor<'static>,
}

impl RunWriter {
    /// # Errors
    /// When the file can't be written.
    pub(super) fn create(path: &Path) -> Result<Self, FeaturesError> {
        const LEVEL: i32 = 1;
        let file = BufWriter::new(File::create(path).map_err(io_error(path))?);
        let run = Run { path: path.into() };
        let compressor = Compressor::new(LEVEL).map_err(io_error(path))?;
        Ok(Self { run, file, block: Vec::with_capacity(2 * BLOCK_BYTES), compressor })
    }

    /// Adds a key, which is above all before it.
    ///
    /// # Errors
    /// When the file can't be written.
    pub(super) fn push(&mut self, key: &[u8], rows: u32) -> Result<(), FeaturesError> {
        self.block.extend(number(key.len()));
        self.block.extend(rows.to_le_bytes());
        self.block.extend_from_slice(key);
        if self.block.len() < BLOCK_BYTES { Ok(()) } else { self.flush().map_err(io_error(&self.run.path)) }
    }

    fn flush(&mut self) -> io::Result<()> {
        let frame = self.compressor.compress(&self.block)?;
        self.file.write_all(&number(self.block.len()))?;
        self.file.write_all(&number(frame.len()))?;
        self.file.write_all(&frame)?;
        self.block.clear();
        Ok(())
    }

    /// # Errors
    /// When the file can't be written.
    pub(super) fn finish(mut self) -> Result<Run, FeaturesError> {
        let rest = if self.block.is_empty() { Ok(()) } else { self.flush() };
        rest.and_then(|()| self.file.flush()).map_err(io_error(&self.run.path))?;
        Ok(self.run)
    }
}

/// The bytes of a length.
fn number(length: usize) -> [u8; 4] {
    u32::try_from(length).expect("a cell and a block are below 4 GiB").to_le_bytes()
}

/// The numbers of a head.
fn numbers(head: &[u8]) -> [u32; 2] {
    let part = |from: usize| u32::from_le_bytes(head[from..from + 4].try_into().expect("a number has 4 bytes"));
    [part(0), part(4)]
}

/// Walks through a run's entries; the first is there after the first [`Self::advance`].
pub(super) struct RunReader {
    path: PathBuf,
    /// Where the next block starts in the file.
    offset: u64,
    block: Vec<u8>,
    compressed: Vec<u8>,
    decompressor: Decompressor<'static>,
    rows: u32,
    /// The key within the block; the next entry starts behind it.
    key: Range<usize>,
}

impl RunReader {
    pub(super) fn key(&self) -> &[u8] {
        &self.block[self.key.clone()]
    }

    pub(super) const fn rows(&self) -> u32 {
        self.rows
    }

    /// Goes to the next entry; false behind the last one.
    ///
    /// # Errors
    /// When the file can't be read.
    pub(super) fn advance(&mut self) -> Result<bool, FeaturesError> {
        if self.key.end == self.block.len() && !self.next_block().map_err(io_error(&self.path))? {
            return Ok(false);
        }
        let start = self.key.end + HEAD_BYTES;
        let [length, rows] = numbers(&self.block[self.key.end..start]);
        self.key = start..start + length as usize;
        self.rows = rows;
        Ok(true)
    }

    /// Opens the file each time, so that the number of runs isn't bounded by the one of open files.
    fn next_block(&mut self) -> io::Result<bool> {
        self.key = 0..0;
        self.block.clear();
        let mut file = File::open(&self.path)?;
        if self.offset == file.metadata()?.len() {
            return Ok(false);
        }
        file.seek(SeekFrom::Start(self.offset))?;
        let mut head = [0; HEAD_BYTES];
        file.read_exact(&mut head)?;
        let [block_bytes, frame_bytes] = numbers(&head);
        self.compressed.resize(frame_bytes as usize, 0);
        file.read_exact(&mut self.compressed)?;
        self.block.reserve(block_bytes as usize);
        self.decompressor.decompress_to_buffer(&self.compressed, &mut self.block)?;
        self.offset += HEAD_BYTES as u64 + u64::from(frame_bytes);
        Ok(true)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_is_read_as_it_was_written_and_then_gone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.run");
        let keys: Vec<Vec<u8>> = (0..30_000_u32).map(|number| format!("{number:08}").into_bytes()).collect();
        let huge = vec![b'x'; 3 * BLOCK_BYTES];
        let mut writer = RunWriter::create(&path).unwrap();
        writer.push(b"", 7).unwrap();
        for (key, rows) in keys.iter().zip(1..) {
            writer.push(key, rows).unwrap();
        }
        writer.push(&huge, u32::MAX).unwrap();
        let run = writer.finish().unwrap();
        let mut reader = run.read().unwrap();
        let mut expect = |key: &[u8], rows| {
            assert!(reader.advance().unwrap());
            assert_eq!((reader.key(), reader.rows()), (key, rows));
        };
        expect(b"", 7);
        for (key, rows) in keys.iter().zip(1..) {
            expect(key, rows);
        }
        expect(&huge, u32::MAX);
        assert!(!reader.advance().unwrap() && !reader.advance().unwrap());
        assert!(path.exists());
        drop(run);
        assert!(!path.exists());
    }

    #[test]
    fn a_run_that_is_cut_is_an_error() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.run");
        let mut writer = RunWriter::create(&path).unwrap();
        writer.push(b"key", 1).unwrap();
        let run = writer.finish().unwrap();
        let bytes = fs::read(&path).unwrap();
        for end in 1..bytes.len() {
            fs::write(&path, &bytes[..end]).unwrap();
            let error = run.read().unwrap().advance().unwrap_err().to_string();
            assert!(error.contains("a.run"), "{error}");
        }
    }
}
