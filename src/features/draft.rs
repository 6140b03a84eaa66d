//! Rows whose values have numbers but no ids yet, since not all rows were counted; and how they get their ids.
//!
//! The drafts stand in files like the cache's own, beside them until they are renumbered.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::{self, JoinHandle};

use crossbeam_channel::{Receiver, Sender, bounded};

use super::cache::{CacheLayout, CacheWriter, EncodedReader};
use super::count::{Drafts, Work};
use super::encode::Encoded;
use super::error::{FeaturesError, io_error};
use super::pipeline::Pipeline;

/// Blocks that wait for the writer.
const BLOCKS_AHEAD: usize = 8;

/// Where a part's drafts stand.
fn draft_path(folder: &Path, part: &str) -> PathBuf {
    folder.join(format!("{part}-draft.arrow"))
}

/// Writes the drafts of training and validation rows.
pub(super) struct DraftWriter {
    train: CacheWriter,
    validation: Option<CacheWriter>,
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
        let part = |part: &str| CacheWriter::create(&draft_path(folder, part), layout.clone());
        let validation = has_validation.then(|| part("validation")).transpose()?;
        let encoded = Encoded { columns: layout.fields.len(), ..Encoded::default() };
        Ok(Self { train: part("train")?, validation, group, encoded })
    }

    fn push(&mut self, Work { block, trains }: &Work, drafts: &[Drafts]) -> Result<(), FeaturesError> {
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

    fn finish(self) -> Result<(), FeaturesError> {
        self.train.finish()?;
        self.validation.map_or(Ok(0), CacheWriter::finish).map(drop)
    }
}

/// Writes drafts on a thread of its own, in the order of the blocks.
pub(super) struct DraftThread {
    work: Option<Sender<Arc<Work>>>,
    thread: Option<JoinHandle<Result<(), FeaturesError>>>,
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
                    Err(_) => return Ok(()),
                }
            }
            writer.finish()
        };
        let thread = thread::Builder::new().name("draft".into()).spawn(write).expect("the system starts a thread");
        Self { work: Some(sender), thread: Some(thread) }
    }

    /// # Errors
    /// When drafts can't be written.
    pub(super) fn push(&mut self, work: Arc<Work>) -> Result<(), FeaturesError> {
        match self.work.as_ref().map(|sender| sender.send(work)) {
            Some(Ok(())) => Ok(()),
            _ => self.join(),
        }
    }

    /// # Errors
    /// When drafts can't be written.
    pub(super) fn finish(mut self) -> Result<(), FeaturesError> {
        self.join()
    }

    fn join(&mut self) -> Result<(), FeaturesError> {
        self.work = None;
        let Some(thread) = self.thread.take() else { return Ok(()) };
        thread.join().unwrap_or_else(|cause| std::panic::resume_unwind(cause))
    }
}

/// Removes the drafts of all parts.
///
/// # Errors
/// When files can't be removed.
pub(super) fn discard(folder: &Path) -> Result<(), FeaturesError> {
    for path in ["train", "validation"].map(|part| draft_path(folder, part)).iter().filter(|path| path.exists()) {
        std::fs::remove_file(path).map_err(io_error(path))?;
    }
    Ok(())
}

/// Writes a part's file from its drafts, and removes them; `ids` has each field's id of each draft. Tells `observe` of the rows
/// and the bytes done, and of all bytes.
///
/// # Errors
/// When files can't be read or written.
pub(super) fn renumber(
    folder: &Path,
    part: &str,
    layout: CacheLayout,
    ids: &Arc<Vec<Vec<u32>>>,
    mut observe: impl FnMut(u64, u64, u64),
) -> Result<u64, FeaturesError> {
    let path = draft_path(folder, part);
    let bytes = std::fs::metadata(&path).map_err(io_error(&path))?.len();
    let mut drafts = EncodedReader::open(&path)?;
    let rows = drafts.rows();
    let mut writer = CacheWriter::create(&folder.join(format!("{part}.arrow")), layout)?;
    let worker = || {
        let ids = Arc::clone(ids);
        move |mut encoded: Encoded| {
            for row in encoded.ids.chunks_exact_mut(ids.len()) {
                row.iter_mut().zip(&*ids).for_each(|(id, ids)| *id = ids[*id as usize]);
            }
            Ok(encoded)
        }
    };
    let mut done = 0;
    for encoded in Pipeline::start(move || drafts.next().transpose(), rayon::current_num_threads(), worker) {
        let encoded = encoded?;
        done += encoded.rows() as u64;
        writer.push_whole(encoded)?;
        observe(done, bytes * done / rows.max(1), bytes);
    }
    std::fs::remove_file(&path).map_err(io_error(&path))?;
    writer.finish()
}
