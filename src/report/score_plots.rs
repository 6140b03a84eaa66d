//! Plots of a set of scores: ROC, precision over recall, calibration, and the scores of each class.

use super::{
    axis::Axis,
    chart::{Mark, chart},
    html::{figure, key, nothing, table},
    numbers::{decimals, grouped},
    theme::Colour,
};
use crate::metrics::{CalibrationBin, Curves, Metrics, Point, RankedCurves, Reason, ScoreHistogram};

/// The figures of a set of scores, or the reason that there are none.
pub(super) fn score_figures(curves: &Result<Curves, Reason>, metrics: &Metrics) -> String {
    let curves = match curves {
        Ok(curves) => curves,
        Err(reason) => return nothing(&format!("There are no curves, because {reason}.")),
    };
    let ranked = match &curves.ranked {
        Ok(ranked) => [roc_figure(ranked, metrics), precision_recall_figure(ranked, metrics)].concat(),
        Err(reason) => ["ROC curve", "Precision and recall"]
            .map(|name| figure(name, "", &nothing(&format!("This curve is undefined, because {reason}.")), ""))
            .concat(),
    };
    [ranked, calibration_figure(&curves.calibration), histogram_figure(&curves.histogram)].concat()
}

fn roc_figure(ranked: &RankedCurves, metrics: &Metrics) -> String {
    let axes = [&Axis::share("false positive rate"), &Axis::share("true positive rate")];
    let marks = [diagonal(1.0), Mark::Line(ranked.roc.clone(), Colour::First)];
    let plot = chart("ROC curve", axes, &marks);
    let interval = metrics.auc_interval.map(|[low, high]| format!(" (95 %: {low:.5} to {high:.5})"));
    let caption = format!("Area {}{}.", decimals(metrics.auc), interval.unwrap_or_default());
    figure("ROC curve", &key(&[("first", "model"), ("muted dashed", "chance")]), &plot, &caption)
}

fn precision_recall_figure(ranked: &RankedCurves, metrics: &Metrics) -> String {
    let rate = metrics.click_rate.unwrap_or_default();
    let chance = Mark::Dashed(vec![[0.0, rate], [1.0, rate]], Colour::Muted);
    let marks = [chance, Mark::Line(ranked.precision_recall.clone(), Colour::First)];
    let plot = chart("Precision over recall", [&Axis::share("recall"), &Axis::share("precision")], &marks);
    let caption = format!("Area, as average precision, {}; the click rate is {rate:.5}.", decimals(metrics.pr_auc));
    figure("Precision and recall", &key(&[("first", "model"), ("muted dashed", "chance")]), &plot, &caption)
}

fn calibration_figure(bins: &[CalibrationBin]) -> String {
    let points: Vec<Point> = bins.iter().map(|bin| [bin.mean_probability, bin.click_rate()]).collect();
    let x = Axis::from_zero("mean probability", points.iter().map(|point| point[0]));
    let y = Axis::from_zero("click rate", bins.iter().map(|bin| bin.interval()[1]));
    let mut marks = vec![diagonal(x.high.min(y.high))];
    marks.extend(bins.iter().map(|bin| {
        let [from, to] = bin.interval();
        Mark::Whisker { x: bin.mean_probability, from, to }
    }));
    marks.extend([Mark::Line(points.clone(), Colour::First), Mark::Dots(points, Colour::First)]);
    let plot = chart("Click rate over probability", [&x, &y], &marks);
    let key = key(&[("first", "model, 95 % of each bin"), ("muted dashed", "perfect")]);
    figure("Calibration", &key, &[plot, bins_table(bins)].concat(), &bins_caption(bins))
}

fn bins_caption(bins: &[CalibrationBin]) -> String {
    let counts = bins.iter().map(|bin| bin.rows);
    let (least, most) = (counts.clone().min().unwrap_or_default(), counts.max().unwrap_or_default());
    let each = if least == most { grouped(least) } else { format!("{} to {}", grouped(least), grouped(most)) };
    let bins = if bins.len() == 1 { "1 bin".to_owned() } else { format!("{} bins", bins.len()) };
    format!("{bins} of {each} rows. Above the diagonal, clicks are more frequent than the model says.")
}

fn bins_table(bins: &[CalibrationBin]) -> String {
    let rows = bins.iter().map(|bin| {
        let [low, high] = bin.interval();
        let probabilities = [bin.low, bin.high, bin.mean_probability, bin.click_rate(), low, high];
        let numbers = probabilities.map(|number| format!("{number:.4}"));
        std::iter::once(grouped(bin.rows)).chain([grouped(bin.clicks)]).chain(numbers).collect()
    });
    let header = ["rows", "clicks", "lowest", "highest", "mean", "click rate", "95 % from", "to"];
    let table = table(&header, &rows.collect::<Vec<_>>());
    format!("<details><summary>Rows of each bin</summary>\n{table}</details>")
}

fn histogram_figure(histogram: &ScoreHistogram) -> String {
    let (low, high) = (histogram.edges[0], histogram.edges[histogram.edges.len() - 1]);
    let x = Axis::of_odds("probability", low, high);
    let classes = [(&histogram.clicks, Colour::First), (&histogram.others, Colour::Second)];
    let shares = classes.map(|(counts, colour)| (shares(counts), colour));
    let y = Axis::from_zero("share of its class", shares.iter().flat_map(|(shares, _)| shares.iter().copied()));
    let marks = shares.map(|(shares, colour)| Mark::Area(steps(&histogram.edges, &shares), colour));
    let plot = chart("Scores of clicks and of the other rows", [&x, &y], &marks);
    let key = key(&[("first", "label 1"), ("second", "label 0")]);
    let counts = [&histogram.clicks, &histogram.others].map(|counts| grouped(counts.iter().sum()));
    let caption = format!(
        "{} rows of label 1, {} of label 0, each class by its own share; bins are equally wide in log-odds, and the \
         outermost hold what lies beyond.",
        counts[0], counts[1]
    );
    figure("Scores by class", &key, &plot, &caption)
}

/// Each count as a share of all; none of a class without rows.
fn shares(counts: &[u64]) -> Vec<f64> {
    let all = counts.iter().sum::<u64>();
    if all == 0 { Vec::new() } else { counts.iter().map(|&count| count as f64 / all as f64).collect() }
}

/// The outline of bars that stand side by side.
fn steps(edges: &[f64], heights: &[f64]) -> Vec<Point> {
    let bars = edges.windows(2).zip(heights);
    bars.flat_map(|(edges, &height)| [[edges[0], height], [edges[1], height]]).collect()
}

fn diagonal(end: f64) -> Mark {
    Mark::Dashed(vec![[0.0, 0.0], [end, end]], Colour::Muted)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::{curves, evaluate};

    fn figures(logits: &[f32], labels: &[f32]) -> String {
        score_figures(&curves(logits, labels), &evaluate(logits, labels, None).metrics)
    }

    #[test]
    fn both_classes_have_four_plots() {
        let text = figures(&[1.0, 0.5, -1.0, 0.0], &[1.0, 0.0, 0.0, 1.0]);
        assert_eq!((text.matches("<svg").count(), text.matches("<figure>").count()), (4, 4));
        assert!(text.contains("Area 0.75000 (95 %: ") && text.contains("1 bin of 4 rows"), "{text}");
    }

    #[test]
    fn one_class_has_two_plots_and_two_reasons() {
        let text = figures(&[1.0, 0.5], &[0.0, 0.0]);
        assert_eq!((text.matches("<svg").count(), text.matches("because every label is 0.").count()), (2, 2));
    }

    #[test]
    fn no_row_has_a_reason_alone() {
        assert_eq!(figures(&[], &[]), nothing("There are no curves, because there are no rows."));
    }

    #[test]
    fn steps_outline_the_bars() {
        assert_eq!(steps(&[0.0, 1.0, 2.0], &[0.5, 0.25]), [[0.0, 0.5], [1.0, 0.5], [1.0, 0.25], [2.0, 0.25]]);
        assert_eq!(shares(&[1, 3]), [0.25, 0.75]);
    }
}
