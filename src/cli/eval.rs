//! `secn eval`: a run's metrics on its own test rows or on other files.

use std::{path::PathBuf, sync::Arc, time::Instant};

use anyhow::Context;
use clap::Args;

use super::{
    MachineArgs,
    failure::UsageError,
    prepare::left_out_lines,
    run_folder::Loaded,
    terminal::{Terminal, print},
};
use crate::{
    data::{ColumnRef, Wanted, resolve},
    device::DeviceName,
    features::{LeftOut, stream},
    metrics::EvalRecord,
    report,
    training::{Scores, rows_at_a_time, score_batch},
};

#[derive(Args)]
pub(super) struct EvalArgs {
    /// A run folder, or a checkpoint inside of one.
    #[arg(long, value_name = "RUN")]
    checkpoint: PathBuf,
    /// Files or globs; by default the test rows of the run's config. `-` is standard input.
    #[arg(long, value_name = "FILE", num_args = 1..)]
    data: Vec<String>,
    /// The column whose values form the groups of the grouped AUC.
    #[arg(long, value_name = "COLUMN")]
    group: Option<String>,
    #[command(flatten)]
    machine: MachineArgs,
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
}

pub(super) fn run(args: &EvalArgs) -> anyhow::Result<()> {
    args.machine.start_threads()?;
    let (device_name, device) = args.machine.device.unwrap_or(DeviceName::Auto).open()?;
    let mut loaded = Loaded::open(&args.checkpoint, &device)?;
    if let Some(group) = &args.group {
        loaded.config.data.group = Some(group.parse().map_or(ColumnRef::Name(group.clone()), ColumnRef::Position));
    }
    let data = if args.data.is_empty() { &loaded.config.data.test } else { &args.data };
    if data.is_empty() {
        let text = "the run's config has no `data.test`: name the files with `--data`";
        return Err(UsageError(text.to_owned()).into());
    }
    let start = Instant::now();
    let (scores, left_out) = score_files(&loaded, data, &device).context("cannot evaluate the rows")?;
    let seconds = start.elapsed().as_secs_f64();
    let evaluation = scores.evaluate();
    let mut terminal = Terminal::new();
    left_out_lines(left_out).for_each(|line| terminal.warn(&line));
    for undefined in &evaluation.undefined {
        terminal.warn(&undefined.to_string());
    }
    let record = EvalRecord {
        run: args.checkpoint.display().to_string(),
        rows: scores.logits.len() as u64,
        device: device_name.to_string(),
        seconds,
        rows_per_second: scores.logits.len() as f64 / seconds.max(f64::MIN_POSITIVE),
        metrics: evaluation.metrics,
    };
    if args.json {
        return print(&report::to_json(&record));
    }
    terminal.say(&format!("{} rows in {seconds:.1} s on {device_name}", record.rows));
    print(&report::metrics_table(&record.metrics))
}

/// The scores of all rows, and what of them was left out.
fn score_files(loaded: &Loaded, data: &[String], device: &burn::tensor::Device) -> anyhow::Result<(Scores, LeftOut)> {
    let config = &loaded.config.data;
    let wanted = Wanted {
        schema: loaded.schema.clone(),
        label: Some(config.label.column.clone()),
        label_required: true,
        weight: None,
        extra: config.group.iter().cloned().collect(),
    };
    let group = config.group.as_ref().map(|_| 0);
    let offset = loaded.config.training.logit_offset();
    let rows = rows_at_a_time(&loaded.embedding, loaded.vocabulary.fields());
    let (mut scores, mut left_out) = (Scores::default(), LeftOut::default());
    for block in stream(config, resolve(data)?, wanted, group, Arc::clone(&loaded.vocabulary))? {
        let block = block?;
        left_out += block.left_out();
        for batch in block.encoded.batches(rows) {
            scores.logits.extend(score_batch(&loaded.model, &loaded.embedding, &batch, offset, device));
            scores.labels.extend(&batch.labels);
            scores.groups.extend(&batch.groups);
        }
    }
    Ok((scores, left_out))
}
