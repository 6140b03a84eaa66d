//! Nothing of the user's is overwritten, nothing is left behind, and a wrong setting doesn't pass as a result.

use std::fs;

use crate::experiment::{Experiment, FM, assert_has, failure, stdout};

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
