//! `secn predict`: a row in, a probability out, in order; no label needed.

use std::{
    fs::{self, File},
    io::{BufWriter, Write},
    path::{Path, PathBuf},
    sync::Arc,
};

use anyhow::Context;
use arrow_array::{ArrayRef, Float32Array, RecordBatch, builder::StringBuilder};
use arrow_schema::{DataType, Field, Schema};
use clap::Args;
use parquet::arrow::ArrowWriter;

use super::{MachineArgs, failure::UsageError, prepare::left_out_lines, run_folder::Loaded, terminal::Terminal};
use crate::{
    data::{ColumnRef, DataConfig, Input, OnBadRow, Wanted, resolve},
    device::DeviceName,
    features::{EncodedBlock, LeftOut, stream},
    metrics::probability,
    training::{rows_at_a_time, score_batch},
};

const COLUMN: &str = "probability";

#[derive(Args)]
pub(super) struct PredictArgs {
    /// A run folder, or a checkpoint inside of one.
    #[arg(long, value_name = "RUN")]
    checkpoint: PathBuf,
    /// Files or globs; `-` is standard input.
    #[arg(long, value_name = "FILE", num_args = 1.., required = true)]
    data: Vec<String>,
    /// Where to write: a `.csv` or a `.parquet` file; by default CSV on standard output.
    #[arg(long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// A column of the data to carry before the probability; may be given several times.
    #[arg(long, value_name = "COLUMN")]
    keep: Vec<String>,
    #[command(flatten)]
    machine: MachineArgs,
}

pub(super) fn run(args: &PredictArgs) -> anyhow::Result<()> {
    args.machine.start_threads()?;
    let (_, device) = args.machine.device.unwrap_or(DeviceName::Auto).open()?;
    let loaded = Loaded::open(&args.checkpoint, &device)?;
    let Some(path) = &args.output else {
        let mut output = csv::Writer::from_writer(BufWriter::new(std::io::stdout().lock()));
        return predict_csv(args, &loaded, &device, &mut output).map(|_| ());
    };
    check_output(path, &args.data)?;
    let rows = predict_file(args, &loaded, &device, path)?;
    Terminal::new().say(&format!("wrote {rows} predictions to {}", path.display()));
    Ok(())
}

/// Writes a file that is whole or absent, or straight into what is no file (a pipe, a device); returns its rows.
fn predict_file(
    args: &PredictArgs,
    loaded: &Loaded,
    device: &burn::tensor::Device,
    path: &Path,
) -> anyhow::Result<usize> {
    let is_parquet = path.extension().is_some_and(|extension| extension == "parquet");
    let context = || format!("cannot write {}", path.display());
    let write = |file: &File| {
        if is_parquet {
            return predict_parquet(args, loaded, device, file);
        }
        predict_csv(args, loaded, device, &mut csv::Writer::from_writer(BufWriter::new(file)))
    };
    // a link stays, and the file that it names is replaced
    let path = &path.canonicalize().unwrap_or_else(|_| path.to_owned());
    if path.exists() && !path.is_file() {
        return write(&File::create(path).with_context(context)?).with_context(context);
    }
    let mut temporary = path.to_owned().into_os_string();
    temporary.push(".partial");
    let temporary = PathBuf::from(temporary);
    let file = File::create(&temporary).with_context(context)?;
    let whole = write(&file).and_then(|rows| {
        file.sync_all().with_context(context)?;
        fs::rename(&temporary, path).with_context(context)?;
        Ok(rows)
    });
    if whole.is_err() {
        let _ = fs::remove_file(&temporary);
    }
    whole
}

/// The output must be a file, and none of those that are read.
fn check_output(path: &Path, data: &[String]) -> anyhow::Result<()> {
    let wrong = |text: &str| Err(UsageError(format!("`--output {}`: {text}", path.display())).into());
    if path.is_dir() || path.as_os_str().to_string_lossy().ends_with('/') {
        return wrong("expected a file, found a folder");
    }
    let Ok(output) = path.canonicalize() else { return Ok(()) };
    for input in resolve(data).context("cannot read the rows")? {
        if matches!(&input, Input::File(input) if input.canonicalize().is_ok_and(|input| input == output)) {
            return wrong("expected another file than the rows that are read");
        }
    }
    Ok(())
}

fn predict_csv(
    args: &PredictArgs,
    loaded: &Loaded,
    device: &burn::tensor::Device,
    output: &mut csv::Writer<impl Write>,
) -> anyhow::Result<usize> {
    // behind the first block, so that rows that can't be read leave no output
    let mut has_header = false;
    let rows = predict(args, loaded, device, |block, probabilities| {
        if !has_header {
            output.write_record(args.keep.iter().map(String::as_str).chain([COLUMN]))?;
            has_header = true;
        }
        for (row, probability) in probabilities.iter().enumerate() {
            for kept in 0..args.keep.len() {
                output.write_field(block.rows.extra(row, kept))?;
            }
            output.write_field(probability.to_string())?;
            output.write_record(None::<&[u8]>)?;
        }
        Ok(())
    })?;
    output.flush()?;
    Ok(rows)
}

fn predict_parquet(
    args: &PredictArgs,
    loaded: &Loaded,
    device: &burn::tensor::Device,
    file: &File,
) -> anyhow::Result<usize> {
    let mut columns: Vec<Field> = args.keep.iter().map(|name| Field::new(name, DataType::Utf8, false)).collect();
    columns.push(Field::new(COLUMN, DataType::Float32, false));
    let schema = Arc::new(Schema::new(columns));
    let mut writer = ArrowWriter::try_new(file, Arc::clone(&schema), None)?;
    let rows = predict(args, loaded, device, |block, probabilities| {
        let mut arrays: Vec<ArrayRef> = Vec::with_capacity(args.keep.len() + 1);
        for kept in 0..args.keep.len() {
            let mut texts = StringBuilder::new();
            for row in 0..probabilities.len() {
                texts.append_value(String::from_utf8_lossy(block.rows.extra(row, kept)));
            }
            arrays.push(Arc::new(texts.finish()));
        }
        arrays.push(Arc::new(Float32Array::from(probabilities.to_vec())));
        Ok(writer.write(&RecordBatch::try_new(Arc::clone(&schema), arrays)?)?)
    })?;
    writer.close()?;
    Ok(rows)
}

/// Gives `write` each block of rows with its probabilities, in order; returns how many rows there were.
fn predict(
    args: &PredictArgs,
    loaded: &Loaded,
    device: &burn::tensor::Device,
    mut write: impl FnMut(&EncodedBlock, &[f32]) -> anyhow::Result<()>,
) -> anyhow::Result<usize> {
    // a row that can't be read is an error here: every row in is a probability out
    let config = &DataConfig { on_bad_row: OnBadRow::Fail, ..loaded.config.data.clone() };
    let wanted = Wanted {
        schema: loaded.schema.clone(),
        label: None,
        label_required: false,
        weight: None,
        extra: args.keep.iter().cloned().map(ColumnRef::Name).collect(),
    };
    let offset = loaded.config.training.logit_offset();
    let inputs = resolve(&args.data).context("cannot read the rows")?;
    let blocks = stream(config, inputs, wanted, None, Arc::clone(&loaded.vocabulary));
    let at_a_time = rows_at_a_time(&loaded.embedding, loaded.vocabulary.fields());
    let (mut rows, mut left_out) = (0, LeftOut::default());
    for block in blocks.context("cannot read the rows")? {
        let block = block.context("cannot read the rows")?;
        left_out += block.left_out();
        let mut probabilities = Vec::with_capacity(block.encoded.rows());
        for batch in block.encoded.batches(at_a_time) {
            let logits = score_batch(&loaded.model, &loaded.embedding, &batch, offset, device);
            #[expect(clippy::cast_possible_truncation, reason = "an f32 has more digits than a model")]
            probabilities.extend(logits.into_iter().map(|logit| probability(logit) as f32));
        }
        rows += probabilities.len();
        write(&block, &probabilities)?;
    }
    let mut terminal = Terminal::new();
    left_out_lines(left_out).for_each(|line| terminal.warn(&line));
    Ok(rows)
}
