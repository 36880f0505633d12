//! What the commands about sessions have in common: where sessions are kept, and how a notebook or an id names one.

mod catch_up;
mod memory;
mod sync;

use std::path::{Path, PathBuf};

use mcp_jupyter_core::engine::{KeptSessions, Turn};
use mcp_jupyter_core::kernel::kept::KeeperProgram;
use mcp_jupyter_core::kernel::local::LocalProvisioner;
use mcp_jupyter_core::kernel::{Death, LaunchRequest};
use mcp_jupyter_core::session::notebook::Notebook;
use mcp_jupyter_core::session::{LocalSessions, SessionRecord};

use crate::args::{KernelArgs, StateArgs};
use crate::commands::{cwd, transport};
use crate::error::CliError;
use crate::job::{Cwd, Input, Kernels};
use crate::report::Report;
use crate::services;

pub(crate) use self::catch_up::newest;
pub(crate) use self::memory::MemoryLimits;
pub(crate) use self::sync::{AfterDeath, Sync, SyncOptions};

/// The sessions in the folder that is named, or in the user's own.
pub(crate) async fn open(args: &StateArgs, local: LocalProvisioner) -> Result<KeptSessions, CliError> {
    let folder = folder(args)?;
    let keeper = KeeperProgram {
        program: this_program()?,
        arguments: vec!["keep".into()],
    };
    Ok(KeptSessions::open(&folder, local, keeper).await?)
}

/// The sessions with the scheduler service that is named, if one is.
pub(crate) async fn scheduled(sessions: KeptSessions, args: &StateArgs) -> Result<KeptSessions, CliError> {
    Ok(match services::scheduler(&args.services).await? {
        Some(scheduler) => sessions.with_scheduler(scheduler),
        None => sessions,
    })
}

/// The folder in which sessions are kept, and what goes with them.
pub(crate) fn folder(args: &StateArgs) -> Result<PathBuf, CliError> {
    match &args.state {
        Some(folder) => Ok(folder.clone()),
        None => Ok(LocalSessions::default_dir()?),
    }
}

/// The file of this program; of its successor, where that has taken its place.
pub(crate) fn this_program() -> Result<PathBuf, CliError> {
    let program = std::env::current_exe().map_err(|source| CliError::Output {
        path: PathBuf::from("this program's own file"),
        source,
    })?;
    // Linux says so of a file that was replaced.
    let replaced = program.to_str().and_then(|program| program.strip_suffix(" (deleted)"));
    Ok(replaced.map(PathBuf::from).unwrap_or(program))
}

/// The same, for commands that start no kernel.
pub(crate) async fn open_existing(args: &StateArgs) -> Result<KeptSessions, CliError> {
    open(args, LocalProvisioner::new()).await
}

/// The session that a notebook's path or an id names.
pub(crate) async fn find(sessions: &KeptSessions, name: &str) -> Result<SessionRecord, CliError> {
    let store = sessions.store();
    if let Some(record) = store.find(Path::new(name)).await? {
        return Ok(record);
    }
    let known = store.list().await?;
    let mut named = known.into_iter().filter(|record| record.id.as_str().starts_with(name));
    match (named.next(), named.next()) {
        (Some(record), None) => Ok(record),
        (Some(_), Some(_)) => Err(CliError::usage(format!(
            "more than one session's id begins with {name}"
        ))),
        (None, _) => Err(CliError::usage_with_hint(
            format!("{name} has no session"),
            "`mcp-jupyter start NOTEBOOK` or `mcp-jupyter sync NOTEBOOK` begins one; `mcp-jupyter sessions list` names all",
        )),
    }
}

/// The right to execute in a session; the user is told where another program has it.
pub(crate) async fn take_turn(
    sessions: &KeptSessions,
    record: &SessionRecord,
    report: &Report,
) -> Result<Turn, CliError> {
    match sessions.try_take_turn(&record.id)? {
        Ok(turn) => Ok(turn),
        Err(holder) => {
            let who = holder.map_or_else(|| "another program".to_owned(), |pid| format!("process {pid}"));
            report.remark(&format!(
                "waiting for {who}, which is executing {}",
                record.path.display()
            ));
            Ok(sessions.take_turn(&record.id).await?)
        }
    }
}

/// The kernels that the arguments name.
pub(crate) fn kernels(args: &KernelArgs) -> Kernels {
    Kernels::new(args.kernel.clone(), args.python.clone(), transport(args))
}

/// What to start for a notebook.
pub(crate) async fn launch(
    kernels: &Kernels,
    args: &KernelArgs,
    path: &Path,
    notebook: &Notebook,
) -> Result<LaunchRequest, CliError> {
    let mut launch = LaunchRequest::new(kernels.choose(notebook).await?);
    launch.env = args.env.iter().cloned().collect();
    launch.startup_timeout = args.startup_timeout;
    launch.cwd = match cwd(args.cwd.clone(), Cwd::Notebook)? {
        Cwd::Folder(folder) => std::path::absolute(&folder).ok(),
        Cwd::Notebook | Cwd::Ours => Input::new(path).folder().map(Path::to_owned),
    };
    Ok(launch)
}

/// What is said of a kernel whose process has ended.
pub(crate) fn obituary(record: &SessionRecord, sessions: &KeptSessions, told: Option<&Death>) -> String {
    let path = record.path.display();
    let found = record
        .kernel
        .as_ref()
        .and_then(|kernel| sessions.kernels().find(&kernel.kernel_id));
    let reason = found.as_ref().and_then(|found| found.ended_because.as_ref());
    let death = told.or_else(|| found.as_ref()?.death.as_ref());
    match (reason, death) {
        (Some(reason), _) => format!("the kernel of {path} was ended: {reason}"),
        (None, Some(death)) => format!("the kernel of {path} {death}"),
        (None, None) => format!("the kernel of {path} is gone, and nothing is known of its end"),
    }
}
