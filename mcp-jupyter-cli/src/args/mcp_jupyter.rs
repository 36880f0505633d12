use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};
use clap_complete::Shell;

use super::AssetsArgs;
use super::history::{DiffArgs, HistoryArgs, RestoreArgs};
use super::install::InstallArgs;
use super::papermill::PapermillArgs;
use super::plan::{GraphArgs, PlanArgs};
use super::proposals::ProposalsArgs;
use super::run::RunArgs;
use super::serve::ServeArgs;
use super::services::SchedulerArgs;
use super::sessions::{
    InterruptArgs, RestartArgs, RunStatusArgs, SessionsArgs, StartArgs, StateArgs, StopArgs, SyncArgs,
};
use super::watch::WatchArgs;

/// Run Jupyter notebooks: every output kept, the notebook always saved, no kernel left behind.
#[derive(Debug, Parser)]
#[command(name = "mcp-jupyter", version, arg_required_else_help = true, after_help = EXIT_CODES)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    Run(Box<RunArgs>),
    Plan(PlanArgs),
    Graph(GraphArgs),
    Watch(Box<WatchArgs>),
    Start(Box<StartArgs>),
    Sync(Box<SyncArgs>),
    RunStatus(RunStatusArgs),
    Interrupt(InterruptArgs),
    Restart(RestartArgs),
    Stop(StopArgs),
    Sessions(SessionsArgs),
    Proposals(ProposalsArgs),
    History(HistoryArgs),
    Diff(DiffArgs),
    Restore(RestoreArgs),
    Serve(Box<ServeArgs>),
    Install(InstallArgs),
    Papermill(Box<PapermillArgs>),
    Assets(AssetsArgs),
    Scheduler(SchedulerArgs),
    Inspect(InspectArgs),
    Kernels(KernelsArgs),
    Doctor(DoctorArgs),
    Completions(CompletionsArgs),
    #[command(hide = true)]
    Keep(KeepArgs),
}

pub(super) const EXIT_CODES: &str = "\
Exit codes:
  0    all went well
  1    a cell failed, or the notebook could not be saved
  2    the command line or what it names makes no sense
  3    a notebook could not be read, or is none
  4    there is no such kernel, or it did not start
  5    the kernel died
  6    a cell or the run took longer than allowed
  7    a service or store that was asked for does not answer
  130  interrupted (Ctrl-C)
  143  terminated (SIGTERM)

Environment:
  MCP_JUPYTER_STATE_DIR   where sessions and their kernels are kept
  MCP_JUPYTER_SCHEDULER   the scheduler service to use, as `--scheduler`
  MCP_JUPYTER_ASSETS      the store of large outputs to use, as `--assets`
  MCP_JUPYTER_SERVICE_TOKEN   the token that services ask for
  MCP_JUPYTER_CONFIG      a TOML file with values for the options about services (default:
                          ~/.config/mcp-jupyter/config.toml, where there is one)
  NO_COLOR, FORCE_COLOR   never, or always, colour tracebacks and messages
  MCP_JUPYTER_LOG         what to log on stderr, such as `info` or `mcp_jupyter_core=debug` (default: warn)";

/// List the parameters that a notebook takes, with their types and defaults
#[derive(Debug, Args)]
pub(crate) struct InspectArgs {
    /// The notebook; `-` for standard input
    pub(crate) notebook: PathBuf,

    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
}

/// List the kernels that notebooks can run on, and those that live
#[derive(Debug, Args)]
pub(crate) struct KernelsArgs {
    /// Look into the environment of this Python first
    #[arg(long, value_name = "PATH")]
    pub(crate) python: Option<PathBuf>,

    #[command(flatten)]
    pub(crate) state: StateArgs,

    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
}

/// Say what is installed, what is missing, and how to mend it
#[derive(Debug, Args)]
pub(crate) struct DoctorArgs {
    /// Examine this Python as well
    #[arg(long, value_name = "PATH")]
    pub(crate) python: Option<PathBuf>,

    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
}

/// Print the completion script of a shell
#[derive(Debug, Args)]
pub(crate) struct CompletionsArgs {
    /// The shell
    pub(crate) shell: Shell,
}

/// Keep a kernel: what the programs of this package start beside each kernel that is to outlive them
#[derive(Debug, Args)]
pub(crate) struct KeepArgs {
    /// The folder for all that there is to know of the kernel
    pub(crate) home: PathBuf,
}
