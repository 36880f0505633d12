//! Notebooks that are edited while they run.

use super::Fixture;
use super::list_cases;
use super::scene::{CHAIN, Scene};
use crate::scheduler::{Mode, Outcome, PlanRequest, RunEnd, Step};

list_cases! {
    sync_adds_below: "a cell that is added in the middle of a run is executed by it",
    sync_adds_above: "so is one above those that have been executed",
    sync_adds_between: "one that is added between them in an incremental run does not bring back what came after it",
    sync_removes: "a cell that is removed before its turn is not executed",
    sync_edits_executed: "a cell that is edited after its turn is executed again, as another attempt",
    sync_edits_waiting: "a cell that is edited before its turn is executed as it is then",
    sync_edits_in_flight: "a cell that is edited while it is executed is executed again",
    sync_removes_in_flight: "a cell that is removed while it is executed can be reported",
    sync_of_the_same: "a sync of the same cells changes nothing",
    sync_again_and_again: "a run ends, however often its cells are edited",
}

async fn sync_adds_below(fixture: &dyn Fixture) {
    let scene = Scene::new(fixture, &CHAIN).await;
    let mut run = scene.start_run().await;
    run.execute("a", Outcome::Ok).await;
    scene
        .sync(&[("a", "x = 1"), ("b", "y = x"), ("n", "w = x"), ("c", "z = y")])
        .await;
    assert_eq!(run.finish().await.0, ["b", "n", "c"]);
}

async fn sync_adds_above(fixture: &dyn Fixture) {
    let scene = Scene::new(fixture, &CHAIN).await;
    let mut run = scene.start_run().await;
    run.execute("a", Outcome::Ok).await;
    scene
        .sync(&[("n", "w = 1"), ("a", "x = 1"), ("b", "y = x"), ("c", "z = y")])
        .await;
    assert_eq!(run.finish().await.0, ["n", "b", "c"]);
}

async fn sync_adds_between(fixture: &dyn Fixture) {
    let scene = Scene::executed(
        fixture,
        &[("a", "x = 1"), ("b", "y = x"), ("c", "x = 2"), ("d", "w = 1")],
    )
    .await;
    scene
        .sync(&[("a", "x = 1"), ("b", "y = x + 1"), ("c", "x = 2"), ("d", "w = 1")])
        .await;
    let incremental = PlanRequest {
        mode: Mode::Incremental,
        ..PlanRequest::default()
    };
    let mut run = scene.start_plan(incremental).await;
    for cell in ["a", "b", "c"] {
        run.execute(cell, Outcome::Ok).await;
    }
    scene
        .sync(&[
            ("a", "x = 1"),
            ("n", "v = 1"),
            ("b", "y = x + 1"),
            ("c", "x = 2"),
            ("d", "w = 1"),
        ])
        .await;
    assert_eq!(run.finish().await.0, ["n", "d"]);
    assert!(scene.stale().await.is_empty());
}

async fn sync_removes(fixture: &dyn Fixture) {
    let scene = Scene::new(fixture, &CHAIN).await;
    let mut run = scene.start_run().await;
    run.execute("a", Outcome::Ok).await;
    scene.sync(&[("a", "x = 1"), ("c", "z = x")]).await;
    match run.step().await {
        Step::Skip(skipped) => assert_eq!(skipped.cell.id.as_str(), "b"),
        step => panic!("the removed cell is skipped, not {step:?}"),
    }
    assert_eq!(run.finish().await.0, ["c"]);
}

async fn sync_edits_executed(fixture: &dyn Fixture) {
    let scene = Scene::new(fixture, &CHAIN).await;
    let mut run = scene.start_run().await;
    run.execute("a", Outcome::Ok).await;
    run.execute("b", Outcome::Ok).await;
    scene.sync(&[("a", "x = 2"), ("b", "y = x"), ("c", "z = y")]).await;
    let again = run.execute("a", Outcome::Ok).await;
    assert_eq!((&*again.source, again.attempt), ("x = 2", 2));
    assert_eq!(run.finish().await.0, ["b", "c"]);
    assert!(scene.stale().await.is_empty());
}

async fn sync_edits_waiting(fixture: &dyn Fixture) {
    let scene = Scene::new(fixture, &CHAIN).await;
    let mut run = scene.start_run().await;
    run.execute("a", Outcome::Ok).await;
    scene.sync(&[("a", "x = 1"), ("b", "y = x + 1"), ("c", "z = y")]).await;
    let edited = run.execute("b", Outcome::Ok).await;
    assert_eq!((&*edited.source, edited.attempt), ("y = x + 1", 1));
    assert_eq!(run.finish().await.0, ["c"]);
}

async fn sync_edits_in_flight(fixture: &dyn Fixture) {
    let scene = Scene::new(fixture, &CHAIN).await;
    let mut run = scene.start_run().await;
    let in_flight = run.dispatch_of("a").await;
    scene.sync(&[("a", "x = 2"), ("b", "y = x"), ("c", "z = y")]).await;
    run.report(&in_flight, Outcome::Ok).await;
    let again = run.execute("a", Outcome::Ok).await;
    assert_eq!((&*again.source, again.attempt), ("x = 2", 2));
    assert_eq!(run.finish().await.0, ["b", "c"]);
    assert!(scene.stale().await.is_empty());
}

async fn sync_removes_in_flight(fixture: &dyn Fixture) {
    let scene = Scene::new(fixture, &CHAIN).await;
    let mut run = scene.start_run().await;
    let in_flight = run.dispatch_of("a").await;
    scene.sync(&[("b", "y = 2"), ("c", "z = y")]).await;
    run.report(&in_flight, Outcome::Ok).await;
    assert_eq!(
        run.finish().await,
        (vec!["b".to_owned(), "c".to_owned()], RunEnd::Completed)
    );
}

async fn sync_of_the_same(fixture: &dyn Fixture) {
    let scene = Scene::new(fixture, &CHAIN).await;
    let mut run = scene.start_run().await;
    run.execute("a", Outcome::Ok).await;
    let in_flight = run.dispatch_of("b").await;
    scene.sync(&CHAIN).await;
    run.report(&in_flight, Outcome::Ok).await;
    run.execute("c", Outcome::Ok).await;
    run.expect_end(RunEnd::Completed).await;
}

async fn sync_again_and_again(fixture: &dyn Fixture) {
    let scene = Scene::new(fixture, &CHAIN[..1]).await;
    let mut run = scene.start_run().await;
    for number in 0..10 {
        let in_flight = run.dispatch_of("a").await;
        scene.sync(&[("a", &format!("x = {number} + 2"))]).await;
        run.report(&in_flight, Outcome::Ok).await;
    }
    assert_eq!(run.finish().await, (vec!["a".to_owned()], RunEnd::Completed));
}
