//! The notebook as it was when the kernel executed it.

use std::ffi::{OsStr, OsString};
use std::io::ErrorKind;
use std::path::Path;
use std::process::{Command, Output};

use mcp_jupyter_core::session::notebook::Notebook;

use crate::args::PreviewArgs;
use crate::error::CliError;
use crate::job::Input;

const HINT: &str = "name a file with --since instead";

/// Reads the earlier state that the arguments name; none where they name none.
pub(super) fn read(args: &PreviewArgs, input: &Input) -> Result<Option<Notebook>, CliError> {
    match (&args.since, &args.since_git) {
        (Some(since), _) => Input::new(since).read_sources().map(Some),
        (None, Some(revision)) => from_git(input, revision).map(Some),
        (None, None) => Ok(None),
    }
}

fn from_git(input: &Input, revision: &str) -> Result<Notebook, CliError> {
    let Input::File(path) = input else {
        return Err(CliError::usage_with_hint(
            "standard input has no revisions: --since-git needs a file",
            HINT,
        ));
    };
    let refuse = |reason: String| CliError::usage_with_hint(reason, HINT);
    let shown = show(path, revision).map_err(refuse)?;
    if !shown.status.success() {
        return Err(refuse(explain(&shown, &path.display().to_string(), revision)));
    }
    Notebook::parse_sources(&shown.stdout).map_err(|source| CliError::Input {
        name: format!("{} in revision {revision}", path.display()),
        source,
    })
}

/// Runs the user's git on the notebook's folder, which may be in another repository than we are.
fn show(path: &Path, revision: &str) -> Result<Output, String> {
    if revision.starts_with('-') {
        return Err(format!("`{revision}` is no revision: none starts with a hyphen"));
    }
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    let name = path.file_name().unwrap_or(path.as_os_str());
    let object: OsString = [OsStr::new(revision), OsStr::new(":./"), name].into_iter().collect();
    let git = Command::new("git")
        .current_dir(folder.unwrap_or(Path::new(".")))
        .env("LC_ALL", "C")
        .args(["--no-pager", "show", "--no-textconv"])
        .arg(object)
        .output();
    git.map_err(|error| match error.kind() {
        ErrorKind::NotFound => "--since-git needs git, which is not on the PATH".to_owned(),
        _ => format!("cannot run git: {error}"),
    })
}

/// Why git gave nothing, by its messages (`die` in setup.c, revision.c and object-name.c, the same for years).
fn explain(shown: &Output, path: &str, revision: &str) -> String {
    let message = String::from_utf8_lossy(&shown.stderr);
    let said = |text: &str| message.contains(text);
    if said("not a git repository") {
        format!("{path} is in no git repository")
    } else if said("does not exist in") || said("but not in") {
        format!("{path} is not in revision {revision}")
    } else if said("invalid object name") || said("unknown revision") || said("bad revision") {
        format!("git knows no revision `{revision}` in the repository of {path}")
    } else {
        let line = message.lines().next().unwrap_or("it failed without a message");
        format!("git: {}", line.trim_start_matches("fatal: "))
    }
}
