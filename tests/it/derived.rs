//! Fields that follow from other fields, and the formats whose rows are tokens, from raw files to predictions.

use std::fmt::Write as _;

use crate::experiment::{Experiment, FM, SECN, TEST_ROWS, TRAIN_ROWS, assert_has, failure, json, sample, stdout};

const FAILED: i32 = 1;
const USAGE: i32 = 2;

const DERIVED: [&str; 4] = [
    "--set",
    "features.target_statistics={ fields = [\"C1\", \"C2\", \"C6\"], order = 2, combinations = [[\"C1\", \"C2\", \"I2\"]] }",
    "--set",
    "features.cross=[[\"C9\", \"C17\"]]",
];

#[test]
fn derived_fields_are_the_same_in_training_evaluation_and_prediction() {
    let experiment = Experiment::new(FM);
    let trained = json(experiment.train("run").args(DERIVED));
    // 3 + 3 + 1 statistics with a count each, and a cross
    assert_eq!(trained["fields"], 39 + 2 * 7 + 1);
    let evaluated = json(&mut experiment.eval("run"));
    assert_eq!(evaluated["metrics"]["logloss"], trained["test"]["logloss"]);
    let rows = sample("test.txt.gz", TEST_ROWS);
    let unlabelled: String = rows.lines().map(|row| row.split_once('\t').unwrap().1.to_owned() + "\n").collect();
    let predict = |rows: &str| stdout(&mut experiment.predict("run", &experiment.write("rows.txt", rows)));
    let (probabilities, without_labels) = (predict(&rows), predict(&unlabelled));
    assert_eq!(probabilities, without_labels);
    let probabilities: Vec<f64> = probabilities.lines().skip(1).map(|line| line.parse().unwrap()).collect();
    assert_eq!(probabilities.len(), TEST_ROWS);
    let mean = probabilities.iter().sum::<f64>() / TEST_ROWS as f64;
    // probabilities are printed as f32
    assert!((mean - evaluated["metrics"]["mean_probability"].as_f64().unwrap()).abs() < 1e-6);
    // the run's own vocabulary is written again from what was read: a resumed run needs the same
    let resumed = json(experiment.train("run").args(DERIVED).args(["--resume", "--set", "training.epochs=2"]));
    assert_eq!(resumed["epochs"].as_array().unwrap().len(), 2);
}

#[test]
fn a_wrong_combination_is_a_usage_error_with_its_key() {
    let experiment = Experiment::new(SECN);
    let cases = [
        (
            "features.cross=[[\"C1\", \"C27\"]]",
            "`features.cross`: expected the names of the data's fields, found `C27`",
        ),
        ("features.target_statistics={ fields = [\"C1\", \"C1\"] }", "found `C1` twice"),
        ("features.target_statistics={ order = 5 }", "expected a whole number from 1 to 4, found 5"),
    ];
    for (argument, message) in cases {
        assert_has(&failure(experiment.train("run").args(["--set", argument]), USAGE), &[message]);
    }
}

/// The first three categories of the sample as tokens.
fn tokens(file: &str, rows: usize, has_label: bool) -> String {
    let mut text = String::new();
    for row in sample(file, rows).lines() {
        let cells: Vec<&str> = row.split('\t').collect();
        let index = |cell: &str| u32::from_str_radix(cell, 16).unwrap_or(0);
        if has_label {
            write!(text, "{} ", if cells[0] == "1" { "1" } else { "-1" }).unwrap();
        }
        writeln!(text, "{}:1 {}:1 {}:1 \r", index(cells[14]), index(cells[15]), index(cells[19])).unwrap();
    }
    text
}

#[test]
fn rows_of_tokens_are_trained_on_evaluated_and_predicted() {
    let experiment = Experiment::new(FM);
    let train = experiment.write("train.libsvm", &tokens("train.txt.gz", TRAIN_ROWS, true));
    let test = experiment.write("test.libsvm", &tokens("test.txt.gz", TEST_ROWS, true));
    let unlabelled = experiment.write("unlabelled.libsvm", &tokens("test.txt.gz", TEST_ROWS, false));
    let files = [format!("data.train=[{train:?}]"), format!("data.test=[{test:?}]")];
    let sets = ["--set", "data.format=libsvm", "--set", &files[0], "--set", &files[1]];
    let trained = json(experiment.train("run").args(sets));
    assert_eq!((trained["fields"].as_u64(), trained["rows"]["test"].as_u64()), (Some(3), Some(TEST_ROWS as u64)));
    assert_eq!(json(&mut experiment.eval("run"))["metrics"]["logloss"], trained["test"]["logloss"]);
    let labelled = stdout(&mut experiment.predict("run", &test));
    assert_eq!(labelled, stdout(&mut experiment.predict("run", &unlabelled)));
    let stderr = failure(experiment.eval("run").arg("--data").arg(&unlabelled), FAILED);
    assert_has(&stderr, &["unlabelled.libsvm: expected a label before each row's tokens, found none", "hint: "]);
    let ragged = experiment.write("ragged.libsvm", "1 1:1 2:1 3:1\n0 1:1 2:1\n");
    let stderr = failure(experiment.eval("run").arg("--data").arg(&ragged), FAILED);
    assert_has(&stderr, &["ragged.libsvm:2: expected 3 tokens", "found 2", "hint: ", "libffm"]);
}
