use std::fmt::Write;
use std::sync::Arc;
use std::time::Duration;

use mcp_jupyter_core::kernel::{Channel, Kernel, KernelState, Message};
use mcp_jupyter_core::model::{Json, JsonMap};
use schemars::JsonSchema;
use serde::Deserialize;
use tokio::time::timeout;

use crate::mcp::answer::{Answer, Refusal};
use crate::mcp::caller::Caller;
use crate::mcp::server::Server;
use crate::mcp::show::cleaned;
use crate::mcp::tool::{Effect, Tool};

/// How long a kernel may take to answer.
const PATIENCE: Duration = Duration::from_secs(10);

/// How long a kernel may go on with what it is about, before it is said to be executing.
const BUSY: Duration = Duration::from_secs(1);

/// Completions that are given.
const GIVEN: usize = 60;

pub(super) struct Complete;

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Arguments {
    path: String,
    /// The cursor is at its end
    code: String,
}

impl Tool for Complete {
    const NAME: &'static str = "complete";
    const DESCRIPTION: &'static str = "How code may go on, as the notebook's kernel knows it.";
    const EFFECT: Effect = Effect::Reads;
    type Arguments = Arguments;

    async fn call(server: Arc<Server>, arguments: Arguments, _caller: Caller) -> Result<Answer, Refusal> {
        let reply = ask(&server, &arguments, "complete_request", []).await?;
        let matches = reply
            .content
            .get("matches")
            .and_then(Json::as_array)
            .unwrap_or_default();
        let matches: Vec<_> = matches.iter().filter_map(Json::as_str).collect();
        let mut text = matches
            .iter()
            .take(GIVEN)
            .map(AsRef::as_ref)
            .collect::<Vec<&str>>()
            .join("\n");
        if matches.len() > GIVEN {
            let _ = write!(text, "\n[{} more; write more of the code]", matches.len() - GIVEN);
        }
        if matches.is_empty() {
            text.push_str("nothing");
        }
        Ok(Answer::text(text))
    }
}

pub(super) struct Documentation;

impl Tool for Documentation {
    const NAME: &'static str = "documentation";
    const DESCRIPTION: &'static str = "What the notebook's kernel knows of the name at the end of the code.";
    const EFFECT: Effect = Effect::Reads;
    type Arguments = Arguments;

    async fn call(server: Arc<Server>, arguments: Arguments, _caller: Caller) -> Result<Answer, Refusal> {
        let reply = ask(
            &server,
            &arguments,
            "inspect_request",
            [("detail_level", Json::from(0_i64))],
        )
        .await?;
        let text = reply
            .content
            .get("data")
            .and_then(|data| data.get("text/plain"))
            .and_then(Json::as_str);
        let Some(text) = text else {
            return Err(
                Refusal::new(format!("the kernel knows nothing of {:?}", arguments.code))
                    .with_advice("complete shows what there is"),
            );
        };
        let mut page = server.page();
        page.text(&cleaned(&text), "execute_code can print a part");
        Ok(Answer {
            content: page.finish(),
            ..Answer::default()
        })
    }
}

async fn ask<const N: usize>(
    server: &Server,
    arguments: &Arguments,
    msg_type: &str,
    more: [(&str, Json); N],
) -> Result<Message, Refusal> {
    let kernel = server.kernel_of(&arguments.path).await?;
    let mut state = kernel.state();
    let settled = state.wait_for(|state| *state != KernelState::Busy);
    if timeout(BUSY, settled).await.is_err() {
        return Err(Refusal::new(format!(
            "the kernel of {} is executing and answers when it has done so",
            arguments.path
        ))
        .with_advice("run_status waits for a run"));
    }
    let end = i64::try_from(arguments.code.chars().count()).unwrap_or(i64::MAX);
    let content = [("code", Json::from(arguments.code.clone())), ("cursor_pos", end.into())];
    let content: JsonMap = content
        .into_iter()
        .chain(more)
        .map(|(name, value)| (name.to_owned(), value))
        .collect();
    let asked = timeout(PATIENCE, kernel.request(Channel::Shell, msg_type, content)).await;
    let asked = asked.map_err(|_| Refusal::new(format!("the kernel did not answer within {} s", PATIENCE.as_secs())));
    Ok(asked??)
}
