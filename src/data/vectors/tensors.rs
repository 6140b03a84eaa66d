//! safetensors: keys as whole numbers, or as rows of bytes (`U8`, `[keys, bytes]`) that zeros end, since it has no text.

use std::{fs, ops::ControlFlow};

use half::{bf16, f16};
use safetensors::{Dtype, SafeTensors, tensor::TensorView};

use super::{Each, VectorSource, text};
use crate::data::DataError;

pub(super) fn read(source: &VectorSource, each: &mut Each<'_>) -> Result<(), DataError> {
    source.open()?;
    let bytes = fs::read(&source.path).map_err(|error| DataError::Io { file: source.name(), source: error })?;
    let tensors =
        SafeTensors::deserialize(&bytes).map_err(|error| source.wrong("a safetensors file that can be read", error))?;
    let tensor = |name: &str| {
        let names = tensors.names().into_iter();
        tensors.tensor(name).map_err(|_| source.absent(name, names))
    };
    let keys = keys(source, &tensor(&source.key)?)?;
    let vectors = tensor(&source.vectors)?;
    let shape: Vec<u64> = vectors.shape().iter().map(|size| *size as u64).collect();
    let width = source.width(keys.len(), &shape)?;
    let numbers = numbers(source, &vectors)?;
    for (key, vector) in keys.iter().zip(numbers.chunks_exact(width)) {
        if each(key, vector) == ControlFlow::Break(()) {
            break;
        }
    }
    Ok(())
}

fn keys(source: &VectorSource, tensor: &TensorView<'_>) -> Result<Vec<Vec<u8>>, DataError> {
    let (data, shape) = (tensor.data(), tensor.shape());
    let keys = match (tensor.dtype(), shape) {
        (Dtype::I64, [_]) => of(data, |bytes| text(&i64::from_le_bytes(bytes))),
        (Dtype::I32, [_]) => of(data, |bytes| text(&i32::from_le_bytes(bytes))),
        (Dtype::I16, [_]) => of(data, |bytes| text(&i16::from_le_bytes(bytes))),
        (Dtype::U64, [_]) => of(data, |bytes| text(&u64::from_le_bytes(bytes))),
        (Dtype::U32, [_]) => of(data, |bytes| text(&u32::from_le_bytes(bytes))),
        (Dtype::U16, [_]) => of(data, |bytes| text(&u16::from_le_bytes(bytes))),
        (Dtype::U8, [_, width]) if *width > 0 => {
            let end = |row: &[u8]| row.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
            data.chunks_exact(*width).map(|row| row[..end(row)].to_vec()).collect()
        }
        (found, _) => {
            let expected = "keys that are whole numbers, or rows of bytes (U8, [keys, bytes]) that zeros end";
            return Err(source.wrong(expected, format_args!("{found:?} of shape {shape:?}")));
        }
    };
    Ok(keys)
}

fn numbers(source: &VectorSource, tensor: &TensorView<'_>) -> Result<Vec<f32>, DataError> {
    let data = tensor.data();
    match tensor.dtype() {
        Dtype::F32 => Ok(of(data, f32::from_le_bytes)),
        Dtype::F16 => Ok(of(data, |bytes| f16::from_le_bytes(bytes).to_f32())),
        Dtype::BF16 => Ok(of(data, |bytes| bf16::from_le_bytes(bytes).to_f32())),
        #[expect(clippy::cast_possible_truncation, reason = "weights are f32")]
        Dtype::F64 => Ok(of(data, |bytes| f64::from_le_bytes(bytes) as f32)),
        found => Err(source.wrong("vectors of floating-point numbers", format_args!("{found:?}"))),
    }
}

/// The numbers of `SIZE` bytes each that stand in `data`.
fn of<const SIZE: usize, T>(data: &[u8], number: impl Fn([u8; SIZE]) -> T) -> Vec<T> {
    data.as_chunks().0.iter().map(|bytes| number(*bytes)).collect()
}
