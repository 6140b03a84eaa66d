//! The area under the ROC curve and its confidence interval.
//!
//! The interval is `DeLong`'s (DeLong et al. 1988), found in linear time after the sort (Sun and Xu 2014): all rows of one
//! score and class share one placement, so groups of ties replace midranks.

use super::ranking::{Ranking, Tie};

/// The quantile 0.975 of the standard normal.
pub(super) const QUANTILE: f64 = 1.959_963_984_540_054;

/// The share of pairs (click, other row) that the scores order rightly, a tie counting as half (Mann and Whitney 1947);
/// `None` where a class is missing or a logit is not finite.
///
/// # Panics
/// If there are not as many labels as logits.
pub fn auc(logits: &[f32], labels: &[f32]) -> Option<f64> {
    assert_eq!(logits.len(), labels.len(), "there is one label a logit");
    let finite = logits.iter().all(|logit| logit.is_finite());
    finite.then(|| Ranking::of(logits, labels)).and_then(|ranking| area(ranking.ties()))
}

/// The area over groups of ties, from whole numbers alone: `Σ positives · (negatives below + negatives / 2) / (P·N)`.
pub(super) fn area(ties: impl Iterator<Item = Tie>) -> Option<f64> {
    let (mut twice, mut positives, mut negatives) = (0_u128, 0_u64, 0_u64);
    for tie in ties {
        twice += u128::from(tie.positives) * u128::from(2 * tie.negatives_below + tie.negatives);
        positives = tie.positives_below + tie.positives;
        negatives = tie.negatives_below + tie.negatives;
    }
    let pairs = u128::from(positives) * u128::from(negatives);
    (pairs > 0).then(|| twice as f64 / (2 * pairs) as f64)
}

/// The interval that holds the area with 95 % confidence, cut to 0 and 1; `None` with fewer than two rows of a class.
///
/// With a click's placement `V₁₀ = (negatives below + negatives tied / 2) / N` and another row's
/// `V₀₁ = (positives above + positives tied / 2) / P`: `variance = var(V₁₀) / P + var(V₀₁) / N`.
pub(super) fn interval(ranking: &Ranking, area: f64) -> Option<[f64; 2]> {
    let (all_positives, all_negatives) = (ranking.positives() as f64, ranking.negatives() as f64);
    if all_positives < 2.0 || all_negatives < 2.0 {
        return None;
    }
    let (mut of_positives, mut of_negatives) = (0.0, 0.0);
    for tie in ranking.ties() {
        let (positives, negatives) = (tie.positives as f64, tie.negatives as f64);
        let positives_above = all_positives - tie.positives_below as f64 - positives;
        let of_positive = (tie.negatives_below as f64 + negatives / 2.0) / all_negatives;
        let of_negative = (positives_above + positives / 2.0) / all_positives;
        of_positives += positives * (of_positive - area).powi(2);
        of_negatives += negatives * (of_negative - area).powi(2);
    }
    let variance =
        of_positives / (all_positives - 1.0) / all_positives + of_negatives / (all_negatives - 1.0) / all_negatives;
    let half = QUANTILE * variance.sqrt();
    Some([(area - half).max(0.0), (area + half).min(1.0)])
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The definition, over all pairs.
    fn by_pairs(rows: &[(f32, bool)]) -> Option<f64> {
        let (mut twice, mut pairs) = (0_u32, 0_u32);
        for (high, _) in rows.iter().filter(|row| row.1) {
            for (low, _) in rows.iter().filter(|row| !row.1) {
                twice += u32::from(high > low) + u32::from(high >= low);
                pairs += 1;
            }
        }
        (pairs > 0).then(|| f64::from(twice) / f64::from(2 * pairs))
    }

    fn of(rows: &[(f32, bool)], map: impl Fn(f32) -> f32) -> Option<f64> {
        let logits: Vec<f32> = rows.iter().map(|row| map(row.0)).collect();
        let labels: Vec<f32> = rows.iter().map(|row| f32::from(u8::from(row.1))).collect();
        auc(&logits, &labels)
    }

    /// Rows with many ties: whole scores from −8 to 8.
    fn rows() -> impl Strategy<Value = Vec<(f32, bool)>> {
        prop::collection::vec(((-8_i8..=8).prop_map(f32::from), any::<bool>()), 0..80)
    }

    proptest! {
        #[test]
        fn auc_equals_its_definition_over_all_pairs(rows in rows()) {
            prop_assert_eq!(of(&rows, |score| score), by_pairs(&rows));
        }

        #[test]
        fn auc_ignores_any_strictly_increasing_map_of_the_scores(rows in rows(), scale in 0.1_f32..9.0, shift in -5.0_f32..5.0) {
            let expected = of(&rows, |score| score);
            prop_assert_eq!(of(&rows, |score| score * scale + shift), expected);
            prop_assert_eq!(of(&rows, f32::exp), expected);
            prop_assert_eq!(of(&rows, |score| score.powi(3) + score), expected);
        }

        #[test]
        fn auc_of_reversed_scores_is_its_complement(rows in rows()) {
            let (forth, back) = (of(&rows, |score| score), of(&rows, |score| -score));
            prop_assert!(forth.zip(back).is_none_or(|(forth, back)| (forth + back - 1.0).abs() < 1e-15));
        }
    }

    #[test]
    fn auc_counts_a_tie_as_half() {
        assert_eq!(auc(&[1.0, 1.0], &[1.0, 0.0]), Some(0.5));
        assert_eq!(auc(&[-0.0, 0.0], &[1.0, 0.0]), Some(0.5));
    }

    #[test]
    fn auc_is_1_for_a_perfect_order_and_undefined_for_one_class() {
        assert_eq!(auc(&[2.0, 1.0], &[1.0, 0.0]), Some(1.0));
        assert_eq!((auc(&[2.0], &[1.0]), auc(&[2.0], &[0.0]), auc(&[], &[])), (None, None, None));
        assert_eq!(auc(&[f32::NAN, 1.0], &[1.0, 0.0]), None);
    }

    #[test]
    fn delongs_interval_agrees_with_numpy_over_all_pairs() {
        // numpy 2.4.6, float64, from the 114 × 86 matrix psi of pair scores (1, ½, 0):
        // psi.mean() ± 1.959963984540054 · (psi.mean(1).var(ddof=1) / 114 + psi.mean(0).var(ddof=1) / 86) ** .5
        const AREA: f64 = 0.650_907_792_737_658_1;
        const INTERVAL: [f64; 2] = [0.575_158_981_395_598_5, 0.726_656_604_079_717_7];
        let rows = (0..200_u16).map(|row| {
            let click = u16::from([1, 2].contains(&(u32::from(row).pow(2) % 7)));
            (f32::from((row * 37 % 101 + 20 * click) / 5), f32::from(click))
        });
        let (logits, labels): (Vec<f32>, Vec<f32>) = rows.unzip();
        let ranking = Ranking::of(&logits, &labels);
        let area = area(ranking.ties()).unwrap();
        let [low, high] = interval(&ranking, area).unwrap();
        for (found, expected) in [(area, AREA), (low, INTERVAL[0]), (high, INTERVAL[1])] {
            assert!((found - expected).abs() < 1e-12, "expected {expected}, found {found}");
        }
    }

    #[test]
    fn an_interval_stays_within_0_and_1_and_needs_two_rows_of_each_class() {
        let of = |logits: &[f32], labels: &[f32]| {
            let ranking = Ranking::of(logits, labels);
            interval(&ranking, area(ranking.ties()).unwrap())
        };
        let [low, high] = of(&[3.0, 1.0, 2.0, 0.0], &[1.0, 1.0, 0.0, 0.0]).unwrap();
        assert!((0.0..0.75).contains(&low) && high >= 1.0, "from {low} to {high}");
        assert_eq!(of(&[3.0, 2.0, 1.0], &[1.0, 1.0, 0.0]), None);
    }
}
