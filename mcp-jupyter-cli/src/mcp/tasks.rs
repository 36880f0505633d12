//! Runs as tasks of the protocol, for clients that have that extension: its id is the run's.
//!
//! A call that would say that its run goes on gives a task instead, which the client looks after by itself. A cell that
//! asks for input makes it one that requires input, and cancelling it interrupts the run.

use std::sync::Arc;

use rmcp::RoleServer;
use rmcp::model::{
    CallToolResult, CreateTaskResult, DetailedTask, ElicitRequest, ErrorData, InputRequest, InputResponses, JsonObject,
    Task, TaskPayload,
};
use rmcp::service::RequestContext;
use serde_json::{Value, json};

use super::answer::Answer;
use super::eliciting::{form, has_forms, take};
use super::run_log::{Question, RunLog};
use super::server::Server;
use super::show::{run_state, show_run};

/// The tools whose runs may become tasks: the others are about runs that there are.
const STARTERS: [&str; 3] = ["run", "edit_and_run", "execute_code"];

/// How often a client should ask, in milliseconds.
const POLL_INTERVAL: u64 = 500;

/// The task that an answer is for this client, where its run goes on.
pub(super) fn of(
    server: &Server,
    tool: &str,
    answer: &Answer,
    context: &RequestContext<RoleServer>,
) -> Option<CreateTaskResult> {
    let client = context.client_capabilities()?;
    if !client.supports_tasks() || !STARTERS.contains(&tool) {
        return None;
    }
    let run = answer.structured.as_ref()?.get("run_id")?.as_str()?;
    let log = server.run(run).filter(|log| !log.has_ended())?;
    Some(CreateTaskResult::new(state(server, &log, has_forms(context))?.task))
}

/// How the run with this id is, as a task.
pub(super) fn get(server: &Server, id: &str, context: &RequestContext<RoleServer>) -> Result<DetailedTask, ErrorData> {
    let log = find(server, id)?;
    state(server, &log, has_forms(context)).ok_or_else(|| unknown(id))
}

/// Hands answers on to the cell that waits for them. Others are passed over.
pub(super) fn update(server: &Server, id: &str, responses: InputResponses) -> Result<(), ErrorData> {
    let log = find(server, id)?;
    for (question, response) in responses {
        take(&log, &question, serde_json::from_value(response).ok());
    }
    Ok(())
}

/// Interrupts the run, unless it has ended.
pub(super) fn cancel(server: &Server, id: &str) -> Result<(), ErrorData> {
    find(server, id)?.cancel();
    Ok(())
}

fn find(server: &Server, id: &str) -> Result<Arc<RunLog>, ErrorData> {
    let found = server.run(id).filter(|log| server.roots.contains(&log.path));
    found.ok_or_else(|| unknown(id))
}

fn unknown(id: &str) -> ErrorData {
    ErrorData::invalid_params(
        format!("there is no task {id:?}; run_status may know a run of that id"),
        None,
    )
}

fn state(server: &Server, log: &RunLog, can_ask: bool) -> Option<DetailedTask> {
    let question = log.question();
    let payload = match (run_state(log), &question) {
        ("cancelled", _) => TaskPayload::Cancelled,
        (_, Some(question)) if can_ask && !question.is_declined => TaskPayload::InputRequired {
            input_requests: [(question.id.clone(), asking(server, log, question))].into(),
        },
        ("running", None) | (_, Some(_)) => TaskPayload::Working,
        _ => TaskPayload::Completed {
            result: result(server, log)?,
        },
    };
    let (begun, changed) = log.times();
    let task = Task::new(
        log.run_id()?.as_str(),
        payload.status(),
        begun.to_string(),
        changed.to_string(),
    );
    let mut task = task.with_poll_interval_ms(POLL_INTERVAL);
    if let Some(Question { id, prompt, .. }) = question {
        task = task.with_status_message(format!(
            "a cell asks for input, {prompt:?}; input_reply {id} answers it"
        ));
    }
    Some(DetailedTask::new(task, payload))
}

/// What the call that has begun the run would have answered at its end.
fn result(server: &Server, log: &RunLog) -> Option<JsonObject> {
    let result: CallToolResult = show_run(log, &server.shown(&log.path), 0, server.page()).into();
    match json!(result) {
        Value::Object(result) => Some(result),
        _ => None,
    }
}

fn asking(server: &Server, log: &RunLog, question: &Question) -> InputRequest {
    InputRequest::Elicitation(ElicitRequest::new(form(server, log, question)))
}
