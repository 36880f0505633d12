use std::path::PathBuf;

use clap::{Args, ValueEnum};
use mcp_jupyter_core::scheduler::Mode;

use super::mcp_jupyter::EXIT_CODES;

pub(super) const TARGETS: &str = "\
Targets:
  CELL      a cell with its upstream: its id, the start of its id, or its index among all cells from 0, `3` or '#3'
  CELL+     also everything that depends on it
  A..B      the cells from A to B with what they need; `A..` to the end, `..B` from the start
  tag:NAME  the cells with this tag, with what they need";

/// Say what would be executed, and why
///
/// Nothing is executed, and no kernel or Python is needed. Without `--since` or `--since-git`, nothing counts as executed
/// yet.
#[derive(Debug, Args)]
#[command(after_help = format!("{TARGETS}\n\n{EXIT_CODES}"))]
pub(crate) struct PlanArgs {
    #[command(flatten)]
    pub(crate) preview: PreviewArgs,

    /// What to print: a table, one JSON object, or a drawing of the dependencies for Graphviz, Mermaid or a browser
    #[arg(long, value_enum, value_name = "FORMAT", default_value_t = PlanFormat::Table)]
    pub(crate) format: PlanFormat,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum PlanFormat {
    Table,
    Json,
    Dot,
    Mermaid,
    Svg,
}

/// Draw which cell depends on which
///
/// The drawing is SVG, or one HTML page that needs nothing else and can be searched. Cells that would be executed are
/// marked, with the reason; without `--since` or `--since-git`, these are all.
#[derive(Debug, Args)]
#[command(after_help = format!("{TARGETS}\n\n{EXIT_CODES}"))]
pub(crate) struct GraphArgs {
    #[command(flatten)]
    pub(crate) preview: PreviewArgs,

    /// Where to write the drawing [default: standard output]
    #[arg(short, long, value_name = "FILE.svg|FILE.html")]
    pub(crate) output: Option<PathBuf>,

    /// What to draw [default: what the output's extension says, else svg]
    #[arg(long, value_enum, value_name = "FORMAT")]
    pub(crate) format: Option<GraphFormat>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum GraphFormat {
    Svg,
    Html,
}

/// What is planned.
#[derive(Debug, Args)]
pub(crate) struct PreviewArgs {
    /// The notebook; `-` for standard input
    pub(crate) notebook: PathBuf,

    /// Plan as if all cells of this notebook had been executed, in order and without errors, by the kernel that is alive
    #[arg(long, value_name = "OLD", group = "earlier")]
    pub(crate) since: Option<PathBuf>,

    /// As --since, with the notebook as it is in this revision of its git repository, such as `HEAD`
    #[arg(long, value_name = "REV", group = "earlier")]
    pub(crate) since_git: Option<String>,

    #[command(flatten)]
    pub(crate) request: PlanRequestArgs,
}

/// What to execute.
#[derive(Debug, Args)]
pub(crate) struct PlanRequestArgs {
    /// Only this part of the notebook, and what it needs; see below. Several add up
    #[arg(long = "target", value_name = "TARGET")]
    pub(crate) targets: Vec<String>,

    /// Which cells to take
    #[arg(long, value_enum, default_value_t = ModeArg::Smart)]
    pub(crate) mode: ModeArg,

    /// Cells marked `@expensive` may be executed again only to restore what others need
    #[arg(long)]
    pub(crate) allow_expensive: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum ModeArg {
    /// Those that are stale, and what they need
    Smart,
    /// All from the first stale one on
    Incremental,
    /// All
    Full,
    /// Those that were never executed; refused where an executed one has changed
    Append,
}

impl From<ModeArg> for Mode {
    fn from(mode: ModeArg) -> Self {
        match mode {
            ModeArg::Smart => Self::Smart,
            ModeArg::Incremental => Self::Incremental,
            ModeArg::Full => Self::Full,
            ModeArg::Append => Self::Append,
        }
    }
}
