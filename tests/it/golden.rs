//! Every model against PyTorch: logits, loss, all gradients, ten steps. `scripts/golden.py` made the files.
//!
//! The files hold f64 results of weights that are exact in f32. Each says by how much PyTorch's own f32 run is off
//! (`float32_error`, at most 1e-6 of max(1, |value|)); our sums run in another order, so we allow the next power of ten.

use std::{fs, ops::Range, path::PathBuf};

use burn::{module::Module, tensor::Device};
use secn::{
    embedding::{Embedding, EmbeddingConfig, Moment},
    features::Batch,
    models::{Model, ModelConfig, Parameters, Shape},
    seed::Seed,
    training::{Trainer, TrainingConfig, Weight, score_batch, weights, with_weights},
};
use serde_json::{Value, json};

use crate::support::{batch, training_pass};

/// One order above PyTorch's own distance between f32 and f64.
const FORWARD: f64 = 1e-5;
/// Ten steps of Adam: a gradient near 0 moves its weight by the full rate in a direction that rounding may turn, so a
/// weight may be off by a share of ten rates of 1e-2.
const FINAL: f64 = 1e-4;

struct Case {
    name: String,
    file: Value,
}

fn cases() -> Vec<Case> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/golden");
    let mut cases: Vec<Case> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "json"))
        .map(|path| Case {
            name: path.file_stem().unwrap().to_string_lossy().into_owned(),
            file: serde_json::from_slice(&fs::read(path).unwrap()).unwrap(),
        })
        .collect();
    cases.sort_by(|left, right| left.name.cmp(&right.name));
    assert!(cases.len() >= 85, "expected the golden files, found {}", cases.len());
    cases
}

/// All numbers of a nested list, in order.
fn flat(value: &Value) -> Vec<f64> {
    match value {
        Value::Array(items) => items.iter().flat_map(flat).collect(),
        Value::Number(number) => vec![number.as_f64().unwrap()],
        _ => Vec::new(),
    }
}

#[expect(clippy::cast_possible_truncation, reason = "the files' weights are exact in f32")]
fn flat_f32(value: &Value) -> Vec<f32> {
    flat(value).into_iter().map(|number| number as f32).collect()
}

fn assert_close(case: &str, what: &str, found: &[f32], expected: &Value, tolerance: f64) {
    let expected = flat(expected);
    assert_eq!(found.len(), expected.len(), "{case}: {what}");
    for (position, (found, expected)) in found.iter().zip(&expected).enumerate() {
        let distance = (f64::from(*found) - expected).abs() / expected.abs().max(1.0);
        assert!(distance < tolerance, "{case}: {what}[{position}]: expected {expected}, found {found}");
    }
}

/// Our path of a weight in the model, for its name in the file.
fn path(model: &str, name: &str) -> String {
    const VARIANTS: [(&str, &str); 15] = [
        ("lr", "Lr"),
        ("fm", "Fm"),
        ("ffm", "Ffm"),
        ("fwfm", "FwFm"),
        ("nfm", "Nfm"),
        ("afm", "Afm"),
        ("deepfm", "DeepFm"),
        ("xdeepfm", "XDeepFm"),
        ("dcnv2", "DcnV2"),
        ("autoint", "AutoInt"),
        ("masknet", "MaskNet"),
        ("finalmlp", "FinalMlp"),
        ("gdcn", "Gdcn"),
        ("dcnv3", "DcnV3"),
        ("secn", "Secn"),
    ];
    let (_, variant) = VARIANTS.iter().find(|(known, _)| *known == model).expect("the file's model is known");
    let own = match (model, name) {
        ("secn", name) => {
            let (member, name) =
                name.strip_prefix("members.").and_then(|name| name.split_once('.')).unwrap_or(("0", name));
            format!("members.{member}.{}", secn_path(name))
        }
        // the serial blocks' head is an MLP without hidden layers
        ("masknet", "head") => "mlp.output.weight".to_owned(),
        ("masknet", "bias") => "mlp.output.bias".to_owned(),
        ("dcnv2" | "gdcn", name) => format!("network.{}", layer_path(name)),
        (_, name) => layer_path(name),
    };
    format!("{variant}.{own}")
}

fn secn_path(name: &str) -> String {
    match name {
        "cross" | "residual" | "bias" => format!("stack.{name}"),
        "head.weight" => "head".to_owned(),
        "head.bias" => "bias".to_owned(),
        name => layer_path(name),
    }
}

/// `mlp.N.…` → `mlp.hidden.N.…` and `mlp.norm.N.…` → `mlp.hidden.N.norm.…`, for each MLP.
fn layer_path(name: &str) -> String {
    let parts: Vec<&str> = name.split('.').collect();
    let is_number = |part: &str| part.parse::<usize>().is_ok();
    let hidden = match parts.first() {
        Some(&("gate1" | "gate2")) => "body.hidden",
        Some(&("mlp" | "first" | "second")) => "hidden",
        _ => return name.to_owned(),
    };
    match parts.as_slice() {
        [mlp, layer, rest] if is_number(layer) => format!("{mlp}.{hidden}.{layer}.{rest}"),
        [mlp, "norm", layer, rest] => format!("{mlp}.{hidden}.{layer}.norm.{rest}"),
        _ => name.to_owned(),
    }
}

impl Case {
    fn model_name(&self) -> &str {
        self.file["model"].as_str().unwrap()
    }

    fn size(&self, key: &str) -> usize {
        usize::try_from(self.file[key].as_u64().unwrap()).unwrap()
    }

    fn model(&self, device: &Device) -> (ModelConfig, Model) {
        let mut config = json!({ self.model_name(): self.file["config"] });
        if self.model_name() == "secn" && config["secn"]["members"].is_null() {
            config["secn"]["members"] = json!(1);
        }
        if self.model_name() == "secn" && config["secn"]["partner_dim"].is_null() {
            config["secn"]["partner_dim"] = json!(0);
        }
        if self.model_name() == "secn" && config["secn"]["mlp"].is_null() {
            config["secn"]["mlp"] = json!([]);
        } else if self.model_name() == "secn" && config["secn"]["mlp_input"].is_null() {
            config["secn"]["mlp_input"] = json!("vectors");
        }
        let config: ModelConfig = serde_json::from_value(config).unwrap();
        let shape = Shape { fields: self.size("fields"), dim: self.size("dim") };
        let model = config.init(shape, &Parameters::new(Seed(1), device));
        let given = self.file["weights"].as_object().unwrap();
        let given: Vec<Weight> = weights(&model)
            .into_iter()
            .map(|weight| {
                match given.iter().find(|(name, _)| path(self.model_name(), name) == weight.name) {
                    Some((_, found)) => Weight { values: flat_f32(&found["data"]), ..weight },
                    // PyTorch's running statistics start as ours do
                    None if weight.name.contains(".norm.running_") => weight,
                    None => panic!("{}: no weight `{}`", self.name, weight.name),
                }
            })
            .collect();
        (config, with_weights(model, &given).unwrap())
    }

    fn embedding(&self, config: &ModelConfig) -> Embedding {
        let mut start = 0;
        let fields: Vec<Range<u32>> = flat(&self.file["field_rows"])
            .into_iter()
            .map(|rows| {
                #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a small count")]
                let range = start..start + rows as u32;
                start = range.end;
                range
            })
            .collect();
        let steps = &self.file["steps"];
        let embedding_config: EmbeddingConfig = serde_json::from_value(json!({
            "dim": self.size("dim"),
            "optimizer": steps["table_optimizer"],
            "learning_rate": steps["table_learning_rate"],
            "l2": steps["table_l2"],
            "weight_decay": steps.get("table_weight_decay").unwrap_or(&json!(0.0)),
            "initial_accumulator": steps.get("table_initial_accumulator").unwrap_or(&json!(0.0)),
        }))
        .unwrap();
        let mut embedding = Embedding::new(&embedding_config, config.needs(), &fields, Seed(1));
        for (name, table) in embedding.tables_mut() {
            table.set_part(0, flat_f32(&self.of_table(name, |name| &self.file[name])));
        }
        embedding
    }

    /// A table's numbers among `given`, which has SECN's vectors for partners behind the rows of its vectors.
    fn of_table<'a>(&self, name: &str, given: impl FnOnce(&str) -> &'a Value) -> Value {
        let Some(partner_dim) = self.file["config"]["partner_dim"].as_u64().filter(|_| name != "linear") else {
            return given(name).clone();
        };
        let dim = self.size("dim");
        let width = dim + self.size("fields") * usize::try_from(partner_dim).unwrap();
        let columns = if name == "partners" { dim..width } else { 0..dim };
        flat(given("vectors"))
            .chunks_exact(width)
            .flat_map(|row| row[columns.clone()].to_vec())
            .collect::<Vec<_>>()
            .into()
    }

    /// A weight's or running statistic's numbers, by its name in the file.
    fn weight(&self, trainer: &Trainer, name: &str) -> Vec<f32> {
        let path = path(self.model_name(), name);
        let found = weights(trainer.model()).into_iter().find(|found| found.name == path);
        found.unwrap_or_else(|| panic!("{}: no weight `{path}`", self.name)).values
    }

    /// Batch norm's statistics behind the steps, and the logits that evaluation makes of them.
    fn check_running_statistics(&self, name: &str, trainer: &Trainer, batch: &Batch) {
        let Some(running) = self.file["running"].as_object() else { return };
        for (norm, expected) in running {
            for (key, own) in [("mean", "running_mean"), ("var", "running_variance")] {
                let found = self.weight(trainer, &format!("{norm}.{own}"));
                assert_close(name, &format!("{norm}.{own}"), &found, &expected[key], FINAL);
            }
        }
        let device = trainer.device().clone().inner();
        let logits = score_batch(&trainer.model().valid(), &trainer.embedding, batch, 0.0, &device);
        assert_close(name, "logits in evaluation", &logits, &self.file["eval_logits"], FINAL);
    }

    fn batch(given: &Value) -> Batch {
        let ids: Vec<Vec<u32>> = serde_json::from_value(given["ids"].clone()).unwrap();
        let values = (!given["values"].is_null()).then(|| flat_f32(&given["values"]));
        batch(&ids, values, flat_f32(&given["labels"]))
    }
}

#[test]
fn logits_loss_and_gradients_are_pytorchs() {
    for device in devices() {
        for case in cases() {
            let (config, model) = case.model(&device);
            let embedding = case.embedding(&config);
            let batch = Case::batch(&case.file);
            let pass = training_pass(&model, &embedding, &batch, &device);
            let name = &format!("{} on {device:?}", case.name);
            assert_close(name, "logits", &pass.logits, &case.file["logits"], FORWARD);
            let loss = case.file["loss"].as_f64().unwrap();
            assert!((pass.loss - loss).abs() < FORWARD, "{name}: loss: expected {loss}, found {}", pass.loss);
            let gradients = &case.file["gradients"];
            let tables =
                [("vectors", &pass.table.vectors), ("linear", &pass.table.linear), ("partners", &pass.table.partners)];
            for (table, sums) in tables {
                let expected = case.of_table(table, |name| &gradients[name]);
                assert_eq!(sums.is_none(), expected.is_null(), "{name}: {table}");
                let Some(sums) = sums else { continue };
                let found = dense_rows(&batch, sums, &expected);
                assert_close(name, &format!("gradient of {table}"), &found, &expected, FORWARD);
            }
            for (key, expected) in gradients.as_object().unwrap() {
                if ["vectors", "linear"].contains(&key.as_str()) {
                    continue;
                }
                let path = path(case.model_name(), key);
                let found = pass.dense.iter().find(|(name, _)| *name == path);
                let found = &found.unwrap_or_else(|| panic!("{name}: no gradient of `{path}`")).1;
                assert_close(name, &format!("gradient of {key}"), found, expected, FORWARD);
            }
        }
    }
}

/// Sums of the distinct rows → a gradient for every row.
fn dense_rows(batch: &Batch, sums: &[f32], expected: &Value) -> Vec<f32> {
    let dim = sums.len() / batch.unique.len();
    let mut dense = vec![0.0; flat(expected).len()];
    for (&id, sum) in batch.unique.iter().zip(sums.chunks(dim)) {
        dense[id as usize * dim..(id as usize + 1) * dim].copy_from_slice(sum);
    }
    dense
}

#[test]
fn ten_steps_are_pytorchs() {
    for device in devices() {
        for case in cases() {
            let (config, model) = case.model(&device);
            let steps = &case.file["steps"];
            let training: TrainingConfig = serde_json::from_value(json!({
                "learning_rate": steps["dense_learning_rate"],
                "optimizer": steps["dense_optimizer"],
                "clip_norm": 0.0,
                "batch_size": steps["batches"][0]["labels"].as_array().unwrap().len(),
            }))
            .unwrap();
            let mut trainer = Trainer::new(model, case.embedding(&config), &training, device.clone());
            let batches: Vec<Batch> = steps["batches"].as_array().unwrap().iter().map(Case::batch).collect();
            let name = &format!("{} on {device:?}", case.name);
            for (step, expected) in flat(&steps["losses"]).into_iter().enumerate() {
                let batch = &batches[step % batches.len()];
                let outcome = trainer.step(&training, batch, step as u64 + 1, 1.0);
                let distance = (outcome.loss - expected).abs();
                assert!(distance < FINAL, "{name}: step {}: expected {expected}, found {}", step + 1, outcome.loss);
            }
            let last = flat(&steps["losses"]).len() as u64;
            let moment = Moment { step: last, rate_factor: 1.0, batch_size: training.batch_size.get() };
            trainer.embedding.catch_up_all(moment);
            for (table_name, table) in trainer.embedding.tables() {
                let expected = case.of_table(table_name, |name| &steps[format!("final_{name}")]);
                assert_close(name, table_name, &table.part(0), &expected, FINAL);
            }
            for (weight, expected) in steps["final_weights"].as_object().unwrap() {
                assert_close(name, weight, &case.weight(&trainer, weight), expected, FINAL);
            }
            case.check_running_statistics(name, &trainer, &batches[0]);
        }
    }
}

/// The CPU with its fused kernels, and burn-ndarray, which composes burn's operations, where it is built in.
fn devices() -> Vec<Device> {
    let names = if cfg!(feature = "ndarray") { vec!["cpu", "ndarray"] } else { vec!["cpu"] };
    let open = |name: &str| name.parse::<secn::device::DeviceName>().unwrap().open().unwrap().1.autodiff();
    names.into_iter().map(open).collect()
}
