//! The backward pass of one chunk: its rows one after the other, projections and attention recomputed.
//!
//! With `P` the attention, `M = P V` and `g` the gradient of `M`: `V` gets `Pᵀ g`, the scores get `P (g Vᵀ − rowsum(P g Vᵀ))`.

#![expect(clippy::inline_always, reason = "inlined into functions that may use more instructions, see layers/lanes")]

use super::{
    forward::{attend, head_of, project_turned, turn},
    plan::{Part, Plan},
    products::{Added, Left, Over, Right, Size, product},
};
use crate::layers::lanes::{Lanes, Packet, Real};

/// Some rows of the batch, the results of their forward pass with their gradients, and where theirs go.
pub(super) struct BackwardChunk<'a, T> {
    /// `[rows, fields, dim]`
    pub(super) vectors: &'a [T],
    /// `[rows, fields, width]`
    pub(super) output: &'a [T],
    /// `[rows, fields, width]`
    pub(super) gradient: &'a [T],
    /// `[rows, fields, dim]`
    pub(super) vector_gradients: &'a mut [T],
    /// Sums over the chunk, of the four matrices.
    pub(super) sums: &'a mut [T],
}

/// Scratch memory of [`backward`].
pub(super) fn backward_packets<T: Real, const WIDTH: usize>(plan: &Plan<T, WIDTH>) -> usize {
    let Plan { fields, dim, .. } = *plan;
    let turned = (dim + 2 * plan.part_packets() * WIDTH) * plan.field_packets();
    let of_fields = 3 * plan.part_packets() + plan.row_packets() + 2 * plan.field_packets() + plan.dim_packets();
    dim * plan.row_packets() + turned + fields * of_fields
}

/// Runs the rows of a chunk back.
#[inline(always)]
pub(super) fn backward<const WIDTH: usize, L: Lanes<WIDTH>>(
    plan: &Plan<L::Real, WIDTH>,
    chunk: BackwardChunk<L::Real>,
    scratch: &mut [Packet<L::Real, WIDTH>],
) {
    let BackwardChunk { vectors, output, gradient, vector_gradients, sums } = chunk;
    let (fields, dim, part, row) = (plan.fields, plan.dim, plan.part_packets(), plan.row_packets());
    let (weight_gradients, rest) = scratch.split_at_mut(dim * row);
    let (turned, rest) = rest.split_at_mut(dim * plan.field_packets());
    let (keys, rest) = rest.split_at_mut(part * WIDTH * plan.field_packets());
    let (values, rest) = rest.split_at_mut(part * WIDTH * plan.field_packets());
    let (projected, rest) = rest.split_at_mut(fields * 2 * part);
    let (gradients, rest) = rest.split_at_mut(fields * row);
    let (passed, rest) = rest.split_at_mut(fields * part);
    let (attention, rest) = rest.split_at_mut(fields * plan.field_packets());
    let (score_gradients, own_gradients) = rest.split_at_mut(fields * plan.field_packets());
    weight_gradients.as_flattened_mut().fill(L::Real::default());
    let rows = vectors.chunks_exact(plan.row_len()).zip(vector_gradients.chunks_exact_mut(plan.row_len()));
    let results = output.chunks_exact(plan.output_len()).zip(gradient.chunks_exact(plan.output_len()));
    for ((vectors, target), (output, gradient)) in rows.zip(results) {
        let size = Size { rows: fields, inner: dim, packets: 2 * part };
        let weights = Right(&plan.weights[plan.place(Part::Query, 0)..], row);
        product::<WIDTH, L, Over>(Left::Rows(vectors, dim), weights, projected, 2 * part, size);
        turn(vectors, dim, turned);
        project_turned::<WIDTH, L>(plan, Part::Key, turned, keys);
        project_turned::<WIDTH, L>(plan, Part::Value, turned, values);
        pass_relu(plan, output, gradient, passed, gradients);
        for head in 0..plan.heads {
            let queries = &projected.as_flattened()[head * plan.head_packets() * WIDTH..];
            attend::<WIDTH, L>(plan, (queries, 2 * part * WIDTH), head_of(plan, keys, head), attention);
            let values = head_of(plan, values, head);
            let head = Head { number: head, projected, values, attention, passed, score_gradients };
            pass_head::<WIDTH, L>(plan, head, gradients);
        }
        let size = Size { rows: fields, inner: row * WIDTH, packets: plan.dim_packets() };
        let left = Left::Rows(gradients.as_flattened(), row * WIDTH);
        let weights = Right(&plan.turned, plan.dim_packets());
        product::<WIDTH, L, Over>(left, weights, own_gradients, plan.dim_packets(), size);
        for (target, own) in target.chunks_exact_mut(dim).zip(own_gradients.chunks_exact(plan.dim_packets())) {
            target.copy_from_slice(&own.as_flattened()[..dim]);
        }
        let size = Size { rows: dim, inner: fields, packets: row };
        product::<WIDTH, L, Added>(Left::Turned(vectors, dim), Right(gradients, row), weight_gradients, row, size);
    }
    plan.unpack(weight_gradients, sums);
}

/// The gradients of what the output is the ReLU of: `[fields, part packets]`, and as those of the residual in `[fields, 4 parts]`.
#[inline(always)]
fn pass_relu<T: Real, const WIDTH: usize>(
    plan: &Plan<T, WIDTH>,
    output: &[T],
    gradient: &[T],
    passed: &mut [Packet<T, WIDTH>],
    gradients: &mut [Packet<T, WIDTH>],
) {
    let (head_dim, part, head_packets) = (plan.head_dim(), plan.part_packets(), plan.head_packets());
    passed.as_flattened_mut().fill(T::default());
    let results = output.chunks_exact(plan.width()).zip(gradient.chunks_exact(plan.width()));
    for ((output, gradient), passed) in results.zip(passed.chunks_exact_mut(part)) {
        let results = output.chunks_exact(head_dim).zip(gradient.chunks_exact(head_dim));
        for ((output, gradient), passed) in results.zip(passed.chunks_exact_mut(head_packets)) {
            for ((passed, &output), &gradient) in passed.as_flattened_mut().iter_mut().zip(output).zip(gradient) {
                *passed = if output > T::default() { gradient } else { T::default() };
            }
        }
    }
    let residual = plan.place(Part::Residual, 0);
    for (gradients, passed) in gradients.chunks_exact_mut(plan.row_packets()).zip(passed.chunks_exact(part)) {
        gradients[residual..residual + part].copy_from_slice(passed);
    }
}

/// One head of a row on its way back.
struct Head<'a, T, const WIDTH: usize> {
    number: usize,
    /// Queries and keys of all heads, `[fields, 2 parts]`.
    projected: &'a [Packet<T, WIDTH>],
    /// The head's values, `[head packets * W, field packets]`.
    values: &'a [Packet<T, WIDTH>],
    /// `[fields, field packets]`
    attention: &'a [Packet<T, WIDTH>],
    /// The gradients of what the output is the ReLU of, of all heads, `[fields, part packets]`.
    passed: &'a [Packet<T, WIDTH>],
    /// Memory for `[fields, field packets]`.
    score_gradients: &'a mut [Packet<T, WIDTH>],
}

/// The gradients of a head's queries, keys and values: `[fields, 4 parts]`, of which these are written.
#[inline(always)]
fn pass_head<const WIDTH: usize, L: Lanes<WIDTH>>(
    plan: &Plan<L::Real, WIDTH>,
    head: Head<'_, L::Real, WIDTH>,
    gradients: &mut [Packet<L::Real, WIDTH>],
) {
    let Head { number: head, projected, values, attention, passed, score_gradients } = head;
    let (fields, packets, row) = (plan.fields, plan.field_packets(), plan.row_packets());
    let (head_packets, part) = (plan.head_packets(), plan.part_packets());
    let (first, apart) = (head * head_packets, packets * WIDTH);
    let size = Size { rows: fields, inner: plan.head_dim(), packets };
    let left = Left::Rows(&passed.as_flattened()[first * WIDTH..], part * WIDTH);
    product::<WIDTH, L, Over>(left, Right(values, packets), score_gradients, packets, size);
    for (gradients, attention) in score_gradients.chunks_exact_mut(packets).zip(attention.chunks_exact(packets)) {
        pass_softmax::<WIDTH, L>(attention, gradients);
    }
    let size = Size { rows: fields, inner: fields, packets: head_packets };
    let (attention, scores) = (attention.as_flattened(), score_gradients.as_flattened());
    let (queries, keys) = (Right(&projected[first..], 2 * part), Right(&projected[part + first..], 2 * part));
    let target = &mut gradients[plan.place(Part::Value, head)..];
    product::<WIDTH, L, Over>(Left::Turned(attention, apart), Right(&passed[first..], part), target, row, size);
    let target = &mut gradients[plan.place(Part::Query, head)..];
    product::<WIDTH, L, Over>(Left::Rows(scores, apart), keys, target, row, size);
    let target = &mut gradients[plan.place(Part::Key, head)..];
    product::<WIDTH, L, Over>(Left::Turned(scores, apart), queries, target, row, size);
}

/// The gradients of one query's scores, from those of its attention.
#[inline(always)]
fn pass_softmax<const WIDTH: usize, L: Lanes<WIDTH>>(
    attention: &[Packet<L::Real, WIDTH>],
    gradients: &mut [Packet<L::Real, WIDTH>],
) {
    let mut total = L::splat(L::Real::default());
    for (attention, gradient) in attention.iter().zip(&*gradients) {
        total = total.plus_product(L::load(attention), L::load(gradient));
    }
    let zero = L::splat(L::Real::default());
    let [total, ..] = L::sums([total, zero, zero, zero]);
    for (attention, gradient) in attention.iter().zip(gradients) {
        for (gradient, &attention) in gradient.iter_mut().zip(attention) {
            *gradient = attention * (*gradient - total);
        }
    }
}
