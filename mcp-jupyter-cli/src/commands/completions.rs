use clap::CommandFactory;

use crate::args::{Cli, CompletionsArgs};
use crate::error::CliError;
use crate::exit::Exit;
use crate::report;

/// Prints a shell's completion script.
pub(crate) fn completions(args: CompletionsArgs) -> Result<Exit, CliError> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "mcp-jupyter", &mut script);
    report::show_data(&script);
    Ok(Exit::Ok)
}
