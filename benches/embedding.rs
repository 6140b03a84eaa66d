//! Rows a second of the table's door: the lookup of a batch, the decay that its rows missed, its gradients' sums, the update
//! of its touched rows, and all of them by turns at vocabularies of 0.1 to 30 million ids.

mod synthetic_batch;

use burn::tensor::Device;
use divan::{Bencher, black_box, counter::ItemsCount};
use secn::{
    embedding::{Embedding, EmbeddingConfig, Moment, Needs, RowOptimizer, TableGradients, Vectors},
    features::Batch,
    ranges::NonNegative,
    seed::Seed,
};

use synthetic_batch::{FIELDS, Ids, batch, fields};

/// As in the binary, where large tables come in huge pages.
#[global_allocator]
static ALLOCATOR: secn::allocator::Allocator = secn::allocator::Allocator;

const BATCHES: [usize; 3] = [128, 256, 4096];
/// Different batches that take turns, so that rows come from memory as in training.
const TURNS: u64 = 16;
/// Ids of one of the 39 fields: 0.1, 1.5 and 30 million in all; and rows a batch.
const SIZES: [(u32, usize); 5] = [(2_600, 256), (40_000, 256), (770_000, 256), (40_000, 4096), (770_000, 4096)];

fn main() {
    divan::main();
}

fn config(optimizer: RowOptimizer) -> EmbeddingConfig {
    let weight_decay = NonNegative::new(1e-5).expect("1e-5 is not negative");
    EmbeddingConfig { optimizer, weight_decay, ..EmbeddingConfig::default() }
}

fn embedding(optimizer: RowOptimizer) -> Embedding {
    Embedding::new(&config(optimizer), Needs { vectors: Vectors::One, linear: true }, &fields(), Seed(1))
}

fn batches(rows: usize) -> Vec<Batch> {
    (0..TURNS).map(|number| batch(number, rows)).collect()
}

fn moment(step: u64, batch_size: usize) -> Moment {
    Moment { step, rate_factor: 1.0, batch_size }
}

#[divan::bench(args = BATCHES)]
fn gather(bencher: Bencher, rows: usize) {
    let device = Device::flex();
    let embedding = embedding(RowOptimizer::Adagrad);
    let batches = batches(rows);
    let mut turns = batches.iter().cycle();
    bencher
        .counter(ItemsCount::new(rows))
        .bench_local(|| embedding.gather(black_box(turns.next().expect("the turns never end")), &device));
}

/// After `TURNS` steps, so that every row of a batch has a decay to take.
#[divan::bench(args = BATCHES)]
fn catch_up(bencher: Bencher, rows: usize) {
    let mut embedding = embedding(RowOptimizer::Adagrad);
    let batches = batches(rows);
    let mut step = 0;
    for batch in &batches {
        step += 1;
        embedding.catch_up(batch, moment(step, rows));
        embedding.apply(batch, &gradients(batch), moment(step, rows));
    }
    let mut turns = batches.iter().cycle();
    bencher.counter(ItemsCount::new(rows)).bench_local(|| {
        step += 1;
        embedding.catch_up(turns.next().expect("the turns never end"), moment(step, rows));
    });
}

fn gradients(batch: &Batch) -> TableGradients {
    let dim = EmbeddingConfig::default().dim.get();
    let vectors = vec![1e-3; batch.unique.len() * dim];
    TableGradients { vectors: Some(vectors), linear: Some(vec![1e-3; batch.unique.len()]), partners: None }
}

fn apply(bencher: Bencher, rows: usize, optimizer: RowOptimizer) {
    let mut embedding = embedding(optimizer);
    let batches = batches(rows);
    let gradients: Vec<_> = batches.iter().map(gradients).collect();
    let mut turns = batches.iter().zip(&gradients).cycle();
    let mut step = 0;
    bencher.counter(ItemsCount::new(rows)).bench_local(|| {
        step += 1;
        let (batch, gradients) = turns.next().expect("the turns never end");
        embedding.apply(batch, gradients, moment(step, rows));
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

/// A step of the table: decay, lookup, sums over equal ids (of a sum's gradient, the cheapest model there is), norm, update.
#[divan::bench(args = SIZES, sample_count = 20)]
fn whole_step(bencher: Bencher, (field_rows, rows): (u32, usize)) {
    let device = Device::flex().autodiff();
    let needs = Needs { vectors: Vectors::One, linear: true };
    let ids = Ids { fields: FIELDS, field_rows };
    let mut embedding = Embedding::new(&config(RowOptimizer::Adagrad), needs, &ids.ranges(), Seed(1));
    let batches: Vec<_> = (0..TURNS).map(|number| ids.batch(number, rows)).collect();
    let mut turns = batches.iter().cycle();
    let mut step = 0;
    bencher.counter(ItemsCount::new(rows)).bench_local(|| {
        step += 1;
        let batch = turns.next().expect("the turns never end");
        embedding.catch_up(batch, moment(step, rows));
        let leaves = embedding.gather(batch, &device);
        let embedded = leaves.embedded();
        let mut gradients = (embedded.vectors().sum() + embedded.linear_sum().sum()).backward();
        drop(embedded);
        let gradients = leaves.sum_gradients(&mut gradients);
        black_box(gradients.squared_norm());
        embedding.apply(batch, &gradients, moment(step, rows));
    });
}
