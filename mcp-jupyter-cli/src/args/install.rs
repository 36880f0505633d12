use std::path::PathBuf;

use clap::{Args, ValueEnum};

/// Write the configuration of an AI client, so that it starts the MCP server
///
/// Shows what changes, keeps a backup of the file beside it, and leaves all else in it as it is. Doing it again changes
/// nothing.
#[derive(Debug, Args)]
pub(crate) struct InstallArgs {
    /// The client
    pub(crate) client: ClientArg,

    /// A folder whose notebooks the client may use; may be repeated [default: the working directory; with `--scope
    /// project` the project]
    #[arg(long, value_name = "DIR")]
    pub(crate) root: Vec<PathBuf>,

    /// For all that you do with the client, or for the project in the working directory only
    #[arg(long, default_value = "user")]
    pub(crate) scope: ScopeArg,

    /// What the client calls the server
    #[arg(long, default_value = "jupyter")]
    pub(crate) name: String,

    /// Show what would change, and write nothing
    #[arg(long)]
    pub(crate) dry_run: bool,

    /// More arguments of `mcp-jupyter serve`, after `--`
    #[arg(last = true, value_name = "ARGUMENT")]
    pub(crate) serve: Vec<String>,
}

/// A client that has a configuration file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum ClientArg {
    /// Claude Code: `~/.claude.json`, or `.mcp.json` of a project
    ClaudeCode,
    /// Claude Desktop: `claude_desktop_config.json`
    ClaudeDesktop,
    /// Cursor: `~/.cursor/mcp.json`, or `.cursor/mcp.json` of a project
    Cursor,
    /// VS Code: `mcp.json` of the user, or `.vscode/mcp.json` of a project
    Vscode,
    /// Codex: `~/.codex/config.toml`, or `.codex/config.toml` of a project
    Codex,
}

/// For what a configuration holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum ScopeArg {
    /// All that the user does
    User,
    /// The folder that the command is called in
    Project,
}
