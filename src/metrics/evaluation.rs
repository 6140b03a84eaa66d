//! All metrics of a set of rows, and why those that are missing are undefined.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::{
    auc, grouped_auc::grouped_auc, logloss::entropy, pointwise::Pointwise, precision_recall, ranking::Ranking,
};

/// METRICS: what is undefined is `None`, and `null` in JSON.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Metrics {
    /// Nats, mean over rows.
    pub logloss: Option<f64>,
    /// Area under the ROC curve, 0 to 1, a tie counting as half.
    pub auc: Option<f64>,
    /// Area under the precision-recall curve, as average precision.
    pub pr_auc: Option<f64>,
    /// This and the next three: at the probability 0.5.
    pub accuracy: Option<f64>,
    pub precision: Option<f64>,
    pub recall: Option<f64>,
    pub f1: Option<f64>,
    /// The share of rows whose label is 1.
    pub click_rate: Option<f64>,
    pub mean_probability: Option<f64>,
    /// Logloss divided by the click rate's entropy (He et al. 2014): 1 is the best constant's, less is better.
    pub normalized_entropy: Option<f64>,
    /// Expected calibration error over 15 bins of equal width.
    pub calibration_error: Option<f64>,
    /// AUC within groups, weighted by their rows.
    pub gauc: Option<f64>,
    /// The AUC's 95 % interval (DeLong).
    pub auc_interval: Option<[f64; 2]>,
}

impl Metrics {
    /// The mean of each metric over several evaluations, for instance one a seed; undefined where one of them is.
    pub fn mean(all: &[Self]) -> Self {
        let mean = |of: fn(&Self) -> Option<f64>| {
            let values: Option<Vec<f64>> = all.iter().map(of).collect();
            values.filter(|values| !values.is_empty()).map(|values| values.iter().sum::<f64>() / values.len() as f64)
        };
        let low = mean(|metrics| metrics.auc_interval.map(|[low, _]| low));
        let high = mean(|metrics| metrics.auc_interval.map(|[_, high]| high));
        Self {
            logloss: mean(|metrics| metrics.logloss),
            auc: mean(|metrics| metrics.auc),
            pr_auc: mean(|metrics| metrics.pr_auc),
            accuracy: mean(|metrics| metrics.accuracy),
            precision: mean(|metrics| metrics.precision),
            recall: mean(|metrics| metrics.recall),
            f1: mean(|metrics| metrics.f1),
            click_rate: mean(|metrics| metrics.click_rate),
            mean_probability: mean(|metrics| metrics.mean_probability),
            normalized_entropy: mean(|metrics| metrics.normalized_entropy),
            calibration_error: mean(|metrics| metrics.calibration_error),
            gauc: mean(|metrics| metrics.gauc),
            auc_interval: low.zip(high).map(|(low, high)| [low, high]),
        }
    }
}

/// Metrics, with a reason for each that is undefined.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Evaluation {
    pub metrics: Metrics,
    pub undefined: Vec<Undefined>,
}

/// Metrics that are undefined for one reason; shown as a line for a person.
#[derive(Clone, Debug, PartialEq)]
pub struct Undefined {
    /// Keys of METRICS.
    pub metrics: Vec<&'static str>,
    pub reason: Reason,
}

/// Why a metric is undefined.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Reason {
    NoRows,
    /// The first logit, by its row from 0, that is not finite.
    NotFinite {
        row: usize,
        logit: f32,
    },
    /// All labels are 0, or all are 1.
    OneClass {
        label: u8,
    },
    /// No probability reaches 0.5.
    NothingCalled,
    /// An interval needs two rows of each class.
    FewRows,
    NoGroups,
    /// No group has both classes.
    NoMixedGroup,
}

impl Reason {
    /// Of a set with rows of one class alone.
    pub(super) fn one_class(clicks: u64) -> Self {
        Self::OneClass { label: u8::from(clicks > 0) }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoRows => write!(formatter, "there are no rows"),
            Self::NotFinite { row, logit } => write!(formatter, "the logit of row {row} (from 0) is {logit}"),
            Self::OneClass { label } => write!(formatter, "every label is {label}"),
            Self::NothingCalled => write!(formatter, "no probability reaches 0.5"),
            Self::FewRows => write!(formatter, "one of the classes has a single row"),
            Self::NoGroups => write!(formatter, "no group column is named"),
            Self::NoMixedGroup => write!(formatter, "no group has rows of both classes"),
        }
    }
}

impl fmt::Display for Undefined {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "undefined: {}, because {}", self.metrics.join(", "), self.reason)
    }
}

/// Computes all metrics over the whole set; `labels` are 0 or 1, `groups` has one number a row.
///
/// # Panics
/// If there are not as many labels, or groups, as logits.
pub fn evaluate(logits: &[f32], labels: &[f32], groups: Option<&[u64]>) -> Evaluation {
    let sums = Pointwise::of(logits, labels);
    let click_rate = sums.click_rate();
    let mut metrics = Metrics { click_rate, ..Metrics::default() };
    let blocked = blocked(logits);
    if blocked.is_none() {
        add_pointwise(&mut metrics, &sums);
        add_ranked(&mut metrics, &Ranking::of(logits, labels));
        metrics.gauc = groups.and_then(|groups| grouped_auc(logits, labels, groups));
    }
    let undefined = reasons(&metrics, &sums, blocked, groups.is_some());
    Evaluation { metrics, undefined }
}

/// Why nothing can be said of these scores.
pub(super) fn blocked(logits: &[f32]) -> Option<Reason> {
    match logits.iter().position(|logit| !logit.is_finite()) {
        Some(row) => Some(Reason::NotFinite { row, logit: logits[row] }),
        None => logits.is_empty().then_some(Reason::NoRows),
    }
}

fn add_pointwise(metrics: &mut Metrics, sums: &Pointwise) {
    metrics.logloss = sums.mean_logloss();
    metrics.mean_probability = sums.mean_probability();
    metrics.accuracy = sums.confusion.accuracy();
    metrics.precision = sums.confusion.precision();
    metrics.recall = sums.confusion.recall();
    metrics.f1 = sums.confusion.f1();
    metrics.calibration_error = Some(sums.calibration.error(sums.rows));
    let entropy = metrics.click_rate.and_then(entropy);
    metrics.normalized_entropy = metrics.logloss.zip(entropy).map(|(logloss, entropy)| logloss / entropy);
}

fn add_ranked(metrics: &mut Metrics, ranking: &Ranking) {
    metrics.auc = auc::area(ranking.ties());
    metrics.auc_interval = metrics.auc.and_then(|area| auc::interval(ranking, area));
    metrics.pr_auc = precision_recall::average_precision(ranking);
}

/// Why each missing metric is missing; `blocked` explains all of them at once.
fn reasons(metrics: &Metrics, sums: &Pointwise, blocked: Option<Reason>, grouped: bool) -> Vec<Undefined> {
    let one_class = (sums.clicks == 0 || sums.clicks == sums.rows).then(|| Reason::one_class(sums.clicks));
    let by_class = one_class.unwrap_or(Reason::FewRows);
    let by_group = if grouped { one_class.unwrap_or(Reason::NoMixedGroup) } else { Reason::NoGroups };
    let all = [
        ("logloss", metrics.logloss.is_some(), by_class),
        ("auc", metrics.auc.is_some(), by_class),
        ("pr_auc", metrics.pr_auc.is_some(), by_class),
        ("accuracy", metrics.accuracy.is_some(), by_class),
        ("precision", metrics.precision.is_some(), Reason::NothingCalled),
        ("recall", metrics.recall.is_some(), by_class),
        ("f1", metrics.f1.is_some(), by_class),
        ("click_rate", metrics.click_rate.is_some(), by_class),
        ("mean_probability", metrics.mean_probability.is_some(), by_class),
        ("normalized_entropy", metrics.normalized_entropy.is_some(), by_class),
        ("calibration_error", metrics.calibration_error.is_some(), by_class),
        ("gauc", metrics.gauc.is_some(), by_group),
        ("auc_interval", metrics.auc_interval.is_some(), by_class),
    ];
    let missing = all.into_iter().filter(|&(_, defined, _)| !defined);
    if let Some(reason) = blocked {
        return vec![Undefined { metrics: missing.map(|(key, ..)| key).collect(), reason }];
    }
    let mut undefined: Vec<Undefined> = Vec::new();
    for (key, _, reason) in missing {
        match undefined.iter_mut().find(|other| other.reason == reason) {
            Some(other) => other.metrics.push(key),
            None => undefined.push(Undefined { metrics: vec![key], reason }),
        }
    }
    undefined
}

#[cfg(test)]
mod tests {
    use super::*;

    const RANKED: [&str; 4] = ["auc", "pr_auc", "normalized_entropy", "auc_interval"];

    fn missing(evaluation: &Evaluation) -> Vec<(Vec<&'static str>, String)> {
        let all = evaluation.undefined.iter();
        all.map(|undefined| (undefined.metrics.clone(), undefined.reason.to_string())).collect()
    }

    #[test]
    fn a_mean_is_undefined_where_one_is() {
        let one = Metrics { logloss: Some(0.4), auc: Some(0.7), auc_interval: Some([0.6, 0.8]), ..Metrics::default() };
        let two = Metrics { logloss: Some(0.6), auc: None, auc_interval: Some([0.7, 1.0]), ..Metrics::default() };
        let mean = Metrics::mean(&[one.clone(), two]);
        assert!((mean.logloss.unwrap() - 0.5).abs() < 1e-12);
        assert_eq!(mean.auc, None);
        assert!((mean.auc_interval.unwrap()[1] - 0.9).abs() < 1e-12);
        assert_eq!(Metrics::mean(std::slice::from_ref(&one)), one);
        assert_eq!(Metrics::mean(&[]), Metrics::default());
    }

    #[test]
    fn a_set_with_both_classes_and_groups_has_every_metric() {
        let evaluation = evaluate(&[1.0, -1.0, 2.0, -0.5], &[1.0, 0.0, 0.0, 1.0], Some(&[1, 1, 2, 2]));
        assert_eq!(missing(&evaluation), []);
        let metrics = evaluation.metrics;
        assert_eq!((metrics.auc, metrics.gauc, metrics.click_rate), (Some(0.5), Some(0.5), Some(0.5)));
        assert_eq!((metrics.accuracy, metrics.f1), (Some(0.5), Some(0.5)));
        assert!(
            (metrics.logloss.unwrap() / metrics.normalized_entropy.unwrap() - std::f64::consts::LN_2).abs() < 1e-15
        );
    }

    #[test]
    fn an_empty_set_has_no_metric() {
        let evaluation = evaluate(&[], &[], None);
        assert_eq!(evaluation.metrics, Metrics::default());
        assert_eq!(evaluation.undefined[0].metrics.len(), 13);
        assert_eq!(evaluation.undefined[0].reason, Reason::NoRows);
    }

    #[test]
    fn without_clicks_what_needs_both_classes_is_undefined() {
        let evaluation = evaluate(&[1.0, -1.0], &[0.0, 0.0], Some(&[1, 1]));
        let keys = vec!["auc", "pr_auc", "recall", "normalized_entropy", "gauc", "auc_interval"];
        assert_eq!(missing(&evaluation), [(keys, "every label is 0".into())]);
        assert_eq!((evaluation.metrics.precision, evaluation.metrics.f1), (Some(0.0), Some(0.0)));
    }

    #[test]
    fn with_clicks_alone_recall_is_defined() {
        let evaluation = evaluate(&[1.0, -1.0], &[1.0, 1.0], None);
        let groups = (vec!["gauc"], "no group column is named".into());
        let of_class = [&RANKED[..3], &RANKED[3..]].concat();
        assert_eq!(missing(&evaluation), [(of_class, "every label is 1".into()), groups]);
        assert_eq!(evaluation.metrics.recall, Some(0.5));
    }

    #[test]
    fn precision_is_undefined_where_no_probability_reaches_a_half() {
        let evaluation = evaluate(&[-1.0, -2.0, -3.0, -4.0], &[1.0, 0.0, 1.0, 0.0], Some(&[1, 1, 1, 1]));
        assert_eq!(missing(&evaluation), [(vec!["precision"], "no probability reaches 0.5".into())]);
    }

    #[test]
    fn an_interval_needs_two_rows_of_each_class() {
        let evaluation = evaluate(&[1.0, 2.0, 3.0], &[1.0, 0.0, 0.0], Some(&[1, 2, 2]));
        let few = (vec!["auc_interval"], "one of the classes has a single row".into());
        assert_eq!(missing(&evaluation), [(vec!["gauc"], "no group has rows of both classes".into()), few]);
    }

    #[test]
    fn a_logit_that_is_not_finite_leaves_the_click_rate_alone() {
        for logit in [f32::NAN, f32::INFINITY] {
            let evaluation = evaluate(&[1.0, logit], &[1.0, 0.0], Some(&[1, 1]));
            assert_eq!(evaluation.metrics, Metrics { click_rate: Some(0.5), ..Metrics::default() });
            let [undefined] = &evaluation.undefined[..] else { panic!("one reason explains all") };
            assert_eq!(undefined.metrics.len(), 12);
            assert_eq!(undefined.reason.to_string(), format!("the logit of row 1 (from 0) is {logit}"));
        }
    }

    #[test]
    fn undefined_metrics_are_null_in_json_under_the_keys_of_metrics() {
        let json = serde_json::to_string(&evaluate(&[], &[], None).metrics).unwrap();
        let keys = [
            "logloss",
            "auc",
            "pr_auc",
            "accuracy",
            "precision",
            "recall",
            "f1",
            "click_rate",
            "mean_probability",
            "normalized_entropy",
            "calibration_error",
            "gauc",
            "auc_interval",
        ];
        let pairs = keys.map(|key| format!("\"{key}\":null"));
        assert_eq!(json, format!("{{{}}}", pairs.join(",")));
    }

    #[test]
    fn a_reason_reads_as_a_line() {
        let undefined = Undefined { metrics: RANKED.to_vec(), reason: Reason::OneClass { label: 0 } };
        let line = "undefined: auc, pr_auc, normalized_entropy, auc_interval, because every label is 0";
        assert_eq!(undefined.to_string(), line);
    }
}
