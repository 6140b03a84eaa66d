//! The command line: flags, printing, exit codes. One file a command.

mod check;
mod check_guess;
mod check_header;
mod check_rows;
mod compare;
mod compare_plan;
mod completions;
mod eval;
mod failure;
mod formats;
mod models;
mod predict;
mod prepare;
mod run_folder;
mod terminal;
mod train;

use std::{panic::UnwindSafe, path::PathBuf, process::ExitCode};

use clap::{Args, Parser, Subcommand};

use self::failure::Failure;
use crate::device::DeviceName;

/// Trains, evaluates and applies click-through-rate models, from raw files to probabilities.
#[derive(Parser)]
#[command(name = "secn", version, arg_required_else_help = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Train a model and leave a run folder.
    Train(train::TrainArgs),
    /// Evaluate a run on its own test rows or on other files.
    Eval(eval::EvalArgs),
    /// Write a probability for every row; no label needed.
    Predict(predict::PredictArgs),
    /// Train several models on one split and compare them.
    Compare(compare::CompareArgs),
    /// Build vocabulary and cache only.
    Prepare(prepare::PrepareArgs),
    /// Look at data before anything is built, and get a config to start from.
    Check(check::CheckArgs),
    /// List all models.
    Models(models::ModelsArgs),
    /// List all formats of data.
    Formats(formats::FormatsArgs),
    /// Print a completion script for a shell.
    Completions(completions::CompletionsArgs),
}

/// Which config, and what to change in it.
#[derive(Args)]
struct ConfigArgs {
    /// The experiment's TOML file.
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
    /// Change a key, for example `training.epochs=2`; may be given several times.
    #[arg(long, value_name = "KEY=VALUE")]
    set: Vec<String>,
}

/// Where to compute.
#[derive(Args)]
struct MachineArgs {
    /// `auto`, `cpu`, `ndarray`, `wgpu`, `wgpu:N`, `vulkan` or `cuda:N`.
    #[arg(long, value_name = "DEVICE")]
    device: Option<DeviceName>,
    /// Threads for data and kernels; all cores by default. Results don't depend on it.
    #[arg(long, value_name = "N")]
    threads: Option<std::num::NonZeroUsize>,
}

impl MachineArgs {
    /// Sets the number of threads for the whole process.
    fn start_threads(&self) -> anyhow::Result<()> {
        if let Some(threads) = self.threads {
            rayon::ThreadPoolBuilder::new().num_threads(threads.get()).build_global()?;
        }
        Ok(())
    }
}

/// Runs the command line of this process.
pub fn main() -> ExitCode {
    failure::hide_panics();
    let command = Cli::parse().command;
    exit_code(|| match command {
        Command::Train(args) => train::run(&args),
        Command::Eval(args) => eval::run(&args),
        Command::Predict(args) => predict::run(&args),
        Command::Compare(args) => compare::run(&args),
        Command::Prepare(args) => prepare::run(&args),
        Command::Check(args) => check::run(&args),
        Command::Models(args) => models::run(&args),
        Command::Formats(args) => formats::run(&args),
        Command::Completions(args) => completions::run(&args),
    })
}

/// Runs a command and reports its failure; a panic fails too, and its hook has told of it.
fn exit_code(run: impl FnOnce() -> anyhow::Result<()> + UnwindSafe) -> ExitCode {
    match std::panic::catch_unwind(run) {
        Ok(Ok(())) => ExitCode::SUCCESS,
        Ok(Err(error)) => Failure::from(error).report(),
        Err(_) => ExitCode::FAILURE,
    }
}

/// The command line's definition, for completions.
fn command() -> clap::Command {
    <Cli as clap::CommandFactory>::command()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_defect_is_a_failure_and_no_crash() {
        assert_eq!(exit_code(|| panic!("a defect for this test")), ExitCode::FAILURE);
        assert_eq!(exit_code(|| Ok(())), ExitCode::SUCCESS);
    }
}
