//! Pass 1: counts the values of the training rows, in parallel over fields.
//!
//! Each thread owns some of the fields and walks all blocks in order, so there is no lock and sums are the same whatever the
//! number of threads. Where all ids follow from the numbers of values, the rows are written with these numbers at once, so that
//! pass 2 only has to renumber them and the text is read a single time.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::{self, JoinHandle};

use crossbeam_channel::{Receiver, Sender, bounded};

use super::config::MemoryLimit;
use super::draft::{DraftThread, DraftWriter};
use super::error::FeaturesError;
use super::keys::{NumberMap, TextMap};
use super::many::Many;
use super::numeric::{Buckets, Extremes, Moments};
use super::plan::{FieldPlan, Transform};
use crate::data::RowBlock;

/// Blocks that wait for a thread.
const BLOCKS_AHEAD: usize = 8;
/// Cells that a map is asked for before the first of them is counted.
const CELLS_AHEAD: usize = 32;

/// A value in the order in which values are met, and the training rows that have it. They stand together, since each visit of a
/// map's entry costs a miss of the cache.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Met {
    pub(super) number: u32,
    pub(super) rows: u32,
}

/// What a map has for a value that was not met before.
const NEW: Met = Met { number: u32::MAX, rows: 0 };

/// What the rows tell of one field. Counts stop at `u32::MAX`.
#[derive(Clone, Debug)]
pub(super) struct Counted {
    pub(super) missing: u32,
    /// The most values of a row, where there may be several.
    pub(super) most: usize,
    pub(super) values: CountedValues,
    /// How many values have a number.
    pub(super) met: u32,
}

#[derive(Clone, Debug)]
pub(super) enum CountedValues {
    Texts(TextMap<Met>),
    Buckets(Buckets, NumberMap<Met>),
    /// Numbers as they are, for so many quantiles.
    Numbers(NumberMap<Met>, u32),
    Moments(Moments),
    Extremes(Extremes),
}

impl Counted {
    pub(super) fn new(transform: Transform) -> Self {
        let values = match transform {
            Transform::Text => CountedValues::Texts(TextMap::new()),
            Transform::Buckets(buckets) => CountedValues::Buckets(buckets, NumberMap::new(NEW)),
            Transform::Quantile(buckets) | Transform::Piecewise(buckets) => {
                CountedValues::Numbers(NumberMap::new(NEW), buckets)
            }
            Transform::Standardize => CountedValues::Moments(Moments::default()),
            Transform::MinMax => CountedValues::Extremes(Extremes::default()),
        };
        Self { missing: 0, most: 0, values, met: 0 }
    }

    /// Counts the field's cells in those of `block`'s rows that train, and gives all rows' drafts of an id: 1 and the value's
    /// number, or 0 where it is missing; nothing for a field whose ids don't follow from such numbers.
    fn add(&mut self, field: usize, many: Option<&Many>, block: &RowBlock, trains: &[bool]) -> Vec<u32> {
        let mut counter = Counter { met: &mut self.met, missing: &mut self.missing };
        let numbers = || block.numbers(field).zip(trains);
        match &mut self.values {
            CountedValues::Texts(map) if let Some(many) = many => {
                for row in training(trains) {
                    let mut values = 0;
                    for value in block.values(row, field, many.separator).take(many.columns) {
                        counter.count(map.entry(many.weighed(value).0, NEW), true);
                        values += 1;
                    }
                    if values == 0 {
                        counter.miss(true);
                    }
                    self.most = self.most.max(values);
                }
            }
            CountedValues::Texts(map) => {
                let mut drafts = Vec::with_capacity(trains.len());
                let (mut cells, mut asked) = (block.cells(field), [&[][..]; CELLS_AHEAD]);
                for trains in trains.chunks(CELLS_AHEAD) {
                    let asked = &mut asked[..trains.len()];
                    asked.iter_mut().zip(cells.by_ref()).for_each(|(asked, cell)| *asked = cell);
                    map.ask(asked.iter().copied());
                    drafts.extend(asked.iter().zip(trains).map(|(cell, trains)| match cell {
                        [] => counter.miss(*trains),
                        cell => counter.count(map.entry(cell, NEW), *trains),
                    }));
                }
                return drafts;
            }
            CountedValues::Buckets(buckets, map) => {
                return numbers()
                    .map(|(number, trains)| {
                        if number.is_nan() {
                            counter.miss(*trains)
                        } else {
                            counter.count(map.entry(buckets.bucket(number)), *trains)
                        }
                    })
                    .collect();
            }
            CountedValues::Numbers(map, _) => {
                return numbers()
                    .map(|(number, trains)| {
                        if number.is_nan() {
                            counter.miss(*trains)
                        } else {
                            counter.count(map.entry(number + 0.0), *trains)
                        }
                    })
                    .collect();
            }
            CountedValues::Moments(moments) => sum(numbers(), &mut counter, |number| moments.add(number)),
            CountedValues::Extremes(extremes) => sum(numbers(), &mut counter, |number| extremes.add(number)),
        }
        Vec::new()
    }

    fn bytes(&self) -> usize {
        match &self.values {
            CountedValues::Texts(map) => map.bytes(),
            CountedValues::Buckets(_, map) | CountedValues::Numbers(map, _) => map.bytes(),
            CountedValues::Moments(_) | CountedValues::Extremes(_) => 0,
        }
    }
}

/// Counts training rows, and gives drafts of ids.
struct Counter<'a> {
    met: &'a mut u32,
    missing: &'a mut u32,
}

impl Counter<'_> {
    #[inline]
    fn count(&mut self, value: &mut Met, trains: bool) -> u32 {
        if value.number == NEW.number {
            value.number = *self.met;
            *self.met = self.met.checked_add(1).expect("memory ends before 2^32 values");
        }
        value.rows = value.rows.saturating_add(u32::from(trains));
        value.number + 1
    }

    #[inline]
    fn miss(&mut self, trains: bool) -> u32 {
        *self.missing = self.missing.saturating_add(u32::from(trains));
        0
    }
}

/// The rows that train.
fn training(trains: &[bool]) -> impl Iterator<Item = usize> {
    trains.iter().enumerate().filter(|(_, trains)| **trains).map(|(row, _)| row)
}

/// Gives the numbers of the training rows to `add`.
fn sum<'a>(numbers: impl Iterator<Item = (f64, &'a bool)>, counter: &mut Counter, mut add: impl FnMut(f64)) {
    for (number, _) in numbers.filter(|(_, trains)| **trains) {
        if number.is_nan() {
            counter.miss(true);
        } else {
            add(number);
        }
    }
}

/// A block and which of its rows are for training.
pub(super) struct Work {
    pub(super) block: RowBlock,
    pub(super) trains: Vec<bool>,
}

/// Some fields' drafts of ids in a block.
pub(super) type Drafts = Vec<(usize, Vec<u32>)>;

/// The threads of the first pass.
pub(super) struct Counters {
    blocks: Vec<Sender<Arc<Work>>>,
    threads: Vec<JoinHandle<Vec<(usize, Counted)>>>,
    bytes: Arc<AtomicUsize>,
    limit: MemoryLimit,
    drafts: Option<DraftThread>,
}

impl Counters {
    /// With a `writer` the drafts of all rows' ids are written.
    pub(super) fn start(plan: &[FieldPlan], threads: usize, limit: MemoryLimit, writer: Option<DraftWriter>) -> Self {
        let threads = threads.clamp(1, plan.len().max(1));
        let mut counters = Self { blocks: Vec::new(), threads: Vec::new(), bytes: Arc::default(), limit, drafts: None };
        let mut drafts = Vec::new();
        for thread in 0..threads {
            // every so-manieth field, so that each thread has some of the large ones
            let fields = plan.iter().enumerate().skip(thread).step_by(threads);
            let fields: Vec<_> = fields.map(|(field, plan)| (field, plan.many, Counted::new(plan.transform))).collect();
            let (sender, receiver) = bounded(BLOCKS_AHEAD);
            let (draft_sender, draft_receiver) = bounded(BLOCKS_AHEAD);
            drafts.push(draft_receiver);
            let draft_sender = writer.is_some().then_some(draft_sender);
            let bytes = counters.bytes.clone();
            let handle = thread::Builder::new()
                .name(format!("count-{thread}"))
                .spawn(move || count(&receiver, fields, draft_sender.as_ref(), &bytes))
                .expect("the system starts a thread");
            counters.blocks.push(sender);
            counters.threads.push(handle);
        }
        counters.drafts = writer.map(|writer| DraftThread::start(writer, drafts));
        counters
    }

    /// Counts those of `block`'s rows that train.
    ///
    /// # Errors
    /// When the counts alone take more memory than allowed, or drafts can't be written.
    pub(super) fn push(&mut self, block: RowBlock, trains: Vec<bool>) -> Result<(), FeaturesError> {
        let found_bytes = self.bytes.load(Ordering::Relaxed) as u64;
        if let Some(limit_bytes) = self.limit.bytes().filter(|limit| found_bytes > *limit) {
            let what = "the counts of the first pass".into();
            return Err(FeaturesError::Memory { limit_bytes, found_bytes, what });
        }
        let work = Arc::new(Work { block, trains });
        for blocks in &self.blocks {
            // a thread that is gone has panicked, which `finish` shows
            let _ = blocks.send(work.clone());
        }
        self.drafts.as_mut().map_or(Ok(()), |drafts| drafts.push(work))
    }

    /// All fields' counts, in order; all drafts are written then.
    ///
    /// # Errors
    /// When drafts can't be written.
    pub(super) fn finish(self) -> Result<Vec<Counted>, FeaturesError> {
        drop(self.blocks);
        let mut counted = Vec::new();
        for thread in self.threads {
            counted.extend(thread.join().unwrap_or_else(|cause| std::panic::resume_unwind(cause)));
        }
        self.drafts.map_or(Ok(()), DraftThread::finish)?;
        counted.sort_by_key(|(field, _)| *field);
        Ok(counted.into_iter().map(|(_, counted)| counted).collect())
    }
}

/// A thread's fields.
type Fields = Vec<(usize, Option<Many>, Counted)>;

fn count(
    blocks: &Receiver<Arc<Work>>,
    mut fields: Fields,
    drafts: Option<&Sender<Drafts>>,
    bytes: &AtomicUsize,
) -> Vec<(usize, Counted)> {
    let mut known_bytes = 0;
    for work in blocks {
        let Work { block, trains } = &*work;
        let add = |(field, many, counted): &mut (usize, Option<Many>, Counted)| {
            (*field, counted.add(*field, many.as_ref(), block, trains))
        };
        let drafted: Drafts = fields.iter_mut().map(add).collect();
        if let Some(drafts) = drafts {
            // a writer that is gone has failed, which `push` or `finish` shows
            let _ = drafts.send(drafted);
        }
        let now_bytes = fields.iter().map(|(.., counted)| counted.bytes()).sum();
        // the counts only grow
        bytes.fetch_add(now_bytes - known_bytes, Ordering::Relaxed);
        known_bytes = now_bytes;
    }
    fields.into_iter().map(|(field, _, counted)| (field, counted)).collect()
}
