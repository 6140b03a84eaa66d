//! What a plot shows of a set of scores, in a bounded number of points however many rows there are.

use super::{
    evaluation::{Reason, blocked},
    polyline::{Point, thinned},
    ranking::Ranking,
    score_bins::{CalibrationBin, ScoreHistogram, calibration_bins, histogram},
};

/// Points of a curve at most.
const POINTS: usize = 400;

/// The curves of a set of scores.
#[derive(Clone, Debug, PartialEq)]
pub struct Curves {
    /// Needs rows of both classes.
    pub ranked: Result<RankedCurves, Reason>,
    /// Upwards by probability, of nearly equally many rows each.
    pub calibration: Vec<CalibrationBin>,
    pub histogram: ScoreHistogram,
}

/// The curves that the order of the scores draws.
#[derive(Clone, Debug, PartialEq)]
pub struct RankedCurves {
    /// False positive rate and true positive rate, from (0, 0) to (1, 1).
    pub roc: Vec<Point>,
    /// Recall and precision, from recall 0 to 1.
    pub precision_recall: Vec<Point>,
}

/// Draws the curves of the whole set, or tells why there are none; `labels` are 0 or 1.
///
/// # Errors
/// [`Reason::NoRows`] or [`Reason::NotFinite`].
///
/// # Panics
/// If there are not as many labels as logits.
pub fn curves(logits: &[f32], labels: &[f32]) -> Result<Curves, Reason> {
    assert_eq!(logits.len(), labels.len(), "there is one label a logit");
    blocked(logits).map_or(Ok(()), Err)?;
    let ranking = Ranking::of(logits, labels);
    let has_both = ranking.positives() > 0 && ranking.negatives() > 0;
    let ranked = if has_both { Ok(RankedCurves::of(&ranking)) } else { Err(Reason::one_class(ranking.positives())) };
    Ok(Curves { ranked, calibration: calibration_bins(&ranking), histogram: histogram(&ranking) })
}

impl RankedCurves {
    fn of(ranking: &Ranking) -> Self {
        Self { roc: downwards(|| roc(ranking)), precision_recall: downwards(|| precision_recall(ranking)) }
    }
}

/// The curve from the highest threshold down, which a ranking walks upwards.
fn downwards<I: Iterator<Item = Point>>(upwards: impl Fn() -> I) -> Vec<Point> {
    let mut points = thinned(upwards, POINTS);
    points.reverse();
    points
}

/// A point for each threshold, upwards, and the one above them all.
fn roc(ranking: &Ranking) -> impl Iterator<Item = Point> {
    let (positives, negatives) = (ranking.positives(), ranking.negatives());
    let points = ranking.ties().map(move |tie| {
        let (found, wrong) = (positives - tie.positives_below, negatives - tie.negatives_below);
        [wrong as f64 / negatives as f64, found as f64 / positives as f64]
    });
    points.chain([[0.0, 0.0]])
}

/// A point for each threshold, upwards; the last is drawn to recall 0, where precision itself is undefined.
fn precision_recall(ranking: &Ranking) -> impl Iterator<Item = Point> {
    let (positives, negatives) = (ranking.positives(), ranking.negatives());
    let mut ties = ranking.ties();
    let mut end = None;
    std::iter::from_fn(move || {
        let Some(tie) = ties.next() else { return end.take() };
        let (found, wrong) = (positives - tie.positives_below, negatives - tie.negatives_below);
        let precision = found as f64 / (found + wrong) as f64;
        end = (found > 0).then_some([0.0, precision]);
        Some([found as f64 / positives as f64, precision])
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::metrics::{auc::area, evaluate, precision_recall::average_precision};

    /// Rows of both classes, with many ties or with nearly none.
    fn rows() -> impl Strategy<Value = (Vec<f32>, Vec<f32>)> {
        let score = prop_oneof![(-8_i8..8).prop_map(f32::from), -3.0_f32..3.0];
        let rows = prop::collection::vec((score, any::<bool>()), 0..1500);
        rows.prop_map(|rows| {
            let ends = [(0.25, true), (0.5, false)];
            rows.into_iter().chain(ends).map(|(score, clicked)| (score, f32::from(u8::from(clicked)))).unzip()
        })
    }

    fn area_below(points: &[Point]) -> f64 {
        points.windows(2).map(|pair| (pair[1][0] - pair[0][0]) * f64::midpoint(pair[0][1], pair[1][1])).sum()
    }

    fn reversed(points: impl Iterator<Item = Point>) -> Vec<Point> {
        let mut points: Vec<Point> = points.collect();
        points.reverse();
        points
    }

    proptest! {
        #[test]
        fn the_area_below_the_roc_curve_is_the_auc((logits, labels) in rows()) {
            let ranking = Ranking::of(&logits, &labels);
            let auc = area(ranking.ties()).unwrap();
            prop_assert!((area_below(&reversed(roc(&ranking))) - auc).abs() < 1e-12);
            let thin = RankedCurves::of(&ranking).roc;
            prop_assert!(thin.len() <= POINTS && (area_below(&thin) - auc).abs() <= 0.006);
            prop_assert_eq!((thin[0], thin[thin.len() - 1]), ([0.0, 0.0], [1.0, 1.0]));
        }

        #[test]
        fn the_steps_of_precision_over_recall_are_average_precision((logits, labels) in rows()) {
            let ranking = Ranking::of(&logits, &labels);
            let points = reversed(precision_recall(&ranking));
            let steps: f64 = points.windows(2).map(|pair| (pair[1][0] - pair[0][0]) * pair[1][1]).sum();
            prop_assert!((steps - average_precision(&ranking).unwrap()).abs() < 1e-12);
            let thin = RankedCurves::of(&ranking).precision_recall;
            prop_assert!(thin.len() <= POINTS && thin[0][0] == 0.0 && thin.is_sorted_by(|left, right| left[0] <= right[0]));
            prop_assert_eq!(thin.last(), points.last());
        }
    }

    #[test]
    fn a_perfect_order_goes_through_the_corners() {
        let ranked = curves(&[3.0, 2.0, 1.0, 0.0], &[1.0, 1.0, 0.0, 0.0]).unwrap().ranked.unwrap();
        assert_eq!(ranked.roc, [[0.0, 0.0], [0.0, 0.5], [0.0, 1.0], [0.5, 1.0], [1.0, 1.0]]);
        let expected = [[0.0, 1.0], [0.5, 1.0], [1.0, 1.0], [1.0, 2.0 / 3.0], [1.0, 0.5]];
        assert_eq!(ranked.precision_recall, expected);
    }

    #[test]
    fn one_class_has_no_ranked_curve_but_the_others() {
        let curves = curves(&[1.0, 2.0], &[1.0, 1.0]).unwrap();
        assert_eq!(curves.ranked, Err(Reason::OneClass { label: 1 }));
        assert_eq!((curves.calibration[0].rows, curves.histogram.clicks.iter().sum()), (2, 2));
    }

    #[test]
    fn curves_are_undefined_for_the_reasons_that_evaluation_gives() {
        for logits in [vec![], vec![1.0, f32::NAN], vec![f32::INFINITY, 0.0]] {
            let labels = vec![1.0; logits.len()];
            let reason = evaluate(&logits, &labels, None).undefined[0].reason;
            assert_eq!(format!("{:?}", curves(&logits, &labels).unwrap_err()), format!("{reason:?}"));
        }
    }
}
