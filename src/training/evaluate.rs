//! Scoring a whole set with fixed weights.

use burn::{module::Module, tensor::Device};

use crate::{
    device::on_worker,
    embedding::Embedding,
    features::{Batch, Cache, ordered},
    metrics::{Evaluation, evaluate},
    models::Model,
};

/// Rows to score at a time: as many as keep what is gathered of them within some 16 MiB, from 256 to 4096. Only speed and memory
/// depend on it.
pub fn rows_at_a_time(embedding: &Embedding, columns: usize) -> usize {
    const NUMBERS: usize = 1 << 22;
    (NUMBERS / (columns * embedding.width()).max(1)).clamp(256, 4096)
}

/// Logits and labels of a set, row by row.
#[derive(Clone, Debug, Default)]
pub struct Scores {
    pub logits: Vec<f32>,
    pub labels: Vec<f32>,
    /// Empty where there are no groups.
    pub groups: Vec<u64>,
}

impl Scores {
    /// All metrics, over the whole set.
    pub fn evaluate(&self) -> Evaluation {
        evaluate(&self.logits, &self.labels, (!self.groups.is_empty()).then_some(&self.groups))
    }
}

/// Scores all rows of `cache`; see [`TrainingConfig::logit_offset`](super::TrainingConfig::logit_offset).
pub fn score(model: &Model, embedding: &Embedding, cache: &Cache, logit_offset: f32, device: &Device) -> Scores {
    let model = model.valid();
    let device = device.clone().inner();
    let mut scores = Scores::default();
    for batch in ordered(cache, rows_at_a_time(embedding, cache.columns())) {
        scores.logits.extend(score_batch(&model, embedding, &batch, logit_offset, &device));
        scores.labels.extend(&batch.labels);
        scores.groups.extend(&batch.groups);
    }
    scores
}

/// The logits of one batch; neither model nor device has autodiff.
pub fn score_batch(
    model: &Model,
    embedding: &Embedding,
    batch: &Batch,
    logit_offset: f32,
    device: &Device,
) -> Vec<f32> {
    let logits = || model.forward(&embedding.gather(batch, device).embedded()).logits.into_data();
    let mut logits: Vec<f32> = on_worker(device, batch.ids.len() * embedding.width(), logits)
        .try_to_vec()
        .expect("logits are f32, as the weights are");
    for logit in &mut logits {
        *logit += logit_offset;
    }
    logits
}
