//! The cache's key: what the prepared data follows from, so that a stale cache is never used.

use std::{
    collections::BTreeSet,
    fs::File,
    io::{Read, Seek, SeekFrom},
    path::Path,
    time::UNIX_EPOCH,
};

use serde::{Deserialize, Serialize};

use super::{
    config::{FeaturesConfig, MemoryLimit},
    error::{FeaturesError, io_error},
};
use crate::{
    data::{DataConfig, Input, SplitBy, Validation, companions},
    seed::Seed,
};

/// Changes whenever prepared data of an older build must not be used.
const FORMAT_VERSION: u32 = 2;
const SAMPLE_BYTES: usize = 1 << 16;
const SAMPLES: u64 = 18;

/// An input file as it was when it was prepared.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Fingerprint {
    pub(super) path: String,
    bytes: u64,
    modified_nanoseconds: u128,
    /// A hash of blocks spread over the file.
    sampled: String,
}

impl Fingerprint {
    pub(super) fn of(path: &Path) -> Result<Self, FeaturesError> {
        let mut file = File::open(path).map_err(io_error(path))?;
        let metadata = file.metadata().map_err(io_error(path))?;
        let modified = metadata.modified().ok().and_then(|time| time.duration_since(UNIX_EPOCH).ok());
        Ok(Self {
            path: path.to_string_lossy().into_owned(),
            bytes: metadata.len(),
            modified_nanoseconds: modified.map_or(0, |time| time.as_nanos()),
            sampled: sample(&mut file, metadata.len()).map_err(io_error(path))?,
        })
    }

    /// How `new` differs, in words.
    pub(super) fn difference(&self, new: &Self) -> String {
        let how = if self.bytes == new.bytes {
            "its time or content".to_owned()
        } else {
            format!("{} → {} bytes", self.bytes, new.bytes)
        };
        format!("{} changed ({how})", new.path)
    }
}

fn sample(file: &mut File, bytes: u64) -> std::io::Result<String> {
    let mut hasher = blake3::Hasher::new();
    let last = bytes.saturating_sub(SAMPLE_BYTES as u64);
    let mut block = Vec::with_capacity(SAMPLE_BYTES);
    for position in 0..SAMPLES {
        file.seek(SeekFrom::Start(last / (SAMPLES - 1) * position))?;
        block.clear();
        file.by_ref().take(SAMPLE_BYTES as u64).read_to_end(&mut block)?;
        hasher.update(&block);
    }
    file.seek(SeekFrom::Start(last))?;
    block.clear();
    file.by_ref().read_to_end(&mut block)?;
    Ok(hasher.update(&block).finalize().to_hex().to_string())
}

/// The fingerprints of all files among `inputs`, and of those beside them that their rows follow from.
pub(super) fn fingerprints<'a>(
    data: &DataConfig,
    inputs: impl Iterator<Item = &'a Input>,
) -> Result<Vec<Fingerprint>, FeaturesError> {
    let (mut files, mut beside) = (Vec::new(), BTreeSet::new());
    for input in inputs {
        if let Input::File(path) = input {
            files.push(Fingerprint::of(path)?);
        }
        beside.extend(companions(data, input));
    }
    for path in beside {
        files.push(Fingerprint::of(&path)?);
    }
    Ok(files)
}

/// Holds files to what they were when the preparation began.
///
/// # Errors
/// [`FeaturesError::ChangedMeanwhile`] with the file's name.
pub(super) fn check_unchanged(files: &[Fingerprint]) -> Result<(), FeaturesError> {
    for before in files {
        let now = Fingerprint::of(Path::new(&before.path))?;
        if now != *before {
            return Err(FeaturesError::ChangedMeanwhile { difference: before.difference(&now) });
        }
    }
    Ok(())
}

/// What the prepared data follows from beside the files' content.
pub(super) fn identity(data: &DataConfig, features: &FeaturesConfig, seed: Seed) -> String {
    let mut data = data.clone();
    data.cache.clear();
    data.split_seed = None; // it is `seed`
    let mut features = features.clone();
    features.max_memory = MemoryLimit::default();
    features.shuffle_rows = FeaturesConfig::default().shuffle_rows;
    let random_split = matches!(data.validation, Validation::Share(_)) && data.split_by == SplitBy::Random;
    let random = random_split || features.target_statistics.is_some();
    let parts = serde_json::json!([FORMAT_VERSION, data, features, random.then_some(seed)]);
    short_hash(&parts.to_string())
}

/// The folder's name of prepared data.
pub(super) fn key(identity: &str, files: &[Fingerprint]) -> String {
    let files = serde_json::to_string(files).expect("fingerprints can be written as JSON");
    short_hash(&format!("{identity}{files}"))
}

fn short_hash(text: &str) -> String {
    blake3::hash(text.as_bytes()).to_hex()[..32].to_owned()
}

#[cfg(test)]
mod tests {
    use std::{fs, io::Write as _};

    use super::*;
    use crate::features::{PrepareEvent, prepare};

    #[test]
    fn a_file_that_changes_while_it_is_read_is_told_and_leaves_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let (path, cache) = (folder.path().join("rows.csv"), folder.path().join("cache"));
        fs::write(&path, "label,x\n1,a\n0,b\n1,a\n").unwrap();
        let data: DataConfig =
            toml::from_str(&format!("format = \"csv\"\ntrain = [{path:?}]\ncache = {cache:?}\n")).unwrap();
        let mut grown = false;
        let mut grow = |event: PrepareEvent| {
            if !grown && matches!(event, PrepareEvent::Progress { .. }) {
                let mut file = fs::OpenOptions::new().append(true).open(&path).unwrap();
                file.write_all(b"0,c\n").unwrap();
                grown = true;
            }
        };
        let error = prepare(&data, &FeaturesConfig::default(), Seed(1), &mut grow).unwrap_err();
        let message = error.to_string();
        assert!(message.contains("rows.csv changed (20 → 24 bytes)") && error.hint().is_some(), "{message}");
        assert_eq!(fs::read_dir(&cache).map_or(0, Iterator::count), 0);
        let prepared = prepare(&data, &FeaturesConfig::default(), Seed(1), &mut |_| ()).unwrap();
        assert_eq!(prepared.train.rows(), 4);
    }
}
