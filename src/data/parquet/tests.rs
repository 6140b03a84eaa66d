//! Parquet files of our own, of other writers, and damaged ones.

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
use crate::data::{ColumnRef, LabelConfig, Reader, RowBlock, Wanted, schema, split, tests::shared_data};

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
    let Some(folder) = shared_data().map(|shared| shared.join("parquet")) else {
        println!("skipped: there is no folder shared/data");
        return;
    };
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

#[test]
fn progress_grows_with_the_rows_to_the_files_size() {
    let rows = 20 * BATCH_ROWS;
    let label = Arc::new(Int8Array::from_iter_values((0..rows).map(|row| i8::from(row % 3 == 0))));
    let column = Arc::new(Int64Array::from_iter_values((0..rows).map(|row| i64::try_from(row).unwrap())));
    let (_folder, path) = written(vec![("label", label as ArrayRef), ("c", column)], Compression::UNCOMPRESSED);
    let inputs = vec![Input::File(path.clone())];
    let wanted = Wanted { schema: schema(&config(""), &inputs, &|_, kind| kind).unwrap(), ..Wanted::default() };
    let mut reader = Reader::open(&config(""), inputs, wanted).unwrap();
    let size = fs::metadata(&path).unwrap().len();
    assert_eq!((reader.bytes_total(), reader.bytes_read()), (Some(size), 0));
    let (mut last, mut steps) = (0, 0);
    while reader.next().unwrap().is_some() {
        let read = reader.bytes_read();
        assert!((last..=size).contains(&read), "{read} bytes behind {last}, of {size}");
        steps += u32::from(read > last);
        last = read;
    }
    assert_eq!(reader.bytes_read(), size);
    assert!(steps > 4, "{steps} steps");
}
