//! Spilled counts give the same prepared data as counts in memory, and leave nothing behind.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use proptest::prelude::*;

use super::Spill;
use super::runs::{Runs, key_number};
use crate::data::DataConfig;
use crate::features::count::Met;
use crate::features::keys::{NumberMap, TextMap};
use crate::features::{FeaturesConfig, FeaturesError, MemoryLimit, PrepareEvent, prepare};
use crate::seed::Seed;

const SEED: Seed = Seed(3);

/// So many rows of texts of 8 hex digits, other texts, several values and numbers; a few of each are frequent.
fn rows(rows: u32) -> String {
    let mut text = String::from("label,hex,text,many,number,other\n");
    for row in 0..rows {
        let mixed = row.wrapping_mul(0x9E37_79B1) >> 7;
        let value = if mixed.is_multiple_of(3) { mixed % 50 } else { mixed % 30_011 };
        let missing = mixed.is_multiple_of(41);
        let cell = |text: String| if missing { String::new() } else { text };
        let (hex, word) = (format!("{value:08x}"), cell(format!("value-{}", value / 2)));
        let many = cell(format!("a{value}|b{}|{:08x}", value % 7, value / 3));
        let number = cell(format!("{}", (f64::from(value) - 9000.0) / 8.0));
        let negative = -f64::from(value) / 4.0;
        writeln!(text, "{},{hex},{word},{many},{number},{negative}", u8::from(mixed.is_multiple_of(5))).unwrap();
    }
    text
}

type Files = BTreeMap<String, Vec<u8>>;

/// What a preparation gives: the error, or all files of the cache; and whether counts were spilled.
fn prepared(folder: &Path, cache: &str, features: &str, threads: usize) -> (Result<Files, FeaturesError>, bool) {
    let (train, cache) = (folder.join("train.csv"), folder.join(cache));
    let data = format!("format = \"csv\"\ntrain = [{train:?}]\nvalidation = 0.2\ncache = {cache:?}\n");
    let data: DataConfig = toml::from_str(&data).unwrap();
    let features: FeaturesConfig = toml::from_str(features).unwrap();
    let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
    let (result, events) = pool.install(|| {
        let mut events = Vec::new();
        (prepare(&data, &features, SEED, &mut |event| events.push(event)), events)
    });
    let spilled = events.iter().any(|event| matches!(event, PrepareEvent::Spilling { .. }));
    (result.map(|_| files(&cache)), spilled)
}

/// All files below a folder, with their bytes.
fn files(folder: &Path) -> Files {
    let mut found = BTreeMap::new();
    for entry in fs::read_dir(folder).unwrap().map(Result::unwrap) {
        let path = entry.path();
        if path.is_dir() {
            found.extend(files(&path));
        } else {
            found.insert(entry.file_name().into_string().unwrap(), fs::read(&path).unwrap());
        }
    }
    found
}

fn same_with_a_limit(features: &str) {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("train.csv"), rows(40_000)).unwrap();
    let (expected, spilled) = prepared(folder.path(), "unlimited", features, 2);
    let expected = expected.unwrap();
    assert!(!spilled && expected.contains_key("train.arrow") && expected.contains_key("vocabulary.arrow"));
    for threads in [1, 2] {
        let limited = format!("max_memory = \"900KiB\"\n{features}");
        let (found, spilled) = prepared(folder.path(), &format!("limited-{threads}"), &limited, threads);
        let found = found.unwrap();
        assert!(spilled, "{features}");
        assert_eq!(found.keys().collect::<Vec<_>>(), expected.keys().collect::<Vec<_>>());
        for (name, bytes) in &expected {
            assert!(found[name] == *bytes, "{name} differs under {threads} threads: {features}");
        }
    }
}

#[test]
fn spilled_texts_and_buckets_have_the_same_ids() {
    for features in [
        "min_count = 3\n",
        "min_count = 2\nmax_size = 40\n",
        "min_count = 1\nmax_size = 700\nfields.many.separator = \"|\"\n",
        "min_count = 4\nfields.many = { separator = \"|\", max_values = 2 }\n",
    ] {
        same_with_a_limit(features);
    }
}

#[test]
fn spilled_numbers_have_the_same_quantiles() {
    same_with_a_limit("min_count = 3\nnumeric = \"quantile:32\"\n");
    same_with_a_limit("min_count = 3\nnumeric = \"piecewise:8\"\nfields.other.numeric = \"standardize\"\n");
}

#[test]
fn a_vocabulary_beyond_the_limit_is_refused_and_leaves_nothing() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("train.csv"), rows(40_000)).unwrap();
    for threads in [1, 2] {
        let features = "min_count = 1\nmax_memory = \"300KiB\"\n";
        let (refused, spilled) = prepared(folder.path(), "cache", features, threads);
        let error = refused.unwrap_err();
        assert!(spilled && error.to_string().contains("`features.max_memory`: expected at most 300.0 KiB"), "{error}");
        let hint = error.hint().unwrap();
        for key in ["max_memory", "min_count", "max_size", "vocabulary = { hash = N }"] {
            assert!(hint.contains(key), "{hint}");
        }
        assert_eq!(files(&folder.path().join("cache")).into_keys().collect::<Vec<_>>(), Vec::<String>::new());
        assert_eq!(fs::read_dir(folder.path().join("cache")).unwrap().count(), 0);
    }
}

#[test]
fn an_error_while_counts_are_spilled_leaves_nothing() {
    let folder = tempfile::tempdir().unwrap();
    // more blocks than wait for the counting threads, so that the first ones are counted before the error
    let bad = rows(200_000) + "maybe,0,0,0,0,0\n";
    fs::write(folder.path().join("train.csv"), bad).unwrap();
    let (refused, spilled) = prepared(folder.path(), "cache", "max_memory = \"300KiB\"\n", 2);
    assert!(spilled && matches!(refused.unwrap_err(), FeaturesError::Data(_)));
    assert_eq!(fs::read_dir(folder.path().join("cache")).unwrap().count(), 0);
}

/// All of a field's values with their rows, as its runs are read.
fn read<V>(runs: &Runs, value: impl Fn(&[u8]) -> V) -> Vec<(V, u32)> {
    runs.walk(|key, rows| Ok(Some((value(key), rows))), |entries| entries.collect()).unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn many_runs_give_each_value_once_in_order(
        maps in prop::collection::vec(prop::collection::vec(("[0-9a-f]{0,2}|0000000[0-9]", 0_u32..5), 0..20), 1..60),
    ) {
        let folder = tempfile::tempdir().unwrap();
        let spill = Spill::new(folder.path(), MemoryLimit::default(), 1);
        let mut runs = Runs::default();
        let mut expected: BTreeMap<Vec<u8>, u32> = BTreeMap::new();
        for values in &maps {
            let mut map = TextMap::new();
            for (text, rows) in values {
                map.entry(text.as_bytes(), Met { number: 0, rows: 0 }).rows += rows;
                if *rows > 0 {
                    *expected.entry(text.clone().into_bytes()).or_default() += rows;
                }
            }
            runs.add_texts(&map, &spill).unwrap();
        }
        let expected: Vec<(Vec<u8>, u32)> = expected.into_iter().collect();
        prop_assert_eq!(&read(&runs, <[u8]>::to_vec), &expected);
        runs.join(&spill).unwrap();
        prop_assert_eq!(&read(&runs, <[u8]>::to_vec), &expected);
        prop_assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
        drop(runs);
        prop_assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    }

    #[test]
    fn numbers_are_read_back_in_their_order(numbers in prop::collection::btree_set(any::<i64>(), 1..50)) {
        let folder = tempfile::tempdir().unwrap();
        let spill = Spill::new(folder.path(), MemoryLimit::default(), 1);
        let numbers: Vec<f64> = numbers.into_iter().map(|bits| f64::from_bits(bits.cast_unsigned())).collect();
        let mut numbers: Vec<f64> = numbers.into_iter().filter(|number| !number.is_nan()).chain([-0.0, 3.0]).collect();
        let absent = Met { number: u32::MAX, rows: 0 };
        let mut map = NumberMap::new(absent);
        for number in &numbers {
            *map.entry(*number) = Met { number: 0, rows: u32::MAX };
        }
        numbers.sort_by(f64::total_cmp);
        numbers.dedup_by_key(|number| number.to_bits());
        let mut runs = Runs::default();
        runs.add_numbers(&map, &spill).unwrap();
        runs.add_numbers(&map, &spill).unwrap();
        let found = read(&runs, |key| key_number(key).to_bits());
        prop_assert_eq!(found, numbers.iter().map(|number| (number.to_bits(), u32::MAX)).collect::<Vec<_>>());
    }
}
