//! Decoders of other makers, some of which panic on damaged files: a panic of theirs becomes no result.

use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};

thread_local! {
    static DECODES: Cell<bool> = const { Cell::new(false) };
}

/// What `decode` gives; `None` where it panics. What it had changed by then mustn't be used any more.
pub fn decoded<T>(decode: impl FnOnce() -> T) -> Option<T> {
    DECODES.set(true);
    let decoded = catch_unwind(AssertUnwindSafe(decode));
    DECODES.set(false);
    decoded.ok()
}

/// Whether this thread is within [`decoded`], so that its panic is a file's damage and no defect of ours.
pub fn decodes() -> bool {
    DECODES.get()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_is_no_result_and_is_known_as_a_decoders_while_it_decodes() {
        assert_eq!(decoded(decodes), Some(true));
        assert_eq!(decoded(|| -> u8 { panic!("damage, told by a panic") }), None);
        assert!(!decodes());
    }
}
