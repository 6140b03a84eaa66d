//! Writes inputs that no text editor makes, as files to start from, to the folder of `SECN_SEEDS`; a fuzz target by its form
//! alone, since the instrumented readers link with nothing else.
#![no_main]

use std::{fs, path::Path, sync::Arc};

use arrow_array::{
    ArrayRef, BooleanArray, Date32Array, Decimal128Array, DictionaryArray, Float64Array, Int64Array, RecordBatch,
    StringArray, TimestampMicrosecondArray,
    builder::{Int64Builder, ListBuilder},
    types::Int32Type,
};
use libfuzzer_sys::fuzz_target;
use parquet::{
    arrow::ArrowWriter,
    basic::{Compression, ZstdLevel},
    file::properties::WriterProperties,
};
use secn_fuzz::{
    data::DataConfig,
    features::{FeaturesConfig, prepare},
    seed::Seed,
};

const CSV: &[u8] = b"label,x,y\n1,a,b\n0,c,\n";

fuzz_target!(|_bytes: &[u8]| {
    write();
    std::process::exit(0);
});

fn write() {
    let folder = std::env::var("SECN_SEEDS").expect("`SECN_SEEDS` is a folder to write to");
    let folder = Path::new(&folder);
    for reader in ["packed", "parquet", "vocabulary", "cache"] {
        fs::create_dir_all(folder.join(reader)).expect("the folder can be written to");
    }
    let frame = zstd::encode_all(CSV, 1).expect("memory takes all");
    fs::write(folder.join("packed/zstd"), &frame).expect("the folder can be written to");
    fs::write(folder.join("packed/zstd-cut"), &frame[..frame.len() - 3]).expect("the folder can be written to");
    parquet_files(&folder.join("parquet"));
    prepared(folder);
}

fn parquet_files(folder: &Path) {
    let mut lists = ListBuilder::new(Int64Builder::new());
    lists.append_value([Some(3), None, Some(7)]);
    lists.append_null();
    let decimals = Decimal128Array::from(vec![Some(1250), None]);
    let label: ArrayRef = Arc::new(BooleanArray::from(vec![true, false]));
    let columns: Vec<(&str, ArrayRef)> = vec![
        ("int", Arc::new(Int64Array::from(vec![Some(-5), None]))),
        ("float", Arc::new(Float64Array::from(vec![Some(1.0), Some(f64::NAN)]))),
        ("decimal", Arc::new(decimals.with_precision_and_scale(9, 2).expect("a sound precision"))),
        ("text", Arc::new(StringArray::from(vec!["a, \"b\"\n", ""]))),
        ("dictionary", Arc::new(["p", "q"].into_iter().collect::<DictionaryArray<Int32Type>>())),
        ("date", Arc::new(Date32Array::from(vec![0, 16_364]))),
        ("time", Arc::new(TimestampMicrosecondArray::from(vec![0, 1_413_896_759_250_000]))),
        ("list", Arc::new(lists.finish())),
    ];
    for (name, column) in columns {
        for (ending, compression) in [
            ("", Compression::UNCOMPRESSED),
            ("-snappy", Compression::SNAPPY),
            ("-zstd", Compression::ZSTD(ZstdLevel::default())),
        ] {
            let columns = [("label", Arc::clone(&label), true), (name, Arc::clone(&column), true)];
            let batch = RecordBatch::try_from_iter_with_nullable(columns).expect("columns of one length");
            let properties = WriterProperties::builder().set_compression(compression).build();
            let mut bytes = Vec::new();
            let mut writer =
                ArrowWriter::try_new(&mut bytes, batch.schema(), Some(properties)).expect("a sound schema");
            writer.write(&batch).expect("memory takes all");
            writer.close().expect("memory takes all");
            fs::write(folder.join(format!("{name}{ending}")), bytes).expect("the folder can be written to");
        }
    }
}

/// The vocabulary and the cache of a few rows under several settings.
fn prepared(folder: &Path) {
    let rows = "label,x,y,n,g,w\n1,a,p,1.5,u,1\n0,b,,2,u,2\n1,a,q|p,?,v,0.5\n0,a,p,-3,v,1\n";
    let settings = [
        ("plain", "", "min_count = 1"),
        ("buckets", "group = \"g\"\nweight = \"w\"", "fields.n.numeric = \"log2-bucket\""),
        ("scaled", "", "fields.n.numeric = \"standardize\""),
        ("quantile", "", "fields.n.numeric = \"quantile:4\""),
        ("piecewise", "", "fields.n.numeric = \"piecewise:4\""),
        ("many", "", "fields.y = { separator = \"|\", pooling = \"mean\" }"),
        ("hashed", "", "vocabulary = { hash = 64 }"),
        ("cross", "", "min_count = 1\ncross = [[\"x\", \"y\"]]"),
        ("counts", "", "min_count = 1\n[features.counts]"),
        ("statistics", "", "min_count = 1\n[features.target_statistics]"),
    ];
    for (name, data, features) in settings {
        let work = tempfile::tempdir().expect("a temporary folder can be made");
        let path = work.path().join("rows.csv");
        fs::write(&path, rows).expect("the folder can be written to");
        let data = format!(
            "[data]\nformat = \"csv\"\ntrain = [{path:?}]\ncache = {:?}\nmissing = [\"?\"]\n{data}\n",
            work.path().join("cache")
        );
        let text = format!("{data}[features]\n{features}\n");
        if let Err(error) = prepare_one(&text, folder, work.path(), name) {
            eprintln!("{name}: {error}");
        }
    }
}

fn prepare_one(text: &str, folder: &Path, work: &Path, name: &str) -> Result<(), Box<dyn std::error::Error>> {
    #[derive(serde::Deserialize)]
    struct Both {
        data: DataConfig,
        features: FeaturesConfig,
    }
    let Both { data, features } = toml::from_str(text)?;
    let shown = text.replace(&*work.to_string_lossy(), "folder");
    fs::create_dir_all(folder.join("config"))?;
    fs::write(folder.join("config").join(name), shown)?;
    prepare(&data, &features, Seed(1), &mut |_| {})?;
    for file in walk(work) {
        match file.file_name().and_then(|name| name.to_str()) {
            Some("vocabulary.arrow") => fs::copy(&file, folder.join("vocabulary").join(name))?,
            Some("train.arrow") => fs::copy(&file, folder.join("cache").join(name))?,
            _ => 0,
        };
    }
    Ok(())
}

fn walk(folder: &Path) -> Vec<std::path::PathBuf> {
    let entries = fs::read_dir(folder).expect("the folder can be read").flatten().map(|entry| entry.path());
    entries.flat_map(|path| if path.is_dir() { walk(&path) } else { vec![path] }).collect()
}
