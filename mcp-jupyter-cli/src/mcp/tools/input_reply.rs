use std::sync::Arc;

use schemars::JsonSchema;
use serde::Deserialize;

use super::arguments::until;
use crate::mcp::answer::{Answer, Refusal};
use crate::mcp::caller::Caller;
use crate::mcp::server::Server;
use crate::mcp::structured::Structured;
use crate::mcp::tool::{Effect, Tool};

pub(super) struct InputReply;

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Arguments {
    input_id: String,
    /// Without a line end
    answer: String,
    wait_seconds: Option<f64>,
}

impl Tool for InputReply {
    const NAME: &'static str = "input_reply";
    const DESCRIPTION: &'static str =
        "Answer a cell that asks for input, and wait for its run as `run` does. Ask the user for what only they know.";
    const EFFECT: Effect = Effect::Destroys;
    const STRUCTURED: Option<Structured> = Some(Structured::Run);
    type Arguments = Arguments;

    async fn call(server: Arc<Server>, arguments: Arguments, caller: Caller) -> Result<Answer, Refusal> {
        let until = until(arguments.wait_seconds)?;
        let not_asked = || {
            Refusal::new(format!("nobody asks for input as {:?} any more", arguments.input_id))
                .with_advice("run_status shows what the run does now")
        };
        let log = server.asking(&arguments.input_id).ok_or_else(not_asked)?;
        let since = log.news(u64::MAX).cursor;
        if !log.answer(&arguments.input_id, arguments.answer.clone()) {
            return Err(not_asked());
        }
        Ok(server.wait_for(&log, since, until, &caller).await)
    }
}
