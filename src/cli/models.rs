//! `secn models`: all registered models.

use clap::Args;

use super::terminal::print;
use crate::{models::MODELS, report};

#[derive(Args)]
pub(super) struct ModelsArgs {
    /// Print one JSON array.
    #[arg(long)]
    json: bool,
}

pub(super) fn run(args: &ModelsArgs) -> anyhow::Result<()> {
    if args.json {
        return print(&report::to_json(&MODELS));
    }
    let rows: Vec<Vec<String>> = MODELS
        .iter()
        .map(|model| [model.name, model.summary, model.paper, model.config].map(ToOwned::to_owned).to_vec())
        .collect();
    print(&report::models_table(&["model", "what it is", "paper", "config to start from"], &rows))
}
