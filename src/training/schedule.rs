//! How the learning rates change: a factor on both the table's and the dense weights' rate.

use std::f64::consts::PI;

use serde::{Deserialize, Serialize};

use crate::ranges::{NonNegative, Positive, Probability};

/// `training.schedule`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Schedule {
    /// The rates stay.
    #[default]
    Constant,
    /// Times `factor` after more than `patience` evaluations in a row without gain.
    Plateau(Plateau),
    /// Half a cosine from 1 down to `last` at the end of the last epoch, after a linear warm-up.
    Cosine(Decay),
    /// A straight line from 1 down to `last`, after a linear warm-up.
    Linear(Decay),
    /// Times `factor` after every epoch.
    Exponential(Exponential),
    /// A linear warm-up, then constant.
    Warmup(Warmup),
}

/// `{ plateau = { factor = 0.1, patience = 0 } }`
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Plateau {
    /// Default 0.1.
    pub factor: Positive,
    /// Evaluations without gain that are borne. Default 0.
    pub patience: usize,
    /// No lower than this times the first rate. Default 1e-3.
    pub floor: NonNegative,
}

impl Default for Plateau {
    fn default() -> Self {
        let factor = Positive::new(0.1).expect("0.1 is above 0");
        Self { factor, patience: 0, floor: NonNegative::new(1e-3).expect("1e-3 is not negative") }
    }
}

/// `{ cosine = { last = 0.0, warmup_steps = 0 } }`
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Decay {
    /// The factor at the end. Default 0.
    pub last: Probability,
    /// Steps of linear growth at the start. Default 0.
    pub warmup_steps: u64,
}

impl Default for Decay {
    fn default() -> Self {
        Self { last: Probability::new(0.0).expect("0 is a probability"), warmup_steps: 0 }
    }
}

/// `{ exponential = { factor = 0.9 } }`
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Exponential {
    /// Default 0.9.
    pub factor: Positive,
}

impl Default for Exponential {
    fn default() -> Self {
        Self { factor: Positive::new(0.9).expect("0.9 is above 0") }
    }
}

/// `{ warmup = { steps = 1000 } }`
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Warmup {
    /// Steps of linear growth. Default 1000.
    pub steps: u64,
}

impl Default for Warmup {
    fn default() -> Self {
        Self { steps: 1000 }
    }
}

/// What a schedule remembers of the evaluations so far.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct ScheduleState {
    plateau_factor: f64,
    without_gain: usize,
}

impl Default for ScheduleState {
    fn default() -> Self {
        Self { plateau_factor: 1.0, without_gain: 0 }
    }
}

impl Schedule {
    /// The factor for the next step; `step` counts from 0, out of `total` in `steps_an_epoch` each.
    pub fn factor(&self, state: &ScheduleState, step: u64, steps_an_epoch: u64, total: u64) -> f64 {
        match self {
            Self::Constant => 1.0,
            Self::Plateau(_) => state.plateau_factor,
            Self::Cosine(decay) => decay.factor(step, total, |share| 0.5 * (1.0 + (PI * share).cos())),
            Self::Linear(decay) => decay.factor(step, total, |share| 1.0 - share),
            Self::Exponential(Exponential { factor }) => factor.value().powf((step / steps_an_epoch.max(1)) as f64),
            Self::Warmup(Warmup { steps }) => warmup(step, *steps),
        }
    }

    /// Takes note of an evaluation; returns whether the rates drop.
    pub fn observe(&self, state: &mut ScheduleState, gained: bool) -> bool {
        let Self::Plateau(plateau) = self else { return false };
        if gained {
            state.without_gain = 0;
            return false;
        }
        state.without_gain += 1;
        if state.without_gain <= plateau.patience {
            return false;
        }
        state.without_gain = 0;
        let lowered = (state.plateau_factor * plateau.factor.value()).max(plateau.floor.value());
        // rounding of repeated factors is no drop
        let drops = lowered < state.plateau_factor * (1.0 - 1e-9);
        state.plateau_factor = lowered;
        drops
    }
}

impl Decay {
    fn factor(&self, step: u64, total: u64, shape: impl Fn(f64) -> f64) -> f64 {
        if step < self.warmup_steps {
            return warmup(step, self.warmup_steps);
        }
        let after = (step - self.warmup_steps) as f64;
        let share = (after / total.saturating_sub(self.warmup_steps).max(1) as f64).min(1.0);
        self.last.value() + (1.0 - self.last.value()) * shape(share)
    }
}

fn warmup(step: u64, steps: u64) -> f64 {
    ((step + 1) as f64 / steps.max(1) as f64).min(1.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plateau_lowers_the_rate_after_each_evaluation_without_gain() {
        let schedule = Schedule::Plateau(Plateau::default());
        let mut state = ScheduleState::default();
        assert!(!schedule.observe(&mut state, true));
        assert!(schedule.observe(&mut state, false));
        assert!((schedule.factor(&state, 7, 10, 100) - 0.1).abs() < 1e-12);
        assert!(schedule.observe(&mut state, false) && schedule.observe(&mut state, false));
        assert!(!schedule.observe(&mut state, false), "the floor holds");
    }

    #[test]
    fn patience_bears_evaluations_without_gain() {
        let schedule = Schedule::Plateau(Plateau { patience: 1, ..Plateau::default() });
        let mut state = ScheduleState::default();
        assert!(!schedule.observe(&mut state, false));
        assert!(schedule.observe(&mut state, false));
    }

    #[test]
    fn decays_start_at_one_and_end_at_their_last_factor() {
        let decay = Decay { last: Probability::new(0.2).unwrap(), warmup_steps: 10 };
        let state = ScheduleState::default();
        for schedule in [Schedule::Cosine(decay), Schedule::Linear(decay)] {
            assert!((schedule.factor(&state, 4, 100, 100) - 0.5).abs() < 1e-12);
            assert!((schedule.factor(&state, 10, 100, 100) - 1.0).abs() < 1e-12);
            assert!((schedule.factor(&state, 100, 100, 100) - 0.2).abs() < 1e-12);
        }
    }
}
