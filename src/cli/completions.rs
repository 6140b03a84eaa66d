//! `secn completions SHELL`: a completion script on stdout.

use clap::Args;
use clap_complete::Shell;

#[derive(Args)]
pub(super) struct CompletionsArgs {
    /// The shell to complete for.
    shell: Shell,
}

pub(super) fn run(args: &CompletionsArgs) -> anyhow::Result<()> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut super::command(), "secn", &mut script);
    super::terminal::print(&String::from_utf8(script)?)
}
