//! When the notebook is saved, and what is in the file.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use mcp_jupyter_core::ErrorKind;
use mcp_jupyter_core::engine::{Engine, RunEvent, RunOutcome, RunRequest, Save, SavePolicy, StopCause};
use mcp_jupyter_core::kernel::memory::{Gate, MemoryProvisioner, Reaction};
use mcp_jupyter_core::session::notebook::Notebook;

use crate::scene::{request, run};

fn saved(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap_or_default()
}

fn with_save(provisioner: &MemoryProvisioner, sources: &[&str], path: &Path, policy: SavePolicy) -> RunRequest {
    let mut request = request(provisioner, sources);
    request.save = Some(Save {
        path: path.to_owned(),
        policy,
    });
    request
}

#[tokio::test(start_paused = true)]
async fn the_file_is_the_notebook_at_the_end_of_any_run() {
    let endings = [
        "print done",
        "print done\nraise ValueError no",
        "print done\nkill 9",
        "print done\nhang",
    ];
    for policy in [
        SavePolicy::EveryCell,
        SavePolicy::OnExit,
        SavePolicy::Interval(Duration::from_secs(1)),
    ] {
        for ending in endings {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("out.ipynb");
            let provisioner = MemoryProvisioner::new();
            let mut request = with_save(&provisioner, &["print first", ending, "print last"], &path, policy);
            request.cell_timeout = Some(Duration::from_secs(90));
            let (_, finished) = run(&provisioner, request).await;
            assert_eq!(
                std::fs::read(&path).unwrap(),
                finished.notebook.to_bytes(),
                "{policy:?} {ending}"
            );
            assert!(saved(&path).contains("done"), "{policy:?} {ending}");
        }
    }
}

/// Runs three cells of which the last waits; tells which texts are in the file while it does.
async fn saved_while_the_last_cell_waits(policy: SavePolicy, wait: Duration) -> [bool; 3] {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("out.ipynb");
    let gate = Gate::new();
    let last = [Reaction::stdout("third"), Reaction::Wait(gate.clone())];
    let provisioner = MemoryProvisioner::new().with_response("last", last);
    let request = with_save(&provisioner, &["print first", "print second", "last"], &path, policy);
    let mut run = Engine::new(Arc::new(provisioner)).run(request).unwrap();
    gate.reached().await;
    tokio::time::sleep(wait).await;
    let text = saved(&path);
    gate.open();
    while run.next().await.is_some() {}
    ["first\\n", "second\\n", "\"third\""].map(|wanted| text.contains(wanted))
}

#[tokio::test(start_paused = true)]
async fn every_cell_is_saved_when_it_has_ended_and_a_long_one_before() {
    let early = saved_while_the_last_cell_waits(SavePolicy::EveryCell, Duration::from_secs(10)).await;
    assert_eq!(early, [true, true, false]);
    let policy = SavePolicy::EveryCell;
    assert_eq!(
        saved_while_the_last_cell_waits(policy, Duration::from_secs(31)).await,
        [true, true, true]
    );
}

#[tokio::test(start_paused = true)]
async fn an_interval_saves_when_it_has_passed() {
    let policy = SavePolicy::Interval(Duration::from_secs(10));
    assert_eq!(
        saved_while_the_last_cell_waits(policy, Duration::from_secs(9)).await,
        [false, false, false]
    );
    assert_eq!(
        saved_while_the_last_cell_waits(policy, Duration::from_secs(11)).await,
        [true, true, true]
    );
}

#[tokio::test(start_paused = true)]
async fn on_exit_nothing_is_written_before_the_end() {
    let policy = SavePolicy::OnExit;
    assert_eq!(
        saved_while_the_last_cell_waits(policy, Duration::from_secs(1000)).await,
        [false, false, false]
    );
}

#[tokio::test(start_paused = true)]
async fn an_aborted_run_saves_what_it_has() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("out.ipynb");
    let provisioner = MemoryProvisioner::new();
    let request = with_save(&provisioner, &["print partial\nhang"], &path, SavePolicy::OnExit);
    let mut run = Engine::new(Arc::new(provisioner)).run(request).unwrap();
    let control = run.control();
    while let Some(event) = run.next().await {
        if matches!(event, RunEvent::Output { .. }) {
            control.abort(StopCause::Terminate);
        }
    }
    assert!(saved(&path).contains("partial"));
}

#[tokio::test(start_paused = true)]
async fn a_place_that_cannot_be_written_is_refused_before_anything_starts() {
    let folder = tempfile::tempdir().unwrap();
    let provisioner = MemoryProvisioner::new();
    let path = folder.path().join("missing").join("out.ipynb");
    let request = with_save(&provisioner, &["print x"], &path, SavePolicy::EveryCell);
    let error = Engine::new(Arc::new(provisioner.clone())).run(request).unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::Io | ErrorKind::NotFound), "{error}");
    assert!(error.to_string().contains("missing"), "{error}");
    assert_eq!(provisioner.running(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_save_that_fails_does_not_stop_the_cells_but_fails_the_run() {
    let outer = tempfile::tempdir().unwrap();
    let folder = outer.path().join("folder");
    std::fs::create_dir(&folder).unwrap();
    let path = folder.join("out.ipynb");
    let gone = folder.clone();
    let provisioner = MemoryProvisioner::new().with_responder(move |code| {
        (code == "vanish").then(|| {
            std::fs::remove_dir_all(&gone).unwrap();
            vec![Reaction::stdout("gone\n")]
        })
    });
    let request = with_save(&provisioner, &["vanish", "print after"], &path, SavePolicy::EveryCell);
    let (_, finished) = run(&provisioner, request).await;
    assert_eq!(finished.summary.cells.len(), 2);
    let Some(RunOutcome::Failed { kind, message }) = &finished.summary.outcome else {
        panic!("{:?}", finished.summary)
    };
    assert_eq!(*kind, ErrorKind::Io);
    assert!(message.contains("out.ipynb"), "{message}");
    assert!(!finished.summary.warnings.is_empty());
}

#[tokio::test(start_paused = true)]
async fn what_is_recorded_of_time_can_be_left_out() {
    let provisioner = MemoryProvisioner::new();
    let (_, timed) = run(&provisioner, request(&provisioner, &["print x"])).await;
    let execution = timed.notebook.cells()[0].metadata().get("execution").unwrap();
    for key in [
        "iopub.status.busy",
        "iopub.execute_input",
        "iopub.status.idle",
        "shell.execute_reply",
    ] {
        assert!(execution.get(key).is_some(), "{execution}");
    }
    let mut request = request(&provisioner, &["print x"]);
    request.record_timing = false;
    let (_, untimed) = run(&provisioner, request).await;
    assert!(untimed.notebook.cells()[0].metadata().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_saved_notebook_opens_as_it_was() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("out.ipynb");
    let provisioner = MemoryProvisioner::new();
    let request = with_save(&provisioner, &["display d x\nprint y"], &path, SavePolicy::EveryCell);
    let (_, finished) = run(&provisioner, request).await;
    let opened = Notebook::open(&path).unwrap();
    assert_eq!(opened.cells()[0].outputs(), finished.notebook.cells()[0].outputs());
}
