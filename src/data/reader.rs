//! Inputs → blocks of whole records, in order, on one thread; cheap, since the rows are split elsewhere.

use std::{
    collections::VecDeque,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use memchr::memchr_iter;

use super::{
    DataConfig, DataError, Input, Place, Wanted,
    input::Text,
    label::Labels,
    layout::{BYTE_ORDER_MARK, Layout, first_record, read_head},
    records::{End, Records},
};

/// Text that a block holds, about.
pub(super) const BLOCK_BYTES: usize = 1 << 17;
/// The longest record that is read; a longer one is a missing line end or quote.
pub(super) const RECORD_BYTES: usize = 64 << 20;

/// Whole records of one file.
#[derive(Debug)]
pub struct RawBlock {
    pub(super) layout: Arc<Layout>,
    pub(super) first_line: u64,
    /// How many lines end in it.
    pub(super) lines: usize,
    pub(super) bytes: Vec<u8>,
}

/// Reads inputs one after the other.
pub struct Reader {
    config: DataConfig,
    wanted: Wanted,
    inputs: VecDeque<Input>,
    current: Option<Current>,
    block_bytes: usize,
    bytes_total: Option<u64>,
    bytes_read: Arc<AtomicU64>,
    labels: Arc<Labels>,
}

struct Current {
    text: Text,
    labels: Arc<Labels>,
    layout: Option<Arc<Layout>>,
    /// Bytes behind the last whole record.
    rest: Vec<u8>,
    line: u64,
    rows_seen: bool,
}

impl Reader {
    /// # Errors
    /// [`DataError`] where there is no input.
    pub fn open(config: &DataConfig, inputs: Vec<Input>, wanted: Wanted) -> Result<Self, DataError> {
        Self::with_block_bytes(config, inputs, wanted, BLOCK_BYTES)
    }

    /// As [`Self::open`], with blocks of about `block_bytes`.
    pub(super) fn with_block_bytes(
        config: &DataConfig,
        inputs: Vec<Input>,
        wanted: Wanted,
        block_bytes: usize,
    ) -> Result<Self, DataError> {
        if inputs.is_empty() {
            return Err(DataError::NoInput);
        }
        if let Some(value) = config.positive.common(&config.negative) {
            return Err(DataError::LabelInBoth { value });
        }
        Ok(Self {
            config: config.clone(),
            wanted,
            bytes_total: inputs.iter().map(Input::size_bytes).sum(),
            inputs: inputs.into(),
            current: None,
            block_bytes,
            bytes_read: Arc::default(),
            labels: Arc::new(Labels::new(config)),
        })
    }

    /// Packed bytes of all inputs; unknown for standard input.
    pub fn bytes_total(&self) -> Option<u64> {
        self.bytes_total
    }

    /// Packed bytes read so far.
    pub fn bytes_read(&self) -> u64 {
        self.bytes_read.load(Ordering::Relaxed)
    }

    /// The next block, or `None` behind the last one.
    ///
    /// # Errors
    /// [`DataError`] for an input that can't be read, is empty, or has other columns than wanted.
    #[expect(clippy::should_implement_trait, reason = "an iterator of results would end at the first error")]
    pub fn next(&mut self) -> Result<Option<RawBlock>, DataError> {
        loop {
            let Some(current) = &mut self.current else {
                let Some(input) = self.inputs.pop_front() else {
                    return Ok(None);
                };
                let text = Text::open(&input, &self.config, &self.bytes_read)?;
                let labels = Arc::clone(&self.labels);
                self.current =
                    Some(Current { text, labels, layout: None, rest: Vec::new(), line: 1, rows_seen: false });
                continue;
            };
            if let Some(block) = current.next_block(&self.config, &self.wanted, self.block_bytes)? {
                return Ok(Some(block));
            }
            self.current = None;
        }
    }
}

impl Current {
    fn next_block(
        &mut self,
        config: &DataConfig,
        wanted: &Wanted,
        block_bytes: usize,
    ) -> Result<Option<RawBlock>, DataError> {
        loop {
            let mut bytes = std::mem::take(&mut self.rest);
            let before = bytes.len();
            self.text.read_more(&mut bytes, block_bytes)?;
            let at_end = bytes.len() == before;
            if self.layout.is_none() && !self.read_head(&mut bytes, at_end, config, wanted)? {
                self.rest = bytes;
                continue;
            }
            let layout = self.layout.as_ref().expect("the head was read just before");
            let records = layout.format.records(config);
            let end = if at_end { bytes.len() } else { records.last_end(&bytes).unwrap_or(0) };
            if end == 0 && !at_end {
                self.check_length(bytes.len())?;
                self.rest = bytes;
                continue;
            }
            if at_end {
                self.check_quotes(records, &bytes)?;
            }
            self.rest = bytes[end..].to_vec();
            bytes.truncate(end);
            if bytes.is_empty() {
                return if self.rows_seen {
                    Ok(None)
                } else {
                    Err(DataError::OnlyHeader { file: layout.file.clone() })
                };
            }
            let lines = memchr_iter(b'\n', &bytes).count();
            let block = RawBlock { layout: Arc::clone(layout), first_line: self.line, lines, bytes };
            self.line += lines as u64;
            // blank lines are no rows
            self.rows_seen |= block.bytes.iter().any(|byte| !matches!(byte, b'\r' | b'\n'));
            return Ok(Some(block));
        }
    }

    /// Finds the columns and takes the header off; false where more bytes are needed.
    fn read_head(
        &mut self,
        bytes: &mut Vec<u8>,
        at_end: bool,
        config: &DataConfig,
        wanted: &Wanted,
    ) -> Result<bool, DataError> {
        let file = &self.text.file;
        let mark = if bytes.starts_with(BYTE_ORDER_MARK) { BYTE_ORDER_MARK.len() } else { 0 };
        let format = config.format.format();
        let Some((record, line)) = first_record(format.records(config), format.comment(config), &bytes[mark..], at_end)
        else {
            if at_end {
                return Err(DataError::Empty { file: Arc::clone(file) });
            }
            self.check_length(bytes.len())?;
            return Ok(false);
        };
        let head = read_head(format, record, &Place { file: Arc::clone(file), line }, config)?;
        self.layout = Some(Arc::new(Layout::new(config, wanted, &head, file, &self.labels)?));
        let mut start = mark;
        if head.is_header {
            let begin = mark + (record.as_ptr() as usize - bytes[mark..].as_ptr() as usize);
            start = match format.records(config).end(bytes, begin).0 {
                End::At(end) => end,
                End::Unfinished | End::InQuotes => bytes.len(),
            };
            self.line += memchr_iter(b'\n', &bytes[..start]).count() as u64;
        }
        bytes.drain(..start);
        Ok(true)
    }

    fn check_length(&self, bytes: usize) -> Result<(), DataError> {
        if bytes <= RECORD_BYTES {
            return Ok(());
        }
        Err(DataError::RecordTooLong { place: self.place(), limit_bytes: RECORD_BYTES })
    }

    fn check_quotes(&self, records: Records, bytes: &[u8]) -> Result<(), DataError> {
        if records == Records::Lines {
            return Ok(());
        }
        let start = records.last_end(bytes).unwrap_or(0);
        if start < bytes.len() && records.end(bytes, start).0 == End::InQuotes {
            let line = self.line + memchr_iter(b'\n', &bytes[..start]).count() as u64;
            return Err(DataError::OpenQuote { place: Place { file: Arc::clone(&self.text.file), line } });
        }
        Ok(())
    }

    fn place(&self) -> Place {
        Place { file: Arc::clone(&self.text.file), line: self.line }
    }
}
