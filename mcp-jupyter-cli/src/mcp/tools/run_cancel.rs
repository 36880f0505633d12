use std::sync::Arc;

use schemars::JsonSchema;
use serde::Deserialize;

use super::arguments::until;
use super::run_status::find;
use crate::mcp::answer::{Answer, Refusal};
use crate::mcp::caller::Caller;
use crate::mcp::server::Server;
use crate::mcp::structured::Structured;
use crate::mcp::tool::{Effect, Tool};

pub(super) struct RunCancel;

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Arguments {
    run_id: String,
    wait_seconds: Option<f64>,
}

impl Tool for RunCancel {
    const NAME: &'static str = "run_cancel";
    const DESCRIPTION: &'static str =
        "Interrupt a run: its cell gets a KeyboardInterrupt, no further one is executed, names stay.";
    const EFFECT: Effect = Effect::Settles;
    const STRUCTURED: Option<Structured> = Some(Structured::Run);
    type Arguments = Arguments;

    async fn call(server: Arc<Server>, arguments: Arguments, caller: Caller) -> Result<Answer, Refusal> {
        let until = until(arguments.wait_seconds)?;
        let log = find(&server, &arguments.run_id, until).await?;
        let since = log.news(u64::MAX).cursor;
        log.cancel();
        let mut answer = server.wait_for(&log, since, until, &caller).await;
        // That it is cancelled is what was asked for.
        answer.is_failure = false;
        Ok(answer)
    }
}
