//! Batches → trained weights: the loop, its loss, the dense optimizer, schedules, early stopping and checkpoints.

mod checkpoint;
mod checkpoint_files;
mod checkpoint_tensors;
mod config;
mod dense;
mod error;
mod evaluate;
mod fit;
mod loss;
mod schedule;
mod step;

pub use self::{
    checkpoint::{Checkpoint, Progress, load_best, load_last, save},
    config::{DenseOptimizer, EarlyStop, EvaluateEvery, TrainingConfig},
    dense::{DenseState, Weight, weights, with_weights},
    error::TrainingError,
    evaluate::{Scores, rows_at_a_time, score, score_batch},
    fit::{Event, Fit, StepEvent, fit},
    loss::{Loss, logloss},
    schedule::{Decay, Exponential, Plateau, Schedule, ScheduleState, Warmup},
    step::{StepOutcome, Trainer},
};
