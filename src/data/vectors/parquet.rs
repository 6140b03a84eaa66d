//! Parquet: a column of keys, as a table's cells are, and a column of lists of floating-point numbers.

use std::{fmt::Display, ops::ControlFlow};

use arrow_array::{
    Array, ArrayRef, RecordBatch,
    cast::AsArray,
    types::{Float16Type, Float32Type, Float64Type},
};
use arrow_schema::{DataType, FieldRef};
use parquet::arrow::{ProjectionMask, arrow_reader::ParquetRecordBatchReader};

use super::{Each, VectorSource};
use crate::{
    data::{
        DataError,
        foreign::decoded,
        parquet::{begun, kind, write_value},
    },
    schema::FieldKind,
};

pub(super) fn read(source: &VectorSource, each: &mut Each<'_>) -> Result<(), DataError> {
    let (mut width, mut vector, mut key) = (None, Vec::new(), Vec::new());
    let mut reader = sound(source, decoded(|| open(source)))??;
    while let Some(batch) = sound(source, decoded(|| reader.next()))? {
        let batch: RecordBatch = batch.map_err(|error| damaged(source, &error))?;
        let column = |name: &str| batch.column_by_name(name).expect("the file is projected on both columns");
        let (keys, vectors) = (column(&source.key), column(&source.vectors));
        for row in 0..batch.num_rows() {
            key.clear();
            write_value(keys, row, &mut key);
            vector.clear();
            if let Err(found) = append_list(vectors, row, &mut vector) {
                let expected =
                    format!("a vector without missing numbers for the key `{}`", String::from_utf8_lossy(&key));
                return Err(source.wrong(expected, found));
            }
            let width = *width.get_or_insert(vector.len());
            if vector.len() != width || width == 0 {
                let expected = format!("vectors of one size in `{}`", source.vectors);
                return Err(source.wrong(expected, format_args!("{width} and {} numbers", vector.len())));
            }
            if each(&key, &vector) == ControlFlow::Break(()) {
                return Ok(());
            }
        }
    }
    Ok(())
}

/// The decoder panics on some damaged files, and gives nothing then.
fn sound<T>(source: &VectorSource, decoded: Option<T>) -> Result<T, DataError> {
    decoded.ok_or_else(|| damaged(source, &"damage"))
}

fn damaged(source: &VectorSource, error: &dyn Display) -> DataError {
    source.wrong("a Parquet file that can be read", error)
}

fn open(source: &VectorSource) -> Result<ParquetRecordBatchReader, DataError> {
    let builder = begun(source.open()?).map_err(|error| damaged(source, &error))?;
    let fields = builder.schema().fields().clone();
    let position = |name: &str, accepts: fn(&DataType) -> bool, expected: &str| {
        let names = fields.iter().map(|field| field.name().as_str());
        let position = fields.iter().position(|field| field.name() == name);
        let position = position.ok_or_else(|| source.absent(name, names))?;
        let field: &FieldRef = &fields[position];
        let found = field.data_type();
        let wrong = || source.wrong(format_args!("`{name}` to hold {expected}"), found);
        if accepts(found) { Ok(position) } else { Err(wrong()) }
    };
    let key = position(&source.key, is_key, "one value a row")?;
    let vectors = position(&source.vectors, is_vector, "lists of floating-point numbers")?;
    let mask = ProjectionMask::roots(builder.parquet_schema(), [key, vectors]);
    builder.with_projection(mask).build().map_err(|error| damaged(source, &error))
}

fn is_key(data_type: &DataType) -> bool {
    matches!(kind(data_type), Some(FieldKind::Categorical | FieldKind::Numeric))
}

fn is_vector(data_type: &DataType) -> bool {
    match data_type {
        DataType::List(item) | DataType::LargeList(item) | DataType::FixedSizeList(item, _) => {
            item.data_type().is_floating()
        }
        _ => false,
    }
}

/// Appends the numbers of a row's list.
fn append_list(lists: &ArrayRef, row: usize, out: &mut Vec<f32>) -> Result<(), &'static str> {
    if lists.is_null(row) {
        return Err("none");
    }
    let list = match lists.data_type() {
        DataType::List(_) => lists.as_list::<i32>().value(row),
        DataType::LargeList(_) => lists.as_list::<i64>().value(row),
        _ => lists.as_fixed_size_list().value(row),
    };
    if list.null_count() > 0 {
        return Err("one that is null");
    }
    match list.data_type() {
        DataType::Float32 => out.extend_from_slice(list.as_primitive::<Float32Type>().values()),
        #[expect(clippy::cast_possible_truncation, reason = "weights are f32")]
        DataType::Float64 => {
            out.extend(list.as_primitive::<Float64Type>().values().iter().map(|number| *number as f32));
        }
        _ => out.extend(list.as_primitive::<Float16Type>().values().iter().map(|number| number.to_f32())),
    }
    Ok(())
}
