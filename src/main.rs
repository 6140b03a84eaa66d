//! Parses the command line, runs it and exits with its code.

use std::process::ExitCode;

#[global_allocator]
static ALLOCATOR: secn::allocator::Allocator = secn::allocator::Allocator;

fn main() -> ExitCode {
    secn::cli::main()
}
