//! Having the client's user answer what a cell asks for.
//!
//! Until the revision 2026-07-28 the server asks the client while the call waits; since then the call's result is the
//! question, and the client calls again with the answer. What is typed goes to the kernel and nowhere else.

use std::sync::Arc;

use rmcp::RoleServer;
use rmcp::model::{
    CallToolRequestParams, CallToolResponse, CallToolResult, ElicitRequest, ElicitRequestParams, ElicitResult,
    ElicitationAction, ElicitationSchema, InputRequest, InputRequiredResult, InputResponses,
};
use rmcp::service::RequestContext;
use serde::{Deserialize, Serialize};

use super::answer::{Answer, Asking, Refusal};
use super::caller::Caller;
use super::connection::can_be_asked;
use super::deciding;
use super::run_log::{Question, RunLog};
use super::server::Server;
use super::tools::until;

/// The member of a form that is the answer, and the name of the question.
const ANSWER: &str = "answer";

/// What a client sends back with the answer, so that the server needs to remember nothing.
#[derive(Debug, Deserialize, Serialize)]
struct Asked {
    run: String,
    question: String,
    since: u64,
}

/// Takes up a call whose question was answered; nothing where it was not asked one.
pub(super) async fn take_up(
    server: &Arc<Server>,
    request: &CallToolRequestParams,
    caller: &Caller,
) -> Option<Result<Answer, Refusal>> {
    let state = request.request_state.as_deref()?;
    if let Some(decided) = deciding::take_up(server, request).await {
        return Some(decided);
    }
    Some(answered(server, state, request, caller).await)
}

async fn answered(
    server: &Arc<Server>,
    state: &str,
    request: &CallToolRequestParams,
    caller: &Caller,
) -> Result<Answer, Refusal> {
    let unknown = || Refusal::new("nobody asks for this any more").with_advice("call again without requestState");
    let asked: Asked = serde_json::from_str(state).map_err(|_| unknown())?;
    let log = server.run(&asked.run).ok_or_else(unknown)?;
    take(&log, &asked.question, response(request.input_responses.as_ref()));
    let wait = request
        .arguments
        .as_ref()
        .and_then(|arguments| arguments.get("wait_seconds")?.as_f64());
    Ok(server.wait_for(&log, asked.since, until(wait)?, caller).await)
}

/// What the user has said; nothing where that is none of what can be said.
fn response(responses: Option<&InputResponses>) -> Option<ElicitResult> {
    let response = responses?.get(ANSWER)?.clone();
    serde_json::from_value(response).ok()
}

/// Hands an answer to the cell; a user who gives none is not asked again.
pub(super) fn take(log: &RunLog, question: &str, told: Option<ElicitResult>) {
    match told {
        Some(ElicitResult {
            action: ElicitationAction::Accept,
            content,
            ..
        }) => {
            let answer = content.as_ref().and_then(|content| content.get(ANSWER)?.as_str());
            // False where it is not asked any more: what the run does now is shown in any case.
            log.answer(question, answer.unwrap_or_default().to_owned());
        }
        _ => log.decline(question),
    }
}

/// What a call answers, once the user has answered what its run asks for.
pub(super) async fn finish(
    server: &Arc<Server>,
    mut answer: Answer,
    context: &RequestContext<RoleServer>,
    caller: &Caller,
) -> CallToolResponse {
    if !has_forms(context) {
        return CallToolResult::from(answer).into();
    }
    if let Some(proposal) = answer.proposal.take() {
        return deciding::finish(server, answer, &proposal, context).await;
    }
    while let Some(asking) = answer.asking.take().filter(|asking| !asking.question.is_declined) {
        if !can_be_asked(context) {
            return question(server, &asking).into();
        }
        let before = answer.content.len() - asking.shown;
        let Some(more) = ask(server, &asking, context, caller).await else {
            break;
        };
        answer.content.truncate(before);
        answer.content.extend(more.content);
        answer = Answer {
            content: answer.content,
            ..more
        };
    }
    CallToolResult::from(answer).into()
}

/// Asks, and goes on waiting for the run; nothing where the client has gone or cannot ask.
async fn ask(
    server: &Arc<Server>,
    asking: &Asking,
    context: &RequestContext<RoleServer>,
    caller: &Caller,
) -> Option<Answer> {
    let log = &asking.log;
    let id = &asking.question.id;
    tokio::select! {
        told = context.peer.create_elicitation(form(server, log, &asking.question)) => match told {
            Ok(told) => take(log, id, Some(told)),
            Err(error) => {
                // The error names the client's reason, not what was typed.
                tracing::warn!(%error, "the client could not ask for input");
                log.decline(id);
            }
        },
        () = caller.gone.cancelled() => return None,
        // Somebody else has answered, or the run was stopped.
        () = log.unasked(id) => {}
    }
    let until = until(None).ok()?;
    Some(server.wait_for(log, asking.since, until, caller).await)
}

/// The question as the result of a call.
fn question(server: &Server, asking: &Asking) -> InputRequiredResult {
    let form = form(server, &asking.log, &asking.question);
    let request = InputRequest::Elicitation(ElicitRequest::new(form));
    let state = Asked {
        run: asking.log.run_id().map(|run| run.to_string()).unwrap_or_default(),
        question: asking.question.id.clone(),
        since: asking.since,
    };
    let state = serde_json::to_string(&state).ok();
    InputRequiredResult::new(Some([(ANSWER.to_owned(), request)].into()), state)
}

/// The form that asks a user.
pub(super) fn form(server: &Server, log: &RunLog, question: &Question) -> ElicitRequestParams {
    let cell = log
        .running()
        .map_or_else(String::new, |cell| format!("cell {} of ", cell.id));
    let kind = if question.password { "a secret" } else { "input" };
    let message = format!("{cell}{} asks for {kind}: {}", server.shown(&log.path), question.prompt);
    let schema = ElicitationSchema::builder().required_string_property(ANSWER, |answer| answer.title(kind));
    ElicitRequestParams::FormElicitationParams {
        meta: None,
        message,
        requested_schema: schema.build().expect("the property that is required is there"),
    }
}

/// Whether the client shows forms, as it does where it says nothing of how it asks.
pub(super) fn has_forms(context: &RequestContext<RoleServer>) -> bool {
    let elicitation = context.client_capabilities().and_then(|client| client.elicitation);
    elicitation.is_some_and(|elicitation| elicitation.form.is_some() || elicitation.url.is_none())
}
