//! The loop: epochs of steps, evaluations between them, the learning rates' schedule, early stopping and checkpoints.

use std::{path::Path, time::Instant};

use super::{Checkpoint, EvaluateEvery, Progress, Trainer, TrainingConfig, TrainingError, checkpoint, score};
use crate::{
    embedding::Moment,
    features::{Cache, epoch},
    metrics::{EpochRecord, Evaluation, EvaluationRecord, Metrics},
};

/// What a training runs on.
pub struct Fit<'a> {
    pub config: &'a TrainingConfig,
    pub train: &'a Cache,
    pub validation: Option<&'a Cache>,
    /// Rows that are shuffled at a time.
    pub shuffle_rows: usize,
    /// The folder of `best` and `last`.
    pub checkpoints: &'a Path,
}

/// What the caller may show or write down.
#[derive(Debug)]
pub enum Event<'a> {
    Step(StepEvent),
    Evaluated(&'a EvaluationRecord, &'a Evaluation),
    Epoch(&'a EpochRecord),
    /// The schedule lowered the rates to this factor.
    RateDropped(f64),
    /// Early stopping ends the training after so many evaluations without gain.
    Stopped(usize),
}

/// Where the training stands after a step.
#[derive(Clone, Copy, Debug)]
pub struct StepEvent {
    /// From 1.
    pub epoch: u64,
    pub epochs: u64,
    /// Batches done in this epoch.
    pub batch: u64,
    pub batches: u64,
    pub rows_done: u64,
    /// Mean loss over the epoch's rows so far.
    pub logloss: f64,
    /// Share of the epoch's time spent waiting for data.
    pub data_wait_share: f64,
}

/// Trains from where `progress` stands to the last epoch or the early stop.
///
/// # Errors
/// [`TrainingError::NonFiniteLoss`], or a checkpoint that can't be written.
pub fn fit(
    plan: &Fit,
    trainer: &mut Trainer,
    progress: Progress,
    observe: &mut dyn FnMut(Event<'_>),
) -> Result<Progress, TrainingError> {
    let mut run = Run { plan, trainer, progress, observe, saved: Instant::now() };
    while !run.progress.stopped && run.progress.epoch < plan.config.epochs.get() as u64 {
        run.epoch()?;
    }
    Ok(run.progress)
}

struct Run<'a> {
    plan: &'a Fit<'a>,
    trainer: &'a mut Trainer,
    progress: Progress,
    observe: &'a mut dyn FnMut(Event<'_>),
    saved: Instant,
}

impl Run<'_> {
    fn batches(&self) -> u64 {
        self.plan.train.rows().div_ceil(self.plan.config.batch_size.get()) as u64
    }

    fn epoch(&mut self) -> Result<(), TrainingError> {
        let config = self.plan.config;
        let from_batch = usize::try_from(self.progress.batch).expect("a batch number fits the address space");
        let size = config.batch_size.get();
        let (seed, shuffle_rows) = (config.seed, self.plan.shuffle_rows);
        let mut batches =
            epoch(self.plan.train, seed, self.progress.epoch, size, from_batch, shuffle_rows, config.negative_share);
        let mut clock = Clock::start();
        while let Some(batch) = batches.next() {
            let factor = self.rate_factor();
            let step = self.progress.step + 1;
            let outcome = self.trainer.step(config, &batch, step, factor);
            if !outcome.loss.is_finite() {
                return Err(TrainingError::NonFiniteLoss {
                    step,
                    epoch: self.progress.epoch + 1,
                    loss: outcome.loss,
                    learning_rate: outcome.learning_rate,
                    table_learning_rate: self.trainer.embedding.learning_rate() * factor,
                });
            }
            self.progress.step = step;
            self.progress.batch += 1;
            self.progress.rows += batch.rows as u64;
            self.progress.loss_sum += outcome.loss * batch.rows as f64;
            clock.lap(&mut self.progress, batches.wait_seconds());
            let event = self.step_event();
            (self.observe)(Event::Step(event));
            if let Some(Stopped(validation)) = self.within_epoch()? {
                return self.end_epoch(validation);
            }
            clock.restart();
        }
        let validation = self.evaluate()?;
        self.end_epoch(validation)
    }

    fn rate_factor(&self) -> f64 {
        let batches = self.batches();
        let total = batches * self.plan.config.epochs.get() as u64;
        self.plan.config.schedule.factor(&self.progress.schedule, self.progress.step, batches, total)
    }

    fn step_event(&self) -> StepEvent {
        let progress = &self.progress;
        StepEvent {
            epoch: progress.epoch + 1,
            epochs: self.plan.config.epochs.get() as u64,
            batch: progress.batch,
            batches: self.batches(),
            rows_done: progress.rows,
            logloss: progress.loss_sum / progress.rows.max(1) as f64,
            data_wait_share: progress.wait_seconds / progress.seconds.max(f64::MIN_POSITIVE),
        }
    }

    /// Evaluations and checkpoints between two steps; the metrics of the evaluation that stops the training.
    fn within_epoch(&mut self) -> Result<Option<Stopped>, TrainingError> {
        let last_of_epoch = self.progress.batch == self.batches();
        if last_of_epoch {
            return Ok(None);
        }
        if let EvaluateEvery::Steps(steps) = self.plan.config.evaluate_every
            && self.progress.step.is_multiple_of(steps as u64)
        {
            let validation = self.evaluate()?;
            if self.progress.stopped {
                return Ok(Some(Stopped(validation)));
            }
            self.save_last()?;
        } else if self.saved.elapsed().as_secs_f64() > self.plan.config.checkpoint_minutes.value() * 60.0 {
            self.save_last()?;
        }
        Ok(None)
    }

    fn end_epoch(&mut self, validation: Option<Metrics>) -> Result<(), TrainingError> {
        let event = self.step_event();
        let record = EpochRecord {
            epoch: event.epoch,
            train_logloss: event.logloss,
            validation,
            seconds: self.progress.seconds,
            rows_per_second: event.rows_done as f64 / self.progress.seconds.max(f64::MIN_POSITIVE),
            data_wait_share: event.data_wait_share,
        };
        (self.observe)(Event::Epoch(&record));
        let progress = &mut self.progress;
        progress.epochs.push(record);
        progress.epoch += 1;
        (progress.batch, progress.rows) = (0, 0);
        (progress.loss_sum, progress.seconds, progress.wait_seconds) = (0.0, 0.0, 0.0);
        self.save_last()
    }

    /// Scores the validation part and draws the consequences; without one, the newest weights are the best.
    fn evaluate(&mut self) -> Result<Option<Metrics>, TrainingError> {
        let batch_size = self.plan.config.batch_size.get();
        let moment = Moment { step: self.progress.step, rate_factor: self.rate_factor(), batch_size };
        self.trainer.embedding.catch_up_all(moment);
        let Some(validation) = self.plan.validation else {
            self.save_best()?;
            return Ok(None);
        };
        let scores = score(
            self.trainer.model(),
            &self.trainer.embedding,
            validation,
            self.plan.config.logit_offset(),
            self.trainer.device(),
        );
        let evaluation = scores.evaluate();
        let event = self.step_event();
        let record = EvaluationRecord {
            epoch: event.epoch,
            step: self.progress.step,
            train_logloss: event.logloss,
            validation: evaluation.metrics.clone(),
        };
        (self.observe)(Event::Evaluated(&record, &evaluation));
        self.progress.evaluations += 1;
        self.judge(&evaluation.metrics)?;
        Ok(Some(evaluation.metrics))
    }

    fn judge(&mut self, metrics: &Metrics) -> Result<(), TrainingError> {
        let early_stop = self.plan.config.early_stop;
        let value = early_stop.metric.value(metrics);
        let gained = match (value, self.progress.best) {
            (Some(new), Some(old)) => early_stop.metric.improves(new, old),
            (Some(_), None) => true,
            // an undefined metric says nothing: the first weights count as best until it is defined
            (None, _) => !self.progress.has_best,
        };
        if gained {
            self.progress.best = value.or(self.progress.best);
            self.progress.without_gain = 0;
            self.save_best()?;
        } else {
            self.progress.without_gain += 1;
            if self.progress.without_gain > early_stop.patience {
                self.progress.stopped = true;
                (self.observe)(Event::Stopped(self.progress.without_gain));
            }
        }
        if self.plan.config.schedule.observe(&mut self.progress.schedule, gained) {
            let factor = self.rate_factor();
            (self.observe)(Event::RateDropped(factor));
        }
        Ok(())
    }

    fn save_best(&mut self) -> Result<(), TrainingError> {
        self.progress.has_best = true;
        self.progress.best_epoch = self.progress.epoch + 1;
        let content = Checkpoint { trainer: self.trainer, progress: &self.progress, resumable: false };
        checkpoint::save(&self.plan.checkpoints.join("best"), &content)
    }

    fn save_last(&mut self) -> Result<(), TrainingError> {
        let content = Checkpoint { trainer: self.trainer, progress: &self.progress, resumable: true };
        checkpoint::save(&self.plan.checkpoints.join("last"), &content)?;
        self.saved = Instant::now();
        Ok(())
    }
}

/// An early stop within an epoch, with what its evaluation found.
struct Stopped(Option<Metrics>);

/// Seconds of training, evaluations left out.
struct Clock {
    start: Instant,
    waited: f64,
}

impl Clock {
    fn start() -> Self {
        Self { start: Instant::now(), waited: 0.0 }
    }

    fn lap(&mut self, progress: &mut Progress, waited: f64) {
        progress.seconds += self.start.elapsed().as_secs_f64();
        progress.wait_seconds += waited - self.waited;
        self.waited = waited;
    }

    fn restart(&mut self) {
        self.start = Instant::now();
    }
}
