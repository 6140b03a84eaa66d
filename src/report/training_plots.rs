//! Plots of a training: its losses and its AUC over the epochs.

use super::{
    axis::Axis,
    chart::{Mark, chart},
    html::{figure, key, nothing},
    theme::Colour,
};
use crate::metrics::{EpochRecord, EvaluationRecord, Metrics, Point};

/// Points of a line up to which each is marked.
const MARKED: usize = 40;

/// The figures of a training: logloss, then AUC.
pub(super) fn training_figures(epochs: &[EpochRecord], evaluations: &[EvaluationRecord]) -> String {
    let axis = EpochAxis::of(epochs, evaluations);
    [logloss_figure(&axis, epochs, evaluations), auc_figure(&axis, evaluations)].concat()
}

fn logloss_figure(axis: &EpochAxis, epochs: &[EpochRecord], evaluations: &[EvaluationRecord]) -> String {
    let train: Vec<Point> = epochs.iter().map(|epoch| [epoch.epoch as f64, epoch.train_logloss]).collect();
    let validation = axis.points(evaluations, |metrics| metrics.logloss);
    if train.is_empty() && validation.is_empty() {
        return figure("Logloss", "", &nothing("No epoch ended and nothing was evaluated."), "");
    }
    let y = Axis::around("logloss", heights(&train).chain(heights(&validation)));
    let marks = [line(&validation, Colour::First), dashed(&train, Colour::Second)].concat();
    let series: &[(&str, &str)] = match (validation.is_empty(), train.is_empty()) {
        (false, false) => &[("first", "validation"), ("second dashed", "train, mean over an epoch")],
        (true, _) => &[("second dashed", "train, mean over an epoch")],
        (false, true) => &[("first", "validation")],
    };
    let plot = chart("Logloss of training and validation", [&axis.x(), &y], &marks);
    let caption = "Less is better. A row's train loss is taken before its own step, so the first epoch's mean also holds \
                   the losses of nearly untrained weights.";
    figure("Logloss", &key(series), &plot, caption)
}

fn auc_figure(axis: &EpochAxis, evaluations: &[EvaluationRecord]) -> String {
    let points = axis.points(evaluations, |metrics| metrics.auc);
    if points.is_empty() {
        let reason = if evaluations.is_empty() {
            "There are no validation rows, so there is no curve."
        } else {
            "The validation rows are of one class, so AUC is undefined."
        };
        return figure("AUC", "", &nothing(reason), "");
    }
    let y = Axis::around("AUC", heights(&points));
    let plot = chart("AUC of the validation rows", [&axis.x(), &y], &line(&points, Colour::First));
    figure("AUC", &key(&[("first", "validation")]), &plot, "More is better; 0.5 is chance.")
}

/// Epochs along a plot, with evaluations between their ends.
struct EpochAxis {
    /// `None` where no epoch ended: then there are steps along the plot.
    steps_per_epoch: Option<f64>,
    high: f64,
}

impl EpochAxis {
    fn of(epochs: &[EpochRecord], evaluations: &[EvaluationRecord]) -> Self {
        let done = epochs.len() as u64;
        let last = evaluations.iter().filter(|evaluation| evaluation.epoch <= done).map(|evaluation| evaluation.step);
        let per_epoch = last.max().map(|last| last as f64 / done as f64);
        let steps = evaluations.iter().map(|evaluation| evaluation.step).max().unwrap_or_default() as f64;
        // without evaluations the axis is the epochs' own
        let steps_per_epoch = if done > 0 { per_epoch.or(Some(1.0)) } else { None };
        let high = steps_per_epoch.map_or(steps, |steps_per_epoch| (steps / steps_per_epoch).max(done as f64));
        Self { steps_per_epoch, high: high.max(1.0) }
    }

    fn x(&self) -> Axis {
        Axis::counted(if self.steps_per_epoch.is_some() { "epoch" } else { "step" }, self.high)
    }

    /// A value an evaluation, where it is defined.
    fn points(&self, evaluations: &[EvaluationRecord], value: fn(&Metrics) -> Option<f64>) -> Vec<Point> {
        let place = |step: u64| step as f64 / self.steps_per_epoch.unwrap_or(1.0);
        evaluations.iter().filter_map(|one| Some([place(one.step), value(&one.validation)?])).collect()
    }
}

fn heights(points: &[Point]) -> impl Iterator<Item = f64> {
    points.iter().map(|point| point[1])
}

fn line(points: &[Point], colour: Colour) -> Vec<Mark> {
    with_dots(Mark::Line(points.to_vec(), colour), points, colour)
}

fn dashed(points: &[Point], colour: Colour) -> Vec<Mark> {
    with_dots(Mark::Dashed(points.to_vec(), colour), points, colour)
}

fn with_dots(mark: Mark, points: &[Point], colour: Colour) -> Vec<Mark> {
    let few = points.len() <= MARKED;
    std::iter::once(mark).chain(few.then(|| Mark::Dots(points.to_vec(), colour))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn epoch(epoch: u64) -> EpochRecord {
        let train_logloss = 0.5 - epoch as f64 / 100.0;
        EpochRecord { epoch, train_logloss, validation: None, seconds: 1.0, rows_per_second: 1.0, data_wait_share: 0.0 }
    }

    fn evaluation(epoch: u64, step: u64, auc: Option<f64>) -> EvaluationRecord {
        let validation = Metrics { logloss: Some(0.5), auc, ..Metrics::default() };
        EvaluationRecord { epoch, step, train_logloss: 0.5, validation }
    }

    #[test]
    fn evaluations_stand_between_the_epochs_ends() {
        let evaluations = [(1, 50), (1, 100), (2, 150), (2, 200), (3, 250)];
        let evaluations = evaluations.map(|(epoch, step)| evaluation(epoch, step, Some(0.75)));
        let axis = EpochAxis::of(&[epoch(1), epoch(2)], &evaluations);
        let places: Vec<f64> = axis.points(&evaluations, |metrics| metrics.auc).iter().map(|point| point[0]).collect();
        assert_eq!((places, axis.high), (vec![0.5, 1.0, 1.5, 2.0, 2.5], 2.5));
    }

    #[test]
    fn before_the_first_epochs_end_there_are_steps() {
        let axis = EpochAxis::of(&[], &[evaluation(1, 50, None), evaluation(1, 100, None)]);
        assert_eq!((axis.x().title.as_str(), axis.high), ("step", 100.0));
    }

    #[test]
    fn what_cannot_be_drawn_is_said() {
        assert!(training_figures(&[], &[]).contains("No epoch ended"));
        assert!(training_figures(&[epoch(1)], &[]).contains("no validation rows"));
        assert!(training_figures(&[epoch(1)], &[evaluation(1, 5, None)]).contains("of one class"));
    }

    #[test]
    fn one_epoch_is_a_dot() {
        let figures = training_figures(&[epoch(1)], &[evaluation(1, 5, Some(0.75))]);
        assert_eq!((figures.matches("<svg").count(), figures.matches("<circle").count()), (2, 3));
    }
}
