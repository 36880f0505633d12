//! Cells that fail.

use super::Fixture;
use super::list_cases;
use super::scene::{CHAIN, Driver, Scene, raised};
use crate::scheduler::{Mode, OnError, Outcome, PlanRequest, RunEnd, SkipReason, StartRequest, Step};

list_cases! {
    error_stops: "a cell that raises ends the run",
    error_of_any_kind_stops: "so does one that was interrupted, took too long, or never came back",
    error_continues: "where errors are allowed, all cells are executed, each once, and the run is completed",
    error_blocks: "where the run goes on with independent cells, those that depend on the failed one are skipped",
    error_blocks_each: "each failed cell blocks what depends on it, and the first one is the run's failure",
    error_in_appended: "an appending run goes on after an error as any other does",
    error_expected: "a cell whose exception is expected has succeeded when it raises",
    error_expected_and_none: "it has when it does not raise, too",
    error_repaired: "a failed cell is executed again by the next run, with what depends on it",
}

/// Two chains side by side: `a`, `c`, `e` and `b`, `d`.
const TWO_CHAINS: [(&str, &str); 5] = [
    ("a", "x = 1"),
    ("b", "p = 2"),
    ("c", "y = x"),
    ("d", "q = p"),
    ("e", "z = y"),
];

async fn start(scene: &Scene, on_error: OnError) -> Driver {
    let request = StartRequest {
        on_error,
        ..StartRequest::default()
    };
    scene.start(request).await
}

fn failed(cell: &str, index: usize) -> RunEnd {
    RunEnd::Failed {
        cell: crate::model::CellRef { id: cell.into(), index },
    }
}

async fn expect_blocked(run: &mut Driver, cell: &str, via: &str) {
    match run.step().await {
        Step::Skip(skipped) => {
            assert_eq!(skipped.cell.id.as_str(), cell);
            assert_eq!(skipped.reason, SkipReason::Blocked);
            assert_eq!(skipped.via, Some(via.into()));
        }
        step => panic!("{cell} is blocked, not {step:?}"),
    }
}

async fn error_stops(fixture: &dyn Fixture) {
    let scene = Scene::new(fixture, &CHAIN).await;
    let mut run = scene.start_run().await;
    run.execute("a", Outcome::Ok).await;
    let dispatch = run.execute("b", raised()).await;
    assert!(dispatch.stop_on_error);
    run.expect_end(failed("b", 1)).await;
    let record = scene.runs().await.remove(0);
    assert_eq!(record.end, Some(failed("b", 1)));
    assert_eq!(record.executions[1].2, Some(raised()));
}

async fn error_of_any_kind_stops(fixture: &dyn Fixture) {
    let scene = Scene::new(fixture, &CHAIN).await;
    for outcome in [Outcome::Interrupted, Outcome::TimedOut, Outcome::Aborted, Outcome::Lost] {
        let mut run = scene.start_run().await;
        run.execute("a", outcome).await;
        run.expect_end(failed("a", 0)).await;
    }
    assert_eq!(scene.stale().await, ["a", "b", "c"]);
}

async fn error_continues(fixture: &dyn Fixture) {
    let scene = Scene::new(fixture, &CHAIN).await;
    let mut run = start(&scene, OnError::Continue).await;
    let dispatch = run.execute("a", raised()).await;
    assert!(!dispatch.stop_on_error);
    run.execute("b", raised()).await;
    run.execute("c", Outcome::Ok).await;
    run.expect_end(RunEnd::Completed).await;
}

async fn error_blocks(fixture: &dyn Fixture) {
    let scene = Scene::new(fixture, &TWO_CHAINS).await;
    let mut run = start(&scene, OnError::ContinueIndependent).await;
    let dispatch = run.execute("a", raised()).await;
    assert!(dispatch.stop_on_error);
    expect_blocked(&mut run, "c", "a").await;
    expect_blocked(&mut run, "e", "a").await;
    run.execute("b", Outcome::Ok).await;
    run.execute("d", Outcome::Ok).await;
    run.expect_end(failed("a", 0)).await;
    assert_eq!(scene.stale().await, ["a", "c", "e"]);
}

async fn error_blocks_each(fixture: &dyn Fixture) {
    let scene = Scene::new(fixture, &TWO_CHAINS).await;
    let mut run = start(&scene, OnError::ContinueIndependent).await;
    run.execute("a", Outcome::Ok).await;
    run.execute("b", raised()).await;
    expect_blocked(&mut run, "d", "b").await;
    run.execute("c", raised()).await;
    expect_blocked(&mut run, "e", "c").await;
    run.expect_end(failed("b", 1)).await;
}

async fn error_in_appended(fixture: &dyn Fixture) {
    let scene = Scene::executed(fixture, &TWO_CHAINS[..2]).await;
    scene.sync(&TWO_CHAINS).await;
    let request = StartRequest {
        plan: PlanRequest {
            mode: Mode::Append,
            ..PlanRequest::default()
        },
        on_error: OnError::ContinueIndependent,
        ..StartRequest::default()
    };
    let mut run = scene.start(request).await;
    run.execute("c", raised()).await;
    expect_blocked(&mut run, "e", "c").await;
    run.execute("d", Outcome::Ok).await;
    run.expect_end(failed("c", 2)).await;
}

async fn error_expected(fixture: &dyn Fixture) {
    let scene = Scene::new(fixture, &[("a", "x = 1"), ("!b", "y = x"), ("c", "z = y")]).await;
    let mut run = scene.start_run().await;
    run.execute("a", Outcome::Ok).await;
    let dispatch = run.execute("b", raised()).await;
    assert!(!dispatch.stop_on_error);
    run.execute("c", Outcome::Ok).await;
    run.expect_end(RunEnd::Completed).await;
    assert!(scene.stale().await.is_empty());
    assert_eq!(scene.runs().await[0].executions[1].2, Some(raised()));
}

async fn error_expected_and_none(fixture: &dyn Fixture) {
    let scene = Scene::executed(fixture, &[("!a", "x = 1"), ("b", "y = x")]).await;
    assert!(scene.stale().await.is_empty());
}

async fn error_repaired(fixture: &dyn Fixture) {
    let scene = Scene::new(fixture, &CHAIN).await;
    let mut run = scene.start_run().await;
    run.execute("a", Outcome::Ok).await;
    run.execute("b", raised()).await;
    run.expect_end(failed("b", 1)).await;
    let (executed, end) = scene.start_run().await.finish().await;
    assert_eq!(executed, ["b", "c"]);
    assert_eq!(end, RunEnd::Completed);
}
