use std::sync::Arc;

use mcp_jupyter_core::scheduler::{RunEnd, RunRecord};
use mcp_jupyter_core::session::SessionRecord;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::json;
use tokio::time::Instant;

use super::arguments::until;
use crate::mcp::answer::{Answer, Refusal};
use crate::mcp::caller::Caller;
use crate::mcp::executing::Launch;
use crate::mcp::run_log::RunLog;
use crate::mcp::server::Server;
use crate::mcp::structured::Structured;
use crate::mcp::tool::{Effect, Tool};

pub(super) struct RunStatus;

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Arguments {
    run_id: String,
    /// The cursor of an earlier answer: only what is new since
    #[serde(default)]
    since: u64,
    /// Wait so long for its end [0]
    wait_seconds: Option<f64>,
}

impl Tool for RunStatus {
    const NAME: &'static str = "run_status";
    const DESCRIPTION: &'static str = "What a run is doing, or has done, with its output since a cursor.";
    const EFFECT: Effect = Effect::Reads;
    const STRUCTURED: Option<Structured> = Some(Structured::Run);
    type Arguments = Arguments;

    async fn call(server: Arc<Server>, arguments: Arguments, caller: Caller) -> Result<Answer, Refusal> {
        let until = until(Some(arguments.wait_seconds.unwrap_or(0.0)))?;
        status_of(&server, &arguments.run_id, arguments.since, until, &caller).await
    }
}

/// What a run has done since a cursor, waiting for its end.
pub(in crate::mcp) async fn status_of(
    server: &Arc<Server>,
    id: &str,
    since: u64,
    until: Instant,
    caller: &Caller,
) -> Result<Answer, Refusal> {
    if let Ok(log) = find(server, id, until).await {
        return Ok(server.wait_for(&log, since, until, caller).await);
    }
    let (session, run) = recorded(server, id).await?;
    Ok(told(server, &session, &run))
}

/// A run that this server has, or that an earlier one has left and that goes on now.
pub(super) async fn find(server: &Arc<Server>, id: &str, until: Instant) -> Result<Arc<RunLog>, Refusal> {
    if let Some(log) = server.run(id) {
        return Ok(log);
    }
    let (record, run) = recorded(server, id).await?;
    if run.end.is_none() && record.kernel.is_some() {
        // It is a refusal where it takes longer, or there was nothing to go on with.
        let _ = server.bind(&record, Launch::Nothing, until).await;
    }
    server
        .run(run.run_id.as_str())
        .ok_or_else(|| Refusal::new(format!("run {id} has ended")).with_advice("run_status shows how"))
}

async fn recorded(server: &Server, id: &str) -> Result<(SessionRecord, RunRecord), Refusal> {
    let unknown = || {
        Refusal::new(format!("there is no run {id:?}"))
            .with_advice("the whole id is needed after a restart of this server")
    };
    let (session, run) = server.sessions.journal().run(&id.into()).await?.ok_or_else(unknown)?;
    let record = server.sessions.store().get(&session).await?;
    if !server.roots.contains(&record.path) {
        return Err(unknown());
    }
    Ok((record, run))
}

fn told(server: &Server, session: &SessionRecord, run: &RunRecord) -> Answer {
    let state = match &run.end {
        None => "interrupted",
        Some(RunEnd::Completed) => "completed",
        Some(RunEnd::Failed { .. }) => "failed",
        Some(RunEnd::KernelDied { .. }) => "kernel_died",
        Some(RunEnd::Cancelled) => "cancelled",
        Some(RunEnd::DeadlineExceeded) => "timed_out",
        Some(RunEnd::Lost) => "lost",
    };
    let cells = run
        .executions
        .iter()
        .map(|(cell, attempt, outcome)| json!({ "id": cell.id, "attempt": attempt, "ended": outcome.is_some() }));
    let path = server.shown(&session.path);
    Answer::text(format!(
        "run {} of {path}: {state}, {} executions; its outputs are in the notebook: notebook_read",
        run.run_id,
        run.executions.len()
    ))
    .with_structured(json!({
        "run_id": run.run_id, "state": state, "planned": run.plan.cells.len(), "cells": cells.collect::<Vec<_>>(),
    }))
}
