use std::path::PathBuf;

use clap::{Args, Parser};

use super::http::HttpArgs;
use super::run::KernelArgs;
use super::sessions::{IdleArgs, StateArgs};
use super::values::size;

/// Serve notebooks and kernels to AI agents, by the Model Context Protocol
///
/// Notebooks are files under the roots; their kernels live on when the server ends, and the next one goes on with them.
/// The roots bound the paths that a client may name. They are no sandbox: code in a kernel has the rights of whoever runs
/// the server.
#[derive(Debug, Args)]
pub(crate) struct ServeArgs {
    /// A folder whose notebooks may be used; may be repeated [default: the working directory]
    #[arg(long, value_name = "DIR")]
    pub(crate) root: Vec<PathBuf>,

    /// Refuse all that executes, installs or edits
    #[arg(long)]
    pub(crate) read_only: bool,

    /// Offer these tools only
    #[arg(long, value_name = "TOOL", value_delimiter = ',')]
    pub(crate) allow_tools: Vec<String>,

    /// Do not offer these tools
    #[arg(long, value_name = "TOOL", value_delimiter = ',')]
    pub(crate) deny_tools: Vec<String>,

    /// Packages that may be installed; any where none is named
    #[arg(long, value_name = "PACKAGE", value_delimiter = ',')]
    pub(crate) allow_packages: Vec<String>,

    /// How many runs may be in progress at a time, each of another notebook
    #[arg(long, value_name = "NUMBER", default_value_t = 64)]
    pub(crate) max_runs: usize,

    /// How much text a result may have
    #[arg(long, value_name = "SIZE", default_value = "8k", value_parser = size)]
    pub(crate) text_limit: u64,

    /// How many pixels an image in a result may have per side
    #[arg(long, value_name = "PIXELS", default_value_t = 800)]
    pub(crate) image_limit: u32,

    /// Where outputs go that are too large for a notebook, a folder or a URL; `none` keeps them in it [default: a folder
    /// beside the state of sessions]
    #[arg(long, value_name = "URL", env = "MCP_JUPYTER_ASSETS")]
    pub(crate) assets: Option<String>,

    /// Do not say what the structured content of results is: some clients hand that to the model, which pays for it
    #[arg(long)]
    pub(crate) no_output_schemas: bool,

    /// Interrupt a run whose request the client cancels; otherwise only the waiting ends
    #[arg(long)]
    pub(crate) cancel_interrupts: bool,

    /// Write a line of JSON about every call that executes, installs or edits to this file
    #[arg(long, value_name = "FILE")]
    pub(crate) audit: Option<PathBuf>,

    #[command(flatten)]
    pub(crate) http: HttpArgs,

    #[command(flatten)]
    pub(crate) kernel: KernelArgs,

    #[command(flatten)]
    pub(crate) idle: IdleArgs,

    #[command(flatten)]
    pub(crate) state: StateArgs,
}

/// The command line of the server's own program.
#[derive(Debug, Parser)]
#[command(name = "mcp-server-jupyter", version)]
pub(crate) struct ServerCli {
    #[command(flatten)]
    pub(crate) serve: ServeArgs,
}
