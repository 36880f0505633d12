//! The command line of MCP Jupyter, over `mcp-jupyter-core`.
//!
//! It parses arguments (`args`), runs one command (`commands`) and shows what happens (`report`, and `draw` for graphs);
//! what notebooks, kernels, runs and plans are is the library's matter.

mod args;
mod commands;
mod error;
mod exit;
mod install;
mod job;
mod keeping;
mod mcp;
mod preview;
mod proposals;
mod report;
mod services;
mod signals;
mod telemetry;
mod watch;

use std::ffi::OsString;
use std::process::ExitCode;

use self::args::{AssetServiceCli, AssetsCommand, Cli, Command, SchedulerCommand, SchedulerServiceCli, ServerCli};
use self::error::CliError;
use self::exit::Exit;

/// Threads of a server: kernels do the work, and their messages are few beside it.
const WORKERS: usize = 2;

/// Runs the command line `arguments`, the program's name first, and gives the exit code.
pub fn main(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let arguments: Vec<OsString> = arguments.into_iter().collect();
    if let [program, noun, verb, rest @ ..] = &arguments[..]
        && verb == "serve"
    {
        // The same as programs of their own, which read a file with options as well.
        let own = std::iter::once(program.clone()).chain(rest.iter().cloned());
        match noun.to_str() {
            Some("scheduler") => return main_of_scheduler_service(own),
            Some("assets") => return main_of_asset_service(own),
            _ => {}
        }
    }
    let cli = match args::parse_for_user::<Cli>(arguments) {
        Ok(cli) => cli,
        Err(error) => return report::show_usage(&error).into(),
    };
    telemetry::init();
    let done = match cli.command {
        Command::Run(args) => on_runtime(commands::run(*args)),
        Command::Plan(args) => commands::plan(&args),
        Command::Graph(args) => commands::graph(&args),
        Command::Watch(args) => on_runtime(commands::watch(*args)),
        Command::Start(args) => on_runtime(commands::start(*args)),
        Command::Sync(args) => on_runtime(commands::sync(*args)),
        Command::RunStatus(args) => on_runtime(commands::run_status(args)),
        Command::Interrupt(args) => on_runtime(commands::interrupt(args)),
        Command::Restart(args) => on_runtime(commands::restart(args)),
        Command::Stop(args) => on_runtime(commands::stop(args)),
        Command::Sessions(args) => on_runtime(commands::sessions(args)),
        Command::Proposals(args) => on_runtime(commands::proposals(args)),
        Command::History(args) => on_runtime(commands::history(args)),
        Command::Diff(args) => on_runtime(commands::diff(args)),
        Command::Restore(args) => on_runtime(commands::restore(args)),
        Command::Serve(args) => on_threads(mcp::serve(*args)),
        Command::Install(args) => commands::install(&args),
        Command::Papermill(args) => on_runtime(commands::papermill(*args)),
        Command::Assets(args) => match args.command {
            AssetsCommand::Serve(args) => on_threads(commands::serve_assets(args)),
            command => on_runtime(commands::assets(command)),
        },
        Command::Scheduler(args) => match args.command {
            SchedulerCommand::Serve(args) => on_threads(commands::serve_scheduler(args)),
        },
        Command::Inspect(args) => commands::inspect(&args),
        Command::Kernels(args) => on_runtime(commands::kernels(args)),
        Command::Doctor(args) => on_runtime(commands::doctor(args)),
        Command::Completions(args) => Ok(commands::completions(&args)),
        Command::Keep(args) => on_runtime(commands::keep(args)),
    };
    finish(done)
}

/// Runs the MCP server with the command line `arguments`, the program's name first, and gives the exit code.
pub fn main_of_server(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let arguments: Vec<OsString> = arguments.into_iter().collect();
    // The server's kernels are kept by this program too.
    if arguments.get(1).is_some_and(|first| first == "keep") {
        return main(arguments);
    }
    match args::parse_for_user::<ServerCli>(arguments) {
        Ok(cli) => {
            telemetry::init();
            finish(on_threads(mcp::serve(cli.serve)))
        }
        Err(error) => report::show_usage(&error).into(),
    }
}

/// Runs the scheduler service that `arguments` describe, the program's name first, and gives the exit code.
pub fn main_of_scheduler_service(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    match args::parse_with_defaults::<SchedulerServiceCli>(arguments) {
        Ok(cli) => {
            telemetry::init_as(cli.args.operation.log_format);
            finish(on_threads(commands::serve_scheduler(cli.args)))
        }
        Err(error) => report::show_usage(&error).into(),
    }
}

/// Runs the asset service that `arguments` describe, the program's name first, and gives the exit code.
pub fn main_of_asset_service(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    match args::parse_with_defaults::<AssetServiceCli>(arguments) {
        Ok(cli) => {
            telemetry::init_as(cli.args.operation.log_format);
            finish(on_threads(commands::serve_assets(cli.args)))
        }
        Err(error) => report::show_usage(&error).into(),
    }
}

fn finish(done: Result<Exit, CliError>) -> ExitCode {
    let exit = done.unwrap_or_else(|error| report::show_failure(&error.to_string(), error.hint(), error.exit()));
    exit.into()
}

/// Runs what serves many clients: none of them waits for what another one has computed.
fn on_threads(work: impl Future<Output = Result<Exit, CliError>>) -> Result<Exit, CliError> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(WORKERS)
        .enable_all()
        .build();
    let runtime = runtime.map_err(|source| CliError::Threads { source })?;
    let done = runtime.block_on(work);
    // A thread may still wait for a line from a client; it ends with the process.
    runtime.shutdown_background();
    done
}

/// Runs what talks to kernels.
fn on_runtime(work: impl Future<Output = Result<Exit, CliError>>) -> Result<Exit, CliError> {
    // One thread: each message of a kernel passes through several tasks, and handing it from thread to thread costs more
    // than all that is done with it. Files are written, and kernels read, on threads of their own.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|source| CliError::Threads { source })?;
    let done = runtime.block_on(work);
    // A thread may still wait for a line from the terminal; it ends with the process.
    runtime.shutdown_background();
    done
}
