//! What the command line looks like: clap structs, and the parsing of single values. Nothing here acts.

mod assets;
mod defaults;
mod history;
mod http;
mod install;
mod mcp_jupyter;
mod papermill;
mod plan;
mod proposals;
mod run;
mod serve;
mod services;
mod sessions;
mod values;
mod watch;

pub(crate) use assets::{
    AssetArgs, AssetsArgs, AssetsCommand, ByteRange, CatArgs, ExportArgs, InlineArgs, OffloadArgs, PruneArgs,
    SearchArgs, StoreArgs, UrlArgs, VerifyArgs,
};
pub(crate) use defaults::{parse as parse_with_defaults, parse_for_user};
pub(crate) use history::{DiffArgs, HistoryArgs, RestoreArgs};
pub(crate) use http::HttpArgs;
pub(crate) use install::{ClientArg, InstallArgs, ScopeArg};
pub(crate) use mcp_jupyter::{Cli, Command, CompletionsArgs, DoctorArgs, InspectArgs, KeepArgs, KernelsArgs};
pub(crate) use papermill::{LogLevel, PapermillArgs};
pub(crate) use plan::{GraphArgs, GraphFormat, PlanArgs, PlanFormat, PlanRequestArgs, PreviewArgs};
pub(crate) use proposals::{ListProposalsArgs, ProposalArgs, ProposalsArgs, ProposalsCommand};
pub(crate) use run::{DestinationArgs, DisplayArgs, KernelArgs, ParameterArgs, RedactArg, RunArgs, TransportArg};
pub(crate) use serve::{ServeArgs, ServerCli};
pub(crate) use services::{
    AssetServiceArgs, AssetServiceCli, ConnectionArgs, LogFormat, OperationArgs, ProtectionArgs, SchedulerCommand,
    SchedulerServiceArgs, SchedulerServiceCli, ServiceArgs, WhenAwayArg,
};
pub(crate) use sessions::{
    AttachArgs, InterruptArgs, ListSessionsArgs, OnKernelDeathArg, RecoverArgs, RestartArgs, RunStatusArgs,
    SessionsArgs, SessionsCommand, ShowSessionArgs, StartArgs, StateArgs, StopArgs, SyncArgs,
};
pub(crate) use watch::WatchArgs;
