//! Files that are whole or absent: written beside their place, synced, then renamed.

use std::{
    ffi::OsString,
    fs::{self, File},
    io::{self, Write},
    path::{Path, PathBuf},
};

use thiserror::Error;

/// A report that could not be written.
#[derive(Debug, Error)]
pub enum ReportError {
    #[error("{}: expected a file that can be written", path.display())]
    Write { path: PathBuf, source: io::Error },
}

/// Writes a file; an earlier one stays as it was until the new one is whole.
///
/// # Errors
/// If the folder is missing or cannot be written; an earlier file is then as it was.
pub(super) fn write_whole(path: &Path, text: &str) -> Result<(), ReportError> {
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

    #[test]
    fn a_file_replaces_the_earlier_one_and_leaves_nothing_beside_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("report.html");
        for text in ["one", "two"] {
            write_whole(&path, text).unwrap();
            assert_eq!(fs::read_to_string(&path).unwrap(), text);
        }
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_missing_folder_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("absent").join("report.html");
        let error = write_whole(&path, "one").unwrap_err();
        assert_eq!(error.to_string(), format!("{}: expected a file that can be written", path.display()));
        assert!(std::error::Error::source(&error).is_some());
    }

    #[test]
    fn a_failed_write_leaves_the_place_as_it_was() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("report.html");
        fs::create_dir(&path).unwrap();
        assert!(write_whole(&path, "one").is_err());
        assert!(path.is_dir() && fs::read_dir(folder.path()).unwrap().count() == 1);
    }
}
