use std::sync::Arc;

use mcp_jupyter_core::session::{HistoryQuery, RestoreFrom, SessionRecord};
use schemars::JsonSchema;
use serde::Deserialize;

use crate::commands::diff_texts;
use crate::mcp::answer::{Answer, Refusal};
use crate::mcp::caller::Caller;
use crate::mcp::server::Server;
use crate::mcp::show::short;
use crate::mcp::tool::{Effect, Tool};
use crate::report::plain_diff;
use crate::report::terminal::first_line;

/// Versions that are listed.
const LISTED: usize = 30;

pub(super) struct NotebookHistory;

#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Action {
    #[default]
    List,
    /// Take a snapshot called `name`
    Keep,
    /// From a snapshot to now
    Diff,
    /// A snapshot, one cell of it, or a version
    Restore,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Arguments {
    path: String,
    #[serde(default)]
    action: Action,
    /// list, restore: one cell
    cell: Option<String>,
    /// keep
    name: Option<String>,
    /// diff, restore: a snapshot's number
    snapshot: Option<u64>,
    /// restore: a version's number
    version: Option<u64>,
}

impl Tool for NotebookHistory {
    const NAME: &'static str = "notebook_history";
    const DESCRIPTION: &'static str =
        "Executed versions of cells, and snapshots: list, keep, diff, restore. A restore can be restored.";
    const EFFECT: Effect = Effect::Destroys;
    type Arguments = Arguments;

    async fn call(server: Arc<Server>, arguments: Arguments, _caller: Caller) -> Result<Answer, Refusal> {
        let record = server.session(&arguments.path).await?;
        match arguments.action {
            Action::List => list(&server, &record, &arguments).await,
            Action::Keep => {
                let name = arguments
                    .name
                    .as_deref()
                    .ok_or_else(|| Refusal::new("keep needs a `name`"))?;
                let kept = server.sessions.store().keep(&record.id, name).await?;
                Ok(Answer::text(format!("snapshot {} is called {name:?}", kept.seq)))
            }
            Action::Diff => diff(&server, &record, &arguments).await,
            Action::Restore => restore(&server, &record, &arguments).await,
        }
    }
}

async fn list(server: &Server, record: &SessionRecord, arguments: &Arguments) -> Result<Answer, Refusal> {
    let store = server.sessions.store();
    let query = HistoryQuery {
        cell: arguments.cell.as_deref().map(Into::into),
        limit: Some(LISTED),
    };
    let mut lines = vec!["versions, the latest first:".to_owned()];
    for version in store.history(&record.id, query).await? {
        lines.push(format!(
            "{} {} {} {:.1} s {} | {}",
            version.seq,
            version.cell,
            version.outcome,
            version.seconds,
            version.ended.strftime("%Y-%m-%d %H:%M:%S"),
            first_line(&version.source, 60)
        ));
    }
    lines.push("snapshots:".to_owned());
    for snapshot in store.snapshots(&record.id).await?.iter().take(LISTED) {
        lines.push(format!(
            "{} {} {} ({})",
            snapshot.seq,
            snapshot.name.as_deref().unwrap_or("-"),
            snapshot.taken.strftime("%Y-%m-%d %H:%M:%S"),
            snapshot.reason
        ));
    }
    let mut page = server.page();
    page.text(&lines.join("\n"), "name a cell");
    Ok(Answer {
        content: page.finish(),
        ..Answer::default()
    })
}

async fn diff(server: &Server, record: &SessionRecord, arguments: &Arguments) -> Result<Answer, Refusal> {
    let snapshot = arguments
        .snapshot
        .ok_or_else(|| Refusal::new("diff needs a `snapshot`").with_advice("action \"list\" shows their numbers"))?;
    let store = server.sessions.store();
    let older = store.snapshot_document(&record.id, snapshot).await?;
    let newer = store.snapshot(&record.id).await?.notebook;
    let mut page = server.page();
    page.line(format!(
        "from snapshot {snapshot} to revision {}",
        short(&newer.revision())
    ));
    page.text(
        &plain_diff(&diff_texts(&older.diff(&newer), &older, &newer)),
        "notebook_read shows the cells as they are now",
    );
    Ok(Answer {
        content: page.finish(),
        ..Answer::default()
    })
}

async fn restore(server: &Server, record: &SessionRecord, arguments: &Arguments) -> Result<Answer, Refusal> {
    let from = match (arguments.snapshot, arguments.version) {
        (Some(seq), None) => RestoreFrom::Snapshot {
            seq,
            cell: arguments.cell.as_deref().map(Into::into),
        },
        (None, Some(seq)) => RestoreFrom::Version { seq },
        _ => return Err(Refusal::new("restore needs a `snapshot` or a `version`")),
    };
    let restored = server.sessions.store().restore(&record.id, from).await?;
    server.remember_state(&restored.notebook);
    Ok(Answer::text(format!(
        "restored; revision {}; snapshot {} is as it was before",
        short(&restored.notebook.revision()),
        restored.before.seq
    )))
}
