//! What holds for files that a preparation wrote and something else changed, as `data/fuzz.rs` says for rows.

use std::{fs, path::Path};

use super::{cache::Cache, config::FeaturesConfig, error::FeaturesError, vocabulary::Vocabulary};
use crate::data::DataConfig;

/// The names that [`check_reader`] takes; `config` is a file with the tables `[data]` and `[features]`.
pub const READERS: [&str; 3] = ["vocabulary", "cache", "config"];

/// Reads `bytes` as a file in `folder` and gives what happened: what was found, or the error without its numbers.
///
/// # Panics
/// Where an error doesn't name the file, what was read can't be used, and for an unknown name.
pub fn check_reader(name: &str, folder: &Path, bytes: &[u8]) -> String {
    let path = folder.join(name);
    fs::write(&path, bytes).expect("the folder can be written to");
    match name {
        "vocabulary" => vocabulary(&path),
        "cache" => cache(&path),
        "config" => config(bytes),
        other => panic!("expected one of {READERS:?}, found `{other}`"),
    }
}

/// A vocabulary that loads can be saved, and loads again as itself.
fn vocabulary(path: &Path) -> String {
    let vocabulary = match Vocabulary::load(path) {
        Ok(vocabulary) => vocabulary,
        Err(error) => return told(&error, path),
    };
    vocabulary.save(path).expect("a vocabulary that was loaded can be saved");
    let again = Vocabulary::load(path).expect("a vocabulary that was saved can be loaded");
    assert_eq!((again.table_rows(), again.counts()), (vocabulary.table_rows(), vocabulary.counts()));
    format!("{} ids", vocabulary.table_rows())
}

/// Every row of a cache that opens can be had.
fn cache(path: &Path) -> String {
    let cache = match Cache::open(path) {
        Ok(cache) => cache,
        Err(error) => return told(&error, path),
    };
    for row in 0..cache.rows() {
        assert_eq!(cache.ids(row).len(), cache.columns());
        assert_eq!(cache.values(row).map_or(cache.columns(), <[f32]>::len), cache.columns());
        let _ = (cache.label(row), cache.weight(row), cache.group(row));
    }
    format!("{} rows", cache.rows())
}

/// A config that is read is written as one that reads as itself.
fn config(bytes: &[u8]) -> String {
    #[derive(Debug, PartialEq, serde::Serialize, serde::Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Config {
        data: DataConfig,
        #[serde(default)]
        features: FeaturesConfig,
    }
    let config = std::str::from_utf8(bytes).map_err(|error| error.to_string());
    match config.and_then(|text| toml::from_str::<Config>(text).map_err(|error| error.message().to_owned())) {
        Err(error) => without_digits(&error),
        Ok(config) => {
            let text = toml::to_string(&config).expect("a config that was read can be written");
            let again: Config = toml::from_str(&text).expect("a config that was written can be read");
            assert_eq!(again, config, "{text}");
            format!("{} lines", text.lines().count())
        }
    }
}

fn told(error: &FeaturesError, path: &Path) -> String {
    let text = error.to_string();
    let name = path.to_string_lossy().into_owned();
    assert!(text.contains(&name), "expected the file's name in the error, found `{text}`");
    without_digits(&text.replace(&name, ""))
}

fn without_digits(text: &str) -> String {
    text.chars().filter(|letter| !letter.is_ascii_digit()).collect()
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeSet, time::Duration};

    use super::*;
    use crate::data::fuzz_tests::{corpus, try_damaged};

    #[test]
    fn what_the_fuzzer_kept_is_read_or_told() {
        let folder = tempfile::tempdir().unwrap();
        for reader in READERS {
            let outcomes: BTreeSet<String> =
                corpus(reader).iter().map(|(_, bytes)| check_reader(reader, folder.path(), bytes)).collect();
            assert!(outcomes.len() > 5, "{reader}: {outcomes:?}");
        }
    }

    /// Each was a panic, a read beyond what is there or an allocation of gigabytes when the fuzzer found it.
    #[test]
    fn what_a_damaged_arrow_file_claims_is_not_believed() {
        let folder = tempfile::tempdir().unwrap();
        for (reader, name) in [
            ("cache", "batch-beyond-the-file"),
            ("cache", "columns-beyond-the-batch"),
            ("cache", "dictionary-beyond-the-file"),
            ("cache", "half-a-number"),
            ("cache", "list-of-too-many"),
            ("vocabulary", "columns-beyond-the-batch"),
            ("vocabulary", "derived-from-a-field-beyond"),
            ("vocabulary", "half-a-number"),
        ] {
            let (_, bytes) = corpus(reader).into_iter().find(|(path, _)| path.ends_with(name)).unwrap();
            let outcome = check_reader(reader, folder.path(), &bytes);
            assert!(outcome.contains("expected") || outcome.contains("nvalid"), "{reader}, {name}: {outcome}");
        }
    }

    /// Every byte of a small file of each kind, changed alone; and every end cut off.
    #[test]
    fn prepared_files_that_are_damaged_at_any_byte_are_read_or_told() {
        let folder = tempfile::tempdir().unwrap();
        for (reader, name) in [("vocabulary", "plain"), ("cache", "plain"), ("cache", "renumbered")] {
            let (_, whole) = corpus(reader).into_iter().find(|(path, _)| path.ends_with(name)).unwrap();
            let sound = check_reader(reader, folder.path(), &whole);
            assert!(sound.ends_with(" rows") || sound.ends_with(" ids"), "{reader}: {sound}");
            let mut refused = 0;
            for position in 0..whole.len() {
                let mut bytes = whole.clone();
                bytes[position] ^= 0xFF;
                refused += usize::from(check_reader(reader, folder.path(), &bytes) != sound);
                let cut = check_reader(reader, folder.path(), &whole[..position]);
                assert_ne!(cut, sound, "{reader}: {position} bytes are taken for the whole file");
            }
            assert!(refused > 100, "{reader}: {refused} of {}", whole.len());
        }
    }

    /// `SECN_FUZZ_SECONDS` (default 60) in all; `cargo test --release -- --ignored damaged_files`.
    #[test]
    #[ignore = "takes a minute or as long as it is given"]
    fn damaged_files_are_read_or_told() {
        let seconds: u32 = std::env::var("SECN_FUZZ_SECONDS").map_or(60, |seconds| seconds.parse().unwrap());
        let folder = tempfile::tempdir().unwrap();
        for reader in READERS {
            let share = Duration::from_secs(seconds.into()) / 3;
            let tried = try_damaged(reader, share, |bytes| drop(check_reader(reader, folder.path(), bytes)));
            println!("{reader}: {tried} inputs in {share:?}");
        }
    }
}
