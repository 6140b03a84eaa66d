//! A small experiment in a folder of its own, for the tests that drive `secn` as a person does.

use std::{
    fs,
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
};

use assert_cmd::Command;
use flate2::read::GzDecoder;
use serde_json::Value;
use tempfile::TempDir;

pub(crate) const SECN: &str = "[model.secn]\nlayers = 2\n";
pub(crate) const SECN_MEMBERS: &str = "[model.secn]\nmembers = 2\nlayers = 2\n";
pub(crate) const FM: &str = "[model.fm]\n";
pub(crate) const FFM: &str = "[model.ffm]\nmlp = [8]\n";
pub(crate) const AUTOINT: &str = "[model.autoint]\nlayers = 2\n";
pub(crate) const DEEPFM: &str = "[model.deepfm]\nmlp = [32, 16]\ndropout = 0.2\nbatch_norm = true\n";

pub(crate) const TRAIN_ROWS: usize = 2_000;
pub(crate) const TEST_ROWS: usize = 500;

/// The first rows of `data/criteo-sample`, a config, a cache and run folders; gone with the value.
pub(crate) struct Experiment {
    folder: TempDir,
}

impl Experiment {
    /// `model` is the config's `[model.…]` table.
    pub(crate) fn new(model: &str) -> Self {
        Self::with_table(model, "")
    }

    /// As [`Self::new`], with further lines of `[embedding]`.
    pub(crate) fn with_table(model: &str, embedding: &str) -> Self {
        let experiment = Self { folder: tempfile::tempdir().expect("a temporary folder can be made") };
        experiment.write("train.txt", &sample("train.txt.gz", TRAIN_ROWS));
        experiment.write("test.txt", &sample("test.txt.gz", TEST_ROWS));
        let [train, test, cache] = ["train.txt", "test.txt", "cache"].map(|name| experiment.path(name));
        let data = format!(
            "[data]\nformat = \"criteo\"\ntrain = [{train:?}]\ntest = [{test:?}]\nvalidation = 0.1\ncache = {cache:?}\n"
        );
        let rest = format!("[embedding]\ndim = 8\n{embedding}[training]\nbatch_size = 64\ndevice = \"cpu\"\n");
        experiment.write("config.toml", &format!("{data}{model}{rest}"));
        experiment
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.path(name);
        fs::write(&path, text).expect("a file can be written to the temporary folder");
        path
    }

    /// `secn train` into the run folder `run`.
    pub(crate) fn train(&self, run: &str) -> Command {
        let mut command = secn(&["train", "--json"]);
        command.arg("--config").arg(self.path("config.toml")).arg("--run").arg(self.path(run));
        command
    }

    /// `secn train` with `text` as its training rows.
    pub(crate) fn train_on(&self, text: &str) -> (Command, PathBuf) {
        let path = self.write("rows.txt", text);
        let mut command = self.train("rows-run");
        command.arg("--set").arg(format!("data.train=[{path:?}]"));
        (command, path)
    }

    /// `secn eval --json` of the run folder `run`, on the cpu.
    pub(crate) fn eval(&self, run: &str) -> Command {
        let mut command = secn(&["eval", "--json", "--device", "cpu"]);
        command.arg("--checkpoint").arg(self.path(run));
        command
    }

    /// `secn predict` of the run folder `run`, on the cpu.
    pub(crate) fn predict(&self, run: &str, data: &Path) -> Command {
        let mut command = secn(&["predict", "--device", "cpu"]);
        command.arg("--checkpoint").arg(self.path(run)).arg("--data").arg(data);
        command
    }
}

/// The built binary with its first arguments.
pub(crate) fn secn(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_secn"));
    command.args(arguments);
    command
}

/// Sets made by others, in `shared/data` beside the project's folder or above it; a test that lacks them says so.
pub(crate) fn shared_data() -> Option<PathBuf> {
    let project = Path::new(env!("CARGO_MANIFEST_DIR"));
    let found = project.ancestors().map(|folder| folder.join("shared/data")).find(|folder| folder.is_dir());
    if found.is_none() {
        skipped("shared/data");
    }
    found
}

#[expect(clippy::print_stderr, reason = "a skipped test says so")]
pub(crate) fn skipped(what: &str) {
    eprintln!("skipped: {what} is not there");
}

/// The first `rows` lines of a file of `data/criteo-sample`.
pub(crate) fn sample(file: &str, rows: usize) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("data/criteo-sample").join(file);
    let file = fs::File::open(path).expect("the sample is part of the repository");
    let lines = BufReader::new(GzDecoder::new(file)).lines().take(rows);
    lines.map(|line| line.expect("the sample is text") + "\n").collect()
}

/// Runs the command, which must succeed, and returns its standard output.
pub(crate) fn stdout(command: &mut Command) -> String {
    let output = command.assert().success().get_output().stdout.clone();
    String::from_utf8(output).expect("the output is text")
}

/// Runs the command, which must succeed and print one JSON object.
pub(crate) fn json(command: &mut Command) -> Value {
    serde_json::from_str(&stdout(command)).expect("the output is one JSON object")
}

/// Runs the command, which must end with `code` and print nothing on stdout, and returns its standard error.
pub(crate) fn failure(command: &mut Command, code: i32) -> String {
    let assert = command.assert().code(code).stdout("");
    let stderr = String::from_utf8_lossy(&assert.get_output().stderr).into_owned();
    assert!(!stderr.contains("a defect in secn"), "{stderr}");
    stderr
}

/// Asserts that each of `parts` stands in `text`.
#[track_caller]
pub(crate) fn assert_has(text: &str, parts: &[&str]) {
    for part in parts {
        assert!(text.contains(part), "expected `{part}` in:\n{text}");
    }
}
