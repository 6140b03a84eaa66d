//! `report.html`: all of a run on one page.

use std::path::Path;

use super::{
    file::{ReportError, write_whole},
    html::{escaped, headline, nothing, page, table},
    numbers::{decimals, grouped, rounded},
    score_plots::score_figures,
    table::metric_rows,
    training_plots::training_figures,
};
use crate::metrics::{Curves, Evaluation, EvaluationRecord, Metrics, Reason, RunRecord};

/// What the page of a run is made from.
#[derive(Clone, Copy, Debug)]
pub struct RunReport<'a> {
    pub record: &'a RunRecord,
    /// All evaluations of the training, the lines of `metrics.jsonl`.
    pub evaluations: &'a [EvaluationRecord],
    /// `None` where there were no rows to test on.
    pub scored: Option<Scored<'a>>,
    /// The resolved config.
    pub config: &'a str,
}

/// What the best weights say of a part of the data.
#[derive(Clone, Copy, Debug)]
pub struct Scored<'a> {
    /// The part's name: `test`, or `validation` where there is no test part.
    pub part: &'a str,
    pub evaluation: &'a Evaluation,
    /// What [`curves`](crate::metrics::curves()) draws from the same scores.
    pub curves: &'a Result<Curves, Reason>,
}

/// Writes the page: one file that needs nothing else; beside its place, synced, then renamed.
///
/// # Errors
/// If the folder is missing or cannot be written; an earlier file is then as it was.
pub fn write_report(path: &Path, report: &RunReport<'_>) -> Result<(), ReportError> {
    write_whole(path, &run_page(report))
}

fn run_page(report: &RunReport<'_>) -> String {
    let record = report.record;
    let run = format!("{} on {}", record.run, record.device);
    let sections = [
        format!("<h1>{}</h1>\n<p class=\"under\">{}</p>\n", escaped(&record.model), escaped(&run)),
        headline(&headline_numbers(report)),
        section("Training", &plots(&training_figures(&record.epochs, report.evaluations))),
        scores(report.scored.as_ref()),
        section("Metrics", &metrics(report)),
        section("Epochs", &epochs(record)),
        section("Config", &format!("<pre>{}</pre>\n", escaped(report.config))),
    ];
    page(&format!("{} – {}", record.model, record.run), &sections.concat())
}

fn section(name: &str, content: &str) -> String {
    format!("<section>\n<h2>{}</h2>\n{content}</section>\n", escaped(name))
}

fn plots(figures: &str) -> String {
    format!("<div class=\"plots\">\n{figures}</div>\n")
}

fn headline_numbers(report: &RunReport<'_>) -> Vec<(String, String, String)> {
    let record = report.record;
    let mut numbers = Vec::new();
    match &report.scored {
        Some(scored) => {
            let metrics = &scored.evaluation.metrics;
            let interval = metrics.auc_interval.map(|[low, high]| format!("95 %: {low:.4} to {high:.4}"));
            let entropy = metrics.normalized_entropy.map(|entropy| format!("normalized entropy {entropy:.4}"));
            let part = scored.part;
            numbers.push((format!("Logloss, {part}"), decimals(metrics.logloss), entropy.unwrap_or_default()));
            numbers.push((format!("AUC, {part}"), decimals(metrics.auc), interval.unwrap_or_default()));
        }
        None => numbers.push(("Test".to_owned(), "none".to_owned(), "no test rows were named".to_owned())),
    }
    let rows = record.rows;
    let others = format!("validation {}, test {}", grouped(rows.validation), grouped(rows.test));
    numbers.push(("Training rows".to_owned(), grouped(rows.train), others));
    let vocabulary = format!("{} ids of {} fields", grouped(record.vocabulary), record.fields);
    numbers.push(("Parameters".to_owned(), grouped(record.parameters), vocabulary));
    if let Some(last) = record.epochs.last() {
        let best = record.best_epoch.map(|best| format!("best epoch {best} of {}", record.epochs.len()));
        numbers.push(("Rows a second".to_owned(), rounded(last.rows_per_second), best.unwrap_or_default()));
    }
    let memory = record.peak_memory_bytes.map(|bytes| format!("{} MiB at most", grouped(bytes.div_ceil(1 << 20))));
    numbers.push(("Time".to_owned(), format!("{:.1} s", record.seconds), memory.unwrap_or_default()));
    numbers
}

fn scores(scored: Option<&Scored<'_>>) -> String {
    let Some(scored) = scored else {
        let reason = "No test rows were named, so there are no ROC, precision, calibration and score plots.";
        return section("Scores", &nothing(reason));
    };
    let name = format!("Scores of the {} rows", scored.part);
    section(&name, &plots(&score_figures(scored.curves, &scored.evaluation.metrics)))
}

/// The metrics of the scored part, beside those of validation at the best epoch's end.
fn metrics(report: &RunReport<'_>) -> String {
    let record = report.record;
    // a run without test rows scored its validation rows with the best epoch's weights: one column is enough
    let validation = record.best_validation().filter(|_| record.test.is_some() || report.scored.is_none());
    let validation = validation.map(|(epoch, metrics)| (format!("validation, epoch {epoch}"), metrics));
    let scored = report.scored.as_ref().map(|scored| (scored.part.to_owned(), &scored.evaluation.metrics));
    let columns: Vec<(String, &Metrics)> = scored.into_iter().chain(validation).collect();
    if columns.is_empty() {
        return nothing("There were neither test nor validation rows, so there are no metrics.");
    }
    let header: Vec<&str> = std::iter::once("").chain(columns.iter().map(|column| column.0.as_str())).collect();
    let mut rows: Vec<Vec<String>> = metric_rows(&Metrics::default()).map(|(name, _)| vec![name.to_owned()]).into();
    for (_, metrics) in &columns {
        for (row, (_, value)) in rows.iter_mut().zip(metric_rows(metrics)) {
            row.push(value);
        }
    }
    let undefined = report.scored.iter().flat_map(|scored| &scored.evaluation.undefined);
    let reasons: String = undefined.map(|reason| nothing(&reason.to_string())).collect();
    [table(&header, &rows), reasons].concat()
}

fn epochs(record: &RunRecord) -> String {
    if record.epochs.is_empty() {
        return nothing("No epoch ended.");
    }
    let header =
        ["epoch", "train logloss", "validation logloss", "validation AUC", "seconds", "rows/s", "waiting for data"];
    let rows = record.epochs.iter().map(|epoch| {
        let validation = epoch.validation.as_ref();
        vec![
            epoch.epoch.to_string(),
            decimals(Some(epoch.train_logloss)),
            decimals(validation.and_then(|metrics| metrics.logloss)),
            decimals(validation.and_then(|metrics| metrics.auc)),
            format!("{:.1}", epoch.seconds),
            rounded(epoch.rows_per_second),
            format!("{:.1} %", epoch.data_wait_share * 100.0),
        ]
    });
    table(&header, &rows.collect::<Vec<_>>())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::{EpochRecord, PrepareRecord, RowCounts, curves, evaluate};

    fn record() -> RunRecord {
        RunRecord {
            run: "runs/<one>".into(),
            model: "secn".into(),
            device: "cpu".into(),
            parameters: 15_000_123,
            fields: 39,
            vocabulary: 909_876,
            rows: RowCounts { train: 1_000, validation: 0, test: 4 },
            epochs: vec![EpochRecord {
                epoch: 1,
                train_logloss: 0.5,
                validation: None,
                seconds: 2.0,
                rows_per_second: 500.0,
                data_wait_share: 0.0,
            }],
            best_epoch: Some(1),
            test: None,
            prepare: PrepareRecord { seconds: 0.0, rows_per_second: 0.0, cached: false },
            peak_memory_bytes: None,
            seconds: 2.5,
        }
    }

    #[test]
    fn a_page_has_every_section_and_escapes_what_it_shows() {
        let (logits, labels) = ([1.0, 0.5, -1.0, 0.0], [1.0, 0.0, 0.0, 1.0]);
        let (evaluation, curves) = (evaluate(&logits, &labels, None), curves(&logits, &labels));
        let scored = Some(Scored { part: "test", evaluation: &evaluation, curves: &curves });
        let page = run_page(&RunReport { record: &record(), evaluations: &[], scored, config: "a = \"<b>\"" });
        for section in ["Training", "Scores of the test rows", "Metrics", "Epochs", "Config"] {
            assert!(page.contains(&format!("<h2>{section}</h2>")), "{section}");
        }
        assert!(page.contains("<pre>a = &quot;&lt;b&gt;&quot;</pre>") && page.contains("runs/&lt;one&gt; on cpu"));
        assert!(page.contains("undefined: gauc, because no group column is named"));
        assert!(!page.contains("<one>") && !page.contains("<script"));
    }

    #[test]
    fn a_run_without_test_rows_says_so() {
        let page = run_page(&RunReport { record: &record(), evaluations: &[], scored: None, config: "" });
        assert!(page.contains("No test rows were named") && page.contains("neither test nor validation rows"));
        assert_eq!(page.matches("<svg").count(), 1);
    }

    #[test]
    fn many_rows_give_a_small_file() {
        let logits: Vec<f32> =
            (0..200_000_u32).map(|row| (row.wrapping_mul(2_654_435_761) >> 8) as f32 / 4e6 - 4.0).collect();
        let labels: Vec<f32> =
            (0..200_000_u32).map(|row| f32::from(u8::from(row.wrapping_mul(40_503) % 7 == 0))).collect();
        let (evaluation, curves) = (evaluate(&logits, &labels, None), curves(&logits, &labels));
        let scored = Some(Scored { part: "test", evaluation: &evaluation, curves: &curves });
        let page = run_page(&RunReport { record: &record(), evaluations: &[], scored, config: "" });
        assert!(page.len() < 100_000, "{} bytes", page.len());
    }

    #[test]
    fn a_report_is_written_whole() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("report.html");
        let report = RunReport { record: &record(), evaluations: &[], scored: None, config: "" };
        write_report(&path, &report).unwrap();
        assert!(std::fs::read_to_string(&path).unwrap().ends_with("</html>\n"));
    }
}
