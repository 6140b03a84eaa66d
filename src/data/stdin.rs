//! Standard input: its head may be looked at for a header without being lost, and all of it may be kept in a file.

use std::fs::{self, File};
use std::io::{self, Cursor, Read, Write};
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use super::DataError;

/// What was read ahead from standard input; the next [`rest`] starts with it.
static HEAD: Mutex<Vec<u8>> = Mutex::new(Vec::new());

/// Reads standard input from its head on and keeps all that it reads for [`rest`].
pub(super) fn peek() -> impl Read + Send {
    Peek { source: io::stdin(), head: &HEAD, position: 0 }
}

/// Standard input with the head that was only looked at.
pub(super) fn rest() -> impl Read + Send {
    Cursor::new(take(&HEAD)).chain(io::stdin())
}

/// Copies standard input to `path`, for uses that must read it twice; written beside and renamed. Gives the bytes.
///
/// # Errors
/// When standard input cannot be read or the file cannot be written; nothing is left at `path` then.
pub fn spool_stdin(path: &Path) -> Result<u64, DataError> {
    let beside = path.with_extension(format!("partial-{}", std::process::id()));
    spool(&mut rest(), &beside, path).map_err(|source| {
        // the first error is the one to report; the partial file may not even exist
        let _ = fs::remove_file(&beside);
        DataError::Io { file: path.to_string_lossy().into(), source }
    })
}

fn spool(source: &mut impl Read, beside: &Path, path: &Path) -> io::Result<u64> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    let mut file = File::create(beside)?;
    let bytes = io::copy(source, &mut file)?;
    file.flush()?;
    fs::rename(beside, path)?;
    Ok(bytes)
}

fn take(head: &Mutex<Vec<u8>>) -> Vec<u8> {
    std::mem::take(&mut head.lock().unwrap_or_else(PoisonError::into_inner))
}

struct Peek<'a, R> {
    source: R,
    head: &'a Mutex<Vec<u8>>,
    position: usize,
}

impl<R: Read> Read for Peek<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let mut head = self.head.lock().unwrap_or_else(PoisonError::into_inner);
        if self.position == head.len() {
            let found = self.source.read(buffer)?;
            head.extend_from_slice(&buffer[..found]);
            self.position += found;
            return Ok(found);
        }
        let found = (&head[self.position..]).read(buffer)?;
        self.position += found;
        Ok(found)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_looked_at_is_not_lost() {
        let head = Mutex::new(Vec::new());
        let mut source: &[u8] = b"name,label\n1,0\n";
        for _ in 0..2 {
            let mut looked = [0; 4];
            Peek { source: &mut source, head: &head, position: 0 }.read_exact(&mut looked).unwrap();
            assert_eq!(&looked, b"name");
        }
        let mut all = String::new();
        Cursor::new(take(&head)).chain(source).read_to_string(&mut all).unwrap();
        assert_eq!(all, "name,label\n1,0\n");
    }

    #[test]
    fn a_spooled_stream_is_whole_or_absent() {
        struct Broken;
        impl Read for Broken {
            fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
                Err(io::Error::other("cut"))
            }
        }
        let folder = tempfile::tempdir().unwrap();
        let (beside, path) = (folder.path().join("a/beside"), folder.path().join("a/rows"));
        assert!(spool(&mut (&b"0\t1\n"[..]).chain(Broken), &beside, &path).is_err());
        assert!(!path.exists());
        assert_eq!(spool(&mut &b"0\t1\n"[..], &beside, &path).unwrap(), 4);
        assert_eq!(fs::read(path).unwrap(), b"0\t1\n");
    }
}
