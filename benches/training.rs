//! Rows a second of whole training steps on the cpu, a model each, at a small and a large batch.

mod synthetic_batch;

use divan::{Bencher, counter::ItemsCount};
use secn::{
    embedding::{Embedding, EmbeddingConfig},
    models::{ModelConfig, Parameters, Shape},
    ranges::Count,
    seed::Seed,
    training::{Trainer, TrainingConfig},
};

use synthetic_batch::{FIELDS, batch, fields};

const BATCHES: [usize; 2] = [256, 4096];
/// Different batches that take turns, so that rows come from memory as in training.
const TURNS: u64 = 16;

fn main() {
    divan::main();
}

fn steps(bencher: Bencher, rows: usize, model: &str) {
    steps_with_table(bencher, rows, model, &EmbeddingConfig::default());
}

fn steps_with_table(bencher: Bencher, rows: usize, model: &str, table: &EmbeddingConfig) {
    let config: ModelConfig = toml::from_str(model).expect("the config is whole");
    let device = burn::tensor::Device::flex().autodiff();
    let shape = Shape { fields: FIELDS, dim: table.dim.get() };
    let embedding = Embedding::new(table, config.needs(), &fields(), Seed(1));
    let model = config.init(shape, &Parameters::new(Seed(1), &device));
    let training = TrainingConfig::default();
    let mut trainer = Trainer::new(model, embedding, &training, device);
    let batches: Vec<_> = (0..TURNS).map(|number| batch(number, rows)).collect();
    let mut turns = batches.iter().cycle();
    let mut step = 0;
    bencher.counter(ItemsCount::new(rows)).bench_local(|| {
        step += 1;
        trainer.step(&training, turns.next().expect("the turns never end"), step, 1.0)
    });
}

#[divan::bench(args = BATCHES)]
fn lr(bencher: Bencher, rows: usize) {
    steps(bencher, rows, "[lr]");
}

#[divan::bench(args = BATCHES)]
fn fm(bencher: Bencher, rows: usize) {
    steps(bencher, rows, "[fm]");
}

/// A table of 2 GB: its ids have a vector of 4 numbers for each of 39 partners.
#[divan::bench(args = BATCHES)]
fn ffm(bencher: Bencher, rows: usize) {
    let table = EmbeddingConfig { dim: Count::new(4).expect("4 is above 0"), ..EmbeddingConfig::default() };
    steps_with_table(bencher, rows, "[ffm]", &table);
}

#[divan::bench(args = BATCHES)]
fn deepfm(bencher: Bencher, rows: usize) {
    steps(bencher, rows, "[deepfm]");
}

#[divan::bench(args = BATCHES)]
fn secn_paper(bencher: Bencher, rows: usize) {
    steps(bencher, rows, "[secn]\nhead = \"uniform\"\nlinear = false\npartner_dim = 0\nmlp = []");
}

#[divan::bench(args = BATCHES)]
fn secn(bencher: Bencher, rows: usize) {
    steps(bencher, rows, "[secn]");
}

#[divan::bench(args = BATCHES)]
fn secn_gate(bencher: Bencher, rows: usize) {
    steps(bencher, rows, "[secn]\npartner_dim = 0\nproduct = \"gate\"\nactivation = \"gate-relu\"");
}

#[divan::bench(args = BATCHES)]
fn secn_attention(bencher: Bencher, rows: usize) {
    steps(bencher, rows, "[secn]\npartner_dim = 0\nattention = { heads = 2, dim = 16 }");
}
