//! What people and scripts read of a run: JSON on standard output and in `result.json`, tables on a terminal.

mod file;
mod json;
mod numbers;
mod table;

pub use file::ReportError;
pub use json::{to_json, write_result};
pub use table::{epoch_line, metrics_table, models_table, summary};
