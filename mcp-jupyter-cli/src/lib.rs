//! The command line of MCP Jupyter, over `mcp-jupyter-core`.
//!
//! It parses arguments (`args`), runs one command (`commands`) and shows what happens (`report`); what notebooks,
//! kernels and runs are is the library's matter.

mod args;
mod commands;
mod error;
mod exit;
mod job;
mod report;
mod signals;
mod telemetry;

use std::ffi::OsString;
use std::process::ExitCode;

use clap::Parser;

use self::args::{Cli, Command};
use self::exit::Exit;

/// Runs the command line `arguments`, the program's name first, and gives the exit code.
pub fn main(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let cli = match Cli::try_parse_from(arguments) {
        Ok(cli) => cli,
        Err(error) => return report::show_usage(&error).into(),
    };
    telemetry::init();
    // One thread: each message of a kernel passes through several tasks, and handing it from thread to thread costs more
    // than all that is done with it. Files are written, and kernels read, on threads of their own.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = match runtime {
        Ok(runtime) => runtime,
        Err(error) => {
            return report::show_failure(&format!("cannot start threads: {error}"), None, Exit::Failed).into();
        }
    };
    let exit = runtime.block_on(dispatch(cli.command));
    // A thread may still wait for a line from the terminal; it ends with the process.
    runtime.shutdown_background();
    exit.into()
}

async fn dispatch(command: Command) -> Exit {
    let done = match command {
        Command::Run(args) => commands::run(*args).await,
        Command::Papermill(args) => commands::papermill(*args).await,
        Command::Inspect(args) => commands::inspect(&args),
        Command::Kernels(args) => commands::kernels(args).await,
        Command::Doctor(args) => commands::doctor(args).await,
        Command::Completions(args) => Ok(commands::completions(&args)),
    };
    done.unwrap_or_else(|error| report::show_failure(&error.to_string(), error.hint(), error.exit()))
}
