use std::path::PathBuf;
use std::time::Duration;

use clap::Args;

use super::mcp_jupyter::EXIT_CODES;
use super::plan::TARGETS;
use super::run::{DisplayArgs, KernelArgs, OnErrorArg};
use super::sessions::{IdleArgs, StateArgs, SyncAssetsArgs};
use super::values::duration;

/// Keep a kernel for a notebook, and execute at every save what the edit has made stale
///
/// Edit the notebook in any editor; outputs are written back into its file, into the cells whose source is what was
/// executed. An edit that concerns the cell that is being executed interrupts it. The kernel is the one that `start`, `sync`
/// and `serve` use: where there was one, Ctrl-C leaves it; where there was none, Ctrl-C ends it, and it goes on where this
/// program is killed.
#[derive(Debug, Args)]
#[command(after_help = format!("{TARGETS}\n\n{EXIT_CODES}"))]
pub(crate) struct WatchArgs {
    /// The notebook
    pub(crate) notebook: PathBuf,

    #[command(flatten)]
    pub(crate) execution: ExecutionArgs,

    #[command(flatten)]
    pub(crate) kernel: KernelArgs,

    #[command(flatten)]
    pub(crate) idle: IdleArgs,

    #[command(flatten)]
    pub(crate) state: StateArgs,

    #[command(flatten)]
    pub(crate) assets: SyncAssetsArgs,

    #[command(flatten)]
    pub(crate) display: DisplayArgs,
}

/// What is executed.
#[derive(Debug, Args)]
#[command(next_help_heading = "Control")]
pub(crate) struct ExecutionArgs {
    /// Only this part of the notebook, and what it needs; see below. Several add up
    #[arg(long = "target", value_name = "TARGET")]
    pub(crate) targets: Vec<String>,

    /// Cells marked `@expensive` may be executed again only to restore what others need
    #[arg(long)]
    pub(crate) allow_expensive: bool,

    /// How long one cell may take: seconds, or with units such as `500ms`, `2m`, `1h30m`
    #[arg(long, value_name = "TIME", value_parser = duration)]
    pub(crate) timeout: Option<Duration>,

    /// What happens after a cell that raises
    #[arg(long, value_enum, value_name = "WHAT", default_value_t = OnErrorArg::Stop)]
    pub(crate) on_error: OnErrorArg,
}
