//! What people and scripts read of a run: JSON on standard output and in `result.json`, tables on a terminal, and pages
//! with plots.

mod axis;
mod bars;
mod chart;
mod comparison;
mod comparison_page;
mod file;
mod html;
mod json;
mod numbers;
mod run_page;
mod score_plots;
mod settings;
mod table;
mod theme;
mod training_plots;

pub use comparison::{Comparison, Differences, comparison_table, write_comparison};
pub use file::ReportError;
pub use json::{to_json, write_result};
pub use run_page::{RunReport, Scored, write_report};
pub use table::{epoch_line, metrics_table, models_table, summary};
