//! Runs that end before their time: cancelled, too late, or abandoned.

use std::time::Duration;

use super::Fixture;
use super::list_cases;
use super::scene::{CHAIN, Driver, Scene};
use crate::scheduler::{Outcome, RunEnd, StartRequest, Step};

list_cases! {
    cancel_waiting: "a run that waits and is cancelled is never begun",
    cancel_running: "a run that is cancelled in a cell interrupts it, waits for its report and ends",
    cancel_in_time: "a cell that ends in spite of the interrupt counts as executed",
    cancel_between: "a run that is cancelled between two cells ends at once",
    cancel_ended: "cancelling a run that has ended, or twice, has no effect",
    deadline_waiting: "a run that waits past its deadline is never begun",
    deadline_running: "a cell that runs past the deadline is interrupted",
    deadline_between: "a run that is past its deadline dispatches nothing more",
    deadline_kept: "a run that ends in time does not notice its deadline",
    dropped_waiting: "dropping the steps of a run that waits cancels it",
    dropped_running: "dropping the steps of a run in a cell cancels it, and the cell is lost",
    dropped_start: "giving up on a start leaves no run behind",
    dropped_after_end: "dropping the steps after the end changes nothing",
}

const LIMIT: Duration = Duration::from_millis(500);

async fn start_with_deadline(scene: &Scene) -> Driver {
    let request = StartRequest {
        deadline: Some(LIMIT),
        ..StartRequest::default()
    };
    scene.start(request).await
}

async fn expect_interrupt(run: &mut Driver) {
    assert_eq!(run.step().await, Step::Interrupt(run.run.run_id.clone()));
}

async fn end_of(scene: &Scene, run: usize) -> Option<RunEnd> {
    scene.runs().await[run].end.clone()
}

async fn cancel_waiting(fixture: &dyn Fixture) {
    let scene = Scene::new(fixture, &CHAIN).await;
    let active = scene.start_run().await;
    let mut waiting = scene.start_run().await;
    waiting.cancel().await;
    waiting.expect_end(RunEnd::Cancelled).await;
    assert_eq!(end_of(&scene, 1).await, Some(RunEnd::Cancelled));
    assert_eq!(active.finish().await.1, RunEnd::Completed);
}

async fn cancel_running(fixture: &dyn Fixture) {
    let scene = Scene::new(fixture, &CHAIN).await;
    let mut run = scene.start_run().await;
    run.execute("a", Outcome::Ok).await;
    let in_flight = run.dispatch_of("b").await;
    run.cancel().await;
    expect_interrupt(&mut run).await;
    run.expect_nothing().await;
    assert_eq!(end_of(&scene, 0).await, None);
    run.report(&in_flight, Outcome::Interrupted).await;
    run.expect_end(RunEnd::Cancelled).await;
    assert_eq!(end_of(&scene, 0).await, Some(RunEnd::Cancelled));
    assert_eq!(scene.stale().await, ["b", "c"]);
}

async fn cancel_in_time(fixture: &dyn Fixture) {
    let scene = Scene::new(fixture, &CHAIN).await;
    let mut run = scene.start_run().await;
    let in_flight = run.dispatch_of("a").await;
    run.cancel().await;
    run.report(&in_flight, Outcome::Ok).await;
    run.expect_end(RunEnd::Cancelled).await;
    assert_eq!(scene.stale().await, ["b", "c"]);
}

async fn cancel_between(fixture: &dyn Fixture) {
    let scene = Scene::new(fixture, &CHAIN).await;
    let mut run = scene.start_run().await;
    run.execute("a", Outcome::Ok).await;
    run.cancel().await;
    run.expect_end(RunEnd::Cancelled).await;
}

async fn cancel_ended(fixture: &dyn Fixture) {
    let scene = Scene::new(fixture, &CHAIN).await;
    let mut cancelled = scene.start_run().await;
    cancelled.cancel().await;
    cancelled.cancel().await;
    cancelled.expect_end(RunEnd::Cancelled).await;
    cancelled.cancel().await;
    let completed = scene.start_run().await;
    let id = completed.run.run_id.clone();
    completed.finish().await;
    let again = scene.scheduler.cancel(&id).await;
    again.expect("cancelling a run that has ended is no error");
    assert_eq!(end_of(&scene, 0).await, Some(RunEnd::Cancelled));
    assert_eq!(end_of(&scene, 1).await, Some(RunEnd::Completed));
}

async fn deadline_waiting(fixture: &dyn Fixture) {
    let scene = Scene::new(fixture, &CHAIN).await;
    let mut active = scene.start_run().await;
    let in_flight = active.dispatch_of("a").await;
    let mut waiting = start_with_deadline(&scene).await;
    waiting.expect_end(RunEnd::DeadlineExceeded).await;
    active.report(&in_flight, Outcome::Ok).await;
    assert_eq!(active.finish().await.0, ["b", "c"]);
}

async fn deadline_running(fixture: &dyn Fixture) {
    let scene = Scene::new(fixture, &CHAIN).await;
    let mut run = start_with_deadline(&scene).await;
    let in_flight = run.dispatch_of("a").await;
    expect_interrupt(&mut run).await;
    run.report(&in_flight, Outcome::Interrupted).await;
    run.expect_end(RunEnd::DeadlineExceeded).await;
    assert_eq!(end_of(&scene, 0).await, Some(RunEnd::DeadlineExceeded));
}

async fn deadline_between(fixture: &dyn Fixture) {
    let scene = Scene::new(fixture, &CHAIN).await;
    let mut run = start_with_deadline(&scene).await;
    run.execute("a", Outcome::Ok).await;
    let _ = tokio::time::timeout(LIMIT * 2, std::future::pending::<()>()).await;
    run.expect_end(RunEnd::DeadlineExceeded).await;
}

async fn deadline_kept(fixture: &dyn Fixture) {
    let scene = Scene::new(fixture, &CHAIN).await;
    let run = start_with_deadline(&scene).await;
    assert_eq!(run.finish().await.1, RunEnd::Completed);
}

async fn dropped_waiting(fixture: &dyn Fixture) {
    let scene = Scene::new(fixture, &CHAIN).await;
    let mut active = scene.start_run().await;
    let in_flight = active.dispatch_of("a").await;
    drop(scene.start_run().await);
    assert_eq!(scene.status().await.runs.len(), 1);
    assert_eq!(end_of(&scene, 1).await, Some(RunEnd::Cancelled));
    active.report(&in_flight, Outcome::Ok).await;
    assert_eq!(active.finish().await.1, RunEnd::Completed);
}

async fn dropped_running(fixture: &dyn Fixture) {
    let scene = Scene::new(fixture, &CHAIN).await;
    let mut run = scene.start_run().await;
    run.execute("a", Outcome::Ok).await;
    run.dispatch_of("b").await;
    drop(run);
    assert!(scene.status().await.runs.is_empty());
    let record = scene.runs().await.remove(0);
    assert_eq!(record.end, Some(RunEnd::Cancelled));
    assert_eq!(record.executions[1].2, Some(Outcome::Lost));
    let (executed, end) = scene.start_run().await.finish().await;
    assert_eq!(executed, ["b", "c"]);
    assert_eq!(end, RunEnd::Completed);
}

async fn dropped_start(fixture: &dyn Fixture) {
    let scene = Scene::new(fixture, &CHAIN).await;
    let start = scene.scheduler.start(&scene.session, StartRequest::default());
    let _ = tokio::time::timeout(Duration::ZERO, start).await;
    while !scene.status().await.runs.is_empty() {
        tokio::task::yield_now().await;
    }
    assert_eq!(scene.start_run().await.finish().await.1, RunEnd::Completed);
}

async fn dropped_after_end(fixture: &dyn Fixture) {
    let scene = Scene::executed(fixture, &CHAIN).await;
    assert_eq!(end_of(&scene, 0).await, Some(RunEnd::Completed));
}
