use mcp_jupyter_core::Error;
use mcp_jupyter_core::kernel::Kernel;

use crate::args::{InterruptArgs, RestartArgs};
use crate::error::CliError;
use crate::exit::Exit;
use crate::keeping;
use crate::report::show_note;

/// Interrupts what a notebook's kernel is executing.
pub(crate) async fn interrupt(args: InterruptArgs) -> Result<Exit, CliError> {
    let sessions = keeping::open_existing(&args.state).await?;
    let record = keeping::find(&sessions, &args.session).await?;
    let Some(kernel) = sessions.observe(&record).await? else {
        return Err(no_kernel(&args.session));
    };
    let running = kernel.running().await.map_err(Error::from)?;
    kernel.interrupt().await.map_err(Error::from)?;
    match running.first() {
        Some(running) => show_note(&format!("interrupted: cell {} of run {}", running.cell, running.run_id)),
        None => show_note("interrupted; no cell was being executed"),
    }
    Ok(Exit::Ok)
}

/// Starts a new process for a notebook's kernel.
pub(crate) async fn restart(args: RestartArgs) -> Result<Exit, CliError> {
    let sessions = keeping::open_existing(&args.state).await?;
    let record = keeping::find(&sessions, &args.session).await?;
    let Some(kernel) = sessions.observe(&record).await? else {
        return Err(no_kernel(&args.session));
    };
    kernel.restart().await.map_err(Error::from)?;
    show_note(&format!("restarted: all names of {} are gone", record.path.display()));
    Ok(Exit::Ok)
}

fn no_kernel(name: &str) -> CliError {
    CliError::usage_with_hint(
        format!("{name} has no kernel"),
        format!("`mcp-jupyter start {name}` starts one"),
    )
}
