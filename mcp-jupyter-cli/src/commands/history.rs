use std::path::Path;

use mcp_jupyter_core::engine::KeptSessions;
use mcp_jupyter_core::model::CellId;
use mcp_jupyter_core::session::notebook::{CellDiff, Notebook, NotebookDiff, line_diff};
use mcp_jupyter_core::session::{HistoryQuery, RestoreFrom, SessionRecord, SnapshotInfo, Version};
use serde_json::json;

use crate::args::{DiffArgs, HistoryArgs, RestoreArgs, StateArgs};
use crate::error::CliError;
use crate::exit::Exit;
use crate::job::Input;
use crate::keeping;
use crate::report::{self, DiffText, show_note};

/// How many unchanged lines are shown around a change.
const CONTEXT: usize = 3;

async fn session(state: &StateArgs, path: &Path) -> Result<(KeptSessions, SessionRecord), CliError> {
    let sessions = keeping::open_existing(state).await?;
    let record = keeping::find(&sessions, &path.to_string_lossy()).await?;
    Ok((sessions, record))
}

/// Lists what was executed, and snapshots.
pub(crate) async fn history(args: HistoryArgs) -> Result<Exit, CliError> {
    let (sessions, record) = session(&args.state, &args.notebook).await?;
    let store = sessions.store();
    if let Some(name) = &args.keep {
        store.keep(&record.id, name).await?;
    }
    let query = HistoryQuery {
        cell: match &args.cell {
            Some(cell) => Some(cell_of(cell, &store.snapshot(&record.id).await?.notebook)?),
            None => None,
        },
        limit: Some(args.limit),
    };
    let versions = store.history(&record.id, query).await?;
    let snapshots = store.snapshots(&record.id).await?;
    if args.json {
        report::show_json(&json!({ "versions": versions, "snapshots": snapshots }));
        return Ok(Exit::Ok);
    }
    let rows: Vec<Vec<String>> = versions.iter().map(version_row).collect();
    report::show_table(
        &[
            "NUMBER", "CELL", "OUTCOME", "SECONDS", "OUTPUTS", "EPOCH", "ENDED", "SOURCE",
        ],
        &rows,
    );
    if !snapshots.is_empty() {
        report::show_data(b"\n");
        let rows: Vec<Vec<String>> = snapshots.iter().map(snapshot_row).collect();
        report::show_table(&["SNAPSHOT", "NAME", "TAKEN", "BYTES", "WHY"], &rows);
    }
    Ok(Exit::Ok)
}

/// The cell that is named; one that is gone from the notebook by its whole id.
fn cell_of(text: &str, notebook: &Notebook) -> Result<CellId, CliError> {
    match mcp_jupyter_core::engine::resolve_target(notebook, text) {
        Ok(mcp_jupyter_core::scheduler::Target::Cell(cell)) => Ok(cell),
        Ok(_) => Err(CliError::usage(format!("{text} is not one cell"))),
        Err(_) => Ok(text.into()),
    }
}

fn version_row(version: &Version) -> Vec<String> {
    let source = version.source.lines().next().unwrap_or_default();
    vec![
        version.seq.to_string(),
        version.cell.to_string(),
        version.outcome.clone(),
        format!("{:.1}", version.seconds),
        version.outputs.len().to_string(),
        version.epoch.to_string(),
        version.ended.strftime("%Y-%m-%d %H:%M:%S").to_string(),
        source.chars().take(40).collect(),
    ]
}

fn snapshot_row(snapshot: &SnapshotInfo) -> Vec<String> {
    vec![
        snapshot.seq.to_string(),
        snapshot.name.clone().unwrap_or_else(|| "-".to_owned()),
        snapshot.taken.strftime("%Y-%m-%d %H:%M:%S").to_string(),
        snapshot.length.to_string(),
        snapshot.reason.clone(),
    ]
}

/// The snapshot of this number or name; the latest of a name.
fn named<'a>(snapshots: &'a [SnapshotInfo], name: &str) -> Result<&'a SnapshotInfo, CliError> {
    let number: Option<u64> = name.parse().ok();
    let found = snapshots
        .iter()
        .find(|snapshot| Some(snapshot.seq) == number || snapshot.name.as_deref() == Some(name));
    found.ok_or_else(|| {
        CliError::usage_with_hint(
            format!("there is no snapshot {name}"),
            "`mcp-jupyter history NOTEBOOK` lists them",
        )
    })
}

/// Tells what has changed.
pub(crate) async fn diff(args: DiffArgs) -> Result<Exit, CliError> {
    let newer = Input::new(&args.notebook).read()?;
    let older = match &args.since {
        Some(file) if Path::new(file).is_file() => Input::new(Path::new(file)).read()?,
        since => {
            let (sessions, record) = session(&args.state, &args.notebook).await?;
            let snapshots = sessions.store().snapshots(&record.id).await?;
            let snapshot = match since {
                Some(name) => named(&snapshots, name)?,
                None => snapshots.first().ok_or_else(|| {
                    CliError::usage_with_hint(
                        format!("there is no snapshot of {}", args.notebook.display()),
                        "`mcp-jupyter history NOTEBOOK --keep NAME` takes one",
                    )
                })?,
            };
            sessions.store().snapshot_document(&record.id, snapshot.seq).await?
        }
    };
    let diff = older.diff(&newer);
    if args.json {
        report::show_json(&diff);
    } else {
        report::show_diff(&diff_texts(&diff, &older, &newer));
    }
    Ok(Exit::Ok)
}

/// The differences in words and lines.
pub(crate) fn diff_texts(diff: &NotebookDiff, older: &Notebook, newer: &Notebook) -> Vec<DiffText> {
    let mut texts: Vec<DiffText> = diff.cells.iter().map(|cell| text(cell, older, newer)).collect();
    let members = diff
        .metadata
        .iter()
        .map(|name| format!("metadata.{name}"))
        .chain(diff.other.iter().cloned());
    texts.extend(members.map(|name| DiffText {
        title: format!("notebook: {name} changed"),
        hunks: Vec::new(),
    }));
    texts
}

fn text(diff: &CellDiff, older: &Notebook, newer: &Notebook) -> DiffText {
    let source = |notebook: &Notebook, at: usize| notebook.cells()[at].source().to_owned();
    match diff {
        CellDiff::Added { cell, at } => DiffText {
            title: format!("cell #{at} ({cell}) added"),
            hunks: line_diff("", &source(newer, *at), CONTEXT),
        },
        CellDiff::Removed { cell, at } => DiffText {
            title: format!("cell #{at} ({cell}) removed"),
            hunks: line_diff(&source(older, *at), "", CONTEXT),
        },
        CellDiff::Moved { cell, from, to } => DiffText {
            title: format!("cell ({cell}) moved from #{from} to #{to}"),
            hunks: Vec::new(),
        },
        CellDiff::Changed {
            cell,
            outputs,
            metadata,
            other,
            cell_type,
            ..
        } => {
            let at = newer.position(cell).unwrap_or_default();
            let before = newer.counterparts(older)[at].map(|at| source(older, at));
            let mut changes: Vec<String> = Vec::new();
            changes.extend(outputs.then(|| "outputs".to_owned()));
            changes.extend(cell_type.map(|change| format!("type {:?} to {:?}", change.from, change.to).to_lowercase()));
            changes.extend(metadata.iter().map(|name| format!("metadata.{name}")));
            changes.extend(other.iter().cloned());
            let more = if changes.is_empty() {
                String::new()
            } else {
                format!(": {}", changes.join(", "))
            };
            DiffText {
                title: format!("cell #{at} ({cell}) changed{more}"),
                hunks: line_diff(&before.unwrap_or_default(), &source(newer, at), CONTEXT),
            }
        }
        _ => DiffText {
            title: "another change".to_owned(),
            hunks: Vec::new(),
        },
    }
}

/// Brings back what was.
pub(crate) async fn restore(args: RestoreArgs) -> Result<Exit, CliError> {
    let (sessions, record) = session(&args.state, &args.notebook).await?;
    let store = sessions.store();
    let from = match (&args.snapshot, args.version) {
        (_, Some(seq)) => RestoreFrom::Version { seq },
        (name, None) => {
            let snapshots = store.snapshots(&record.id).await?;
            RestoreFrom::Snapshot {
                seq: named(&snapshots, name.as_deref().unwrap_or_default())?.seq,
                cell: args.cell.as_deref().map(CellId::from),
            }
        }
    };
    let restored = store.restore(&record.id, from).await?;
    let path = record.path.display();
    show_note(&format!(
        "restored {path}; as it was before: `mcp-jupyter restore {path} --snapshot {}`",
        restored.before.seq
    ));
    Ok(Exit::Ok)
}
