//! The rooms that read files, taken in by path so that burn need not be built.

#[path = "../../src/data/mod.rs"]
pub mod data;
#[path = "../../src/features/mod.rs"]
pub mod features;
#[path = "../../src/ranges.rs"]
pub mod ranges;
#[path = "../../src/schema.rs"]
pub mod schema;
#[path = "../../src/seed.rs"]
pub mod seed;

use std::path::Path;

/// Reads `bytes` by the reader of this name.
///
/// # Panics
/// Where the reader breaks what its room's `fuzz.rs` asks of it, and for an unknown name.
pub fn check(reader: &str, folder: &Path, bytes: &[u8]) -> String {
    if data::fuzz::readers().any(|name| name == reader) {
        return data::fuzz::check_reader(reader, folder, bytes);
    }
    features::fuzz::check_reader(reader, folder, bytes)
}
