//! Records as JSON, printed or written so that a file is whole or absent.

use std::{
    ffi::OsString,
    fs::{self, File},
    io::{self, Write},
    path::{Path, PathBuf},
};

use serde::Serialize;
use thiserror::Error;

use crate::metrics::RunRecord;

/// A report that could not be written.
#[derive(Debug, Error)]
pub enum ReportError {
    #[error("{}: expected a file that can be written", path.display())]
    Write { path: PathBuf, source: io::Error },
}

/// One line of JSON, without its end.
///
/// # Panics
/// If `record` cannot be JSON (a map whose keys are no text); no record of ours is such.
pub fn to_json(record: &impl Serialize) -> String {
    serde_json::to_string(record).expect("records have text keys alone, so they can be JSON")
}

/// Writes `result.json`, indented: beside its place, synced, then renamed.
///
/// # Errors
/// If the folder is missing or cannot be written; an earlier file is then as it was.
pub fn write_result(path: &Path, record: &RunRecord) -> Result<(), ReportError> {
    let mut text = serde_json::to_string_pretty(record).expect("records have text keys alone, so they can be JSON");
    text.push('\n');
    let beside = beside(path);
    replace(path, &beside, text.as_bytes()).map_err(|source| {
        // the first error is the one to tell; what is left beside would only be overwritten by the next run
        drop(fs::remove_file(&beside));
        ReportError::Write { path: path.to_owned(), source }
    })
}

fn replace(path: &Path, beside: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = File::create(beside)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    fs::rename(beside, path)?;
    sync_folder(path)
}

/// Makes a rename outlast a power cut, where folders can be opened.
fn sync_folder(path: &Path) -> io::Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    if cfg!(unix) { File::open(folder)?.sync_all() } else { Ok(()) }
}

fn beside(path: &Path) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(".partial");
    name.into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::{Metrics, PrepareRecord, RowCounts};

    fn record(run: &str) -> RunRecord {
        RunRecord {
            run: run.into(),
            model: "fm".into(),
            device: "cpu".into(),
            parameters: 1,
            fields: 1,
            vocabulary: 1,
            rows: RowCounts::default(),
            epochs: Vec::new(),
            best_epoch: None,
            test: Some(Metrics::default()),
            prepare: PrepareRecord { seconds: 0.0, rows_per_second: 0.0, cached: false },
            peak_memory_bytes: None,
            seconds: 0.5,
        }
    }

    #[test]
    fn json_is_one_line() {
        let text = to_json(&record("runs/one\ntwo"));
        assert!(text.starts_with(r#"{"run":"runs/one\ntwo","#) && !text.contains('\n'), "{text}");
    }

    #[test]
    fn a_result_replaces_the_earlier_one_and_leaves_nothing_beside_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("result.json");
        for run in ["runs/one", "runs/two"] {
            write_result(&path, &record(run)).unwrap();
            let found: RunRecord = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
            assert_eq!(found, record(run));
        }
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_missing_folder_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("absent").join("result.json");
        let error = write_result(&path, &record("runs/one")).unwrap_err();
        assert_eq!(error.to_string(), format!("{}: expected a file that can be written", path.display()));
        assert!(std::error::Error::source(&error).is_some());
    }

    #[test]
    fn a_failed_write_leaves_the_place_as_it_was() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("result.json");
        fs::create_dir(&path).unwrap();
        assert!(write_result(&path, &record("runs/one")).is_err());
        assert!(path.is_dir() && fs::read_dir(folder.path()).unwrap().count() == 1);
    }
}
