//! Text for a terminal: a line an epoch, and tables without borders whose numbers stand to the right.

use comfy_table::{CellAlignment, Table, presets};

use super::numbers::{UNDEFINED, decimals, grouped, speed};
use crate::metrics::{EpochRecord, Metrics, PrepareRecord, RunRecord};

/// An epoch's losses and speed.
pub fn epoch_line(epoch: &EpochRecord) -> String {
    let train = format!("epoch {}: train logloss {:.5}", epoch.epoch, epoch.train_logloss);
    let validation = epoch.validation.as_ref().map_or_else(String::new, |metrics| {
        let (logloss, auc) = (decimals(metrics.logloss), decimals(metrics.auc));
        format!(", validation logloss {logloss} AUC {auc}")
    });
    let (speed, waiting) = (speed(epoch.rows_per_second), epoch.data_wait_share * 100.0);
    format!("{train}{validation}, {:.1} s, {speed}, {waiting:.1} % waiting for data", epoch.seconds)
}

/// All metrics, one a line.
pub fn metrics_table(metrics: &Metrics) -> String {
    models_table(&[], &metric_rows(metrics).map(|(name, value)| vec![name.to_owned(), value]))
}

/// All metrics by their names for people.
pub(super) fn metric_rows(metrics: &Metrics) -> [(&'static str, String); 14] {
    [
        ("logloss", decimals(metrics.logloss)),
        ("AUC", decimals(metrics.auc)),
        ("AUC, 95 % from", decimals(metrics.auc_interval.map(|[low, _]| low))),
        ("AUC, 95 % to", decimals(metrics.auc_interval.map(|[_, high]| high))),
        ("PR AUC", decimals(metrics.pr_auc)),
        ("GAUC", decimals(metrics.gauc)),
        ("normalized entropy", decimals(metrics.normalized_entropy)),
        ("calibration error", decimals(metrics.calibration_error)),
        ("click rate", decimals(metrics.click_rate)),
        ("mean probability", decimals(metrics.mean_probability)),
        ("accuracy", decimals(metrics.accuracy)),
        ("precision", decimals(metrics.precision)),
        ("recall", decimals(metrics.recall)),
        ("F1", decimals(metrics.f1)),
    ]
}

/// What a person wants to see when a run has ended.
pub fn summary(record: &RunRecord) -> String {
    let best = record.best_epoch.map(|best| format!("{best} of {}", record.epochs.len()));
    let test = record.test.as_ref();
    // a run without test rows is judged by what chose its best epoch
    let validation = record.best_validation().map(|(_, metrics)| metrics).filter(|_| test.is_none());
    let training = record.epochs.last().map(|last| speed(last.rows_per_second));
    let memory = record.peak_memory_bytes.map(|bytes| format!("{} MiB", grouped(bytes.div_ceil(1 << 20))));
    let lines = [
        ("model", Some(format!("{} on {}", record.model, record.device))),
        ("rows", Some(parts(record))),
        ("parameters", Some(grouped(record.parameters))),
        ("vocabulary", Some(format!("{} ids of {} fields", grouped(record.vocabulary), record.fields))),
        ("best epoch", best),
        ("validation logloss", validation.map(|metrics| decimals(metrics.logloss))),
        ("validation AUC", validation.map(with_interval)),
        ("test logloss", test.map(|metrics| decimals(metrics.logloss))),
        ("test AUC", test.map(with_interval)),
        ("training", training),
        ("preparation", Some(prepared(&record.prepare))),
        ("peak memory", memory),
        ("time", Some(format!("{:.1} s", record.seconds))),
        ("run", Some(record.run.clone())),
    ];
    let known = lines.into_iter().filter_map(|(name, value)| Some(vec![name.to_owned(), value?]));
    text(&mut table(&[], &known.collect::<Vec<_>>()))
}

/// Rows below a header (which may be empty), a column whose cells are all numbers standing to the right.
pub fn models_table(header: &[&str], rows: &[Vec<String>]) -> String {
    let mut table = table(header, rows);
    for (position, column) in table.column_iter_mut().enumerate() {
        if rows.iter().filter_map(|row| row.get(position)).all(|cell| is_number(cell)) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    text(&mut table)
}

fn table(header: &[&str], rows: &[Vec<String>]) -> Table {
    let mut table = Table::new();
    table.load_style(presets::NOTHING).add_rows(rows);
    if !header.is_empty() {
        table.set_header(header);
    }
    table
}

/// The table's lines, from the first column on, two spaces between columns, none at the ends.
fn text(table: &mut Table) -> String {
    for column in table.column_iter_mut() {
        column.set_padding((0, 2));
    }
    table.trim_fmt()
}

fn is_number(cell: &str) -> bool {
    cell == UNDEFINED || cell.replace(',', "").parse::<f64>().is_ok()
}

fn parts(record: &RunRecord) -> String {
    let rows = record.rows;
    let parts = [("train", rows.train), ("validation", rows.validation), ("test", rows.test)];
    parts.map(|(part, rows)| format!("{part} {}", grouped(rows))).join(", ")
}

fn with_interval(metrics: &Metrics) -> String {
    let interval = metrics.auc_interval.map(|[low, high]| format!(" (95 %: {low:.5} to {high:.5})"));
    decimals(metrics.auc) + &interval.unwrap_or_default()
}

fn prepared(prepare: &PrepareRecord) -> String {
    if prepare.cached {
        return format!("{:.1} s, from the cache", prepare.seconds);
    }
    format!("{:.1} s, {}", prepare.seconds, speed(prepare.rows_per_second))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::RowCounts;

    fn epoch() -> EpochRecord {
        EpochRecord {
            epoch: 2,
            train_logloss: 0.443_219,
            validation: Some(Metrics { logloss: Some(0.45), auc: None, ..Metrics::default() }),
            seconds: 21.04,
            rows_per_second: 47_528.6,
            data_wait_share: 0.012,
        }
    }

    fn run() -> RunRecord {
        RunRecord {
            run: "runs/one".into(),
            model: "secn".into(),
            device: "cpu".into(),
            parameters: 15_000_123,
            fields: 39,
            vocabulary: 909_876,
            rows: RowCounts { train: 1_000_000, validation: 0, test: 999 },
            epochs: vec![epoch()],
            best_epoch: Some(1),
            test: Some(Metrics {
                logloss: Some(0.4449),
                auc: Some(0.8012),
                auc_interval: Some([0.79, 0.81]),
                ..Metrics::default()
            }),
            prepare: PrepareRecord { seconds: 1.25, rows_per_second: 800_000.0, cached: false },
            peak_memory_bytes: Some(700 << 20),
            seconds: 25.0,
        }
    }

    #[test]
    fn an_epochs_line_names_losses_speed_and_waiting() {
        let expected = "epoch 2: train logloss 0.44322, validation logloss 0.45000 AUC –, 21.0 s, 47,529 rows/s, \
                        1.2 % waiting for data";
        assert_eq!(epoch_line(&epoch()), expected);
        let alone = epoch_line(&EpochRecord { validation: None, ..epoch() });
        assert!(alone.starts_with("epoch 2: train logloss 0.44322, 21.0 s"), "{alone}");
    }

    #[test]
    fn a_summary_names_what_a_person_wants_to_see() {
        let expected = "\
model         secn on cpu
rows          train 1,000,000, validation 0, test 999
parameters    15,000,123
vocabulary    909,876 ids of 39 fields
best epoch    1 of 1
test logloss  0.44490
test AUC      0.80120 (95 %: 0.79000 to 0.81000)
training      47,529 rows/s
preparation   1.2 s, 800,000 rows/s
peak memory   700 MiB
time          25.0 s
run           runs/one";
        assert_eq!(summary(&run()), expected);
    }

    #[test]
    fn a_summary_without_test_rows_has_the_best_epochs_validation() {
        let mut record = RunRecord { test: None, best_epoch: Some(2), ..run() };
        record.epochs = vec![EpochRecord { epoch: 2, validation: run().test, ..epoch() }];
        let text = summary(&record);
        assert!(text.contains("\nvalidation logloss  0.44490\nvalidation AUC      0.80120 (95 %"), "{text}");
    }

    #[test]
    fn a_summary_leaves_out_what_the_run_has_not() {
        let record = RunRecord { test: None, best_epoch: None, epochs: Vec::new(), peak_memory_bytes: None, ..run() };
        let text = summary(&record);
        assert!(!["logloss", "best epoch", "training", "peak"].iter().any(|name| text.contains(name)), "{text}");
    }

    #[test]
    fn metrics_show_a_dash_for_the_undefined() {
        let text = metrics_table(&Metrics { logloss: Some(0.5), ..Metrics::default() });
        assert!(text.starts_with("logloss             0.50000\nAUC                       –\n"), "{text}");
        assert_eq!(text.lines().count(), 14);
    }

    #[test]
    fn numbers_stand_to_the_right_and_text_to_the_left() {
        let row = |cells: [&str; 3]| cells.map(str::to_owned).to_vec();
        let rows = [row(["fm", "1,000", "shallow"]), row(["deepfm", "–", "deep"]), row(["lr", "12.5", "linear"])];
        let expected = "\
model    rows  kind
fm      1,000  shallow
deepfm      –  deep
lr       12.5  linear";
        assert_eq!(models_table(&["model", "rows", "kind"], &rows), expected);
    }
}
