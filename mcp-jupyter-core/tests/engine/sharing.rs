//! Results on their way into a file that others write too.

use std::sync::{Arc, Mutex};

use mcp_jupyter_core::engine::{Engine, SessionRequest, SessionRun};
use mcp_jupyter_core::kernel::memory::{Gate, MemoryProvisioner, Reaction};
use mcp_jupyter_core::session::notebook::{Cell, Durability, Notebook, SharedFile};

use crate::scene::{id, notebook};
use crate::sessions::events_of;

#[tokio::test]
async fn results_are_merged_into_what_an_editor_has_saved() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("in.ipynb");
    let gate = Gate::new();
    let provisioner = MemoryProvisioner::new()
        .with_response("slow", [Reaction::Wait(gate.clone()), Reaction::stdout("slow\n")])
        .with_response("first", [Reaction::stdout("first\n")]);
    let given = notebook(&["first", "slow", "third"]);
    given.save(&path, Durability::Process).unwrap();
    let file = Arc::new(Mutex::new(SharedFile::new(&path)));
    file.lock().unwrap().read().unwrap().unwrap();
    let request = SessionRequest::new(provisioner.request());
    let session = Engine::new(Arc::new(provisioner)).open(request).await.unwrap();
    let run = SessionRun {
        write_back: Some(Arc::clone(&file)),
        ..SessionRun::default()
    };
    let run = session.run(given, run).unwrap();
    gate.reached().await;
    let mut edited = notebook(&["first", "slow", "edited", "new"]);
    edited.cells_mut().swap(0, 3);
    edited.save(&path, Durability::Process).unwrap();
    gate.open();
    events_of(run).await;
    let merged = Notebook::open(&path).unwrap();
    let outputs = |index| merged.cell(&id(index)).unwrap().outputs().len();
    assert_eq!([0, 1, 2, 3].map(outputs), [1, 1, 0, 0]);
    let sources: Vec<_> = merged.cells().iter().map(Cell::source).collect();
    assert_eq!(sources, ["new", "slow", "edited", "first"]);
    assert!(file.lock().unwrap().read().unwrap().is_some(), "the edit is news");
    session.close().await.unwrap();
}

#[tokio::test]
async fn a_file_that_is_no_notebook_does_not_disturb_the_run() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("in.ipynb");
    std::fs::write(&path, "{").unwrap();
    let provisioner = MemoryProvisioner::new();
    let request = SessionRequest::new(provisioner.request());
    let session = Engine::new(Arc::new(provisioner)).open(request).await.unwrap();
    let run = SessionRun {
        write_back: Some(Arc::new(Mutex::new(SharedFile::new(&path)))),
        ..SessionRun::default()
    };
    let run = session.run(notebook(&["print 1"]), run).unwrap();
    let (_, finished) = events_of(run).await;
    assert!(finished.summary.is_ok());
    assert_eq!(std::fs::read(&path).unwrap(), b"{");
    session.close().await.unwrap();
}
