//! Rows a second of the passes over Criteo's text, and of the shuffled batches that the cache then gives.

mod criteo_rows;

use divan::{Bencher, counter::ItemsCount};
use secn::{
    data::DataConfig,
    features::{FeaturesConfig, Prepared, epoch, prepare},
    seed::Seed,
};

use criteo_rows::{hexadecimal, row};

const ROWS: u64 = 50_000;
const SEED: Seed = Seed(2019);

fn main() {
    divan::main();
}

/// A temporary file of rows and the config that prepares it.
struct Sample {
    folder: tempfile::TempDir,
    data: DataConfig,
    features: FeaturesConfig,
}

impl Sample {
    fn new(features: &str) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder can be made");
        let mut text = String::new();
        for number in 0..ROWS {
            // few enough values for a third of them to come again
            row(&mut text, number, '\t', |text, bits| hexadecimal(text, bits & 0x3_FFFF));
        }
        let [rows, cache] = ["rows.txt", "cache"].map(|name| folder.path().join(name).display().to_string());
        std::fs::write(&rows, text).expect("a temporary file can be written");
        let data = format!("format = \"criteo\"\ntrain = [{rows:?}]\ncache = {cache:?}\nvalidation = 0.1");
        Self {
            folder,
            data: toml::from_str(&data).expect("the config is whole"),
            features: toml::from_str(features).expect("the config is whole"),
        }
    }

    fn prepare(&self) -> Prepared {
        prepare(&self.data, &self.features, SEED, &mut |_| {}).expect("the rows are sound")
    }

    fn forget(&self) {
        let _ = std::fs::remove_dir_all(self.folder.path().join("cache"));
    }
}

fn prepared(bencher: Bencher, features: &str) {
    let sample = Sample::new(features);
    bencher.counter(ItemsCount::new(ROWS)).with_inputs(|| sample.forget()).bench_local_values(|()| sample.prepare());
}

#[divan::bench(sample_count = 20)]
fn prepare_exact(bencher: Bencher) {
    prepared(bencher, "");
}

#[divan::bench(sample_count = 20)]
fn prepare_hashed(bencher: Bencher) {
    prepared(bencher, "vocabulary = { hash = 1_000_000 }");
}

/// All pairs of five fields: 15 combinations, 30 fields.
#[divan::bench(sample_count = 20)]
fn prepare_target_statistics(bencher: Bencher) {
    prepared(bencher, "target_statistics = { fields = [\"C1\", \"C2\", \"C3\", \"C4\", \"C5\"], order = 2 }");
}

#[divan::bench(args = [256, 4096])]
fn shuffled_batches(bencher: Bencher, batch_size: usize) {
    let prepared = Sample::new("").prepare();
    let rows = prepared.train.rows();
    let mut number = 0;
    bencher.counter(ItemsCount::new(rows)).bench_local(|| {
        number += 1;
        let batches = epoch(&prepared.train, SEED, number, batch_size, 0, rows, secn::ranges::Portion::WHOLE);
        assert_eq!(batches.map(|batch| batch.rows).sum::<usize>(), rows);
    });
}
