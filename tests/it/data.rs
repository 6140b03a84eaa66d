//! What `[data]` and `[features]` can say of a table: labels, weights, several values, times, numbers; from text to predictions.

use std::fmt::Write as _;

use serde_json::Value;

use crate::experiment::{Experiment, FM, SECN, assert_has, failure, json, stdout};

const FAILED: i32 = 1;
const ROWS: u64 = 1_200;

/// Rows of a shop: the rating follows from the tags and the hour, the weight is 0 for rows whose rating is upside down.
fn shop(ratings: [&str; 2], has_label: bool) -> String {
    let mut text = String::from(if has_label { "rating,weight," } else { "" });
    text.push_str("user,tags,price,seen\n");
    for number in 0..ROWS {
        let bits = |column: u64| secn::seed::mix(number, column);
        let (user, tag, hour) = (bits(0) % 40, bits(1) % 6, bits(2) % 24);
        let second = if bits(3).is_multiple_of(3) { String::new() } else { format!("|t{}", bits(3) % 6) };
        let liked = tag < 3 && !hour.is_multiple_of(4) || user < 8;
        let wrong = bits(4).is_multiple_of(10);
        if has_label {
            write!(text, "{},{},", ratings[usize::from(liked != wrong)], u8::from(!wrong)).unwrap();
        }
        let tags = if bits(5).is_multiple_of(20) { String::new() } else { format!("t{tag}{second}") };
        let price = if bits(6).is_multiple_of(9) { "NA".to_owned() } else { format!("{}.50", bits(6) % 90) };
        writeln!(text, "u{user},{tags},{price},2014-10-{:02}T{hour:02}:05:00", 1 + bits(7) % 28).unwrap();
    }
    text
}

const FEATURES: &str = "[features]\nmin_count = 1\n\
    [features.fields]\ntags = { separator = \"|\", pooling = \"mean\" }\nprice = { numeric = \"piecewise:8\" }\n\
    seen = { time = { format = \"iso\", parts = [\"hour\", \"weekday\", \"weekend\", \"day\"] } }\n";

/// A config of the shop's rows, of which the last fifth is the test part too.
fn shop_experiment(model: &str, data: &str, rows: &str) -> Experiment {
    let experiment = Experiment::new(model);
    let (header, body) = rows.split_once('\n').unwrap();
    let test = format!("{header}\n{}", last_fifth(body));
    let (train, test) = (experiment.write("shop.csv", rows), experiment.write("shop-test.csv", &test));
    let cache = experiment.path("cache");
    let config = format!(
        "[data]\nformat = \"csv\"\ntrain = [{train:?}]\ntest = [{test:?}]\ncache = {cache:?}\nmissing = [\"NA\"]\n{data}\
         {FEATURES}{model}[embedding]\ndim = 8\n[training]\nbatch_size = 64\nepochs = 3\ndevice = \"cpu\"\n"
    );
    experiment.write("config.toml", &config);
    experiment
}

fn last_fifth(rows: &str) -> String {
    let lines: Vec<&str> = rows.lines().collect();
    lines[lines.len() * 4 / 5..].join("\n") + "\n"
}

fn logloss(metrics: &Value) -> &Value {
    assert!(metrics["logloss"].is_number());
    &metrics["logloss"]
}

#[test]
fn a_table_with_everything_trains_evaluates_and_predicts_alike() {
    let data = "label = { column = \"rating\", at_least = 4 }\nweight = \"weight\"\ngroup = \"user\"\n";
    let experiment = shop_experiment(SECN, data, &shop(["2", "4.5"], true));
    let trained = json(&mut experiment.train("run"));
    // user is the group alone; tags, price, four parts of the time
    assert_eq!(trained["fields"], 6, "{trained}");
    let evaluated = json(&mut experiment.eval("run"));
    assert_eq!(evaluated["metrics"], trained["test"]);
    assert!(evaluated["metrics"]["gauc"].is_number());
    let unlabelled = experiment.write("rows.csv", &shop(["2", "4.5"], false));
    let labelled = stdout(&mut experiment.predict("run", &experiment.path("shop.csv")));
    assert_eq!(stdout(&mut experiment.predict("run", &unlabelled)), labelled);
    assert_eq!(labelled.lines().count() as u64, ROWS + 1);
}

#[test]
fn rows_without_weight_teach_nothing() {
    let weighed = shop(["0", "1"], true);
    // every label of a row that weighs nothing is turned around
    let turned: Vec<String> = weighed
        .lines()
        .map(|row| match row.as_bytes() {
            [b'0', b',', b'0', ..] => format!("1{}", &row[1..]),
            [b'1', b',', b'0', ..] => format!("0{}", &row[1..]),
            _ => row.to_owned(),
        })
        .collect();
    let data = "label = \"rating\"\nweight = \"weight\"\n";
    let predicted = [weighed, turned.join("\n") + "\n"].map(|rows| {
        let experiment = shop_experiment(SECN, data, &rows);
        json(&mut experiment.train("run"));
        stdout(&mut experiment.predict("run", &experiment.path("shop.csv")))
    });
    assert_eq!(predicted[0], predicted[1]);
    let unweighed = shop_experiment(SECN, "label = \"rating\"\ndrop = [\"weight\"]\n", &shop(["0", "1"], true));
    json(&mut unweighed.train("run"));
    assert_ne!(stdout(&mut unweighed.predict("run", &unweighed.path("shop.csv"))), predicted[0]);
}

#[test]
fn a_weight_that_is_none_is_told_with_its_line() {
    let rows = shop(["0", "1"], true).replacen(",1,", ",-1,", 1);
    let experiment = shop_experiment(FM, "label = \"rating\"\nweight = \"weight\"\n", &rows);
    assert_has(&failure(&mut experiment.train("run"), FAILED), &["shop.csv:", "`weight`", "`-1`"]);
}

#[test]
fn a_named_label_has_two_values_and_a_third_is_told_with_its_line() {
    let rows = shop(["meh", "good"], true);
    let data = "label = \"rating\"\npositive = \"good\"\ndrop = [\"weight\"]\n";
    let experiment = shop_experiment(FM, data, &rows);
    let trained = json(&mut experiment.train("run"));
    assert_eq!(json(&mut experiment.eval("run"))["metrics"]["logloss"], trained["test"]["logloss"]);
    let third = shop_experiment(FM, data, &(rows + "bad,1,u1,t1,1.50,2014-10-01T00:05:00\n"));
    let message = failure(&mut third.train("run"), FAILED);
    assert_has(&message, &[&format!("shop.csv:{}", ROWS + 2), "`good` or `meh`", "`bad`"]);
}

/// A quarter of the negatives trains as fast as it ranks, and its probabilities are corrected for what was left out.
#[test]
fn dropped_negatives_leave_the_probabilities_where_they_are() {
    let data = "label = \"rating\"\ndrop = [\"weight\"]\n";
    let experiment = shop_experiment(FM, data, &shop(["0", "1"], true));
    let all = json(&mut experiment.train("all"));
    let dropped = json(experiment.train("dropped").args(["--set", "training.negative_share=0.25"]));
    let mean = |run: &Value| run["test"]["mean_probability"].as_f64().unwrap();
    let click_rate = all["test"]["click_rate"].as_f64().unwrap();
    assert!((mean(&dropped) - click_rate).abs() < 0.06, "{} {click_rate}", mean(&dropped));
    assert!((mean(&dropped) - mean(&all)).abs() > 1e-9);
    assert_eq!(logloss(&json(&mut experiment.eval("dropped"))["metrics"]), logloss(&dropped["test"]));
}

#[test]
fn a_history_counts_the_rows_above() {
    let data = "label = \"rating\"\ndrop = [\"weight\"]\n";
    let experiment = shop_experiment(FM, data, &shop(["0", "1"], true));
    let counts = ["--set", "features.counts={ fields = [\"user\"], of = \"before\" }"];
    let trained = json(experiment.train("run").args(counts));
    assert_eq!(trained["fields"], 8);
    assert_eq!(logloss(&json(&mut experiment.eval("run"))["metrics"]), logloss(&trained["test"]));
    let several = ["--set", "features.counts={ fields = [\"tags\"] }"];
    assert_has(
        &failure(experiment.train("other").args(several), 2),
        &["features.counts.fields", "`tags`, which has several"],
    );
}

#[test]
fn a_field_may_have_a_smaller_vector() {
    let data = "label = \"rating\"\ndrop = [\"weight\"]\n";
    let experiment = shop_experiment(SECN, data, &shop(["0", "1"], true));
    let whole = json(&mut experiment.train("whole"));
    let dims = ["--set", "embedding.dims={ user = 2, tags = 8 }"];
    let narrow = json(experiment.train("narrow").args(dims));
    let parameters = |run: &Value| run["parameters"].as_u64().unwrap();
    // 40 users, missing and unknown, whose vectors of 8 numbers have 2
    assert_eq!(parameters(&whole) - parameters(&narrow), 42 * 6);
    assert_eq!(logloss(&json(&mut experiment.eval("narrow"))["metrics"]), logloss(&narrow["test"]));
    let resumed = json(experiment.train("narrow").args(dims).args(["--resume", "--set", "training.epochs=4"]));
    assert_eq!(resumed["epochs"].as_array().unwrap().len(), 4);
    let unknown = ["--set", "embedding.dims={ users = 2 }"];
    assert_has(&failure(experiment.train("other").args(unknown), 2), &["embedding.dims.users", "user, tags, price"]);
}

/// The same rows with and without a header, and with another separator.
#[test]
fn a_table_without_a_header_is_named_by_the_config() {
    let data = "label = \"rating\"\ndrop = [\"weight\"]\n";
    let rows = shop(["0", "1"], true);
    let with_header = shop_experiment(FM, data, &rows);
    let expected = json(&mut with_header.train("run"));
    let without = rows.split_once('\n').unwrap().1.replace(',', ";");
    let columns = "separator = \";\"\ncolumns = [\"rating\", \"weight\", \"user\", \"tags\", \"price\", \"seen\"]\n";
    let experiment = Experiment::new(FM);
    let path = experiment.write("rows.csv", &without);
    let test = experiment.write("test.csv", &last_fifth(&without));
    let config = std::fs::read_to_string(with_header.path("config.toml")).unwrap();
    let (train_line, test_line) = (format!("train = [{path:?}]"), format!("test = [{test:?}]"));
    let replaced: Vec<String> = config
        .lines()
        .map(|line| match line.split_once(" = ").map(|(key, _)| key) {
            Some("train") => train_line.clone(),
            Some("test") => test_line.clone(),
            Some("missing") => format!("{line}\n{columns}"),
            _ => line.to_owned(),
        })
        .collect();
    experiment.write("config.toml", &(replaced.join("\n") + "\n"));
    let found = json(&mut experiment.train("run"));
    assert_eq!(found["test"], expected["test"]);
    assert_eq!(found["vocabulary"], expected["vocabulary"]);
}
