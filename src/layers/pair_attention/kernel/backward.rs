//! The backward pass of one chunk: its blocks one after the other, products and hidden units recomputed.
//!
//! With `g` the gradient of the pooled vector and `p` a pair's product, the gradient of the pair's score is
//! `a (gᵀ p − gᵀ pooled)`, so that one pass over the pairs does.

#![expect(clippy::inline_always, reason = "inlined into functions that may use more instructions, see layers/lanes")]

use super::{
    forward::{load, multiply, powers, store},
    plan::{GROUP, Plan, UNITS},
    tiles::{self, InputGradient},
};
use crate::layers::lanes::{Lanes, Packet, Real};

/// The rows of some blocks, what their forward pass kept, the gradient of its result, and where theirs go.
pub(super) struct BackwardChunk<'a, T> {
    pub(super) vectors: &'a [T],
    /// `[rows, dim]`
    pub(super) pooled: &'a [T],
    /// `[rows, 2]`
    pub(super) statistics: &'a [T],
    /// `[rows, dim]`
    pub(super) gradient: &'a [T],
    pub(super) vector_gradients: &'a mut [T],
    /// Sums over the chunk: `W`, `c`, `h`.
    pub(super) sums: &'a mut [T],
}

/// Scratch memory of [`backward`].
pub(super) fn backward_packets<T: Real, const WIDTH: usize>(plan: &Plan<T, WIDTH>) -> usize {
    2 * (plan.row_len() + plan.dim) + GROUP * (plan.dim + plan.units() + 2) + plan.sums_packets()
}

/// Runs the blocks of a chunk back.
#[inline(always)]
pub(super) fn backward<const WIDTH: usize, L: Lanes<WIDTH>>(
    plan: &Plan<L::Real, WIDTH>,
    chunk: BackwardChunk<L::Real>,
    scratch: &mut [Packet<L::Real, WIDTH>],
) {
    let BackwardChunk { vectors, pooled, statistics, gradient, vector_gradients, sums } = chunk;
    let (block_len, pooled_len) = (WIDTH * plan.row_len(), WIDTH * plan.dim);
    let mut block = Block::new(plan, scratch);
    let results = pooled.chunks(pooled_len).zip(statistics.chunks(2 * WIDTH));
    let inputs = vectors.chunks(block_len).zip(gradient.chunks(pooled_len)).zip(results);
    for (((vectors, gradient), (pooled, statistics)), target) in inputs.zip(vector_gradients.chunks_mut(block_len)) {
        block.load(vectors, pooled, gradient);
        let softmax = block.softmax::<L>(statistics);
        for pairs in plan.pairs.chunks(GROUP) {
            block.step::<L>(pairs, &softmax);
        }
        store(block.vector_gradients, target);
    }
    block.finish::<L>(sums);
}

/// What the scores' gradients need of a block's rows.
struct Softmax<T, const WIDTH: usize> {
    largest: Packet<T, WIDTH>,
    total: Packet<T, WIDTH>,
    /// `gᵀ pooled`
    mean: Packet<T, WIDTH>,
}

/// A block on its way back, every buffer in packets of its rows.
struct Block<'a, T, const WIDTH: usize> {
    plan: &'a Plan<T, WIDTH>,
    /// `[fields, dim]`
    vectors: &'a mut [Packet<T, WIDTH>],
    /// `[fields, dim]`
    vector_gradients: &'a mut [Packet<T, WIDTH>],
    /// `[dim]`
    pooled: &'a mut [Packet<T, WIDTH>],
    /// `[dim]`
    gradient: &'a mut [Packet<T, WIDTH>],
    /// `[GROUP, dim]`
    products: &'a mut [Packet<T, WIDTH>],
    /// `[GROUP, units]`: hidden units, then their gradients.
    hidden: &'a mut [Packet<T, WIDTH>],
    /// `[GROUP]`: scores, then the attention.
    attention: &'a mut [Packet<T, WIDTH>],
    /// `[GROUP]`: gradients of the scores.
    score_gradients: &'a mut [Packet<T, WIDTH>],
    /// `W` as `[dim, units]`, `c`, `h`, over the chunk.
    sums: &'a mut [Packet<T, WIDTH>],
}

impl<'a, T: Real, const WIDTH: usize> Block<'a, T, WIDTH> {
    fn new(plan: &'a Plan<T, WIDTH>, scratch: &'a mut [Packet<T, WIDTH>]) -> Self {
        let (vectors, rest) = scratch.split_at_mut(plan.row_len());
        let (vector_gradients, rest) = rest.split_at_mut(plan.row_len());
        let (pooled, rest) = rest.split_at_mut(plan.dim);
        let (gradient, rest) = rest.split_at_mut(plan.dim);
        let (products, rest) = rest.split_at_mut(GROUP * plan.dim);
        let (hidden, rest) = rest.split_at_mut(GROUP * plan.units());
        let (attention, rest) = rest.split_at_mut(GROUP);
        let (score_gradients, sums) = rest.split_at_mut(GROUP);
        sums.as_flattened_mut().fill(T::default());
        Self { plan, vectors, vector_gradients, pooled, gradient, products, hidden, attention, score_gradients, sums }
    }

    #[inline(always)]
    fn load(&mut self, vectors: &[T], pooled: &[T], gradient: &[T]) {
        load(vectors, self.vectors);
        load(pooled, self.pooled);
        load(gradient, self.gradient);
        self.vector_gradients.as_flattened_mut().fill(T::default());
    }

    #[inline(always)]
    fn softmax<L: Lanes<WIDTH, Real = T>>(&self, statistics: &[T]) -> Softmax<T, WIDTH> {
        let mut kept = [[T::default(); WIDTH]; 2];
        load(statistics, &mut kept);
        let [largest, mut total] = kept;
        // Rows that there are not would divide zero by zero.
        let first = total[0];
        total[statistics.len() / 2..].fill(first);
        let mut mean = [T::default(); WIDTH];
        dot::<WIDTH, L>(self.pooled, self.gradient).store(&mut mean);
        Softmax { largest, total, mean }
    }

    /// One group of pairs.
    #[inline(always)]
    fn step<L: Lanes<WIDTH, Real = T>>(&mut self, pairs: &[[usize; 2]], softmax: &Softmax<T, WIDTH>) {
        let plan = self.plan;
        multiply::<WIDTH, L>(plan.dim, self.vectors, pairs, self.products);
        tiles::hidden::<WIDTH, L>(plan, self.products, self.hidden, &mut self.attention[..pairs.len()]);
        let (products, hidden) = (pairs.len() * plan.dim, pairs.len() * plan.units());
        self.pass_softmax::<L>(pairs.len(), softmax);
        self.pass_hidden::<L>(pairs.len());
        tiles::weight_gradient::<WIDTH, L>(
            plan,
            &self.products[..products],
            &self.hidden[..hidden],
            &mut self.sums[..plan.dim * plan.units()],
        );
        let pass = InputGradient {
            hidden: self.hidden,
            attention: self.attention,
            gradient: self.gradient,
            vectors: self.vectors,
            vector_gradients: self.vector_gradients,
        };
        tiles::input_gradient::<WIDTH, L>(plan, pairs, pass);
    }

    /// Turns scores into the attention, and its gradients into those of the scores.
    #[inline(always)]
    fn pass_softmax<L: Lanes<WIDTH, Real = T>>(&mut self, pairs: usize, softmax: &Softmax<T, WIDTH>) {
        let Softmax { largest, total, mean } = softmax;
        let attention = &mut self.attention[..pairs];
        powers::<WIDTH, L>(attention, largest);
        let products = self.products.chunks_exact(self.plan.dim);
        for (products, (attention, target)) in products.zip(attention.iter_mut().zip(&mut *self.score_gradients)) {
            dot::<WIDTH, L>(products, self.gradient).store(target);
            for lane in 0..WIDTH {
                attention[lane] = attention[lane] / total[lane];
                target[lane] = attention[lane] * (target[lane] - mean[lane]);
            }
        }
    }

    /// Turns hidden units into the gradients of what they are the ReLU of, and adds up those of `c` and `h`.
    #[inline(always)]
    fn pass_hidden<L: Lanes<WIDTH, Real = T>>(&mut self, pairs: usize) {
        let (dim, units) = (self.plan.dim, self.plan.units());
        let (bias_sums, head_sums) = self.sums[dim * units..].split_at_mut(units);
        let heads = self.plan.head.as_flattened();
        for (unit, ((bias_sum, head_sum), &head)) in bias_sums.iter_mut().zip(head_sums).zip(heads).enumerate() {
            let (mut bias, mut total, head) = (L::load(bias_sum), L::load(head_sum), L::splat(head));
            for (hidden, gradient) in self.hidden.chunks_exact_mut(units).zip(&self.score_gradients[..pairs]) {
                let (active, gradient) = (L::load(&hidden[unit]), L::load(gradient));
                total = total.plus_product(gradient, active);
                let passed = gradient.times(head).where_positive(active);
                passed.store(&mut hidden[unit]);
                bias = bias.plus(passed);
            }
            bias.store(bias_sum);
            total.store(head_sum);
        }
    }

    /// Adds up the lanes of the weights' gradients, without the padding.
    #[inline(always)]
    fn finish<L: Lanes<WIDTH, Real = T>>(&self, target: &mut [T]) {
        let rows = target.chunks_exact_mut(self.plan.hidden).zip(self.sums.chunks_exact(self.plan.units()));
        for (target, sums) in rows {
            for (target, sums) in target.chunks_mut(UNITS).zip(sums.as_chunks::<UNITS>().0) {
                let totals = L::sums(tiles::loads(sums));
                target.copy_from_slice(&totals[..target.len()]);
            }
        }
    }
}

/// `Σ_n left[n] right[n]`. Of `gᵀ p` and `gᵀ pooled` alike, so that a row's only pair has a score without gradient.
#[inline(always)]
fn dot<const WIDTH: usize, L: Lanes<WIDTH>>(left: &[Packet<L::Real, WIDTH>], right: &[Packet<L::Real, WIDTH>]) -> L {
    let mut sum = L::splat(L::Real::default());
    for (left, right) in left.iter().zip(right) {
        sum = sum.plus_product(L::load(left), L::load(right));
    }
    sum
}
