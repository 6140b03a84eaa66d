//! `secn compare`: its files, its JSON, its search, and that it goes on where it was killed.

use std::fs;

use assert_cmd::Command;
use serde_json::{Value, json};

use crate::experiment::{Experiment, SECN, assert_has, failure, json, secn, stdout};

const FAILED: i32 = 1;
const USAGE: i32 = 2;

fn compare(experiment: &Experiment) -> Command {
    let mut command = secn(&["compare", "--device", "cpu"]);
    command.arg("--config").arg(experiment.path("config.toml")).arg("--run").arg(experiment.path("compare"));
    command
}

#[test]
fn compare_leaves_tables_charts_and_a_page_and_reads_what_is_finished() {
    let experiment = Experiment::new(SECN);
    let run = || json(compare(&experiment).args(["--models", "lr,secn", "--seeds", "2", "--json"]));
    let record = run();
    assert_eq!(record["dataset"], "config");
    assert_eq!(record["rows"]["test"], 500);
    let models = record["models"].as_array().unwrap();
    let keys = ["model", "seed", "logloss", "auc", "parameters", "seconds", "rows_per_second"];
    for (model, expected) in models.iter().zip([("lr", 2019), ("lr", 2020), ("secn", 2019), ("secn", 2020)]) {
        assert_eq!((model["model"].as_str().unwrap(), model["seed"].as_u64().unwrap()), expected);
        for key in keys {
            assert!(!model[key].is_null(), "{key}: {model}");
        }
    }
    assert_eq!(models.len(), 4);
    assert_ne!(models[2]["logloss"], models[3]["logloss"], "a seed changes the run");
    let files = ["table.md", "table.csv", "result.json", "logloss.svg", "auc.svg", "compare.html"];
    for file in files {
        assert!(fs::metadata(experiment.path("compare").join(file)).unwrap().len() > 0, "{file}");
    }
    let page = fs::read_to_string(experiment.path("compare/compare.html")).unwrap();
    assert_has(&page, &["<svg", "prefers-color-scheme", "secn", "lr"]);

    // one run is taken away, as if the comparison had been killed before it
    fs::remove_dir_all(experiment.path("compare/models/secn/seed-2020")).unwrap();
    let without_times = |mut record: Value| {
        for model in record["models"].as_array_mut().unwrap() {
            model["seconds"].take();
            model["rows_per_second"].take();
        }
        record
    };
    assert_eq!(without_times(run()), without_times(record));
}

#[test]
fn the_grid_is_searched_on_validation_and_the_choice_is_told() {
    let grid = "[compare]\nmodels = [\"lr\"]\n[compare.set.all]\n\"training.epochs\" = 2\n\
                [compare.grid.lr]\n\"embedding.learning_rate\" = [1e-6, 0.1]\n";
    let experiment = with_compare(grid);
    let output = compare(&experiment).assert().success().get_output().clone();
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert_has(&stderr, &["lr, candidate 2 of 2", "lr: chosen embedding.learning_rate = 0.1, training.epochs = 2"]);
    let chosen = fs::read_to_string(experiment.path("compare/models/lr/seed-2019/config.toml")).unwrap();
    assert_has(&chosen, &["learning_rate = 0.1", "epochs = 2"]);
    assert!(!chosen.contains("[compare"), "a run's config is its own");

    let record = fs::read(experiment.path("compare/result.json")).unwrap();
    let record: Value = serde_json::from_slice(&record).unwrap();
    let settings = &record["settings"][0];
    assert_eq!((&settings["model"], &settings["metric"]), (&"lr".into(), &"logloss".into()));
    assert_eq!(settings["chosen"], json!({ "embedding.learning_rate": 0.1, "training.epochs": 2 }));
    let tried: Vec<f64> = settings["candidates"].as_array().unwrap().iter().map(validation_logloss).collect();
    assert!(tried.len() == 2 && tried[1] < tried[0], "{tried:?}");
    let shown = ["Settings chosen on validation", "embedding.learning_rate = 0.1, training.epochs = 2"];
    for file in ["table.md", "compare.html"] {
        let text = fs::read_to_string(experiment.path("compare").join(file)).unwrap();
        assert_has(&text, &shown);
        assert_has(&text, &[&format!("{:.5}", tried[1])]);
    }
}

/// An experiment whose config ends with these tables.
fn with_compare(tables: &str) -> Experiment {
    let experiment = Experiment::new(SECN);
    let config = fs::read_to_string(experiment.path("config.toml")).unwrap();
    experiment.write("config.toml", &format!("{config}{tables}"));
    experiment
}

fn validation_logloss(candidate: &Value) -> f64 {
    candidate["validation"]["logloss"].as_f64().unwrap()
}

#[test]
fn one_model_may_change_neither_the_data_nor_the_budget_nor_may_a_grid() {
    for (tables, key) in [
        ("[compare.set.lr]\n\"training.epochs\" = 3\n", "`training.epochs`"),
        ("[compare.set.lr]\n\"training.early_stop\" = { patience = 7 }\n", "`training.early_stop`"),
        ("[compare.set.lr]\n\"features.min_count\" = 3\n", "`features`"),
        ("[compare.set.lr]\n\"data.validation\" = 0.2\n", "`data`"),
        ("[compare.grid.lr]\n\"training.evaluate_every\" = [5, 10]\n", "`training.evaluate_every`"),
        ("[compare.grid.all]\n\"training.epochs\" = [1, 2]\n", "`training.epochs`"),
        ("[compare.set.lr]\ntraining.batch_size = 64\n", "dotted key within quotes"),
    ] {
        let experiment = with_compare(tables);
        // the model stands last, and what it may not is told before the first one is trained
        let stderr = failure(compare(&experiment).args(["--models", "fm,lr"]), USAGE);
        assert_has(&stderr, &["[compare", key]);
        assert!(!experiment.path("compare").exists(), "{tables}");
    }
}

#[test]
fn all_models_may_have_another_budget_and_each_its_batch_size() {
    let tables = "[compare.set.all]\n\"features.min_count\" = 5\n\"training.early_stop\" = { metric = \"auc\" }\n\
                  [compare.set.lr]\n\"training.batch_size\" = 128\n";
    let experiment = with_compare(tables);
    let record = json(compare(&experiment).args(["--models", "lr,fm", "--json"]));
    let config = |model: &str| {
        let path = experiment.path("compare/models").join(model).join("seed-2019/config.toml");
        fs::read_to_string(path).unwrap()
    };
    assert_has(&config("lr"), &["min_count = 5", "metric = \"auc\"", "batch_size = 128"]);
    assert_has(&config("fm"), &["min_count = 5", "metric = \"auc\"", "batch_size = 64"]);
    assert_eq!(record["settings"][0]["chosen"]["training.batch_size"], 128);
    assert_eq!(record["settings"][1]["chosen"]["features.min_count"], 5);
    assert!(record["settings"][0]["candidates"].as_array().unwrap().is_empty());
}

#[test]
fn the_memory_of_every_models_table_is_checked_before_the_first_training() {
    let experiment = Experiment::new(SECN);
    // counting has its own need of memory, so the limit is set once the cache is there
    stdout(secn(&["prepare"]).arg("--config").arg(experiment.path("config.toml")));
    let limited = |models: &str| {
        let mut command = compare(&experiment);
        command.args(["--models", models, "--set", "features.max_memory=4MiB"]);
        command
    };
    let stderr = failure(&mut limited("lr,ffm"), FAILED);
    assert_has(&stderr, &["cannot make the table of `ffm`", "`features.max_memory`: expected at most 4.0 MiB"]);
    assert!(!experiment.path("compare/models").exists());
    stdout(&mut limited("lr"));
}

#[test]
fn a_finished_run_counts_only_for_the_data_that_it_was_trained_on() {
    let experiment = Experiment::new(SECN);
    let models = ["--models", "lr"];
    stdout(compare(&experiment).args(models));
    let cut = |name: &str, rows: usize| {
        let text = fs::read_to_string(experiment.path(name)).unwrap();
        experiment.write(name, &text.lines().take(rows).flat_map(|line| [line, "\n"]).collect::<String>());
    };
    cut("test.txt", 400);
    let stderr = failure(compare(&experiment).args(models), FAILED);
    assert_has(&stderr, &["the data has changed", "--run", "500 test, found", "400 test"]);
    fs::remove_dir_all(experiment.path("compare")).unwrap();
    stdout(compare(&experiment).args(models));
}

#[test]
fn a_run_of_a_comparison_can_be_evaluated_and_has_a_report() {
    let experiment = Experiment::new(SECN);
    stdout(compare(&experiment).args(["--models", "fm"]));
    let run = "compare/models/fm/seed-2019";
    let record: Value = serde_json::from_slice(&fs::read(experiment.path(run).join("result.json")).unwrap()).unwrap();
    let evaluated = json(&mut experiment.eval(run));
    assert_eq!(evaluated["metrics"], record["test"]);
    assert_has(&fs::read_to_string(experiment.path(run).join("report.html")).unwrap(), &["<svg", "logloss"]);
}

#[test]
fn a_run_of_a_comparison_gives_its_weights_and_is_not_trained_anew() {
    let experiment = Experiment::new(SECN);
    stdout(compare(&experiment).args(["--models", "secn"]));
    let run = "compare/models/secn/seed-2019";
    stdout(&mut experiment.predict(run, &experiment.path("test.txt")));
    stdout(experiment.train("next").arg("--init-from").arg(experiment.path(run)));
    let weights = || fs::read(experiment.path(run).join("checkpoints/best/table.safetensors")).unwrap();
    let before = weights();
    let mut command = secn(&["train", "--resume", "--device", "cpu"]);
    let config = experiment.path(run).join("config.toml");
    let stderr = failure(command.arg("--config").arg(config).arg("--run").arg(experiment.path(run)), USAGE);
    assert_has(&stderr, &["is finished", "--init-from"]);
    assert!(before == weights());
}

#[test]
fn a_comparison_takes_no_runs_folder_and_replaces_no_other_experiment() {
    let experiment = Experiment::new(SECN);
    stdout(&mut experiment.train("compare"));
    let stderr = failure(compare(&experiment).args(["--models", "lr"]), USAGE);
    assert_has(&stderr, &["found a run's"]);
    fs::remove_dir_all(experiment.path("compare")).unwrap();
    stdout(compare(&experiment).args(["--models", "lr"]));
    let stderr = failure(compare(&experiment).args(["--models", "lr", "--set", "training.epochs=3"]), USAGE);
    assert_has(&stderr, &["`epochs = 1`", "`epochs = 3`"]);
}

#[test]
fn wrong_models_and_settings_are_usage_errors() {
    let experiment = Experiment::new(SECN);
    let stderr = failure(compare(&experiment).args(["--models", "lr,deepfn"]), USAGE);
    assert_has(&stderr, &["`deepfn`", "`secn models`"]);
    let stderr = failure(compare(&experiment).args(["--models", "lr,lr"]), USAGE);
    assert_has(&stderr, &["named twice"]);
    let stderr = failure(compare(&experiment).args(["--models", "lr", "--set", "data.test=[]"]), USAGE);
    assert_has(&stderr, &["data.test"]);
    let mut command = compare(&experiment);
    let stderr =
        failure(command.args(["--models", "lr", "--set", "compare.set.lr={ \"features.min_count\" = 3 }"]), USAGE);
    assert_has(&stderr, &["may not change `features`", "[compare.set.all]"]);
}
