//! Nothing of the user's is overwritten, nothing is left behind, and a wrong setting doesn't pass as a result.

use std::fs;

use crate::experiment::{Experiment, FM, assert_has, failure, json, stdout};

const FAILED: i32 = 1;
const USAGE: i32 = 2;

#[test]
fn predict_never_writes_over_its_input_and_leaves_nothing_where_it_cant_write() {
    let experiment = Experiment::new(FM);
    stdout(&mut experiment.train("run"));
    let input = experiment.path("test.txt");
    let before = fs::read(&input).unwrap();
    let stderr = failure(experiment.predict("run", &input).arg("--output").arg(&input), USAGE);
    assert_has(&stderr, &["--output", "expected another file"]);
    assert_eq!(fs::read(&input).unwrap(), before);
    fs::create_dir(experiment.path("folder")).unwrap();
    let output = experiment.path("folder");
    let stderr = failure(experiment.predict("run", &input).arg("--output").arg(&output), USAGE);
    assert_has(&stderr, &["expected a file, found a folder"]);
    assert_eq!(fs::read_dir(&output).unwrap().count(), 0);
}

#[test]
fn a_run_takes_no_folder_with_other_files_and_a_failed_one_leaves_none() {
    let experiment = Experiment::new(FM);
    fs::create_dir(experiment.path("own")).unwrap();
    let own = experiment.write("own/result.json", "mine");
    let stderr = failure(&mut experiment.train("own"), USAGE);
    assert_has(&stderr, &["expected a new or an empty folder"]);
    assert_eq!(fs::read_to_string(own).unwrap(), "mine");
    failure(experiment.train("failed").args(["--set", "data.train=[\"absent.txt\"]"]), FAILED);
    assert!(!experiment.path("failed").exists());
}

#[test]
fn a_positive_label_that_no_row_has_is_an_error() {
    let experiment = Experiment::new("[model.lr]\n");
    let row = |row: u32| format!("{},v{}", if row.is_multiple_of(3) { "yes" } else { "no" }, row % 5);
    let rows: Vec<String> = (0..40).map(row).collect();
    let path = experiment.write("rows.csv", &format!("bought,color\n{}\n", rows.join("\n")));
    let mut command = experiment.train("run");
    command.args(["--set", "data.format=csv", "--set", "data.label=bought", "--set", "data.test=[]"]);
    command.arg("--set").arg(format!("data.train=[{path:?}]"));
    let stderr = failure(command.args(["--set", "data.positive=Yes"]), FAILED);
    assert_has(&stderr, &["`Yes`", "data.positive"]);
}

#[test]
fn an_early_stop_within_an_epoch_ends_the_training_there() {
    let experiment = Experiment::new("[model.lr]\n");
    let mut command = experiment.train("run");
    // a rate at which nothing is learned, so that no evaluation gains on the first one
    command.args(["--set", "training.evaluate_every=2", "--set", "embedding.learning_rate=1e-30"]);
    command.args(["--set", "training.learning_rate=1e-30", "--set", "training.epochs=2"]);
    let record = json(command.args(["--set", "training.early_stop={ metric = \"auc\", patience = 1 }"]));
    assert_eq!(record["epochs"].as_array().unwrap().len(), 1);
    let evaluations = fs::read_to_string(experiment.path("run/metrics.jsonl")).unwrap();
    assert_eq!(evaluations.lines().count(), 3, "the first one, and two without gain");
}

#[test]
fn other_data_is_not_gone_on_with_and_other_validation_rows_are_prepared_anew() {
    let experiment = Experiment::new("[model.lr]\n");
    let numbers = experiment.write("numbers.txt", "0\n1\n2\n");
    let train = |run: &str, resume: bool| {
        let mut command = experiment.train(run);
        command.arg("--set").arg(format!("data.validation={{ rows = {numbers:?} }}"));
        command.args(if resume { &["--resume"][..] } else { &[] });
        command
    };
    assert_eq!(json(&mut train("one", false))["rows"]["validation"], 3);
    experiment.write("numbers.txt", "0\n1\n2\n3\n5\n");
    assert_eq!(json(&mut train("two", false))["rows"]["validation"], 5);
    let rows = fs::read_to_string(experiment.path("train.txt")).unwrap();
    let fewer: String = rows.lines().take(900).flat_map(|line| [line, "\n"]).collect();
    experiment.write("train.txt", &fewer);
    let stderr = failure(&mut train("two", true), FAILED);
    assert_has(&stderr, &["expected the data that gave the vocabulary"]);
}

#[test]
fn predict_drops_no_row_even_where_training_skipped_bad_ones() {
    let experiment = Experiment::new("[model.lr]\n");
    stdout(experiment.train("run").args(["--set", "data.on_bad_row=skip"]));
    let rows = fs::read_to_string(experiment.path("test.txt")).unwrap();
    let damaged = experiment.write("damaged.txt", &format!("{rows}1\tno row\n"));
    let stderr = failure(&mut experiment.predict("run", &damaged), FAILED);
    assert_has(&stderr, &["damaged.txt:501"]);
}

#[test]
#[cfg(unix)]
fn predict_writes_through_links_and_into_pipes_and_replaces_neither() {
    let experiment = Experiment::new(FM);
    stdout(&mut experiment.train("run"));
    let input = experiment.path("test.txt");
    let expected = stdout(&mut experiment.predict("run", &input));
    let (kept, link) = (experiment.write("kept.csv", "old"), experiment.path("link.csv"));
    std::os::unix::fs::symlink("kept.csv", &link).unwrap();
    stdout(experiment.predict("run", &input).arg("--output").arg(&link));
    assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
    assert_eq!(fs::read_to_string(kept).unwrap(), expected);
    let pipe = experiment.path("pipe");
    assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    let reader = std::thread::spawn({
        let pipe = pipe.clone();
        move || fs::read_to_string(pipe).unwrap()
    });
    stdout(experiment.predict("run", &input).arg("--output").arg(&pipe));
    assert_eq!(reader.join().unwrap(), expected);
    assert!(!fs::metadata(&pipe).unwrap().is_file());
}
