use std::sync::Arc;

use mcp_jupyter_core::session::{Edited, SessionRecord};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::json;

use super::edits::{EditArguments, apply};
use super::plan::{stale, stale_line};
use super::proposing::propose;
use crate::mcp::answer::{Answer, Refusal};
use crate::mcp::caller::Caller;
use crate::mcp::server::Server;
use crate::mcp::show::{Page, short};
use crate::mcp::structured::Structured;
use crate::mcp::tool::{Effect, Tool};

pub(super) struct NotebookEdit;

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Arguments {
    path: String,
    /// Applied in order, all or none
    edits: Vec<EditArguments>,
    /// Only if the whole notebook still has this revision
    revision: Option<String>,
    /// Only keep the edits, for a person to accept
    #[serde(default)]
    propose: bool,
}

impl Tool for NotebookEdit {
    const NAME: &'static str = "notebook_edit";
    const DESCRIPTION: &'static str = "Edit cells; says what changed and what is stale now. Nothing is executed.";
    const EFFECT: Effect = Effect::Destroys;
    const STRUCTURED: Option<Structured> = Some(Structured::Edit);
    type Arguments = Arguments;

    async fn call(server: Arc<Server>, arguments: Arguments, caller: Caller) -> Result<Answer, Refusal> {
        let record = server.session(&arguments.path).await?;
        let revision = arguments.revision.as_deref();
        if arguments.propose {
            return propose(&server, &record, arguments.edits, revision, caller.name).await;
        }
        let (edited, page) = apply(&server, &record, arguments.edits, revision).await?;
        Ok(told(&server, &record, &edited, page).await)
    }
}

/// What was edited, and what became stale.
pub(super) async fn told(server: &Arc<Server>, record: &SessionRecord, edited: &Edited, mut page: Page) -> Answer {
    let stale = stale(server, record, &edited.notebook).await;
    page.line(stale_line(stale.as_ref()));
    let stale = stale
        .ok()
        .map(|plan| plan.cells.into_iter().map(|cell| cell.cell.id).collect::<Vec<_>>());
    let structured = json!({
        "revision": short(&edited.revision),
        "inserted": edited.applied.inserted,
        "deleted": edited.applied.deleted,
        "changed": edited.applied.changed,
        "stale": stale,
    });
    let answer = Answer {
        content: page.finish(),
        ..Answer::default()
    };
    answer.with_structured(structured)
}
