//! Which cells are executed.

use std::sync::Arc;

use mcp_jupyter_core::ErrorKind;
use mcp_jupyter_core::engine::{Engine, OnError, RunEvent, Selection, SkipReason};
use mcp_jupyter_core::kernel::memory::MemoryProvisioner;
use mcp_jupyter_core::scheduler::Target;

use crate::scene::{id, request, run, run_cells, shown};

fn skipped(events: &[RunEvent]) -> Vec<(usize, SkipReason)> {
    let skip = |event: &RunEvent| match event {
        RunEvent::CellSkipped { cell, reason, .. } => Some((cell.index, *reason)),
        _ => None,
    };
    events.iter().filter_map(skip).collect()
}

#[tokio::test(start_paused = true)]
async fn empty_and_tagged_cells_are_skipped_and_not_counted() {
    let provisioner = MemoryProvisioner::new();
    let mut request = request(&provisioner, &["print one", " \n", "print skipped", "print two"]);
    request.notebook.cells_mut()[2].add_tag("skip-execution");
    let (events, finished) = run(&provisioner, request).await;
    assert_eq!(skipped(&events), [(1, SkipReason::Empty), (2, SkipReason::Tagged)]);
    assert!(shown(&finished, 2).is_empty());
    let count = |index: usize| finished.notebook.cells()[index].execution_count();
    assert_eq!((count(0), count(1), count(2), count(3)), (Some(1), None, None, Some(2)));
}

#[tokio::test(start_paused = true)]
async fn a_range_and_tags_narrow_the_run() {
    let provisioner = MemoryProvisioner::new();
    let mut request = request(&provisioner, &["print 0", "print 1", "print 2", "print 3", "print 4"]);
    for (index, tag) in [(0, "good"), (1, "good"), (2, "good"), (2, "slow"), (4, "good")] {
        request.notebook.cells_mut()[index].add_tag(tag);
    }
    request.selection = Selection {
        tags: ["good".to_owned()].into(),
        skip_tags: ["slow".to_owned()].into(),
        from: Some(id(1)),
        to: Some(id(3)),
        resume: false,
    };
    let (events, finished) = run(&provisioner, request).await;
    assert_eq!(
        skipped(&events).iter().map(|(index, _)| *index).collect::<Vec<_>>(),
        [0, 2, 3, 4]
    );
    assert_eq!(finished.summary.cells.len(), 1);
    assert_eq!(shown(&finished, 1), ["stdout: 1\n"]);
}

#[tokio::test(start_paused = true)]
async fn a_selection_that_does_not_fit_starts_nothing() {
    let provisioner = MemoryProvisioner::new();
    for (from, to) in [(Some("nowhere"), None), (Some("c1"), Some("c0"))] {
        let mut request = request(&provisioner, &["print 0", "print 1"]);
        request.selection.from = from.map(Into::into);
        request.selection.to = to.map(Into::into);
        let error = Engine::new(Arc::new(provisioner.clone())).run(request).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidRequest, "{error}");
        assert_eq!(provisioner.running(), 0);
    }
}

#[tokio::test(start_paused = true)]
async fn a_resumed_run_executes_again_what_is_above() {
    let (_, failed) = run_cells(&["x = 1", "missing", "print last"]).await;
    assert!(!failed.summary.is_ok());
    let provisioner = MemoryProvisioner::new();
    let mut request = request(&provisioner, &[]);
    request.notebook = (*failed.notebook).clone();
    request.notebook.cells_mut()[1].set_source("x");
    request.selection.resume = true;
    let (_, finished) = run(&provisioner, request).await;
    assert!(finished.summary.is_ok());
    assert_eq!(shown(&finished, 1), ["result: 1"]);
    assert_eq!(shown(&finished, 2), ["stdout: last\n"]);
    assert!(
        finished.summary.warnings.iter().any(|warning| warning.contains("c1")),
        "{:?}",
        finished.summary.warnings
    );
}

#[tokio::test(start_paused = true)]
async fn where_nothing_is_left_to_resume_no_kernel_is_started() {
    let (_, done) = run_cells(&["print one", "print two"]).await;
    let provisioner = MemoryProvisioner::new();
    let mut request = request(&provisioner, &[]);
    request.notebook = (*done.notebook).clone();
    request.selection.resume = true;
    let (events, finished) = run(&provisioner, request).await;
    assert!(finished.summary.is_ok());
    assert_eq!(skipped(&events), [(0, SkipReason::Fresh), (1, SkipReason::Fresh)]);
    assert!(
        !events
            .iter()
            .any(|event| matches!(event, RunEvent::KernelStarted { .. }))
    );
    assert_eq!(shown(&finished, 0), ["stdout: one\n"]);
}

#[tokio::test(start_paused = true)]
async fn given_parameters_apply_to_whatever_is_selected() {
    let provisioner = MemoryProvisioner::new();
    let mut request = request(&provisioner, &["print injected", "print 1", "print 2"]);
    request.notebook.cells_mut()[0].add_tag("injected-parameters");
    request.selection.from = Some(id(2));
    let (events, finished) = run(&provisioner, request).await;
    assert_eq!(skipped(&events), [(1, SkipReason::NotTargeted)]);
    assert_eq!(finished.summary.cells.len(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_target_is_run_with_what_it_needs() {
    let provisioner = MemoryProvisioner::new();
    let mut request = request(&provisioner, &["a = 1", "b = 2", "a", "b"]);
    request.kernel.spec.language = "python".to_owned();
    request.targets = vec![Target::Cell(id(2))];
    let (events, finished) = run(&provisioner, request).await;
    assert_eq!(
        skipped(&events),
        [(1, SkipReason::NotTargeted), (3, SkipReason::NotTargeted)]
    );
    assert_eq!(shown(&finished, 2), ["result: 1"]);
}

#[tokio::test(start_paused = true)]
async fn a_target_that_does_not_exist_starts_nothing() {
    let provisioner = MemoryProvisioner::new();
    for target in [
        Target::Cell(id(7)),
        Target::Range(id(0), id(7)),
        Target::Tag("none".to_owned()),
    ] {
        let mut request = request(&provisioner, &["print 0"]);
        request.targets = vec![target];
        let error = Engine::new(Arc::new(provisioner.clone())).run(request).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidRequest, "{error}");
    }
    let mut request = request(&provisioner, &["print 0"]);
    request.targets = vec![Target::Cell(id(0))];
    request.selection.resume = true;
    let error = Engine::new(Arc::new(provisioner.clone())).run(request).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidRequest, "{error}");
    assert_eq!(provisioner.running(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_resumed_run_leaves_alone_what_is_completed_and_not_needed() {
    let provisioner = MemoryProvisioner::new();
    let sources = ["a = 1", "b = 2", "b", "a\nmissing", "c = 3", "c"];
    let mut failed = request(&provisioner, &sources);
    failed.kernel.spec.language = "python".to_owned();
    failed.on_error = OnError::ContinueIndependent;
    let (_, failed) = run(&provisioner, failed).await;
    assert!(!failed.summary.is_ok());
    let mut resumed = request(&provisioner, &[]);
    resumed.kernel.spec.language = "python".to_owned();
    resumed.notebook = (*failed.notebook).clone();
    resumed.notebook.cells_mut()[3].set_source("a");
    resumed.selection.resume = true;
    let (events, finished) = run(&provisioner, resumed).await;
    assert!(finished.summary.is_ok());
    let executed = finished.summary.cells.iter().map(|cell| cell.cell.index);
    assert_eq!(executed.collect::<Vec<_>>(), [0, 3]);
    assert_eq!(skipped(&events), [1, 2, 4, 5].map(|index| (index, SkipReason::Fresh)));
    assert_eq!(shown(&finished, 3), ["result: 1"]);
    assert_eq!(shown(&finished, 5), ["result: 3"], "it keeps its output");
    assert!(
        finished.summary.warnings[0].contains("1 of 5"),
        "{:?}",
        finished.summary.warnings
    );
}

#[tokio::test(start_paused = true)]
async fn a_completed_cell_below_a_failed_one_is_executed_again_where_it_depends_on_it() {
    let provisioner = MemoryProvisioner::new();
    let mut failed = request(&provisioner, &["a = 1\nmissing", "a", "b = 1"]);
    failed.kernel.spec.language = "python".to_owned();
    failed.on_error = OnError::Continue;
    let (_, failed) = run(&provisioner, failed).await;
    let mut resumed = request(&provisioner, &[]);
    resumed.kernel.spec.language = "python".to_owned();
    resumed.notebook = (*failed.notebook).clone();
    resumed.notebook.cells_mut()[0].set_source("a = 2");
    resumed.selection.resume = true;
    let (_, finished) = run(&provisioner, resumed).await;
    let executed = finished.summary.cells.iter().map(|cell| cell.cell.index);
    assert_eq!(executed.collect::<Vec<_>>(), [0, 1]);
    assert_eq!(shown(&finished, 1), ["result: 2"]);
}
