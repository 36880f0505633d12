use std::sync::Arc;
use std::time::Duration;

use mcp_jupyter_core::engine::planner;
use mcp_jupyter_core::engine::preview::explain;
use mcp_jupyter_core::scheduler::{Plan, PlanRequest};
use mcp_jupyter_core::session::SessionRecord;
use mcp_jupyter_core::session::notebook::Notebook;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::json;
use tokio::time::Instant;

use super::arguments::{ModeArgument, targets};
use crate::mcp::answer::{Answer, Refusal};
use crate::mcp::caller::Caller;
use crate::mcp::executing::Launch;
use crate::mcp::server::Server;
use crate::mcp::structured::Structured;
use crate::mcp::tool::{Effect, Tool};

/// How long a run in progress is waited for, before it is said that there is one.
const PATIENCE: Duration = Duration::from_millis(200);

/// Stale cells that a line lists.
const LISTED: usize = 12;

pub(super) struct PlanTool;

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Arguments {
    path: String,
    /// As of run
    #[serde(default)]
    cells: Vec<String>,
    #[serde(default)]
    mode: ModeArgument,
    /// Also draw which cell reads what from which, as mermaid
    #[serde(default)]
    graph: bool,
}

impl Tool for PlanTool {
    const NAME: &'static str = "plan";
    const DESCRIPTION: &'static str = "What `run` would execute, and why. Nothing is executed.";
    const EFFECT: Effect = Effect::Reads;
    const STRUCTURED: Option<Structured> = Some(Structured::Plan);
    type Arguments = Arguments;

    async fn call(server: Arc<Server>, arguments: Arguments, _caller: Caller) -> Result<Answer, Refusal> {
        let (path, notebook) = server.read(&arguments.path).await?;
        let request = PlanRequest {
            mode: arguments.mode.into(),
            targets: targets(&notebook, &arguments.cells)?,
            ..PlanRequest::default()
        };
        let plan = match server.sessions.store().find(&path).await? {
            Some(record) => plan(&server, &record, &notebook, request).await?,
            None => planner(&notebook, None).plan(&request)?,
        };
        let mut page = server.page();
        page.line(format!(
            "{} cells to execute, {} not",
            plan.cells.len(),
            plan.skipped.len()
        ));
        let index = |id: &mcp_jupyter_core::model::CellId| notebook.position(id);
        let cells = plan.cells.iter().map(|planned| {
            let cell = &planned.cell;
            format!("#{} {} {}", cell.index, cell.id, explain(&planned.reason, index))
        });
        page.text(&cells.collect::<Vec<_>>().join("\n"), "name cells to narrow the plan");
        for warning in &plan.warnings {
            page.line(format!("note: {warning}"));
        }
        for cell in &plan.needs_consent {
            page.line(format!("{} is marked @expensive: run needs allow_expensive", cell.id));
        }
        if arguments.graph {
            page.text(&mermaid(&notebook), "name cells to narrow the plan");
        }
        let structured = json!({
            "execute": plan.cells.iter().map(|planned| &planned.cell.id).collect::<Vec<_>>(),
            "skipped": plan.skipped.len(),
        });
        let answer = Answer {
            content: page.finish(),
            ..Answer::default()
        };
        Ok(answer.with_structured(structured))
    }
}

/// The plan on the kernel that there is; on a new one where there is none.
async fn plan(
    server: &Arc<Server>,
    record: &SessionRecord,
    notebook: &Notebook,
    request: PlanRequest,
) -> Result<Plan, Refusal> {
    if record.kernel.is_none() {
        return Ok(planner(notebook, None).plan(&request)?);
    }
    let bound = server.bind(record, Launch::Nothing, Instant::now() + PATIENCE).await?;
    let plan = bound.opened.session.plan(notebook, request).await;
    bound.opened.session.detach().await;
    Ok(plan?)
}

/// What is stale now; why that cannot be said, as during a run or when the kernel has died, which is told once.
pub(super) async fn stale(server: &Arc<Server>, record: &SessionRecord, notebook: &Notebook) -> Result<Plan, Refusal> {
    plan(server, record, notebook, PlanRequest::default()).await
}

pub(super) fn stale_line(plan: Result<&Plan, &Refusal>) -> String {
    let plan = match plan {
        Ok(plan) => plan,
        Err(refusal) => return format!("stale: not known: {refusal}"),
    };
    if plan.cells.is_empty() {
        return "stale: none".to_owned();
    }
    let listed = plan.cells.iter().take(LISTED);
    let mut cells: Vec<String> = listed
        .map(|planned| format!("{} ({})", planned.cell.id, planned.reason.kind))
        .collect();
    if plan.cells.len() > LISTED {
        cells.push(format!("{} more", plan.cells.len() - LISTED));
    }
    format!("stale: {}", cells.join(", "))
}

/// The graph of a notebook's cells, its nodes called as the cells are placed.
fn mermaid(notebook: &Notebook) -> String {
    let quoted = |text: &str| text.replace(['"', '<', '>', '&', '`'], "'");
    let planner = planner(notebook, None);
    let mut lines = vec!["graph TD".to_owned()];
    for (cell, _) in planner.effects() {
        let first = notebook.cells()[cell.index].source().lines().next().unwrap_or_default();
        let first = crate::report::terminal::first_line(first, 40);
        lines.push(format!(
            "  c{}[\"{}: {}\"]",
            cell.index,
            quoted(cell.id.as_str()),
            quoted(&first)
        ));
    }
    for edge in planner.edges() {
        let names = quoted(&edge.names.join(", "));
        lines.push(format!("  c{} -->|\"{names}\"| c{}", edge.from.index, edge.to.index));
    }
    lines.join("\n")
}
