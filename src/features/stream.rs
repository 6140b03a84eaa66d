//! Raw inputs → encoded rows, in the rows' order, read and encoded ahead on other threads.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::codes::{Coder, Codes};
use super::encode::{Encoded, LeftOut};
use super::error::FeaturesError;
use super::pipeline::Pipeline;
use super::vocabulary::Vocabulary;
use crate::data::{DataConfig, Input, RawBlock, Reader, RowBlock, Wanted, split};

/// A block of rows, before and after encoding.
#[derive(Debug)]
pub struct EncodedBlock {
    /// The rows as they were read, for columns that aren't fields (`Wanted::extra`) and for places.
    pub rows: RowBlock,
    pub encoded: Encoded,
}

impl EncodedBlock {
    /// What the block lacks of its file.
    pub fn left_out(&self) -> LeftOut {
        LeftOut { rows: self.rows.skipped(), cells: self.encoded.cut_cells }
    }
}

/// Encoded blocks in the inputs' order.
#[derive(Debug)]
pub struct Stream {
    blocks: Pipeline<EncodedBlock>,
    progress: Progress,
}

impl Stream {
    /// The inputs' size on the disk, where it is known.
    pub fn bytes_total(&self) -> Option<u64> {
        self.progress.total
    }

    /// What was read of it so far, ahead of the blocks given out.
    pub fn bytes_read(&self) -> u64 {
        self.progress.read()
    }
}

impl Iterator for Stream {
    type Item = Result<EncodedBlock, FeaturesError>;

    fn next(&mut self) -> Option<Self::Item> {
        self.blocks.next()
    }
}

/// Streams `inputs` through the vocabulary, whose fields `wanted.schema` has. `group` is the position in `wanted.extra` of
/// the column whose values form groups. After an error nothing more comes.
///
/// # Errors
/// When the first input can't be opened.
pub fn stream(
    data: &DataConfig,
    inputs: Vec<Input>,
    wanted: Wanted,
    group: Option<usize>,
    vocabulary: Arc<Vocabulary>,
) -> Result<Stream, FeaturesError> {
    let (source, progress) = raw_blocks(data, inputs, wanted)?;
    let blocks = Pipeline::start(source, rayon::current_num_threads(), move || {
        let vocabulary = vocabulary.clone();
        move |raw| {
            let (mut rows, mut encoded) = (RowBlock::default(), Encoded::default());
            split(raw, &mut rows)?;
            vocabulary.encode(&rows, &mut encoded);
            if let Some(group) = group {
                encoded.set_groups(&rows, group);
            }
            Ok(EncodedBlock { rows, encoded })
        }
    });
    Ok(Stream { blocks, progress })
}

/// Streams `inputs` as rows, and codes of the fields that `coder` knows.
pub(super) fn stream_rows(
    data: &DataConfig,
    inputs: Vec<Input>,
    wanted: Wanted,
    coder: &Coder,
) -> Result<(Pipeline<(RowBlock, Codes)>, Progress), FeaturesError> {
    let (source, progress) = raw_blocks(data, inputs, wanted)?;
    let blocks = Pipeline::start(source, rayon::current_num_threads(), || {
        let coder = coder.clone();
        move |raw| {
            let mut rows = RowBlock::default();
            split(raw, &mut rows)?;
            let codes = coder.code(&rows);
            Ok((rows, codes))
        }
    });
    Ok((blocks, progress))
}

/// How much of the inputs was read.
#[derive(Clone, Debug, Default)]
pub(super) struct Progress {
    read: Arc<AtomicU64>,
    pub(super) total: Option<u64>,
}

impl Progress {
    pub(super) fn read(&self) -> u64 {
        self.read.load(Ordering::Relaxed)
    }
}

type Source = Box<dyn FnMut() -> Result<Option<RawBlock>, FeaturesError> + Send>;

fn raw_blocks(data: &DataConfig, inputs: Vec<Input>, wanted: Wanted) -> Result<(Source, Progress), FeaturesError> {
    let mut reader = Reader::open(data, inputs, wanted)?;
    let progress = Progress { read: Arc::default(), total: reader.bytes_total() };
    let read = progress.read.clone();
    let source = move || {
        let block = reader.next()?;
        read.store(reader.bytes_read(), Ordering::Relaxed);
        Ok(block)
    };
    Ok((Box::new(source), progress))
}
