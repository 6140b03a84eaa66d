//! Adult from UCI's text, from ARFF and from Parquet: the same ids, labels and trained bits; and UCI's two files as they are.

use std::{fs, io::Read, path::Path};

use flate2::read::GzDecoder;
use secn::{
    config::Config,
    features::{Cache, prepare},
};

use crate::experiment::{Experiment, SECN, json, shared_data};

/// UCI's training part, which is ARFF's; Parquet has the test part's rows before it.
const ROWS: usize = 32_561;
const TEST_ROWS: usize = 16_281;

/// The three names in which the files differ.
struct Names {
    education: &'static str,
    sex: &'static str,
    label: &'static str,
}

const UCI: Names = Names { education: "education-num", sex: "sex", label: "class" };
const WIDEDEEP: Names = Names { education: "educational-num", sex: "gender", label: "income" };

/// A config of one file; `rest` stands in `[data]`.
fn config(experiment: &Experiment, format: &str, path: &Path, names: &Names, rest: &str) -> String {
    let Names { education, sex: _, label } = names;
    let cache = experiment.path("cache");
    let numbers: String = ["age", "fnlwgt", education, "capital-gain", "capital-loss", "hours-per-week"]
        .map(|name| format!("{name} = {{ numeric = \"quantile:20\" }}\n"))
        .concat();
    format!(
        "[data]\nformat = \"{format}\"\ntrain = [{path:?}]\nlabel = \"{label}\"\npositive = \">50K\"\nmissing = [\"?\"]\n\
         cache = {cache:?}\n{rest}[features.fields]\n{numbers}{SECN}[embedding]\ndim = 4\n[training]\nbatch_size = 512\n\
         device = \"cpu\"\n"
    )
}

/// The text of one of UCI's files.
fn unpacked(path: &Path) -> String {
    let mut text = String::new();
    GzDecoder::new(fs::File::open(path).unwrap()).read_to_string(&mut text).unwrap();
    text
}

/// Each row's ids and label.
fn rows(cache: &Cache) -> Vec<(Vec<u32>, u8)> {
    (0..cache.rows()).map(|row| (cache.ids(row).to_vec(), cache.label(row))).collect()
}

/// UCI's rows as a plain table: without blanks, the title, the dots behind the test part's labels, and `?`.
fn cleaned(text: &str) -> String {
    let row = |line: &str| {
        let cells: Vec<&str> = line.split(',').map(str::trim).map(|cell| if cell == "?" { "" } else { cell }).collect();
        cells.join(",").trim_end_matches('.').to_owned() + "\n"
    };
    text.lines().filter(|line| !line.is_empty() && !line.starts_with('|')).map(row).collect()
}

#[test]
fn ucis_two_files_as_they_are_give_the_ids_and_labels_of_a_cleaned_table() {
    let Some(shared) = shared_data() else { return };
    let experiment = Experiment::new(SECN);
    let raw = ["train", "test"].map(|part| {
        let name = if part == "train" { "adult.data.gz" } else { "adult.test.gz" };
        shared.join("adult-uci").join(name)
    });
    let clean = ["train.csv", "test.csv"].map(|name| experiment.path(name));
    raw.iter().zip(&clean).for_each(|(raw, clean)| fs::write(clean, cleaned(&unpacked(raw))).unwrap());
    let as_they_are =
        "positive = [\">50K\", \">50K.\"]\nnegative = [\"<=50K\", \"<=50K.\"]\ncomment = \"|\"\nmissing = [\"?\"]\n";
    let parts = [(raw, as_they_are), (clean, "positive = \">50K\"\n")].map(|([train, test], keys)| {
        let cache = experiment.path("cache");
        let config = format!(
            "[data]\nformat = \"csv\"\ncolumns = 15\nlabel = 14\ntrain = [{train:?}]\ntest = [{test:?}]\ncache = {cache:?}\n{keys}{SECN}"
        );
        let config = Config::load(&experiment.write("config.toml", &config), &[]).unwrap();
        let prepared = prepare(&config.data, &config.features, config.split_seed(), &mut |_| ()).unwrap();
        [rows(&prepared.train), rows(&prepared.test.unwrap())]
    });
    let positives = |rows: &[(Vec<u32>, u8)]| rows.iter().filter(|(_, label)| *label == 1).count();
    let [train, test] = &parts[0];
    assert_eq!([(train.len(), positives(train)), (test.len(), positives(test))], [(ROWS, 7_841), (TEST_ROWS, 3_846)]);
    assert!(parts[0] == parts[1], "ids or labels differ");
}

#[test]
fn text_arff_and_parquet_give_the_same_bits() {
    let Some(shared) = shared_data() else { return };
    let experiment = Experiment::new(SECN);
    let uci = experiment.write("adult.data", &unpacked(&shared.join("adult-uci/adult.data.gz")));
    let columns = format!(
        "columns = [\"age\", \"workclass\", \"fnlwgt\", \"education\", \"education-num\", \"marital-status\", \"occupation\", \
         \"relationship\", \"race\", \"{}\", \"capital-gain\", \"capital-loss\", \"hours-per-week\", \"native-country\", \
         \"class\"]\n",
        UCI.sex
    );
    // the test part's rows are set aside, so that Parquet's training rows are UCI's
    let numbers: Vec<String> = (0..TEST_ROWS).map(|row| row.to_string()).collect();
    let aside = experiment.write("aside.txt", &numbers.join("\n"));
    let aside = format!("validation = {{ rows = {aside:?} }}\n");
    let arff = shared.join("adult-arff/adult.arff.gz");
    let parquet = shared.join("parquet/adult.brotli.parquet");
    let texts = [
        config(&experiment, "csv", &uci, &UCI, &columns),
        config(&experiment, "arff", &arff, &UCI, ""),
        config(&experiment, "parquet", &parquet, &WIDEDEEP, &aside),
    ];
    let mut found = Vec::new();
    let mut weights = Vec::new();
    for (number, text) in texts.iter().enumerate() {
        let path = experiment.write("config.toml", text);
        let config = Config::load(&path, &[]).unwrap();
        let prepared = prepare(&config.data, &config.features, config.split_seed(), &mut |_| ()).unwrap();
        found.push(rows(&prepared.train));
        let run = format!("run-{number}");
        json(&mut experiment.train(&run));
        let files = ["dense.safetensors", "table.safetensors"];
        weights.push(files.map(|file| fs::read(experiment.path(&run).join("checkpoints/last").join(file)).unwrap()));
    }
    assert_eq!(found[0].len(), ROWS);
    assert_eq!(found[0].iter().filter(|(_, label)| *label == 1).count(), 7_841);
    for number in 1..found.len() {
        assert!(found[number] == found[0], "ids or labels of config {number} differ");
        assert!(weights[number] == weights[0], "weights of config {number} differ");
    }
}
