use std::path::PathBuf;

use clap::{ArgAction, Args, Parser, Subcommand, ValueEnum};
use mcp_jupyter_core::rpc::{ListenAddress, WhenAway};

/// Serve the scheduler to other programs
#[derive(Debug, Parser)]
#[command(name = "mcp-scheduler-service", version)]
pub(crate) struct SchedulerServiceCli {
    #[command(flatten)]
    pub(crate) args: SchedulerServiceArgs,
}

/// Serve a store of large outputs to other programs
#[derive(Debug, Parser)]
#[command(name = "mcp-asset-service", version)]
pub(crate) struct AssetServiceCli {
    #[command(flatten)]
    pub(crate) args: AssetServiceArgs,
}

/// Run the scheduler as a service for other programs
#[derive(Debug, Args)]
pub(crate) struct SchedulerArgs {
    #[command(subcommand)]
    pub(crate) command: SchedulerCommand,
}

#[derive(Debug, Subcommand)]
pub(crate) enum SchedulerCommand {
    /// Serve the scheduler to other programs, which reach it with `--scheduler URL`
    Serve(SchedulerServiceArgs),
}

/// Serve the scheduler to other programs
#[derive(Debug, Args)]
pub(crate) struct SchedulerServiceArgs {
    /// Where to listen: `HOST:PORT`, with 0 for any free port, or `unix:///path`
    #[arg(
        long,
        value_name = "ADDRESS",
        default_value = "127.0.0.1:7411",
        env = "MCP_JUPYTER_SCHEDULER_LISTEN"
    )]
    pub(crate) listen: ListenAddress,

    /// Where to keep what is known of sessions and runs: `sqlite:///path` or a path, a file that is made where there is
    /// none; or `memory`, which ends with the service
    #[arg(long, value_name = "URL", env = "MCP_JUPYTER_SCHEDULER_JOURNAL")]
    pub(crate) journal: String,

    /// How many runs there may be at a time
    #[arg(
        long,
        value_name = "COUNT",
        default_value_t = 10_000,
        env = "MCP_JUPYTER_SCHEDULER_MAX_RUNS"
    )]
    pub(crate) max_runs: usize,

    /// How many runs one client may have at a time
    #[arg(
        long,
        value_name = "COUNT",
        default_value_t = 2_000,
        env = "MCP_JUPYTER_SCHEDULER_MAX_RUNS_PER_CLIENT"
    )]
    pub(crate) max_runs_per_client: usize,

    #[command(flatten)]
    pub(crate) protection: ProtectionArgs,

    #[command(flatten)]
    pub(crate) operation: OperationArgs,
}

/// Serve a store to other programs, which reach it with `--assets URL` or `--store URL`
#[derive(Debug, Args)]
pub(crate) struct AssetServiceArgs {
    /// Where to listen: `HOST:PORT`, with 0 for any free port, or `unix:///path`
    #[arg(
        long,
        value_name = "ADDRESS",
        default_value = "127.0.0.1:7412",
        env = "MCP_JUPYTER_ASSETS_LISTEN"
    )]
    pub(crate) listen: ListenAddress,

    /// The store to serve: a folder, `file://`, `s3://`, `gs://`, `az://`, or `memory`, which ends with the service
    #[arg(long, value_name = "URL", env = "MCP_JUPYTER_ASSETS_STORE")]
    pub(crate) store: String,

    /// Where to give out assets over HTTP as well, as `GET /assets/DIGEST`: `HOST:PORT`
    #[arg(long, value_name = "ADDRESS", env = "MCP_JUPYTER_ASSETS_HTTP")]
    pub(crate) http: Option<String>,

    /// A file with the secret that signs URLs of assets; see `mcp-jupyter assets url`
    #[arg(long, value_name = "FILE", env = "MCP_JUPYTER_ASSETS_URL_KEY_FILE")]
    pub(crate) url_key_file: Option<PathBuf>,

    #[command(flatten)]
    pub(crate) protection: ProtectionArgs,

    #[command(flatten)]
    pub(crate) operation: OperationArgs,
}

/// What whoever operates a service needs.
#[derive(Debug, Args)]
#[command(next_help_heading = "Operation")]
pub(crate) struct OperationArgs {
    /// Where to tell of the service over HTTP: `/metrics` for Prometheus, `/healthz` and `/readyz`; `HOST:PORT`
    #[arg(long, value_name = "ADDRESS", env = "MCP_JUPYTER_SERVICE_ADMIN")]
    pub(crate) admin: Option<String>,

    /// How to log on stderr
    #[arg(long, value_enum, value_name = "FORMAT", default_value_t = LogFormat::Text, env = "MCP_JUPYTER_LOG_FORMAT")]
    pub(crate) log_format: LogFormat,

    /// A TOML file with values for any of these options, by their names; the command line and the environment come first
    #[arg(long, value_name = "FILE", env = "MCP_JUPYTER_SERVICE_CONFIG")]
    pub(crate) config: Option<PathBuf>,

    /// Say whether the options, the file and what they name can be used, and end
    #[arg(long)]
    pub(crate) check_config: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum LogFormat {
    Text,
    /// One JSON object a line
    Json,
}

/// Who may come in.
#[derive(Debug, Args)]
#[command(next_help_heading = "Protection")]
pub(crate) struct ProtectionArgs {
    /// A file with the tokens that clients have to show one of, a line each: `TOKEN`, or `NAMESPACE TOKEN` for clients that
    /// share nothing with those of other namespaces [default: that of `MCP_JUPYTER_SERVICE_TOKEN`]
    #[arg(long, value_name = "FILE", env = "MCP_JUPYTER_SERVICE_TOKEN_FILE")]
    pub(crate) token_file: Option<PathBuf>,

    /// The certificate, as PEM, with which to encrypt connections
    #[arg(long, value_name = "FILE")]
    pub(crate) tls_certificate: Option<PathBuf>,

    /// The certificate's private key, as PEM
    #[arg(long, value_name = "FILE")]
    pub(crate) tls_key: Option<PathBuf>,

    /// Let in only clients with a certificate that this one, as PEM, has signed
    #[arg(long, value_name = "FILE")]
    pub(crate) tls_client_authority: Option<PathBuf>,

    /// Given twice: listen where other machines can connect though nothing keeps them out
    #[arg(long, action = ArgAction::Count)]
    pub(crate) unprotected: u8,
}

/// Which services do a part of the work.
#[derive(Clone, Debug, Default, Args)]
#[command(next_help_heading = "Services")]
pub(crate) struct ServiceArgs {
    /// Have a scheduler service plan and journal runs: `grpc://HOST:PORT`, `grpcs://HOST:PORT` or `grpc+unix:///path`
    #[arg(long, value_name = "URL", env = "MCP_JUPYTER_SCHEDULER")]
    pub(crate) scheduler: Option<String>,

    #[command(flatten)]
    pub(crate) connection: ConnectionArgs,
}

/// How services are reached.
#[derive(Clone, Debug, Default, Args)]
#[command(next_help_heading = "Services")]
pub(crate) struct ConnectionArgs {
    /// What a run does while a service is away [default: wait]
    #[arg(long, value_enum, value_name = "WHAT", env = "MCP_JUPYTER_WHEN_AWAY")]
    pub(crate) when_away: Option<WhenAwayArg>,

    /// A file with the token that services ask for [default: that of `MCP_JUPYTER_SERVICE_TOKEN`]
    #[arg(long, value_name = "FILE", env = "MCP_JUPYTER_SERVICE_TOKEN_FILE")]
    pub(crate) service_token_file: Option<PathBuf>,

    /// The certificate, as PEM, of whoever has signed those of services [default: those that the system trusts]
    #[arg(long, value_name = "FILE", env = "MCP_JUPYTER_SERVICE_AUTHORITY")]
    pub(crate) service_authority: Option<PathBuf>,

    /// Our own certificate, as PEM, for services that let in only clients that have one
    #[arg(long, value_name = "FILE", env = "MCP_JUPYTER_SERVICE_CERTIFICATE")]
    pub(crate) service_certificate: Option<PathBuf>,

    /// Its private key, as PEM
    #[arg(long, value_name = "FILE", env = "MCP_JUPYTER_SERVICE_KEY")]
    pub(crate) service_key: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum WhenAwayArg {
    /// What the kernel executes goes on, and is reported when the service is back
    Wait,
    /// The run goes on in this program, which plans the rest itself. Sessions, and large outputs, wait
    Local,
    /// The run ends; what was executed is saved
    Fail,
}

impl From<WhenAwayArg> for WhenAway {
    fn from(arg: WhenAwayArg) -> Self {
        match arg {
            WhenAwayArg::Wait | WhenAwayArg::Local => Self::Wait,
            WhenAwayArg::Fail => Self::Fail,
        }
    }
}
