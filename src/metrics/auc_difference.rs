//! The difference of two models' AUC on the same rows, with its confidence interval.
//!
//! The interval is that of two correlated ROC curves (DeLong et al. 1988), whose placements are found in linear time
//! after a sort (Sun and Xu 2014). A model may bring the scores of several seeds: its AUC is then the mean over them, and
//! so are its placements, since a mean of U-statistics over the same rows is a U-statistic of the mean kernel.

use rayon::prelude::*;

use super::{
    difference::{Difference, variance_of_mean},
    pointwise::is_click,
    ranking::{Key, key},
};

/// The mean AUC over the runs of `first` less that of `second`; each run is one logit a row.
///
/// With the differences `d₁₀` of the P clicks' placements and `d₀₁` of the N other rows':
/// `variance = var(d₁₀) / P + var(d₀₁) / N`. `None` where a class has fewer than two rows, a model has no run or a logit
/// is not finite.
///
/// # Panics
/// If there are not as many labels as logits of each run.
pub fn auc_difference(first: &[impl AsRef<[f32]>], second: &[impl AsRef<[f32]>], labels: &[f32]) -> Option<Difference> {
    let clicks = labels.iter().filter(|&&label| is_click(label)).count();
    let others = labels.len() - clicks;
    if clicks < 2 || others < 2 {
        return None;
    }
    let mut differences = mean_placements(first, labels)?;
    for (difference, placement) in differences.iter_mut().zip(mean_placements(second, labels)?) {
        *difference -= placement;
    }
    let of_class = |click: bool| -> Vec<f64> {
        let rows = differences.iter().zip(labels).filter(|&(_, &label)| is_click(label) == click);
        rows.map(|(&difference, _)| difference).collect()
    };
    let (of_clicks, of_others) = (of_class(true), of_class(false));
    // the mean over either class is the difference of the areas
    let difference = of_clicks.iter().sum::<f64>() / clicks as f64;
    let variance = variance_of_mean(&of_clicks, difference) + variance_of_mean(&of_others, difference);
    Some(Difference::new(difference, variance))
}

/// Each row's placement, as a mean over the runs.
fn mean_placements(runs: &[impl AsRef<[f32]>], labels: &[f32]) -> Option<Vec<f64>> {
    let finite = runs.iter().all(|run| run.as_ref().iter().all(|logit| logit.is_finite()));
    if runs.is_empty() || !finite {
        return None;
    }
    let mut means = vec![0.0; labels.len()];
    for run in runs {
        add_placements(run.as_ref(), labels, &mut means);
    }
    for mean in &mut means {
        *mean /= runs.len() as f64;
    }
    Some(means)
}

/// Adds a click's `V₁₀`, the share of other rows below it, and another row's `V₀₁`, the share of clicks above it; ties
/// count as half.
fn add_placements(logits: &[f32], labels: &[f32], sums: &mut [f64]) {
    assert_eq!(logits.len(), labels.len(), "there is one label a logit");
    let mut order: Vec<(Key, usize)> = logits.iter().map(|&logit| key(logit)).zip(0..).collect();
    order.par_sort_unstable();
    let clicks = labels.iter().filter(|&&label| is_click(label)).count();
    let others = labels.len() - clicks;
    let (mut clicks_below, mut others_below) = (0, 0);
    for tied in order.chunk_by(|left, right| left.0 == right.0) {
        let clicks_tied = tied.iter().filter(|&&(_, row)| is_click(labels[row])).count();
        let others_tied = tied.len() - clicks_tied;
        let of_click = (others_below as f64 + others_tied as f64 / 2.0) / others as f64;
        let clicks_above = clicks - clicks_below - clicks_tied;
        let of_other = (clicks_above as f64 + clicks_tied as f64 / 2.0) / clicks as f64;
        for &(_, row) in tied {
            sums[row] += if is_click(labels[row]) { of_click } else { of_other };
        }
        clicks_below += clicks_tied;
        others_below += others_tied;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::metrics::{auc, auc::QUANTILE, evaluate};

    /// The kernel of all pairs: a row a click, a column another row.
    fn pairs(logits: &[f32], labels: &[f32]) -> Vec<Vec<f64>> {
        let of = |click: bool| logits.iter().zip(labels).filter(move |row| (*row.1 > 0.5) == click).map(|row| *row.0);
        let pair =
            |high: f32, low: f32| f64::midpoint(f64::from(u8::from(high > low)), f64::from(u8::from(high >= low)));
        of(true).map(|high| of(false).map(|low| pair(high, low)).collect()).collect()
    }

    fn mean(values: &[f64]) -> f64 {
        values.iter().sum::<f64>() / values.len() as f64
    }

    fn covariance(left: &[f64], right: &[f64]) -> f64 {
        let products = left.iter().zip(right).map(|(l, r)| (l - mean(left)) * (r - mean(right)));
        products.sum::<f64>() / (left.len() - 1) as f64
    }

    /// `S = S₁₀ / P + S₀₁ / N` of DeLong et al., and the contrast (1, −1), over all pairs.
    fn by_pairs(first: &[f32], second: &[f32], labels: &[f32]) -> (f64, f64) {
        let placements = [first, second].map(|logits| {
            let pairs = pairs(logits, labels);
            let of_others = |other: usize| mean(&pairs.iter().map(|row| row[other]).collect::<Vec<_>>());
            let of_clicks: Vec<f64> = pairs.iter().map(|row| mean(row)).collect();
            (of_clicks, (0..pairs[0].len()).map(of_others).collect::<Vec<f64>>())
        });
        let [(clicks_1, others_1), (clicks_2, others_2)] = &placements;
        let entry = |clicks: [&Vec<f64>; 2], others: [&Vec<f64>; 2]| {
            covariance(clicks[0], clicks[1]) / clicks_1.len() as f64
                + covariance(others[0], others[1]) / others_1.len() as f64
        };
        let variance = entry([clicks_1; 2], [others_1; 2]) + entry([clicks_2; 2], [others_2; 2])
            - 2.0 * entry([clicks_1, clicks_2], [others_1, others_2]);
        (mean(clicks_1) - mean(clicks_2), variance)
    }

    type Rows = (Vec<f32>, Vec<f32>, Vec<f32>);

    /// Two scores with many ties and a label a row, at least two rows of each class.
    fn rows() -> impl Strategy<Value = Rows> {
        let row = (-8_i8..8, -8_i8..8, any::<bool>());
        prop::collection::vec(row, 0..60).prop_map(|mut rows| {
            rows.extend([(0, 1, true), (2, 0, true), (0, 0, false), (1, 1, false)]);
            let label = |row: &(i8, i8, bool)| f32::from(u8::from(row.2));
            let score = |of: fn(&(i8, i8, bool)) -> i8| rows.iter().map(|row| f32::from(of(row))).collect();
            (score(|row| row.0), score(|row| row.1), rows.iter().map(label).collect())
        })
    }

    fn close(found: f64, expected: f64) -> bool {
        (found - expected).abs() < 1e-12
    }

    proptest! {
        #[test]
        fn difference_and_interval_equal_delongs_over_all_pairs((first, second, labels) in rows()) {
            let found = auc_difference(&[&first], &[&second], &labels).unwrap();
            let (difference, variance) = by_pairs(&first, &second, &labels);
            prop_assert!(close(found.difference, difference));
            let half = QUANTILE * variance.max(0.0).sqrt();
            // the root of a variance that cancels to 1e-17 is known to some 1e-8
            prop_assert!((found.interval[0] - (difference - half)).abs() < 1e-7);
            prop_assert!((found.interval[1] - (difference + half)).abs() < 1e-7);
        }

        #[test]
        fn runs_count_by_their_mean((first, second, labels) in rows()) {
            let found = auc_difference(&[&first, &second], &[&second], &labels).unwrap();
            let alone = auc_difference(&[&first], &[&second], &labels).unwrap();
            prop_assert!(close(found.difference, alone.difference / 2.0));
            prop_assert!(close(found.interval[1], alone.interval[1] / 2.0));
        }

        #[test]
        fn a_difference_is_that_of_the_areas_and_turns_its_sign((first, second, labels) in rows()) {
            let found = auc_difference(&[&first], &[&second], &labels).unwrap();
            prop_assert!(close(found.difference, auc(&first, &labels).unwrap() - auc(&second, &labels).unwrap()));
            let back = auc_difference(&[&second], &[&first], &labels).unwrap();
            prop_assert!(close(back.difference, -found.difference) && close(back.interval[0], -found.interval[1]));
        }
    }

    #[test]
    fn a_model_does_not_differ_from_itself() {
        let logits = [0.5, 0.2, 0.1, 0.7, 0.3];
        let found = auc_difference(&[logits], &[logits], &[1.0, 0.0, 0.0, 1.0, 1.0]).unwrap();
        assert_eq!(found, Difference { difference: 0.0, interval: [0.0, 0.0] });
    }

    #[test]
    fn against_chance_the_interval_is_that_of_the_area() {
        // equal scores have placements of a half, so the difference's variance is the area's
        let logits: Vec<f32> = (0..60_u16).map(|row| f32::from(row * 37 % 60)).collect();
        let labels: Vec<f32> = (0..60_u16).map(|row| f32::from(u8::from(row * 37 % 60 + row % 40 > 50))).collect();
        let found = auc_difference(&[&logits], &[vec![0.0; 60]], &labels).unwrap();
        let [low, high] = evaluate(&logits, &labels, None).metrics.auc_interval.unwrap();
        assert!(close(found.interval[0] + 0.5, low) && close(found.interval[1] + 0.5, high), "{found:?}");
    }

    #[test]
    fn few_rows_no_run_or_an_infinite_logit_leave_it_undefined() {
        let labels = [1.0, 1.0, 0.0, 0.0];
        let (good, bad) = ([1.0, 2.0, 0.0, 1.0], [1.0, f32::NAN, 0.0, 1.0]);
        assert_eq!(auc_difference(&[good], &[good], &[1.0, 0.0, 0.0, 0.0]), None);
        assert_eq!(auc_difference(&[good], &[bad], &labels), None);
        assert_eq!(auc_difference(&[[0.0_f32; 4]; 0], &[good], &labels), None);
    }
}
