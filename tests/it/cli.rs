//! What a person meets at the command line: messages, exit codes, JSON keys and the files of `predict`.

use std::{
    collections::BTreeSet,
    fs::{self, File},
    path::Path,
    process::Stdio,
};

use arrow_array::{Array, Float32Array, RecordBatch, StringArray};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use serde_json::Value;

use crate::experiment::{Experiment, FM, SECN, TEST_ROWS, TRAIN_ROWS, assert_has, failure, json, sample, secn, stdout};

const FAILED: i32 = 1;
const USAGE: i32 = 2;

const METRICS: [&str; 13] = [
    "logloss",
    "auc",
    "pr_auc",
    "accuracy",
    "precision",
    "recall",
    "f1",
    "click_rate",
    "mean_probability",
    "normalized_entropy",
    "calibration_error",
    "gauc",
    "auc_interval",
];

#[test]
fn an_unknown_key_is_told_with_its_line_and_the_nearest_key() {
    let experiment = Experiment::new("[model.secn]\nlayer = 2\n");
    let config = fs::read_to_string(experiment.path("config.toml")).unwrap();
    let line = 1 + config.lines().position(|line| line == "layer = 2").unwrap();
    let stderr = failure(&mut experiment.train("run"), USAGE);
    let place = format!("line {line}");
    assert_has(&stderr, &["config.toml", &place, "unknown field `layer`", "did you mean `layers`?"]);
    assert!(!experiment.path("run").exists(), "a bad config leaves no run folder");
}

#[test]
fn a_wrong_set_argument_is_a_usage_error() {
    let experiment = Experiment::new(SECN);
    let cases = [
        ("training.epoch=1", "did you mean `epochs`?"),
        ("training.epochs", "expected `KEY=VALUE`, found no `=`"),
        ("training.epochs=0", "expected a whole number above 0, found 0"),
        ("data.format.x=1", "expected a table before `.x`, found a value"),
        ("=1", "expected a key, found none"),
        ("training.device=gpu", "device `gpu`"),
        ("model.deepfm.mlp=[4]", "model"),
        ("features.fields.I77.numeric=category", "features.fields.I77"),
    ];
    for (argument, message) in cases {
        let stderr = failure(experiment.train("run").args(["--set", argument]), USAGE);
        assert_has(&stderr, &[message]);
    }
}

#[test]
fn a_missing_config_is_named_with_what_to_do() {
    for command in ["train", "compare", "prepare"] {
        let stderr = failure(&mut secn(&[command, "--config", "no/such.toml"]), USAGE);
        assert_has(&stderr, &["no/such.toml: expected a config file", "hint: `--config`", "`secn models`"]);
        assert!(!stderr.contains("os error"), "{stderr}");
    }
}

#[test]
fn two_models_in_a_config_are_named() {
    let experiment = Experiment::new("[model.fm]\n[model.lr]\n");
    let stderr = failure(&mut experiment.train("run"), USAGE);
    let expected = "expected one table `[model.NAME]`, found `[model.fm]` and `[model.lr]`: remove one";
    assert_has(&stderr, &["config.toml", expected]);
}

#[test]
fn missing_training_rows_are_named() {
    let experiment = Experiment::new(SECN);
    let mut command = experiment.train("run");
    let stderr = failure(command.args(["--set", "data.train=[\"no/such.txt\"]"]), FAILED);
    assert_has(&stderr, &["error: ", "caused by: no/such.txt", "hint: "]);
}

#[test]
fn a_missing_run_is_named() {
    let experiment = Experiment::new(SECN);
    assert_has(&failure(&mut experiment.eval("nothing"), FAILED), &["nothing", "expected a run folder"]);
}

#[test]
fn a_wrong_separator_is_told_with_the_line_and_what_it_seems_to_be() {
    let experiment = Experiment::new(SECN);
    let (mut command, path) = experiment.train_on(&sample("train.txt.gz", 20).replace('\t', ","));
    let stderr = failure(&mut command, FAILED);
    let place = format!("{}:1", path.display());
    assert_has(&stderr, &[&place, "expected 40 tab-separated cells", "found `0,,-2,,11,", "separated by `,`"]);
}

#[test]
fn an_empty_file_is_said_to_be_empty() {
    let experiment = Experiment::new(SECN);
    let (mut command, path) = experiment.train_on("");
    let place = path.display().to_string();
    assert_has(&failure(&mut command, FAILED), &[&place, "expected rows, found an empty file"]);
}

#[test]
fn a_bad_cell_is_told_with_file_line_and_field() {
    let experiment = Experiment::new(SECN);
    let cases = [
        (0, "2", "field `label`: expected 0 or 1, found `2`"),
        (3, "4e", "field `I3`: expected a number, found `4e`"),
        (39, "a\tb", "expected 40 cells, found 41"),
    ];
    for (column, cell, message) in cases {
        let (mut command, path) = experiment.train_on(&with_cell(7, column, cell));
        let place = format!("{}:7", path.display());
        let stderr = failure(&mut command, FAILED);
        assert_has(&stderr, &[&place, message, "hint: ", "data.on_bad_row"]);
    }
}

#[test]
fn a_skipped_row_is_counted() {
    let experiment = Experiment::new(SECN);
    let (mut command, _) = experiment.train_on(&with_cell(7, 3, "4e"));
    let assert = command.args(["--set", "data.on_bad_row=skip"]).assert().success();
    let record: Value = serde_json::from_slice(&assert.get_output().stdout).unwrap();
    assert_eq!(rows(&record, "train") + rows(&record, "validation"), 199);
    assert_has(&String::from_utf8_lossy(&assert.get_output().stderr), &["1 bad row"]);
}

#[test]
fn eval_counts_the_rows_that_it_skips() {
    let experiment = Experiment::new(FM);
    experiment.train("run").args(["--set", "data.on_bad_row=skip"]).assert().success();
    let damaged = experiment.write("damaged.txt", &with_cell(7, 3, "4e"));
    let assert = experiment.eval("run").arg("--data").arg(damaged).assert().success();
    let record: Value = serde_json::from_slice(&assert.get_output().stdout).unwrap();
    assert_eq!(record["rows"], 199);
    assert_has(&String::from_utf8_lossy(&assert.get_output().stderr), &["warning: 1 bad rows were left out"]);
}

/// 200 rows, with another cell on line `line`.
fn with_cell(line: usize, column: usize, cell: &str) -> String {
    let mut lines: Vec<String> = sample("train.txt.gz", 200).lines().map(ToOwned::to_owned).collect();
    let mut cells: Vec<&str> = lines[line - 1].split('\t').collect();
    cells[column] = cell;
    lines[line - 1] = cells.join("\t");
    lines.join("\n") + "\n"
}

#[test]
fn a_damaged_checkpoint_is_named() {
    let experiment = Experiment::new(FM);
    experiment.train("run").assert().success();
    let table = experiment.path("run/checkpoints/best/table.safetensors");
    let sound = fs::read(&table).unwrap();
    let mut flipped = sound.clone();
    *flipped.last_mut().unwrap() ^= 1;
    for damage in [&sound[..sound.len() / 2], &flipped, &[]] {
        fs::write(&table, damage).unwrap();
        let stderr = failure(&mut experiment.eval("run"), FAILED);
        assert_has(&stderr, &[&table.display().to_string(), "damaged"]);
    }
    fs::remove_file(&table).unwrap();
    assert_has(&failure(&mut experiment.eval("run"), FAILED), &[&table.display().to_string()]);
}

#[test]
fn an_unknown_device_is_told_with_the_known_ones() {
    let experiment = Experiment::new(FM);
    let stderr = failure(experiment.train("run").args(["--device", "gpu"]), USAGE);
    assert_has(&stderr, &["device `gpu`", "`cpu`", "`wgpu`"]);
}

#[test]
fn a_run_folder_in_use_is_kept() {
    let experiment = Experiment::new(FM);
    experiment.train("run").assert().success();
    let result = fs::read(experiment.path("run/result.json")).unwrap();
    let stderr = failure(&mut experiment.train("run"), USAGE);
    assert_has(&stderr, &["a run is already here", "--resume", "--run"]);
    assert_eq!(fs::read(experiment.path("run/result.json")).unwrap(), result);
}

#[test]
fn train_prints_the_keys_of_the_design() {
    let experiment = Experiment::new(SECN);
    let record = json(&mut experiment.train("run"));
    let expected = "run model device parameters fields vocabulary rows epochs best_epoch test prepare \
                    peak_memory_bytes seconds";
    assert_keys(&record, expected);
    assert_keys(&record["rows"], "train validation test");
    assert_keys(&record["epochs"][0], "epoch train_logloss validation seconds rows_per_second data_wait_share");
    assert_keys(&record["prepare"], "seconds rows_per_second cached");
    assert_keys(&record["epochs"][0]["validation"], &METRICS.join(" "));
    assert_keys(&record["test"], &METRICS.join(" "));
    assert_eq!(record["test"]["auc_interval"].as_array().unwrap().len(), 2);
    assert_eq!(rows(&record, "train") + rows(&record, "validation"), TRAIN_ROWS as u64);
    assert_eq!(rows(&record, "test"), TEST_ROWS as u64);
    assert_eq!((&record["model"], &record["device"]), (&"secn".into(), &"cpu".into()));
    let kept: Value = serde_json::from_slice(&fs::read(experiment.path("run/result.json")).unwrap()).unwrap();
    assert_eq!(kept, record);
}

#[test]
fn eval_prints_the_keys_of_the_design_and_says_what_is_undefined() {
    let experiment = Experiment::new(FM);
    experiment.train("run").assert().success();
    let assert = experiment.eval("run").assert().success();
    let record: Value = serde_json::from_slice(&assert.get_output().stdout).unwrap();
    assert_keys(&record, "run rows device seconds rows_per_second metrics");
    assert_keys(&record["metrics"], &METRICS.join(" "));
    assert_eq!(record["rows"], TEST_ROWS);
    assert!(record["metrics"]["gauc"].is_null());
    assert_has(&String::from_utf8_lossy(&assert.get_output().stderr), &["undefined: gauc"]);
    let grouped = json(experiment.eval("run").args(["--group", "C9"]));
    assert!(grouped["metrics"]["gauc"].is_f64(), "{grouped}");
}

#[track_caller]
fn assert_keys(object: &Value, expected: &str) {
    let found: BTreeSet<&str> = object.as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(found, expected.split_whitespace().collect());
}

fn rows(record: &Value, part: &str) -> u64 {
    record["rows"][part].as_u64().unwrap()
}

#[test]
fn standard_input_trains_as_its_file_does() {
    let experiment = Experiment::new(FM);
    let from_file = json(&mut experiment.train("file"));
    let mut command = experiment.train("stdin");
    command.args(["--set", "data.train=[\"-\"]"]).write_stdin(sample("train.txt.gz", TRAIN_ROWS));
    let from_stdin = json(&mut command);
    assert_eq!(from_stdin["rows"], from_file["rows"]);
    assert_eq!(from_stdin["test"], from_file["test"]);
}

#[test]
fn predict_needs_no_label_and_keeps_the_order_of_the_rows() {
    let experiment = Experiment::new(FM);
    experiment.train("run").assert().success();
    let labelled = probabilities(&experiment, &experiment.path("test.txt"));
    assert_eq!(labelled.len(), TEST_ROWS);
    let distinct: BTreeSet<&String> = labelled.iter().collect();
    assert!(distinct.len() > TEST_ROWS / 2, "rows differ in their probabilities");

    let rows = sample("test.txt.gz", TEST_ROWS);
    let unlabelled: Vec<&str> = rows.lines().map(|line| line.split_once('\t').unwrap().1).collect();
    let forwards = experiment.write("unlabelled.txt", &(unlabelled.join("\n") + "\n"));
    assert_eq!(probabilities(&experiment, &forwards), labelled);

    let reversed: Vec<&str> = unlabelled.into_iter().rev().collect();
    let backwards = experiment.write("reversed.txt", &(reversed.join("\n") + "\n"));
    let mut found = probabilities(&experiment, &backwards);
    found.reverse();
    assert_eq!(found, labelled);
}

/// The lines of a prediction without its header.
fn probabilities(experiment: &Experiment, data: &Path) -> Vec<String> {
    let text = stdout(&mut experiment.predict("run", data));
    let (header, rest) = text.split_once('\n').unwrap();
    assert_eq!(header.trim(), "probability");
    let lines: Vec<String> = rest.lines().map(ToOwned::to_owned).collect();
    assert!(lines.iter().all(|line| (0.0..=1.0).contains(&line.parse::<f32>().unwrap())));
    lines
}

#[test]
fn predict_keeps_columns_in_csv_and_parquet_alike() {
    let experiment = Experiment::new(FM);
    experiment.train("run").assert().success();
    let data = experiment.path("test.txt");
    let [csv, parquet] = ["out.csv", "out.parquet"].map(|name| experiment.path(name));
    for output in [&csv, &parquet] {
        let mut command = experiment.predict("run", &data);
        let assert =
            command.args(["--keep", "C2", "--keep", "I5", "--output"]).arg(output).assert().success().stdout("");
        assert.stderr(format!("wrote {TEST_ROWS} predictions to {}\n", output.display()));
    }
    let text = fs::read_to_string(&csv).unwrap();
    let mut lines = text.lines().map(|line| line.split(',').map(ToOwned::to_owned).collect::<Vec<_>>());
    assert_eq!(lines.next().unwrap(), ["C2", "I5", "probability"]);
    let found: Vec<Vec<String>> = lines.collect();
    let input = sample("test.txt.gz", TEST_ROWS);
    let kept = input.lines().map(|line| line.split('\t').collect::<Vec<_>>()).map(|cells| [cells[15], cells[5]]);
    assert!(kept.eq(found.iter().map(|row| [row[0].as_str(), row[1].as_str()])));
    assert_eq!(parquet_rows(&parquet), found);
    let left_over = fs::read_dir(experiment.path(""))
        .unwrap()
        .any(|entry| entry.unwrap().path().extension().is_some_and(|extension| extension == "new"));
    assert!(!left_over, "nothing half-written stays");
}

/// A parquet file of text columns and a last column `probability`, as text.
fn parquet_rows(path: &Path) -> Vec<Vec<String>> {
    let reader = ParquetRecordBatchReaderBuilder::try_new(File::open(path).unwrap()).unwrap().build().unwrap();
    let batches: Vec<RecordBatch> = reader.map(|batch| batch.unwrap()).collect();
    let names: Vec<String> = batches[0].schema().fields().iter().map(|field| field.name().clone()).collect();
    assert_eq!(names, ["C2", "I5", "probability"]);
    let text = |column: &dyn Array, row: usize| match column.as_any().downcast_ref::<StringArray>() {
        Some(texts) => texts.value(row).to_owned(),
        None => column.as_any().downcast_ref::<Float32Array>().unwrap().value(row).to_string(),
    };
    let row = |batch: &RecordBatch, row| batch.columns().iter().map(|column| text(column, row)).collect();
    batches.iter().flat_map(|batch| (0..batch.num_rows()).map(move |index| row(batch, index))).collect()
}

#[test]
fn a_failed_prediction_leaves_no_output() {
    let experiment = Experiment::new(FM);
    experiment.train("run").assert().success();
    let data = experiment.write("bad.txt", &with_cell(150, 3, "4e"));
    let output = experiment.path("out.csv");
    let stderr = failure(experiment.predict("run", &data).arg("--output").arg(&output), FAILED);
    assert_has(&stderr, &["bad.txt:150, field `I3`"]);
    assert!(!output.exists() && !output.with_extension("new").exists());
    let stderr = failure(experiment.predict("run", &experiment.path("test.txt")).args(["--keep", "C27"]), FAILED);
    assert_has(&stderr, &["C27"]);
}

#[test]
fn a_closed_pipe_is_no_failure() {
    let experiment = Experiment::new(FM);
    experiment.train("run").assert().success();
    let [run, data] = ["run", "test.txt"].map(|name| experiment.path(name).display().to_string());
    let predict = ["predict", "--device", "cpu", "--checkpoint", &run, "--data", &data];
    for arguments in [&["models"][..], &["formats"], &["completions", "bash"], &predict] {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_secn"));
        let child = command.args(arguments).stdout(writer).stderr(Stdio::piped()).spawn().unwrap();
        let output = child.wait_with_output().unwrap();
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(0), "{arguments:?}: {stderr}");
        assert!(!stderr.contains("error"), "{arguments:?}: {stderr}");
    }
}

#[test]
fn lists_name_every_model_and_format() {
    assert_has(&stdout(&mut secn(&["models"])), &["lr", "fm", "deepfm", "secn"]);
    let models = json(secn(&["models"]).arg("--json"));
    assert!(models.as_array().unwrap().iter().any(|model| model["name"] == "secn"));
    assert_has(&stdout(&mut secn(&["formats"])), &["criteo", "csv", "tsv", "libsvm", "libffm"]);
    assert_has(&stdout(&mut secn(&["completions", "zsh"])), &["#compdef secn"]);
}

#[test]
fn prepare_fills_the_cache_that_training_reads() {
    let experiment = Experiment::new(FM);
    let mut prepare = secn(&["prepare", "--json"]);
    prepare.arg("--config").arg(experiment.path("config.toml"));
    let first = json(&mut prepare);
    assert_eq!(first["prepare"]["cached"], false);
    let record = json(&mut experiment.train("run"));
    assert_eq!(record["prepare"]["cached"], true);
    assert_eq!((&record["rows"], &record["vocabulary"]), (&first["rows"], &first["vocabulary"]));
}

#[test]
fn an_unknown_command_is_a_usage_error() {
    for arguments in [&["trian"][..], &["train"], &["eval", "--checkpoint"], &[]] {
        failure(&mut secn(arguments), USAGE);
    }
}
