//! What a block's layers had and gave on the way forward, for the way back.

#![expect(clippy::inline_always, reason = "inlined into functions that may use more instructions, see layers/lanes")]

use super::{block::forward_layer, plan::Plan};
use crate::layers::lanes::{Lanes, Packet, Real};

/// What a block keeps of its way forward: all hidden states, and the gates where sums are separate.
pub(super) fn kept_packets<T: Real, const WIDTH: usize>(plan: &Plan<T, WIDTH>) -> usize {
    let buffers = if plan.form.is_merged() { plan.layers } else { 2 * plan.layers };
    buffers * plan.state_packets()
}

/// The layers from `H(0)` on, keeping every state and gate.
#[inline(always)]
pub(super) fn pass_layers<const WIDTH: usize, L: Lanes<WIDTH>>(
    plan: &Plan<L::Real, WIDTH>,
    columns: usize,
    start: &[Packet<L::Real, WIDTH>],
    passed: &mut [Packet<L::Real, WIDTH>],
) {
    let size = plan.state_packets();
    let (states, gates) = passed.split_at_mut(plan.layers * size);
    for layer in 0..plan.layers {
        let (before, after) = states.split_at_mut(layer * size);
        let input = if layer == 0 { start } else { &before[(layer - 1) * size..] };
        let gate = if gates.is_empty() { &mut [] } else { &mut gates[layer * size..][..size] };
        forward_layer::<WIDTH, L>(plan, layer, columns, [input, start], [&mut after[..size], gate]);
    }
}

/// What a block's layers had and gave on the way forward.
#[derive(Clone, Copy)]
pub(super) struct Passed<'a, T, const WIDTH: usize> {
    /// Packets of one state.
    size: usize,
    /// `H(0)`
    pub(super) start: &'a [Packet<T, WIDTH>],
    /// `H(1)` to `H(L)`.
    states: &'a [Packet<T, WIDTH>],
    /// What each layer's product was multiplied with, `W_C H` or its ReLU; empty where sums are merged.
    gates: &'a [Packet<T, WIDTH>],
}

impl<'a, T: Real, const WIDTH: usize> Passed<'a, T, WIDTH> {
    pub(super) fn new(plan: &Plan<T, WIDTH>, start: &'a [Packet<T, WIDTH>], passed: &'a [Packet<T, WIDTH>]) -> Self {
        let size = plan.state_packets();
        let (states, gates) = passed.split_at(plan.layers * size);
        Self { size, start, states, gates }
    }

    pub(super) fn input(&self, layer: usize) -> &'a [Packet<T, WIDTH>] {
        if layer == 0 { self.start } else { self.output(layer - 1) }
    }

    pub(super) fn output(&self, layer: usize) -> &'a [Packet<T, WIDTH>] {
        &self.states[layer * self.size..][..self.size]
    }

    pub(super) fn gate(&self, layer: usize) -> &'a [Packet<T, WIDTH>] {
        if self.gates.is_empty() { &[] } else { &self.gates[layer * self.size..][..self.size] }
    }
}
