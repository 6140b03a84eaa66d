//! The difference of two models' logloss on the same rows, with its confidence interval.
//!
//! The rows' losses are paired, so what makes a row hard for both models falls out. A model may bring the scores of
//! several seeds: a row's loss is then the mean over them.

use super::{
    difference::{Difference, variance_of_mean},
    logloss::loss_and_probability,
    pointwise::is_click,
};

/// The mean logloss over the runs of `first` less that of `second`; each run is one logit a row.
///
/// With the rows' differences `d` of n rows: `variance = var(d) / n`. `None` where there are fewer than two rows, a model has
/// no run or a logit is not finite.
///
/// # Panics
/// If there are not as many labels as logits of each run.
pub fn logloss_difference(
    first: &[impl AsRef<[f32]>],
    second: &[impl AsRef<[f32]>],
    labels: &[f32],
) -> Option<Difference> {
    let mut differences = mean_losses(first, labels)?;
    for (difference, loss) in differences.iter_mut().zip(mean_losses(second, labels)?) {
        *difference -= loss;
    }
    if differences.len() < 2 {
        return None;
    }
    let mean = differences.iter().sum::<f64>() / differences.len() as f64;
    Some(Difference::new(mean, variance_of_mean(&differences, mean)))
}

/// Each row's logloss, as a mean over the runs.
fn mean_losses(runs: &[impl AsRef<[f32]>], labels: &[f32]) -> Option<Vec<f64>> {
    if runs.is_empty() {
        return None;
    }
    let mut means = vec![0.0; labels.len()];
    for logits in runs.iter().map(AsRef::as_ref) {
        assert_eq!(logits.len(), labels.len(), "there is one label a logit");
        for ((mean, &logit), &label) in means.iter_mut().zip(logits).zip(labels) {
            *mean += loss_and_probability(f64::from(logit), is_click(label)).0 / runs.len() as f64;
        }
    }
    means.iter().all(|mean| mean.is_finite()).then_some(means)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::logloss;

    const LABELS: [f32; 5] = [1.0, 0.0, 0.0, 1.0, 1.0];
    const FIRST: [f32; 5] = [2.0, -1.0, 0.5, 0.0, 1.0];
    const SECOND: [f32; 5] = [1.0, -2.0, 0.0, 0.5, -1.0];

    #[track_caller]
    fn assert_near(found: f64, expected: f64) {
        assert!((found - expected).abs() < 1e-12, "expected {expected}, found {found}");
    }

    #[test]
    fn it_is_the_difference_of_the_loglosses_and_turns_its_sign() {
        let found = logloss_difference(&[FIRST], &[SECOND], &LABELS).unwrap();
        assert_near(found.difference, logloss(&FIRST, &LABELS).unwrap() - logloss(&SECOND, &LABELS).unwrap());
        let back = logloss_difference(&[SECOND], &[FIRST], &LABELS).unwrap();
        assert_near(back.difference, -found.difference);
        assert_near(back.interval[0], -found.interval[1]);
    }

    #[test]
    fn the_interval_is_that_of_the_rows_differences() {
        let loss = |logit: f32, label: f32| {
            let logit = f64::from(logit);
            (1.0 + (-logit).exp()).ln() + (1.0 - f64::from(label)) * logit
        };
        let row = |(first, (second, label)): (f32, (f32, f32))| loss(first, label) - loss(second, label);
        let rows: Vec<f64> = FIRST.into_iter().zip(SECOND.into_iter().zip(LABELS)).map(row).collect();
        let mean = rows.iter().sum::<f64>() / 5.0;
        let deviation = (rows.iter().map(|row| (row - mean).powi(2)).sum::<f64>() / 4.0).sqrt();
        let found = logloss_difference(&[FIRST], &[SECOND], &LABELS).unwrap();
        // the normal distribution's 97.5 % quantile
        assert!((found.interval[1] - mean - 1.959_964 * deviation / 5.0_f64.sqrt()).abs() < 1e-6, "{found:?}");
    }

    #[test]
    fn runs_count_by_their_mean() {
        let found = logloss_difference(&[FIRST, SECOND], &[SECOND], &LABELS).unwrap();
        let alone = logloss_difference(&[FIRST], &[SECOND], &LABELS).unwrap();
        assert_near(found.difference, alone.difference / 2.0);
        assert_near(found.interval[1], alone.interval[1] / 2.0);
    }

    #[test]
    fn few_rows_no_run_or_an_infinite_logit_leave_it_undefined() {
        let bad = [f32::NAN, 0.0, 0.0, 0.0, 0.0];
        assert_eq!(logloss_difference(&[[0.0]], &[[1.0]], &[1.0]), None);
        assert_eq!(logloss_difference(&[FIRST], &[bad], &LABELS), None);
        assert_eq!(logloss_difference(&[[0.0_f32; 5]; 0], &[FIRST], &LABELS), None);
    }
}
