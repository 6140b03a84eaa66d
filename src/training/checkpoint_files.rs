//! A checkpoint's files on disk: written beside and renamed, each with its length and hash.

use std::{
    collections::BTreeMap,
    fs::{self, File},
    io::Write,
    path::{Path, PathBuf},
};

use safetensors::{Dtype, SafeTensors, tensor::TensorView};
use serde::{Deserialize, Serialize, de::DeserializeOwned};

use super::{TrainingError, dense::Weight};

const MANIFEST: &str = "checkpoint.json";

/// Length and hash of a file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Fingerprint {
    bytes: u64,
    blake3: String,
}

#[derive(Serialize, Deserialize)]
struct Manifest<T> {
    files: BTreeMap<String, Fingerprint>,
    content: T,
}

/// A checkpoint that is being written.
pub(super) struct Writer {
    folder: PathBuf,
    target: PathBuf,
    files: BTreeMap<String, Fingerprint>,
}

pub(super) fn io(path: &Path) -> impl FnOnce(std::io::Error) -> TrainingError {
    move |source| TrainingError::Io { path: path.to_owned(), source }
}

fn beside(target: &Path, suffix: &str) -> PathBuf {
    let name = target.file_name().map_or_else(Default::default, |name| name.to_string_lossy().into_owned());
    target.with_file_name(format!("{name}.{suffix}"))
}

impl Writer {
    /// Starts a checkpoint that shall become `target`.
    pub(super) fn new(target: &Path) -> Result<Self, TrainingError> {
        let folder = beside(target, "new");
        if folder.exists() {
            fs::remove_dir_all(&folder).map_err(io(&folder))?;
        }
        fs::create_dir_all(&folder).map_err(io(&folder))?;
        Ok(Self { folder, target: target.to_owned(), files: BTreeMap::new() })
    }

    /// Adds a file.
    pub(super) fn add(&mut self, name: &str, bytes: &[u8]) -> Result<(), TrainingError> {
        write_durably(&self.folder.join(name), bytes)?;
        let fingerprint = fingerprint(bytes);
        self.files.insert(name.to_owned(), fingerprint);
        Ok(())
    }

    /// Adds named f32 tensors as one safetensors file.
    pub(super) fn add_tensors(&mut self, name: &str, tensors: &[Weight]) -> Result<(), TrainingError> {
        let views = tensors.iter().map(|tensor| {
            let bytes = bytemuck::cast_slice(&tensor.values);
            let view = TensorView::new(Dtype::F32, tensor.shape.clone(), bytes);
            (tensor.name.clone(), view.expect("a tensor has as many values as its shape says"))
        });
        let bytes = safetensors::serialize(views, None).expect("names and shapes can be written");
        self.add(name, &bytes)
    }

    /// Puts the checkpoint in the place of an older one. A crash leaves one of both whole, see [`recover`].
    pub(super) fn finish(self, content: &impl Serialize) -> Result<(), TrainingError> {
        let manifest = Manifest { files: self.files, content };
        let json = serde_json::to_vec_pretty(&manifest).expect("a checkpoint's content can be written as JSON");
        write_durably(&self.folder.join(MANIFEST), &json)?;
        let old = beside(&self.target, "old");
        if old.exists() {
            fs::remove_dir_all(&old).map_err(io(&old))?;
        }
        if self.target.exists() {
            fs::rename(&self.target, &old).map_err(io(&self.target))?;
        }
        fs::rename(&self.folder, &self.target).map_err(io(&self.target))?;
        if let Some(parent) = self.target.parent() {
            File::open(parent).and_then(|parent| parent.sync_all()).map_err(io(parent))?;
        }
        if old.exists() {
            fs::remove_dir_all(&old).map_err(io(&old))?;
        }
        Ok(())
    }
}

/// Writes `path` and waits until it is on the disk.
fn write_durably(path: &Path, bytes: &[u8]) -> Result<(), TrainingError> {
    let mut file = File::create(path).map_err(io(path))?;
    file.write_all(bytes).and_then(|()| file.sync_all()).map_err(io(path))
}

fn fingerprint(bytes: &[u8]) -> Fingerprint {
    Fingerprint { bytes: bytes.len() as u64, blake3: blake3::hash(bytes).to_hex().to_string() }
}

/// Finishes or undoes a renaming that a crash cut short.
pub(super) fn recover(target: &Path) -> Result<(), TrainingError> {
    let old = beside(target, "old");
    if !target.exists() && old.exists() {
        fs::rename(&old, target).map_err(io(target))?;
    }
    Ok(())
}

/// A checkpoint that is being read.
pub(super) struct Reader<T> {
    folder: PathBuf,
    files: BTreeMap<String, Fingerprint>,
    pub(super) content: T,
}

impl<T: DeserializeOwned> Reader<T> {
    pub(super) fn open(folder: &Path) -> Result<Self, TrainingError> {
        let path = folder.join(MANIFEST);
        if !path.exists() {
            return Err(TrainingError::Missing { path: folder.to_owned() });
        }
        let bytes = fs::read(&path).map_err(io(&path))?;
        let manifest: Manifest<T> = serde_json::from_slice(&bytes).map_err(|error| damaged(&path, &error))?;
        Ok(Self { folder: folder.to_owned(), files: manifest.files, content: manifest.content })
    }

    /// The bytes of a file, checked against what was written.
    pub(super) fn read(&self, name: &str) -> Result<Vec<u8>, TrainingError> {
        let path = self.folder.join(name);
        let expected = self.files.get(name).ok_or_else(|| damaged(&path, &"not a part of this checkpoint"))?;
        let bytes = fs::read(&path).map_err(io(&path))?;
        if bytes.len() as u64 != expected.bytes {
            let reason = format!("damaged checkpoint: expected {} bytes, found {}", expected.bytes, bytes.len());
            return Err(TrainingError::Damaged { path, reason });
        }
        if fingerprint(&bytes) != *expected {
            return Err(damaged(&path, &"damaged checkpoint: its bytes are not those that were written"));
        }
        Ok(bytes)
    }

    /// The tensors of a safetensors file.
    pub(super) fn read_tensors(&self, name: &str) -> Result<Vec<Weight>, TrainingError> {
        let bytes = self.read(name)?;
        let path = self.folder.join(name);
        let tensors = SafeTensors::deserialize(&bytes).map_err(|error| damaged(&path, &error))?;
        let weight = |(name, view): (String, TensorView<'_>)| Weight {
            name,
            shape: view.shape().to_vec(),
            values: bytemuck::pod_collect_to_vec(view.data()),
        };
        Ok(tensors.tensors().into_iter().map(weight).collect())
    }
}

pub(super) fn damaged(path: &Path, reason: &dyn std::fmt::Display) -> TrainingError {
    TrainingError::Damaged { path: path.to_owned(), reason: reason.to_string() }
}
