use futures_util::StreamExt;
use mcp_jupyter_core::Error;
use mcp_jupyter_core::engine::KeptSessions;
use mcp_jupyter_core::kernel::kept::{KeptKernel, KeptRecord};
use mcp_jupyter_core::kernel::{Kernel, KernelState, Message};
use mcp_jupyter_core::model::Json;
use mcp_jupyter_core::session::SessionRecord;
use serde_json::{Value, json};

use crate::args::{AttachArgs, ListSessionsArgs, RecoverArgs, SessionsArgs, SessionsCommand, ShowSessionArgs};
use crate::error::CliError;
use crate::exit::Exit;
use crate::keeping::{self, Sync, SyncOptions};
use crate::report::{self, Report, show_note};
use crate::signals::Stops;

use super::run::mode;

/// Lists, shows, follows, recovers and stops sessions.
pub(crate) async fn sessions(args: SessionsArgs) -> Result<Exit, CliError> {
    match args.command {
        SessionsCommand::List(args) => list(args).await,
        SessionsCommand::Show(args) => show(args).await,
        SessionsCommand::Attach(args) => attach(args).await,
        SessionsCommand::Recover(args) => recover(args).await,
        SessionsCommand::Stop(args) => super::stop(args).await,
    }
}

async fn list(args: ListSessionsArgs) -> Result<Exit, CliError> {
    let sessions = keeping::open_existing(&args.state).await?;
    let records = sessions.store().list().await?;
    if args.json {
        let described: Vec<Value> = records.iter().map(|record| describe(&sessions, record)).collect();
        report::show_json(&described);
    } else if records.is_empty() {
        show_note("there are no sessions; `mcp-jupyter start NOTEBOOK` begins one");
    } else {
        let rows: Vec<Vec<String>> = records.iter().map(|record| row(&sessions, record)).collect();
        report::show_table(&["SESSION", "KERNEL", "STATE", "PROCESS", "NOTEBOOK"], &rows);
    }
    Ok(Exit::Ok)
}

fn kernel_of(sessions: &KeptSessions, record: &SessionRecord) -> Option<KeptRecord> {
    sessions.kernels().find(&record.kernel.as_ref()?.kernel_id)
}

/// What is seen of the kernel from outside.
fn state(record: &SessionRecord, kernel: Option<&KeptRecord>) -> &'static str {
    match (record.kernel.is_some(), kernel) {
        (false, _) => "no kernel",
        (true, Some(kernel)) if kernel.is_alive && kernel.has_keeper => "alive",
        (true, Some(kernel)) if kernel.is_alive => "without keeper",
        (true, _) => "dead",
    }
}

fn row(sessions: &KeptSessions, record: &SessionRecord) -> Vec<String> {
    let kernel = kernel_of(sessions, record);
    let spec = record.kernel.as_ref().map_or("-", |kernel| &kernel.spec.name);
    let pid = kernel
        .as_ref()
        .filter(|kernel| kernel.is_alive)
        .map(|kernel| kernel.pid.to_string());
    vec![
        record.id.as_str().chars().take(8).collect(),
        spec.to_owned(),
        state(record, kernel.as_ref()).to_owned(),
        pid.unwrap_or_else(|| "-".to_owned()),
        record.path.display().to_string(),
    ]
}

fn describe(sessions: &KeptSessions, record: &SessionRecord) -> Value {
    let kernel = kernel_of(sessions, record);
    json!({
        "id": record.id,
        "notebook": record.path,
        "created": record.created,
        "used": record.used,
        "state": state(record, kernel.as_ref()),
        "kernel": kernel,
    })
}

async fn show(args: ShowSessionArgs) -> Result<Exit, CliError> {
    let sessions = keeping::open_existing(&args.state).await?;
    let record = keeping::find(&sessions, &args.session).await?;
    let mut described = describe(&sessions, &record);
    let kernel = match kernel_of(&sessions, &record) {
        Some(found) if found.is_alive => sessions.observe(&record).await.unwrap_or_default(),
        _ => None,
    };
    if let Some(kernel) = &kernel {
        // It may end while it is looked at.
        described["running"] = json!(kernel.running().await.unwrap_or_default());
        described["kernel_state"] = json!(word(&kernel.state().borrow()));
    }
    if args.json {
        report::show_json(&described);
        return Ok(Exit::Ok);
    }
    let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    let mut rows = Vec::new();
    for (name, value) in described.as_object().into_iter().flatten() {
        match value {
            Value::Object(members) => {
                rows.extend(
                    members
                        .iter()
                        .map(|(member, value)| vec![format!("{name}.{member}"), text(value)]),
                );
            }
            value => rows.push(vec![name.clone(), text(value)]),
        }
    }
    report::show_table(&["WHAT", "VALUE"], &rows);
    Ok(Exit::Ok)
}

fn word(state: &KernelState) -> &'static str {
    match state {
        KernelState::Starting => "starting",
        KernelState::Busy => "busy",
        KernelState::Idle => "idle",
        KernelState::Dead(_) => "dead",
    }
}

/// Shows what the kernel says until nothing is executed any more.
async fn attach(args: AttachArgs) -> Result<Exit, CliError> {
    let mut stops = Stops::listen()?;
    let sessions = keeping::open_existing(&args.state).await?;
    let record = keeping::find(&sessions, &args.session).await?;
    let Some(kernel) = sessions.observe(&record).await? else {
        return Err(CliError::usage(format!("{} has no kernel", args.session)));
    };
    let mut said = kernel.unsolicited();
    let running = kernel.running().await.map_err(Error::from)?;
    if running.is_empty() {
        show_note("nothing is being executed");
        return Ok(Exit::Ok);
    }
    for execution in &running {
        show_note(&format!("cell {} of run {}", execution.cell, execution.run_id));
    }
    let mut unfinished = kernel.unfinished();
    loop {
        tokio::select! {
            stop = stops.first() => return Ok(stop.cause().into()),
            found = unfinished.next() => match found {
                Some(mut found) => {
                    while let Some(Ok(message)) = found.execution.messages.next().await {
                        print(&message);
                    }
                }
                None => break,
            },
        }
    }
    follow(&kernel, &mut said, &mut stops).await
}

/// What is executed after what was found, until there is nothing more.
async fn follow(
    kernel: &KeptKernel,
    said: &mut futures_util::stream::BoxStream<'static, Message>,
    stops: &mut Stops,
) -> Result<Exit, CliError> {
    while !kernel.running().await.unwrap_or_default().is_empty() {
        tokio::select! {
            stop = stops.first() => return Ok(stop.cause().into()),
            message = said.next() => match message {
                Some(message) => print(&message),
                None => break,
            },
        }
    }
    Ok(Exit::Ok)
}

/// The text of an output, on stdout.
fn print(message: &Message) {
    let content = &message.content;
    let text = match &*message.msg_type() {
        "stream" => content.get("text").and_then(Json::as_str),
        "execute_result" | "display_data" => content.get("data").and_then(|data| data.get("text/plain")?.as_str()),
        "error" => content.get("evalue").and_then(Json::as_str),
        _ => None,
    };
    if let Some(text) = text {
        report::show_data(text.as_bytes());
        if &*message.msg_type() != "stream" {
            report::show_data(b"\n");
        }
    }
}

async fn recover(args: RecoverArgs) -> Result<Exit, CliError> {
    let stops = Stops::listen()?;
    let sessions = keeping::open_existing(&args.state).await?;
    let sessions = keeping::scheduled(sessions, &args.state).await?;
    let records = match &args.session {
        Some(name) => vec![keeping::find(&sessions, name).await?],
        None => sessions.store().list().await?,
    };
    let report = Report::new(mode(&args.display), records.len() > 1);
    let mut exits = Vec::new();
    for record in &records {
        exits.push(recover_one(&sessions, record, &report, stops.clone()).await);
    }
    reap_orphans(&sessions, &report).await?;
    Ok(Exit::first_failure(exits))
}

async fn recover_one(sessions: &KeptSessions, record: &SessionRecord, report: &Report, stops: Stops) -> Exit {
    match try_recover_one(sessions, record, report, stops).await {
        Ok(exit) => exit,
        Err(error) => {
            report.warning(&error.about(&record.path.display().to_string()));
            error.exit()
        }
    }
}

async fn try_recover_one(
    sessions: &KeptSessions,
    record: &SessionRecord,
    report: &Report,
    stops: Stops,
) -> Result<Exit, CliError> {
    let Ok(turn) = sessions.try_take_turn(&record.id)? else {
        report.remark(&format!(
            "{} is being executed by another program",
            record.path.display()
        ));
        return Ok(Exit::Ok);
    };
    let record = sessions.store().get(&record.id).await?;
    let mut sync = Sync {
        sessions,
        record: &record,
        options: SyncOptions::default(),
        report,
        stops,
        turn,
    };
    let taken_up = sync.take_up().await?;
    keeping::newest(sessions, &record).await?;
    if let Some(opened) = taken_up.opened {
        opened.session.detach().await;
    }
    Ok(taken_up.exit)
}

/// Ends kernels that are kept and that no session is bound to: whoever has started them was killed before it could say
/// whose they are.
async fn reap_orphans(sessions: &KeptSessions, report: &Report) -> Result<(), CliError> {
    let strays = sessions.kernels().reap_strays().map_err(Error::from)?;
    if strays > 0 {
        report.remark(&format!("ended {strays} kernels whose start was interrupted"));
    }
    let records = sessions.store().list().await?;
    let bound = |kernel: &KeptRecord| {
        let ids = records.iter().filter_map(|record| record.kernel.as_ref());
        ids.into_iter().any(|binding| binding.kernel_id == kernel.kernel_id)
    };
    for kernel in sessions.kernels().list().map_err(Error::from)? {
        if kernel.is_kept && !bound(&kernel) || !kernel.is_alive && !kernel.has_keeper && !bound(&kernel) {
            sessions
                .kernels()
                .remove(&kernel.kernel_id)
                .await
                .map_err(Error::from)?;
            report.remark(&format!("removed kernel {}, which no session has", kernel.kernel_id));
        }
    }
    Ok(())
}
