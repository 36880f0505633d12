//! The configuration files of AI clients: where they are, and how a server is written into them.
//!
//! A file is changed by text: what it says about other servers, its comments and its layout stay as they are.

mod client;
mod file;
mod json;
mod toml;

use crate::args::InstallArgs;
use crate::error::CliError;

pub(crate) use self::file::Change;

/// A server as a client starts it.
#[derive(Debug)]
struct Entry {
    /// What the client calls it.
    name: String,
    command: String,
    args: Vec<String>,
}

impl Entry {
    /// Whether an entry that is there starts this program: another one of the same name is somebody else's.
    fn is_ours(command: Option<&str>, mut args: impl Iterator<Item = String>) -> bool {
        let is_program = |word: &str| {
            matches!(
                word.rsplit(['/', '\\']).next(),
                Some("mcp-jupyter" | "mcp-server-jupyter")
            )
        };
        command.is_some_and(is_program) || args.any(|arg| is_program(&arg))
    }

    /// Why an entry is left alone.
    fn taken(&self) -> String {
        format!("it has a server called {} already, which is another program", self.name)
    }
}

/// What the arguments ask for, as a change of a file that has not been made yet.
pub(crate) fn prepare(args: &InstallArgs) -> Result<Change, CliError> {
    let target = client::target(args.client, args.scope)?;
    let entry = client::entry(args)?;
    let before = file::read(&target.path)?;
    let after = match target.format {
        client::Format::Toml => toml::with_server(&before, &entry),
        client::Format::Json { servers, has_comments } => json::with_server(&before, servers, has_comments, &entry),
    };
    let after = after.map_err(|reason| {
        CliError::usage_with_hint(
            format!("{}: {reason}; nothing was written", target.path.display()),
            "mend the file, or name the server otherwise with --name",
        )
    })?;
    Ok(Change {
        path: target.path,
        before,
        after,
    })
}
