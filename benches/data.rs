//! How fast bytes become rows: rows and bytes a second of reading and splitting, a format each, on one thread.

mod criteo_rows;

use std::fmt::Write as _;
use std::path::PathBuf;

use divan::counter::{BytesCount, ItemsCount};
use divan::{Bencher, black_box};
use secn::data::{DataConfig, FormatName, Input, Reader, RowBlock, Wanted, schema, split};

use criteo_rows::{hexadecimal, row};

const ROWS: u64 = 50_000;

fn main() {
    divan::main();
}

/// A temporary file of rows, and the config that reads it.
struct Sample {
    _folder: tempfile::TempDir,
    path: PathBuf,
    config: DataConfig,
    bytes: usize,
}

impl Sample {
    fn new(format: FormatName, text: &str) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder can be made");
        let path = folder.path().join("rows.txt");
        std::fs::write(&path, text).expect("a temporary file can be written");
        let config = format!("format = \"{}\"\ntrain = [\"-\"]", format.as_str());
        let config = toml::from_str(&config).expect("the config is whole");
        Self { _folder: folder, path, config, bytes: text.len() }
    }

    fn reader(&self) -> Reader {
        let inputs = vec![Input::File(self.path.clone())];
        let schema = schema(&self.config, &inputs, &|_, kind| kind).expect("the head is sound");
        let label = Some(self.config.label.column.clone());
        let wanted = Wanted { schema, label, label_required: true, ..Wanted::default() };
        Reader::open(&self.config, inputs, wanted).expect("the file is there")
    }

    fn bench(&self, bencher: Bencher, mut block: impl FnMut(Reader) -> usize) {
        let rows = usize::try_from(ROWS).expect("the count fits");
        bencher
            .counter(ItemsCount::new(rows))
            .counter(BytesCount::new(self.bytes))
            .bench_local(|| assert_eq!(block(self.reader()), rows));
    }
}

/// Reads and splits all blocks; gives the rows.
fn split_all(mut reader: Reader) -> usize {
    let (mut rows, mut count) = (RowBlock::default(), 0);
    while let Some(raw) = reader.next().expect("the text is sound") {
        split(raw, &mut rows).expect("the rows are sound");
        count += black_box(&rows).rows();
    }
    count
}

fn table(separator: char, header: bool, category: impl Fn(&mut String, u64)) -> String {
    let mut text = String::new();
    if header {
        let names: Vec<String> = (1..40).map(|column| format!("x{column}")).collect();
        writeln!(text, "label{separator}{}", names.join(&separator.to_string())).expect("a string takes all text");
    }
    for number in 0..ROWS {
        row(&mut text, number, separator, &category);
    }
    text
}

fn quoted(text: &mut String, bits: u64) {
    write!(text, "\"{},{}\"", bits & 0xFFF, bits >> 12).expect("a string takes all text");
}

#[divan::bench]
fn criteo(bencher: Bencher) {
    Sample::new(FormatName::Criteo, &table('\t', false, hexadecimal)).bench(bencher, split_all);
}

#[divan::bench]
fn csv_without_quotes(bencher: Bencher) {
    Sample::new(FormatName::Csv, &table(',', true, hexadecimal)).bench(bencher, split_all);
}

#[divan::bench]
fn csv_with_quotes(bencher: Bencher) {
    Sample::new(FormatName::Csv, &table(',', true, quoted)).bench(bencher, split_all);
}
