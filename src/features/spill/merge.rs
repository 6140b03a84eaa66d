//! Several runs as one.

use std::cmp::Ordering;
use std::collections::BinaryHeap;
use std::collections::binary_heap::PeekMut;

use super::run::{Run, RunReader};
use crate::features::error::FeaturesError;

/// The keys of several runs in ascending order, each once, with the sum of its rows.
pub(in crate::features) struct Merge {
    heads: BinaryHeap<Head>,
    key: Vec<u8>,
}

impl Merge {
    /// # Errors
    /// When a run can't be read.
    pub(super) fn start<'a>(runs: impl Iterator<Item = &'a Run>) -> Result<Self, FeaturesError> {
        let mut heads = BinaryHeap::new();
        for run in runs {
            let mut reader = run.read()?;
            if reader.advance()? {
                heads.push(Head(reader));
            }
        }
        Ok(Self { heads, key: Vec::new() })
    }

    /// The next key and its rows, which stop at `u32::MAX`; none behind the last.
    ///
    /// # Errors
    /// When a run can't be read.
    pub(in crate::features) fn next(&mut self) -> Result<Option<(&[u8], u32)>, FeaturesError> {
        let Some(head) = self.heads.peek() else { return Ok(None) };
        self.key.clear();
        self.key.extend_from_slice(head.0.key());
        let mut rows = 0_u32;
        while let Some(mut head) = self.heads.peek_mut().filter(|head| head.0.key() == self.key) {
            rows = rows.saturating_add(head.0.rows());
            if !head.0.advance()? {
                PeekMut::pop(head);
            }
        }
        Ok(Some((&self.key, rows)))
    }
}

/// A run by its present key, the least on top of the heap.
struct Head(RunReader);

impl Ord for Head {
    fn cmp(&self, other: &Self) -> Ordering {
        other.0.key().cmp(self.0.key())
    }
}

impl PartialOrd for Head {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Head {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Head {}
