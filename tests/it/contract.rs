//! What every registered model holds to.

use std::ops::Range;

use burn::tensor::Device;
use secn::{
    embedding::{Embedding, EmbeddingConfig},
    features::Batch,
    models::{MODELS, Model, ModelConfig, Parameters, Shape},
    ranges::NonNegative,
    seed::{Seed, mix},
    training::{Trainer, TrainingConfig, weights, with_weights},
};
use serde_json::json;

use crate::support::{batch, pass};

const FIELDS: usize = 4;
const ROWS_A_FIELD: u32 = 24;

fn fields() -> Vec<Range<u32>> {
    (0..4).map(|field| field * ROWS_A_FIELD..(field + 1) * ROWS_A_FIELD).collect()
}

/// Rows of pseudo-random ids and labels.
fn rows(count: u64) -> Batch {
    let id = |row: u64, field: u64| {
        let draw = mix(7, row * 4 + field) % u64::from(ROWS_A_FIELD);
        u32::try_from(field).unwrap() * ROWS_A_FIELD + u32::try_from(draw).unwrap()
    };
    let ids: Vec<Vec<u32>> = (0..count).map(|row| (0..4).map(|field| id(row, field)).collect()).collect();
    let labels = (0..count).map(|row| if mix(9, row) % 3 == 0 { 1.0 } else { 0.0 }).collect();
    batch(&ids, None, labels)
}

/// Every model in its default form, and SECN in others.
fn configs() -> Vec<ModelConfig> {
    let mut configs: Vec<ModelConfig> =
        MODELS.iter().map(|model| ModelConfig::by_name(model.name).expect("the registry knows its names")).collect();
    for secn in [
        r#"{"secn": {"product": "gate", "activation": "gate-relu", "residual": "identity", "mlp": [8]}}"#,
        r#"{"secn": {"weights": "per-dimension", "attention": {"heads": 2, "dim": 3}}}"#,
        r#"{"secn": {"product": "base", "activation": "none", "residual": "both"}}"#,
    ] {
        configs.push(serde_json::from_str(secn).unwrap());
    }
    configs
}

fn build(config: &ModelConfig, device: &Device) -> (Model, Embedding) {
    let embedding_config = EmbeddingConfig { init_std: NonNegative::new(0.3).unwrap(), ..EmbeddingConfig::default() };
    let shape = Shape { fields: FIELDS, dim: embedding_config.dim.get() };
    let model = config.init(shape, &Parameters::new(Seed(3), device));
    (model, Embedding::new(&embedding_config, config.needs(), &fields(), Seed(3)))
}

#[test]
fn logits_are_one_a_row_and_finite() {
    let device = Device::flex().autodiff();
    for config in configs() {
        let (model, embedding) = build(&config, &device);
        for count in [1, 17] {
            let pass = pass(&model, &embedding, &rows(count), &device);
            assert_eq!(pass.logits.len() as u64, count, "{}", config.name());
            assert!(pass.logits.iter().all(|logit| logit.is_finite()), "{}", config.name());
        }
    }
}

/// `configs()` with small MLPs: the fewer units, the fewer kinks of a ReLU lie within a difference's step.
fn small_configs() -> Vec<ModelConfig> {
    let small = |config: ModelConfig| {
        let mut json = serde_json::to_value(&config).expect("a config can be written as JSON");
        if let Some(mlp) = json[config.name()].get_mut("mlp").filter(|mlp| **mlp != json!([])) {
            *mlp = json!([8, 6]);
        }
        serde_json::from_value(json).expect("a smaller MLP is a config too")
    };
    configs().into_iter().map(small).collect()
}

/// Relative error 1e-2: f32 losses of about 0.7 are exact to 6e-8, and a central difference of step 2e-3 divides that
/// by 4e-3, so a gradient is compared from 1e-2 on and what lies below by its distance. Where a ReLU's kink lies within
/// the step the loss has no derivative to compare with: half the step then gives another difference, and the position is
/// left out. Nearly all positions must be left in.
#[test]
fn gradients_are_central_differences() {
    const STEP: f32 = 2e-3;
    let device = Device::flex().autodiff();
    let batch = rows(17);
    for config in small_configs() {
        let (model, embedding) = build(&config, &device);
        let gradients = pass(&model, &embedding, &batch, &device).dense;
        let start = weights(&model);
        let (mut positions, mut kinks) = (0, 0);
        for (number, (name, gradient)) in gradients.iter().enumerate() {
            for position in (0..gradient.len()).step_by(gradient.len().div_ceil(12)) {
                let moved = |by: f32| {
                    let mut moved = start.clone();
                    moved[number].values[position] += by;
                    let model = with_weights(model.clone(), &moved).unwrap();
                    pass(&model, &embedding, &batch, &device).loss
                };
                let difference = |step: f32| (moved(step) - moved(-step)) / f64::from(2.0 * step);
                let near = |left: f64, right: f64| (left - right).abs() <= 1e-2 * right.abs().max(1e-2);
                let (found, expected) = (f64::from(gradient[position]), difference(STEP));
                positions += 1;
                if near(found, expected) {
                    continue;
                }
                assert!(
                    !near(difference(STEP / 2.0), expected),
                    "{config:?}: {name}[{position}]: gradient {found}, difference {expected}"
                );
                kinks += 1;
            }
        }
        assert!(kinks * 20 <= positions, "{config:?}: {kinks} of {positions} positions have no derivative");
    }
}

#[test]
fn sixty_four_rows_are_memorized() {
    let device = Device::flex().autodiff();
    let batch = rows(64);
    for config in configs() {
        let (model, embedding) = build(&config, &device);
        let training = TrainingConfig::default();
        let mut trainer = Trainer::new(model, embedding, &training, device.clone());
        let mut loss = f64::INFINITY;
        for step in 1..=400 {
            loss = trainer.step(&training, &batch, step, 4.0).loss;
        }
        // first-order weights alone can't tell all 64 rows apart
        let bound = if config.name() == "lr" { 0.35 } else { 0.05 };
        assert!(loss < bound, "{config:?}: {loss}");
    }
}

#[test]
fn a_checkpoint_restores_equal_logits() {
    use secn::training::{Checkpoint, Progress, load_best, save};
    let device = Device::flex().autodiff();
    let batch = rows(17);
    for config in configs() {
        let folder = tempfile::tempdir().unwrap();
        let (model, embedding) = build(&config, &device);
        let training = TrainingConfig::default();
        let mut trainer = Trainer::new(model, embedding, &training, device.clone());
        trainer.step(&training, &batch, 1, 1.0);
        let expected = pass(trainer.model(), &trainer.embedding, &batch, &device).logits;
        let path = folder.path().join("best");
        let progress = Progress::default();
        save(&path, &Checkpoint { trainer: &trainer, progress: &progress, resumable: false }).unwrap();
        let (model, mut embedding) = build(&config, &device);
        let (model, _) = load_best(&path, model, &mut embedding).unwrap();
        assert_eq!(pass(&model, &embedding, &batch, &device).logits, expected, "{}", config.name());
    }
}
