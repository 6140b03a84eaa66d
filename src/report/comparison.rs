//! The files of a comparison: tables for people and for programs, charts, and one page of them all.

use std::{collections::BTreeMap, path::Path};

use super::{
    comparison_page::{charts, comparison_page, standalone},
    file::{ReportError, write_whole},
    json::write_result,
    numbers::{UNDEFINED, grouped, rounded},
    settings::{SETTINGS_HEADER, settings_notes, settings_rows},
    table::models_table,
};
use crate::metrics::{CompareRecord, Difference, ModelSummary, Spread};

/// The names of the columns, for people.
pub(super) const HEADER: [&str; 9] =
    ["model", "logloss", "logloss − best, 95 %", "AUC", "AUC − best, 95 %", "parameters", "rows/s", "seconds", "seeds"];

/// The columns that hold no numbers.
const TEXT_COLUMNS: [&str; 2] = ["model", "settings"];

/// What the report of a comparison is made from.
#[derive(Clone, Copy, Debug)]
pub struct Comparison<'a> {
    pub record: &'a CompareRecord,
    pub differences: &'a Differences,
    /// The resolved config.
    pub config: &'a str,
}

/// By each model's name what it differs by from the best one, over all seeds of both; the best itself has none.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Differences {
    /// From the model of the lowest mean logloss.
    pub logloss: BTreeMap<String, Difference>,
    /// From the model of the highest mean AUC.
    pub auc: BTreeMap<String, Difference>,
}

/// Writes `table.md`, `table.csv`, `logloss.svg`, `auc.svg`, `speed.svg`, `parameters.svg` and `compare.html` into a
/// folder, and `result.json` last; each is whole or as it was.
///
/// # Errors
/// If the folder is missing or cannot be written.
pub fn write_comparison(folder: &Path, comparison: &Comparison<'_>) -> Result<(), ReportError> {
    write_whole(&folder.join("table.md"), &markdown(comparison))?;
    write_whole(&folder.join("table.csv"), &csv(comparison))?;
    for (name, bars) in charts(comparison) {
        write_whole(&folder.join(format!("{name}.svg")), &standalone(&bars.svg()))?;
    }
    write_whole(&folder.join("compare.html"), &comparison_page(comparison))?;
    write_result(&folder.join("result.json"), comparison.record)
}

/// The table for a terminal, the lowest logloss first.
pub fn comparison_table(comparison: &Comparison<'_>) -> String {
    models_table(&HEADER, &table_rows(comparison))
}

/// The cells of each model, the lowest logloss first.
pub(super) fn table_rows(comparison: &Comparison<'_>) -> Vec<Vec<String>> {
    comparison.record.summaries().iter().map(|summary| cells(summary, comparison)).collect()
}

fn cells(summary: &ModelSummary, comparison: &Comparison<'_>) -> Vec<String> {
    let Comparison { record, differences, .. } = comparison;
    let from_best = |best: Option<String>, differences: &BTreeMap<String, Difference>| {
        let difference = differences.get(&summary.model).map(with_interval);
        let best = best.filter(|best| *best == summary.model).map(|_| "best".to_owned());
        best.or(difference).unwrap_or_else(|| UNDEFINED.to_owned())
    };
    vec![
        summary.model.clone(),
        with_spread(summary.logloss),
        from_best(record.best_by_logloss(), &differences.logloss),
        with_spread(summary.auc),
        from_best(record.best_by_auc(), &differences.auc),
        grouped(summary.parameters),
        rounded(summary.rows_per_second),
        format!("{:.1}", summary.seconds),
        summary.seeds.to_string(),
    ]
}

pub(super) fn with_spread(spread: Option<Spread>) -> String {
    let Some(Spread { mean, deviation }) = spread else { return UNDEFINED.to_owned() };
    deviation.map_or_else(|| format!("{mean:.5}"), |deviation| format!("{mean:.5} ± {deviation:.5}"))
}

fn with_interval(found: &Difference) -> String {
    let [low, high] = found.interval;
    format!("{:+.5} ({low:+.5} to {high:+.5})", found.difference)
}

/// What was compared, in a line.
pub(super) fn rows_line(record: &CompareRecord) -> String {
    let rows = record.rows;
    let parts = [("train", rows.train), ("validation", rows.validation), ("test", rows.test)];
    format!("Rows: {}.", parts.map(|(part, rows)| format!("{part} {}", grouped(rows))).join(", "))
}

/// What the columns mean.
pub(super) fn notes(comparison: &Comparison<'_>) -> Vec<String> {
    let name = |best: Option<String>| best.unwrap_or_else(|| UNDEFINED.to_owned());
    let (lowest, highest) = (name(comparison.record.best_by_logloss()), name(comparison.record.best_by_auc()));
    let has_spread = comparison.record.summaries().iter().any(|summary| summary.seeds > 1);
    let spread = "Logloss and AUC are means over seeds ± the standard deviation of one seed (n − 1).".to_owned();
    let difference = format!(
        "The differences are to {lowest} in logloss and to {highest} in AUC, over all seeds of both. Their intervals (of the rows' \
         paired losses; DeLong's) say how far they depend on the choice of the test rows, not on the seeds; where one holds \
         0, these rows do not tell the two apart."
    );
    let order = "The lowest logloss stands first; logloss is in nats a row.".to_owned();
    std::iter::once(order).chain(has_spread.then_some(spread)).chain([difference]).collect()
}

fn markdown(comparison: &Comparison<'_>) -> String {
    let record = comparison.record;
    let models = markdown_table(&HEADER, &table_rows(comparison));
    let settings = markdown_table(&SETTINGS_HEADER, &settings_rows(record));
    let list = |notes: Vec<String>| notes.into_iter().map(|note| format!("- {note}\n")).collect::<Vec<_>>().concat();
    format!(
        "# Models on {}\n\n{}\n\n{models}\n{}\n## Settings chosen on validation\n\n{settings}\n{}",
        safe(&record.dataset),
        rows_line(record),
        list(notes(comparison)),
        list(settings_notes(record)),
    )
}

/// A table whose numbers stand to the right.
fn markdown_table(header: &[&str], rows: &[Vec<String>]) -> String {
    let line = |cells: Vec<String>| format!("| {} |\n", cells.join(" | "));
    let aligned = header.iter().map(|name| if TEXT_COLUMNS.contains(name) { "---" } else { "---:" }.to_owned());
    let mut text = line(header.iter().map(|name| (*name).to_owned()).collect()) + &line(aligned.collect());
    for row in rows {
        text += &line(row.iter().map(|cell| safe(cell)).collect());
    }
    text
}

/// Text that means itself within a table of Markdown.
fn safe(text: &str) -> String {
    text.replace('\\', "\\\\").replace('|', "\\|").replace(['\n', '\r'], " ")
}

/// A line a model with numbers as they are, an empty cell for what is undefined.
fn csv(comparison: &Comparison<'_>) -> String {
    let mut writer = csv::Writer::from_writer(Vec::new());
    let header = "model,seeds,logloss,logloss_deviation,auc,auc_deviation,auc_difference,auc_difference_low,\
                  auc_difference_high,parameters,rows_per_second,seconds,logloss_difference,logloss_difference_low,\
                  logloss_difference_high";
    let written = writer.write_record(header.split(',')).and_then(|()| {
        let mut summaries = comparison.record.summaries().into_iter();
        summaries.try_for_each(|summary| writer.write_record(csv_cells(&summary, comparison)))
    });
    written.expect("all records have the header's length");
    let bytes = writer.into_inner().expect("memory takes any bytes");
    String::from_utf8(bytes).expect("text was written")
}

fn csv_cells(summary: &ModelSummary, comparison: &Comparison<'_>) -> Vec<String> {
    let number = |value: Option<f64>| value.map_or_else(String::new, |value| value.to_string());
    let spread = |spread: Option<Spread>| {
        [number(spread.map(|spread| spread.mean)), number(spread.and_then(|spread| spread.deviation))]
    };
    let difference = |differences: &BTreeMap<String, Difference>| {
        let found = differences.get(&summary.model);
        [
            number(found.map(|found| found.difference)),
            number(found.map(|found| found.interval[0])),
            number(found.map(|found| found.interval[1])),
        ]
    };
    let Differences { logloss, auc } = comparison.differences;
    let speed = [summary.rows_per_second, summary.seconds].map(|value| value.to_string());
    let mut cells = vec![summary.model.clone(), summary.seeds.to_string()];
    cells.extend(spread(summary.logloss).into_iter().chain(spread(summary.auc)).chain(difference(auc)));
    cells.push(summary.parameters.to_string());
    cells.extend(speed.into_iter().chain(difference(logloss)));
    cells
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::{
        metrics::{ModelResult, RowCounts},
        report::settings::tests::settings,
    };

    pub(in crate::report) fn record() -> CompareRecord {
        let result = |(model, seed, logloss, auc): (&str, u64, f64, f64)| ModelResult {
            model: model.to_owned(),
            seed,
            logloss: Some(logloss),
            auc: Some(auc),
            parameters: 1_234_567,
            seconds: 2.5,
            rows_per_second: 40_000.0,
        };
        let runs = [("fm", 1, 0.5, 0.75), ("fm", 2, 0.75, 0.75), ("secn", 1, 0.25, 0.875), ("secn", 2, 0.25, 0.875)];
        let rows = RowCounts { train: 8_000, validation: 0, test: 2_000 };
        CompareRecord { dataset: "a|b <c>".into(), rows, models: runs.map(result).into(), settings: settings() }
    }

    pub(in crate::report) fn differences() -> Differences {
        let of_fm = |difference, interval| BTreeMap::from([("fm".to_owned(), Difference { difference, interval })]);
        Differences { logloss: of_fm(0.375, [0.125, 0.625]), auc: of_fm(-0.125, [-0.25, 0.0]) }
    }

    fn with<T>(of: impl Fn(&Comparison<'_>) -> T) -> T {
        of(&Comparison { record: &record(), differences: &differences(), config: "a = 1" })
    }

    #[test]
    fn a_terminals_table_has_the_best_model_first() {
        let expected = "\
model  logloss            logloss − best, 95 %             AUC                AUC − best, 95 %                 parameters  rows/s  seconds  seeds
secn   0.25000 ± 0.00000  best                             0.87500 ± 0.00000  best                              1,234,567  40,000      2.5      2
fm     0.62500 ± 0.17678  +0.37500 (+0.12500 to +0.62500)  0.75000 ± 0.00000  -0.12500 (-0.25000 to +0.00000)   1,234,567  40,000      2.5      2";
        assert_eq!(with(comparison_table), expected);
    }

    #[test]
    fn markdown_is_a_table_with_notes() {
        let text = with(markdown);
        assert!(text.starts_with(
            "# Models on a\\|b <c>\n\nRows: train 8,000, validation 0, test 2,000.\n\n| model | logloss |"
        ));
        assert!(text.contains("\n| --- | ---: |") && text.contains("\n| fm | 0.62500 ± 0.17678 |"), "{text}");
        assert!(text.contains("differences are to secn in logloss and to secn in AUC"));
        let chosen = "| secn | 2 | 0.25000 | model.secn.gate = \"a\\|b\", training.batch_size = 64 |\n";
        assert!(text.contains("\n## Settings chosen on validation\n\n| model |") && text.contains(chosen), "{text}");
    }

    #[test]
    fn csv_has_full_digits_and_empty_cells() {
        let text = with(csv);
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines[1], "secn,2,0.25,0,0.875,0,,,,1234567,40000,2.5,,,");
        assert_eq!(lines[2], "fm,2,0.625,0.1767766952966369,0.75,0,-0.125,-0.25,0,1234567,40000,2.5,0.375,0.125,0.625");
        assert_eq!((lines.len(), lines[0].split(',').count()), (3, 15));
    }

    #[test]
    fn a_single_seed_has_no_spread() {
        assert_eq!(with_spread(Some(Spread { mean: 0.5, deviation: None })), "0.50000");
        assert_eq!(with_spread(None), "–");
    }

    #[test]
    fn all_files_are_written_and_the_result_is_the_record() {
        let folder = tempfile::tempdir().unwrap();
        with(|comparison| write_comparison(folder.path(), comparison)).unwrap();
        let files =
            std::fs::read_dir(folder.path()).unwrap().map(|file| file.unwrap().file_name().into_string().unwrap());
        let files: std::collections::BTreeSet<String> = files.collect();
        let expected = [
            "auc.svg",
            "compare.html",
            "logloss.svg",
            "parameters.svg",
            "result.json",
            "speed.svg",
            "table.csv",
            "table.md",
        ];
        assert!(files.iter().eq(expected), "{files:?}");
        let bytes = std::fs::read(folder.path().join("result.json")).unwrap();
        assert_eq!(serde_json::from_slice::<CompareRecord>(&bytes).unwrap(), record());
    }
}
