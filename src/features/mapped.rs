//! An Arrow IPC file in memory without a copy: the one place that maps files.

use std::fs::File;
use std::path::Path;
use std::ptr::NonNull;
use std::sync::Arc;

use arrow_array::RecordBatch;
use arrow_buffer::Buffer;
use arrow_ipc::convert::try_fb_to_schema;
use arrow_ipc::reader::{FileDecoder, read_footer_length};
use arrow_ipc::{Block, root_as_footer};
use arrow_schema::{ArrowError, SchemaRef};
use memmap2::Mmap;

use super::error::{FeaturesError, arrow_error, damaged, io_error};

/// The schema, the record batches and the size of the file at `path`; the batches keep it mapped.
pub(super) fn read_mapped(path: &Path) -> Result<(SchemaRef, Vec<RecordBatch>, u64), FeaturesError> {
    let file = File::open(path).map_err(io_error(path))?;
    let length = file.metadata().map_err(io_error(path))?.len();
    if length == 0 {
        return Err(damaged(path, "expected an Arrow file, found an empty one"));
    }
    let buffer = map(&file).map_err(io_error(path))?;
    let (schema, batches) = decode(&buffer).map_err(|error| match error {
        ArrowError::ParseError(reason) | ArrowError::IpcError(reason) => damaged(path, reason),
        other => arrow_error(path)(other),
    })?;
    Ok((schema, batches, length))
}

/// Maps a whole file, which isn't empty.
fn map(file: &File) -> std::io::Result<Buffer> {
    #[expect(unsafe_code, reason = "a cache may be larger than memory, and a copy of it would double the start's time")]
    // SAFETY: prepared files are written once, then renamed into place and never changed; a file that another program cuts
    // while it is mapped ends the process, as it would with any reader by mmap.
    let mapped = Arc::new(unsafe { Mmap::map(file)? });
    let start = NonNull::from(&mapped[..]).cast::<u8>();
    let length = mapped.len();
    #[expect(unsafe_code, reason = "Arrow's buffer over the mapped bytes, so that a row is read where it lies")]
    // SAFETY: the bytes at `start` stay mapped and unchanged for as long as the buffer holds its share of `mapped`.
    let buffer = unsafe { Buffer::from_custom_allocation(start, length, mapped) };
    Ok(buffer)
}

fn decode(buffer: &Buffer) -> Result<(SchemaRef, Vec<RecordBatch>), ArrowError> {
    const TRAILER: usize = 10;
    let cut = || ArrowError::IpcError("expected a whole Arrow file, found its end cut off".into());
    let trailer_start = buffer.len().checked_sub(TRAILER).ok_or_else(cut)?;
    let trailer = buffer[trailer_start..].try_into().map_err(|_| cut())?;
    let footer_length = read_footer_length(trailer)?;
    let footer_start = trailer_start.checked_sub(footer_length).ok_or_else(cut)?;
    let footer = root_as_footer(&buffer[footer_start..trailer_start])
        .map_err(|error| ArrowError::IpcError(format!("expected an Arrow footer, found none ({error})")))?;
    let schema = footer.schema().ok_or_else(|| ArrowError::IpcError("expected a schema, found none".into()))?;
    let schema = Arc::new(try_fb_to_schema(schema)?);
    // a copy of what isn't aligned would be right, but not what this is for
    let decoder = FileDecoder::new(schema.clone(), footer.version()).with_require_alignment(true);
    let mut batches = Vec::new();
    for block in footer.recordBatches().into_iter().flatten() {
        let bytes = block_range(block, footer_start).ok_or_else(cut)?;
        let bytes = buffer.slice_with_length(bytes.start, bytes.len());
        batches.push(decoder.read_record_batch(block, &bytes)?.ok_or_else(cut)?);
    }
    Ok((schema, batches))
}

/// Where a record batch lies, if that is before the footer.
fn block_range(block: &Block, footer_start: usize) -> Option<std::ops::Range<usize>> {
    let start = usize::try_from(block.offset()).ok()?;
    let metadata = usize::try_from(block.metaDataLength()).ok()?;
    let end = start.checked_add(metadata)?.checked_add(usize::try_from(block.bodyLength()).ok()?)?;
    (end <= footer_start).then_some(start..end)
}
