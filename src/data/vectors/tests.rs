//! Files that NumPy, safetensors and PyArrow wrote (`scripts/pretrained_files.py`), and wrong ones.

use std::{fs, path::Path};

use super::{VectorSource, read_vectors};
use crate::data::DataError;

type Vectors = Vec<(String, Vec<f32>)>;

fn read(path: &Path, key: &str, vectors: &str) -> Result<Vectors, DataError> {
    let source = VectorSource { path: path.to_owned(), key: key.into(), vectors: vectors.into() };
    let mut found = Vec::new();
    read_vectors(&source, |key, vector| {
        found.push((String::from_utf8_lossy(key).into_owned(), vector.to_vec()));
        Ok::<(), DataError>(())
    })?;
    Ok(found)
}

fn golden(name: &str) -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/vectors").join(name)
}

fn refused(name: &str, key: &str, vectors: &str) -> String {
    read(&golden(name), key, vectors).unwrap_err().to_string()
}

#[test]
fn every_writers_files_give_the_same_vectors() {
    let numbers = |row: u8| (0..3).map(|column| f32::from(3 * row + column) / 8.0 - 0.5).collect::<Vec<f32>>();
    for (name, keys) in [
        ("text-f32-compressed.npz", ["a", "bä", "1", "c"]),
        ("int64-f64-fortran.npz", ["7", "-1", "1", "300"]),
        ("bytes-f16.npz", ["a", "xyz", "1.5", "c"]),
        ("float-f32.npz", ["1", "2.5", "-3", "0"]),
        ("int64-f16.safetensors", ["7", "-1", "1", "300"]),
        ("bytes-f64.safetensors", ["a", "bä", "1", "c"]),
        ("text-list.parquet", ["a", "bä", "1", "c"]),
        ("int64-fixed.parquet", ["7", "-1", "1", "300"]),
    ] {
        let found = read(&golden(name), "key", "value").unwrap_or_else(|error| panic!("{name}: {error}"));
        let expected: Vectors = keys.iter().zip(0..).map(|(key, row)| ((*key).to_owned(), numbers(row))).collect();
        assert_eq!(found, expected, "{name}");
    }
}

#[test]
fn what_is_not_there_is_named_beside_what_is() {
    for name in ["float-f32.npz", "int64-f16.safetensors"] {
        let message = refused(name, "id", "value");
        assert!(message.ends_with("expected an array or column `id`, found `key`, `value` alone"), "{message}");
    }
    let message = refused("int64-fixed.parquet", "key", "vector");
    assert!(message.ends_with("column `vector`, found `key`, `other`, `value` alone"), "{message}");
    let missing = read(Path::new("/nowhere/a.npz"), "key", "value").unwrap_err().to_string();
    assert!(missing.contains("/nowhere/a.npz: expected a file"), "{missing}");
    let ending = read(Path::new("vectors.txt"), "key", "value").unwrap_err();
    assert!(ending.to_string().contains("`.npz`") && ending.hint().is_some(), "{ending}");
}

#[test]
fn arrays_of_other_types_and_shapes_are_told() {
    for (name, key, vectors, expected) in [
        ("objects.npz", "key", "value", "found keys of the type |O, Python objects: save `key.astype(str)`"),
        ("float-f32.npz", "value", "value", "expected `value` of one dimension, found shape [4, 3]"),
        ("float-f32.npz", "key", "key", "`key` of shape [4, dim], a vector for each key of `key`, found shape [4]"),
        ("int64-f64-fortran.npz", "key", "key", "found shape [4]"),
        ("int64-f16.safetensors", "value", "value", "keys that are whole numbers"),
        ("int64-f16.safetensors", "key", "key", "found shape [4]"),
        ("int64-fixed.parquet", "value", "value", "expected `value` to hold one value a row"),
        (
            "int64-fixed.parquet",
            "key",
            "other",
            "expected `other` to hold lists of floating-point numbers, found Int64",
        ),
    ] {
        let message = refused(name, key, vectors);
        assert!(message.contains(name) && message.contains(expected), "{message}");
    }
}

/// Neither cut nor changed bytes make a panic: each is an error with the file's name, or vectors.
#[test]
fn damaged_files_are_told() {
    let folder = tempfile::tempdir().unwrap();
    for name in ["text-f32-compressed.npz", "int64-f64-fortran.npz", "bytes-f64.safetensors", "text-list.parquet"] {
        let whole = fs::read(golden(name)).unwrap();
        let path = folder.path().join(name);
        let mut refused = 0;
        for turn in 0..600_u64 {
            let mut bytes = whole.clone();
            let draw = crate::seed::mix(turn, 0);
            let position = usize::try_from(draw % bytes.len() as u64).unwrap();
            if turn % 3 == 0 {
                bytes.truncate(position);
            } else {
                bytes[position] = draw.to_be_bytes()[0];
            }
            fs::write(&path, &bytes).unwrap();
            if let Err(error) = read(&path, "key", "value") {
                assert!(error.to_string().contains(name), "{error}");
                refused += 1;
            }
        }
        assert!(refused > 100, "{name}: {refused}");
    }
}

#[test]
fn numbers_that_are_none_and_files_without_vectors_are_told() {
    let folder = tempfile::tempdir().unwrap();
    let write = |keys: &[i64], numbers: &[f32], width: usize| {
        let path = folder.path().join("some.safetensors");
        let (keys, numbers): (&[u8], &[u8]) = (bytemuck::cast_slice(keys), bytemuck::cast_slice(numbers));
        let rows = keys.len() / 8;
        let view = |dtype, shape, bytes| safetensors::tensor::TensorView::new(dtype, shape, bytes).unwrap();
        let key = view(safetensors::Dtype::I64, vec![rows], keys);
        let value = view(safetensors::Dtype::F32, vec![rows, width], numbers);
        fs::write(&path, safetensors::serialize([("key", key), ("value", value)], None).unwrap()).unwrap();
        path
    };
    let message = read(&write(&[3, 4], &[1.0, f32::NAN], 1), "key", "value").unwrap_err().to_string();
    assert!(message.ends_with("expected finite numbers in the vector of `4`, found NaN"), "{message}");
    let message = read(&write(&[], &[], 2), "key", "value").unwrap_err().to_string();
    assert!(message.ends_with("expected at least one vector, found none"), "{message}");
}
