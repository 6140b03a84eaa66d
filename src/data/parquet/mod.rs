//! Parquet: a column a column, lists as several values; a row's place is its number, the first being 1.
//!
//! Numbers are written in the fewest decimal digits that mean them, so that 1 and 1.0 are one category here as in text. Times are
//! written as ISO 8601 has them, in UTC. Columns of `data.drop` are not even decoded.

use std::fmt::Display;
use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use arrow_array::{
    Array, RecordBatch,
    cast::AsArray,
    temporal_conversions::{as_date, as_datetime, as_time},
    types::{
        ArrowPrimitiveType, ArrowTemporalType, Date32Type, Date64Type, Decimal32Type, Decimal64Type, Decimal128Type,
        Decimal256Type, DecimalType, Float16Type, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type, Int64Type,
        Time32MillisecondType, Time32SecondType, Time64MicrosecondType, Time64NanosecondType, TimestampMicrosecondType,
        TimestampMillisecondType, TimestampNanosecondType, TimestampSecondType, UInt8Type, UInt16Type, UInt32Type,
        UInt64Type,
    },
};
use arrow_schema::{DataType, TimeUnit};
use parquet::arrow::{
    ProjectionMask,
    arrow_reader::{ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder},
};

mod footer;
#[cfg(test)]
mod tests;

use super::{
    DataConfig, DataError, Format, Input,
    foreign::decoded,
    made::{self, Column, RowSource, RowWriter, Source, UNIT_SEPARATOR},
};
use crate::schema::FieldKind;

/// Rows that are decoded at a time.
const BATCH_ROWS: usize = 4096;

pub(super) const PARQUET: Format = Format {
    about: "Parquet files, whatever their codec; lists are several values",
    open: Some(open),
    records: made::RECORDS,
    fixed_names: None,
    head: made::head,
    sample: None,
    label: None,
    kind: |_| FieldKind::Categorical,
    split: made::split,
};

fn open(source: &Source, config: &DataConfig) -> Result<Box<dyn RowSource>, DataError> {
    let name = source.input.name();
    let wrong = |found: String| DataError::Parquet { file: Arc::clone(&name), found };
    let Input::File(path) = source.input else {
        return Err(wrong("standard input, which can't be read from its end on".into()));
    };
    let rows = decoded(|| Rows::open(path, &name, config, source.bytes_read))
        .unwrap_or_else(|| Err(wrong("damage".into())))?;
    Ok(Box::new(rows))
}

/// What is to be read of a file: the last word on it before its rows are decoded.
///
/// # Errors
/// What is there in place of a file that can be read.
pub(super) fn begun(mut file: File) -> Result<ParquetRecordBatchReaderBuilder<File>, String> {
    if !footer::is_countable(&mut file).map_err(|error| error.to_string())? {
        return Err("a footer with more entries than bytes".into());
    }
    ParquetRecordBatchReaderBuilder::try_new(file).map_err(|error| error.to_string())
}

struct Rows {
    file: Arc<str>,
    reader: ParquetRecordBatchReader,
    columns: Vec<Column>,
    /// Where each column stands in a batch; nowhere for those left out.
    positions: Vec<Option<usize>>,
    batch: Option<RecordBatch>,
    next: usize,
    row: u64,
    cell: Vec<u8>,
    progress: Progress,
}

/// How much of the file was read, by its rows: the decoder goes back and forth between its columns.
struct Progress {
    bytes_read: Arc<AtomicU64>,
    counted: u64,
    file_bytes: u64,
    /// As the footer has it.
    file_rows: u64,
    rows: u64,
}

impl Progress {
    fn add(&mut self, rows: usize) {
        self.rows += rows as u64;
        let share = self.rows as f64 / self.file_rows.max(self.rows) as f64;
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a share of the file's size")]
        self.count((self.file_bytes as f64 * share) as u64);
    }

    fn count(&mut self, bytes: u64) {
        self.bytes_read.fetch_add(bytes.saturating_sub(self.counted), Ordering::Relaxed);
        self.counted = bytes.max(self.counted);
    }
}

impl Rows {
    fn open(path: &Path, name: &Arc<str>, config: &DataConfig, bytes_read: &Arc<AtomicU64>) -> Result<Self, DataError> {
        let wrong = |error: &dyn Display| DataError::Parquet { file: Arc::clone(name), found: error.to_string() };
        let io = |source| DataError::Io { file: Arc::clone(name), source };
        let file = File::open(path).map_err(io)?;
        let file_bytes = file.metadata().map_err(io)?.len();
        let builder = begun(file).map_err(|error| wrong(&error))?;
        let file_rows = u64::try_from(builder.metadata().file_metadata().num_rows()).unwrap_or(0);
        let progress = Progress { bytes_read: Arc::clone(bytes_read), counted: 0, file_bytes, file_rows, rows: 0 };
        let (mut columns, mut positions, mut kept) = (Vec::new(), Vec::new(), Vec::new());
        for (number, field) in builder.schema().fields().iter().enumerate() {
            let left_out = config.drop.iter().any(|name| name == field.name());
            let kind = match kind(field.data_type()) {
                Some(kind) => kind,
                None if left_out => FieldKind::Categorical,
                None => {
                    let (column, found) = (field.name().clone(), described(field.data_type()));
                    return Err(DataError::ColumnType { file: Arc::clone(name), column, found });
                }
            };
            columns.push(Column { name: field.name().clone(), kind });
            positions.push((!left_out).then_some(kept.len()));
            if !left_out {
                kept.push(number);
            }
        }
        let mask = ProjectionMask::roots(builder.parquet_schema(), kept);
        let reader =
            builder.with_projection(mask).with_batch_size(BATCH_ROWS).build().map_err(|error| wrong(&error))?;
        let file = Arc::clone(name);
        Ok(Self { file, reader, columns, positions, batch: None, next: 0, row: 0, cell: Vec::new(), progress })
    }

    /// Decodes on where a batch is at its end; false where no row is left.
    fn has_row(&mut self) -> Result<bool, DataError> {
        while self.batch.as_ref().is_none_or(|batch| self.next == batch.num_rows()) {
            let (file, row) = (Arc::clone(&self.file), self.row);
            let damaged = |how: String| DataError::Parquet { file, found: format!("damage behind row {row}{how}") };
            self.batch = match decoded(|| self.reader.next()) {
                Some(None) => {
                    self.progress.count(self.progress.file_bytes);
                    return Ok(false);
                }
                Some(Some(Ok(batch))) => {
                    self.progress.add(batch.num_rows());
                    Some(batch)
                }
                Some(Some(Err(error))) => return Err(damaged(format!(" ({error})"))),
                None => return Err(damaged(String::new())),
            };
            self.next = 0;
        }
        Ok(true)
    }
}

impl RowSource for Rows {
    fn columns(&self) -> &[Column] {
        &self.columns
    }

    fn next_row(&mut self, row: &mut RowWriter) -> Result<bool, DataError> {
        if !self.has_row()? {
            return Ok(false);
        }
        let batch = self.batch.as_ref().expect("there is a row in it");
        self.row += 1;
        row.start(self.row);
        for position in &self.positions {
            self.cell.clear();
            if let Some(position) = position {
                write_value(batch.column(*position), self.next, &mut self.cell);
            }
            row.cell(&self.cell);
        }
        row.end();
        self.next += 1;
        Ok(true)
    }
}

/// What a column is before the features have their say: floating-point numbers and decimals are numbers, all else are
/// categories, since identifiers are whole numbers. None for types that no cell of a table holds.
pub(super) fn kind(data_type: &DataType) -> Option<FieldKind> {
    match data_type {
        DataType::Float16
        | DataType::Float32
        | DataType::Float64
        | DataType::Decimal32(..)
        | DataType::Decimal64(..)
        | DataType::Decimal128(..)
        | DataType::Decimal256(..) => Some(FieldKind::Numeric),
        DataType::Null
        | DataType::Boolean
        | DataType::Int8
        | DataType::Int16
        | DataType::Int32
        | DataType::Int64
        | DataType::UInt8
        | DataType::UInt16
        | DataType::UInt32
        | DataType::UInt64
        | DataType::Utf8
        | DataType::LargeUtf8
        | DataType::Utf8View
        | DataType::Binary
        | DataType::LargeBinary
        | DataType::BinaryView
        | DataType::FixedSizeBinary(_)
        | DataType::Date32
        | DataType::Date64
        | DataType::Time32(_)
        | DataType::Time64(_)
        | DataType::Timestamp(..) => Some(FieldKind::Categorical),
        DataType::Dictionary(_, values) => kind(values),
        DataType::List(item) | DataType::LargeList(item) | DataType::FixedSizeList(item, _) => {
            // a list of floating-point numbers is a vector, whose numbers mean nothing as categories
            (kind(item.data_type()) == Some(FieldKind::Categorical)).then_some(FieldKind::MultiValue)
        }
        _ => None,
    }
}

fn described(data_type: &DataType) -> String {
    match data_type {
        DataType::Struct(_) => "a struct".into(),
        DataType::Map(..) => "a map".into(),
        DataType::List(item) | DataType::LargeList(item) | DataType::FixedSizeList(item, _) => {
            format!("a list of {}", item.data_type())
        }
        other => other.to_string(),
    }
}

/// Writes the value of a row, nothing where it is null.
pub(super) fn write_value(array: &dyn Array, row: usize, out: &mut Vec<u8>) {
    if array.is_null(row) {
        return;
    }
    match array.data_type() {
        DataType::Null => {}
        DataType::Boolean => out.extend_from_slice(if array.as_boolean().value(row) { b"true" } else { b"false" }),
        DataType::Int8 => whole::<Int8Type>(array, row, out),
        DataType::Int16 => whole::<Int16Type>(array, row, out),
        DataType::Int32 => whole::<Int32Type>(array, row, out),
        DataType::Int64 => whole::<Int64Type>(array, row, out),
        DataType::UInt8 => whole::<UInt8Type>(array, row, out),
        DataType::UInt16 => whole::<UInt16Type>(array, row, out),
        DataType::UInt32 => whole::<UInt32Type>(array, row, out),
        DataType::UInt64 => whole::<UInt64Type>(array, row, out),
        DataType::Float16 => number(array.as_primitive::<Float16Type>().value(row).to_f32(), out),
        DataType::Float32 => number(array.as_primitive::<Float32Type>().value(row), out),
        DataType::Float64 => number(array.as_primitive::<Float64Type>().value(row), out),
        DataType::Decimal32(..) => decimal::<Decimal32Type>(array, row, out),
        DataType::Decimal64(..) => decimal::<Decimal64Type>(array, row, out),
        DataType::Decimal128(..) => decimal::<Decimal128Type>(array, row, out),
        DataType::Decimal256(..) => decimal::<Decimal256Type>(array, row, out),
        DataType::Utf8 => out.extend_from_slice(array.as_string::<i32>().value(row).as_bytes()),
        DataType::LargeUtf8 => out.extend_from_slice(array.as_string::<i64>().value(row).as_bytes()),
        DataType::Utf8View => out.extend_from_slice(array.as_string_view().value(row).as_bytes()),
        DataType::Binary => out.extend_from_slice(array.as_binary::<i32>().value(row)),
        DataType::LargeBinary => out.extend_from_slice(array.as_binary::<i64>().value(row)),
        DataType::BinaryView => out.extend_from_slice(array.as_binary_view().value(row)),
        DataType::FixedSizeBinary(_) => out.extend_from_slice(array.as_fixed_size_binary().value(row)),
        DataType::Date32 => shown(as_date::<Date32Type>(array.as_primitive::<Date32Type>().value(row).into()), out),
        DataType::Date64 => shown(as_date::<Date64Type>(array.as_primitive::<Date64Type>().value(row)), out),
        DataType::Time32(TimeUnit::Second) => time::<Time32SecondType>(array, row, out),
        DataType::Time32(_) => time::<Time32MillisecondType>(array, row, out),
        DataType::Time64(TimeUnit::Microsecond) => time::<Time64MicrosecondType>(array, row, out),
        DataType::Time64(_) => time::<Time64NanosecondType>(array, row, out),
        DataType::Timestamp(TimeUnit::Second, _) => timestamp::<TimestampSecondType>(array, row, out),
        DataType::Timestamp(TimeUnit::Millisecond, _) => timestamp::<TimestampMillisecondType>(array, row, out),
        DataType::Timestamp(TimeUnit::Microsecond, _) => timestamp::<TimestampMicrosecondType>(array, row, out),
        DataType::Timestamp(TimeUnit::Nanosecond, _) => timestamp::<TimestampNanosecondType>(array, row, out),
        DataType::Dictionary(..) => {
            let dictionary = array.as_any_dictionary();
            write_value(dictionary.values(), dictionary.normalized_keys()[row], out);
        }
        DataType::List(_) => values(&*array.as_list::<i32>().value(row), out),
        DataType::LargeList(_) => values(&*array.as_list::<i64>().value(row), out),
        DataType::FixedSizeList(..) => values(&*array.as_fixed_size_list().value(row), out),
        other => unreachable!("a column of {other} is refused when the file is opened"),
    }
}

/// The values of a list, missing ones left out.
fn values(list: &dyn Array, out: &mut Vec<u8>) {
    for item in 0..list.len() {
        if item > 0 {
            out.push(UNIT_SEPARATOR);
        }
        write_value(list, item, out);
    }
}

fn whole<T: ArrowPrimitiveType<Native: Display>>(array: &dyn Array, row: usize, out: &mut Vec<u8>) {
    shown(Some(array.as_primitive::<T>().value(row)), out);
}

/// NaN is missing.
fn number<T: Display + PartialEq>(value: T, out: &mut Vec<u8>) {
    #[expect(clippy::eq_op, reason = "NaN alone differs from itself")]
    let is_number = value == value;
    shown(is_number.then_some(value), out);
}

fn decimal<T: DecimalType>(array: &dyn Array, row: usize, out: &mut Vec<u8>) {
    shown(Some(array.as_primitive::<T>().value_as_string(row)), out);
}

fn time<T: ArrowTemporalType<Native: Into<i64>>>(array: &dyn Array, row: usize, out: &mut Vec<u8>) {
    shown(as_time::<T>(array.as_primitive::<T>().value(row).into()), out);
}

fn timestamp<T: ArrowTemporalType<Native: Into<i64>>>(array: &dyn Array, row: usize, out: &mut Vec<u8>) {
    let time = as_datetime::<T>(array.as_primitive::<T>().value(row).into());
    shown(time.map(|time| time.format("%Y-%m-%dT%H:%M:%S%.f")), out);
}

/// Nothing for what can't be named, as times beyond all calendars.
fn shown(value: Option<impl Display>, out: &mut Vec<u8>) {
    if let Some(value) = value {
        write!(out, "{value}").expect("a buffer takes all text");
    }
}
