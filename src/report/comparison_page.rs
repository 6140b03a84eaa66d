//! `compare.html`, and the charts on it.

use super::{
    bars::{Bar, Bars},
    comparison::{Comparison, HEADER, notes, rows_line, table_rows, with_spread},
    html::{escaped, headline, page, table},
    numbers::{decimals, grouped, rounded},
    settings::{CANDIDATES_HEADER, SETTINGS_HEADER, candidate_rows, settings_notes, settings_rows},
    theme,
};
use crate::metrics::{CompareRecord, ModelSummary, Spread};

/// The page: one file that needs nothing else.
pub(super) fn comparison_page(comparison: &Comparison<'_>) -> String {
    let record = comparison.record;
    let title = format!("Models on {}", record.dataset);
    let figures = charts(comparison).map(|(_, bars)| format!("<figure>\n{}\n</figure>\n", bars.svg())).concat();
    let runs = format!("<details><summary>Every run</summary>\n{}</details>\n", runs_table(record));
    let sections = [
        format!("<h1>{}</h1>\n<p class=\"under\">{}</p>\n", escaped(&title), escaped(&rows_line(record))),
        headline(&headline_numbers(record)),
        format!("<section>\n<h2>Models</h2>\n{}", table(&HEADER, &table_rows(comparison))),
        format!("{}{runs}</section>\n", list(&notes(comparison))),
        settings_section(record),
        format!("<section>\n<h2>Charts</h2>\n<div class=\"plots\">\n{figures}</div>\n</section>\n"),
        format!("<section>\n<h2>Config</h2>\n<pre>{}</pre>\n</section>\n", escaped(comparison.config)),
    ];
    page(&title, &sections.concat())
}

/// What each model was trained with, and below it every candidate that was tried.
fn settings_section(record: &CompareRecord) -> String {
    let chosen = table(&SETTINGS_HEADER, &settings_rows(record));
    let notes = list(&settings_notes(record));
    let tried = candidate_rows(record);
    let candidates =
        format!("<details><summary>Every candidate</summary>\n{}</details>\n", table(&CANDIDATES_HEADER, &tried));
    let candidates = if tried.is_empty() { "" } else { &candidates };
    let heading = "<h2>Settings chosen on validation</h2>";
    format!("<section class=\"settings\">\n{heading}\n{chosen}{notes}{candidates}</section>\n")
}

fn list(notes: &[String]) -> String {
    let items: Vec<String> = notes.iter().map(|note| format!("<li>{}</li>\n", escaped(note))).collect();
    format!("<ul class=\"notes\">\n{}</ul>\n", items.concat())
}

/// The charts by the names of their files, models in the table's order.
pub(super) fn charts(comparison: &Comparison<'_>) -> [(&'static str, Bars); 4] {
    let record = comparison.record;
    let summaries = record.summaries();
    let dataset = &record.dataset;
    let spread = |of: fn(&ModelSummary) -> Option<Spread>| {
        move |summary: &ModelSummary| {
            let found = of(summary);
            (found.map(|found| found.mean), found.and_then(|found| found.deviation), with_spread(found))
        }
    };
    let speed = |summary: &ModelSummary| (Some(summary.rows_per_second), None, rounded(summary.rows_per_second));
    let size = |summary: &ModelSummary| (Some(summary.parameters as f64), None, grouped(summary.parameters));
    let less = |new: f64, old: f64| new < old;
    let more = |new: f64, old: f64| new > old;
    [
        (
            "logloss",
            bars(&summaries, format!("Logloss on {dataset}"), "less is better", spread(|one| one.logloss), less),
        ),
        ("auc", bars(&summaries, format!("AUC on {dataset}"), "more is better", spread(|one| one.auc), more)),
        ("speed", bars(&summaries, "Training rows a second".to_owned(), "more is better", speed, more)),
        ("parameters", bars(&summaries, "Parameters, with the table".to_owned(), "less is better", size, less)),
    ]
}

/// A bar a model from its value, deviation and text; the best is the first that no other is better than.
fn bars(
    summaries: &[ModelSummary],
    title: String,
    note: &str,
    number: impl Fn(&ModelSummary) -> (Option<f64>, Option<f64>, String),
    is_better: fn(f64, f64) -> bool,
) -> Bars {
    let bar = |summary: &ModelSummary| {
        let (value, deviation, text) = number(summary);
        Bar { name: summary.model.clone(), value, deviation, text, is_best: false }
    };
    let mut rows: Vec<Bar> = summaries.iter().map(bar).collect();
    let best =
        rows.iter().filter_map(|bar| bar.value).reduce(|best, new| if is_better(new, best) { new } else { best });
    if let Some(bar) = rows.iter_mut().find(|bar| bar.value == best && best.is_some()) {
        bar.is_best = true;
    }
    Bars { title, note: note.to_owned(), rows }
}

/// An SVG as a file of its own, with the style that it has on a page and a ground to stand on.
pub(super) fn standalone(svg: &str) -> String {
    let (tag, shapes) = svg.split_once('>').expect("an SVG begins with its tag");
    let style = format!("<style>\n{}svg{{background:var(--page)}}\n</style>", theme::style_sheet());
    format!("{tag}>\n{style}{shapes}")
}

fn headline_numbers(record: &CompareRecord) -> Vec<(String, String, String)> {
    let summaries = record.summaries();
    let logloss = summaries.first().and_then(|summary| Some((summary.logloss?.mean, &summary.model)));
    let auc = record.best_by_auc().and_then(|best| summaries.iter().find(|summary| summary.model == best));
    let auc = auc.and_then(|summary| Some((summary.auc?.mean, &summary.model)));
    let best = |name: &str, found: Option<(f64, &String)>| {
        (name.to_owned(), decimals(found.map(|found| found.0)), found.map_or_else(String::new, |found| found.1.clone()))
    };
    let seconds: f64 = record.models.iter().map(|run| run.seconds).sum();
    let runs = format!("of {} models", summaries.len());
    vec![
        best("Lowest logloss", logloss),
        best("Highest AUC", auc),
        ("Runs".to_owned(), grouped(record.models.len() as u64), runs),
        ("Time".to_owned(), format!("{seconds:.1} s"), "all runs together".to_owned()),
    ]
}

fn runs_table(record: &CompareRecord) -> String {
    let header = ["model", "seed", "logloss", "AUC", "parameters", "rows/s", "seconds"];
    let rows = record.models.iter().map(|run| {
        vec![
            run.model.clone(),
            run.seed.to_string(),
            decimals(run.logloss),
            decimals(run.auc),
            grouped(run.parameters),
            rounded(run.rows_per_second),
            format!("{:.1}", run.seconds),
        ]
    });
    table(&header, &rows.collect::<Vec<_>>())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::comparison::tests::{differences, record};

    #[test]
    fn a_page_has_the_table_four_charts_and_every_run() {
        let page = comparison_page(&Comparison { record: &record(), differences: &differences(), config: "a < 1" });
        assert_eq!((page.matches("<svg").count(), page.matches("<tr>").count()), (4, 3 + 5 + 3 + 3));
        assert!(page.contains("Models on a|b &lt;c&gt;") && page.contains("<pre>a &lt; 1</pre>"));
        assert!(!page.contains("<c>") && !page.contains("<script"));
        assert!(page.contains("Settings chosen on validation") && page.contains("training.batch_size = 64"));
    }

    #[test]
    fn the_best_bar_of_each_chart_stands_out() {
        let charts = charts(&Comparison { record: &record(), differences: &differences(), config: "" });
        let best =
            |bars: &Bars| bars.rows.iter().filter(|bar| bar.is_best).map(|bar| bar.name.clone()).collect::<Vec<_>>();
        assert_eq!(
            charts.map(|(name, bars)| (name, best(&bars))),
            [
                ("logloss", vec!["secn".to_owned()]),
                ("auc", vec!["secn".to_owned()]),
                ("speed", vec!["secn".to_owned()]),
                ("parameters", vec!["secn".to_owned()]),
            ]
        );
    }

    #[test]
    fn a_chart_of_its_own_has_its_style_inside() {
        let text = standalone("<svg viewBox=\"0 0 1 1\"><rect/></svg>");
        assert!(
            text.starts_with("<svg viewBox=\"0 0 1 1\">\n<style>\n:root{") && text.ends_with("</style><rect/></svg>")
        );
    }
}
