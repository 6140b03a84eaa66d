//! What a checkpoint holds: dense weights, tables, moments, and where the training stands.
//!
//! `best` has the weights alone; `last` has all that `--resume` needs to go on with the same bits. The random streams
//! need no place in it: each follows from the seed, the epoch and the step.

use std::{ops::Range, path::Path};

use serde::{Deserialize, Serialize};

use super::{
    ScheduleState, Trainer, TrainingError,
    checkpoint_files::{Reader, Writer, recover},
    checkpoint_tensors::{Parts, Saved, TableMarks, TablePart},
    dense,
};
use crate::{
    embedding::{Embedding, Table},
    metrics::EpochRecord,
    models::Model,
};

const DENSE: &str = "dense.safetensors";
const TABLE: &str = "table.safetensors";
const MOMENTS: &str = "moments.safetensors";
const OPTIMIZER: &str = "optimizer.safetensors";

/// Where the training stands.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Progress {
    /// Epochs done.
    pub epoch: u64,
    /// Batches done in the epoch that runs.
    pub batch: u64,
    /// Steps done in all.
    pub step: u64,
    /// Sum of the loss over the epoch's rows so far.
    pub loss_sum: f64,
    /// The epoch's rows so far.
    pub rows: u64,
    /// Seconds of training in the epoch so far, evaluations left out.
    pub seconds: f64,
    /// Seconds of those spent waiting for data.
    pub wait_seconds: f64,
    pub schedule: ScheduleState,
    /// The watched metric's best value.
    pub best: Option<f64>,
    /// Whether a best checkpoint was written.
    pub has_best: bool,
    /// The epoch, from 1, of the best checkpoint.
    pub best_epoch: u64,
    /// Evaluations in a row without gain.
    pub without_gain: usize,
    /// Evaluations so far: lines of `metrics.jsonl`.
    pub evaluations: u64,
    pub epochs: Vec<EpochRecord>,
    /// Whether early stopping has ended the training.
    pub stopped: bool,
}

/// A checkpoint's content, borrowed from a trainer.
pub struct Checkpoint<'a> {
    pub trainer: &'a Trainer,
    pub progress: &'a Progress,
    /// Whether `--resume` shall be able to go on from it.
    pub resumable: bool,
}

/// Writes a checkpoint in the place of an older one.
///
/// # Errors
/// [`TrainingError::Io`] with the path.
pub fn save(folder: &Path, checkpoint: &Checkpoint) -> Result<(), TrainingError> {
    let trainer = checkpoint.trainer;
    let mut writer = Writer::new(folder)?;
    writer.add_tensors(DENSE, dense::weights(trainer.model()).into_iter().map(Saved::Weight).collect())?;
    writer.add_tensors(TABLE, parts(&trainer.embedding, |_| 0..1))?;
    if checkpoint.resumable {
        let mut moments = parts(&trainer.embedding, |table| 1..table.moments() + 1);
        moments.extend(decay_marks(&trainer.embedding));
        moments.extend(frozen_marks(&trainer.embedding));
        writer.add_tensors(MOMENTS, moments)?;
        writer.add_tensors(OPTIMIZER, trainer.dense.saved().into_iter().map(Saved::Weight).collect())?;
    }
    writer.finish(checkpoint.progress)
}

/// The weights of a checkpoint, best or last.
///
/// # Errors
/// [`TrainingError`] with the path of what is missing, damaged or of another shape.
pub fn load_best(folder: &Path, model: Model, embedding: &mut Embedding) -> Result<(Model, Progress), TrainingError> {
    recover(folder)?;
    let reader = Reader::<Progress>::open(folder)?;
    let mismatch = |reason| TrainingError::Mismatch { path: folder.to_owned(), reason };
    let model = dense::with_weights(model, &reader.read_tensors(DENSE)?).map_err(mismatch)?;
    set_parts(embedding, &reader.read_parts(TABLE)?, |_| 0..1).map_err(mismatch)?;
    Ok((model, reader.content))
}

/// Everything of a `last` checkpoint.
///
/// # Errors
/// [`TrainingError`] with the path of what is missing, damaged or of another shape.
pub fn load_last(folder: &Path, mut trainer: Trainer) -> Result<(Trainer, Progress), TrainingError> {
    let (model, progress) = load_best(folder, trainer.model().clone(), &mut trainer.embedding)?;
    trainer.set_model(model);
    let reader = Reader::<Progress>::open(folder)?;
    let mismatch = |reason| TrainingError::Mismatch { path: folder.to_owned(), reason };
    let moments = reader.read_parts(MOMENTS)?;
    set_parts(&mut trainer.embedding, &moments, |table| 1..table.moments() + 1).map_err(mismatch)?;
    set_decay_marks(&mut trainer.embedding, &moments).map_err(mismatch)?;
    set_frozen_marks(&mut trainer.embedding, &moments).map_err(mismatch)?;
    drop(moments);
    let moments = reader.read_tensors(OPTIMIZER)?;
    let device = trainer.device().clone().inner();
    trainer.dense.restore(progress.step, &moments, &device);
    Ok((trainer, progress))
}

fn part_name(table: &str, part: usize) -> String {
    if part == 0 { table.to_owned() } else { format!("{table}.moment_{part}") }
}

fn parts(embedding: &Embedding, which: impl Fn(&Table) -> Range<usize>) -> Vec<Saved<'_>> {
    let mut saved = Vec::new();
    for (name, table) in embedding.tables() {
        let shape = [table.rows(), table.dim()];
        let part = |part| Saved::Part(TablePart { name: part_name(name, part), table, part, shape });
        saved.extend(which(table).map(part));
    }
    saved
}

fn set_parts(embedding: &mut Embedding, parts: &Parts, which: impl Fn(&Table) -> Range<usize>) -> Result<(), String> {
    for (name, table) in embedding.tables_mut() {
        for part in which(table) {
            parts.fill(&part_name(name, part), table, part)?;
        }
    }
    Ok(())
}

fn mark_name(table: &str) -> String {
    format!("{table}.decayed")
}

/// When each row took its decay last: step numbers, as the bits of f32, since the file holds these alone.
fn decay_marks(embedding: &Embedding) -> impl Iterator<Item = Saved<'_>> {
    let decaying = embedding.tables().filter(|(_, table)| !table.decayed().is_empty());
    decaying.map(|(name, table)| marks(mark_name(name), table, |table| bytemuck::cast_slice(table.decayed()).to_vec()))
}

fn marks(name: String, table: &Table, marks: fn(&Table) -> Vec<f32>) -> Saved<'_> {
    Saved::Marks(TableMarks { name, table, marks, shape: [table.rows()] })
}

fn set_decay_marks(embedding: &mut Embedding, parts: &Parts) -> Result<(), String> {
    for (name, table) in embedding.tables_mut().filter(|(_, table)| !table.decayed().is_empty()) {
        let marks = parts.marks(&mark_name(name), table.rows())?;
        table.decayed_mut().copy_from_slice(bytemuck::cast_slice(&marks));
    }
    Ok(())
}

fn frozen_name(table: &str) -> String {
    format!("{table}.frozen")
}

/// The rows that no step moves, where there are any.
fn frozen_marks(embedding: &Embedding) -> impl Iterator<Item = Saved<'_>> {
    let freezing = embedding.tables().filter(|(_, table)| table.freezes());
    freezing.map(|(name, table)| marks(frozen_name(name), table, Table::frozen))
}

fn set_frozen_marks(embedding: &mut Embedding, parts: &Parts) -> Result<(), String> {
    for (name, table) in embedding.tables_mut() {
        let name = frozen_name(name);
        if parts.has(&name) {
            let marks = parts.marks(&name, table.rows())?;
            table.set_frozen(&marks);
        }
    }
    Ok(())
}
