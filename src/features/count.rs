//! Pass 1: counts the values of the training rows, in parallel over fields.
//!
//! Each thread owns some of the fields and walks all blocks in order, so there is no lock and sums are the same whatever the
//! number of threads.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::{self, JoinHandle};

use crossbeam_channel::{Receiver, Sender, bounded};

use super::config::MemoryLimit;
use super::error::FeaturesError;
use super::keys::{NumberMap, TextMap};
use super::many::Many;
use super::numeric::{Buckets, Extremes, Moments};
use super::plan::{FieldPlan, Transform};
use crate::data::RowBlock;

/// Blocks that wait for a thread.
const BLOCKS_AHEAD: usize = 2;

/// What the training rows tell of one field. Counts stop at `u32::MAX`.
#[derive(Clone, Debug)]
pub(super) struct Counted {
    pub(super) missing: u32,
    /// The most values of a row, where there may be several.
    pub(super) most: usize,
    pub(super) values: CountedValues,
}

#[derive(Clone, Debug)]
pub(super) enum CountedValues {
    Texts(TextMap<u32>),
    Buckets(Buckets, NumberMap<u32>),
    /// Numbers as they are, for so many quantiles.
    Numbers(NumberMap<u32>, u32),
    Moments(Moments),
    Extremes(Extremes),
}

impl Counted {
    pub(super) fn new(transform: Transform) -> Self {
        let values = match transform {
            Transform::Text => CountedValues::Texts(TextMap::new()),
            Transform::Buckets(buckets) => CountedValues::Buckets(buckets, NumberMap::new(0)),
            Transform::Quantile(buckets) | Transform::Piecewise(buckets) => {
                CountedValues::Numbers(NumberMap::new(0), buckets)
            }
            Transform::Standardize => CountedValues::Moments(Moments::default()),
            Transform::MinMax => CountedValues::Extremes(Extremes::default()),
        };
        Self { missing: 0, most: 0, values }
    }

    /// Counts the field's cells in those of `block`'s rows that `training` names.
    fn add(&mut self, field: usize, many: Option<&Many>, block: &RowBlock, training: &[u32]) {
        let mut missing = 0;
        match &mut self.values {
            CountedValues::Texts(map) if let Some(many) = many => {
                for row in training {
                    let mut values = 0;
                    for value in block.values(*row as usize, field, many.separator).take(many.columns) {
                        count_one(map.entry(many.weighed(value).0, 0));
                        values += 1;
                    }
                    missing += u32::from(values == 0);
                    self.most = self.most.max(values);
                }
            }
            CountedValues::Texts(map) => {
                for row in training {
                    match block.cell(*row as usize, field) {
                        [] => missing += 1,
                        cell => count_one(map.entry(cell, 0)),
                    }
                }
            }
            CountedValues::Buckets(buckets, map) => {
                missing = numbers(field, block, training, |number| count_one(map.entry(buckets.bucket(number))));
            }
            CountedValues::Numbers(map, _) => {
                missing = numbers(field, block, training, |number| count_one(map.entry(number + 0.0)));
            }
            CountedValues::Moments(moments) => missing = numbers(field, block, training, |number| moments.add(number)),
            CountedValues::Extremes(extremes) => {
                missing = numbers(field, block, training, |number| extremes.add(number));
            }
        }
        self.missing = self.missing.saturating_add(missing);
    }

    fn bytes(&self) -> usize {
        match &self.values {
            CountedValues::Texts(map) => map.bytes(),
            CountedValues::Buckets(_, map) | CountedValues::Numbers(map, _) => map.bytes(),
            CountedValues::Moments(_) | CountedValues::Extremes(_) => 0,
        }
    }
}

#[inline]
fn count_one(count: &mut u32) {
    *count = count.saturating_add(1);
}

/// Gives each number to `count`, and how many are missing.
#[inline]
fn numbers(field: usize, block: &RowBlock, training: &[u32], mut count: impl FnMut(f64)) -> u32 {
    let mut missing = 0;
    for row in training {
        let number = block.number(*row as usize, field);
        if number.is_nan() { missing += 1 } else { count(number) }
    }
    missing
}

/// A block and which of its rows are for training.
type Work = Arc<(RowBlock, Vec<u32>)>;

/// The threads of the first pass.
pub(super) struct Counters {
    blocks: Vec<Sender<Work>>,
    threads: Vec<JoinHandle<Vec<(usize, Counted)>>>,
    bytes: Arc<AtomicUsize>,
    limit: MemoryLimit,
}

impl Counters {
    pub(super) fn start(plan: &[FieldPlan], threads: usize, limit: MemoryLimit) -> Self {
        let threads = threads.clamp(1, plan.len().max(1));
        let mut counters = Self { blocks: Vec::new(), threads: Vec::new(), bytes: Arc::default(), limit };
        for thread in 0..threads {
            // every so-manieth field, so that each thread has some of the large ones
            let fields = plan.iter().enumerate().skip(thread).step_by(threads);
            let fields: Vec<_> = fields.map(|(field, plan)| (field, plan.many, Counted::new(plan.transform))).collect();
            let (sender, receiver) = bounded(BLOCKS_AHEAD);
            let bytes = counters.bytes.clone();
            let handle = thread::Builder::new()
                .name(format!("count-{thread}"))
                .spawn(move || count(&receiver, fields, &bytes))
                .expect("the system starts a thread");
            counters.blocks.push(sender);
            counters.threads.push(handle);
        }
        counters
    }

    /// Counts those of `block`'s rows that `training` names.
    ///
    /// # Errors
    /// When the counts alone take more memory than allowed.
    pub(super) fn push(&self, block: RowBlock, training: Vec<u32>) -> Result<(), FeaturesError> {
        let found_bytes = self.bytes.load(Ordering::Relaxed) as u64;
        if let Some(limit_bytes) = self.limit.bytes().filter(|limit| found_bytes > *limit) {
            let what = "the counts of the first pass".into();
            return Err(FeaturesError::Memory { limit_bytes, found_bytes, what });
        }
        let work = Arc::new((block, training));
        for blocks in &self.blocks {
            // a thread that is gone has panicked, which `finish` shows
            let _ = blocks.send(work.clone());
        }
        Ok(())
    }

    /// All fields' counts, in order.
    pub(super) fn finish(self) -> Vec<Counted> {
        drop(self.blocks);
        let mut counted = Vec::new();
        for thread in self.threads {
            counted.extend(thread.join().unwrap_or_else(|cause| std::panic::resume_unwind(cause)));
        }
        counted.sort_by_key(|(field, _)| *field);
        counted.into_iter().map(|(_, counted)| counted).collect()
    }
}

/// A thread's fields.
type Fields = Vec<(usize, Option<Many>, Counted)>;

fn count(blocks: &Receiver<Work>, mut fields: Fields, bytes: &AtomicUsize) -> Vec<(usize, Counted)> {
    let mut known_bytes = 0;
    for work in blocks {
        let (block, training) = &*work;
        for (field, many, counted) in &mut fields {
            counted.add(*field, many.as_ref(), block, training);
        }
        let now_bytes = fields.iter().map(|(.., counted)| counted.bytes()).sum();
        // the counts only grow
        bytes.fetch_add(now_bytes - known_bytes, Ordering::Relaxed);
        known_bytes = now_bytes;
    }
    fields.into_iter().map(|(field, _, counted)| (field, counted)).collect()
}
