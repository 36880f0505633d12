use mcp_jupyter_core::engine::KeptSessions;
use mcp_jupyter_core::scheduler::{RunEnd, RunRecord};
use mcp_jupyter_core::session::SessionRecord;
use serde_json::{Value, json};

use crate::args::RunStatusArgs;
use crate::error::CliError;
use crate::exit::Exit;
use crate::keeping;
use crate::report;
use crate::services;

/// Tells what runs are doing, or have done.
pub(crate) async fn run_status(args: RunStatusArgs) -> Result<Exit, CliError> {
    let sessions = keeping::open_existing(&args.state).await?;
    let sessions = match services::observed_scheduler(&args.state.services).await? {
        Some(scheduler) => sessions.with_scheduler(scheduler),
        None => sessions,
    };
    let found = match &args.run {
        Some(name) => vec![named(&sessions, name).await?],
        None => latest(&sessions).await?,
    };
    let mut described = Vec::new();
    for (session, run) in &found {
        let last = last_run(&sessions, session).await?;
        let is_last = last.is_some_and(|last| last.run_id == run.run_id);
        described.push(describe(&sessions, session, run, is_last));
    }
    if args.json {
        match (&args.run, described.first()) {
            (Some(_), Some(one)) => report::show_json(one),
            _ => report::show_json(&described),
        }
        return Ok(Exit::Ok);
    }
    let rows: Vec<Vec<String>> = described.iter().map(row).collect();
    report::show_table(&["RUN", "STATE", "DONE", "NOW", "NOTEBOOK"], &rows);
    Ok(Exit::Ok)
}

/// The run of an id, or the last one of a notebook.
async fn named(sessions: &KeptSessions, name: &str) -> Result<(SessionRecord, RunRecord), CliError> {
    for session in sessions.store().list().await? {
        let runs = sessions.runs(&session.id).await?;
        if let Some(run) = runs.into_iter().find(|run| run.run_id.as_str() == name) {
            return Ok((session, run));
        }
    }
    let record = keeping::find(sessions, name).await?;
    let last = last_run(sessions, &record).await?;
    last.map(|run| (record, run))
        .ok_or_else(|| CliError::usage(format!("{name} has had no run")))
}

async fn last_run(sessions: &KeptSessions, record: &SessionRecord) -> Result<Option<RunRecord>, CliError> {
    let runs = sessions.runs(&record.id).await?;
    Ok(runs.into_iter().next_back())
}

async fn latest(sessions: &KeptSessions) -> Result<Vec<(SessionRecord, RunRecord)>, CliError> {
    let mut found = Vec::new();
    for record in sessions.store().list().await? {
        if let Some(run) = last_run(sessions, &record).await? {
            found.push((record, run));
        }
    }
    Ok(found)
}

fn describe(sessions: &KeptSessions, session: &SessionRecord, run: &RunRecord, is_last: bool) -> Value {
    let ended = run.executions.iter().filter(|(_, _, outcome)| outcome.is_some());
    let now = run
        .executions
        .iter()
        .rfind(|(_, _, outcome)| outcome.is_none() && run.end.is_none());
    let executions = run.executions.iter().map(|(cell, attempt, outcome)| {
        json!({ "cell": cell.id, "index": cell.index, "attempt": attempt, "outcome": outcome })
    });
    json!({
        "run_id": run.run_id,
        "session": session.id,
        "notebook": session.path,
        "state": state(sessions, session, run, is_last),
        "end": run.end,
        "planned": run.plan.cells.len(),
        "done": ended.count(),
        "running": now.map(|(cell, ..)| cell.id.clone()),
        "executions": executions.collect::<Vec<_>>(),
    })
}

/// The state in a word. The last run of a session has ended once its program has let go of the session: only then is all of
/// it in the notebook. One without an end whose program is gone can be taken up.
fn state(sessions: &KeptSessions, session: &SessionRecord, run: &RunRecord, is_last: bool) -> &'static str {
    let is_executing = is_last && matches!(sessions.try_take_turn(&session.id), Ok(Err(_)));
    match &run.end {
        _ if is_executing => "running",
        None => "interrupted",
        Some(RunEnd::Completed) => "completed",
        Some(RunEnd::Failed { .. }) => "failed",
        Some(RunEnd::KernelDied { .. }) => "kernel_died",
        Some(RunEnd::Cancelled) => "cancelled",
        Some(RunEnd::DeadlineExceeded) => "timed_out",
        Some(RunEnd::Lost) => "lost",
    }
}

fn row(run: &Value) -> Vec<String> {
    let text = |name: &str| run[name].as_str().unwrap_or("-").to_owned();
    let done = format!("{} of {}", run["done"], run["planned"]);
    vec![text("run_id"), text("state"), done, text("running"), text("notebook")]
}
