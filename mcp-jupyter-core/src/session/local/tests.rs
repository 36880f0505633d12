use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use rusqlite::Connection;
use tempfile::TempDir;

use super::{HistoryLimits, LocalSessions};
use crate::model::{Digest, JsonMap};
use crate::session::{CellResult, ExecutionEnd, HistoryQuery, SessionError, SessionStore as _};

/// A folder with the state of one session, of a notebook beside it.
async fn state() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.ipynb");
    fs::write(
        &path,
        r#"{"cells": [], "metadata": {}, "nbformat": 4, "nbformat_minor": 5}"#,
    )
    .unwrap();
    let sessions = LocalSessions::open(folder.path().join("state")).await.unwrap();
    let id = sessions.open(&path).await.unwrap().id;
    sessions
        .save(&id, crate::session::notebook::Durability::Process)
        .await
        .unwrap();
    folder
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

#[tokio::test]
async fn nobody_else_can_read_it() {
    let folder = state().await;
    let state = folder.path().join("state");
    let _sessions = LocalSessions::open(&state).await.unwrap();
    assert_eq!((mode(&state), mode(&state.join("locks"))), (0o700, 0o700));
    for entry in fs::read_dir(&state)
        .unwrap()
        .chain(fs::read_dir(state.join("locks")).unwrap())
    {
        let path = entry.unwrap().path();
        assert!(path.is_dir() || mode(&path) == 0o600, "{}", path.display());
    }
}

#[tokio::test]
async fn damaged_state_is_moved_aside() {
    let folder = state().await;
    let path = folder.path().join("state/state.sqlite");
    let bytes = fs::read(&path).unwrap();
    fs::write(&path, &bytes[..5000]).unwrap();
    let sessions = LocalSessions::open(folder.path().join("state")).await.unwrap();
    let aside = folder.path().join("state/state.sqlite.corrupt-1");
    assert_eq!(sessions.moved_aside(), Some(&*aside));
    assert_eq!(fs::read(aside).unwrap().len(), 5000);
    assert_eq!(sessions.list().await.unwrap(), []);
}

#[tokio::test]
async fn newer_state_is_refused() {
    let folder = state().await;
    let path = folder.path().join("state/state.sqlite");
    Connection::open(&path)
        .unwrap()
        .pragma_update(None, "user_version", 99)
        .unwrap();
    let before = fs::read(&path).unwrap();
    let error = LocalSessions::open(folder.path().join("state")).await.unwrap_err();
    assert!(matches!(error, SessionError::CorruptState { .. }), "{error:?}");
    let text = error.to_string();
    assert!(text.contains("newer") && text.contains("state.sqlite"), "{text}");
    assert_eq!(fs::read(&path).unwrap(), before);
}

#[tokio::test]
async fn the_journal_of_a_scheduler_is_no_state() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("state.sqlite");
    drop(crate::scheduler::SqliteJournal::open(&path).await.unwrap());
    let error = LocalSessions::open(folder.path()).await.unwrap_err();
    assert!(error.to_string().contains("another program"), "{error}");
}

#[tokio::test]
async fn what_cannot_be_made_is_named() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("file"), "").unwrap();
    let error = LocalSessions::open(folder.path().join("file/state")).await.unwrap_err();
    assert!(matches!(error, SessionError::State { .. }), "{error:?}");
    assert!(error.to_string().contains("file/state"), "{error}");
}

#[tokio::test]
async fn what_was_not_written_by_us_is_named() {
    let folder = state().await;
    let sessions = LocalSessions::open(folder.path().join("state")).await.unwrap();
    let connection = Connection::open(folder.path().join("state/state.sqlite")).unwrap();
    connection.execute("UPDATE sessions SET kernel = '{'", []).unwrap();
    let error = sessions.list().await.unwrap_err();
    assert!(matches!(error, SessionError::CorruptState { .. }), "{error:?}");
}

fn ended(text: &str, run: &str) -> CellResult {
    let output = [("name", "stdout"), ("output_type", "stream"), ("text", text)];
    CellResult {
        cell: "a".into(),
        source: Digest::of(b"1"),
        outputs: vec![output.into_iter().collect()],
        execution_count: Some(1),
        metadata: JsonMap::new(),
        notebook_metadata: JsonMap::new(),
        end: Some(ExecutionEnd {
            run_id: run.into(),
            attempt: 1,
            outcome: "ok".to_owned(),
            seconds: 0.0,
            epoch: 0,
            source: "1".to_owned(),
        }),
    }
}

#[tokio::test]
async fn the_oldest_goes_where_there_is_too_much() {
    let folder = state().await;
    let place = folder.path().join("state");
    let sessions = LocalSessions::open(&place).await.unwrap();
    let id = sessions.list().await.unwrap()[0].id.clone();
    for run in 0..30 {
        let text = format!("{run:01000}");
        sessions
            .record(&id, vec![ended(&text, &run.to_string())])
            .await
            .unwrap();
    }
    sessions.keep(&id, "kept").await.unwrap();
    drop(sessions);
    let limits = HistoryLimits {
        bytes: 12_000,
        ..HistoryLimits::default()
    };
    let sessions = LocalSessions::open_within(&place, limits).await.unwrap();
    let left = sessions.history(&id, HistoryQuery::default()).await.unwrap();
    assert!((5..12).contains(&left.len()), "{}", left.len());
    assert_eq!(left[0].run_id.as_str(), "29");
    assert_eq!(sessions.snapshots(&id).await.unwrap().len(), 1, "what has a name stays");
    drop(sessions);
    let limits = HistoryLimits {
        age: std::time::Duration::ZERO,
        ..HistoryLimits::default()
    };
    let sessions = LocalSessions::open_within(&place, limits).await.unwrap();
    assert!(sessions.history(&id, HistoryQuery::default()).await.unwrap().is_empty());
}
