use std::sync::Arc;

use mcp_jupyter_core::engine::SessionRun;
use mcp_jupyter_core::session::SessionRecord;
use schemars::JsonSchema;
use serde::Deserialize;

use super::arguments::{ModeArgument, OnErrorArgument, limit, targets, until};
use super::edits::{EditArguments, apply};
use crate::keeping;
use crate::mcp::answer::{Answer, Refusal};
use crate::mcp::caller::Caller;
use crate::mcp::executing::Launch;
use crate::mcp::server::Server;
use crate::mcp::structured::Structured;
use crate::mcp::tool::{Effect, Tool};

pub(super) struct RunTool;

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Arguments {
    path: String,
    /// The part that is wanted, with what it needs: ID, ID+ (with its downstream), A..B, tag:NAME; all where empty
    #[serde(default)]
    cells: Vec<String>,
    /// smart: what is stale. incremental: from the first stale cell on. full: all. append: only what never ran
    #[serde(default)]
    mode: ModeArgument,
    /// Return the run's id after so long, while it goes on [20]
    wait_seconds: Option<f64>,
    /// Seconds after which a cell is interrupted
    cell_timeout: Option<f64>,
    #[serde(default)]
    on_error: OnErrorArgument,
    /// Let cells marked @expensive run again to restore a value
    #[serde(default)]
    allow_expensive: bool,
}

impl Tool for RunTool {
    const NAME: &'static str = "run";
    const DESCRIPTION: &'static str = "Execute a notebook's stale cells, and what they need, on its kernel (started where \
                                       there is none); outputs go into the notebook.";
    const EFFECT: Effect = Effect::Destroys;
    const STRUCTURED: Option<Structured> = Some(Structured::Run);
    type Arguments = Arguments;

    async fn call(server: Arc<Server>, arguments: Arguments, caller: Caller) -> Result<Answer, Refusal> {
        let record = server.session(&arguments.path).await?;
        run(&server, &record, arguments, &caller).await
    }
}

async fn run(
    server: &Arc<Server>,
    record: &SessionRecord,
    arguments: Arguments,
    caller: &Caller,
) -> Result<Answer, Refusal> {
    let until = until(arguments.wait_seconds)?;
    let cell_timeout = limit(arguments.cell_timeout)?;
    // What is asked for has to make sense before a kernel is started for it.
    let seen = keeping::newest(&server.sessions, record).await?;
    targets(&seen, &arguments.cells)?;
    let bound = server.bind(record, Launch::Usual, until).await?;
    let notebook = keeping::newest(&server.sessions, record).await?;
    let targets = targets(&notebook, &arguments.cells)?;
    let log = server.start_run(bound, notebook, |run| SessionRun {
        mode: arguments.mode.into(),
        targets,
        cell_timeout,
        on_error: arguments.on_error.into(),
        allow_expensive: arguments.allow_expensive,
        ..run
    });
    Ok(server.wait_for(&log.await?, 0, until, caller).await)
}

pub(super) struct EditAndRun;

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct EditAndRunArguments {
    path: String,
    source: String,
    /// The cell that gets this source; a new one where none is named
    cell: Option<String>,
    /// The digest of the source that it has
    digest: Option<String>,
    /// A new cell's place, as of notebook_edit [last]
    at: Option<String>,
    /// A new cell's id
    id: Option<String>,
    wait_seconds: Option<f64>,
    cell_timeout: Option<f64>,
}

impl Tool for EditAndRun {
    const NAME: &'static str = "edit_and_run";
    const DESCRIPTION: &'static str = "Make a code cell, or give one another source, and run it with what it needs.";
    const EFFECT: Effect = Effect::Destroys;
    const STRUCTURED: Option<Structured> = Some(Structured::Run);
    type Arguments = EditAndRunArguments;

    async fn call(server: Arc<Server>, arguments: EditAndRunArguments, caller: Caller) -> Result<Answer, Refusal> {
        until(arguments.wait_seconds)?;
        let record = server.session(&arguments.path).await?;
        let edited_cell = arguments.cell.clone();
        let edit = EditArguments::of_source(
            arguments.cell,
            arguments.digest,
            arguments.source,
            arguments.at,
            arguments.id,
        );
        let (edited, page) = apply(&server, &record, vec![edit], None).await?;
        let touched = edited.applied.inserted.iter().chain(&edited.applied.changed);
        let mut cells: Vec<String> = touched.map(ToString::to_string).collect();
        if cells.is_empty() {
            // It has that source already.
            cells.extend(edited_cell);
        }
        let mut content = page.finish();
        let wanted = Arguments {
            path: arguments.path,
            cells,
            mode: ModeArgument::Smart,
            wait_seconds: arguments.wait_seconds,
            cell_timeout: arguments.cell_timeout,
            on_error: OnErrorArgument::Stop,
            allow_expensive: false,
        };
        let ran = run(&server, &record, wanted, &caller)
            .await
            .map_err(|refusal| Refusal::new(format!("the edits are applied, but nothing was executed: {refusal}")))?;
        content.extend(ran.content);
        Ok(Answer { content, ..ran })
    }
}
