//! Adult from UCI's text, from ARFF and from Parquet: the same ids, labels and trained bits.

use std::{fs, io::Read, path::Path};

use flate2::read::GzDecoder;
use secn::{config::Config, features::prepare};

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

#[test]
fn text_arff_and_parquet_give_the_same_bits() {
    let Some(shared) = shared_data() else { return };
    let experiment = Experiment::new(SECN);
    let mut text = String::new();
    let packed = fs::File::open(shared.join("adult-uci/adult.data.gz")).unwrap();
    GzDecoder::new(packed).read_to_string(&mut text).unwrap();
    let uci = experiment.write("adult.data", &text);
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
    let mut rows = Vec::new();
    let mut weights = Vec::new();
    for (number, text) in texts.iter().enumerate() {
        let path = experiment.write("config.toml", text);
        let config = Config::load(&path, &[]).unwrap();
        let prepared = prepare(&config.data, &config.features, config.split_seed(), &mut |_| ()).unwrap();
        let train = &prepared.train;
        rows.push((0..train.rows()).map(|row| (train.ids(row).to_vec(), train.label(row))).collect::<Vec<_>>());
        let run = format!("run-{number}");
        json(&mut experiment.train(&run));
        let files = ["dense.safetensors", "table.safetensors"];
        weights.push(files.map(|file| fs::read(experiment.path(&run).join("checkpoints/last").join(file)).unwrap()));
    }
    assert_eq!(rows[0].len(), ROWS);
    assert_eq!(rows[0].iter().filter(|(_, label)| *label == 1).count(), 7_841);
    for number in 1..rows.len() {
        assert!(rows[number] == rows[0], "ids or labels of config {number} differ");
        assert!(weights[number] == weights[0], "weights of config {number} differ");
    }
}
