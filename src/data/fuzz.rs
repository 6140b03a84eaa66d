//! What holds for every reader whatever bytes it is given: the fuzzer in `fuzz/` looks for inputs that break it, and
//! `fuzz_tests.rs` replays those that it kept in `tests/corpus`.

use std::{
    fs,
    path::{Path, PathBuf},
};

use super::{
    DataConfig, DataError, FormatName, Input, OnBadRow, Reader, RowBlock, Wanted, beginning, columns, look, schema,
    split,
};
use crate::schema::FieldKind;

/// Parts the files of one AutoML set in one input; the names of these files, in order.
const NEXT_FILE: u8 = 0x1E;
const AUTOML_FILES: [&str; 4] = ["set_train.data", "set_train.solution", "set_feat.type", "set_public.info"];
/// The whole input at once, a byte at a time, and parts of rows; longer inputs take longer blocks, since a record that is cut
/// is looked at again from its start.
const BLOCK_BYTES: [usize; 4] = [1 << 18, 1, 7, 61];

/// The names that [`check_reader`] takes: each format, `packed` (CSV in gzip or zstd) and `look` (what `secn check` reads).
pub fn readers() -> impl Iterator<Item = &'static str> {
    FormatName::ALL.iter().map(|format| format.as_str()).chain(["packed", "look"])
}

/// Reads `bytes` as a file in `folder` and gives what happened: the number of rows, or the error without its numbers.
///
/// # Panics
/// Where the rows or the error depend on how the bytes are cut, an error doesn't name the file, or a row lacks cells.
pub fn check_reader(name: &str, folder: &Path, bytes: &[u8]) -> String {
    let format = FormatName::ALL.iter().find(|format| format.as_str() == name).copied();
    let path = write(format, folder, bytes);
    if name == "look" {
        return check_look(folder, &path);
    }
    let mut outcome = String::new();
    for on_bad_row in [OnBadRow::Fail, OnBadRow::Skip] {
        let config = config(format.unwrap_or(FormatName::Csv), on_bad_row);
        let found = BLOCK_BYTES.map(|block_bytes| match read(&config, &path, block_bytes.max(bytes.len() / 256)) {
            Ok(read) => Ok(read),
            Err(error) => Err(told(&error, folder)),
        });
        for (other, block_bytes) in found.iter().zip(BLOCK_BYTES).skip(1) {
            assert_eq!(&found[0], other, "{name}, {on_bad_row:?}: blocks of {block_bytes} bytes give something else");
        }
        let kind = found[0].as_ref().map_or_else(|error| without_digits(error), |read| read.rows.len().to_string());
        outcome = format!("{outcome}{kind}\n");
    }
    outcome
}

fn write(format: Option<FormatName>, folder: &Path, bytes: &[u8]) -> PathBuf {
    if format != Some(FormatName::Automl) {
        let path = folder.join("rows");
        fs::write(&path, bytes).expect("the folder can be written to");
        return path;
    }
    let mut parts = bytes.split(|byte| *byte == NEXT_FILE);
    for name in AUTOML_FILES {
        let path = folder.join(name);
        match parts.next() {
            Some(part) => fs::write(&path, part).expect("the folder can be written to"),
            None if path.exists() => fs::remove_file(&path).expect("the folder can be written to"),
            None => {}
        }
    }
    folder.join(AUTOML_FILES[0])
}

fn config(format: FormatName, on_bad_row: OnBadRow) -> DataConfig {
    let text = format!("format = \"{}\"\ntrain = [\"-\"]\nmissing = [\"?\"]\n", format.as_str());
    let mut config: DataConfig = toml::from_str(&text).expect("the config is sound");
    config.on_bad_row = on_bad_row;
    config
}

/// All that a reader gives.
#[derive(Debug, PartialEq)]
struct Read {
    rows: Vec<Row>,
    skipped: u64,
}

#[derive(Debug, PartialEq)]
struct Row {
    label: u8,
    cells: Vec<Vec<u8>>,
    /// The numbers' bits, since NaN equals nothing.
    numbers: Vec<u64>,
    line: u64,
}

fn read(config: &DataConfig, path: &Path, block_bytes: usize) -> Result<Read, DataError> {
    let inputs = vec![Input::File(path.to_owned())];
    let schema = schema(config, &inputs, &|_, kind| kind)?;
    let kinds: Vec<FieldKind> = schema.fields.iter().map(|field| field.kind).collect();
    let label = Some(config.label.column.clone());
    let wanted = Wanted { schema, label, label_required: true, ..Wanted::default() };
    let mut reader = Reader::with_block_bytes(config, inputs, wanted, block_bytes)?;
    let (mut block, mut read) = (RowBlock::default(), Read { rows: Vec::new(), skipped: 0 });
    while let Some(raw) = reader.next()? {
        split(raw, &mut block)?;
        read.skipped += block.skipped();
        for field in 0..kinds.len() {
            assert_eq!(block.cells(field, 0..block.rows()).count(), block.rows(), "a row lacks field {field}");
        }
        for row in 0..block.rows() {
            let cells = (0..kinds.len()).map(|field| cell(&block, row, field, kinds[field])).collect();
            let is_number = |field: &usize| matches!(kinds[*field], FieldKind::Numeric | FieldKind::Time(_));
            let numbers = (0..kinds.len()).filter(is_number).map(|field| block.number(row, field).to_bits()).collect();
            read.rows.push(Row { label: block.label(row), cells, numbers, line: block.place(row).line });
        }
    }
    Ok(read)
}

fn cell(block: &RowBlock, row: usize, field: usize, kind: FieldKind) -> Vec<u8> {
    match kind {
        FieldKind::MultiValue | FieldKind::WeightedValues => {
            block.values(row, field, b'|').collect::<Vec<_>>().join(&b'|')
        }
        _ => block.cell(row, field).to_vec(),
    }
}

/// The error's text and hint; the file has to be named in it.
fn told(error: &DataError, folder: &Path) -> String {
    let text = error.to_string();
    let folder = folder.to_string_lossy().into_owned();
    assert!(text.contains(&folder), "expected the file's name in the error, found `{text}`");
    format!("{text}\n{}", error.hint().unwrap_or_default()).replace(&folder, "")
}

fn check_look(folder: &Path, path: &Path) -> String {
    let input = Input::File(path.to_owned());
    let mut outcome = match look(&input, u64::MAX) {
        Ok(look) => {
            assert!(
                look.whole && look.oddities.iter().all(|oddity| oddity.place.line <= look.lines.max(1)),
                "{look:?}"
            );
            look.oddities.iter().map(|oddity| without_digits(&oddity.found)).collect()
        }
        Err(error) => without_digits(&told(&error, folder)),
    };
    if let Err(error) = beginning(&input, 100) {
        told(&error, folder);
    }
    for format in FormatName::ALL {
        match columns(&config(*format, OnBadRow::Fail), &input) {
            Ok(columns) => outcome = format!("{outcome} {}", columns.len().min(9)),
            Err(error) => outcome = format!("{outcome} {}", without_digits(&told(&error, folder))),
        }
    }
    outcome
}

fn without_digits(text: &str) -> String {
    text.chars().filter(|letter| !letter.is_ascii_digit()).collect()
}
