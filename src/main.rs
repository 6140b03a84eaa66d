//! Parses the command line, runs it and exits with its code.

use std::process::ExitCode;

/// Freed memory stays in the process: a step's buffers would otherwise be paged in again at every step.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    secn::cli::main()
}
