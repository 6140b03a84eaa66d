//! The same bits: after a kill and `--resume`, and with any number of threads; and the same metrics in `eval`.

use std::{
    fs,
    path::Path,
    process::{Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use serde_json::Value;

use crate::experiment::{AUTOINT, DEEPFM, Experiment, FFM, FM, SECN, SECN_MEMBERS, assert_has, failure, json};

const USAGE: i32 = 2;

/// The weights that `eval` reads and all that `--resume` reads.
const WEIGHTS: [&str; 5] = [
    "checkpoints/best/dense.safetensors",
    "checkpoints/best/table.safetensors",
    "checkpoints/last/dense.safetensors",
    "checkpoints/last/table.safetensors",
    "checkpoints/last/moments.safetensors",
];

const SIXTEEN_BITS: &str = "storage = \"bf16\"\n";

/// About 29 steps an epoch, with evaluations in the midst of one, and rows that catch up with their decay.
const SETTINGS: [&str; 6] =
    ["--set", "training.epochs=2", "--set", "training.evaluate_every=12", "--set", "embedding.weight_decay=1e-3"];

#[test]
fn secn_resumes_to_the_bits_of_a_run_that_was_never_killed() {
    assert_a_killed_run_ends_with_the_same_bits(&Experiment::new(SECN));
}

#[test]
fn deepfm_with_dropout_and_batch_norm_resumes_to_the_bits_of_a_run_that_was_never_killed() {
    assert_a_killed_run_ends_with_the_same_bits(&Experiment::new(DEEPFM));
}

#[test]
fn tables_of_16_bits_resume_to_the_bits_of_a_run_that_was_never_killed() {
    assert_a_killed_run_ends_with_the_same_bits(&Experiment::with_table(FM, SIXTEEN_BITS));
}

#[test]
fn the_number_of_threads_changes_no_bit() {
    let experiments = [SECN, SECN_MEMBERS, FM, FFM, AUTOINT, DEEPFM].map(Experiment::new);
    for experiment in experiments.into_iter().chain([Experiment::with_table(FM, SIXTEEN_BITS)]) {
        for threads in ["1", "2"] {
            // each prepares its data anew
            let cache = format!("data.cache={:?}", experiment.path(&format!("cache-{threads}")));
            let mut command = experiment.train(threads);
            command.args(SETTINGS).args(["--threads", threads, "--set", &cache]).assert().success();
        }
        assert_same_run(&experiment.path("1"), &experiment.path("2"));
    }
}

#[test]
fn resuming_a_finished_run_changes_no_bit() {
    let experiment = Experiment::new(FM);
    let before = json(experiment.train("run").args(SETTINGS));
    let weights = WEIGHTS.map(|name| fs::read(experiment.path("run").join(name)).unwrap());
    let after = json(experiment.train("run").args(SETTINGS).arg("--resume"));
    assert_eq!(after["test"], before["test"]);
    assert!(weights == WEIGHTS.map(|name| fs::read(experiment.path("run").join(name)).unwrap()));
}

#[test]
fn a_run_that_was_not_there_to_resume_is_said_to_be_new() {
    let experiment = Experiment::new(FM);
    let train = || {
        let output = experiment.train("run").arg("--resume").assert().success().get_output().clone();
        String::from_utf8(output.stderr).unwrap()
    };
    assert_has(&train(), &["nothing to resume in ", "/run: a new run starts\n"]);
    assert!(!train().contains("nothing to resume"), "the second time there is a run");
}

#[test]
fn resume_refuses_another_config_and_names_both_values() {
    let experiment = Experiment::new(FM);
    experiment.train("run").assert().success();
    let mut command = experiment.train("run");
    let stderr = failure(command.args(["--resume", "--set", "training.batch_size=32"]), USAGE);
    assert_has(
        &stderr,
        &["`--resume`", "has `training.batch_size = 64`, found `training.batch_size = 32` now", "--init-from"],
    );
    // a table that comes in addition stands behind all others
    for (set, expected) in [
        ("embedding.linear.learning_rate=0.01", "has no `embedding.linear.learning_rate`, found `"),
        ("model={lr={}}", "has `model.fm = {}`, found none now; has no `model.lr`, found `"),
    ] {
        let mut command = experiment.train("run");
        assert_has(&failure(command.args(["--resume", "--set", set]), USAGE), &[expected]);
    }
}

#[test]
fn a_run_that_ended_before_its_first_checkpoint_starts_anew_with_other_settings() {
    let experiment = Experiment::new(FM);
    let mut command = experiment.train("run");
    let stderr =
        failure(command.args(["--set", "embedding.learning_rate=1e30", "--set", "training.clip_norm=1e30"]), 1);
    assert_has(&stderr, &["expected a finite loss", "lower the learning rates"]);
    let output = experiment.train("run").arg("--resume").assert().success().get_output().clone();
    assert_has(&String::from_utf8_lossy(&output.stderr), &["no checkpoint yet: starting from the beginning"]);
}

#[test]
fn eval_gives_the_test_metrics_of_train() {
    // both score the same weights with the same kernels; only the batches' borders differ
    const TOLERANCE: f64 = 1e-6;
    for model in [SECN, SECN_MEMBERS, FM, DEEPFM] {
        let experiment = Experiment::new(model);
        let trained = json(experiment.train("run").args(SETTINGS));
        let evaluated = json(&mut experiment.eval("run"));
        let [expected, found] = [&trained["test"], &evaluated["metrics"]].map(|metrics| metrics.as_object().unwrap());
        for (name, expected) in expected {
            assert_near(name, expected, &found[name], TOLERANCE);
        }
    }
}

#[track_caller]
fn assert_near(name: &str, expected: &Value, found: &Value, tolerance: f64) {
    match (expected, found) {
        (Value::Array(expected), Value::Array(found)) => {
            assert_eq!(expected.len(), found.len(), "{name}");
            for (expected, found) in expected.iter().zip(found) {
                assert_near(name, expected, found, tolerance);
            }
        }
        (Value::Null, found) => assert!(found.is_null(), "{name}: expected null, found {found}"),
        (expected, found) => {
            let difference = (expected.as_f64().unwrap() - found.as_f64().unwrap()).abs();
            assert!(difference <= tolerance, "{name}: expected {expected}, found {found}");
        }
    }
}

fn assert_a_killed_run_ends_with_the_same_bits(experiment: &Experiment) {
    experiment.train("whole").args(SETTINGS).assert().success();
    // once in the first epoch, once in the second
    train_and_kill(experiment, 7, false);
    train_and_kill(experiment, 40, true);
    experiment.train("killed").args(SETTINGS).arg("--resume").assert().success();
    assert_same_run(&experiment.path("whole"), &experiment.path("killed"));
}

/// Trains with a checkpoint at every step, and kills the process after a checkpoint of `step` or a later one.
fn train_and_kill(experiment: &Experiment, step: u64, resume: bool) {
    let run = experiment.path("killed");
    let mut command = Command::new(env!("CARGO_BIN_EXE_secn"));
    command.arg("train").arg("--config").arg(experiment.path("config.toml")).arg("--run").arg(&run);
    command.args(SETTINGS).args(["--set", "training.checkpoint_minutes=1e-9"]);
    command.args(resume.then_some("--resume")).stdout(Stdio::null()).stderr(Stdio::null());
    let mut child = command.spawn().unwrap();
    let start = Instant::now();
    while last_step(&run) < Some(step) {
        let ended = child.try_wait().unwrap();
        assert!(ended.is_none(), "the training ended before it was killed: {ended:?}");
        assert!(start.elapsed() < Duration::from_mins(2), "no checkpoint of step {step}");
        thread::sleep(Duration::from_millis(1));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(!run.join("result.json").exists(), "the training was over before it was killed");
}

/// The step of the last checkpoint; none while there is none or it is being replaced.
fn last_step(run: &Path) -> Option<u64> {
    let bytes = fs::read(run.join("checkpoints/last/checkpoint.json")).ok()?;
    let manifest: Value = serde_json::from_slice(&bytes).ok()?;
    manifest["content"]["step"].as_u64()
}

#[track_caller]
fn assert_same_run(expected: &Path, found: &Path) {
    for name in WEIGHTS {
        let [expected, found] = [expected, found].map(|run| fs::read(run.join(name)).unwrap());
        assert!(expected == found, "{name} differs");
    }
    let [expected, found] = [expected, found].map(|run| fs::read_to_string(run.join("metrics.jsonl")).unwrap());
    assert_eq!(expected, found);
}
