//! A checkpoint's files on disk: written beside and renamed, each with its length and hash.

use std::{
    collections::BTreeMap,
    fs::{self, File},
    io::{Seek, Write},
    path::{Path, PathBuf},
};

use safetensors::{Dtype, SafeTensorError, SafeTensors, tensor::TensorView};
use serde::{Deserialize, Serialize, de::DeserializeOwned};

use super::{
    TrainingError,
    checkpoint_tensors::{Parts, Saved},
    dense::Weight,
};

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

    /// Adds a file, whatever its bytes are.
    #[cfg(test)]
    fn add(&mut self, name: &str, bytes: &[u8]) -> Result<(), TrainingError> {
        write_durably(&self.folder.join(name), bytes)?;
        let fingerprint = fingerprint(bytes);
        self.files.insert(name.to_owned(), fingerprint);
        Ok(())
    }

    /// Adds named tensors as one safetensors file; one of them at a time is in memory beside what it is made from.
    pub(super) fn add_tensors(&mut self, name: &str, tensors: Vec<Saved>) -> Result<(), TrainingError> {
        let path = self.folder.join(name);
        // safetensors puts a file for its owner alone in the place of this one
        let permissions = File::create(&path).and_then(|file| file.metadata()).map_err(io(&path))?.permissions();
        let named = tensors.into_iter().map(|tensor| (tensor.name(), tensor));
        safetensors::serialize_to_file(named, None, &path).map_err(|error| match error {
            SafeTensorError::IoError(source) => io(&path)(source),
            other => damaged(&path, &other),
        })?;
        fs::set_permissions(&path, permissions).map_err(io(&path))?;
        // the hash is of what stands in the file, so that later changes alone are seen
        let hashed = File::options().read(true).write(true).open(&path).and_then(|mut file| {
            file.sync_all()?;
            let mut hasher = blake3::Hasher::new();
            hasher.update_reader(&mut file)?;
            Ok(Fingerprint { bytes: file.stream_position()?, blake3: hasher.finalize().to_hex().to_string() })
        });
        self.files.insert(name.to_owned(), hashed.map_err(io(&path))?);
        Ok(())
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

    /// The file of a table's parts.
    pub(super) fn read_parts(&self, name: &str) -> Result<Parts, TrainingError> {
        let (path, bytes) = (self.folder.join(name), self.read(name)?);
        Parts::new(bytes).map_err(|error| damaged(&path, &error))
    }

    /// The tensors of a safetensors file.
    pub(super) fn read_tensors(&self, name: &str) -> Result<Vec<Weight>, TrainingError> {
        let bytes = self.read(name)?;
        let path = self.folder.join(name);
        let tensors = SafeTensors::deserialize(&bytes).map_err(|error| damaged(&path, &error))?;
        let weight = |(name, view): (String, TensorView<'_>)| match view.dtype() {
            Dtype::F32 => {
                let values = bytemuck::pod_collect_to_vec(view.data());
                Ok(Weight { name, shape: view.shape().to_vec(), values })
            }
            other => Err(damaged(&path, &format!("tensor `{name}`: expected values of type F32, found {other:?}"))),
        };
        tensors.tensors().into_iter().map(weight).collect()
    }
}

pub(super) fn damaged(path: &Path, reason: &dyn std::fmt::Display) -> TrainingError {
    TrainingError::Damaged { path: path.to_owned(), reason: reason.to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TENSORS: &str = "dense.safetensors";

    fn written() -> (tempfile::TempDir, PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let target = folder.path().join("best");
        let mut writer = Writer::new(&target).unwrap();
        let weight = |name: &str, shape: &[usize]| Weight {
            name: name.into(),
            shape: shape.to_vec(),
            values: (0_u8..shape.iter().product::<usize>().try_into().unwrap()).map(f32::from).collect(),
        };
        writer
            .add_tensors(TENSORS, [weight("weight", &[3, 2]), weight("bias", &[2])].map(Saved::Weight).into())
            .unwrap();
        writer.finish(&7_u64).unwrap();
        (folder, target)
    }

    fn read(folder: &Path) -> Result<Vec<Weight>, TrainingError> {
        Reader::<u64>::open(folder)?.read_tensors(TENSORS)
    }

    #[test]
    fn all_files_have_the_permissions_of_any_new_file() {
        let (_folder, target) = written();
        let [tensors, list] = [TENSORS, MANIFEST].map(|name| target.join(name).metadata().unwrap().permissions());
        assert_eq!(tensors, list);
    }

    #[test]
    fn weights_that_are_damaged_at_any_byte_are_told_with_their_file() {
        let (_folder, target) = written();
        let path = target.join(TENSORS);
        let whole = fs::read(&path).unwrap();
        assert_eq!(read(&target).unwrap().len(), 2);
        for position in 0..whole.len() {
            let mut bytes = whole.clone();
            bytes[position] ^= 0x10;
            for damaged in [&bytes[..], &whole[..position], &[&whole[..position], b"x", &whole[position..]].concat()] {
                fs::write(&path, damaged).unwrap();
                let error = read(&target).err().unwrap().to_string();
                assert!(error.contains(TENSORS) && error.contains("damaged checkpoint"), "{position}: {error}");
            }
        }
    }

    /// The list has no hash of its own, so that a change of a name or number in it is seen by what it stands for alone.
    #[test]
    fn a_list_of_files_that_is_damaged_at_any_byte_gives_the_same_weights_or_is_told() {
        let (_folder, target) = written();
        let path = target.join(MANIFEST);
        let whole = fs::read(&path).unwrap();
        let sound: Vec<Vec<f32>> = read(&target).unwrap().into_iter().map(|weight| weight.values).collect();
        let mut told = 0;
        for position in 0..whole.len() {
            let mut bytes = whole.clone();
            bytes[position] ^= 0x10;
            for damaged in [&bytes[..], &whole[..position]] {
                fs::write(&path, damaged).unwrap();
                match read(&target) {
                    Ok(weights) => assert!(weights.into_iter().map(|weight| weight.values).eq(sound.clone())),
                    Err(error) => {
                        assert!(error.to_string().contains(&*target.to_string_lossy()), "{position}: {error}");
                        told += 1;
                    }
                }
            }
        }
        assert!(told > whole.len(), "{told} of {}", 2 * whole.len());
    }

    /// Whoever makes a file may make its hash too.
    #[test]
    fn tensors_of_another_type_or_beyond_their_file_are_told() {
        let folder = tempfile::tempdir().unwrap();
        let target = folder.path().join("best");
        let view = TensorView::new(Dtype::BF16, vec![2], &[0; 4]).unwrap();
        let halves = safetensors::serialize([("bias", view)], None).unwrap();
        let header = br#"{"a":{"dtype":"F32","shape":[4611686018427387904,4],"data_offsets":[0,0]}}"#;
        let huge = [&(header.len() as u64).to_le_bytes()[..], header].concat();
        for (bytes, expected) in [(halves, "expected values of type F32, found BF16"), (huge, ""), (vec![0xFF; 16], "")]
        {
            let mut writer = Writer::new(&target).unwrap();
            writer.add(TENSORS, &bytes).unwrap();
            writer.finish(&7_u64).unwrap();
            let error = read(&target).err().unwrap().to_string();
            assert!(error.contains(TENSORS) && error.contains(expected), "{error}");
        }
    }
}
