//! Tensors on their way into a checkpoint's files and out of them, as the table stores them.

use std::borrow::Cow;

use safetensors::{
    Dtype, SafeTensorError, SafeTensors,
    tensor::{TensorView, View},
};

use super::dense::Weight;
use crate::embedding::{Storage, Table};

/// A tensor that is written.
pub(super) enum Saved<'a> {
    Weight(Weight),
    Part(TablePart<'a>),
    Marks(TableMarks<'a>),
}

/// A part of a table, as [`Table::part`] counts them.
pub(super) struct TablePart<'a> {
    pub(super) name: String,
    pub(super) table: &'a Table,
    pub(super) part: usize,
    /// `[rows, dim]`
    pub(super) shape: [usize; 2],
}

/// One number a row, made when it is written.
pub(super) struct TableMarks<'a> {
    pub(super) name: String,
    pub(super) table: &'a Table,
    pub(super) marks: fn(&Table) -> Vec<f32>,
    /// `[rows]`
    pub(super) shape: [usize; 1],
}

impl Saved<'_> {
    pub(super) fn name(&self) -> String {
        match self {
            Self::Weight(weight) => weight.name.clone(),
            Self::Part(part) => part.name.clone(),
            Self::Marks(marks) => marks.name.clone(),
        }
    }
}

impl View for Saved<'_> {
    fn dtype(&self) -> Dtype {
        match self {
            Self::Part(part) if part.table.storage() == Storage::Bf16 => Dtype::BF16,
            Self::Weight(_) | Self::Part(_) | Self::Marks(_) => Dtype::F32,
        }
    }

    fn shape(&self) -> &[usize] {
        match self {
            Self::Weight(weight) => &weight.shape,
            Self::Part(part) => &part.shape,
            Self::Marks(marks) => &marks.shape,
        }
    }

    fn data(&self) -> Cow<'_, [u8]> {
        match self {
            Self::Weight(weight) => bytemuck::cast_slice(&weight.values).into(),
            Self::Part(part) => part.table.part_bytes(part.part).into(),
            Self::Marks(marks) => bytemuck::pod_collect_to_vec(&(marks.marks)(marks.table)).into(),
        }
    }

    fn data_len(&self) -> usize {
        match self {
            Self::Weight(weight) => size_of_val(&*weight.values),
            Self::Part(part) => part.shape.iter().product::<usize>() * part.table.storage().bytes(),
            Self::Marks(marks) => marks.shape[0] * size_of::<f32>(),
        }
    }
}

/// The tensors of a table, read from a checkpoint.
pub(super) struct Parts {
    bytes: Vec<u8>,
}

impl Parts {
    pub(super) fn new(bytes: Vec<u8>) -> Result<Self, SafeTensorError> {
        SafeTensors::deserialize(&bytes)?;
        Ok(Self { bytes })
    }

    /// Whether there is a tensor of this name.
    pub(super) fn has(&self, name: &str) -> bool {
        self.tensors().tensor(name).is_ok()
    }

    /// Puts a tensor of the table's shape in the place of its part.
    pub(super) fn fill(&self, name: &str, table: &mut Table, part: usize) -> Result<(), String> {
        let tensors = self.tensors();
        let tensor = found(&tensors, name, &[table.rows(), table.dim()])?;
        match tensor.dtype() {
            Dtype::F32 => {
                table.set_part(part, numbers(tensor.data(), f32::from_le_bytes));
            }
            Dtype::BF16 => {
                table.set_part(part, numbers(tensor.data(), |bytes| half::bf16::from_le_bytes(bytes).to_f32()));
            }
            other => return Err(format!("table `{name}`: expected values of type F32 or BF16, found {other:?}")),
        }
        Ok(())
    }

    /// The values of a tensor that has one a row.
    pub(super) fn marks(&self, name: &str, rows: usize) -> Result<Vec<f32>, String> {
        let tensors = self.tensors();
        let tensor = found(&tensors, name, &[rows])?;
        match tensor.dtype() {
            Dtype::F32 => Ok(numbers(tensor.data(), f32::from_le_bytes).collect()),
            other => Err(format!("table `{name}`: expected values of type F32, found {other:?}")),
        }
    }

    fn tensors(&self) -> SafeTensors<'_> {
        SafeTensors::deserialize(&self.bytes).expect("it was deserialized when it was read")
    }
}

fn found<'a>(tensors: &SafeTensors<'a>, name: &str, shape: &[usize]) -> Result<TensorView<'a>, String> {
    let tensor = tensors.tensor(name).map_err(|_| format!("expected a table `{name}`, found none"))?;
    if tensor.shape() != shape {
        return Err(format!("table `{name}`: expected shape {shape:?}, found {:?}", tensor.shape()));
    }
    Ok(tensor)
}

fn numbers<const SIZE: usize>(data: &[u8], number: impl Fn([u8; SIZE]) -> f32) -> impl Iterator<Item = f32> {
    data.as_chunks().0.iter().map(move |bytes| number(*bytes))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::embedding::EmbeddingConfig;

    /// 1 + 1/128 is what both hold. A table takes the numbers of either file.
    #[test]
    fn a_tables_parts_come_back_in_the_bytes_of_its_storage() {
        let table = |storage| {
            let config = EmbeddingConfig { storage, ..EmbeddingConfig::default() };
            Table::new(&[0..2, 2..3], 2, &config, |_| {})
        };
        let numbers = [1.0 + 1.0 / 128.0, -2.0, 0.0, 0.5, -0.25, 3.0];
        for (storage, bytes) in [(Storage::F32, 24), (Storage::Bf16, 12)] {
            let mut written = table(storage);
            written.set_part(1, numbers);
            let part = TablePart { name: "vectors".to_owned(), table: &written, part: 1, shape: [3, 2] };
            let file = safetensors::serialize([("vectors", Saved::Part(part))], None).unwrap();
            let parts = Parts::new(file).unwrap();
            assert_eq!(found(&parts.tensors(), "vectors", &[3, 2]).unwrap().data().len(), bytes);
            for storage in [Storage::F32, Storage::Bf16] {
                let mut read = table(storage);
                parts.fill("vectors", &mut read, 1).unwrap();
                assert_eq!(read.part(1), numbers);
                assert!(parts.fill("linear", &mut read, 1).unwrap_err().contains("expected a table `linear`"));
            }
        }
    }
}
