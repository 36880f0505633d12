//! Having the client's user decide about a proposal at once.
//!
//! Where the client cannot ask, or the user does not decide, the proposal stays for the command line.

use std::sync::Arc;

use rmcp::RoleServer;
use rmcp::model::{
    CallToolRequestParams, CallToolResponse, CallToolResult, ElicitRequest, ElicitRequestParams, ElicitResult,
    ElicitationAction, ElicitationSchema, InputRequest, InputRequiredResult,
};
use rmcp::service::RequestContext;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::answer::{Answer, Refusal};
use super::connection::can_be_asked;
use super::server::Server;
use super::show::bounded;
use super::tools::{accept_proposal, reject_proposal};
use crate::proposals::Proposal;

/// The member of the form, and the name of the question.
const ACCEPT: &str = "accept";

/// How much of the changes the form shows, in bytes.
const SHOWN: usize = 4 << 10;

/// What a client sends back with the decision.
#[derive(Debug, Deserialize, Serialize)]
struct Proposed {
    proposal: String,
}

/// Takes up a call after whose proposal was asked; nothing where it was about something else.
pub(super) async fn take_up(server: &Arc<Server>, request: &CallToolRequestParams) -> Option<Result<Answer, Refusal>> {
    let state = request.request_state.as_deref()?;
    let Proposed { proposal } = serde_json::from_str(state).ok()?;
    let told = request
        .input_responses
        .as_ref()
        .and_then(|told| told.get(ACCEPT))
        .cloned();
    let told = told.and_then(|told| serde_json::from_value(told).ok());
    let open = || Answer::text(format!("proposal {proposal} stays open; nothing was edited"));
    Some(match find(server, &proposal) {
        Ok(_) => decide(server, &proposal, told).await.unwrap_or_else(|| Ok(open())),
        Err(refusal) => Err(refusal),
    })
}

/// What a call that has proposed something answers, once the user has decided.
pub(super) async fn finish(
    server: &Arc<Server>,
    answer: Answer,
    id: &str,
    context: &RequestContext<RoleServer>,
) -> CallToolResponse {
    let Ok(proposal) = find(server, id) else {
        return CallToolResult::from(answer).into();
    };
    let form = form(server, &proposal);
    if !can_be_asked(context) {
        let asked = Proposed { proposal: proposal.id };
        let request = InputRequest::Elicitation(ElicitRequest::new(form));
        let state = serde_json::to_string(&asked).ok();
        return InputRequiredResult::new(Some([(ACCEPT.to_owned(), request)].into()), state).into();
    }
    let told = tokio::select! {
        told = context.peer.create_elicitation(form) => told.ok(),
        () = context.ct.cancelled() => None,
    };
    let decided = decide(server, id, told).await;
    match decided {
        Some(Ok(decided)) => CallToolResult::from(decided).into(),
        Some(Err(refusal)) => refusal.into_result(server.policy.text_limit).into(),
        None => CallToolResult::from(answer).into(),
    }
}

/// A proposal about a notebook that this client may use.
fn find(server: &Server, id: &str) -> Result<Proposal, Refusal> {
    let proposal = server.proposals.find(id)?;
    if server.roots.contains(&proposal.path) {
        return Ok(proposal);
    }
    Err(Refusal::new(format!("there is no proposal {id:?}")))
}

/// Does as the user says; nothing where they have not decided.
async fn decide(server: &Arc<Server>, id: &str, told: Option<ElicitResult>) -> Option<Result<Answer, Refusal>> {
    let told = told?;
    let accept = told
        .content
        .as_ref()
        .and_then(|content| content.get(ACCEPT))
        .and_then(Value::as_bool);
    match (told.action, accept) {
        (ElicitationAction::Accept, Some(true)) => Some(accept_proposal(server, id).await),
        (ElicitationAction::Accept, Some(false)) | (ElicitationAction::Decline, _) => Some(reject_proposal(server, id)),
        _ => None,
    }
}

fn form(server: &Server, proposal: &Proposal) -> ElicitRequestParams {
    let how = format!("`mcp-jupyter proposals show {}` has all of it", proposal.id);
    let message = format!(
        "{} proposes to edit {}:\n{}",
        proposal.client,
        server.shown(&proposal.path),
        bounded(&proposal.diff, SHOWN, &how)
    );
    let schema =
        ElicitationSchema::builder().required_bool_property(ACCEPT, |accept| accept.title("Edit the notebook so"));
    ElicitRequestParams::FormElicitationParams {
        meta: None,
        message,
        requested_schema: schema.build().expect("the property that is required is there"),
    }
}
