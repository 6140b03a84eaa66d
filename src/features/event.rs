//! What a preparation tells of itself while it lasts.

use std::fmt;

use super::config::MemoryLimit;

/// What the caller may show.
#[derive(Debug)]
pub enum PrepareEvent {
    /// There is a cache, but it can't be used.
    Rebuilding {
        reason: String,
    },
    /// The counts of the first pass would take more memory than `features.max_memory`.
    Spilling {
        limit: MemoryLimit,
    },
    Progress {
        pass: Pass,
        rows: u64,
        bytes: u64,
        total_bytes: Option<u64>,
    },
}

/// What is being done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pass {
    Counting,
    Encoding,
    Deriving,
}

impl fmt::Display for Pass {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Counting => "counting values",
            Self::Encoding => "encoding rows",
            Self::Deriving => "combining fields",
        })
    }
}
