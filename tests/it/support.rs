//! What the tests of models share: batches of given ids, and gradients by name.

use std::sync::Arc;

use burn::{
    module::{Module, ModuleVisitor, Param},
    optim::GradientsParams,
    tensor::{Device, Tensor, TensorData},
};
use secn::{
    embedding::{Embedding, TableGradients},
    features::Batch,
    models::Model,
    training::Loss,
};

/// A batch of `[rows][fields]` ids whose fields have `field_rows` ids each.
pub(crate) fn batch(ids: &[Vec<u32>], values: Option<Vec<f32>>, labels: Vec<f32>) -> Batch {
    let (rows, fields) = (ids.len(), ids[0].len());
    let mut batch =
        Batch { rows, columns: fields, ids: ids.concat(), values, labels, unique_starts: vec![0], ..Batch::default() };
    let mut inverse = vec![0; rows * fields];
    for field in 0..fields {
        let start = batch.unique.len();
        for (row, ids) in ids.iter().enumerate() {
            let id = ids[field];
            let known = batch.unique[start..].iter().position(|other| *other == id);
            let position = known.map_or(batch.unique.len(), |position| start + position);
            if known.is_none() {
                batch.unique.push(id);
            }
            inverse[row * fields + field] = u32::try_from(position).unwrap();
        }
        batch.unique_starts.push(batch.unique.len());
    }
    batch.inverse = Arc::new(inverse);
    batch
}

/// Logits, loss and all gradients of one batch.
pub(crate) struct Pass {
    pub(crate) logits: Vec<f32>,
    /// Of the logits.
    pub(crate) loss: f64,
    pub(crate) table: TableGradients,
    /// By the weight's path in the model.
    pub(crate) dense: Vec<(String, Vec<f32>)>,
}

/// A pass whose gradients are of the logits' logloss.
pub(crate) fn pass(model: &Model, embedding: &Embedding, batch: &Batch, device: &Device) -> Pass {
    pass_of(model, embedding, batch, device, |loss| loss.logloss)
}

/// A pass whose gradients are of what training descends.
pub(crate) fn training_pass(model: &Model, embedding: &Embedding, batch: &Batch, device: &Device) -> Pass {
    pass_of(model, embedding, batch, device, |loss| loss.total)
}

fn pass_of(
    model: &Model,
    embedding: &Embedding,
    batch: &Batch,
    device: &Device,
    descended: impl Fn(Loss) -> Tensor<1>,
) -> Pass {
    struct Collector<'a> {
        path: Vec<String>,
        gradients: &'a GradientsParams,
        found: Vec<(String, Vec<f32>)>,
    }
    impl ModuleVisitor for Collector<'_> {
        fn enter_module(&mut self, name: &str, _container: &str) {
            self.path.push(name.to_owned());
        }
        fn exit_module(&mut self, _name: &str, _container: &str) {
            self.path.pop();
        }
        fn visit_float<const D: usize>(&mut self, parameter: &Param<Tensor<D>>) {
            // running statistics follow the batches, not a gradient
            if parameter.is_require_grad() {
                let gradient = self.gradients.get::<D>(parameter.id).expect("every weight has a gradient");
                self.found.push((self.path.join("."), gradient.into_data().try_to_vec().unwrap()));
            }
        }
    }
    let leaves = embedding.gather(batch, device);
    let output = model.forward(&leaves.embedded());
    let logits = output.logits.clone().into_data().try_to_vec().unwrap();
    let labels = Tensor::from_data(TensorData::new(batch.labels.clone(), [batch.rows]), device);
    let loss = Loss::new(output, &labels, None);
    let logloss = f64::from(loss.logloss.clone().into_scalar::<f32>());
    let mut gradients = descended(loss).backward();
    let table = leaves.sum_gradients(&mut gradients);
    let gradients = GradientsParams::from_grads(gradients, model);
    let mut collector = Collector { path: Vec::new(), gradients: &gradients, found: Vec::new() };
    model.visit(&mut collector);
    Pass { logits, loss: logloss, table, dense: collector.found }
}
