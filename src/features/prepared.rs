//! A preparation on the disk: the caches of all parts, the vocabulary, and the manifest that says that they are whole.

use std::{
    collections::BTreeMap,
    fs::{self, File},
    io::{ErrorKind, Write},
    path::{Path, PathBuf},
    sync::Arc,
    time::Instant,
};

use serde::{Deserialize, Serialize};

use super::{
    cache::Cache,
    encode::LeftOut,
    error::{FeaturesError, damaged, io_error},
    key::Fingerprint,
    vocabulary::Vocabulary,
};
use crate::schema::Schema;

/// Data that is ready for training.
#[derive(Debug)]
pub struct Prepared {
    /// The fields that rows are read for; the vocabulary has the derived ones behind them.
    pub schema: Schema,
    pub vocabulary: Arc<Vocabulary>,
    pub train: Cache,
    pub validation: Option<Cache>,
    pub test: Option<Cache>,
    pub summary: PrepareSummary,
}

/// How the preparation went.
#[derive(Clone, Debug)]
pub struct PrepareSummary {
    pub seconds: f64,
    /// Rows of all parts a second.
    pub rows_per_second: f64,
    /// Whether an earlier preparation was found.
    pub cached: bool,
    pub left_out: LeftOut,
    /// Size of the cache on the disk.
    pub cache_bytes: u64,
}

/// Written last into a cache's folder; a folder without it is torn.
#[derive(Serialize, Deserialize)]
pub(super) struct Manifest {
    pub(super) schema: Schema,
    pub(super) left_out: LeftOut,
    /// The size of each file.
    pub(super) files: BTreeMap<String, u64>,
}

/// What was prepared last under one config.
#[derive(Serialize, Deserialize)]
pub(super) struct Latest {
    pub(super) key: String,
    pub(super) files: Vec<Fingerprint>,
}

/// Why what was prepared last under this config is stale.
pub(super) fn changed(latest: &Path, files: &[Fingerprint]) -> Option<String> {
    let latest: Latest = serde_json::from_slice(&fs::read(latest).ok()?).ok()?;
    let pairs = || latest.files.iter().zip(files);
    let changed = pairs().find(|(old, new)| old != new).map(|(old, new)| old.difference(new));
    changed.or_else(|| (latest.files.len() != files.len()).then(|| "there are other input files".to_owned()))
}

/// Makes a new folder beside `folder`, to which nobody else writes: a process's number alone is no name, since each container counts
/// its own.
///
/// # Errors
/// When it can't be made.
pub(super) fn own_folder(folder: &Path) -> Result<PathBuf, FeaturesError> {
    if let Some(parent) = folder.parent() {
        fs::create_dir_all(parent).map_err(io_error(parent))?;
    }
    loop {
        let own = folder.with_extension(format!("{:016x}.new", rand::random::<u64>()));
        match fs::create_dir(&own) {
            Ok(()) => return Ok(own),
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
            Err(error) => return Err(io_error(&own)(error)),
        }
    }
}

/// Puts a complete folder into its place. Where another process was faster, its work is as good.
pub(super) fn replace(temporary: &Path, folder: &Path) -> Result<(), FeaturesError> {
    if folder.exists() {
        fs::remove_dir_all(folder).map_err(io_error(folder))?;
    }
    match fs::rename(temporary, folder) {
        Err(_) if folder.join("manifest.json").exists() => fs::remove_dir_all(temporary).map_err(io_error(temporary)),
        renamed => renamed.map_err(io_error(folder)),
    }
}

pub(super) fn write_durably(path: &Path, bytes: &[u8]) -> Result<(), FeaturesError> {
    let mut file = File::create(path).map_err(io_error(path))?;
    file.write_all(bytes).and_then(|()| file.sync_all()).map_err(io_error(path))
}

/// Opens a cache's folder, after a check that every file is whole.
pub(super) fn open(folder: &Path, start: Instant, cached: bool) -> Result<Prepared, FeaturesError> {
    let path = folder.join("manifest.json");
    let manifest = fs::read(&path).map_err(io_error(&path))?;
    let manifest: Manifest = serde_json::from_slice(&manifest).map_err(|error| damaged(&path, error.to_string()))?;
    for (name, expected) in &manifest.files {
        let path = folder.join(name);
        let found = fs::metadata(&path).map_err(io_error(&path))?.len();
        if found != *expected {
            return Err(damaged(&path, format!("damaged: expected {expected} bytes, found {found}")));
        }
    }
    let part = |name: &str| {
        let name = format!("{name}.arrow");
        manifest.files.contains_key(&name).then(|| Cache::open(&folder.join(name))).transpose()
    };
    let train = part("train")?.ok_or_else(|| damaged(&path, "expected a part `train`, found none"))?;
    let (validation, test) = (part("validation")?, part("test")?);
    let vocabulary = Arc::new(Vocabulary::load(&folder.join("vocabulary.arrow"))?);
    let rows: usize = [Some(&train), validation.as_ref(), test.as_ref()].into_iter().flatten().map(Cache::rows).sum();
    let seconds = start.elapsed().as_secs_f64();
    let summary = PrepareSummary {
        seconds,
        rows_per_second: rows as f64 / seconds.max(f64::MIN_POSITIVE),
        cached,
        left_out: manifest.left_out,
        cache_bytes: manifest.files.values().sum(),
    };
    Ok(Prepared { schema: manifest.schema, vocabulary, train, validation, test, summary })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_preparations_of_the_same_data_have_folders_of_their_own() {
        let folder = tempfile::tempdir().unwrap();
        let place = folder.path().join("caches/key");
        let (one, other) = (own_folder(&place).unwrap(), own_folder(&place).unwrap());
        assert_ne!(one, other);
        assert!(one.is_dir() && other.is_dir() && !place.exists());
    }
}
