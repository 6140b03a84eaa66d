//! The allocator of the binary and of the benchmarks that hold a table: mimalloc, with large blocks on huge pages.
//!
//! mimalloc keeps freed memory in the process: a step's buffers would otherwise be paged in again at every step. A lookup in a
//! vocabulary or a table of millions of rows is a miss of the processor's address cache too, and on huge pages, each of which is 512
//! of the others, that is rare.

use std::alloc::{GlobalAlloc, Layout};

use mimalloc::MiMalloc;

const HUGE_PAGE_BYTES: usize = 2 << 20;
/// Smaller blocks would leave much of a huge page without use.
const LARGE_BYTES: usize = 2 * HUGE_PAGE_BYTES;

/// mimalloc, and huge pages where the system gives them (Linux).
#[derive(Clone, Copy, Debug, Default)]
pub struct Allocator;

#[expect(unsafe_code, reason = "an allocator is unsafe to write; benches/growth.rs measures what it gives")]
// SAFETY: every block is one of mimalloc's, of the size and the alignment asked for, and goes back to mimalloc; `advise_huge` changes no
// byte of a block.
unsafe impl GlobalAlloc for Allocator {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: as this function's own
        on_huge_pages(unsafe { MiMalloc.alloc(layout) }, layout.size())
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        // SAFETY: as this function's own
        on_huge_pages(unsafe { MiMalloc.alloc_zeroed(layout) }, layout.size())
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        // SAFETY: as this function's own
        unsafe { MiMalloc.dealloc(block, layout) }
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
        if new_size < LARGE_BYTES || new_size <= layout.size() {
            // SAFETY: as this function's own
            return unsafe { MiMalloc.realloc(block, layout, new_size) };
        }
        // SAFETY: the caller answers for the new size with the old alignment; the new block is larger than the old one, and apart
        unsafe {
            let new = self.alloc(Layout::from_size_align_unchecked(new_size, layout.align()));
            if !new.is_null() {
                block.copy_to_nonoverlapping(new, layout.size());
                self.dealloc(block, layout);
            }
            new
        }
    }
}

/// Asks for huge pages where a block is large, before its pages are touched for the first time. The block stands where mimalloc puts it:
/// one that is aligned to huge pages would come from the system every time and go back to it.
#[inline]
fn on_huge_pages(block: *mut u8, bytes: usize) -> *mut u8 {
    if bytes >= LARGE_BYTES && !block.is_null() {
        advise_huge(block, bytes);
    }
    block
}

/// A system that has no huge pages goes on with small ones.
#[cfg(target_os = "linux")]
#[cold]
fn advise_huge(block: *mut u8, bytes: usize) {
    let before = block.align_offset(HUGE_PAGE_BYTES);
    let whole = bytes.saturating_sub(before) / HUGE_PAGE_BYTES * HUGE_PAGE_BYTES;
    #[expect(
        unsafe_code,
        reason = "the system call has no safe form for memory that isn't mapped by name; benches/growth.rs"
    )]
    // SAFETY: the pages lie within the block, and the advice changes no byte of them.
    unsafe {
        libc::madvise(block.add(before.min(bytes)).cast(), whole, libc::MADV_HUGEPAGE);
    }
}

#[cfg(not(target_os = "linux"))]
fn advise_huge(_block: *mut u8, _bytes: usize) {}

#[cfg(test)]
#[expect(unsafe_code, reason = "an allocator's functions are unsafe to call")]
mod tests {
    use super::*;

    /// The byte that a block has at a position.
    #[expect(clippy::cast_possible_truncation, reason = "any byte will do")]
    fn mark(position: usize) -> u8 {
        (position / 4093) as u8 ^ position as u8
    }

    #[test]
    fn a_block_keeps_its_bytes_while_it_grows_and_shrinks_over_every_bound() {
        let sizes = [
            1,
            4096,
            LARGE_BYTES - 1,
            LARGE_BYTES,
            LARGE_BYTES + 1,
            3 * LARGE_BYTES + 5,
            LARGE_BYTES,
            100,
            LARGE_BYTES,
        ];
        for align in [1, 64, 4096] {
            let mut layout = Layout::from_size_align(sizes[0], align).unwrap();
            // SAFETY: every block is used within the size that it was asked for, and given back once
            unsafe {
                let mut block = Allocator.alloc(layout);
                let mut kept = 0;
                for size in sizes {
                    block = Allocator.realloc(block, layout, size);
                    layout = Layout::from_size_align(size, align).unwrap();
                    assert!(!block.is_null() && block.addr().is_multiple_of(align), "{size} bytes aligned to {align}");
                    let bytes = std::slice::from_raw_parts_mut(block, size);
                    assert!(
                        (0..kept.min(size)).all(|position| bytes[position] == mark(position)),
                        "up to {size} bytes"
                    );
                    bytes.iter_mut().enumerate().for_each(|(position, byte)| *byte = mark(position));
                    kept = size;
                }
                Allocator.dealloc(block, layout);
            }
        }
    }

    #[test]
    fn a_zeroed_block_is_zero_where_another_one_was() {
        let layout = Layout::from_size_align(2 * LARGE_BYTES + 7, 8).unwrap();
        for _ in 0..3 {
            // SAFETY: the block is used within its size and given back once
            unsafe {
                let block = Allocator.alloc_zeroed(layout);
                let bytes = std::slice::from_raw_parts_mut(block, layout.size());
                assert!(bytes.iter().all(|byte| *byte == 0));
                bytes.fill(7);
                Allocator.dealloc(block, layout);
            }
        }
    }
}
