//! Work on several threads whose results come in the order of their sources, with bounded memory.

use std::panic;
use std::thread::{self, JoinHandle};

use crossbeam_channel::{Receiver, Sender, bounded};

use super::error::FeaturesError;

type Outcome<T> = Result<T, FeaturesError>;

/// Results in order. One thread reads the source, others do the work; all end when this is dropped.
#[derive(Debug)]
pub(super) struct Pipeline<T> {
    /// Of each source in order, where its result will come.
    results: Receiver<Receiver<Outcome<T>>>,
    threads: Vec<JoinHandle<()>>,
}

impl<T: Send + 'static> Pipeline<T> {
    /// `worker` makes what each of the `threads` does with a source.
    pub(super) fn start<S: Send + 'static, W: FnMut(S) -> Outcome<T> + Send + 'static>(
        source: impl FnMut() -> Outcome<Option<S>> + Send + 'static,
        threads: usize,
        worker: impl Fn() -> W,
    ) -> Self {
        let threads = threads.max(1);
        let (result_sender, results) = bounded(2 * threads);
        let (work_sender, work) = bounded::<(S, Sender<Outcome<T>>)>(threads);
        let mut handles = vec![spawn("read", move || read(source, &result_sender, &work_sender))];
        for _ in 0..threads {
            let (work, mut worker) = (work.clone(), worker());
            handles.push(spawn("encode", move || {
                for (item, result) in work {
                    // nobody waits for it where the pipeline was dropped
                    let _ = result.send(worker(item));
                }
            }));
        }
        Self { results, threads: handles }
    }

    /// Waits until nothing is worked on any more, and drops what nobody asked for. The source must not wait for anybody.
    pub(super) fn end(self) {
        let Self { results, threads } = self;
        drop(results);
        for thread in threads {
            if let Err(cause) = thread.join() {
                panic::resume_unwind(cause);
            }
        }
    }
}

fn spawn(name: &str, work: impl FnOnce() + Send + 'static) -> JoinHandle<()> {
    thread::Builder::new().name(name.into()).spawn(work).expect("the system starts a thread")
}

/// Gives out the sources until the last one, an error, or the end of the pipeline.
fn read<S, T>(
    mut source: impl FnMut() -> Outcome<Option<S>>,
    results: &Sender<Receiver<Outcome<T>>>,
    work: &Sender<(S, Sender<Outcome<T>>)>,
) {
    loop {
        let (sender, receiver) = bounded(1);
        let item = match source() {
            Ok(None) => return,
            Ok(Some(item)) => Some(item),
            Err(error) => {
                let _ = sender.send(Err(error));
                None
            }
        };
        if results.send(receiver).is_err() {
            return;
        }
        let Some(item) = item else { return };
        if work.send((item, sender)).is_err() {
            return;
        }
    }
}

impl<T> Iterator for Pipeline<T> {
    type Item = Outcome<T>;

    /// # Panics
    /// With the panic of one of the threads.
    fn next(&mut self) -> Option<Outcome<T>> {
        if let Ok(outcome) = self.results.recv().and_then(|result| result.recv()) {
            return Some(outcome);
        }
        for thread in self.threads.drain(..) {
            if let Err(cause) = thread.join() {
                panic::resume_unwind(cause);
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    };

    use super::*;

    fn squares(last: u64, threads: usize) -> Pipeline<u64> {
        let mut next = 0;
        let source = move || {
            next += 1;
            Ok((next <= last).then_some(next))
        };
        Pipeline::start(source, threads, || {
            |number: u64| {
                thread::sleep(std::time::Duration::from_micros(number * 7919 % 300));
                Ok(number * number)
            }
        })
    }

    #[test]
    fn results_come_in_the_order_of_their_sources() {
        for threads in [1, 2, 5] {
            let results: Vec<u64> = squares(100, threads).map(Result::unwrap).collect();
            assert_eq!(results, (1..=100).map(|number| number * number).collect::<Vec<_>>());
        }
    }

    #[test]
    fn an_error_comes_in_its_place_and_ends_the_source() {
        let mut next = 0;
        let source = move || {
            next += 1;
            if next == 3 { Err(FeaturesError::NoFields) } else { Ok(Some(next)) }
        };
        let outcomes: Vec<_> = Pipeline::start(source, 2, || Ok).collect();
        assert_eq!(outcomes.len(), 3);
        assert!(outcomes[1].is_ok() && outcomes[2].is_err());
    }

    #[test]
    fn a_dropped_pipeline_ends_its_threads() {
        let mut pipeline = squares(u64::MAX / 7919, 2);
        assert_eq!(pipeline.next().unwrap().unwrap(), 1);
        let threads = std::mem::take(&mut pipeline.threads);
        drop(pipeline);
        for thread in threads {
            thread.join().unwrap();
        }
    }

    #[test]
    fn nothing_is_worked_on_behind_the_end() {
        let working = Arc::new(AtomicU64::new(0));
        let (of_worker, mut next) = (Arc::clone(&working), 0);
        let source = move || {
            next += 1;
            Ok(Some(next))
        };
        let mut pipeline = Pipeline::start(source, 3, move || {
            let working = Arc::clone(&of_worker);
            move |number: u64| {
                working.fetch_add(1, Ordering::SeqCst);
                thread::sleep(std::time::Duration::from_millis(3));
                working.fetch_sub(1, Ordering::SeqCst);
                Ok(number)
            }
        });
        assert_eq!(pipeline.next().unwrap().unwrap(), 1);
        pipeline.end();
        assert_eq!(working.load(Ordering::SeqCst), 0);
    }

    #[test]
    #[should_panic(expected = "broken")]
    fn a_panic_of_a_thread_is_passed_on() {
        let mut once = Some(());
        Pipeline::<()>::start(move || Ok(once.take()), 2, || |()| panic!("broken")).for_each(drop);
    }
}
