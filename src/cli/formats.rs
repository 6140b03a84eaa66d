//! `secn formats`: all formats of data.

use clap::Args;

use super::terminal::print;
use crate::{data::FormatName, report};

#[derive(Args)]
pub(super) struct FormatsArgs {}

pub(super) fn run(_args: &FormatsArgs) -> anyhow::Result<()> {
    let row = |format: &FormatName| vec![format.as_str().to_owned(), format.about().to_owned()];
    let rows: Vec<Vec<String>> = FormatName::ALL.iter().map(row).collect();
    print(&report::models_table(&["format", "what it looks like"], &rows))
}
