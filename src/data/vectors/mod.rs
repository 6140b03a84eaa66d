//! Vectors that were trained elsewhere, each with the value of a field that it stands for: npz, safetensors and Parquet.

mod npy;
mod npz;
mod parquet;
mod tensors;
#[cfg(test)]
mod tests;

use std::{
    fmt::Display,
    fs::File,
    ops::ControlFlow,
    path::{Path, PathBuf},
    sync::Arc,
};

use super::{DataError, cells::category};

/// Where a field's vectors stand: two arrays, tensors or columns of a file, side by side.
#[derive(Clone, Debug)]
pub struct VectorSource {
    /// Its ending says the format: `npz`, `safetensors` or `parquet`.
    pub path: PathBuf,
    /// The name of the values.
    pub key: String,
    /// The name of the vectors.
    pub vectors: String,
}

/// Takes a key and its vector.
type Each<'a> = dyn FnMut(&[u8], &[f32]) -> ControlFlow<()> + 'a;

/// Gives every key with its vector to `each`, in the file's order; a key as a cell of the field is, so `1.0` is `1`.
///
/// # Errors
/// When the file can't be read or holds no such vectors: [`DataError::Vectors`] says what was expected; and those of `each`.
pub fn read_vectors<E: From<DataError>>(
    source: &VectorSource,
    mut each: impl FnMut(&[u8], &[f32]) -> Result<(), E>,
) -> Result<(), E> {
    let mut stopped = None;
    let mut count = 0_u64;
    let mut checked = |key: &[u8], vector: &[f32]| {
        count += 1;
        let key = category(key, &[]);
        let taken = source.check(count, key, vector).map_err(E::from).and_then(|()| each(key, vector));
        stopped = taken.err();
        if stopped.is_some() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    };
    let ending = source.path.extension().and_then(|ending| ending.to_str()).unwrap_or_default();
    match ending {
        "npz" => npz::read(source, &mut checked),
        "safetensors" => tensors::read(source, &mut checked),
        "parquet" => parquet::read(source, &mut checked),
        _ => Err(source.wrong("a file whose name ends in `.npz`, `.safetensors` or `.parquet`", "another ending")),
    }?;
    if let Some(error) = stopped {
        return Err(error);
    }
    if count == 0 { Err(source.wrong("at least one vector", "none").into()) } else { Ok(()) }
}

impl VectorSource {
    fn name(&self) -> Arc<str> {
        self.path.display().to_string().into()
    }

    fn wrong(&self, expected: impl Display, found: impl Display) -> DataError {
        DataError::Vectors { file: self.name(), expected: expected.to_string(), found: found.to_string() }
    }

    fn open(&self) -> Result<File, DataError> {
        let path: &Path = &self.path;
        if !path.exists() {
            return Err(DataError::Missing { path: path.display().to_string() });
        }
        File::open(path).map_err(|source| DataError::Io { file: self.name(), source })
    }

    /// What is there in place of an array that isn't.
    fn absent<'a>(&self, name: &str, found: impl Iterator<Item = &'a str>) -> DataError {
        let mut found: Vec<String> = found.map(|name| format!("`{name}`")).collect();
        found.sort();
        let found = if found.is_empty() { "nothing".to_owned() } else { format!("{} alone", found.join(", ")) };
        self.wrong(format_args!("an array or column `{name}`"), found)
    }

    fn check(&self, number: u64, key: &[u8], vector: &[f32]) -> Result<(), DataError> {
        if key.is_empty() {
            return Err(self.wrong(format_args!("a value as the key of vector {number}"), "none"));
        }
        match vector.iter().find(|number| !number.is_finite()) {
            Some(found) => {
                let key = String::from_utf8_lossy(key);
                Err(self.wrong(format_args!("finite numbers in the vector of `{key}`"), found))
            }
            None => Ok(()),
        }
    }

    /// The width of vectors beside `keys` keys.
    fn width(&self, keys: usize, shape: &[u64]) -> Result<usize, DataError> {
        match *shape {
            [rows, width] if rows == keys as u64 && width > 0 => usize::try_from(width)
                .map_err(|_| self.wrong("vectors that fit into memory", format_args!("{shape:?}"))),
            _ => {
                let (vectors, key) = (&self.vectors, &self.key);
                let expected = format!("`{vectors}` of shape [{keys}, dim], a vector for each key of `{key}`");
                Err(self.wrong(expected, format_args!("shape {shape:?}")))
            }
        }
    }
}

fn text(key: &impl Display) -> Vec<u8> {
    key.to_string().into_bytes()
}
