//! Which file a client reads, and how it starts a server.

use std::path::{Path, PathBuf};

use clap::Parser;

use super::Entry;
use crate::args::{ClientArg, InstallArgs, ScopeArg, ServerCli};
use crate::error::CliError;
use crate::mcp;

/// A configuration file.
#[derive(Debug)]
pub(super) struct Target {
    pub(super) path: PathBuf,
    pub(super) format: Format,
}

#[derive(Clone, Copy, Debug)]
pub(super) enum Format {
    Json {
        /// The member that has the servers.
        servers: &'static str,
        /// Whether the client reads comments and commas before closing brackets.
        has_comments: bool,
    },
    Toml,
}

const PLAIN: Format = Format::Json {
    servers: "mcpServers",
    has_comments: false,
};

const VSCODE: Format = Format::Json {
    servers: "servers",
    has_comments: true,
};

pub(super) fn target(client: ClientArg, scope: ScopeArg) -> Result<Target, CliError> {
    let project = scope == ScopeArg::Project;
    let (path, format) = match client {
        ClientArg::ClaudeCode if project => (PathBuf::from(".mcp.json"), PLAIN),
        ClientArg::ClaudeCode => (folder_or_home("CLAUDE_CONFIG_DIR", "")?.join(".claude.json"), PLAIN),
        ClientArg::ClaudeDesktop if project => {
            return Err(CliError::usage(
                "Claude Desktop has no configuration of projects: leave out --scope project",
            ));
        }
        ClientArg::ClaudeDesktop => (applications()?.join("Claude/claude_desktop_config.json"), PLAIN),
        ClientArg::Cursor if project => (PathBuf::from(".cursor/mcp.json"), PLAIN),
        ClientArg::Cursor => (home()?.join(".cursor/mcp.json"), PLAIN),
        ClientArg::Vscode if project => (PathBuf::from(".vscode/mcp.json"), VSCODE),
        ClientArg::Vscode => (applications()?.join("Code/User/mcp.json"), VSCODE),
        ClientArg::Codex if project => (PathBuf::from(".codex/config.toml"), Format::Toml),
        ClientArg::Codex => (
            folder_or_home("CODEX_HOME", ".codex")?.join("config.toml"),
            Format::Toml,
        ),
    };
    Ok(Target { path, format })
}

/// The server as the client is to start it.
pub(super) fn entry(args: &InstallArgs) -> Result<Entry, CliError> {
    let mut arguments = vec!["serve".to_owned()];
    for root in roots(args)? {
        arguments.extend(["--root".to_owned(), root]);
    }
    arguments.extend(args.serve.iter().cloned());
    // A mistake would otherwise be seen by the client, which shows less.
    ServerCli::try_parse_from(&arguments).map_err(|error| {
        let said = error.to_string();
        let said = said.lines().next().unwrap_or_default().trim_start_matches("error: ");
        CliError::usage_with_hint(
            format!("`mcp-jupyter serve`: {said}"),
            "`mcp-jupyter serve --help` has its arguments",
        )
    })?;
    if args.name.is_empty()
        || args
            .name
            .chars()
            .any(|c| !(c.is_ascii_alphanumeric() || matches!(c, '-' | '_')))
    {
        return Err(CliError::usage(format!(
            "{:?} is no name of a server: clients take letters, digits, - and _",
            args.name
        )));
    }
    Ok(Entry {
        name: args.name.clone(),
        command: program(args.scope)?,
        args: arguments,
    })
}

/// What the client may use. A project's file is shared with others, whose folders are elsewhere: there the client says
/// where the project is.
fn roots(args: &InstallArgs) -> Result<Vec<String>, CliError> {
    if args.scope == ScopeArg::Project && args.root.is_empty() {
        return Ok(match args.client {
            ClientArg::Vscode | ClientArg::Cursor => vec!["${workspaceFolder}".to_owned()],
            // They start their servers in the project's folder.
            _ => Vec::new(),
        });
    }
    let folders = mcp::folders(&args.root)?;
    Ok(folders.iter().map(|folder| folder.display().to_string()).collect())
}

/// This program: by its path, because clients with windows do not have the shell's PATH; for others only by its name,
/// where that finds it.
fn program(scope: ScopeArg) -> Result<String, CliError> {
    let own = std::env::current_exe().and_then(|path| path.canonicalize());
    let own = own.map_err(|error| CliError::usage(format!("where this program is cannot be told: {error}")))?;
    let own = own.with_file_name("mcp-jupyter");
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found = std::env::split_paths(&path).map(|folder| folder.join("mcp-jupyter"));
    let mut found = found.filter(|path| path.is_file());
    let is_found = found
        .next()
        .and_then(|path| path.canonicalize().ok())
        .is_some_and(|path| path == own);
    Ok(if scope == ScopeArg::Project && is_found {
        "mcp-jupyter".to_owned()
    } else {
        own.display().to_string()
    })
}

fn home() -> Result<PathBuf, CliError> {
    std::env::home_dir()
        .filter(|home| !home.as_os_str().is_empty())
        .ok_or_else(|| CliError::usage_with_hint("there is no home folder", "set HOME"))
}

fn folder_or_home(variable: &str, below_home: &str) -> Result<PathBuf, CliError> {
    match std::env::var_os(variable).filter(|value| !value.is_empty()) {
        Some(folder) => Ok(PathBuf::from(folder)),
        None => Ok(home()?.join(below_home)),
    }
}

/// Where programs with windows keep their configuration.
fn applications() -> Result<PathBuf, CliError> {
    if cfg!(target_os = "macos") {
        return Ok(home()?.join("Library/Application Support"));
    }
    let named = std::env::var_os("XDG_CONFIG_HOME").map(PathBuf::from);
    match named.filter(|folder| Path::is_absolute(folder)) {
        Some(folder) => Ok(folder),
        None => Ok(home()?.join(".config")),
    }
}
