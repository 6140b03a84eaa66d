//! Batches made ahead on background threads, for training (shuffled, with distinct ids) and for scoring (in order).
//!
//! For training one thread copies rows, which lie anywhere, and another one finds the ids that are equal: both wait for memory, and
//! either takes longer than a step of LR.

use std::panic;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, bounded};

use super::batch::{Batch, Dedup};
use super::cache::Cache;
use super::shuffle::Shuffle;
use crate::ranges::Portion;
use crate::seed::{Seed, mix, unit};

/// Batches that wait for whoever takes them.
const BATCHES_AHEAD: usize = 3;

/// Batches, made ahead on background threads that end with the last one or when this is dropped.
#[derive(Debug)]
pub struct Batches {
    ahead: Receiver<Batch>,
    threads: Vec<JoinHandle<()>>,
    waited: Duration,
    remaining: usize,
}

impl Batches {
    /// The time that [`Iterator::next`] has waited for batches.
    pub fn wait_seconds(&self) -> f64 {
        self.waited.as_secs_f64()
    }

    fn start(cache: Cache, batches: usize, mut make: impl FnMut() -> Option<Batch> + Send + 'static) -> Self {
        let (sender, ahead) = bounded(BATCHES_AHEAD);
        let thread = spawn("batches", move || {
            while let Some(batch) = make() {
                if sender.send(batch).is_err() {
                    break; // nobody takes batches any more
                }
            }
            cache.release();
        });
        Self { ahead, threads: vec![thread], waited: Duration::ZERO, remaining: batches }
    }

    /// Passes each batch through `finish` on a thread of its own.
    fn then(mut self, mut finish: impl FnMut(&mut Batch) + Send + 'static) -> Self {
        let (sender, ahead) = bounded(BATCHES_AHEAD);
        let made = std::mem::replace(&mut self.ahead, ahead);
        self.threads.push(spawn("distinct-ids", move || {
            for mut batch in made {
                finish(&mut batch);
                if sender.send(batch).is_err() {
                    break; // nobody takes batches any more
                }
            }
        }));
        self
    }
}

fn spawn(name: &str, work: impl FnOnce() + Send + 'static) -> JoinHandle<()> {
    thread::Builder::new().name(name.into()).spawn(work).expect("the system starts a thread")
}

impl Iterator for Batches {
    type Item = Batch;

    /// # Panics
    /// With the panic of a thread that makes the batches.
    fn next(&mut self) -> Option<Batch> {
        let asked = Instant::now();
        let batch = self.ahead.recv().ok();
        self.waited += asked.elapsed();
        if batch.is_some() {
            self.remaining = self.remaining.saturating_sub(1);
        } else {
            for ended in std::mem::take(&mut self.threads).into_iter().map(JoinHandle::join) {
                ended.unwrap_or_else(|cause| panic::resume_unwind(cause));
            }
        }
        batch
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.remaining, Some(self.remaining))
    }
}

impl ExactSizeIterator for Batches {}

/// The training batches of one epoch, in an order that follows from `seed` and `epoch` alone; the last one may be smaller.
///
/// `from_batch` passes over the first batches without reading them, so that a resumed run sees the rest of the same ones.
/// Of the rows with label 0 each batch keeps a share, drawn by row and epoch; one that would be left without a row keeps its first.
/// Up to `shuffle_rows` rows the order is a full permutation, see `features.shuffle_rows`.
///
/// # Panics
/// For a batch size of 0.
pub fn epoch(
    cache: &Cache,
    seed: Seed,
    epoch: u64,
    batch_size: usize,
    from_batch: usize,
    shuffle_rows: usize,
    negative_share: Portion,
) -> Batches {
    assert!(batch_size > 0, "a batch has at least one row");
    let batches = cache.rows().div_ceil(batch_size).saturating_sub(from_batch);
    let cache = cache.clone();
    let table_rows = cache.table_rows();
    let key = seed.draw("negatives", &[epoch]);
    let (mut work, mut dedup) = (None, None);
    let batches = Batches::start(cache.clone(), batches, move || {
        let (shuffle, rows) = work.get_or_insert_with(|| {
            let shuffle = Shuffle::new(cache.rows(), seed, epoch, shuffle_rows, from_batch.saturating_mul(batch_size));
            (shuffle, Vec::with_capacity(batch_size))
        });
        shuffle.next_rows(batch_size, rows);
        let first = *rows.first()?;
        if negative_share.value() < 1.0 {
            let kept = |row: &u32| unit(mix(key, u64::from(*row))) < negative_share.value();
            rows.retain(|row| cache.label(*row as usize) == 1 || kept(row));
            if rows.is_empty() {
                rows.push(first);
            }
        }
        Some(cache.batch(rows.iter().map(|row| *row as usize)))
    });
    batches.then(move |batch| dedup.get_or_insert_with(|| Dedup::new(table_rows)).run(batch))
}

/// All rows in order and without their distinct ids, for scoring.
///
/// # Panics
/// For a batch size of 0.
pub fn ordered(cache: &Cache, batch_size: usize) -> Batches {
    assert!(batch_size > 0, "a batch has at least one row");
    let cache = cache.clone();
    let mut first = 0;
    Batches::start(cache.clone(), cache.rows().div_ceil(batch_size), move || {
        let rows = first..(first + batch_size).min(cache.rows());
        first = rows.end;
        (!rows.is_empty()).then(|| cache.batch(rows))
    })
}

#[cfg(test)]
mod tests {
    use super::super::cache::tests::cache_of;
    use super::*;

    const ALL: Portion = Portion::WHOLE;

    /// Numbers of `Rss` in `/proc/self/smaps` for the file at `path`, in KiB.
    #[cfg(target_os = "linux")]
    fn resident_kib(path: &std::path::Path) -> u64 {
        let maps = std::fs::read_to_string("/proc/self/smaps").unwrap();
        let of_file = maps.split_inclusive("VmFlags").filter(|map| map.contains(path.to_str().unwrap()));
        let rss = of_file.flat_map(|map| map.lines().filter_map(|line| line.strip_prefix("Rss:")));
        rss.map(|rss| rss.trim().trim_end_matches(" kB").parse::<u64>().unwrap()).sum()
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn what_was_read_of_a_cache_is_not_kept_in_memory_behind_the_last_batch() {
        let (folder, cache) = cache_of(20_000, 20);
        let path = folder.path().canonicalize().unwrap().join("train.arrow");
        let ids = |cache: &Cache| (0..cache.rows()).map(|row| u64::from(cache.ids(row)[7])).sum::<u64>();
        let sum = ids(&cache);
        assert!(resident_kib(&path) > 1000, "{} KiB after a look at every row", resident_kib(&path));
        let passes: [fn(&Cache) -> Batches; 2] =
            [|cache| ordered(cache, 300), |cache| epoch(cache, Seed(1), 0, 300, 0, 20_000, ALL)];
        for pass in passes {
            let mut batches = pass(&cache);
            assert_eq!(batches.by_ref().map(|batch| batch.rows).sum::<usize>(), 20_000);
            assert!(batches.next().is_none() && batches.threads.is_empty(), "the threads have ended");
            assert!(resident_kib(&path) < 100, "{} KiB behind the last batch", resident_kib(&path));
            assert_eq!(ids(&cache), sum);
        }
    }

    #[test]
    fn an_epoch_gives_every_row_once_and_resumes_at_any_batch() {
        let (_folder, cache) = cache_of(1000, 3);
        let all: Vec<Batch> = epoch(&cache, Seed(1), 0, 64, 0, 1000, ALL).collect();
        assert_eq!(all.len(), 16);
        assert_eq!(all[15].rows, 40);
        let mut first_ids: Vec<u32> = all.iter().flat_map(|batch| batch.ids.iter().step_by(3)).copied().collect();
        first_ids.sort_unstable();
        let mut expected: Vec<u32> = (0..1000).map(|row| cache.ids(row)[0]).collect();
        expected.sort_unstable();
        assert_eq!(first_ids, expected);
        for from in [0, 1, 15, 16, 99] {
            let rest = epoch(&cache, Seed(1), 0, 64, from, 1000, ALL);
            assert_eq!(rest.len(), 16_usize.saturating_sub(from));
            assert_eq!(rest.collect::<Vec<_>>(), all[from.min(16)..]);
        }
        assert_ne!(epoch(&cache, Seed(1), 1, 64, 0, 1000, ALL).next().unwrap(), all[0]);
    }

    #[test]
    fn a_share_of_the_negatives_is_kept_and_another_one_each_epoch() {
        let (_folder, cache) = cache_of(3000, 2);
        let rows = |number: u64| {
            let share = Portion::new(0.25).unwrap();
            let batches: Vec<Batch> = epoch(&cache, Seed(1), number, 64, 0, 3000, share).collect();
            let labels: Vec<f32> = batches.iter().flat_map(|batch| batch.labels.clone()).collect();
            let negatives: std::collections::BTreeSet<u32> = batches
                .iter()
                .flat_map(|batch| batch.ids.chunks(2).zip(&batch.labels))
                .filter(|(_, label)| **label < 0.5)
                .map(|(ids, _)| ids[0])
                .collect();
            (labels, negatives)
        };
        let ((labels, first), (_, second)) = (rows(0), rows(1));
        assert_eq!(labels.iter().filter(|label| **label > 0.5).count(), 1000);
        assert!((420..580).contains(&first.len()), "{}", first.len());
        assert!(first.intersection(&second).count() < first.len() / 2);
    }

    #[test]
    fn an_ordered_pass_gives_the_rows_as_they_stand() {
        let (_folder, cache) = cache_of(100, 2);
        let mut batches = ordered(&cache, 30);
        assert_eq!(batches.len(), 4);
        let ids: Vec<u32> = batches.by_ref().flat_map(|batch| batch.ids).collect();
        let expected: Vec<u32> = (0..100).flat_map(|row| cache.ids(row).to_vec()).collect();
        assert_eq!(ids, expected);
        assert_eq!(batches.len(), 0);
        assert!(batches.wait_seconds() >= 0.0);
    }

    #[test]
    fn a_dropped_epoch_ends_its_threads() {
        let (_folder, cache) = cache_of(1000, 2);
        let mut batches = epoch(&cache, Seed(1), 0, 1, 0, 1000, ALL);
        let threads = std::mem::take(&mut batches.threads);
        assert_eq!(threads.len(), 2);
        drop(batches);
        threads.into_iter().for_each(|thread| thread.join().unwrap());
    }

    #[test]
    fn a_panic_of_either_thread_reaches_whoever_takes_batches() {
        let (_folder, cache) = cache_of(100, 2);
        let two = || {
            let mut left = 2_u8;
            move || {
                left = left.checked_sub(1)?;
                Some(Batch::default())
            }
        };
        let making = Batches::start(cache.clone(), 2, || panic!("the first")).then(|_| ());
        let finishing = Batches::start(cache, 2, two()).then(|_| panic!("the second"));
        for (batches, expected) in [(making, "the first"), (finishing, "the second")] {
            let taken = panic::catch_unwind(panic::AssertUnwindSafe(|| batches.count()));
            assert_eq!(taken.unwrap_err().downcast_ref::<&str>(), Some(&expected));
        }
    }
}
