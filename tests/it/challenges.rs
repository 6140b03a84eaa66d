//! The formats of challenges, `automl` and `avazu`: sets made here, from their files to predictions.

use std::{fmt::Write as _, fs};

use serde_json::Value;

use crate::experiment::{Experiment, FM, SECN, assert_has, failure, json, stdout};

const FAILED: i32 = 1;
const ROWS: u64 = 1_000;

fn bits(row: u64, column: u64) -> u64 {
    secn::seed::mix(row, column)
}

/// A label that follows from three of the features.
fn label(row: u64) -> u64 {
    u64::from(bits(row, 0) % 9 + bits(row, 1) % 9 > 8 && bits(row, 2) % 24 < 20)
}

/// Rows as of AutoML3: a time, a number, a category, one of several values, a number that is missing now and then.
fn automl_row(row: u64) -> String {
    let seconds = 1_413_849_600 + 3600 * (bits(row, 2) % 24);
    let missing = if bits(row, 3).is_multiple_of(7) { "NaN".into() } else { (bits(row, 3) % 100).to_string() };
    format!(
        "{seconds} {}.0 {} {},t{} {missing} \n",
        bits(row, 0) % 9,
        bits(row, 1) % 9,
        bits(row, 4) % 5,
        bits(row, 5) % 3
    )
}

fn automl(name: &str, rows: std::ops::Range<u64>, experiment: &Experiment) {
    let labels: Vec<String> = rows.clone().map(|row| format!("{}\n", label(row))).collect();
    let labels = labels.concat();
    experiment.write(&format!("{name}.data"), &rows.map(automl_row).collect::<String>());
    experiment.write(&format!("{name}.solution"), &labels);
}

/// A config of the set's parts, whose training rows stand in two.
fn automl_experiment(model: &str) -> Experiment {
    let experiment = Experiment::new(model);
    experiment
        .write("shop_public.info", "task = 'binary.classification'\nfeat_num =   5\nis_sparse =  0\ntrain_num = 7");
    experiment.write("shop_feat.type", "Time\nNumerical\nCategorical\nMulti-value\nNumerical\n");
    automl("shop_train1", 0..ROWS / 2, &experiment);
    automl("shop_train2", ROWS / 2..ROWS, &experiment);
    automl("shop_test", ROWS..2 * ROWS, &experiment);
    configure(&experiment, model, "automl", ["shop_train.data", "shop_test.data"]);
    experiment
}

fn configure(experiment: &Experiment, model: &str, format: &str, files: [&str; 2]) {
    let [train, test, cache] = [files[0], files[1], "cache"].map(|name| experiment.path(name));
    let config = format!(
        "[data]\nformat = \"{format}\"\ntrain = [{train:?}]\ntest = [{test:?}]\nvalidation = 0.1\ncache = {cache:?}\n{model}\
         [embedding]\ndim = 8\n[training]\nbatch_size = 64\nepochs = 8\ndevice = \"cpu\"\n"
    );
    experiment.write("config.toml", &config);
}

fn auc(trained: &Value) -> f64 {
    trained["test"]["auc"].as_f64().unwrap()
}

#[test]
fn a_set_of_automl_trains_evaluates_and_predicts_alike() {
    let experiment = automl_experiment(SECN);
    let trained = json(&mut experiment.train("run"));
    // hour, weekday and weekend of the time, and four others
    assert_eq!(trained["fields"], 7, "{trained}");
    let rows = |part: &str| trained["rows"][part].as_u64().unwrap();
    assert_eq!((rows("train") + rows("validation"), rows("test")), (ROWS, ROWS));
    assert!(auc(&trained) > 0.9, "{trained}");
    assert_eq!(json(&mut experiment.eval("run"))["metrics"], trained["test"]);
    let labelled = stdout(&mut experiment.predict("run", &experiment.path("shop_test.data")));
    assert_eq!(labelled.lines().count() as u64, ROWS + 1);
    // neither the labels nor the info are needed to score rows
    for name in ["shop_test.solution", "shop_public.info", "shop_feat.type"] {
        fs::remove_file(experiment.path(name)).unwrap();
    }
    assert_eq!(stdout(&mut experiment.predict("run", &experiment.path("shop_test.data"))), labelled);
    let message = failure(&mut experiment.eval("run"), FAILED);
    assert_has(&message, &["shop_test.data: expected its labels in a solution beside it"]);
}

#[test]
fn prepared_rows_are_not_used_when_a_solution_or_a_type_changed() {
    let experiment = automl_experiment(FM);
    let first = json(&mut experiment.train("first"));
    assert_eq!(json(&mut experiment.train("again"))["prepare"]["cached"], true);
    let turned: Vec<String> = (ROWS..2 * ROWS).map(|row| format!("{}\n", 1 - label(row))).collect();
    let turned = turned.concat();
    experiment.write("shop_test.solution", &turned);
    let second = json(&mut experiment.train("second"));
    assert_eq!(second["prepare"]["cached"], false);
    assert!((auc(&first) + auc(&second) - 1.0).abs() < 1e-9, "{} {}", auc(&first), auc(&second));
    experiment.write("shop_feat.type", "Numerical\nNumerical\nCategorical\nMulti-value\nNumerical\n");
    let third = json(&mut experiment.train("third"));
    assert_eq!((&third["prepare"]["cached"], &third["fields"]), (&Value::Bool(false), &Value::from(5)));
}

#[test]
fn sparse_rows_of_many_features_train_as_one_field() {
    let experiment = Experiment::new(FM);
    experiment.write("words_public.info", "task = 'binary.classification'\nfeat_num = 50000\nis_sparse = 1\n");
    for (part, first) in [("train", 0), ("test", ROWS)] {
        let (mut rows, mut labels) = (String::new(), String::new());
        for row in first..first + ROWS {
            let words = 1 + bits(row, 0) % 6;
            for word in 0..words {
                write!(rows, "{} ", 1 + word * 8_000 + bits(row, 1 + word) % 20).unwrap();
            }
            rows.push('\n');
            writeln!(labels, "{}", u8::from(bits(row, 1) % 20 < 8)).unwrap();
        }
        experiment.write(&format!("words_{part}.data"), &rows);
        experiment.write(&format!("words_{part}.solution"), &labels);
    }
    configure(&experiment, FM, "automl", ["words_train.data", "words_test.data"]);
    let trained = json(&mut experiment.train("run"));
    assert_eq!(trained["fields"], 1);
    assert!(auc(&trained) > 0.95, "{trained}");
}

#[test]
fn a_task_that_is_not_binary_is_refused_with_what_to_do() {
    let experiment = automl_experiment(FM);
    experiment.write("shop_public.info", "task = 'multilabel.classification'\ntarget_num = 2\n");
    for part in ["train1", "train2", "test"] {
        let path = experiment.path(&format!("shop_{part}.solution"));
        let labels = fs::read_to_string(&path).unwrap();
        fs::write(&path, labels.replace("1\n", "1 0\n").replace("0\n", "0 1\n").replace("1 0 1\n", "1 0\n")).unwrap();
    }
    let message = failure(&mut experiment.train("run"), FAILED);
    let expected = "shop_public.info:1: expected the task `binary.classification`, found `multilabel.classification`";
    assert_has(&message, &[expected, "hint: `data.label = 0`"]);
    let trained = json(experiment.train("run").args(["--set", "data.label=0"]));
    assert!(auc(&trained) > 0.8, "{trained}");
}

const AVAZU_HEADER: &str = "id,click,hour,C1,banner_pos,site_id,site_domain,site_category,app_id,app_domain,app_category,\
    device_id,device_ip,device_model,device_type,device_conn_type,C14,C15,C16,C17,C18,C19,C20,C21";

fn avazu_rows(first: u64) -> String {
    let mut text = format!("{AVAZU_HEADER}\n");
    for row in first..first + ROWS {
        let (hour, site) = (bits(row, 0) % 24, bits(row, 1) % 12);
        let click = u8::from(hour < 12 && site < 8);
        write!(text, "{},{click},141021{hour:02},1005,0,{site:08x}", 10_000_000_000_000_000_000 + row).unwrap();
        (2..20).for_each(|column| write!(text, ",{}", bits(row, column) % 3).unwrap());
        text.push('\n');
    }
    text
}

#[test]
fn a_log_of_avazu_trains_on_the_parts_of_its_hour_and_not_on_its_id() {
    let experiment = Experiment::new(FM);
    experiment.write("train.csv", &avazu_rows(0));
    let test = avazu_rows(ROWS);
    experiment.write("test.csv", &test);
    configure(&experiment, FM, "avazu", ["train.csv", "test.csv"]);
    let trained = json(&mut experiment.train("run"));
    // 21 categories, and hour, weekday and weekend
    assert_eq!(trained["fields"], 24, "{trained}");
    assert!(auc(&trained) > 0.95, "{trained}");
    let schema = fs::read_to_string(experiment.path("run").join("schema.json")).unwrap();
    assert_has(&schema, &["\"hour(hour)\"", "\"weekday(hour)\"", "\"weekend(hour)\""]);
    assert!(!schema.contains("\"id\""), "{schema}");
    assert_eq!(json(&mut experiment.eval("run"))["metrics"], trained["test"]);
    // the competition's file to be scored has no click
    let unlabelled: String = test
        .lines()
        .map(|line| {
            line.split(',').enumerate().filter(|(column, _)| *column != 1).map(|(_, cell)| cell).collect::<Vec<_>>()
        })
        .map(|cells| cells.join(",") + "\n")
        .collect();
    let path = experiment.write("unlabelled.csv", &unlabelled);
    let kept = stdout(experiment.predict("run", &path).args(["--keep", "id"]));
    let mut lines = kept.lines();
    assert_eq!(lines.next(), Some("id,probability"));
    assert!(lines.next().unwrap().starts_with("10000000000000001000,"));
    let labelled = stdout(experiment.predict("run", &experiment.path("test.csv")).args(["--keep", "id"]));
    assert_eq!(labelled, kept);
}
