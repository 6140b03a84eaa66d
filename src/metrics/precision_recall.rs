//! The area under the precision-recall curve.

use super::ranking::Ranking;

/// Average precision, `Σ_n (R_n − R_{n−1}) · P_n` over the distinct scores from the highest down: steps, without the
/// optimistic straight lines between them (as scikit-learn's `average_precision_score`). `None` where a class is missing.
pub(super) fn average_precision(ranking: &Ranking) -> Option<f64> {
    let (positives, negatives) = (ranking.positives(), ranking.negatives());
    if positives == 0 || negatives == 0 {
        return None;
    }
    let mut sum = 0.0;
    for tie in ranking.ties() {
        let found = positives - tie.positives_below;
        let called = found + negatives - tie.negatives_below;
        sum += tie.positives as f64 * (found as f64 / called as f64);
    }
    Some(sum / positives as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(logits: &[f32], labels: &[f32]) -> Option<f64> {
        average_precision(&Ranking::of(logits, labels))
    }

    #[test]
    fn average_precision_steps_over_groups_of_ties() {
        // down from the top: 3.0 holds 1 click of 1; 2.0 holds 1 of 2, so precision 2/3; 1.0 holds 1 of 2, so 3/5
        let found = of(&[3.0, 2.0, 2.0, 1.0, 1.0], &[1.0, 1.0, 0.0, 0.0, 1.0]).unwrap();
        assert!((found - (1.0 + 2.0 / 3.0 + 3.0 / 5.0) / 3.0).abs() < 1e-15, "{found}");
    }

    #[test]
    fn average_precision_of_the_textbook_example() {
        // scikit-learn's own example: average_precision_score([0, 0, 1, 1], [.1, .4, .35, .8]) = 0.83…
        let found = of(&[0.1, 0.4, 0.35, 0.8], &[0.0, 0.0, 1.0, 1.0]).unwrap();
        assert!((found - 5.0 / 6.0).abs() < 1e-15, "{found}");
    }

    #[test]
    fn average_precision_of_equal_scores_is_the_click_rate() {
        assert_eq!(of(&[1.0; 4], &[1.0, 0.0, 0.0, 0.0]), Some(0.25));
    }

    #[test]
    fn average_precision_of_one_class_is_undefined() {
        assert_eq!((of(&[1.0], &[1.0]), of(&[1.0], &[0.0]), of(&[], &[])), (None, None, None));
    }
}
