//! `[embedding.pretrained]`: rows that start from a file's vectors, stay there where they are frozen, also over `--resume`.

use std::{fmt::Write as _, fs, path::Path};

use safetensors::{Dtype, SafeTensors, tensor::TensorView};

use crate::experiment::{Experiment, assert_has, failure, json, stdout};

const FAILED: i32 = 1;
const USAGE: i32 = 2;
const ITEMS: u64 = 30;
const DIM: usize = 4;

/// Rows of 30 items, the last of which has no vector in the file.
fn experiment(optimizer: &str) -> Experiment {
    let mut text = String::from("label,item,price\n");
    for number in 0..900 {
        let bits = |column: u64| secn::seed::mix(number, column);
        let item = bits(0) % ITEMS;
        let clicked = item.is_multiple_of(3) != bits(1).is_multiple_of(7);
        writeln!(text, "{},i{item},{}.5", u8::from(clicked), bits(2) % 50).unwrap();
    }
    let experiment = Experiment::new("");
    let (rows, cache) = (experiment.write("rows.csv", &text), experiment.path("cache"));
    let config = format!(
        "[data]\nformat = \"csv\"\ntrain = [{rows:?}]\ntest = [{rows:?}]\nvalidation = 0.1\ncache = {cache:?}\n\
         [features]\nmin_count = 1\nfields.price.numeric = \"log2-bucket\"\n[model.deepfm]\nmlp = [8]\n\
         [embedding]\ndim = {DIM}\nweight_decay = {decay}\nl2 = 0.01\noptimizer = \"{optimizer}\"\n\
         [training]\nepochs = 1\nbatch_size = 64\nclip_norm = 0.5\ndevice = \"cpu\"\n",
        decay = if optimizer == "ftrl" { 0.0 } else { 0.01 }
    );
    experiment.write("config.toml", &config);
    let keys: Vec<String> = (0..ITEMS - 1).map(|item| format!("i{item}")).chain(["unseen".to_owned()]).collect();
    save(&experiment.path("items.safetensors"), &keys, DIM);
    experiment
}

/// The vector of key `position`.
fn vector(position: usize, dim: usize) -> Vec<f32> {
    (0..dim).map(|column| 0.25 + u8::try_from(position * dim + column).map_or(f32::NAN, f32::from) / 256.0).collect()
}

fn save(path: &Path, keys: &[String], dim: usize) {
    const KEY_BYTES: usize = 8;
    let padded: Vec<u8> = keys.iter().flat_map(|key| format!("{key:\0<KEY_BYTES$}").into_bytes()).collect();
    let numbers: Vec<f32> = (0..keys.len()).flat_map(|position| vector(position, dim)).collect();
    let numbers: &[u8] = bytemuck::cast_slice(&numbers);
    let key = TensorView::new(Dtype::U8, vec![keys.len(), KEY_BYTES], &padded).unwrap();
    let value = TensorView::new(Dtype::F32, vec![keys.len(), dim], numbers).unwrap();
    fs::write(path, safetensors::serialize([("key", key), ("value", value)], None).unwrap()).unwrap();
}

fn pretrained(experiment: &Experiment, frozen: bool) -> [String; 2] {
    let file = experiment.path("items.safetensors");
    ["--set".to_owned(), format!("embedding.pretrained.item={{file={file:?},frozen={frozen}}}")]
}

/// How many of the file's vectors stand in the best checkpoint's table.
fn found(experiment: &Experiment, run: &str) -> usize {
    let bytes = fs::read(experiment.path(run).join("checkpoints/last/table.safetensors")).unwrap();
    let tensors = SafeTensors::deserialize(&bytes).unwrap();
    let table: Vec<f32> = bytemuck::pod_collect_to_vec(tensors.tensor("vectors").unwrap().data());
    let rows: Vec<&[f32]> = table.chunks(DIM).collect();
    (0..usize::try_from(ITEMS).unwrap()).filter(|position| rows.contains(&&vector(*position, DIM)[..])).count()
}

#[test]
fn frozen_vectors_stay_to_the_bit_also_when_resumed_without_the_file() {
    let with_vectors = usize::try_from(ITEMS - 1).unwrap();
    for optimizer in ["adagrad", "adam", "sgd", "ftrl"] {
        let experiment = experiment(optimizer);
        let frozen = pretrained(&experiment, true);
        let output = experiment.train("run").args(&frozen).assert().success().get_output().clone();
        let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_has(&stderr, &["pretrained vectors of `item`: 29 of its 30 values, from 30 in "]);
        assert_eq!(found(&experiment, "run"), with_vectors, "{optimizer}");
        let straight = json(experiment.train("straight").args(&frozen).args(["--set", "training.epochs=2"]));
        fs::remove_file(experiment.path("items.safetensors")).unwrap();
        let resumed = json(experiment.train("run").args(&frozen).args(["--resume", "--set", "training.epochs=2"]));
        assert_eq!(found(&experiment, "run"), with_vectors, "{optimizer}, resumed");
        assert_eq!(resumed["test"], straight["test"], "{optimizer}");
        let evaluated = json(&mut experiment.eval("run"));
        assert_eq!(evaluated["metrics"]["logloss"], resumed["test"]["logloss"], "{optimizer}");
        stdout(&mut experiment.predict("run", &experiment.path("rows.csv")));
    }
}

#[test]
fn vectors_that_only_start_so_learn_and_change_the_run() {
    let experiment = experiment("adagrad");
    let started = json(experiment.train("started").args(pretrained(&experiment, false)));
    let plain = json(&mut experiment.train("plain"));
    let frozen = json(experiment.train("frozen").args(pretrained(&experiment, true)));
    assert!(found(&experiment, "started") == 0 && found(&experiment, "plain") == 0);
    assert_ne!(started["test"]["logloss"], plain["test"]["logloss"]);
    let parameters = |record: &serde_json::Value| record["parameters"].as_u64().unwrap();
    assert_eq!(parameters(&started), parameters(&plain));
    assert_eq!(parameters(&frozen), parameters(&plain) - (ITEMS - 1) * DIM as u64);
}

#[test]
fn files_and_keys_that_do_not_fit_are_told() {
    let experiment = experiment("adagrad");
    let refuse = |set: &str, code: i32, parts: &[&str]| {
        assert_has(&failure(experiment.train("run").args(["--set", set]), code), parts);
    };
    let file = experiment.path("items.safetensors");
    let keys: Vec<String> = ["i1", "i2", "i1"].map(ToOwned::to_owned).into();
    save(&experiment.path("twice.safetensors"), &keys, DIM);
    save(&experiment.path("wide.safetensors"), &keys[..2], 2 * DIM);
    for (field, name, code, parts) in [
        ("itme", "items.safetensors", USAGE, ["`embedding.pretrained.itme`: expected one of the fields", "`item`"]),
        ("price", "items.safetensors", USAGE, ["expected a field of categories", "found numbers or times"]),
        ("item", "twice.safetensors", USAGE, ["expected one vector a value", "found two of `i1`"]),
        ("item", "wide.safetensors", USAGE, ["expected vectors of 4 numbers (`embedding.dim`", "found 8 in "]),
        (
            "item",
            "none.npz",
            FAILED,
            ["cannot start from pretrained vectors", "none.npz: expected a file, found nothing"],
        ),
        ("item", "rows.csv", FAILED, ["expected a file whose name ends in `.npz`", "hint: "]),
    ] {
        let set = format!("embedding.pretrained.{field}={{file={:?}}}", experiment.path(name));
        refuse(&set, code, &parts);
    }
    let set = format!("embedding.pretrained.item={{file={file:?},key=\"id\"}}");
    refuse(&set, FAILED, &["expected an array or column `id`, found `key`, `value` alone"]);
    refuse("embedding.pretrained.item={key=\"id\"}", USAGE, &["file"]);
}

#[test]
fn models_without_own_vectors_say_that_they_leave_them() {
    let experiment = experiment("adagrad");
    let config = fs::read_to_string(experiment.path("config.toml")).unwrap();
    experiment.write("config.toml", &config.replace("[model.deepfm]\nmlp = [8]\n", "[model.lr]\n"));
    let mut command = experiment.train("run");
    let output = command.args(pretrained(&experiment, true)).assert().success().get_output().clone();
    assert_has(&String::from_utf8_lossy(&output.stderr), &["warning: `lr` has no vector", "has no effect"]);
}
