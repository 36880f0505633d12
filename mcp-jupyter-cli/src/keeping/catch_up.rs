use std::sync::Arc;

use mcp_jupyter_core::engine::{KeptSessions, OpenedSession};
use mcp_jupyter_core::session::SessionRecord;
use mcp_jupyter_core::session::notebook::{Durability, Notebook};

use super::sync::Sync;
use crate::error::CliError;
use crate::exit::Exit;

/// Takes up what an earlier program has left on a session's kernel; tells how that ended, none where nothing was left.
pub(super) async fn catch_up(sync: &mut Sync<'_>, opened: &OpenedSession) -> Result<Option<Exit>, CliError> {
    let notebook = newest(sync.sessions, sync.record).await?;
    let request = sync.request(&notebook)?;
    let Some(run) = opened.session.recover(Arc::clone(&notebook), request).await? else {
        return Ok(None);
    };
    sync.report.remark("going on with what an earlier program has left");
    let finished = sync.follow(run, &notebook, &opened.kernel).await;
    Ok(Some(finished.summary.outcome.as_ref().map_or(Exit::Failed, Exit::from)))
}

/// The notebook as its file has it, with all results that were recorded.
pub(crate) async fn newest(sessions: &KeptSessions, record: &SessionRecord) -> Result<Arc<Notebook>, CliError> {
    let saved = sessions.store().save(&record.id, Durability::Process).await?;
    Ok(saved.notebook)
}
