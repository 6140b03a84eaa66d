//! Gives one reader, that of `SECN_READER`, the fuzzer's bytes; a panic that escapes and more than 256 MiB at a time end it.
//! Where `SECN_KEEP` names a folder, each input of a new outcome is written there.
#![no_main]

use std::{
    alloc::{GlobalAlloc, Layout, System},
    collections::BTreeSet,
    panic,
    path::Path,
    sync::{
        LazyLock, Mutex, Once,
        atomic::{AtomicUsize, Ordering},
    },
};

use libfuzzer_sys::fuzz_target;

/// Bytes in use at a time, of which a reader of a few KiB needs far fewer.
const LIMIT_BYTES: usize = 256 << 20;

struct Limited;

static IN_USE: AtomicUsize = AtomicUsize::new(0);

// SAFETY: all work is the system's allocator's; the count beside it touches no memory of its own.
unsafe impl GlobalAlloc for Limited {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        if IN_USE.fetch_add(layout.size(), Ordering::Relaxed) + layout.size() > LIMIT_BYTES {
            IN_USE.store(0, Ordering::Relaxed);
            eprintln!("an allocation of {} bytes", layout.size());
            std::process::abort();
        }
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        if IN_USE.fetch_add(layout.size(), Ordering::Relaxed) + layout.size() > LIMIT_BYTES {
            IN_USE.store(0, Ordering::Relaxed);
            eprintln!("an allocation of {} zeroed bytes", layout.size());
            std::process::abort();
        }
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn dealloc(&self, start: *mut u8, layout: Layout) {
        IN_USE.fetch_sub(layout.size(), Ordering::Relaxed);
        unsafe { System.dealloc(start, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Limited = Limited;

static READER: LazyLock<String> = LazyLock::new(|| std::env::var("SECN_READER").expect("`SECN_READER` names a reader"));
static FOLDER: LazyLock<tempfile::TempDir> =
    LazyLock::new(|| tempfile::tempdir().expect("a temporary folder can be made"));

fuzz_target!(|bytes: &[u8]| {
    // some readers catch panics of a decoder, so only one that escapes is a crash
    static QUIET: Once = Once::new();
    QUIET.call_once(|| panic::set_hook(Box::new(|_| {})));
    let folder = FOLDER.path();
    match panic::catch_unwind(|| secn_fuzz::check(&READER, folder, bytes)) {
        Ok(outcome) => keep(outcome, bytes),
        Err(error) => {
            eprintln!("panic: {}", panic_text(&*error));
            std::process::abort();
        }
    }
});

fn keep(outcome: String, bytes: &[u8]) {
    static KEPT: Mutex<BTreeSet<String>> = Mutex::new(BTreeSet::new());
    let Some(folder) = std::env::var_os("SECN_KEEP") else { return };
    let mut kept = KEPT.lock().expect("no thread panics while it holds the lock");
    if kept.insert(outcome) {
        let path = Path::new(&folder).join(format!("kept-{:03}", kept.len()));
        std::fs::write(path, bytes).expect("the folder can be written to");
    }
}

fn panic_text(error: &(dyn std::any::Any + Send)) -> &str {
    let text = error.downcast_ref::<String>().map(String::as_str);
    text.or(error.downcast_ref::<&str>().copied()).unwrap_or("no message")
}
