//! Rows whose values have numbers but no ids yet, since not all rows were counted. They are written where the cache will be, and get
//! their ids there.

use std::path::Path;
use std::sync::Arc;
use std::thread::{self, JoinHandle};

use crossbeam_channel::{Receiver, Sender, bounded};

use super::cache::{CacheLayout, CacheWriter};
use super::count::{Drafts, Work};
use super::encode::Encoded;
use super::error::FeaturesError;

/// Blocks that wait for the writer.
const BLOCKS_AHEAD: usize = 8;

/// Writes the drafts of training and validation rows.
pub(super) struct DraftWriter {
    pub(super) train: CacheWriter,
    pub(super) validation: Option<CacheWriter>,
    /// Which of the extra columns has the groups.
    group: Option<usize>,
    encoded: Encoded,
}

impl DraftWriter {
    /// `layout` is the one of the drafts, whose ids have no meaning.
    ///
    /// # Errors
    /// When the files can't be written.
    pub(super) fn create(
        folder: &Path,
        layout: &CacheLayout,
        has_validation: bool,
        group: Option<usize>,
    ) -> Result<Self, FeaturesError> {
        let part = |part: &str| CacheWriter::create(&folder.join(format!("{part}.arrow")), layout.clone());
        let validation = has_validation.then(|| part("validation")).transpose()?;
        let encoded = Encoded { columns: layout.fields.len(), ..Encoded::default() };
        Ok(Self { train: part("train")?, validation, group, encoded })
    }

    fn push(&mut self, Work { block, trains, .. }: &Work, drafts: &[Drafts]) -> Result<(), FeaturesError> {
        let Encoded { columns, ids, labels, weights, .. } = &mut self.encoded;
        ids.clear();
        ids.resize(block.rows() * *columns, 0);
        for (field, drafts) in drafts.iter().flatten() {
            for (id, draft) in ids.iter_mut().skip(*field).step_by(*columns).zip(drafts) {
                *id = *draft;
            }
        }
        labels.clear();
        labels.extend((0..block.rows()).map(|row| block.label(row)));
        weights.clear();
        weights.extend_from_slice(block.weights());
        if let Some(group) = self.group {
            self.encoded.set_groups(block, group);
        }
        self.train.push(&self.encoded, (0..block.rows()).filter(|row| trains[*row]))?;
        match &mut self.validation {
            Some(validation) => validation.push(&self.encoded, (0..block.rows()).filter(|row| !trains[*row])),
            None => Ok(()),
        }
    }
}

/// Writes drafts on a thread of its own, in the order of the blocks.
pub(super) struct DraftThread {
    work: Option<Sender<Arc<Work>>>,
    thread: Option<JoinHandle<Result<DraftWriter, FeaturesError>>>,
}

impl DraftThread {
    /// `drafts` are of each counting thread.
    pub(super) fn start(mut writer: DraftWriter, drafts: Vec<Receiver<Drafts>>) -> Self {
        let (sender, receiver) = bounded::<Arc<Work>>(BLOCKS_AHEAD);
        let write = move || {
            for work in receiver {
                let drafts: Result<Vec<Drafts>, _> = drafts.iter().map(Receiver::recv).collect();
                match drafts {
                    Ok(drafts) => writer.push(&work, &drafts)?,
                    // a counting thread has panicked, which is shown where it is joined
                    Err(_) => break,
                }
            }
            Ok(writer)
        };
        let thread = thread::Builder::new().name("draft".into()).spawn(write).expect("the system starts a thread");
        Self { work: Some(sender), thread: Some(thread) }
    }

    /// # Errors
    /// When drafts can't be written.
    pub(super) fn push(&mut self, work: Arc<Work>) -> Result<(), FeaturesError> {
        match self.work.as_ref().map(|sender| sender.send(work)) {
            Some(Ok(())) => Ok(()),
            _ => self.join().map(drop),
        }
    }

    /// All drafts; none where an error ended the thread before, which was told.
    ///
    /// # Errors
    /// When drafts can't be written.
    pub(super) fn finish(mut self) -> Result<Option<DraftWriter>, FeaturesError> {
        self.join()
    }

    fn join(&mut self) -> Result<Option<DraftWriter>, FeaturesError> {
        self.work = None;
        let Some(thread) = self.thread.take() else { return Ok(None) };
        thread.join().unwrap_or_else(|cause| std::panic::resume_unwind(cause)).map(Some)
    }
}
