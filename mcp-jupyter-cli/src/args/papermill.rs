use std::path::PathBuf;

use clap::{Args, ValueEnum};

use super::mcp_jupyter::EXIT_CODES;
use super::run::ParameterArgs;
use super::services::ServiceArgs;

/// Run one notebook, with papermill's command line
#[derive(Debug, Args)]
#[command(version, after_help = EXIT_CODES)]
pub(crate) struct PapermillArgs {
    /// The notebook; `-`, or nothing when it comes through a pipe, for standard input
    pub(crate) notebook_path: Option<String>,

    /// Where the notebook is saved, with `{parameter}`s filled in; `-` for standard output
    pub(crate) output_path: Option<String>,

    /// List the parameters that the notebook takes
    #[arg(long)]
    pub(crate) help_notebook: bool,

    #[command(flatten)]
    pub(crate) parameters: ParameterArgs,

    /// Pass the input's path on as the parameter `PAPERMILL_INPUT_PATH`
    #[arg(long)]
    pub(crate) inject_input_path: bool,

    /// Pass the output's path on as the parameter `PAPERMILL_OUTPUT_PATH`
    #[arg(long)]
    pub(crate) inject_output_path: bool,

    /// Pass both paths on
    #[arg(long)]
    pub(crate) inject_paths: bool,

    /// Only `nbclient`, papermill's own default: notebooks run as it runs them
    #[arg(long, value_parser = ["nbclient"])]
    pub(crate) engine: Option<String>,

    /// Save after each cell (the default)
    #[arg(long, overrides_with = "no_request_save_on_cell_execute")]
    pub(crate) request_save_on_cell_execute: bool,

    /// Save at the end only
    #[arg(long)]
    pub(crate) no_request_save_on_cell_execute: bool,

    /// Accepted; within a long cell the notebook is saved every 30 s
    #[arg(long, value_name = "SECONDS", default_value_t = 30)]
    pub(crate) autosave_cell_every: u64,

    /// Inject parameters and save, without running anything
    #[arg(long, overrides_with = "prepare_execute")]
    pub(crate) prepare_only: bool,

    /// Run (the default)
    #[arg(long, overrides_with = "prepare_only")]
    pub(crate) prepare_execute: bool,

    /// The kernel to run on, instead of the one that the notebook names
    #[arg(short, long, value_name = "NAME")]
    pub(crate) kernel: Option<String>,

    /// The language of the injected code, instead of the one that the notebook names
    #[arg(short, long)]
    pub(crate) language: Option<String>,

    /// The folder that the kernel works in [default: this one]
    #[arg(long, value_name = "DIR")]
    pub(crate) cwd: Option<PathBuf>,

    /// Show a progress bar (the default on a terminal)
    #[arg(long, overrides_with = "no_progress_bar")]
    pub(crate) progress_bar: bool,

    /// Show no progress bar
    #[arg(long)]
    pub(crate) no_progress_bar: bool,

    /// Show what cells print and display
    #[arg(long, overrides_with = "no_log_output")]
    pub(crate) log_output: bool,

    /// Do not (the default)
    #[arg(long, overrides_with = "log_output")]
    pub(crate) no_log_output: bool,

    /// Write what cells print to stdout into this file
    #[arg(long, value_name = "FILE")]
    pub(crate) stdout_file: Option<PathBuf>,

    /// Write what cells print to stderr into this file
    #[arg(long, value_name = "FILE")]
    pub(crate) stderr_file: Option<PathBuf>,

    /// How much to say
    #[arg(long, value_enum, ignore_case = true, default_value_t = LogLevel::Info)]
    pub(crate) log_level: LogLevel,

    /// Seconds that the kernel may take to start
    #[arg(long, alias = "start_timeout", value_name = "SECONDS", default_value_t = 60)]
    pub(crate) start_timeout: u64,

    /// Seconds that a cell may take [default: no limit]
    #[arg(long, value_name = "SECONDS")]
    pub(crate) execution_timeout: Option<u64>,

    /// Mark the sources of all cells as hidden
    #[arg(long, overrides_with = "no_report_mode")]
    pub(crate) report_mode: bool,

    /// Do not (the default)
    #[arg(long, overrides_with = "report_mode")]
    pub(crate) no_report_mode: bool,

    /// Put outputs that are too large for a notebook into this store, a folder or a URL, and leave previews
    #[arg(long, value_name = "URL", env = "MCP_JUPYTER_ASSETS")]
    pub(crate) assets: Option<String>,

    #[command(flatten)]
    pub(crate) services: ServiceArgs,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
#[value(rename_all = "UPPER")]
pub(crate) enum LogLevel {
    #[value(name = "NOTSET")]
    NotSet,
    Debug,
    Info,
    Warning,
    Error,
    Critical,
}
