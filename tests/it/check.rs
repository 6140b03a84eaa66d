//! The data doctor on files of each kind: what it finds, and that its config trains.

use std::fs;

use serde_json::Value;

use crate::experiment::{Experiment, FM, assert_has, failure, json, sample, secn, stdout};

const FAILED: i32 = 1;

fn check(experiment: &Experiment, name: &str, text: &str) -> Value {
    let path = experiment.write(name, text);
    json(secn(&["check", "--json"]).arg("--data").arg(path))
}

/// The config that it prints trains on the file.
fn assert_trains(experiment: &Experiment, found: &Value) {
    let config = experiment.write("started.toml", found["config"].as_str().unwrap());
    let mut command = secn(&["train", "--json", "--device", "cpu", "--set", "training.epochs=1"]);
    command.arg("--config").arg(config).arg("--run").arg(experiment.path("started"));
    command.arg("--set").arg(format!("data.cache={:?}", experiment.path("cache")));
    let trained = json(&mut command);
    let rows = trained["rows"]["train"].as_u64().unwrap() + trained["rows"]["validation"].as_u64().unwrap();
    assert_eq!(rows, found["rows"].as_u64().unwrap());
    fs::remove_dir_all(experiment.path("started")).unwrap();
}

fn rows(separator: &str, header: bool, label: [&str; 2]) -> String {
    let mut lines = vec![["clicked", "user", "price", "city"].join(separator)];
    for row in 0..300_u64 {
        let user = format!("u{}", secn::seed::mix(row, 1) % 40);
        let price = format!("{}.5", secn::seed::mix(row, 2) % 50);
        let label = label[usize::from(secn::seed::mix(row, 3).is_multiple_of(4))];
        lines.push([label, &user, &price, ["Bonn", "Rom"][usize::from(row % 3 == 0)]].join(separator));
    }
    lines[usize::from(!header)..].join("\n") + "\n"
}

#[test]
fn tables_of_every_separator_are_known_with_their_label() {
    let experiment = Experiment::new(FM);
    for (name, separator, header, label, lines) in [
        ("a.csv", ",", true, ["0", "1"], "format = \"csv\"\nlabel = \"clicked\"\n"),
        ("b.tsv", "\t", true, ["0", "1"], "format = \"tsv\"\nlabel = \"clicked\"\n"),
        ("c.csv", ";", true, ["no", "yes"], "format = \"csv\"\nseparator = \";\"\nlabel = \"clicked\"\n"),
        ("d.txt", "|", false, ["0", "1"], "columns = [\"c0\", \"c1\", \"c2\", \"c3\"]\nlabel = \"c0\"\n"),
        ("e.csv", ",", true, ["low", "top"], "label = \"clicked\"\npositive = \"top\"\n"),
    ] {
        let found = check(&experiment, name, &rows(separator, header, label));
        assert_eq!(found["rows"], 300, "{name}");
        assert!(found["config"].as_str().unwrap().contains(lines), "{name}: {}", found["config"]);
        assert!(found["config"].as_str().unwrap().contains("numeric = \"quantile:32\""), "{name}");
        assert_trains(&experiment, &found);
    }
}

#[test]
fn formats_are_known_by_their_first_lines() {
    let experiment = Experiment::new(FM);
    let found = check(&experiment, "criteo.txt", &sample("train.txt.gz", 300));
    assert_eq!((found["format"].as_str(), found["rows"].as_u64()), (Some("criteo"), Some(300)));
    assert_trains(&experiment, &found);
    let found = check(&experiment, "a.svm", &"1 3:1 7:1\n0 4:1 7:1\n".repeat(60));
    assert_eq!(found["format"], "libsvm");
    let found = check(&experiment, "a.ffm", &"1 0:3:1 1:7:1\n0 0:4:1 1:7:1\n".repeat(60));
    assert_eq!(found["format"], "libffm");
    assert_trains(&experiment, &found);
    let head = "@relation a\n@attribute x {p,q}\n@attribute z real\n@attribute class {0,1}\n@data\n";
    let found = check(&experiment, "a.arff", &format!("{head}{}", "p,1.5,1\nq,2,0\np,?,0\n".repeat(50)));
    assert_eq!((found["format"].as_str(), found["estimates"]["vocabulary"].as_u64()), (Some("arff"), Some(8)));
    assert_trains(&experiment, &found);
}

/// 60 fields of 10,000 values, each seen twice, are 600,000 ids with 60 vectors of 4 numbers and as many moments beside them: 1.2 GB.
#[test]
fn the_config_to_start_from_has_no_vectors_for_partners_where_they_would_fill_the_memory() {
    let experiment = Experiment::new(FM);
    let starts = |fields: usize, rows: usize, before: &str| {
        let names: Vec<String> = (0..fields).map(|field| format!("f{field}")).collect();
        let names = names.join(",");
        let row = |row: usize| format!("{}{}\n", row % 2, format!(",{before}{}", row / 2).repeat(fields));
        let found =
            check(&experiment, "wide.csv", &format!("click,{names}\n{}", (0..rows).map(row).collect::<String>()));
        let config = found["config"].as_str().unwrap();
        assert!(config.contains("\n[embedding]\ndim = 16\n"), "{config}");
        !config.contains("\npartner_dim = 0\n")
    };
    assert!(!starts(60, 20_000, "v"), "many ids");
    assert!(starts(60, 20_000, ""), "numbers, in 32 buckets a field");
    assert!(!starts(65, 100, "v"), "many fields");
    assert!(starts(3, 800, "v"), "few of both");
}

#[test]
fn what_is_wrong_is_said_with_its_place_and_what_to_do() {
    let experiment = Experiment::new(FM);
    let text = rows(",", true, ["0", "1"]).replacen("\n0,u", "\n2,u", 1);
    let path = experiment.write("bad.csv", &text);
    let output = secn(&["check", "--json", "--data"]).arg(&path).output().unwrap();
    assert_eq!(output.status.code(), Some(FAILED));
    assert_has(&String::from_utf8_lossy(&output.stderr), &["can't be trained on"]);
    let found: Value = serde_json::from_slice(&output.stdout).unwrap();
    let problem = &found["problems"][0];
    assert!(problem["what"].as_str().unwrap().contains("expected 0 or 1, found `2`"), "{found}");
    assert!(problem["what"].as_str().unwrap().contains("bad.csv:") && problem["todo"].is_string());
    assert_eq!((found["bad_rows"].as_u64(), found["rows"].as_u64()), (Some(1), Some(299)));

    let mut lines: Vec<String> = rows(",", true, ["0", "1"]).lines().map(str::to_owned).collect();
    for (number, line) in lines.iter_mut().enumerate() {
        let label = line.split(',').next().unwrap().to_owned();
        *line =
            if number == 0 { format!("{line},id,leak,empty,same") } else { format!("{line},row{number},{label},,x") };
    }
    lines.insert(5, String::new());
    let found = check(&experiment, "odd.csv", &(lines.join("\n") + "\n"));
    let problems = found["problems"].to_string();
    for part in [
        "odd.csv:6: a blank line",
        "`id` has another value in every row",
        "`leak` says the same as the label",
        "`empty` is empty in all rows",
        "`same` has the same value in all rows",
    ] {
        assert!(problems.contains(part), "{part}: {problems}");
    }
}

#[test]
fn a_name_of_the_row_is_left_out_and_an_amount_with_a_fraction_is_not() {
    let experiment = Experiment::new(FM);
    let row = |row: usize| format!("{row},{}.{:03},user{row},{}\n", row % 7, row, row % 3 % 2);
    let rows: String = (101..400).map(row).collect();
    let found = check(&experiment, "names.csv", &format!("id,score,user,label\n{rows}"));
    let config: toml::Table = found["config"].as_str().unwrap().parse().unwrap();
    assert_eq!(config["data"]["drop"].to_string(), r#"["id", "user"]"#, "{config}");
    assert_eq!(config["features"]["fields"].as_table().unwrap().keys().collect::<Vec<_>>(), ["score"], "{config}");
    let path = experiment.write("proposed.toml", found["config"].as_str().unwrap());
    let output = secn(&["check", "--json", "--config"]).arg(path).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn a_configs_own_rows_are_checked() {
    let experiment = Experiment::new(FM);
    let mut command = secn(&["check", "--json", "--config"]);
    let found = json(command.arg(experiment.path("config.toml")));
    assert_eq!((found["format"].as_str(), found["rows"].as_u64()), (Some("criteo"), Some(2_000)));
    assert_eq!(found["config"], Value::Null);
    let trained = json(experiment.train("run").args(["--set", "data.validation=none"]));
    // the estimate is of all rows, and exact where numbers have their default
    assert_eq!(found["estimates"]["vocabulary"], trained["vocabulary"]);
    let text = stdout(secn(&["check", "--config"]).arg(experiment.path("config.toml")));
    assert_has(&text, &["vocabulary  ", "table       ", "No problem was found."]);
}

#[test]
fn what_can_not_be_guessed_is_said() {
    let experiment = Experiment::new(FM);
    let none = experiment.write("none.csv", &format!("a,b\n{}", "1,x\n2,y\n3,z\n".repeat(30)));
    let message = failure(secn(&["check", "--data"]).arg(none), FAILED);
    assert_has(&message, &["no column has two values", "expected a column `label`", "hint: "]);
    // an index that was written beside the table has no name
    let numbered: Vec<String> = rows(",", true, ["0", "1"])
        .lines()
        .enumerate()
        .map(|(number, row)| if number == 0 { format!(",{row}") } else { format!("{number},{row}") })
        .collect();
    let found = check(&experiment, "numbered.csv", &(numbered.join("\n") + "\n"));
    assert_eq!((found["rows"].as_u64(), found["bad_rows"].as_u64()), (Some(300), Some(0)));
    assert!(found["config"].as_str().unwrap().contains("label = \"clicked\""), "{found}");
}

#[test]
fn a_first_line_that_may_be_a_header_or_a_row_is_told_of() {
    let experiment = Experiment::new(FM);
    let numbers = |first: &str| {
        let row = |row: u64| format!("{},{},{}\n", row % 2, secn::seed::mix(row, 1) % 9, secn::seed::mix(row, 2) % 7);
        format!("{first}\n{}", (0..300).map(row).collect::<String>())
    };
    for (name, first, rows, note) in [
        (
            "counted.csv",
            "0,1,2",
            300,
            "the first line counts up and was taken for the header; if it is a row, `data.columns = 3`",
        ),
        ("mixed.csv", "click,101,102", 300, "taken for the header, though 2 of its 3 names are numbers"),
        (
            "row.csv",
            "1,8,3",
            301,
            "holds numbers alone and was taken for a row; if it names the columns, leave `data.columns`",
        ),
    ] {
        let found = check(&experiment, name, &numbers(first));
        assert_eq!((found["rows"].as_u64(), found["bad_rows"].as_u64()), (Some(rows), Some(0)), "{name}: {found}");
        assert_has(&found["problems"].to_string(), &[note]);
        assert_trains(&experiment, &found);
    }
    let found = check(&experiment, "named.csv", &numbers("click,a,b"));
    assert!(!found["problems"].to_string().contains("first line"), "{found}");
}

#[test]
fn criteo_without_its_label_is_not_given_another_one() {
    let experiment = Experiment::new(FM);
    let rows = sample("train.txt.gz", 300);
    let unlabelled: Vec<&str> = rows.lines().map(|line| line.split_once('\t').unwrap().1).collect();
    let tabs = unlabelled.join("\n") + "\n";
    let names = (1..=13).map(|number| format!("I{number}")).chain((1..=26).map(|number| format!("C{number}")));
    let header = names.collect::<Vec<_>>().join(",");
    let commas = tabs.replace('\t', ",");
    for (name, text) in [
        ("tabs.txt", tabs.clone()),
        // the first integer is missing in many rows
        ("empty.txt", format!("\t{}", tabs.split_once('\t').unwrap().1)),
        ("commas.csv", commas.clone()),
        ("header.csv", format!("{header}\n{commas}")),
        ("header.tsv", format!("{}\n{tabs}", header.replace(',', "\t"))),
    ] {
        let path = experiment.write(name, &text);
        let message = failure(secn(&["check", "--data"]).arg(path), FAILED);
        assert_has(&message, &["cannot check the rows: the label is missing: the columns are Criteo's", "hint: "]);
    }
}

/// 200 rows of a label and an amount, whose row 41 has `amount` instead.
fn amounts(amount: &str) -> String {
    let number = |row: u64| if row == 41 { amount.to_owned() } else { (row * 7 % 61).to_string() };
    (0..200).fold("y,amount\n".to_owned(), |text, row| text + &format!("{},{}\n", row % 3 / 2, number(row)))
}

#[test]
fn numbers_that_training_refuses_are_found_under_the_configs_own_fields() {
    let experiment = Experiment::new(FM);
    for (amount, expected) in [("inf", "a finite number"), ("1e400", "a finite number"), ("NA", "a number")] {
        let path = experiment.write("amounts.csv", &amounts(amount));
        let config = format!(
            "[data]\nformat = \"csv\"\ntrain = [{path:?}]\nlabel = \"y\"\n[features.fields]\namount = {{ numeric = \"quantile:8\" }}\n[model.lr]\n"
        );
        let config = experiment.write("amounts.toml", &config);
        let output = secn(&["check", "--config"]).arg(config).output().unwrap();
        assert_eq!(output.status.code(), Some(FAILED), "{amount}");
        let text = String::from_utf8(output.stdout).unwrap();
        assert_has(&text, &[":43, field `amount`", expected, &format!("found `{amount}`")]);
    }
}

#[test]
fn a_text_among_numbers_is_told_of_and_a_label_by_its_values_alone_is_a_guess() {
    let experiment = Experiment::new(FM);
    let found = check(&experiment, "a.csv", &amounts("NA"));
    assert_has(
        &found["problems"].to_string(),
        &["`amount` has numbers, but for texts as `NA`", "data.missing = [\\\"NA\\\"]"],
    );
    assert!(!found["config"].as_str().unwrap().contains("quantile"));
    let third = amounts("5").replacen("\n0,", "\nmaybe,", 1).replace("\n0,", "\nlow,").replace("\n1,", "\ntop,");
    let third = third
        .lines()
        .enumerate()
        .map(|(row, line)| format!("{line},{}\n", if row == 0 { "flag" } else { ["no", "yes"][row % 2] }));
    let found = check(&experiment, "b.csv", &third.collect::<String>());
    let problems = found["problems"].to_string();
    assert_has(&problems, &["`y` has a label's name, but not two values", "`maybe`", "`flag` is taken for the label"]);
}

#[test]
fn a_key_is_set_in_a_config_alone() {
    let experiment = Experiment::new(FM);
    let path = experiment.write("a.csv", &amounts("5"));
    failure(secn(&["check", "--set", "data.label=y", "--data"]).arg(path), 2);
}

#[test]
fn a_label_of_a_known_pair_stays_the_label_where_a_row_has_a_third_value() {
    let experiment = Experiment::new(FM);
    let text = amounts("5").replacen("\n0,", "\nmaybe,", 1).replace("\n0,", "\nNo,").replace("\n1,", "\nYes,");
    let path = experiment.write("a.csv", &text);
    let output = secn(&["check", "--json", "--data"]).arg(&path).output().unwrap();
    assert_eq!(output.status.code(), Some(FAILED));
    let found: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert!(found["problems"][0]["what"].as_str().unwrap().contains("found `maybe`"), "{found}");
    assert!(found["config"].as_str().unwrap().contains("label = \"y\""), "{found}");
}
