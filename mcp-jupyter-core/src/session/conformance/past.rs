//! Edits, and what a notebook was.

use super::fixture::{Fixture, Folder, open, output, record, result, save};
use super::list_cases;
use crate::model::{CellId, Digest, SessionId};
use crate::session::edit::{Edit, EditBatch};
use crate::session::notebook::Cell;
use crate::session::{CellResult, ExecutionEnd, HistoryQuery, RestoreFrom, SessionError, SessionStore, Version};

list_cases! {
    edited: "edits go into the newest content of the file, together with what is pending",
    edited_stale: "edits of a source that is another one by now are refused with the present one, and nothing is written",
    edited_and_undone: "edits are taken back to the byte",
    deletion_kept: "before a cell is deleted a snapshot is taken",
    history_listed: "executions are listed, the latest first, of one cell, and so many as are asked for",
    history_of_another: "and by whoever opens the store next",
    history_once: "the same execution recorded again is one",
    version_restored: "an execution's source and outputs are brought back",
    cell_restored: "a cell of a snapshot is brought back, also where it was deleted",
    notebook_restored: "a snapshot is brought back, and that taken back",
    restored_unknown: "what is not there is named, and nothing is written",
    snapshot_named: "a snapshot under a name holds what was pending",
    history_forgotten: "the past goes with its session",
}

/// The result of an execution that has ended.
fn ended(cell: &str, source: &str, text: &str, run: &str) -> CellResult {
    CellResult {
        end: Some(ExecutionEnd {
            run_id: run.into(),
            attempt: 1,
            outcome: "ok".to_owned(),
            seconds: 0.5,
            epoch: 3,
            source: source.to_owned(),
        }),
        ..result(cell, source, text)
    }
}

fn replace(cell: &str, source: &str) -> EditBatch {
    EditBatch::from(vec![Edit::ReplaceSource {
        cell: cell.into(),
        source: source.to_owned(),
    }])
}

fn delete(cell: &str) -> EditBatch {
    EditBatch::from(vec![Edit::Delete { cell: cell.into() }])
}

async fn history(store: &dyn SessionStore, id: &SessionId) -> Vec<Version> {
    let listed = store.history(id, HistoryQuery::default()).await;
    listed.expect("the session is known")
}

async fn edited(fixture: &dyn Fixture) {
    let folder = Folder::new();
    let store = fixture.store().await;
    let id = open(&*store, &folder).await.id;
    folder.write(&[("a", "1"), ("b", "by another"), ("c", "3")]);
    record(&*store, &id, vec![result("c", "3", "three")]).await;
    let edited = store.apply(&id, &replace("a", "10")).await.expect("the cell is there");
    let notebook = folder.read();
    assert_eq!(edited.notebook.cells(), notebook.cells());
    let sources: Vec<&str> = notebook.cells().iter().map(Cell::source).collect();
    assert_eq!(sources, ["10", "by another", "3"]);
    assert_eq!(notebook.cells()[2].outputs(), [output("three")]);
    let snapshot = store.snapshot(&id).await.expect("the session is known");
    assert_eq!(snapshot.revision, edited.revision);
}

async fn edited_stale(fixture: &dyn Fixture) {
    let folder = Folder::new();
    let store = fixture.store().await;
    let id = open(&*store, &folder).await.id;
    folder.write(&[("a", "present"), ("b", "2")]);
    let before = folder.bytes();
    let mut batch = replace("a", "10");
    batch.based_on.insert("a".into(), Digest::of(b"1"));
    let error = store.apply(&id, &batch).await.expect_err("the source is another one");
    assert!(matches!(&error, SessionError::Conflict { .. }), "{error:?}");
    assert_eq!(folder.bytes(), before);
}

async fn edited_and_undone(fixture: &dyn Fixture) {
    let folder = Folder::new();
    let store = fixture.store().await;
    let id = open(&*store, &folder).await.id;
    let before = folder.bytes();
    let edited = store.apply(&id, &delete("b")).await.expect("the cell is there");
    assert_ne!(folder.bytes(), before);
    store
        .undo(&id, &edited.applied.undo)
        .await
        .expect("nothing else has changed");
    assert_eq!(folder.bytes(), before);
}

async fn deletion_kept(fixture: &dyn Fixture) {
    let folder = Folder::new();
    let store = fixture.store().await;
    let id = open(&*store, &folder).await.id;
    let before = folder.bytes();
    store.apply(&id, &replace("a", "1")).await.expect("the cell is there");
    let snapshots = || async { store.snapshots(&id).await.expect("the session is known") };
    assert!(snapshots().await.is_empty(), "nothing is gone");
    store.apply(&id, &delete("b")).await.expect("the cell is there");
    let taken = snapshots().await.remove(0);
    let document = store.snapshot_document(&id, taken.seq).await;
    assert_eq!(document.expect("it was taken").to_bytes(), before);
}

async fn history_listed(fixture: &dyn Fixture) {
    let folder = Folder::new();
    let store = fixture.store().await;
    let id = open(&*store, &folder).await.id;
    for (cell, source, run) in [("a", "1", "r1"), ("b", "2", "r1"), ("a", "1", "r2")] {
        record(&*store, &id, vec![ended(cell, source, run, run)]).await;
    }
    record(&*store, &id, vec![result("c", "3", "not ended")]).await;
    let listed = history(&*store, &id).await;
    let told: Vec<(&str, &str)> = listed
        .iter()
        .map(|version| (version.cell.as_str(), version.run_id.as_str()))
        .collect();
    assert_eq!(told, [("a", "r2"), ("b", "r1"), ("a", "r1")]);
    let version = &listed[1];
    assert_eq!(
        (version.source.as_str(), version.outcome.as_str(), version.epoch),
        ("2", "ok", 3)
    );
    assert_eq!(version.outputs, [Digest::of(output("r1").to_string().as_bytes())]);
    let of_a = HistoryQuery {
        cell: Some(CellId::from("a")),
        limit: Some(1),
    };
    let of_a = store.history(&id, of_a).await.expect("the session is known");
    assert_eq!(of_a, listed[..1]);
}

async fn history_of_another(fixture: &dyn Fixture) {
    let folder = Folder::new();
    let store = fixture.store().await;
    let id = open(&*store, &folder).await.id;
    record(&*store, &id, vec![ended("a", "1", "one", "r")]).await;
    let listed = history(&*store, &id).await;
    drop(store);
    assert_eq!(history(&*fixture.again().await, &id).await, listed);
}

async fn history_once(fixture: &dyn Fixture) {
    let folder = Folder::new();
    let store = fixture.store().await;
    let id = open(&*store, &folder).await.id;
    record(&*store, &id, vec![ended("a", "1", "begun", "r")]).await;
    record(&*store, &id, vec![ended("a", "1", "whole", "r")]).await;
    let listed = history(&*store, &id).await;
    assert_eq!(listed.len(), 1);
    assert_eq!(listed[0].outputs, [Digest::of(output("whole").to_string().as_bytes())]);
}

async fn version_restored(fixture: &dyn Fixture) {
    let folder = Folder::new();
    let store = fixture.store().await;
    let id = open(&*store, &folder).await.id;
    record(&*store, &id, vec![ended("a", "1", "one", "r")]).await;
    save(&*store, &id).await;
    let before = folder.bytes();
    let seq = history(&*store, &id).await[0].seq;
    folder.write(&[("a", "another"), ("b", "2"), ("c", "3")]);
    let restored = store.restore(&id, RestoreFrom::Version { seq }).await;
    let restored = restored.expect("it is in the history");
    let notebook = folder.read();
    let cell = &notebook.cells()[0];
    assert_eq!((cell.source(), cell.outputs()), ("1", &[output("one")][..]));
    assert_ne!(folder.bytes(), before, "metadata of the execution is not part of it");
    let back = RestoreFrom::Snapshot {
        seq: restored.before.seq,
        cell: None,
    };
    store.restore(&id, back).await.expect("it was taken");
    assert_eq!(folder.read().cells()[0].source(), "another");
}

async fn cell_restored(fixture: &dyn Fixture) {
    let folder = Folder::new();
    let store = fixture.store().await;
    let id = open(&*store, &folder).await.id;
    let seq = store.keep(&id, "kept").await.expect("the session is known").seq;
    folder.write(&[("a", "10"), ("c", "30")]);
    for cell in ["a", "b"] {
        let cell = Some(CellId::from(cell));
        store
            .restore(&id, RestoreFrom::Snapshot { seq, cell })
            .await
            .expect("it is in the snapshot");
    }
    let notebook = folder.read();
    let sources: Vec<&str> = notebook.cells().iter().map(Cell::source).collect();
    assert_eq!(sources, ["1", "2", "30"]);
}

async fn notebook_restored(fixture: &dyn Fixture) {
    let folder = Folder::new();
    let store = fixture.store().await;
    let id = open(&*store, &folder).await.id;
    let first = folder.bytes();
    let seq = store.keep(&id, "first").await.expect("the session is known").seq;
    folder.write(&[("n", "new")]);
    let second = folder.bytes();
    let restored = store.restore(&id, RestoreFrom::Snapshot { seq, cell: None }).await;
    assert_eq!(folder.bytes(), first);
    let seq = restored.expect("it was taken").before.seq;
    store
        .restore(&id, RestoreFrom::Snapshot { seq, cell: None })
        .await
        .expect("it was taken");
    assert_eq!(folder.bytes(), second);
}

async fn restored_unknown(fixture: &dyn Fixture) {
    let folder = Folder::new();
    let store = fixture.store().await;
    let id = open(&*store, &folder).await.id;
    let seq = store.keep(&id, "kept").await.expect("the session is known").seq;
    let before = folder.bytes();
    let unknown = [
        RestoreFrom::Snapshot {
            seq: seq + 100,
            cell: None,
        },
        RestoreFrom::Version { seq: 100 },
        RestoreFrom::Snapshot {
            seq,
            cell: Some("z".into()),
        },
    ];
    for from in unknown {
        let error = store.restore(&id, from).await.expect_err("it is not there");
        assert!(
            matches!(error, SessionError::InvalidRequest(_) | SessionError::NoSuchCell { .. }),
            "{error:?}"
        );
    }
    assert_eq!(folder.bytes(), before);
}

async fn snapshot_named(fixture: &dyn Fixture) {
    let folder = Folder::new();
    let store = fixture.store().await;
    let id = open(&*store, &folder).await.id;
    record(&*store, &id, vec![result("a", "1", "pending")]).await;
    let kept = store.keep(&id, "mine").await.expect("the session is known");
    assert_eq!(kept.name.as_deref(), Some("mine"));
    drop(store);
    let store = fixture.again().await;
    let known = store.snapshots(&id).await.expect("the session is known");
    assert_eq!(known, std::slice::from_ref(&kept));
    let document = store.snapshot_document(&id, kept.seq).await.expect("it was taken");
    assert_eq!(document.cells()[0].outputs(), [output("pending")]);
}

async fn history_forgotten(fixture: &dyn Fixture) {
    let folder = Folder::new();
    let store = fixture.store().await;
    let id = open(&*store, &folder).await.id;
    record(&*store, &id, vec![ended("a", "1", "one", "r")]).await;
    store.keep(&id, "kept").await.expect("the session is known");
    store.close(&id).await.expect("a session can be forgotten");
    let error = store
        .history(&id, HistoryQuery::default())
        .await
        .expect_err("it is forgotten");
    assert!(matches!(error, SessionError::NoSuchSession { .. }), "{error:?}");
    let again = open(&*store, &folder).await.id;
    assert!(history(&*store, &again).await.is_empty());
}
