//! An Arrow IPC file in memory without a copy: the one place that maps files.

use std::collections::HashMap;
use std::fs::File;
use std::ops::Range;
use std::path::Path;
use std::ptr::NonNull;
use std::sync::Arc;

use arrow_array::RecordBatch;
use arrow_buffer::Buffer;
use arrow_ipc::convert::try_fb_to_schema;
use arrow_ipc::reader::{FileDecoder, read_footer_length};
use arrow_ipc::{Block, Footer, root_as_footer, root_as_message};
use arrow_schema::{ArrowError, SchemaRef};
use memmap2::Mmap;

use super::error::{FeaturesError, arrow_error, damaged, io_error};
use crate::data::decoded;

/// A whole Arrow file.
pub(super) struct MappedFile {
    pub(super) schema: SchemaRef,
    /// What the footer says beside.
    pub(super) metadata: HashMap<String, String>,
    /// They keep the file mapped.
    pub(super) batches: Vec<RecordBatch>,
    pub(super) pages: Pages,
}

/// The file's memory.
#[derive(Debug)]
pub(super) struct Pages(Arc<Mmap>);

impl Pages {
    /// The file's size.
    pub(super) fn bytes(&self) -> u64 {
        self.0.len() as u64
    }

    /// Leaves the pages to the system, which brings them back where they are read again.
    pub(super) fn release(&self) {
        release(&self.0);
    }
}

/// A system that takes no such advice keeps the pages.
#[cfg(unix)]
fn release(mapped: &Mmap) {
    #[expect(
        unsafe_code,
        reason = "what was read of a cache counts as this program's memory: 501 against 403 MiB on 1,000,000 rows, docs/performance.md"
    )]
    // SAFETY: the mapping is read-only and of a file that never changes (see `map`), so that a page that is dropped has the same
    // bytes when it is read again.
    let _ = unsafe { mapped.unchecked_advise(memmap2::UncheckedAdvice::DontNeed) };
}

#[cfg(not(unix))]
fn release(_mapped: &Mmap) {}

/// Maps the file at `path`.
pub(super) fn read_mapped(path: &Path) -> Result<MappedFile, FeaturesError> {
    let file = File::open(path).map_err(io_error(path))?;
    let length = file.metadata().map_err(io_error(path))?.len();
    if length == 0 {
        return Err(damaged(path, "expected an Arrow file, found an empty one"));
    }
    let (buffer, mapped) = map(&file).map_err(io_error(path))?;
    // a look here and there at what says where everything is; reading on behind each would bring all of the file
    advise(&mapped, Access::Random);
    let decoded =
        decoded(|| decode(&buffer, &mapped)).unwrap_or_else(|| Err(wrong("expected sound columns, found damage")));
    advise(&mapped, Access::Ordinary);
    decoded.map_err(|error| match error {
        ArrowError::ParseError(reason) | ArrowError::IpcError(reason) => damaged(path, reason),
        other => arrow_error(path)(other),
    })
}

/// Maps a whole file, which isn't empty.
fn map(file: &File) -> std::io::Result<(Buffer, Arc<Mmap>)> {
    #[expect(unsafe_code, reason = "a cache may be larger than memory, and a copy of it would double the start's time")]
    // SAFETY: prepared files are written once, then renamed into place and never changed; a file that another program cuts
    // while it is mapped ends the process, as it would with any reader by mmap.
    let mapped = Arc::new(unsafe { Mmap::map(file)? });
    let start = NonNull::from(&mapped[..]).cast::<u8>();
    let length = mapped.len();
    #[expect(unsafe_code, reason = "Arrow's buffer over the mapped bytes, so that a row is read where it lies")]
    // SAFETY: the bytes at `start` stay mapped and unchanged for as long as the buffer holds its share of `mapped`.
    let buffer = unsafe { Buffer::from_custom_allocation(start, length, mapped.clone()) };
    Ok((buffer, mapped))
}

/// How mapped pages will be asked for.
#[derive(Clone, Copy)]
enum Access {
    Random,
    Ordinary,
}

/// A system that takes no such advice reads as it does.
#[cfg(unix)]
fn advise(mapped: &Mmap, access: Access) {
    let advice = match access {
        Access::Random => memmap2::Advice::Random,
        Access::Ordinary => memmap2::Advice::Normal,
    };
    let _ = mapped.advise(advice);
}

#[cfg(not(unix))]
fn advise(_mapped: &Mmap, _access: Access) {}

fn decode(buffer: &Buffer, mapped: &Arc<Mmap>) -> Result<MappedFile, ArrowError> {
    let (footer, footer_start) = footer(buffer)?;
    let schema = footer.schema().ok_or_else(|| wrong("expected a schema, found none"))?;
    let schema = Arc::new(try_fb_to_schema(schema)?);
    // a copy of what isn't aligned would be right, but not what this is for
    let decoder = FileDecoder::new(schema.clone(), footer.version()).with_require_alignment(true);
    let mut batches = Vec::new();
    for block in footer.recordBatches().into_iter().flatten() {
        let bytes = sound_block(buffer, block, footer_start)?;
        let bytes = buffer.slice_with_length(bytes.start, bytes.len());
        batches.push(decoder.read_record_batch(block, &bytes)?.ok_or_else(cut)?);
    }
    let pairs = footer.custom_metadata().into_iter().flatten();
    let metadata = pairs.filter_map(|pair| Some((pair.key()?.to_owned(), pair.value()?.to_owned()))).collect();
    Ok(MappedFile { schema, metadata, batches, pages: Pages(Arc::clone(mapped)) })
}

fn wrong(reason: &str) -> ArrowError {
    ArrowError::IpcError(reason.into())
}

fn cut() -> ArrowError {
    wrong("expected a whole Arrow file, found its end cut off")
}

/// The footer and where it starts.
fn footer(buffer: &[u8]) -> Result<(Footer<'_>, usize), ArrowError> {
    const TRAILER: usize = 10;
    let trailer_start = buffer.len().checked_sub(TRAILER).ok_or_else(cut)?;
    let trailer = buffer[trailer_start..].try_into().map_err(|_| cut())?;
    let footer_length = read_footer_length(trailer)?;
    let footer_start = trailer_start.checked_sub(footer_length).ok_or_else(cut)?;
    let footer = root_as_footer(&buffer[footer_start..trailer_start])
        .map_err(|error| ArrowError::IpcError(format!("expected an Arrow footer, found none ({error})")))?;
    Ok((footer, footer_start))
}

/// Where a record batch lies; its columns' buffers are checked to lie within.
fn sound_block(buffer: &[u8], block: &Block, footer_start: usize) -> Result<Range<usize>, ArrowError> {
    const PREFIX: usize = 8;
    const CONTINUATION: [u8; 4] = [0xFF; 4];
    let range = block_range(block, footer_start).ok_or_else(cut)?;
    let metadata = usize::try_from(block.metaDataLength()).ok().filter(|length| *length >= PREFIX).ok_or_else(cut)?;
    let message = &buffer[range.start..range.start + metadata];
    let message = message.strip_prefix(&CONTINUATION).unwrap_or(message);
    let message = root_as_message(&message[4..])
        .map_err(|error| ArrowError::IpcError(format!("expected a record batch, found none ({error})")))?;
    let batch = message.header_as_record_batch().ok_or_else(|| wrong("expected a record batch, found none"))?;
    let is_within = |offset: i64, length: i64| {
        offset >= 0 && length >= 0 && offset.checked_add(length).is_some_and(|end| end <= block.bodyLength())
    };
    let is_sound = batch.buffers().into_iter().flatten().all(|part| is_within(part.offset(), part.length()))
        && batch.nodes().into_iter().flatten().all(|node| node.length() >= 0 && node.null_count() >= 0)
        && batch.length() >= 0;
    if is_sound { Ok(range) } else { Err(wrong("expected columns within their record batch, found others")) }
}

/// Where a record batch lies, if that is before the footer.
fn block_range(block: &Block, footer_start: usize) -> Option<Range<usize>> {
    let start = usize::try_from(block.offset()).ok()?;
    let metadata = usize::try_from(block.metaDataLength()).ok()?;
    let end = start.checked_add(metadata)?.checked_add(usize::try_from(block.bodyLength()).ok()?)?;
    (end <= footer_start).then_some(start..end)
}
