use std::path::PathBuf;

use clap::Args;

use super::sessions::StateArgs;

/// List what was executed in a notebook, and the snapshots of it
///
/// What `mcp-jupyter sync` has executed is kept with its outputs, for 90 days and within 256 MiB; snapshots are taken
/// before something is restored or taken away, and by name.
#[derive(Debug, Args)]
pub(crate) struct HistoryArgs {
    /// The notebook
    pub(crate) notebook: PathBuf,

    /// Only one cell: its id, the start of its id, or its index among all cells from 0, `3` or `#3`
    #[arg(long, value_name = "CELL")]
    pub(crate) cell: Option<String>,

    /// At most so many executions, the latest first
    #[arg(long, value_name = "NUMBER", default_value_t = 50)]
    pub(crate) limit: usize,

    /// Take a snapshot under this name first
    #[arg(long, value_name = "NAME")]
    pub(crate) keep: Option<String>,

    #[command(flatten)]
    pub(crate) state: StateArgs,

    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
}

/// Tell, cell by cell, what has changed in a notebook since a snapshot
#[derive(Debug, Args)]
pub(crate) struct DiffArgs {
    /// The notebook
    pub(crate) notebook: PathBuf,

    /// The snapshot, by its number or name [default: the latest]; or another notebook's file
    #[arg(long, value_name = "SNAPSHOT|FILE")]
    pub(crate) since: Option<String>,

    #[command(flatten)]
    pub(crate) state: StateArgs,

    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
}

/// Bring back a notebook, or one cell of it, as it was
///
/// A snapshot is taken before, so that this can be taken back. The kernel follows with the next `mcp-jupyter sync`, which
/// executes no more than what differs.
#[derive(Debug, Args)]
pub(crate) struct RestoreArgs {
    /// The notebook
    pub(crate) notebook: PathBuf,

    /// From this snapshot, by its number or name
    #[arg(long, value_name = "SNAPSHOT", required_unless_present = "version")]
    pub(crate) snapshot: Option<String>,

    /// From this execution, by its number in the history
    #[arg(long, value_name = "NUMBER", conflicts_with_all = ["snapshot", "cell"])]
    pub(crate) version: Option<u64>,

    /// Only this cell, by its id
    #[arg(long, value_name = "CELL")]
    pub(crate) cell: Option<String>,

    #[command(flatten)]
    pub(crate) state: StateArgs,
}
