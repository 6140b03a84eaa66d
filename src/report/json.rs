//! Records as JSON, printed or written to `result.json`.

use std::path::Path;

use serde::Serialize;

use super::file::{ReportError, write_whole};

/// One line of JSON, without its end.
///
/// # Panics
/// If `record` cannot be JSON (a map whose keys are no text); no record of ours is such.
pub fn to_json(record: &impl Serialize) -> String {
    serde_json::to_string(record).expect("records have text keys alone, so they can be JSON")
}

/// Writes `result.json`, indented: beside its place, synced, then renamed.
///
/// # Errors
/// If the folder is missing or cannot be written; an earlier file is then as it was.
pub fn write_result(path: &Path, record: &impl Serialize) -> Result<(), ReportError> {
    let mut text = serde_json::to_string_pretty(record).expect("records have text keys alone, so they can be JSON");
    text.push('\n');
    write_whole(path, &text)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::metrics::{Metrics, PrepareRecord, RowCounts, RunRecord};

    fn record(run: &str) -> RunRecord {
        RunRecord {
            run: run.into(),
            model: "fm".into(),
            device: "cpu".into(),
            parameters: 1,
            fields: 1,
            vocabulary: 1,
            rows: RowCounts::default(),
            epochs: Vec::new(),
            best_epoch: None,
            test: Some(Metrics::default()),
            prepare: PrepareRecord { seconds: 0.0, rows_per_second: 0.0, cached: false },
            peak_memory_bytes: None,
            seconds: 0.5,
        }
    }

    #[test]
    fn json_is_one_line() {
        let text = to_json(&record("runs/one\ntwo"));
        assert!(text.starts_with(r#"{"run":"runs/one\ntwo","#) && !text.contains('\n'), "{text}");
    }

    #[test]
    fn a_result_is_read_back_as_it_was() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("result.json");
        write_result(&path, &record("runs/one")).unwrap();
        let found: RunRecord = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
        assert_eq!(found, record("runs/one"));
    }
}
