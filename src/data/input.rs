//! Where bytes come from: files, globs and standard input, plain, gzip (several members) or zstd (several frames).

use std::fs::{self, File};
use std::io::{self, BufReader, Cursor, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use flate2::bufread::MultiGzDecoder;

use super::{
    DataConfig, DataError, automl,
    made::{MadeText, Source},
    stdin,
};

/// One source of rows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Input {
    File(PathBuf),
    Stdin,
}

impl Input {
    /// The name that errors show.
    pub fn name(&self) -> Arc<str> {
        match self {
            Self::File(path) => path.to_string_lossy().into(),
            Self::Stdin => "standard input".into(),
        }
    }

    /// The size on the disk; unknown for standard input.
    pub(super) fn size_bytes(&self) -> Option<u64> {
        match self {
            Self::File(path) => fs::metadata(path).ok().map(|metadata| metadata.len()),
            Self::Stdin => None,
        }
    }
}

/// Expands paths and globs, each glob's files in the order of their names and of the numbers in them; `-` is standard input. A
/// file of AutoML that is there in numbered parts alone becomes these.
///
/// # Errors
/// For a missing file, a folder, a pipe, a broken glob, one that matches no file, and standard input named twice.
pub fn resolve(patterns: &[String]) -> Result<Vec<Input>, DataError> {
    let mut inputs = Vec::new();
    for pattern in patterns {
        let path = Path::new(pattern);
        if pattern == "-" {
            if inputs.contains(&Input::Stdin) {
                return Err(DataError::StdinTwice);
            }
            inputs.push(Input::Stdin);
        } else if pattern.contains(['*', '?', '[']) && !path.exists() {
            inputs.extend(expand(pattern)?);
        } else if !path.exists()
            && let Some(parts) = automl::parts(path)?
        {
            inputs.extend(parts.into_iter().map(Input::File));
        } else {
            check_file(path)?;
            inputs.push(Input::File(path.into()));
        }
    }
    Ok(inputs)
}

/// The files that a glob matches; folders are passed over.
fn expand(pattern: &str) -> Result<Vec<Input>, DataError> {
    let paths = glob::glob(pattern).map_err(|source| DataError::Glob { pattern: pattern.into(), source })?;
    let mut files = Vec::new();
    for path in paths {
        let path = path.map_err(|error| {
            let file = error.path().to_string_lossy().into();
            DataError::Io { file, source: error.into() }
        })?;
        if !path.is_dir() {
            check_file(&path)?;
            files.push(path);
        }
    }
    if files.is_empty() {
        return Err(DataError::NoMatch { pattern: pattern.into() });
    }
    files.sort_by_cached_key(|path| natural_order(path));
    Ok(files.into_iter().map(Input::File).collect())
}

/// Orders names by the numbers in them: `day_2` stands before `day_10`.
fn natural_order(path: &Path) -> (Vec<(bool, usize, String)>, PathBuf) {
    let name = path.to_string_lossy();
    let mut runs: Vec<(bool, usize, String)> = Vec::new();
    for letter in name.chars() {
        let is_text = !letter.is_ascii_digit();
        match runs.last_mut() {
            Some((last, _, run)) if *last == is_text => run.push(letter),
            _ => runs.push((is_text, 0, letter.to_string())),
        }
    }
    for (is_text, length, run) in &mut runs {
        if !*is_text {
            // a longer number is a larger one, once its leading zeros are off
            *run = run.trim_start_matches('0').to_owned();
            *length = run.len();
        }
    }
    (runs, path.to_path_buf())
}

fn check_file(path: &Path) -> Result<(), DataError> {
    let shown = || path.to_string_lossy().into_owned();
    let metadata = fs::metadata(path).map_err(|source| match source.kind() {
        io::ErrorKind::NotFound => DataError::Missing { path: shown() },
        _ => DataError::Io { file: shown().into(), source },
    })?;
    if metadata.is_dir() {
        return Err(DataError::Folder { path: shown() });
    }
    // the head is read before the rows, so a pipe would lose its first bytes
    if metadata.is_file() { Ok(()) } else { Err(DataError::NotRegular { path: shown() }) }
}

/// How an input's bytes are packed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Compression {
    Gzip,
    Zstd,
}

impl Compression {
    const fn name(self) -> &'static str {
        match self {
            Self::Gzip => "gzip",
            Self::Zstd => "zstd",
        }
    }

    fn of_head(head: &[u8]) -> Option<Self> {
        match head {
            [0x1F, 0x8B, ..] => Some(Self::Gzip),
            [0x28, 0xB5, 0x2F, 0xFD, ..] => Some(Self::Zstd),
            _ => None,
        }
    }

    fn of_name(name: &str) -> Option<Self> {
        match Path::new(name).extension()?.to_str()? {
            "gz" => Some(Self::Gzip),
            "zst" => Some(Self::Zstd),
            _ => None,
        }
    }
}

/// The first bytes of files that are no text, in whatever row format.
const NO_TEXT: &[(&[u8], &str)] = &[
    (b"PK\x03\x04", "a zip archive"),
    (b"BZh", "a bzip2 stream"),
    (b"\xFD7zXZ\0", "an xz stream"),
    (b"PAR1", "a parquet file"),
    (b"ARROW1", "an Arrow file"),
    (b"\xFF\xFE", "text in UTF-16"),
    (b"\xFE\xFF", "text in UTF-16"),
];

/// An open input, unpacked as it is read.
pub(super) struct Text {
    pub(super) file: Arc<str>,
    compression: Option<Compression>,
    source: Box<dyn Read + Send>,
}

impl Text {
    /// Opens an input for its rows, which are made into text where the format says so; `bytes_read` counts its packed bytes.
    pub(super) fn open(input: &Input, config: &DataConfig, bytes_read: &Arc<AtomicU64>) -> Result<Self, DataError> {
        Self::made(input, config, bytes_read, &|| Self::rows(input, bytes_read))
    }

    /// Opens an input to look at its head; standard input loses nothing by it.
    pub(super) fn peek(input: &Input, config: &DataConfig) -> Result<Self, DataError> {
        Self::made(input, config, &Arc::default(), &|| Self::head(input))
    }

    fn made(
        input: &Input,
        config: &DataConfig,
        bytes_read: &Arc<AtomicU64>,
        text: &dyn Fn() -> Result<Self, DataError>,
    ) -> Result<Self, DataError> {
        let Some(open) = config.format.format().open else { return text() };
        let source = open(&Source { input, text, bytes_read }, config)?;
        Ok(Self { file: input.name(), compression: None, source: Box::new(MadeText::new(source)) })
    }

    /// The input's own text; `bytes_read` counts its packed bytes.
    pub(super) fn rows(input: &Input, bytes_read: &Arc<AtomicU64>) -> Result<Self, DataError> {
        let file = input.name();
        let source: Box<dyn Read + Send> = match input {
            Input::File(path) => Box::new(open_file(path)?),
            Input::Stdin => Box::new(stdin::rest()),
        };
        Self::unpack(file, Box::new(Counted { source, bytes: Arc::clone(bytes_read) }))
    }

    fn head(input: &Input) -> Result<Self, DataError> {
        let source: Box<dyn Read + Send> = match input {
            Input::File(path) => Box::new(open_file(path)?),
            Input::Stdin => Box::new(stdin::peek()),
        };
        Self::unpack(input.name(), source)
    }

    fn unpack(file: Arc<str>, mut source: Box<dyn Read + Send>) -> Result<Self, DataError> {
        let mut head = Vec::with_capacity(8);
        let read = source.by_ref().take(8).read_to_end(&mut head);
        read.map_err(|source| DataError::Io { file: Arc::clone(&file), source })?;
        let compression = Compression::of_head(&head);
        if let Some(expected) = Compression::of_name(&file)
            && compression != Some(expected)
            && !head.is_empty()
        {
            let found = format!("`{}` at its start", super::error::excerpt(&head));
            return Err(DataError::NotText { file, expected: expected.name(), found });
        }
        if let Some((_, found)) = NO_TEXT.iter().find(|(start, _)| head.starts_with(start)) {
            return Err(DataError::NotText { file, expected: "text", found: (*found).into() });
        }
        let whole = Cursor::new(head).chain(source);
        let source: Box<dyn Read + Send> = match compression {
            None => Box::new(whole),
            Some(Compression::Gzip) => Box::new(MultiGzDecoder::new(BufReader::with_capacity(1 << 16, whole))),
            Some(Compression::Zstd) => match zstd::Decoder::new(whole) {
                Ok(decoder) => Box::new(decoder),
                Err(source) => return Err(DataError::Io { file, source }),
            },
        };
        Ok(Self { file, compression, source })
    }

    /// Appends up to `limit_bytes` of text; fewer only at the end of the input.
    pub(super) fn read_more(&mut self, buffer: &mut Vec<u8>, limit_bytes: usize) -> Result<usize, DataError> {
        buffer.reserve(limit_bytes);
        let limit = limit_bytes as u64;
        self.source.by_ref().take(limit).read_to_end(buffer).map_err(|source| self.explain(source))
    }

    fn explain(&self, source: io::Error) -> DataError {
        let source = match source.downcast::<DataError>() {
            Ok(made) => return made,
            Err(source) => source,
        };
        let file = Arc::clone(&self.file);
        match self.compression.map(Compression::name) {
            Some(compression) if source.kind() == io::ErrorKind::UnexpectedEof => {
                DataError::Truncated { file, compression }
            }
            // errors of the system carry its number; the rest come from the decoder
            Some(compression) if source.raw_os_error().is_none() => DataError::Damaged { file, compression, source },
            _ => DataError::Io { file, source },
        }
    }
}

fn open_file(path: &Path) -> Result<File, DataError> {
    check_file(path)?;
    File::open(path).map_err(|source| DataError::Io { file: path.to_string_lossy().into(), source })
}

struct Counted<R> {
    source: R,
    bytes: Arc<AtomicU64>,
}

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let found = self.source.read(buffer)?;
        self.bytes.fetch_add(found as u64, Ordering::Relaxed);
        Ok(found)
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use flate2::{Compression as Level, write::GzEncoder};

    use super::*;

    fn gzip(text: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Level::fast());
        encoder.write_all(text).unwrap();
        encoder.finish().unwrap()
    }

    fn read(name: &str, bytes: &[u8]) -> Result<Vec<u8>, DataError> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(name);
        fs::write(&path, bytes).unwrap();
        let mut text = Text::rows(&Input::File(path), &Arc::default())?;
        let mut all = Vec::new();
        while text.read_more(&mut all, 7)? > 0 {}
        Ok(all)
    }

    #[test]
    fn packed_text_is_known_by_its_bytes_and_read_through_all_members() {
        let twice = [gzip(b"one\n"), gzip(b"two\n")].concat();
        assert_eq!(read("a.gz", &twice).unwrap(), b"one\ntwo\n");
        assert_eq!(read("spooled", &twice).unwrap(), b"one\ntwo\n");
        let frames = [zstd::encode_all(&b"one\n"[..], 1).unwrap(), zstd::encode_all(&b"two\n"[..], 1).unwrap()];
        assert_eq!(read("a.txt.zst", &frames.concat()).unwrap(), b"one\ntwo\n");
        assert_eq!(read("a.txt", b"one\n").unwrap(), b"one\n");
        assert_eq!(read("a.gz", b"").unwrap(), b"");
    }

    #[test]
    fn cut_and_damaged_streams_are_named() {
        let text: Vec<u8> = (0..20_000_u32).flat_map(|number| number.wrapping_mul(0x9E37_79B9).to_le_bytes()).collect();
        let whole = gzip(&text);
        for end in [11, whole.len() / 2, whole.len() - 1] {
            let message = read("a.gz", &whole[..end]).unwrap_err().to_string();
            assert!(message.ends_with("expected a complete gzip stream, found its end cut off"), "{end}: {message}");
        }
        let mut damaged = whole;
        let checksum = damaged.len() - 6;
        damaged[checksum] ^= 1;
        assert!(matches!(read("a.gz", &damaged), Err(DataError::Damaged { compression: "gzip", .. })));
        let frame = zstd::encode_all(&text[..], 1).unwrap();
        assert!(matches!(
            read("a.zst", &frame[..frame.len() - 9]),
            Err(DataError::Truncated { compression: "zstd", .. })
        ));
    }

    #[test]
    fn what_is_no_text_is_named() {
        let message = read("a.gz", b"0\t1\t2\n").unwrap_err().to_string();
        assert!(message.ends_with("a.gz: expected gzip, found `0\\t1\\t2\\n` at its start"), "{message}");
        let message = read("a.txt", b"PK\x03\x04....").unwrap_err().to_string();
        assert!(message.ends_with("expected text, found a zip archive"), "{message}");
    }

    #[test]
    fn globs_expand_in_order_and_name_what_is_missing() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name).to_string_lossy().into_owned();
        for name in ["day_1", "day_0", "odd[1]"] {
            fs::write(path(name), "0").unwrap();
        }
        fs::create_dir(path("day_folder")).unwrap();
        let found = resolve(&[path("day_*"), "-".into(), path("odd[1]")]).unwrap();
        let file = |name: &str| Input::File(path(name).into());
        assert_eq!(found, [file("day_0"), file("day_1"), Input::Stdin, file("odd[1]")]);
        assert!(matches!(resolve(&[path("day_2")]), Err(DataError::Missing { .. })));
        assert!(matches!(resolve(&[path("hour_*")]), Err(DataError::NoMatch { .. })));
        assert!(matches!(resolve(&[path("day_folder")]), Err(DataError::Folder { .. })));
        assert!(matches!(resolve(&["/dev/null".into()]), Err(DataError::NotRegular { .. })));
        assert!(matches!(resolve(&["-".into(), "-".into()]), Err(DataError::StdinTwice)));
        assert!(matches!(resolve(&["a[".into()]), Err(DataError::Glob { .. })));
    }
}
