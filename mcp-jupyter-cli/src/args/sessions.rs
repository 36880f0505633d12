use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Subcommand, ValueEnum};

use super::mcp_jupyter::EXIT_CODES;
use super::plan::{PlanRequestArgs, TARGETS};
use super::run::{DisplayArgs, KernelArgs, OnErrorArg};
use super::services::ServiceArgs;
use super::values::{duration, size};

/// Where sessions are kept.
#[derive(Debug, Args)]
pub(crate) struct StateArgs {
    /// The folder with the state of sessions and their kernels [default: that of `MCP_JUPYTER_STATE_DIR`, or the
    /// platform's]
    #[arg(long, value_name = "DIR")]
    pub(crate) state: Option<PathBuf>,

    #[command(flatten)]
    pub(crate) services: ServiceArgs,
}

/// Start a kernel for a notebook that lives on, until it is stopped or has been idle for long
///
/// Any later shell executes on it what is stale: `mcp-jupyter sync`. The names that cells have made stay, the notebook may
/// be edited meanwhile, and a program that is killed loses nothing.
#[derive(Debug, Args)]
#[command(after_help = EXIT_CODES)]
pub(crate) struct StartArgs {
    /// The notebook
    pub(crate) notebook: PathBuf,

    #[command(flatten)]
    pub(crate) kernel: KernelArgs,

    #[command(flatten)]
    pub(crate) idle: IdleArgs,

    #[command(flatten)]
    pub(crate) state: StateArgs,
}

#[derive(Clone, Debug, Args)]
pub(crate) struct IdleArgs {
    /// How many kernels may live at a time; one more is refused, naming those that do nothing
    #[arg(long, value_name = "NUMBER", default_value_t = 64)]
    pub(crate) max_kernels: usize,

    /// End the kernel once nobody has used it for so long; `0` for never
    #[arg(long, value_name = "TIME", default_value = "12h", value_parser = duration_or_never)]
    pub(crate) idle_timeout: Duration,
}

impl IdleArgs {
    pub(crate) fn limit(&self) -> Option<Duration> {
        Some(self.idle_timeout).filter(|limit| !limit.is_zero())
    }
}

fn duration_or_never(text: &str) -> Result<Duration, String> {
    if text == "0" {
        Ok(Duration::ZERO)
    } else {
        duration(text)
    }
}

/// Execute on a notebook's kernel what is stale, and merge the outputs into the notebook
///
/// The kernel is started where there is none. What a program that was killed has left is taken up first: the cell that
/// runs goes on, all its outputs arrive, and its run is finished.
#[derive(Debug, Args)]
#[command(after_help = format!("{TARGETS}\n\n{EXIT_CODES}"))]
pub(crate) struct SyncArgs {
    /// The notebook
    pub(crate) notebook: PathBuf,

    #[command(flatten)]
    pub(crate) plan: PlanRequestArgs,

    /// How long one cell may take: seconds, or with units such as `500ms`, `2m`, `1h30m`
    #[arg(long, value_name = "TIME", value_parser = duration)]
    pub(crate) timeout: Option<Duration>,

    /// What happens after a cell that raises
    #[arg(long, value_enum, value_name = "WHAT", default_value_t = OnErrorArg::Stop)]
    pub(crate) on_error: OnErrorArg,

    /// What happens where the kernel dies [default: leave; rerun where there are `--restarts`]
    #[arg(long, value_enum, value_name = "WHAT")]
    pub(crate) on_kernel_death: Option<OnKernelDeathArg>,

    /// How often the kernel is restarted, and what is needed executed again, where it dies: at once, and then after ever
    /// longer pauses [default: 3 with `--on-kernel-death rerun`]
    #[arg(long, value_name = "TIMES")]
    pub(crate) restarts: Option<u32>,

    /// Warn where the kernel and what it has started use more memory than this, such as `2G`
    #[arg(long, value_name = "SIZE", value_parser = size)]
    pub(crate) memory_warning: Option<u64>,

    /// End the kernel where they use more than this
    #[arg(long, value_name = "SIZE", value_parser = size)]
    pub(crate) memory_limit: Option<u64>,

    /// Do not wait: print the run's id, and go on in the background
    #[arg(long)]
    pub(crate) no_wait: bool,

    /// Print the run's id as soon as it has one, and nothing else (what `--no-wait` starts)
    #[arg(long, hide = true)]
    pub(crate) announce: bool,

    #[command(flatten)]
    pub(crate) assets: SyncAssetsArgs,

    #[command(flatten)]
    pub(crate) kernel: KernelArgs,

    #[command(flatten)]
    pub(crate) idle: IdleArgs,

    #[command(flatten)]
    pub(crate) state: StateArgs,

    #[command(flatten)]
    pub(crate) display: DisplayArgs,
}

/// What happens where a kernel dies while it executes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum OnKernelDeathArg {
    /// The run ends; the next one starts a new kernel
    Leave,
    /// The run ends, and a new kernel is started, on which nothing was executed
    Restart,
    /// The kernel is restarted, and the run goes on with what it needs
    Rerun,
}

#[derive(Debug, Args)]
pub(crate) struct SyncAssetsArgs {
    /// Put outputs that are too large for a notebook into this store, a folder or a URL, and leave previews
    #[arg(long, value_name = "URL", env = "MCP_JUPYTER_ASSETS")]
    pub(crate) assets: Option<String>,

    /// From which size on outputs are too large, such as `100k` or `2M`
    #[arg(long, value_name = "SIZE", value_parser = size, requires = "assets")]
    pub(crate) asset_threshold: Option<u64>,
}

/// Tell what runs are doing, or have done
#[derive(Debug, Args)]
pub(crate) struct RunStatusArgs {
    /// A run's id, or a notebook for its last run; all sessions' last runs without it
    #[arg(value_name = "RUN|NOTEBOOK")]
    pub(crate) run: Option<String>,

    #[command(flatten)]
    pub(crate) state: StateArgs,

    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
}

/// Interrupt what a notebook's kernel is executing
#[derive(Debug, Args)]
pub(crate) struct InterruptArgs {
    /// The notebook, or the id of its session
    #[arg(value_name = "NOTEBOOK|SESSION")]
    pub(crate) session: String,

    #[command(flatten)]
    pub(crate) state: StateArgs,
}

/// Restart a notebook's kernel: all names are gone, and everything is stale
#[derive(Debug, Args)]
pub(crate) struct RestartArgs {
    /// The notebook, or the id of its session
    #[arg(value_name = "NOTEBOOK|SESSION")]
    pub(crate) session: String,

    #[command(flatten)]
    pub(crate) state: StateArgs,
}

/// End a notebook's kernel; its outputs are in the notebook
#[derive(Debug, Args)]
pub(crate) struct StopArgs {
    /// The notebook, or the id of its session
    #[arg(value_name = "NOTEBOOK|SESSION")]
    pub(crate) session: String,

    /// Forget the session as well: what was executed, and its runs
    #[arg(long)]
    pub(crate) forget: bool,

    #[command(flatten)]
    pub(crate) state: StateArgs,
}

/// List, show, follow, recover and stop sessions: notebooks with their kernels
#[derive(Debug, Args)]
pub(crate) struct SessionsArgs {
    #[command(subcommand)]
    pub(crate) command: SessionsCommand,
}

#[derive(Debug, Subcommand)]
pub(crate) enum SessionsCommand {
    /// List all sessions
    List(ListSessionsArgs),
    /// Show what is known of a session
    Show(ShowSessionArgs),
    /// Follow what a session's kernel is executing until that has ended
    Attach(AttachArgs),
    /// Take up what programs that were killed have left, in one session or in all: outputs arrive, runs are finished
    Recover(RecoverArgs),
    /// End a session's kernel
    Stop(StopArgs),
}

#[derive(Debug, Args)]
pub(crate) struct ListSessionsArgs {
    #[command(flatten)]
    pub(crate) state: StateArgs,

    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct ShowSessionArgs {
    /// The notebook, or the id of its session
    #[arg(value_name = "NOTEBOOK|SESSION")]
    pub(crate) session: String,

    #[command(flatten)]
    pub(crate) state: StateArgs,

    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct AttachArgs {
    /// The notebook, or the id of its session
    #[arg(value_name = "NOTEBOOK|SESSION")]
    pub(crate) session: String,

    #[command(flatten)]
    pub(crate) state: StateArgs,
}

#[derive(Debug, Args)]
pub(crate) struct RecoverArgs {
    /// The notebook, or the id of its session; all sessions without it
    #[arg(value_name = "NOTEBOOK|SESSION")]
    pub(crate) session: Option<String>,

    #[command(flatten)]
    pub(crate) state: StateArgs,

    #[command(flatten)]
    pub(crate) display: DisplayArgs,
}
