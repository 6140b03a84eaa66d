//! What every registered model holds to.

use std::ops::Range;

use burn::{module::Module, tensor::Device};
use secn::{
    embedding::{Embedding, EmbeddingConfig},
    features::Batch,
    models::{MODELS, Model, ModelConfig, Parameters, Shape},
    ranges::{Count, NonNegative},
    seed::{Seed, mix, unit},
    training::{Trainer, TrainingConfig, Weight, score_batch, weights, with_weights},
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
    let labels = (0..count).map(|row| if mix(9, row).is_multiple_of(3) { 1.0 } else { 0.0 }).collect();
    batch(&ids, None, labels)
}

/// Every model in its default form, and some in others.
fn configs() -> Vec<ModelConfig> {
    let mut configs: Vec<ModelConfig> =
        MODELS.iter().map(|model| ModelConfig::by_name(model.name).expect("the registry knows its names")).collect();
    for other in [
        r#"{"ffm": {"mlp": [8]}}"#,
        r#"{"nfm": {"batch_norm": true}}"#,
        r#"{"deepfm": {"batch_norm": true}}"#,
        r#"{"xdeepfm": {"split_half": true}}"#,
        r#"{"dcnv2": {"structure": "stacked", "batch_norm": true}}"#,
        r#"{"dcnv2": {"mlp": []}}"#,
        r#"{"dcnv2": {"rank": 2}}"#,
        r#"{"autoint": {"mlp": [8]}}"#,
        r#"{"masknet": {"structure": "serial"}}"#,
        r#"{"finalmlp": {"gate": [8]}}"#,
        r#"{"gdcn": {"structure": "stacked"}}"#,
        r#"{"dcnv3": {"layer_norm": false}}"#,
        r#"{"secn": {"product": "gate", "activation": "gate-relu", "residual": "identity", "mlp": [8]}}"#,
        r#"{"secn": {"weights": "per-dimension", "attention": {"heads": 2, "dim": 3}}}"#,
        r#"{"secn": {"members": 2, "product": "base", "activation": "none", "residual": "both"}}"#,
        r#"{"secn": {"members": 3}}"#,
        r#"{"secn": {"members": 9}}"#,
        r#"{"secn": {"head": "uniform", "partner_dim": 0}}"#,
    ] {
        configs.push(serde_json::from_str(other).unwrap());
    }
    configs
}

/// Keys of sizes with few units: the fewer, the fewer kinks of a ReLU lie within a difference's step.
const SMALL: [(&str, &str); 9] = [
    ("mlp", "[8, 6]"),
    ("gate", "[5]"),
    ("cin", "[6, 4, 5]"),
    ("first", "[8, 6]"),
    ("second", "[4]"),
    ("heads", "2"),
    ("attention", r#"{"heads": 2, "dim": 3}"#),
    ("attention_dim", "5"),
    ("block_dim", "6"),
];

/// With enough units to learn rows by heart, and fewer than the defaults' for speed.
const MEDIUM: [(&str, &str); 5] =
    [("mlp", "[64, 32]"), ("first", "[64, 32]"), ("second", "[40]"), ("heads", "4"), ("cin", "[16, 16, 16]")];

/// `configs()` in other sizes; what a config leaves empty stays so.
fn resized(sizes: &[(&str, &str)]) -> Vec<ModelConfig> {
    let resize = |config: ModelConfig| {
        let mut json = serde_json::to_value(&config).expect("a config can be written as JSON");
        let keys = json[config.name()].as_object_mut().expect("a model's config is an object");
        // MaskNet's MLP is there by default, though not in its keys
        if config.name() == "masknet" && keys["structure"] == "parallel" {
            keys.insert("mlp".to_owned(), json!([400]));
        }
        for (key, size) in sizes {
            if let Some(given) = keys.get_mut(*key).filter(|given| **given != json!([])) {
                *given = serde_json::from_str(size).unwrap();
            }
        }
        let config: ModelConfig = serde_json::from_value(json).expect("a model of another size is a config too");
        config.check(4).unwrap();
        config
    };
    configs().into_iter().map(resize).collect()
}

fn build(config: &ModelConfig, device: &Device) -> (Model, Embedding) {
    build_of(config, EmbeddingConfig::default().dim.get(), 0.3, device)
}

fn build_of(config: &ModelConfig, dim: usize, deviation: f64, device: &Device) -> (Model, Embedding) {
    let embedding_config = EmbeddingConfig {
        dim: Count::new(dim).unwrap(),
        init_std: NonNegative::new(deviation).unwrap(),
        ..EmbeddingConfig::default()
    };
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

/// Relative error 1e-2: f32 logits leave the loss exact to about 3e-8, and a central difference of step 1e-3 divides
/// that by 2e-3, so a gradient is compared from 1e-2 on and what lies below by its distance. A ReLU's kink within the
/// step makes single differences wrong: few rows, few dimensions and large vectors keep such kinks rare, and one
/// difference in twenty may be off; a wrong formula puts most of a weight's off.
#[test]
fn gradients_are_central_differences() {
    const STEP: f32 = 1e-3;
    let device = Device::flex().autodiff();
    let batch = rows(5);
    for config in resized(&SMALL) {
        let (model, embedding) = build_of(&config, 4, 0.6, &device);
        let model = shaken(model);
        let gradients = pass(&model, &embedding, &batch, &device).dense;
        let start = weights(&model);
        let loss = |weights: &[Weight]| {
            let model = with_weights(model.clone(), weights).unwrap();
            exact_logloss(&pass(&model, &embedding, &batch, &device).logits, &batch.labels)
        };
        let (mut checked, mut wrong) = (0, Vec::new());
        for (name, gradient) in &gradients {
            let number = start.iter().position(|weight| weight.name == *name).unwrap();
            for position in (0..gradient.len()).step_by(gradient.len().div_ceil(12)) {
                let moved = |by: f32| {
                    let mut moved = start.clone();
                    moved[number].values[position] += by;
                    loss(&moved)
                };
                let difference = (moved(STEP) - moved(-STEP)) / f64::from(2.0 * STEP);
                let found = f64::from(gradient[position]);
                checked += 1;
                if (found - difference).abs() > 1e-2 * found.abs().max(1e-2) {
                    wrong.push(format!("{name}[{position}]: gradient {found}, difference {difference}"));
                }
            }
        }
        assert!(wrong.len() * 20 <= checked, "{config:?}: {wrong:#?} of {checked}");
    }
}

/// Moves every weight a little: biases that start from zero put units without input exactly on their kink.
fn shaken(model: Model) -> Model {
    let mut moved = weights(&model);
    for (number, weight) in moved.iter_mut().enumerate() {
        for (position, value) in weight.values.iter_mut().enumerate() {
            #[expect(clippy::cast_possible_truncation, reason = "what f32 is for")]
            let shift = (unit(mix(number as u64, position as u64)) - 0.5) as f32;
            *value += 0.4 * shift;
        }
    }
    with_weights(model, &moved).unwrap()
}

/// The mean logloss of f32 logits, in f64.
fn exact_logloss(logits: &[f32], labels: &[f32]) -> f64 {
    let row = |(logit, label): (&f32, &f32)| {
        let signed = f64::from(if *label > 0.5 { -logit } else { *logit });
        signed.max(0.0) + (-signed.abs()).exp().ln_1p()
    };
    logits.iter().zip(labels).map(row).sum::<f64>() / logits.len() as f64
}

#[test]
fn sixty_four_rows_are_memorized() {
    let device = Device::flex().autodiff();
    let batch = rows(64);
    for config in resized(&MEDIUM) {
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

/// Each unit adds its factor and its shift.
#[test]
fn running_statistics_are_no_parameters() {
    let device = Device::flex().autodiff();
    let parameters = |batch_norm: bool| {
        let config = serde_json::from_value(json!({"nfm": {"mlp": [8, 5], "batch_norm": batch_norm}})).unwrap();
        let (model, embedding) = build(&config, &device);
        Trainer::new(model, embedding, &TrainingConfig::default(), device.clone()).parameters()
    };
    assert_eq!(parameters(true) - parameters(false), 2 * (8 + 5));
}

#[test]
fn a_checkpoint_restores_equal_logits() {
    use secn::training::{Checkpoint, Progress, load_best, save};
    let device = Device::flex().autodiff();
    let batch = rows(17);
    let evaluated = |model: &Model, embedding: &Embedding| {
        score_batch(&model.valid(), embedding, &batch, 0.0, &device.clone().inner())
    };
    for config in resized(&SMALL) {
        let folder = tempfile::tempdir().unwrap();
        let (model, embedding) = build(&config, &device);
        let training = TrainingConfig::default();
        let mut trainer = Trainer::new(model, embedding, &training, device.clone());
        trainer.step(&training, &batch, 1, 1.0);
        // in this order: a pass in training moves running statistics
        let in_training = pass(trainer.model(), &trainer.embedding, &batch, &device).logits;
        let in_evaluation = evaluated(trainer.model(), &trainer.embedding);
        let path = folder.path().join("best");
        let progress = Progress::default();
        save(&path, &Checkpoint { trainer: &trainer, progress: &progress, resumable: false }).unwrap();
        let (model, mut embedding) = build(&config, &device);
        let (model, _) = load_best(&path, model, &mut embedding).unwrap();
        assert_eq!(evaluated(&model, &embedding), in_evaluation, "{}", config.name());
        assert_eq!(pass(&model, &embedding, &batch, &device).logits, in_training, "{}", config.name());
    }
}
