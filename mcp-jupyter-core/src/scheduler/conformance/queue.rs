//! Runs that wait for each other.

use std::time::Duration;

use futures_util::StreamExt;

use super::Fixture;
use super::list_cases;
use super::scene::{CHAIN, Driver, Scene, error};
use crate::scheduler::{Mode, Outcome, PlanRequest, Priority, RunEnd, SchedulerError, SkipReason, StartRequest, Step};

list_cases! {
    queue_in_order: "runs of a session come one after the other, in the order of the calls",
    queue_priority: "interactive runs come before the batch ones that wait, not before the one in progress",
    queue_full: "a queue that is full refuses, and takes runs again when one has ended",
    queue_planned_anew: "a run that has waited skips what the one before has executed",
    queue_status: "the status lists the active run and those that wait, in order",
}

fn full(priority: Priority) -> StartRequest {
    StartRequest {
        plan: PlanRequest {
            mode: Mode::Full,
            ..PlanRequest::default()
        },
        priority,
        ..StartRequest::default()
    }
}

/// Ends the run with its first cell in flight.
async fn cut_short(mut run: Driver) {
    let first = run.dispatch().await;
    run.cancel().await;
    assert!(matches!(run.step().await, Step::Interrupt(_)));
    run.report(&first, Outcome::Interrupted).await;
    run.expect_end(RunEnd::Cancelled).await;
}

async fn queue_in_order(fixture: &dyn Fixture) {
    let scene = Scene::new(fixture, &CHAIN).await;
    let first = scene.start(full(Priority::Batch)).await;
    let mut second = scene.start(full(Priority::Batch)).await;
    let mut third = scene.start(full(Priority::Batch)).await;
    second.expect_nothing().await;
    assert_eq!(first.finish().await.0, ["a", "b", "c"]);
    third.expect_nothing().await;
    assert_eq!(second.finish().await.0, ["a", "b", "c"]);
    assert_eq!(third.finish().await.0, ["a", "b", "c"]);
}

async fn queue_priority(fixture: &dyn Fixture) {
    let scene = Scene::new(fixture, &CHAIN).await;
    let active = scene.start(full(Priority::Batch)).await;
    let mut batch = scene.start(full(Priority::Batch)).await;
    let mut first = scene.start(full(Priority::Interactive)).await;
    let mut second = scene.start(full(Priority::Interactive)).await;
    first.expect_nothing().await;
    cut_short(active).await;
    batch.expect_nothing().await;
    second.expect_nothing().await;
    cut_short(first).await;
    batch.expect_nothing().await;
    cut_short(second).await;
    cut_short(batch).await;
}

async fn queue_full(fixture: &dyn Fixture) {
    let scene = Scene::new(fixture, &CHAIN).await;
    let active = scene.start(full(Priority::Batch)).await;
    let mut queued = Vec::new();
    let refused = loop {
        match scene.scheduler.start(&scene.session, full(Priority::Batch)).await {
            Ok(run) => queued.push(run),
            Err(error) => break error,
        }
        assert!(queued.len() < 10_000, "the queue has a bound");
    };
    assert!(
        matches!(&refused, SchedulerError::QueueFull { waiting, retry_after, .. }
            if *waiting == queued.len() && *retry_after > Duration::ZERO),
        "{refused}"
    );
    assert_eq!(
        scene.runs().await.len(),
        queued.len() + 1,
        "a run that is refused is none"
    );
    cut_short(active).await;
    let started = scene.scheduler.start(&scene.session, full(Priority::Batch)).await;
    assert!(started.is_ok());
    let again = error(scene.scheduler.start(&scene.session, full(Priority::Interactive)).await);
    assert!(matches!(again, SchedulerError::QueueFull { .. }), "{again}");
    drop(queued);
}

async fn queue_planned_anew(fixture: &dyn Fixture) {
    let scene = Scene::new(fixture, &CHAIN).await;
    let first = scene.start_run().await;
    let mut second = scene.start_run().await;
    assert_eq!(second.run.plan.cells.len(), 3);
    first.finish().await;
    for (id, _) in CHAIN {
        match second.step().await {
            Step::Skip(skipped) => {
                assert_eq!(skipped.cell.id.as_str(), id);
                assert_eq!(skipped.reason, SkipReason::Fresh);
            }
            step => panic!("a fresh cell is skipped, not {step:?}"),
        }
    }
    second.expect_end(RunEnd::Completed).await;
}

async fn queue_status(fixture: &dyn Fixture) {
    let scene = Scene::new(fixture, &CHAIN).await;
    let mut active = scene.start(full(Priority::Batch)).await;
    active.dispatch_of("a").await;
    let batch = scene.start(full(Priority::Batch)).await;
    let mut interactive = scene.start(full(Priority::Interactive)).await;
    let expected = [&active, &interactive, &batch].map(|driver| driver.run.run_id.clone());
    assert_eq!(scene.status().await.runs, expected);
    interactive.cancel().await;
    assert_eq!(
        scene.status().await.runs,
        [&active, &batch].map(|driver| driver.run.run_id.clone())
    );
    assert!(matches!(
        interactive.run.steps.next().await,
        Some(Ok(Step::Finished(RunEnd::Cancelled)))
    ));
}
