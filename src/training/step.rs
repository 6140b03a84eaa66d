//! One training step: gather, forward, loss, backward, clip, update.

use burn::{
    optim::GradientsParams,
    tensor::{Device, Tensor, TensorData},
};

use super::{DenseState, Loss, TrainingConfig, dense};
use crate::{
    device::on_worker,
    embedding::{Embedding, Moment, TableGradients},
    features::Batch,
    models::Model,
};

/// Everything that training changes.
pub struct Trainer {
    model: Option<Model>,
    pub embedding: Embedding,
    pub dense: DenseState,
    /// With autodiff.
    device: Device,
}

/// The rates of one step.
#[derive(Clone, Copy, Debug)]
pub struct StepOutcome {
    /// The batch's mean logloss before the update.
    pub loss: f64,
    /// Of the dense weights, in this step.
    pub learning_rate: f64,
}

impl Trainer {
    /// `device` has autodiff, and the model's weights are on it.
    pub fn new(model: Model, embedding: Embedding, config: &TrainingConfig, device: Device) -> Self {
        Self { model: Some(model), embedding, dense: DenseState::new(config.optimizer), device }
    }

    /// The model with its dense weights.
    pub fn model(&self) -> &Model {
        self.model.as_ref().expect("the model is back in place after every step")
    }

    /// Puts other weights in place.
    pub fn set_model(&mut self, model: Model) {
        self.model = Some(model);
    }

    /// The number of trainable weights, dense and in the tables.
    pub fn parameters(&self) -> usize {
        dense::parameters(self.model()) + self.embedding.parameters()
    }

    /// The device with autodiff.
    pub fn device(&self) -> &Device {
        &self.device
    }

    /// Learns from one batch; `step` counts from 1. A loss that isn't finite changes no weight, though batch norm's running
    /// statistics have followed the batch by then.
    pub fn step(&mut self, config: &TrainingConfig, batch: &Batch, step: u64, rate_factor: f64) -> StepOutcome {
        let device = self.device.clone();
        let numbers = batch.ids.len() * self.embedding.width();
        on_worker(&device, numbers, || self.learn(config, batch, step, rate_factor))
    }

    fn learn(&mut self, config: &TrainingConfig, batch: &Batch, step: u64, rate_factor: f64) -> StepOutcome {
        self.device.seed(config.seed.draw("dropout", &[step]));
        let learning_rate = config.learning_rate.value() * rate_factor;
        let model = self.model.take().expect("the model is back in place after every step");
        let moment = Moment { step, rate_factor, batch_size: config.batch_size.get() };
        self.embedding.catch_up(batch, moment);
        let leaves = self.embedding.gather(batch, &self.device);
        let labels = Tensor::from_data(TensorData::new(batch.labels.clone(), [batch.rows]), &self.device);
        let weights = weights(batch, &self.device);
        let Loss { logloss, total } = Loss::new(model.forward(&leaves.embedded()), &labels, weights.as_ref());
        let loss = f64::from(logloss.into_scalar::<f32>());
        if !loss.is_finite() {
            self.model = Some(model);
            return StepOutcome { loss, learning_rate };
        }
        let mut gradients = total.backward();
        let mut table_gradients = leaves.sum_gradients(&mut gradients);
        self.embedding.mask(&mut table_gradients, batch);
        let mut dense_gradients = GradientsParams::from_grads(gradients, &model);
        clip(config.clip_norm.value(), &model, &mut dense_gradients, &mut table_gradients);
        self.model = Some(self.dense.step(learning_rate, model, dense_gradients));
        self.embedding.apply(batch, &table_gradients, moment);
        StepOutcome { loss, learning_rate }
    }
}

/// The rows' weights divided by their sum; none where all weigh the same.
fn weights(batch: &Batch, device: &Device) -> Option<Tensor<1>> {
    if batch.weights.is_empty() {
        return None;
    }
    let sum: f32 = batch.weights.iter().sum();
    let sum = if sum > 0.0 { sum } else { 1.0 };
    let shares: Vec<f32> = batch.weights.iter().map(|weight| weight / sum).collect();
    Some(Tensor::from_data(TensorData::new(shares, [batch.rows]), device))
}

/// Scales all gradients so that their common L2 norm is at most `limit` (Pascanu et al. 2013); 0 leaves them.
fn clip(limit: f64, model: &Model, dense_gradients: &mut GradientsParams, table_gradients: &mut TableGradients) {
    if limit == 0.0 {
        return;
    }
    let norm = (dense::squared_norm(model, dense_gradients) + table_gradients.squared_norm()).sqrt();
    if norm > limit {
        dense::scale(model, dense_gradients, limit / norm);
        #[expect(clippy::cast_possible_truncation, reason = "gradients are f32")]
        table_gradients.scale((limit / norm) as f32);
    }
}
