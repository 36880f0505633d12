//! Runs on a kernel that lives on between them.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use futures_util::StreamExt;
use mcp_jupyter_core::ErrorKind;
use mcp_jupyter_core::engine::{
    CellOutcome, Engine, FinishedRun, OnKernelDeath, Run, RunEvent, RunOutcome, Session, SessionRequest, SessionRun,
    SkipReason, StopCause,
};
use mcp_jupyter_core::kernel::memory::{Gate, MemoryProvisioner, Reaction};
use mcp_jupyter_core::model::{Json, JsonMap};
use mcp_jupyter_core::scheduler::{Mode, PlanRequest, StaleKind, Target};
use mcp_jupyter_core::session::notebook::{Cell, Notebook};

use crate::scene::{id, names, notebook, outcomes, shown};

async fn open(provisioner: &MemoryProvisioner) -> Session {
    let request = SessionRequest::new(provisioner.request());
    Engine::new(Arc::new(provisioner.clone())).open(request).await.unwrap()
}

/// A scripted kernel that says it is Python; of that it understands assignments, names, and what tests give it.
fn python() -> MemoryProvisioner {
    let object = |members: [(&str, Json); 1]| Json::from(members.map(own).into_iter().collect::<JsonMap>());
    let info = object([("name", "Python".into())]);
    let provisioner = MemoryProvisioner::new().with_reply(
        "kernel_info_request",
        [own(("language_info", info))].into_iter().collect(),
    );
    provisioner.with_responder(|code| {
        let printed = code.strip_prefix("print(")?.strip_suffix(')')?;
        Some(vec![Reaction::stdout(format!("{printed}\n"))])
    })
}

fn own((key, value): (&str, Json)) -> (String, Json) {
    (key.to_owned(), value)
}

pub(crate) async fn events_of(mut run: Run) -> (Vec<RunEvent>, FinishedRun) {
    let events = run.by_ref().collect().await;
    (events, run.finish().await)
}

async fn run(session: &Session, notebook: impl Into<Arc<Notebook>>) -> (Vec<RunEvent>, FinishedRun) {
    events_of(session.run(notebook, SessionRun::default()).unwrap()).await
}

/// The cells that were executed, and why.
pub(crate) fn executed(events: &[RunEvent]) -> Vec<(usize, StaleKind)> {
    let executed = |event: &RunEvent| match event {
        RunEvent::CellStarted { cell, reason, .. } => Some((cell.index, reason.kind)),
        _ => None,
    };
    events.iter().filter_map(executed).collect()
}

fn with_source(finished: &FinishedRun, index: usize, source: &str) -> Notebook {
    let mut notebook = (*finished.notebook).clone();
    notebook.cells_mut()[index].set_source(source);
    notebook
}

#[tokio::test(start_paused = true)]
async fn a_second_run_executes_what_an_edit_has_made_stale() {
    let session = open(&python()).await;
    let (events, first) = run(&session, notebook(&["x = 1", "y = 2", "x", "y"])).await;
    assert_eq!(
        executed(&events),
        [0, 1, 2, 3].map(|index| (index, StaleKind::NeverRun))
    );
    let (events, second) = run(&session, Arc::clone(&first.notebook)).await;
    assert_eq!(
        names(&events),
        [
            "run_started",
            "cell_skipped",
            "cell_skipped",
            "cell_skipped",
            "cell_skipped",
            "run_finished"
        ]
    );
    assert!(second.summary.is_ok());
    assert_eq!(second.notebook.to_bytes(), first.notebook.to_bytes());
    let (events, third) = run(&session, with_source(&second, 1, "y = 3")).await;
    assert_eq!(executed(&events), [(1, StaleKind::Edited), (3, StaleKind::Upstream)]);
    assert_eq!(shown(&third, 3), ["result: 3"]);
    assert_eq!(shown(&third, 2), ["result: 1"], "it keeps what it has");
    let counts = third.notebook.cells().iter().map(Cell::execution_count);
    assert_eq!(counts.collect::<Vec<_>>(), [Some(1), Some(5), Some(3), Some(6)]);
}

#[tokio::test(start_paused = true)]
async fn modes_and_targets_choose_cells() {
    let session = open(&MemoryProvisioner::new()).await;
    let cells = notebook(&["print 0", "print 1", "print 2"]);
    let choose = |mode, targets| SessionRun {
        mode,
        targets,
        ..SessionRun::default()
    };
    let target = choose(Mode::Smart, vec![Target::Cell(id(1))]);
    let (events, first) = events_of(session.run(cells, target).unwrap()).await;
    assert_eq!(executed(&events).len(), 2);
    assert!(shown(&first, 2).is_empty());
    let full = choose(Mode::Full, Vec::new());
    let (events, _) = events_of(session.run(Arc::clone(&first.notebook), full).unwrap()).await;
    let kinds = executed(&events).into_iter().map(|(_, kind)| kind);
    assert_eq!(
        kinds.collect::<Vec<_>>(),
        [StaleKind::Mode, StaleKind::Mode, StaleKind::NeverRun]
    );
    let nowhere = choose(Mode::Smart, vec![Target::Cell(id(9))]);
    let error = session.run(first.notebook, nowhere).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidRequest);
}

#[tokio::test(start_paused = true)]
async fn a_plan_executes_nothing() {
    let session = open(&python()).await;
    let (_, finished) = run(&session, notebook(&["print(0)", "print(1)"])).await;
    let edited = with_source(&finished, 1, "print(11)");
    let plan = session.plan(&edited, PlanRequest::default()).await.unwrap();
    assert_eq!(plan.cells.len(), 1);
    assert_eq!(plan.cells[0].cell.index, 1);
    session.restart().await.unwrap();
    let plan = session.plan(&edited, PlanRequest::default()).await.unwrap();
    let kinds = plan.cells.iter().map(|planned| planned.reason.kind);
    assert_eq!(kinds.collect::<Vec<_>>(), [StaleKind::KernelRestarted; 2]);
}

#[tokio::test(start_paused = true)]
async fn after_a_restart_everything_is_stale() {
    let session = open(&MemoryProvisioner::new()).await;
    session.restart().await.unwrap();
    let (events, first) = run(&session, notebook(&["x = 1", "x"])).await;
    assert_eq!(executed(&events), [0, 1].map(|index| (index, StaleKind::NeverRun)));
    session.restart().await.unwrap();
    let (events, second) = run(&session, first.notebook).await;
    assert_eq!(
        executed(&events),
        [0, 1].map(|index| (index, StaleKind::KernelRestarted))
    );
    assert_eq!(second.notebook.cells()[0].execution_count(), Some(1));
}

#[tokio::test(start_paused = true)]
async fn what_failed_is_tried_again() {
    let session = open(&python()).await;
    let (_, failed) = run(&session, notebook(&["x = 1", "y", "print(3)"])).await;
    assert!(matches!(failed.summary.outcome, Some(RunOutcome::CellFailed { .. })));
    assert!(failed.notebook.cells()[2].execution_count().is_none());
    let (events, finished) = run(&session, with_source(&failed, 1, "x")).await;
    assert_eq!(executed(&events), [(1, StaleKind::Failed), (2, StaleKind::NeverRun)]);
    assert!(finished.summary.is_ok());
}

/// Dies as often as said when it is asked to, and prints after that.
fn mortal(deaths: usize) -> MemoryProvisioner {
    let died = AtomicUsize::new(0);
    MemoryProvisioner::new().with_responder(move |code| {
        let dies = code == "mortal" && died.fetch_add(1, Ordering::SeqCst) < deaths;
        match code {
            _ if dies => Some(vec![Reaction::signal(9)]),
            "mortal" => Some(vec![Reaction::stdout("alive\n")]),
            _ => None,
        }
    })
}

#[tokio::test(start_paused = true)]
async fn a_dead_kernel_is_restarted_where_the_policy_says_so() {
    let session = open(&mortal(1)).await;
    let policy = SessionRun {
        on_kernel_death: OnKernelDeath::Restart(1),
        ..SessionRun::default()
    };
    let cells = notebook(&["print 0", "mortal", "print 2"]);
    let (events, finished) = events_of(session.run(cells, policy).unwrap()).await;
    assert!(finished.summary.is_ok(), "{:?}", finished.summary);
    let indices = executed(&events).into_iter().map(|(index, _)| index);
    assert_eq!(indices.collect::<Vec<_>>(), [0, 1, 0, 1, 2]);
    assert_eq!(
        names(&events).iter().filter(|name| *name == "kernel_restarted").count(),
        1
    );
    assert!(matches!(outcomes(&finished)[1], CellOutcome::KernelDied { .. }));
    assert_eq!(shown(&finished, 0), ["stdout: 0\n"]);
    assert_eq!(shown(&finished, 1), ["stdout: alive\n"]);
    let counts = finished.notebook.cells().iter().map(Cell::execution_count);
    assert_eq!(counts.collect::<Vec<_>>(), [Some(1), Some(2), Some(3)]);
}

#[tokio::test(start_paused = true)]
async fn a_kernel_that_died_is_restarted_by_the_next_run() {
    let provisioner = mortal(1);
    let session = open(&provisioner).await;
    let (events, died) = run(&session, notebook(&["print 0", "mortal"])).await;
    assert!(matches!(died.summary.outcome, Some(RunOutcome::KernelDied { .. })));
    assert!(!names(&events).contains(&"kernel_restarted".to_owned()));
    let (events, finished) = run(&session, died.notebook).await;
    assert!(finished.summary.is_ok());
    assert_eq!(names(&events)[..2], ["run_started", "kernel_restarted"]);
    assert_eq!(executed(&events).len(), 2);
    assert_eq!(provisioner.running(), 1);
}

#[tokio::test(start_paused = true)]
async fn runs_come_one_after_the_other() {
    let gate = Gate::new();
    let session = open(&MemoryProvisioner::new().with_response("gate", [Reaction::Wait(gate.clone())])).await;
    let cells = Arc::new(notebook(&["gate", "print 1"]));
    let first = session.run(Arc::clone(&cells), SessionRun::default()).unwrap();
    let second = session.run(Arc::clone(&cells), SessionRun::default()).unwrap();
    let third = session.run(cells, SessionRun::default()).unwrap();
    third.control().stop(StopCause::Interrupt);
    let (events, stopped) = events_of(third).await;
    assert_eq!(names(&events), ["run_started", "run_finished"]);
    assert!(matches!(stopped.summary.outcome, Some(RunOutcome::Interrupted { .. })));
    gate.reached().await;
    gate.open();
    assert_eq!(first.finish().await.summary.cells.len(), 2);
    let second = second.finish().await;
    assert!(second.summary.is_ok());
    assert_eq!(second.summary.cells.len(), 0, "the first has done it");
}

#[tokio::test(start_paused = true)]
async fn the_wait_for_other_runs_counts() {
    let session = open(&MemoryProvisioner::new()).await;
    let cells = Arc::new(notebook(&["sleep 10", "print 1"]));
    let first = session.run(Arc::clone(&cells), SessionRun::default()).unwrap();
    let hurried = SessionRun {
        run_timeout: Some(Duration::from_secs(3)),
        ..SessionRun::default()
    };
    let second = session.run(cells, hurried).unwrap().finish().await;
    assert_eq!(second.summary.outcome, Some(RunOutcome::TimedOut { cell: None }));
    assert!(first.finish().await.summary.is_ok());
}

#[tokio::test(start_paused = true)]
async fn a_stopped_run_leaves_the_kernel_alive() {
    let provisioner = python().with_response("wait(x)", [Reaction::Hang]);
    let session = open(&provisioner).await;
    let mut stopped = session
        .run(notebook(&["x = 1", "wait(x)"]), SessionRun::default())
        .unwrap();
    let control = stopped.control();
    while let Some(event) = stopped.next().await {
        if matches!(&event, RunEvent::CellStarted { cell, .. } if cell.index == 1) {
            control.stop(StopCause::Interrupt);
        }
    }
    let stopped = stopped.finish().await;
    assert_eq!(outcomes(&stopped)[1], &CellOutcome::Interrupted);
    let (events, finished) = run(&session, with_source(&stopped, 1, "x")).await;
    assert_eq!(executed(&events), [(1, StaleKind::Failed)]);
    assert_eq!(shown(&finished, 1), ["result: 1"]);
}

#[tokio::test(start_paused = true)]
async fn a_session_ends_its_kernel() {
    let provisioner = MemoryProvisioner::new();
    let session = open(&provisioner).await;
    run(&session, notebook(&["print 1"])).await;
    session.close().await.unwrap();
    assert_eq!(provisioner.running(), 0);
    let dropped = open(&provisioner).await;
    let mut running = dropped.run(notebook(&["hang"]), SessionRun::default()).unwrap();
    while !matches!(running.next().await.unwrap(), RunEvent::CellStarted { .. }) {}
    drop(dropped);
    assert!(matches!(
        running.finish().await.summary.outcome,
        Some(RunOutcome::Interrupted { .. })
    ));
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(provisioner.running(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_later_run_updates_what_an_earlier_one_displays() {
    let provisioner = python()
        .with_response("show('old')", [Reaction::display_as("d", "old")])
        .with_response("update('new')", [Reaction::update_display("d", "new")])
        .with_response("update('newer')", [Reaction::update_display("d", "newer")]);
    let session = open(&provisioner).await;
    let (_, first) = run(&session, notebook(&["show('old')", "print(1)"])).await;
    let (_, second) = run(&session, with_source(&first, 1, "update('new')")).await;
    assert_eq!(shown(&second, 0), ["display: new"]);
    let mut cleared = with_source(&second, 1, "update('newer')");
    cleared.cells_mut()[0].outputs_mut().clear();
    let (_, third) = run(&session, cleared).await;
    assert!(shown(&third, 0).is_empty(), "what the user has cleared is not updated");
}

#[tokio::test(start_paused = true)]
async fn what_a_thread_prints_between_two_runs_goes_to_its_cell() {
    let gate = Gate::new();
    let thread = [Reaction::Wait(gate.clone()), Reaction::stdout("late\n")];
    let provisioner = MemoryProvisioner::new().with_response("thread", [Reaction::Background(thread.to_vec())]);
    let session = open(&provisioner).await;
    let (_, first) = run(&session, notebook(&["print 0", "thread", "print 2"])).await;
    gate.open();
    tokio::time::sleep(Duration::from_secs(1)).await;
    let mut moved = (*first.notebook).clone();
    moved
        .cells_mut()
        .insert(0, Cell::new_markdown("title".into(), "# Title"));
    let (_, second) = run(&session, moved).await;
    assert_eq!(second.summary.cells.len(), 0);
    assert_eq!(shown(&second, 2), ["stdout: late\n"]);
}

#[tokio::test(start_paused = true)]
async fn fresh_cells_are_skipped_with_their_reason() {
    let session = open(&MemoryProvisioner::new()).await;
    let (_, finished) = run(&session, notebook(&["print 0", ""])).await;
    let (events, _) = run(&session, finished.notebook).await;
    let skipped = events.iter().filter_map(|event| match event {
        RunEvent::CellSkipped { reason, .. } => Some(*reason),
        _ => None,
    });
    assert_eq!(skipped.collect::<Vec<_>>(), [SkipReason::Fresh, SkipReason::Empty]);
}
