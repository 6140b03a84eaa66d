//! Every folder of the shared data: what is binary loads with a short config, all else is refused with its place.

mod table;

use std::{collections::BTreeSet, fs, path::PathBuf};

use serde_json::Value;
use tempfile::TempDir;

use crate::experiment::{assert_has, failure, json, secn, shared_data, skipped};
use table::{REFUSED, Refused, SETS, Set};

const FAILED: i32 = 1;

/// The folder of this name, if it is there.
fn folder(name: &str) -> Option<PathBuf> {
    let folder = shared_data()?.join(name);
    if !folder.is_dir() {
        skipped(&folder.display().to_string());
        return None;
    }
    Some(folder)
}

/// Writes a config whose `[data]` is `keys` and `files`, and returns the command that trains on it for an epoch.
fn train(place: &TempDir, keys: &str, files: &str) -> assert_cmd::Command {
    // keys of other tables stand behind those of `[data]`
    let (data, tables) = keys.find("\n[").map_or((keys, ""), |end| keys.split_at(end));
    let cache = place.path().join("cache");
    let rest = "[model.lr]\n[training]\nbatch_size = 4096\ndevice = \"cpu\"\n";
    let config = place.path().join("config.toml");
    fs::write(&config, format!("[data]\n{data}\n{files}cache = {cache:?}\n{tables}\n{rest}")).unwrap();
    let mut command = secn(&["train", "--json", "--config"]);
    command.arg(config).arg("--run").arg(place.path().join("run"));
    command
}

/// Trains on the set, which is its own validation part, so that the share of its labels is told.
fn load(set: &Set) {
    let Some(folder) = folder(set.folder) else { return };
    let place = tempfile::tempdir().unwrap();
    let path = folder.join(set.train);
    let test = set.test.map(|(test, _)| format!("test = [{:?}]\n", folder.join(test)));
    let files = format!("train = [{path:?}]\nvalidation = [{path:?}]\n{}", test.unwrap_or_default());
    let trained = json(&mut train(&place, set.config, &files));
    let name = format!("{}/{}", set.folder, set.train);
    assert_eq!(trained["fields"], set.fields, "{name}: fields");
    assert_eq!(trained["rows"]["train"], set.rows[0], "{name}: training rows");
    assert_part(&trained, "validation", &trained["epochs"][0]["validation"], set.rows, &name);
    if let Some((test, rows)) = set.test {
        assert_part(&trained, "test", &trained["test"], rows, &format!("{}/{test}", set.folder));
    }
}

/// Asserts how many rows a part has, and how many of them have the label 1.
#[track_caller]
fn assert_part(trained: &Value, part: &str, metrics: &Value, [rows, positives]: [u64; 2], name: &str) {
    assert_eq!(trained["rows"][part], rows, "{name}: rows");
    let found = metrics["click_rate"].as_f64().unwrap() * rows as f64;
    assert!((found - positives as f64).abs() < 1e-3, "{name}: expected {positives} labels of 1, found {found}");
}

fn refuse(refused: &Refused) {
    let Some(folder) = folder(refused.folder) else { return };
    let place = tempfile::tempdir().unwrap();
    let files = format!("train = [{:?}]\n", folder.join(refused.train));
    let message = failure(&mut train(&place, refused.config, &files), FAILED);
    assert_has(&message, refused.message);
}

#[test]
fn every_binary_folder_loads_with_a_short_config() {
    // two at a time
    let (first, second) = SETS.split_at(SETS.len() / 2);
    std::thread::scope(|scope| {
        scope.spawn(|| first.iter().for_each(load));
        second.iter().for_each(load);
    });
}

#[test]
fn every_folder_that_is_not_binary_is_refused_with_its_place() {
    REFUSED.iter().for_each(refuse);
}

#[test]
fn the_rows_of_a_published_split_validate() {
    let Some(folder) = folder("amazon-employee-access") else { return };
    let place = tempfile::tempdir().unwrap();
    let files = format!(
        "train = [{:?}]\nvalidation = {{ rows = {:?} }}\n",
        folder.join("train.csv.gz"),
        folder.join("stratified_test_idx.txt.gz")
    );
    let trained = json(&mut train(&place, "format = \"csv\"\nlabel = \"ACTION\"", &files));
    assert_eq!(trained["rows"]["train"], 26_215);
    assert_part(&trained, "validation", &trained["epochs"][0]["validation"], [6_554, 6_174], "the split");
}

#[test]
fn every_folder_that_is_there_is_known() {
    let Some(shared) = shared_data() else { return };
    let known: BTreeSet<&str> =
        SETS.iter().map(|set| set.folder).chain(REFUSED.iter().map(|refused| refused.folder)).collect();
    let entries = fs::read_dir(shared).unwrap().map(Result::unwrap).filter(|entry| entry.path().is_dir());
    let names: Vec<String> = entries.map(|entry| entry.file_name().into_string().unwrap()).collect();
    let unknown: Vec<&String> = names.iter().filter(|name| !known.contains(name.as_str())).collect();
    assert!(unknown.is_empty(), "folders without a line in tests/it/folders/table.rs: {unknown:?}");
}
