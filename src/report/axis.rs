//! An axis of a plot: its range, and round numbers along it.

use std::ops::Range;

use plotters::coord::{
    ranged1d::{KeyPointHint, NoDefaultFormatting, Ranged, ValueFormatter},
    types::RangedCoordf64,
};

use super::numbers::percent;

/// A range with labelled places.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Axis {
    pub(super) title: String,
    pub(super) low: f64,
    pub(super) high: f64,
    pub(super) ticks: Vec<(f64, String)>,
}

impl Axis {
    /// A range from round to round number that holds all `values`, with some five ticks.
    pub(super) fn around(title: &str, values: impl Iterator<Item = f64>) -> Self {
        let (mut low, mut high) = (f64::INFINITY, f64::NEG_INFINITY);
        for value in values.filter(|value| value.is_finite()) {
            (low, high) = (low.min(value), high.max(value));
        }
        if low > high {
            (low, high) = (0.0, 1.0);
        }
        // equal values get a range that shows them in its middle
        let least = low.abs().max(high.abs()).max(1e-6) * 1e-3;
        if high - low < least {
            (low, high) = (low - least, high + least);
        }
        let step = round_step((high - low) / 5.0);
        Self::stepped(title, (low / step).floor() * step, (high / step).ceil() * step, step)
    }

    /// From 0 to a round number that is not below any of `values`.
    pub(super) fn from_zero(title: &str, values: impl Iterator<Item = f64>) -> Self {
        Self::zero_based(title, values.filter(|value| value.is_finite()).fold(0.0, f64::max), 5)
    }

    fn zero_based(title: &str, high: f64, parts: u32) -> Self {
        let high = if high > 0.0 { high } else { 1.0 };
        let step = round_step(high / f64::from(parts));
        Self::stepped(title, 0.0, (high / step).ceil() * step, step)
    }

    /// For bars: from 0, or from a round number above it where bars from 0 would all look alike; some `parts` ticks.
    pub(super) fn of_bars(values: &[f64], parts: u32) -> Self {
        let low = values.iter().copied().fold(f64::INFINITY, f64::min);
        let high = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let span = high - low;
        let are_alike = span > 0.0 && span < 0.5 * high && low > 0.3 * span;
        if !are_alike {
            return Self::zero_based("", high, parts);
        }
        let step = round_step(span * 1.3 / f64::from(parts));
        let start = ((low - 0.3 * span) / step).floor() * step;
        Self::stepped("", start, (high / step).ceil() * step, step)
    }

    /// From 0 to 1.
    pub(super) fn share(title: &str) -> Self {
        Self::stepped(title, 0.0, 1.0, 0.2)
    }

    /// Whole numbers from 0.
    pub(super) fn counted(title: &str, high: f64) -> Self {
        Self::stepped(title, 0.0, high, round_step(high / 8.0).max(1.0))
    }

    /// A range of logits whose labels are their probabilities.
    pub(super) fn of_odds(title: &str, low: f64, high: f64) -> Self {
        const ROUND: [f64; 13] = [0.0001, 0.001, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 0.8, 0.9, 0.99, 0.999, 0.9999];
        let apart = (high - low) / 9.0;
        let mut ticks: Vec<(f64, String)> = Vec::new();
        for (place, label) in ROUND.map(|share: f64| ((share / (1.0 - share)).ln(), percent(share))) {
            let is_free = ticks.last().is_none_or(|last| place - last.0 >= apart);
            if (low..=high).contains(&place) && is_free {
                ticks.push((place, label));
            }
        }
        if ticks.len() < 3 {
            ticks = (0..5).map(|tick| low + (high - low) * f64::from(tick) / 4.0).map(labelled).collect();
        }
        Self { title: title.to_owned(), low, high, ticks }
    }

    fn stepped(title: &str, low: f64, high: f64, step: f64) -> Self {
        let (first, last) = ((low / step - 1e-6).ceil(), (high / step + 1e-6).floor());
        // adding 0 turns −0 into 0
        let ticks = whole_numbers(first, last).map(|tick| tick * step + 0.0).map(|place| (place, label(place, step)));
        Self { title: title.to_owned(), low, high, ticks: ticks.collect() }
    }
}

impl Ranged for Axis {
    type FormatOption = NoDefaultFormatting;
    type ValueType = f64;

    fn map(&self, value: &f64, limit: (i32, i32)) -> i32 {
        RangedCoordf64::from(self.range()).map(value, limit)
    }

    fn key_points<Hint: KeyPointHint>(&self, _: Hint) -> Vec<f64> {
        self.ticks.iter().map(|tick| tick.0).collect()
    }

    fn range(&self) -> Range<f64> {
        self.low..self.high
    }
}

impl ValueFormatter<f64> for Axis {
    fn format_ext(&self, place: &f64) -> String {
        let tick = self.ticks.iter().find(|tick| tick.0.total_cmp(place).is_eq());
        tick.map_or_else(String::new, |tick| tick.1.clone())
    }
}

fn labelled(logit: f64) -> (f64, String) {
    (logit, format!("{:.2} %", 100.0 / (1.0 + (-logit).exp())))
}

fn whole_numbers(first: f64, last: f64) -> impl Iterator<Item = f64> {
    std::iter::successors(Some(first), |number| Some(number + 1.0)).take_while(move |number| *number <= last)
}

/// The smallest of 1, 2 and 5 times a power of ten that is not below `step`.
fn round_step(step: f64) -> f64 {
    let power = 10.0_f64.powf(step.log10().floor());
    let factor = [1.0, 2.0, 5.0].into_iter().find(|factor| factor * power >= step * (1.0 - 1e-9));
    factor.unwrap_or(10.0) * power
}

/// A multiple of `step`; thousands, millions and billions are shortened.
fn label(place: f64, step: f64) -> String {
    let units = [(1e9, "G"), (1e6, "M"), (1e3, "k")];
    let (unit, name) = units.into_iter().find(|(unit, _)| step >= unit / 2.0).unwrap_or((1.0, ""));
    let digits = digits(step / unit);
    if unit > 1.0 && place.abs() < step / 2.0 { "0".to_owned() } else { format!("{:.digits$}{name}", place / unit) }
}

/// Decimals that tell the multiples of a round step apart.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it is cut to 0 and 12")]
fn digits(step: f64) -> usize {
    (-(step.log10() + 1e-9).floor()).clamp(0.0, 12.0) as usize
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn labels(axis: &Axis) -> Vec<&str> {
        axis.ticks.iter().map(|tick| tick.1.as_str()).collect()
    }

    proptest! {
        #[test]
        fn an_axis_holds_its_values_and_has_a_few_distinct_ticks(
            values in prop::collection::vec(-1e3_f64..1e3, 0..9),
            scale in prop::sample::select(vec![1e-6, 1e-2, 1.0, 1e6]),
        ) {
            let values: Vec<f64> = values.iter().map(|value| value * scale).collect();
            for axis in [Axis::around("", values.iter().copied()), Axis::from_zero("", values.iter().map(|value| value.abs()))] {
                let slack = 1e-9 * (axis.high - axis.low);
                prop_assert!(axis.ticks.iter().all(|tick| axis.low - slack <= tick.0 && tick.0 <= axis.high + slack));
                prop_assert!((2..=9).contains(&axis.ticks.len()), "{:?}", axis);
                let distinct: std::collections::BTreeSet<&str> = labels(&axis).into_iter().collect();
                prop_assert_eq!(distinct.len(), axis.ticks.len());
            }
            let axis = Axis::around("", values.iter().copied());
            prop_assert!(values.iter().all(|value| (axis.low - 1e-9 * scale..=axis.high + 1e-9 * scale).contains(value)));
        }
    }

    #[test]
    fn ticks_are_round_and_have_the_decimals_they_need() {
        assert_eq!(labels(&Axis::around("", [0.4412, 0.4531].into_iter())), ["0.440", "0.445", "0.450", "0.455"]);
        assert_eq!(labels(&Axis::share("")), ["0.0", "0.2", "0.4", "0.6", "0.8", "1.0"]);
        assert_eq!(labels(&Axis::from_zero("", [43.0].into_iter())), ["0", "10", "20", "30", "40", "50"]);
        assert_eq!(labels(&Axis::counted("", 3.0)), ["0", "1", "2", "3"]);
        assert_eq!(labels(&Axis::counted("", 47.0)), ["0", "10", "20", "30", "40"]);
    }

    #[test]
    fn no_value_has_an_axis_and_equal_values_stand_inside_of_it() {
        assert!(Axis::around("", std::iter::empty()).ticks.len() > 1);
        let axis = Axis::around("", [0.5; 3].into_iter());
        assert!(axis.low < 0.5 && 0.5 < axis.high);
    }

    #[test]
    fn bars_start_at_0_unless_they_would_look_alike() {
        let of = |values: &[f64]| Axis::of_bars(values, 5);
        let alike = of(&[0.4449, 0.4612, 0.4555]);
        assert_eq!(labels(&alike), ["0.440", "0.445", "0.450", "0.455", "0.460", "0.465"]);
        assert_eq!(labels(&of(&[2.0, 40.0])), ["0", "10", "20", "30", "40"]);
        assert!(of(&[0.7]).low.abs() < 1e-9 && of(&[]).low.abs() < 1e-9);
        assert_eq!(labels(&of(&[12_000.0, 95_000.0])), ["0", "20k", "40k", "60k", "80k", "100k"]);
        assert_eq!(labels(&of(&[2.4e6, 0.0])), ["0", "0.5M", "1.0M", "1.5M", "2.0M", "2.5M"]);
    }

    #[test]
    fn odds_are_labelled_by_probabilities() {
        assert_eq!(labels(&Axis::of_odds("", -5.0, 2.5)), ["1 %", "5 %", "20 %", "50 %", "80 %"]);
        let narrow = Axis::of_odds("", -1.6, -1.5);
        assert_eq!(labels(&narrow), ["16.80 %", "17.15 %", "17.51 %", "17.87 %", "18.24 %"]);
    }
}
