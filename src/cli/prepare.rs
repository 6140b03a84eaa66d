//! `secn prepare`: vocabulary and cache only, and the way in which `train` shows the same work.

use anyhow::{Context, anyhow};
use clap::Args;
use serde_json::json;

use super::{
    ConfigArgs,
    failure::UsageError,
    terminal::{Terminal, print},
};
use crate::{
    config::Config,
    features::{LeftOut, PrepareEvent, Prepared, prepare},
    metrics::RowCounts,
};

#[derive(Args)]
pub(super) struct PrepareArgs {
    #[command(flatten)]
    config: ConfigArgs,
    /// Threads; all cores by default.
    #[arg(long, value_name = "N")]
    threads: Option<std::num::NonZeroUsize>,
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
}

pub(super) fn run(args: &PrepareArgs) -> anyhow::Result<()> {
    if let Some(threads) = args.threads {
        rayon::ThreadPoolBuilder::new().num_threads(threads.get()).build_global()?;
    }
    let config = Config::load(&args.config.config, &args.config.set)?;
    let mut terminal = Terminal::new();
    let prepared = prepare_data(&config, &[&config], &mut terminal)?;
    if args.json {
        let rows = row_counts(&prepared);
        let summary = &prepared.summary;
        return print(&serde_json::to_string(&json!({
            "fields": prepared.vocabulary.fields(),
            "vocabulary": prepared.vocabulary.table_rows(),
            "rows": rows,
            "prepare": {
                "seconds": summary.seconds,
                "rows_per_second": summary.rows_per_second,
                "cached": summary.cached,
            },
            "skipped_rows": summary.left_out.rows,
            "cut_cells": summary.left_out.cells,
            "cache_bytes": summary.cache_bytes,
        }))?);
    }
    Ok(())
}

/// Raw files → vocabulary and cache, with its progress shown, for the tables of `models`: configs with the data and the
/// features of `config`.
pub(super) fn prepare_data(config: &Config, models: &[&Config], terminal: &mut Terminal) -> anyhow::Result<Prepared> {
    let mut observe = |event: PrepareEvent| show(terminal, event);
    let prepared = prepare(&config.data, &config.features, config.split_seed(), &mut observe);
    terminal.clear();
    let prepared = prepared.context("cannot prepare the data")?;
    let train = &prepared.train;
    let positive = &config.data.positive;
    if !positive.is_empty() && (0..train.rows()).all(|row| train.label(row) == 0) {
        return Err(anyhow!(
            "expected the label {positive} of `data.positive` in some training rows, found it in none"
        ));
    }
    let names: Vec<&str> =
        (0..prepared.vocabulary.fields()).map(|field| prepared.vocabulary.field_name(field)).collect();
    for config in models {
        if let Some(unknown) = config.embedding.dims.keys().find(|name| !names.contains(&name.as_str())) {
            let text = format!(
                "`embedding.dims.{unknown}`: expected one of the fields {}, found none of this name",
                names.join(", ")
            );
            return Err(UsageError(text).into());
        }
        let checked = prepared.vocabulary.check_memory(row_bytes(config, &prepared), config.features.max_memory);
        checked.with_context(|| format!("cannot make the table of `{}`", config.model.name()))?;
    }
    for line in summary(models, &prepared) {
        terminal.say(&line);
    }
    Ok(prepared)
}

/// The bytes of an id in the tables of the config's model.
fn row_bytes(config: &Config, prepared: &Prepared) -> usize {
    config.embedding.row_bytes(config.model.needs(), prepared.vocabulary.fields())
}

/// The parts' rows.
pub(super) fn row_counts(prepared: &Prepared) -> RowCounts {
    RowCounts {
        train: prepared.train.rows() as u64,
        validation: prepared.validation.as_ref().map_or(0, |part| part.rows() as u64),
        test: prepared.test.as_ref().map_or(0, |part| part.rows() as u64),
    }
}

fn show(terminal: &mut Terminal, event: PrepareEvent) {
    match event {
        PrepareEvent::Rebuilding { reason } => terminal.say(&format!("rebuilding the cache: {reason}")),
        PrepareEvent::Spilling { limit } => terminal.say(&format!(
            "spilling to the disk: the values' counts would take more than `features.max_memory = \"{limit}\"`, so the \
             training rows are read twice"
        )),
        PrepareEvent::Progress { pass, bytes, total_bytes, .. } => {
            terminal.preparing(&pass.to_string(), bytes, total_bytes);
        }
    }
}

fn summary(models: &[&Config], prepared: &Prepared) -> Vec<String> {
    const MIB: f64 = (1 << 20) as f64;
    let rows = row_counts(prepared);
    let vocabulary = prepared.vocabulary.table_rows();
    let table = vocabulary * models.iter().map(|config| row_bytes(config, prepared)).max().unwrap_or_default();
    let which = if models.len() > 1 { "largest table" } else { "table" };
    let summary = &prepared.summary;
    let speed = if summary.cached {
        "from the cache".to_owned()
    } else {
        format!("in {:.1} s, {:.0} rows/s", summary.seconds, summary.rows_per_second)
    };
    let mut lines = vec![
        format!("rows: {} train, {} validation, {} test ({speed})", rows.train, rows.validation, rows.test),
        format!(
            "vocabulary: {vocabulary} ids in {} fields; {which} with its moments {:.1} MiB, cache {:.1} MiB",
            prepared.vocabulary.fields(),
            table as f64 / MIB,
            summary.cache_bytes as f64 / MIB,
        ),
    ];
    lines.extend(left_out_lines(summary.left_out).map(|line| format!("warning: {line}")));
    lines
}

/// What is not seen of the rows, in words.
pub(super) fn left_out_lines(left_out: LeftOut) -> impl Iterator<Item = String> {
    let rows = (left_out.rows > 0).then(|| format!("{} bad rows were left out", left_out.rows));
    let cells = (left_out.cells > 0).then(|| {
        format!(
            "{} cells have more values than their field's `max_values`, or than any training row; those behind were left out",
            left_out.cells
        )
    });
    rows.into_iter().chain(cells)
}
