//! Cells that raise.

use mcp_jupyter_core::engine::{CellOutcome, OnError, RunEvent, RunOutcome, SkipReason};
use mcp_jupyter_core::kernel::memory::MemoryProvisioner;

use crate::scene::{id, outcomes, request, run, run_cells, shown};

fn is_error(outcome: &CellOutcome, wanted: &str) -> bool {
    matches!(outcome, CellOutcome::Error { ename, .. } if ename == wanted)
}

#[tokio::test(start_paused = true)]
async fn a_cell_that_raises_ends_the_run() {
    let (_, finished) = run_cells(&["print one\nraise ValueError out of luck", "print two"]).await;
    assert_eq!(shown(&finished, 0), ["stdout: one\n", "error: ValueError: out of luck"]);
    assert!(shown(&finished, 1).is_empty());
    assert_eq!(finished.notebook.cells()[1].execution_count(), None);
    let Some(RunOutcome::CellFailed { cell }) = &finished.summary.outcome else {
        panic!("{:?}", finished.summary)
    };
    assert_eq!((&cell.id, cell.index), (&id(0), 0));
    let failure = finished.summary.failure().unwrap();
    assert!(is_error(&failure.outcome, "ValueError") && !failure.accepted);
}

#[tokio::test(start_paused = true)]
async fn errors_may_be_allowed_for_the_whole_run() {
    let provisioner = MemoryProvisioner::new();
    let mut request = request(&provisioner, &["raise ValueError no", "print on"]);
    request.on_error = OnError::Continue;
    let (_, finished) = run(&provisioner, request).await;
    assert!(finished.summary.is_ok());
    assert!(is_error(outcomes(&finished)[0], "ValueError") && finished.summary.cells[0].accepted);
    assert_eq!(shown(&finished, 1), ["stdout: on\n"]);
}

#[tokio::test(start_paused = true)]
async fn a_tagged_cell_may_raise() {
    let provisioner = MemoryProvisioner::new();
    let mut request = request(
        &provisioner,
        &[
            "raise ValueError expected",
            "raise ValueError unexpected",
            "print never",
        ],
    );
    request.notebook.cells_mut()[0].add_tag("raises-exception");
    let (_, finished) = run(&provisioner, request).await;
    assert!(matches!(&finished.summary.outcome, Some(RunOutcome::CellFailed { cell }) if cell.id == id(1)));
    assert_eq!(
        finished
            .summary
            .cells
            .iter()
            .map(|cell| cell.accepted)
            .collect::<Vec<_>>(),
        [true, false]
    );
}

#[tokio::test(start_paused = true)]
async fn system_exit_is_an_error_like_any_other() {
    let (_, finished) = run_cells(&["raise SystemExit 0", "print never"]).await;
    assert!(matches!(finished.summary.outcome, Some(RunOutcome::CellFailed { .. })));
}

#[tokio::test(start_paused = true)]
async fn a_run_may_go_on_with_what_does_not_depend_on_the_failed_cell() {
    let provisioner = MemoryProvisioner::new();
    let mut request = request(&provisioner, &["a = 1\nmissing", "a", "b = 2", "b", "missing"]);
    // The scripted kernel understands these as Python does.
    request.kernel.spec.language = "Python".to_owned();
    request.on_error = OnError::ContinueIndependent;
    let (events, finished) = run(&provisioner, request).await;
    assert!(matches!(&finished.summary.outcome, Some(RunOutcome::CellFailed { cell }) if cell.id == id(0)));
    let accepted = finished
        .summary
        .cells
        .iter()
        .map(|cell| (cell.cell.index, cell.accepted));
    let expected = [(0, false), (2, true), (3, true), (4, false)];
    assert_eq!(accepted.collect::<Vec<_>>(), expected);
    assert_eq!(shown(&finished, 3), ["result: 2"]);
    let blocked = events.iter().find_map(|event| match event {
        RunEvent::CellSkipped { cell, reason, via } => Some((cell.index, *reason, via.clone())),
        _ => None,
    });
    assert_eq!(blocked, Some((1, SkipReason::Blocked, Some(id(0)))));
    assert_eq!(finished.summary.skipped, 1);
}
