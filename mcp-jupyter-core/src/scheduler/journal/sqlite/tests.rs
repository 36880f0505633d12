use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use rusqlite::Connection;
use tempfile::TempDir;

use super::SqliteJournal;
use crate::scheduler::journal::{Change, Entry, Journal};
use crate::scheduler::{KernelEpoch, SchedulerError};

/// A folder with a journal that knows one session.
async fn journal() -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("journal.sqlite");
    let journal = SqliteJournal::open(&path).await.unwrap();
    append(&journal, 1).await;
    (folder, path)
}

async fn append(journal: &SqliteJournal, epoch: u64) {
    let change = Entry::Changed(Change::Epoch(KernelEpoch(epoch)));
    journal.append(&"s".into(), [change].into()).await.unwrap();
}

async fn refused(path: &Path) -> String {
    let before = fs::read(path).unwrap();
    let error = SqliteJournal::open(path).await.unwrap_err();
    assert!(matches!(error, SchedulerError::CorruptJournal { .. }), "{error}");
    assert_eq!(fs::read(path).unwrap(), before, "it is left as it was");
    let text = error.to_string();
    assert!(text.contains(&path.display().to_string()), "{text}");
    text
}

#[tokio::test]
async fn nobody_else_can_read_it() {
    let (folder, _) = journal().await;
    let path = folder.path().join("open.sqlite");
    let _journal = SqliteJournal::open(&path).await.unwrap();
    for entry in fs::read_dir(folder.path()).unwrap() {
        let entry = entry.unwrap();
        let mode = entry.metadata().unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{:?}", entry.file_name());
    }
}

#[tokio::test]
async fn it_has_a_write_ahead_log() {
    let (_folder, path) = journal().await;
    let mode: String = Connection::open(path)
        .unwrap()
        .pragma_query_value(None, "journal_mode", |row| row.get(0))
        .unwrap();
    assert_eq!(mode, "wal");
}

#[tokio::test]
async fn a_missing_folder_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("missing/journal.sqlite");
    let error = SqliteJournal::open(&path).await.unwrap_err();
    assert!(matches!(error, SchedulerError::Journal { .. }), "{error}");
    assert!(error.to_string().contains("missing/journal.sqlite"), "{error}");
}

#[tokio::test]
async fn a_newer_journal_is_refused() {
    let (_folder, path) = journal().await;
    let connection = Connection::open(&path).unwrap();
    connection.pragma_update(None, "user_version", 99).unwrap();
    drop(connection);
    let text = refused(&path).await;
    assert!(text.contains("newer") && text.contains("99"), "{text}");
}

#[tokio::test]
async fn what_is_no_journal_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("analysis.ipynb");
    fs::write(
        &path,
        r#"{"cells": [], "metadata": {}, "nbformat": 4, "nbformat_minor": 5}"#.repeat(100),
    )
    .unwrap();
    refused(&path).await;
}

#[tokio::test]
async fn the_database_of_another_program_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("places.sqlite");
    let connection = Connection::open(&path).unwrap();
    connection.execute_batch("CREATE TABLE places (name TEXT)").unwrap();
    drop(connection);
    let text = refused(&path).await;
    assert!(text.contains("another program"), "{text}");
}

/// A journal of several pages, of which one is not what it was.
async fn damaged() -> (TempDir, PathBuf) {
    let (folder, path) = journal().await;
    let journal = SqliteJournal::open(&path).await.unwrap();
    for number in 0..2000 {
        let change = Entry::Changed(Change::Deleted(vec!["name".repeat(20); number % 3]));
        journal.append(&"s".into(), [change].into()).await.unwrap();
    }
    drop(journal);
    let mut bytes = fs::read(&path).unwrap();
    let half = bytes.len() / 2 / 4096 * 4096;
    bytes[half..half + 4096].fill(0xa5);
    fs::write(&path, bytes).unwrap();
    (folder, path)
}

#[tokio::test]
async fn a_damaged_journal_is_moved_aside() {
    let (folder, path) = damaged().await;
    let damaged = fs::read(&path).unwrap();
    let journal = SqliteJournal::open(&path).await.unwrap();
    let aside = folder.path().join("journal.sqlite.corrupt-1");
    assert_eq!(journal.moved_aside(), Some(&*aside));
    assert_eq!(fs::read(&aside).unwrap(), damaged);
    assert_eq!(journal.load(&"s".into()).await.unwrap(), None);
    append(&journal, 2).await;
    drop(journal);
    let journal = SqliteJournal::open(&path).await.unwrap();
    assert_eq!(journal.moved_aside(), None);
    assert!(journal.load(&"s".into()).await.unwrap().is_some());
}

#[tokio::test]
async fn a_truncated_journal_is_moved_aside_under_a_free_name() {
    let (folder, path) = damaged().await;
    fs::write(folder.path().join("journal.sqlite.corrupt-1"), "older").unwrap();
    let bytes = fs::read(&path).unwrap();
    fs::write(&path, &bytes[..5000]).unwrap();
    let journal = SqliteJournal::open(&path).await.unwrap();
    let aside = folder.path().join("journal.sqlite.corrupt-2");
    assert_eq!(journal.moved_aside(), Some(&*aside));
    assert_eq!(
        fs::read(folder.path().join("journal.sqlite.corrupt-1")).unwrap(),
        b"older"
    );
}

#[tokio::test]
async fn two_have_it_open() {
    let (_folder, path) = journal().await;
    let one = SqliteJournal::open(&path).await.unwrap();
    let other = SqliteJournal::open(&path).await.unwrap();
    let write = async |journal: &SqliteJournal| {
        for epoch in 0..50 {
            append(journal, epoch).await;
        }
    };
    futures_util::join!(write(&one), write(&other));
    let logged = one.load(&"s".into()).await.unwrap().unwrap();
    assert_eq!(logged.changes.len(), 101);
}

#[tokio::test]
async fn two_make_it_at_the_same_time() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("journal.sqlite");
    let opened = futures_util::future::join_all((0..4).map(|_| SqliteJournal::open(&path))).await;
    for journal in &opened {
        append(journal.as_ref().unwrap(), 1).await;
    }
}

#[tokio::test]
async fn what_was_not_written_by_us_is_named() {
    let (_folder, path) = journal().await;
    let journal = SqliteJournal::open(&path).await.unwrap();
    let connection = Connection::open(&path).unwrap();
    connection.execute("UPDATE changes SET change = '{'", []).unwrap();
    let error = journal.load(&"s".into()).await.unwrap_err();
    assert!(matches!(error, SchedulerError::CorruptJournal { .. }), "{error}");
    assert!(error.to_string().contains("journal.sqlite"), "{error}");
}
