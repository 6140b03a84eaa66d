//! Pass 1: counts the values of the training rows, in parallel over fields.
//!
//! Each thread owns some of the fields and walks all blocks in order, so there is no lock and sums are the same whatever the
//! number of threads. Where all ids follow from the numbers of values, the rows are written with these numbers at once, so that
//! pass 2 only has to renumber them and the text is read a single time. Counts beyond `features.max_memory` go to the disk; then
//! numbers have no meaning, and pass 2 reads the text again.

use std::mem;
use std::path::Path;
use std::sync::Arc;
use std::thread::{self, JoinHandle};

use crossbeam_channel::{Receiver, Sender, bounded};

use super::codes::{Codes, LONG_CODE, MISSING_CODE, coded_bucket};
use super::config::MemoryLimit;
use super::draft::{DraftThread, DraftWriter};
use super::error::FeaturesError;
use super::keys::{CELLS_AHEAD, NumberMap, TextMap};
use super::many::Many;
use super::numeric::{Buckets, Extremes, Moments};
use super::plan::{FieldPlan, Transform};
use super::spill::{Runs, Spill};
use crate::data::RowBlock;

/// Blocks that wait for a thread.
const BLOCKS_AHEAD: usize = 8;

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
#[derive(Debug)]
pub(super) struct Counted {
    pub(super) missing: u32,
    /// The most values of a row, where there may be several.
    pub(super) most: usize,
    pub(super) values: CountedValues,
    /// How many values have a number.
    pub(super) met: u32,
    /// The counts that were written to the disk; those in memory are what came since.
    pub(super) runs: Runs,
}

#[derive(Debug)]
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
        Self { missing: 0, most: 0, values, met: 0, runs: Runs::default() }
    }

    /// Counts the field's cells in those of the block's rows that train, and gives all rows' drafts of an id: 1 and the value's
    /// number, or 0 where it is missing; nothing for a field whose ids don't follow from such numbers.
    fn add(&mut self, field: usize, many: Option<&Many>, Work { block, codes, trains }: &Work) -> Vec<u32> {
        let mut counter = Counter { met: &mut self.met, missing: &mut self.missing };
        let numbers = || block.numbers(field, 0..block.rows()).zip(trains);
        let codes = codes.of(field);
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
                let mut drafts = Vec::with_capacity(codes.len());
                for (codes, trains) in codes.chunks(CELLS_AHEAD).zip(trains.chunks(CELLS_AHEAD)) {
                    map.ask_numbers(codes.iter().copied());
                    let first = drafts.len();
                    drafts.extend((first..).zip(codes).zip(trains).map(|((row, code), trains)| match *code {
                        MISSING_CODE => counter.miss(*trains),
                        LONG_CODE => counter.count(map.entry(block.cell(row, field), NEW), *trains),
                        number => counter.count(map.number_entry(number, NEW), *trains),
                    }));
                }
                return drafts;
            }
            CountedValues::Buckets(buckets, map) => {
                let draft = |((row, code), trains): ((usize, &u32), &bool)| match *code {
                    MISSING_CODE => counter.miss(*trains),
                    LONG_CODE => counter.count(map.entry(buckets.bucket(block.number(row, field))), *trains),
                    code => counter.count(map.entry_at(coded_bucket(code)), *trains),
                };
                return (0..).zip(codes).zip(trains).map(draft).collect();
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

    /// The most memory that can be freed by [`Self::spill`], in bytes, after so many more rows.
    pub(super) fn bytes_ahead(&self, rows: usize) -> usize {
        match &self.values {
            CountedValues::Texts(map) => map.bytes_ahead(rows * self.most.max(1)),
            CountedValues::Buckets(_, map) | CountedValues::Numbers(map, _) => map.bytes_ahead(rows),
            CountedValues::Moments(_) | CountedValues::Extremes(_) => 0,
        }
    }

    /// Writes the values' counts to the disk; each is met again then.
    ///
    /// # Errors
    /// When files can't be written.
    pub(super) fn spill(&mut self, spill: &Spill) -> Result<(), FeaturesError> {
        self.met = 0;
        match &mut self.values {
            CountedValues::Texts(map) => self.runs.add_texts(&mem::replace(map, TextMap::new()), spill),
            CountedValues::Buckets(_, map) | CountedValues::Numbers(map, _) => {
                self.runs.add_numbers(&mem::replace(map, NumberMap::new(NEW)), spill)
            }
            CountedValues::Moments(_) | CountedValues::Extremes(_) => Ok(()),
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
    pub(super) codes: Codes,
    pub(super) trains: Vec<bool>,
}

/// Some fields' drafts of ids in a block.
pub(super) type Drafts = Vec<(usize, Vec<u32>)>;

/// What the first pass found.
pub(super) struct AllCounted {
    /// All fields' counts, in order.
    pub(super) counted: Vec<Counted>,
    pub(super) spill: Arc<Spill>,
    /// All drafts, unless counts stand on the disk.
    pub(super) drafts: Option<DraftWriter>,
}

/// The threads of the first pass; all end when this is dropped.
pub(super) struct Counters {
    blocks: Vec<Sender<Arc<Work>>>,
    threads: Vec<JoinHandle<Result<Fields, FeaturesError>>>,
    spill: Arc<Spill>,
    drafts: Option<DraftThread>,
}

impl Counters {
    /// With a `writer` the drafts of all rows' ids are written. Counts beyond `limit` go to files in `folder`.
    pub(super) fn start(
        plan: &[FieldPlan],
        threads: usize,
        limit: MemoryLimit,
        folder: &Path,
        writer: Option<DraftWriter>,
    ) -> Self {
        let threads = threads.clamp(1, plan.len().max(1));
        let spill = Arc::new(Spill::new(folder, limit, threads));
        let mut counters = Self { blocks: Vec::new(), threads: Vec::new(), spill, drafts: None };
        let mut drafts = Vec::new();
        for thread in 0..threads {
            // every so-manieth field, so that each thread has some of the large ones
            let fields = plan.iter().enumerate().skip(thread).step_by(threads);
            let fields: Vec<_> = fields.map(|(field, plan)| (field, plan.many, Counted::new(plan.transform))).collect();
            let (sender, receiver) = bounded(BLOCKS_AHEAD);
            let (draft_sender, draft_receiver) = bounded(BLOCKS_AHEAD);
            drafts.push(draft_receiver);
            let draft_sender = writer.is_some().then_some(draft_sender);
            let spill = counters.spill.clone();
            let handle = thread::Builder::new()
                .name(format!("count-{thread}"))
                .spawn(move || count(&receiver, fields, draft_sender.as_ref(), &spill))
                .expect("the system starts a thread");
            counters.blocks.push(sender);
            counters.threads.push(handle);
        }
        counters.drafts = writer.map(|writer| DraftThread::start(writer, drafts));
        counters
    }

    /// Counts those of a block's rows that train.
    ///
    /// # Errors
    /// When counts or drafts can't be written.
    pub(super) fn push(&mut self, work: Work) -> Result<(), FeaturesError> {
        self.end_drafts()?;
        let work = Arc::new(work);
        for blocks in &self.blocks {
            if blocks.send(work.clone()).is_err() {
                // a thread that is gone has failed or panicked
                return self.join().map(drop);
            }
        }
        self.drafts.as_mut().map_or(Ok(()), |drafts| drafts.push(work))
    }

    /// Whether some counts stand on the disk, so that drafts have no meaning.
    pub(super) fn spilled(&self) -> bool {
        self.spill.happened()
    }

    /// Ends the pass.
    ///
    /// # Errors
    /// When counts or drafts can't be written.
    pub(super) fn finish(mut self) -> Result<AllCounted, FeaturesError> {
        let mut fields = self.join()?;
        let drafts = self.drafts.take().map_or(Ok(None), DraftThread::finish)?;
        fields.sort_by_key(|(field, ..)| *field);
        let counted = fields.into_iter().map(|(.., counted)| counted).collect();
        Ok(AllCounted { counted, drafts: drafts.filter(|_| !self.spill.happened()), spill: Arc::clone(&self.spill) })
    }

    /// Ends drafts that have no meaning any more.
    fn end_drafts(&mut self) -> Result<(), FeaturesError> {
        match self.drafts.take_if(|_| self.spill.happened()) {
            Some(drafts) => drafts.finish().map(drop),
            None => Ok(()),
        }
    }

    /// Ends the counting threads.
    fn join(&mut self) -> Result<Fields, FeaturesError> {
        self.blocks.clear();
        let mut fields = Ok(Vec::new());
        for thread in self.threads.drain(..) {
            let found = thread.join().unwrap_or_else(|cause| std::panic::resume_unwind(cause));
            fields = fields.and_then(|mut fields| {
                fields.extend(found?);
                Ok(fields)
            });
        }
        fields
    }
}

impl Drop for Counters {
    /// Waits, so that nobody writes to a folder that is being removed.
    fn drop(&mut self) {
        self.blocks.clear();
        // what fails after the first error doesn't matter
        if let Some(drafts) = self.drafts.take() {
            let _ = drafts.finish();
        }
        for thread in self.threads.drain(..) {
            let _ = thread.join();
        }
    }
}

/// A thread's fields.
pub(super) type Fields = Vec<(usize, Option<Many>, Counted)>;

fn count(
    blocks: &Receiver<Arc<Work>>,
    mut fields: Fields,
    drafts: Option<&Sender<Drafts>>,
    spill: &Spill,
) -> Result<Fields, FeaturesError> {
    let mut known_bytes = 0;
    for work in blocks {
        let add = |(field, many, counted): &mut (usize, Option<Many>, Counted)| {
            (*field, counted.add(*field, many.as_ref(), &work))
        };
        let drafted: Drafts = fields.iter_mut().map(add).collect();
        if let Some(drafts) = drafts {
            // a writer that is gone has failed, which `push` or `finish` shows, or has ended since drafts have no meaning
            let _ = drafts.send(drafted);
        }
        spill.hold(&mut fields, &mut known_bytes, work.block.rows())?;
    }
    Ok(fields)
}
