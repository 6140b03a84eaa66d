//! Rows a second of the fused layers, forward and backward, at a large and a small batch of Criteo's 39 fields.
//!
//! The lines in `GHz` of the cross stack, the two attentions and the interaction network count floating-point operations: read them as GF/s.
//! `RAYON_NUM_THREADS=1 cargo bench --bench layers` measures one thread.

use divan::{
    Bencher, black_box,
    counter::{CyclesCount, ItemsCount},
};
use secn::{
    layers::{
        attention::kernel as field_attention_kernel,
        cin::kernel as cin_kernel,
        cross_stack::kernel::{self, Activation, Form, Product, Weights},
        hidden::kernel as hidden_layer,
        pair_attention::kernel as pair_attention_kernel,
        pairwise::kernel as pairwise,
    },
    seed::{mix, unit},
};

const FIELDS: usize = 39;
const DIM: usize = 16;
const LAYERS: usize = 3;
const BATCHES: [usize; 2] = [4096, 256];

fn main() {
    divan::main();
}

#[expect(clippy::cast_possible_truncation, reason = "what f32 is for")]
fn numbers(stream: u64, count: usize, scale: f64) -> Vec<f32> {
    (0..count as u64).map(|index| (scale * (2.0 * unit(mix(stream, index)) - 1.0)) as f32).collect()
}

/// Floating-point operations of one row: two products of `fields²` a layer and dim, forward, and twice on the way back.
const OPERATIONS: usize = 3 * 4 * LAYERS * FIELDS * FIELDS * DIM;

fn stack(bencher: Bencher, batch: usize, product: Product, activation: Activation) {
    let form = Form { product, activation };
    let scale = (1.0 / FIELDS as f64).sqrt();
    let (cross, residual) = (numbers(1, LAYERS * FIELDS * FIELDS, scale), numbers(2, LAYERS * FIELDS * FIELDS, scale));
    let bias = numbers(3, LAYERS * FIELDS, 0.1);
    let weights = Weights { cross: &cross, residual: &residual, bias: &bias, layers: LAYERS, fields: FIELDS };
    let (vectors, gradient) = (numbers(4, batch * FIELDS * DIM, 0.5), numbers(5, batch * DIM, 1.0));
    let mut output = vec![0.0; batch * DIM];
    bencher.counter(ItemsCount::new(batch)).counter(CyclesCount::new(batch * OPERATIONS)).bench_local(|| {
        let kept = kernel::forward_keeping(form, &weights, black_box(&vectors), DIM, true, &mut output);
        kernel::backward(form, &weights, black_box(&vectors), DIM, true, &kept, &gradient)
    });
}

#[divan::bench(args = BATCHES)]
fn cross_stack_square(bencher: Bencher, batch: usize) {
    stack(bencher, batch, Product::Square, Activation::Relu);
}

#[divan::bench(args = BATCHES)]
fn cross_stack_gate(bencher: Bencher, batch: usize) {
    stack(bencher, batch, Product::Gate, Activation::GateRelu);
}

#[divan::bench(args = BATCHES)]
fn cross_stack_base(bencher: Bencher, batch: usize) {
    stack(bencher, batch, Product::Base, Activation::None);
}

#[divan::bench(args = BATCHES)]
fn pairwise_dot(bencher: Bencher, batch: usize) {
    let (vectors, gradient) = (numbers(4, batch * FIELDS * DIM, 0.5), numbers(5, batch, 1.0));
    let (mut output, mut back) = (vec![0.0; batch], vec![0.0; vectors.len()]);
    bencher.counter(ItemsCount::new(batch)).bench_local(|| {
        pairwise::dot_forward(black_box(&vectors), FIELDS, DIM, &mut output);
        pairwise::dot_backward(black_box(&vectors), &gradient, FIELDS, DIM, &mut back);
    });
}

#[divan::bench(args = BATCHES)]
fn pairwise_sum(bencher: Bencher, batch: usize) {
    let (vectors, gradient) = (numbers(4, batch * FIELDS * DIM, 0.5), numbers(5, batch * DIM, 1.0));
    let (mut output, mut back) = (vec![0.0; batch * DIM], vec![0.0; vectors.len()]);
    bencher.counter(ItemsCount::new(batch)).bench_local(|| {
        pairwise::sum_forward(black_box(&vectors), FIELDS, DIM, &mut output);
        pairwise::sum_backward(black_box(&vectors), &gradient, FIELDS, DIM, &mut back);
    });
}

/// Hidden units of the attention.
const HIDDEN: usize = 16;

/// Floating-point operations of one row: a pair's product with the matrix forward, recomputed, and twice on the way back.
const ATTENTION_OPERATIONS: usize = 4 * 2 * (FIELDS * (FIELDS - 1) / 2) * DIM * HIDDEN;

#[divan::bench(args = BATCHES)]
fn pair_attention(bencher: Bencher, batch: usize) {
    let (weight, bias, head) = (numbers(1, DIM * HIDDEN, 0.4), numbers(2, HIDDEN, 0.1), numbers(3, HIDDEN, 0.3));
    let weights =
        pair_attention_kernel::Weights { weight: &weight, bias: &bias, head: &head, dim: DIM, hidden: HIDDEN };
    let (vectors, gradient) = (numbers(4, batch * FIELDS * DIM, 0.5), numbers(5, batch * DIM, 1.0));
    let operations = CyclesCount::new(batch * ATTENTION_OPERATIONS);
    bencher.counter(ItemsCount::new(batch)).counter(operations).bench_local(|| {
        let attended = pair_attention_kernel::forward(&weights, black_box(&vectors), FIELDS);
        let kept = pair_attention_kernel::Kept { pooled: &attended.pooled, statistics: &attended.statistics };
        pair_attention_kernel::backward(&weights, black_box(&vectors), FIELDS, kept, &gradient)
    });
}

const HEADS: usize = 2;

/// Floating-point operations of one row: four projections and two products of `fields²` a head forward, and twice on the way
/// back; what is computed again there doesn't count.
const FIELD_ATTENTION_OPERATIONS: usize = 3 * 2 * HEADS * DIM * FIELDS * (4 * DIM + 2 * FIELDS);

#[divan::bench(args = BATCHES)]
fn field_attention(bencher: Bencher, batch: usize) {
    let [query, key, value, residual] = [1, 2, 3, 4].map(|stream| numbers(stream, DIM * HEADS * DIM, 0.4));
    let weights = field_attention_kernel::Weights {
        query: &query,
        key: &key,
        value: &value,
        residual: &residual,
        dim: DIM,
        heads: HEADS,
        head_dim: DIM,
        scale: (1.0 / DIM as f32).sqrt(),
    };
    let (vectors, gradient) = (numbers(5, batch * FIELDS * DIM, 0.5), numbers(6, batch * FIELDS * HEADS * DIM, 1.0));
    let operations = CyclesCount::new(batch * FIELD_ATTENTION_OPERATIONS);
    bencher.counter(ItemsCount::new(batch)).counter(operations).bench_local(|| {
        let output = field_attention_kernel::forward(&weights, black_box(&vectors), FIELDS);
        field_attention_kernel::backward(&weights, black_box(&vectors), FIELDS, &output, &gradient)
    });
}

/// Maps of a layer of the compressed interaction network.
const MAPS: usize = 32;

fn cin(bencher: Bencher, batch: usize, maps: usize, is_first: bool) {
    let fed = if is_first { FIELDS } else { MAPS };
    let weight = numbers(1, maps * fed * FIELDS, 0.1);
    let layer = cin_kernel::Layer { weight: &weight, maps, fed, fields: FIELDS, dim: DIM };
    let (start, feed) = (numbers(4, batch * FIELDS * DIM, 0.5), numbers(5, batch * fed * DIM, 0.5));
    let gradient = numbers(6, batch * maps * DIM, 1.0);
    let products = if is_first { FIELDS * (FIELDS + 1) / 2 } else { fed * FIELDS };
    // A multiplication and an addition forward, and twice on the way back.
    let operations = CyclesCount::new(batch * 3 * 2 * products * maps * DIM);
    bencher.counter(ItemsCount::new(batch)).counter(operations).bench_local(|| {
        let inputs = cin_kernel::Inputs { start: black_box(&start), feed: (!is_first).then_some(&feed) };
        let output = cin_kernel::forward(&layer, inputs);
        (output, cin_kernel::backward(&layer, inputs, &gradient))
    });
}

#[divan::bench(args = BATCHES)]
fn cin_first(bencher: Bencher, batch: usize) {
    cin(bencher, batch, MAPS, true);
}

#[divan::bench(args = BATCHES)]
fn cin_middle(bencher: Bencher, batch: usize) {
    cin(bencher, batch, MAPS, false);
}

#[divan::bench(args = BATCHES)]
fn cin_last(bencher: Bencher, batch: usize) {
    cin(bencher, batch, 1, false);
}

/// The first hidden layer of an MLP, with dropout. Its line in `GHz` counts floating-point operations, too.
#[divan::bench(args = BATCHES)]
fn hidden(bencher: Bencher, batch: usize) {
    const UNITS: usize = 400;
    let sizes = hidden_layer::Sizes { batch, input: FIELDS * DIM, units: UNITS };
    let activation = hidden_layer::Activation::ReluDropout(hidden_layer::Dropping::new(1, 0.2));
    let (input, gradient) = (numbers(1, batch * sizes.input, 1.0), numbers(2, batch * UNITS, 1.0));
    let (weight, bias) = (numbers(3, sizes.input * UNITS, 0.05), numbers(4, UNITS, 0.1));
    let operations = CyclesCount::new(6 * batch * sizes.input * UNITS);
    let bencher = bencher.counter(ItemsCount::new(batch)).counter(operations);
    bencher.with_inputs(|| gradient.clone()).bench_local_refs(|gradient| {
        let output = hidden_layer::forward(sizes, black_box(&input), &weight, &bias, activation);
        hidden_layer::backward(sizes, [&input, &weight, &output], activation, gradient, true)
    });
}
