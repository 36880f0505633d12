use mcp_jupyter_core::engine::KeptSessions;
use mcp_jupyter_core::scheduler::{RunEnd, RunRecord};
use mcp_jupyter_core::session::SessionRecord;
use serde_json::{Value, json};

use crate::args::RunStatusArgs;
use crate::error::CliError;
use crate::exit::Exit;
use crate::keeping;
use crate::report;

/// Tells what runs are doing, or have done.
pub(crate) async fn run_status(args: RunStatusArgs) -> Result<Exit, CliError> {
    let sessions = keeping::open_existing(&args.state).await?;
    let found = match &args.run {
        Some(name) => vec![named(&sessions, name).await?],
        None => latest(&sessions).await?,
    };
    let described: Vec<Value> = found
        .iter()
        .map(|(session, run)| describe(&sessions, session, run))
        .collect();
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
    let run = sessions
        .journal()
        .run(&name.into())
        .await
        .map_err(mcp_jupyter_core::Error::from)?;
    if let Some((session, run)) = run {
        return Ok((sessions.store().get(&session).await?, run));
    }
    let record = keeping::find(sessions, name).await?;
    let last = last_run(sessions, &record).await?;
    last.map(|run| (record, run))
        .ok_or_else(|| CliError::usage(format!("{name} has had no run")))
}

async fn last_run(sessions: &KeptSessions, record: &SessionRecord) -> Result<Option<RunRecord>, CliError> {
    let runs = sessions
        .journal()
        .runs(&record.id)
        .await
        .map_err(mcp_jupyter_core::Error::from)?;
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

fn describe(sessions: &KeptSessions, session: &SessionRecord, run: &RunRecord) -> Value {
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
        "state": state(sessions, session, run),
        "end": run.end,
        "planned": run.plan.cells.len(),
        "done": ended.count(),
        "running": now.map(|(cell, ..)| cell.id.clone()),
        "executions": executions.collect::<Vec<_>>(),
    })
}

/// The state in a word.
fn state(sessions: &KeptSessions, session: &SessionRecord, run: &RunRecord) -> &'static str {
    match &run.end {
        Some(RunEnd::Completed) => return "completed",
        Some(RunEnd::Failed { .. }) => return "failed",
        Some(RunEnd::KernelDied { .. }) => return "kernel_died",
        Some(RunEnd::Cancelled) => return "cancelled",
        Some(RunEnd::DeadlineExceeded) => return "timed_out",
        Some(RunEnd::Lost) => return "lost",
        None => {}
    }
    // Whoever executes holds the turn; where nobody does, that program is gone and its run can be taken up.
    match sessions.try_take_turn(&session.id) {
        Ok(Ok(_)) => "interrupted",
        _ => "running",
    }
}

fn row(run: &Value) -> Vec<String> {
    let text = |name: &str| run[name].as_str().unwrap_or("-").to_owned();
    let done = format!("{} of {}", run["done"], run["planned"]);
    vec![text("run_id"), text("state"), done, text("running"), text("notebook")]
}
