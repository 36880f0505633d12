//! Reports: the same one twice, and wrong ones.

use super::Fixture;
use super::list_cases;
use super::scene::{CHAIN, Scene, error, raised, report};
use crate::scheduler::{Outcome, RunEnd, SchedulerError};

list_cases! {
    report_repeated: "repeating a report has no effect",
    report_differing: "reporting something else about the same execution is an error",
    report_after_end: "both hold after the run has ended",
    report_not_dispatched: "a report about a cell or an attempt that was not dispatched is an error",
}

fn assert_invalid(error: &SchedulerError) {
    assert!(matches!(error, SchedulerError::InvalidReport { .. }), "{error}");
}

async fn report_repeated(fixture: &dyn Fixture) {
    let scene = Scene::new(fixture, &CHAIN).await;
    let mut run = scene.start_run().await;
    let first = run.execute("a", Outcome::Ok).await;
    run.report(&first, Outcome::Ok).await;
    let second = run.dispatch_of("b").await;
    run.report(&first, Outcome::Ok).await;
    run.report(&second, Outcome::Ok).await;
    run.execute("c", Outcome::Ok).await;
    run.expect_end(RunEnd::Completed).await;
    assert_eq!(scene.runs().await[0].executions.len(), 3);
}

async fn report_differing(fixture: &dyn Fixture) {
    let scene = Scene::new(fixture, &CHAIN).await;
    let mut run = scene.start_run().await;
    let first = run.execute("a", Outcome::Ok).await;
    assert_invalid(&error(scene.scheduler.report(report(&first, raised())).await));
    assert_eq!(run.finish().await.1, RunEnd::Completed);
    assert!(scene.stale().await.is_empty());
}

async fn report_after_end(fixture: &dyn Fixture) {
    let scene = Scene::new(fixture, &CHAIN[..1]).await;
    let mut run = scene.start_run().await;
    let only = run.execute("a", Outcome::Ok).await;
    run.expect_end(RunEnd::Completed).await;
    run.report(&only, Outcome::Ok).await;
    assert_invalid(&error(scene.scheduler.report(report(&only, Outcome::Lost)).await));
}

async fn report_not_dispatched(fixture: &dyn Fixture) {
    let scene = Scene::new(fixture, &CHAIN).await;
    let mut run = scene.start_run().await;
    let dispatch = run.dispatch_of("a").await;
    let mut other_cell = report(&dispatch, Outcome::Ok);
    other_cell.cell = "b".into();
    assert_invalid(&error(scene.scheduler.report(other_cell).await));
    let mut other_attempt = report(&dispatch, Outcome::Ok);
    other_attempt.attempt = 2;
    assert_invalid(&error(scene.scheduler.report(other_attempt).await));
    run.report(&dispatch, Outcome::Ok).await;
    assert_eq!(run.finish().await.0, ["b", "c"]);
}
