//! The layout of what people read. Digits, times and paths are replaced, so that a snapshot holds no number.

use crate::experiment::{Experiment, FM, secn, stdout};

/// Digits → `#`, the temporary folder → `FOLDER`, and as many blanks as keep columns apart.
fn layout(text: &str, experiment: Option<&Experiment>) -> String {
    let folder = experiment.map(|experiment| experiment.path("").display().to_string());
    let text = folder.map_or_else(|| text.to_owned(), |folder| text.replace(&folder, "FOLDER/"));
    let mut layout = String::new();
    for character in text.chars() {
        let character = if character.is_ascii_digit() { '#' } else { character };
        let repeats = layout.ends_with(character) && (character == '#' || character == ' ');
        if !repeats {
            layout.push(character);
        }
    }
    layout.lines().map(|line| line.trim_end().to_owned() + "\n").collect()
}

#[test]
fn help_names_every_command() {
    insta::assert_snapshot!(layout(&stdout(&mut secn(&["--help"])), None));
}

#[test]
fn the_help_of_train_explains_every_flag() {
    insta::assert_snapshot!(layout(&stdout(&mut secn(&["train", "--help"])), None));
}

#[test]
fn a_training_ends_with_a_table_and_eval_prints_every_metric() {
    let experiment = Experiment::new(FM);
    let mut command = secn(&["train", "--set", "training.epochs=2"]);
    command.arg("--config").arg(experiment.path("config.toml")).arg("--run").arg(experiment.path("run"));
    let output = command.assert().success().get_output().clone();
    insta::assert_snapshot!("train_stdout", layout(&String::from_utf8(output.stdout).unwrap(), Some(&experiment)));
    insta::assert_snapshot!("train_stderr", layout(&String::from_utf8(output.stderr).unwrap(), Some(&experiment)));
    let mut command = secn(&["eval", "--device", "cpu"]);
    command.arg("--checkpoint").arg(experiment.path("run"));
    insta::assert_snapshot!("eval_stdout", layout(&stdout(&mut command), Some(&experiment)));
}
