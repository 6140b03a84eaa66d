//! Rows a second of the metrics over a million rows, a quarter of them clicks.

use divan::{Bencher, black_box, counter::ItemsCount};
use secn::{
    metrics::{auc, evaluate, logloss},
    seed::{mix, unit},
};

const ROWS: usize = 1_000_000;

fn main() {
    divan::main();
}

/// Logits that know something of their labels, without ties to speak of.
#[expect(clippy::cast_possible_truncation, reason = "a score needs no more digits than an f32 has")]
fn rows() -> (Vec<f32>, Vec<f32>) {
    let row = |row: u64| {
        let label = f32::from(u8::from(unit(mix(1, row)) < 0.25));
        (label + 4.0 * unit(mix(2, row)) as f32 - 3.0, label)
    };
    (0..ROWS as u64).map(row).unzip()
}

#[divan::bench]
fn logloss_of_a_million_rows(bencher: Bencher) {
    let (logits, labels) = rows();
    bencher.counter(ItemsCount::new(ROWS)).bench(|| logloss(black_box(&logits), black_box(&labels)));
}

#[divan::bench]
fn auc_of_a_million_rows(bencher: Bencher) {
    let (logits, labels) = rows();
    bencher.counter(ItemsCount::new(ROWS)).bench(|| auc(black_box(&logits), black_box(&labels)));
}

#[divan::bench]
fn all_metrics_of_a_million_rows(bencher: Bencher) {
    let (logits, labels) = rows();
    let groups: Vec<u64> = (0..ROWS as u64).map(|row| mix(3, row) % 10_000).collect();
    bencher
        .counter(ItemsCount::new(ROWS))
        .bench(|| evaluate(black_box(&logits), black_box(&labels), black_box(Some(&groups))));
}
