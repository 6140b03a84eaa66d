//! Rows a second of the table's door: the lookup of a batch, and the update of its touched rows.

mod synthetic_batch;

use divan::{Bencher, black_box, counter::ItemsCount};
use secn::{
    embedding::{Embedding, EmbeddingConfig, Moment, Needs, RowOptimizer, TableGradients, Vectors},
    seed::Seed,
};

use synthetic_batch::{batch, fields};

const BATCHES: [usize; 2] = [256, 4096];
/// Different batches that take turns, so that rows come from memory as in training.
const TURNS: u64 = 16;

fn main() {
    divan::main();
}

fn embedding(optimizer: RowOptimizer) -> Embedding {
    let config = EmbeddingConfig { optimizer, ..EmbeddingConfig::default() };
    Embedding::new(&config, Needs { vectors: Vectors::One, linear: true }, &fields(), Seed(1))
}

#[divan::bench(args = BATCHES)]
fn gather(bencher: Bencher, rows: usize) {
    let device = burn::tensor::Device::flex();
    let embedding = embedding(RowOptimizer::Adagrad);
    let batches: Vec<_> = (0..TURNS).map(|number| batch(number, rows)).collect();
    let mut turns = batches.iter().cycle();
    bencher
        .counter(ItemsCount::new(rows))
        .bench_local(|| embedding.gather(black_box(turns.next().expect("the turns never end")), &device));
}

fn apply(bencher: Bencher, rows: usize, optimizer: RowOptimizer) {
    let mut embedding = embedding(optimizer);
    let dim = EmbeddingConfig::default().dim.get();
    let batches: Vec<_> = (0..TURNS).map(|number| batch(number, rows)).collect();
    let gradients: Vec<_> = batches
        .iter()
        .map(|batch| TableGradients {
            vectors: Some(vec![1e-3; batch.unique.len() * dim]),
            linear: Some(vec![1e-3; batch.unique.len()]),
        })
        .collect();
    let mut turns = batches.iter().zip(&gradients).cycle();
    let mut step = 0;
    bencher.counter(ItemsCount::new(rows)).bench_local(|| {
        step += 1;
        let (batch, gradients) = turns.next().expect("the turns never end");
        embedding.apply(batch, gradients, Moment { step, rate_factor: 1.0, batch_size: rows });
    });
}

#[divan::bench(args = BATCHES)]
fn apply_adagrad(bencher: Bencher, rows: usize) {
    apply(bencher, rows, RowOptimizer::Adagrad);
}

#[divan::bench(args = BATCHES)]
fn apply_adam(bencher: Bencher, rows: usize) {
    apply(bencher, rows, RowOptimizer::Adam);
}
