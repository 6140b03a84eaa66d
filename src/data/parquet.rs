//! Parquet: a column a column, lists as several values; a row's place is its number, the first being 1.
//!
//! Numbers are written in the fewest decimal digits that mean them, so that 1 and 1.0 are one category here as in text. Times are
//! written as ISO 8601 has them, in UTC. Columns of `data.drop` are not even decoded.

use std::fmt::Display;
use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::sync::Arc;

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

use super::{
    DataConfig, DataError, Format, Input,
    foreign::decoded,
    made::{self, Column, RowSource, RowWriter, Source, UNIT_SEPARATOR},
    parquet_footer,
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
    let rows = decoded(|| Rows::open(path, &name, config)).unwrap_or_else(|| Err(wrong("damage".into())))?;
    Ok(Box::new(rows))
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
}

impl Rows {
    fn open(path: &Path, name: &Arc<str>, config: &DataConfig) -> Result<Self, DataError> {
        let wrong = |error: &dyn Display| DataError::Parquet { file: Arc::clone(name), found: error.to_string() };
        let io = |source| DataError::Io { file: Arc::clone(name), source };
        let mut file = File::open(path).map_err(io)?;
        if !parquet_footer::is_countable(&mut file).map_err(io)? {
            return Err(wrong(&"a footer with more entries than bytes"));
        }
        let builder = ParquetRecordBatchReaderBuilder::try_new(file).map_err(|error| wrong(&error))?;
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
        Ok(Self { file, reader, columns, positions, batch: None, next: 0, row: 0, cell: Vec::new() })
    }

    /// Decodes on where a batch is at its end; false where no row is left.
    fn has_row(&mut self) -> Result<bool, DataError> {
        while self.batch.as_ref().is_none_or(|batch| self.next == batch.num_rows()) {
            let (file, row) = (Arc::clone(&self.file), self.row);
            let damaged = |how: String| DataError::Parquet { file, found: format!("damage behind row {row}{how}") };
            self.batch = match decoded(|| self.reader.next()) {
                Some(None) => return Ok(false),
                Some(Some(Ok(batch))) => Some(batch),
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

#[cfg(test)]
mod tests {
    use std::fs;

    use arrow_array::{
        ArrayRef, BinaryArray, BooleanArray, Date32Array, Decimal128Array, DictionaryArray, Float64Array, Int8Array,
        Int64Array, ListArray, NullArray, StringArray, StructArray, TimestampMicrosecondArray, UInt64Array,
        types::Int32Type as Key,
    };
    use parquet::{
        arrow::ArrowWriter,
        basic::{BrotliLevel, Compression, GzipLevel, ZstdLevel},
        file::properties::WriterProperties,
    };

    use super::*;
    use crate::data::{ColumnRef, LabelConfig, Reader, RowBlock, Wanted, schema, split};

    fn written(columns: Vec<(&str, ArrayRef)>, compression: Compression) -> (tempfile::TempDir, std::path::PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("rows.parquet");
        let columns = columns.into_iter().map(|(name, column)| (name, column, true));
        let batch = RecordBatch::try_from_iter_with_nullable(columns).unwrap();
        let properties = WriterProperties::builder().set_compression(compression).build();
        let mut writer = ArrowWriter::try_new(File::create(&path).unwrap(), batch.schema(), Some(properties)).unwrap();
        writer.write(&batch).unwrap();
        writer.close().unwrap();
        (folder, path)
    }

    fn config(rest: &str) -> DataConfig {
        toml::from_str(&format!("format = \"parquet\"\ntrain = [\"-\"]\n{rest}")).unwrap()
    }

    type Cells = Vec<(u8, Vec<String>, u64)>;

    fn read(config: &DataConfig, path: &Path) -> Result<(Vec<(String, FieldKind)>, Cells), DataError> {
        let inputs = vec![Input::File(path.to_owned())];
        let schema = schema(config, &inputs, &|_, kind| kind)?;
        let fields = schema.fields.iter().map(|field| (field.name.clone(), field.kind)).collect();
        let count = schema.len();
        let label = Some(config.label.column.clone());
        let wanted = Wanted { schema, label, label_required: true, ..Wanted::default() };
        let mut reader = Reader::open(config, inputs, wanted)?;
        let (mut block, mut rows) = (RowBlock::default(), Vec::new());
        while let Some(raw) = reader.next()? {
            split(raw, &mut block)?;
            for row in 0..block.rows() {
                let cell = |field| String::from_utf8_lossy(block.cell(row, field)).replace('\u{1f}', "|");
                rows.push((block.label(row), (0..count).map(cell).collect(), block.place(row).line));
            }
        }
        Ok((fields, rows))
    }

    #[test]
    fn every_type_becomes_the_text_that_a_table_has() {
        let mut lists = arrow_array::builder::ListBuilder::new(arrow_array::builder::Int64Builder::new());
        lists.append_value([Some(3), None, Some(7)]);
        lists.append_null();
        let lists: ListArray = lists.finish();
        let decimals = Decimal128Array::from(vec![Some(1250), None]).with_precision_and_scale(9, 2).unwrap();
        let columns: Vec<(&str, ArrayRef)> = vec![
            ("label", Arc::new(BooleanArray::from(vec![true, false]))),
            ("int", Arc::new(Int64Array::from(vec![Some(-5), None]))),
            ("small", Arc::new(Int8Array::from(vec![1, 2]))),
            ("large", Arc::new(UInt64Array::from(vec![u64::MAX, 0]))),
            ("float", Arc::new(Float64Array::from(vec![Some(1.0), Some(f64::NAN)]))),
            ("decimal", Arc::new(decimals)),
            ("text", Arc::new(StringArray::from(vec!["a, \"b\"\n", ""]))),
            ("bytes", Arc::new(BinaryArray::from_vec(vec![b"\xff", b"x"]))),
            ("dictionary", Arc::new(["p", "q"].into_iter().collect::<DictionaryArray<Key>>())),
            ("date", Arc::new(Date32Array::from(vec![0, 16_364]))),
            ("time", Arc::new(TimestampMicrosecondArray::from(vec![0, 1_413_896_759_250_000]))),
            ("list", Arc::new(lists)),
            ("none", Arc::new(NullArray::new(2))),
        ];
        let (_folder, path) = written(columns, Compression::SNAPPY);
        let (fields, rows) = read(&config(""), &path).unwrap();
        let first = ["-5", "1", "18446744073709551615", "1", "12.5", "a, \"b\"", "\u{fffd}", "p", "1970-01-01"];
        assert_eq!(rows[0].1[..9], first);
        assert_eq!(rows[0].1[9..], ["1970-01-01T00:00:00", "3||7", ""]);
        let second = ["", "2", "0", "", "", "", "x", "q", "2014-10-21", "2014-10-21T13:05:59.250", "", ""];
        assert_eq!(rows[1].1, second);
        assert_eq!((rows[0].0, rows[1].0, rows[0].2, rows[1].2), (1, 0, 1, 2));
        let kinds: Vec<FieldKind> = fields.iter().map(|(_, kind)| *kind).collect();
        let numeric = kinds.iter().filter(|kind| **kind == FieldKind::Numeric).count();
        assert_eq!((numeric, kinds[3], kinds[10]), (2, FieldKind::Numeric, FieldKind::MultiValue));
    }

    #[test]
    fn every_codec_is_read_over_several_batches() {
        for compression in [
            Compression::UNCOMPRESSED,
            Compression::SNAPPY,
            Compression::GZIP(GzipLevel::default()),
            Compression::BROTLI(BrotliLevel::default()),
            Compression::ZSTD(ZstdLevel::default()),
            Compression::LZ4_RAW,
        ] {
            let rows = 2 * i64::try_from(BATCH_ROWS).unwrap() + 3;
            let columns: Vec<(&str, ArrayRef)> = vec![
                ("x", Arc::new(Int64Array::from_iter_values(0..rows))),
                ("y", Arc::new(Int64Array::from_iter_values((0..rows).map(|row| row % 2)))),
            ];
            let (_folder, path) = written(columns, compression);
            let (_, found) = read(&config("label = 1\n"), &path).unwrap();
            assert_eq!(i64::try_from(found.len()), Ok(rows), "{compression:?}");
            let (label, cells, line) = found.last().unwrap();
            assert_eq!((*label, cells[0].as_str(), *line), (0, "8194", 8195), "{compression:?}");
        }
    }

    #[test]
    fn what_is_no_cell_is_refused_by_name_unless_it_is_left_out() {
        let label: ArrayRef = Arc::new(Int64Array::from(vec![1, 0]));
        let x: ArrayRef = Arc::new(StringArray::from(vec!["a", "b"]));
        let inner = RecordBatch::try_from_iter([("a", Arc::clone(&label))]).unwrap();
        let mut vectors = arrow_array::builder::ListBuilder::new(arrow_array::builder::Float64Builder::new());
        vectors.append_value([Some(0.5)]);
        vectors.append_value([Some(1.5)]);
        let columns: Vec<(&str, ArrayRef)> = vec![
            ("label", label),
            ("x", x),
            ("inner", Arc::new(StructArray::from(inner))),
            ("vectors", Arc::new(vectors.finish())),
        ];
        let (_folder, path) = written(columns, Compression::SNAPPY);
        let error = read(&config(""), &path).unwrap_err();
        assert!(error.to_string().ends_with("column `inner`: expected values, or lists of categories, found a struct"));
        assert!(error.hint().unwrap().contains("`data.drop = [\"inner\"]`"));
        let error = read(&config("drop = [\"inner\"]\n"), &path).unwrap_err().to_string();
        assert!(error.contains("column `vectors`") && error.contains("a list of Float64"), "{error}");
        let (fields, rows) = read(&config("drop = [\"inner\", \"vectors\"]\n"), &path).unwrap();
        assert_eq!((fields.len(), rows.len(), rows[1].1[0].as_str()), (1, 2, "b"));
    }

    #[test]
    fn a_wrong_label_is_told_with_its_row() {
        let columns: Vec<(&str, ArrayRef)> = vec![
            ("label", Arc::new(Int64Array::from(vec![1, 0, 3]))),
            ("x", Arc::new(StringArray::from(vec!["a", "b", "c"]))),
        ];
        let (_folder, path) = written(columns, Compression::SNAPPY);
        let error = read(&config(""), &path).unwrap_err().to_string();
        assert!(error.ends_with("rows.parquet:3, field `label`: expected 0 or 1, found `3`"), "{error}");
    }

    /// Neither cut nor changed bytes make a panic: each is an error with the file's name, or rows.
    #[test]
    fn damaged_files_are_told() {
        let rows = 500;
        let columns: Vec<(&str, ArrayRef)> = vec![
            ("label", Arc::new(Int64Array::from_iter_values((0..rows).map(|row| row % 2)))),
            ("x", Arc::new(StringArray::from_iter_values((0..rows).map(|row| format!("v{}", row % 37))))),
            ("y", Arc::new(Float64Array::from_iter_values((0..rows).map(|row| row as f64 / 7.0)))),
        ];
        let (_folder, path) = written(columns, Compression::SNAPPY);
        let whole = fs::read(&path).unwrap();
        for end in [0, 3, 4, 11, whole.len() / 2, whole.len() - 9, whole.len() - 1] {
            fs::write(&path, &whole[..end]).unwrap();
            let error = read(&config(""), &path).unwrap_err();
            assert!(error.to_string().contains("rows.parquet: expected a Parquet file that can be read"), "{error}");
            assert!(error.hint().is_some());
        }
        let mut outcomes = [0, 0];
        for turn in 0..400_u64 {
            let mut bytes = whole.clone();
            for change in 0..=(turn % 4) {
                let draw = crate::seed::mix(turn, change);
                let position = usize::try_from(draw % bytes.len() as u64).unwrap();
                bytes[position] = draw.to_be_bytes()[0];
            }
            fs::write(&path, &bytes).unwrap();
            outcomes[usize::from(read(&config(""), &path).is_ok())] += 1;
        }
        assert!(outcomes[0] > 50, "{outcomes:?}");
    }

    /// Every shared file with a label of two values; those without one are told.
    #[test]
    fn files_of_other_writers_are_read() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/data/parquet");
        if !folder.exists() {
            println!("skipped: {} is not there", folder.display());
            return;
        }
        for (name, rest, rows, positives) in [
            ("adult.brotli.parquet", "label = \"income\"\npositive = \">50K\"\nmissing = [\"?\"]\n", 48_842, 11_687),
            ("MovieLens100k_data.brotli.parquet", "label = { column = \"rating\", at_least = 4 }\n", 100_000, 55_375),
            ("fuxictr_avazu_custom_train.parquet", "label = \"click\"\n", 1_000, 174),
            ("fuxictr_avazu_custom_valid.parquet", "label = \"click\"\n", 1_000, 177),
            ("fuxictr_avazu_custom_test.parquet", "label = \"click\"\n", 1_000, 187),
            ("fuxictr_tiny_train.parquet", "label = \"clk\"\n", 100, 4),
            ("fuxictr_tiny_emb_train.parquet", "label = \"label\"\ndrop = [\"feat3\"]\n", 100, 3),
            ("taxi_simple.snappy.parquet", "label = { column = \"trip_duration\", at_least = 600 }\n", 10_000, -1),
        ] {
            let (fields, found) = read(&config(rest), &folder.join(name)).unwrap_or_else(|error| panic!("{error}"));
            let clicked = found.iter().map(|row| i64::from(row.0)).sum::<i64>();
            assert_eq!(found.len(), rows, "{name}");
            assert!(positives < 0 || clicked == positives, "{name}: {clicked}");
            assert!(fields.len() >= 2, "{name}: {fields:?}");
        }
        let refused = |name: &str, rest: &str| read(&config(rest), &folder.join(name)).unwrap_err().to_string();
        assert!(refused("fuxictr_tiny_emb_train.parquet", "").contains("column `feat3`"));
        let message = refused("jd_flattenRequest_clean.parquet", "");
        assert!(message.contains("expected a column `label`"), "{message}");
        let message = refused("MovieLens100k_data.brotli.parquet", "label = \"rating\"\n");
        assert!(message.contains("field `rating`: expected 0 or 1"), "{message}");
        let label = LabelConfig { column: ColumnRef::Name("clk".into()), at_least: None };
        assert_eq!(config("label = \"clk\"\n").label, label);
    }
}
