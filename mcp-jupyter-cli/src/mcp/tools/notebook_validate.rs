use std::sync::Arc;

use mcp_jupyter_core::engine::planner;
use mcp_jupyter_core::scheduler::PlanRequest;

use super::arguments::NotebookArguments;
use crate::mcp::answer::{Answer, Refusal};
use crate::mcp::caller::Caller;
use crate::mcp::server::Server;
use crate::mcp::tool::{Effect, Tool};

pub(super) struct NotebookValidate;

impl Tool for NotebookValidate {
    const NAME: &'static str = "notebook_validate";
    const DESCRIPTION: &'static str = "Check a notebook without executing it: its format, code that does not parse, names used before they are defined.";
    const EFFECT: Effect = Effect::Reads;
    type Arguments = NotebookArguments;

    async fn call(server: Arc<Server>, arguments: NotebookArguments, _caller: Caller) -> Result<Answer, Refusal> {
        let (_, notebook) = server.read(&arguments.path).await?;
        let mut lines: Vec<String> = notebook
            .quirks()
            .iter()
            .map(|quirk| format!("format: {quirk}"))
            .collect();
        let planner = planner(&notebook, None);
        for (cell, effects) in planner.effects() {
            if let Some(unknown) = effects.unknown {
                lines.push(format!("#{} {}: {unknown}", cell.index, cell.id));
            }
        }
        lines.extend(planner.plan(&PlanRequest::default())?.warnings);
        if lines.is_empty() {
            lines.push("nothing is wrong".to_owned());
        }
        let mut page = server.page();
        page.text(&lines.join("\n"), "mend some of it first");
        Ok(Answer {
            content: page.finish(),
            ..Answer::default()
        })
    }
}
