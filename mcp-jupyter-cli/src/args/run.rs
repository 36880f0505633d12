use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, ValueEnum};
use mcp_jupyter_core::engine::{OnError, SavePolicy};

use super::mcp_jupyter::EXIT_CODES;
use super::services::ServiceArgs;
use super::values::{duration, save_policy, size, variable};

/// Run notebooks
#[derive(Debug, Args)]
#[command(after_help = EXIT_CODES)]
pub(crate) struct RunArgs {
    /// Notebooks to run: files, globs (quoted ones too), or `-` for standard input
    #[arg(required = true, value_name = "NOTEBOOK")]
    pub(crate) notebooks: Vec<PathBuf>,

    /// How many notebooks run at the same time
    #[arg(short, long, default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..))]
    pub(crate) jobs: u16,

    #[command(flatten)]
    pub(crate) destination: DestinationArgs,

    #[command(flatten)]
    pub(crate) parameters: ParameterArgs,

    #[command(flatten)]
    pub(crate) kernel: KernelArgs,

    #[command(flatten)]
    pub(crate) control: ControlArgs,

    #[command(flatten)]
    pub(crate) services: ServiceArgs,

    #[command(flatten)]
    pub(crate) display: DisplayArgs,
}

#[derive(Debug, Args)]
#[command(next_help_heading = "Output")]
pub(crate) struct DestinationArgs {
    /// Where the notebook is saved: a file, `-` for standard output, a folder (with a `/` at its end, or existing), or a
    /// template with `{name}` (the input's file name), `{stem}` (without its extension), `{dir}` (its folder) and the
    /// names of parameters. Missing folders are made
    #[arg(
        short,
        long,
        value_name = "FILE|-|TEMPLATE",
        group = "destination",
        allow_hyphen_values = true
    )]
    pub(crate) output: Option<String>,

    /// Save into the input itself
    #[arg(long, group = "destination")]
    pub(crate) inplace: bool,

    /// Save nowhere
    #[arg(long, group = "destination")]
    pub(crate) no_output: bool,

    /// When to save besides the end: `every-cell`, `on-exit`, `interval` (30 s) or a time such as `10s`
    #[arg(long, value_name = "WHEN", default_value = "every-cell", value_parser = save_policy)]
    pub(crate) save: SavePolicy,

    /// Do not record when cells ran, and remove what is recorded: the same run twice writes the same file
    #[arg(long)]
    pub(crate) strip_timing: bool,

    /// Put outputs that are too large for a notebook into this store, a folder or a URL, and leave previews; see
    /// `mcp-jupyter assets`
    #[arg(long, value_name = "URL", env = "MCP_JUPYTER_ASSETS")]
    pub(crate) assets: Option<String>,

    /// From which size on outputs are too large, such as `100k` or `2M` [default: 64 KiB of text, 256 KiB of binary data]
    #[arg(long, value_name = "SIZE", value_parser = size, requires = "assets")]
    pub(crate) asset_threshold: Option<u64>,

    /// Mask secrets in outputs before they are saved: API keys and tokens of well-known forms, private keys, passwords in
    /// URLs, and the values of environment variables that are named as secret
    #[arg(long, value_enum, value_name = "WHERE")]
    pub(crate) redact: Option<RedactArg>,
}

/// What secrets are masked in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum RedactArg {
    /// In notebooks and assets, as they are stored
    Stored,
}

#[derive(Clone, Debug, Default, Args)]
#[command(next_help_heading = "Parameters")]
pub(crate) struct ParameterArgs {
    /// A parameter; `True`, `False`, `None` and numbers are read as such
    #[arg(short, long, num_args = 2, value_names = ["NAME", "VALUE"], allow_hyphen_values = true)]
    pub(crate) parameters: Vec<String>,

    /// A parameter whose value is taken as text
    #[arg(short = 'r', long = "parameters-raw", alias = "parameters_raw", num_args = 2, value_names = ["NAME", "TEXT"], allow_hyphen_values = true)]
    pub(crate) raw: Vec<String>,

    /// A YAML or JSON file of parameters
    #[arg(
        short = 'f',
        long = "parameters-file",
        alias = "parameters_file",
        value_name = "FILE"
    )]
    pub(crate) files: Vec<PathBuf>,

    /// Parameters as YAML
    #[arg(
        short = 'y',
        long = "parameters-yaml",
        alias = "parameters_yaml",
        value_name = "YAML",
        allow_hyphen_values = true
    )]
    pub(crate) yaml: Vec<String>,

    /// Parameters as base64 of YAML
    #[arg(
        short = 'b',
        long = "parameters-base64",
        alias = "parameters_base64",
        value_name = "BASE64"
    )]
    pub(crate) base64: Vec<String>,
}

#[derive(Debug, Args)]
#[command(next_help_heading = "Kernel")]
pub(crate) struct KernelArgs {
    /// The kernel to run on, instead of the one that the notebook names; see `mcp-jupyter kernels`
    #[arg(short, long, value_name = "NAME")]
    pub(crate) kernel: Option<String>,

    /// Run on this Python, which needs ipykernel and no installed kernelspec; with --kernel, look into its environment
    /// for that kernel first
    #[arg(long, value_name = "PATH")]
    pub(crate) python: Option<PathBuf>,

    /// The folder that the kernel works in [default: the notebook's, as in JupyterLab and `jupyter execute`]
    #[arg(long, value_name = "DIR")]
    pub(crate) cwd: Option<PathBuf>,

    /// An environment variable for the kernel
    #[arg(long, value_name = "NAME=VALUE", value_parser = variable)]
    pub(crate) env: Vec<(String, String)>,

    /// How long the kernel may take to start
    #[arg(long, value_name = "TIME", default_value = "60", value_parser = duration)]
    pub(crate) startup_timeout: Duration,

    /// How messages travel: over Unix sockets or TCP [default: ipc, and tcp with a kernel that does not start otherwise]
    #[arg(long, value_enum)]
    pub(crate) transport: Option<TransportArg>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum TransportArg {
    Ipc,
    Tcp,
}

#[derive(Debug, Args)]
#[command(next_help_heading = "Control")]
pub(crate) struct ControlArgs {
    /// How long one cell may take: seconds, or with units such as `500ms`, `2m`, `1h30m`
    #[arg(long, value_name = "TIME", value_parser = duration)]
    pub(crate) timeout: Option<Duration>,

    /// How long a whole notebook may take, the kernel's start included
    #[arg(long, value_name = "TIME", value_parser = duration)]
    pub(crate) notebook_timeout: Option<Duration>,

    /// What happens after a cell that raises
    #[arg(long, value_enum, value_name = "WHAT", default_value_t = OnErrorArg::Stop)]
    pub(crate) on_error: OnErrorArg,

    /// Go on after a cell that raises, and exit with 0: the same as `--on-error continue`
    #[arg(long, conflicts_with = "on_error")]
    pub(crate) allow_errors: bool,

    /// Only this part of the notebook, and what it needs: `CELL`, `CELL+` for a cell and all that depends on it, `A..B`,
    /// `A..` or `..B` for a range, `tag:NAME`. Several add up
    #[arg(long = "target", value_name = "TARGET", conflicts_with = "resume")]
    pub(crate) targets: Vec<String>,

    /// Only cells with one of these tags
    #[arg(long, value_name = "TAG", value_delimiter = ',')]
    pub(crate) tags: Vec<String>,

    /// No cells with one of these tags
    #[arg(long, value_name = "TAG", value_delimiter = ',')]
    pub(crate) skip_tags: Vec<String>,

    /// The first cell to run: its id, the start of its id, or its index among all cells from 0, `3` or `#3`
    #[arg(long, value_name = "CELL")]
    pub(crate) from: Option<String>,

    /// The last cell to run
    #[arg(long, value_name = "CELL")]
    pub(crate) to: Option<String>,

    /// Only what the run that wrote the output (or input) file has left undone: the cells that failed or were never
    /// reached, those that depend on them, and those that they need, for the kernel is new. The others keep their outputs;
    /// when no cell is left, nothing is executed
    #[arg(long)]
    pub(crate) resume: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum OnErrorArg {
    /// The run ends
    Stop,
    /// It goes on with all cells, and exits with 0
    Continue,
    /// It goes on with the cells that do not depend on the failed one, and exits with 1
    Independent,
}

impl OnErrorArg {
    pub(crate) fn policy(self) -> OnError {
        match self {
            Self::Stop => OnError::Stop,
            Self::Continue => OnError::Continue,
            Self::Independent => OnError::ContinueIndependent,
        }
    }
}

#[derive(Debug, Default, Args)]
#[command(next_help_heading = "Display")]
pub(crate) struct DisplayArgs {
    /// Show what cells print and display, on stderr
    #[arg(long)]
    pub(crate) log_output: bool,

    /// Show failures only
    #[arg(short, long)]
    pub(crate) quiet: bool,

    /// Print events on stdout, a JSON object a line
    #[arg(long)]
    pub(crate) json: bool,
}
