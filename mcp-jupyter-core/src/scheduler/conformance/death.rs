//! Kernels that die, and new ones.

use super::Fixture;
use super::list_cases;
use super::scene::{CHAIN, Driver, Scene, ids, targets};
use crate::model::CellRef;
use crate::scheduler::{KernelEpoch, Mode, OnKernelDeath, Outcome, PlanRequest, RunEnd, StaleKind, StartRequest, Step};

list_cases! {
    death_stops: "the death of the kernel ends the run",
    death_restarts: "where the policy says so, the kernel is restarted and what was lost is executed again",
    death_restarts_so_often: "it is restarted at most as often as the policy says",
    death_and_target: "after a restart, only what is needed is executed again",
    death_and_append: "after a restart, new cells get what they need",
    death_and_cancel: "a run that waits for a new kernel can be cancelled",
    death_noticed_elsewhere: "a kernel that has been restarted already is not restarted again",
    epoch_rises: "a new kernel process makes all cells stale",
    epoch_stays: "telling of the present kernel process, or of an earlier one, changes nothing",
    epoch_rises_in_a_run: "a new kernel process in the middle of a run has it begin again",
    epoch_rises_in_a_cell: "a cell that was in flight when the kernel process changed is executed again",
}

async fn start(scene: &Scene, restarts: u32, plan: PlanRequest) -> Driver {
    let request = StartRequest {
        plan,
        on_kernel_death: OnKernelDeath::Restart(restarts),
        ..StartRequest::default()
    };
    scene.start(request).await
}

async fn expect_restart(run: &mut Driver) {
    assert_eq!(run.step().await, Step::RestartKernel(run.run.run_id.clone()));
}

fn died_in(cell: &str, index: usize) -> RunEnd {
    RunEnd::KernelDied {
        cell: CellRef { id: cell.into(), index },
    }
}

async fn death_stops(fixture: &dyn Fixture) {
    let scene = Scene::new(fixture, &CHAIN).await;
    let mut run = scene.start_run().await;
    run.execute("a", Outcome::Ok).await;
    run.execute("b", Outcome::KernelDied).await;
    run.expect_end(died_in("b", 1)).await;
    assert_eq!(scene.runs().await[0].end, Some(died_in("b", 1)));
}

async fn death_restarts(fixture: &dyn Fixture) {
    let scene = Scene::new(fixture, &CHAIN).await;
    let mut run = start(&scene, 1, PlanRequest::default()).await;
    run.execute("a", Outcome::Ok).await;
    run.execute("b", Outcome::KernelDied).await;
    expect_restart(&mut run).await;
    run.expect_nothing().await;
    scene.epoch(1).await;
    for (cell, attempt) in [("a", 2), ("b", 2), ("c", 1)] {
        assert_eq!(run.execute(cell, Outcome::Ok).await.attempt, attempt, "{cell}");
    }
    run.expect_end(RunEnd::Completed).await;
    assert!(scene.stale().await.is_empty());
}

async fn death_restarts_so_often(fixture: &dyn Fixture) {
    let scene = Scene::new(fixture, &CHAIN).await;
    let mut run = start(&scene, 2, PlanRequest::default()).await;
    for epoch in [1, 2] {
        run.execute("a", Outcome::KernelDied).await;
        expect_restart(&mut run).await;
        scene.epoch(epoch).await;
    }
    run.execute("a", Outcome::KernelDied).await;
    run.expect_end(died_in("a", 0)).await;
}

async fn death_and_target(fixture: &dyn Fixture) {
    let cells = [("a", "x = 1"), ("b", "y = 2"), ("c", "z = x")];
    let scene = Scene::executed(fixture, &cells).await;
    scene.sync(&[("a", "x = 1"), ("b", "y = 2"), ("c", "z = x + 1")]).await;
    let mut run = start(&scene, 1, targets(&["c"])).await;
    run.execute("c", Outcome::KernelDied).await;
    expect_restart(&mut run).await;
    scene.epoch(1).await;
    assert_eq!(run.finish().await.0, ["a", "c"]);
}

async fn death_and_append(fixture: &dyn Fixture) {
    let cells = [("a", "x = 1"), ("b", "y = 2"), ("c", "z = x")];
    let scene = Scene::executed(fixture, &cells[..2]).await;
    scene.sync(&cells).await;
    let append = PlanRequest {
        mode: Mode::Append,
        ..PlanRequest::default()
    };
    let mut run = start(&scene, 1, append).await;
    run.execute("c", Outcome::KernelDied).await;
    expect_restart(&mut run).await;
    scene.epoch(1).await;
    assert_eq!(
        run.finish().await,
        (vec!["a".to_owned(), "c".to_owned()], RunEnd::Completed)
    );
}

async fn death_and_cancel(fixture: &dyn Fixture) {
    let scene = Scene::new(fixture, &CHAIN).await;
    let mut run = start(&scene, 1, PlanRequest::default()).await;
    run.execute("a", Outcome::KernelDied).await;
    expect_restart(&mut run).await;
    run.cancel().await;
    run.expect_end(RunEnd::Cancelled).await;
}

async fn death_noticed_elsewhere(fixture: &dyn Fixture) {
    let scene = Scene::new(fixture, &CHAIN).await;
    let mut run = start(&scene, 1, PlanRequest::default()).await;
    run.execute("a", Outcome::Ok).await;
    let in_flight = run.dispatch_of("b").await;
    scene.epoch(1).await;
    run.report(&in_flight, Outcome::KernelDied).await;
    assert_eq!(run.finish().await.0, ["a", "b", "c"]);
}

async fn epoch_rises(fixture: &dyn Fixture) {
    let scene = Scene::executed(fixture, &CHAIN).await;
    scene.epoch(3).await;
    let status = scene.status().await;
    assert_eq!(status.epoch, KernelEpoch(3));
    assert_eq!(ids(&status.plan), ["a", "b", "c"]);
    let mut planned = status.plan.cells.iter();
    assert!(planned.all(|planned| planned.reason.kind == StaleKind::KernelRestarted));
}

async fn epoch_stays(fixture: &dyn Fixture) {
    let scene = Scene::new(fixture, &CHAIN).await;
    scene.epoch(3).await;
    scene.start_run().await.finish().await;
    for epoch in [3, 2, 0] {
        scene.epoch(epoch).await;
        assert!(scene.stale().await.is_empty());
    }
    assert_eq!(scene.status().await.epoch, KernelEpoch(3));
}

async fn epoch_rises_in_a_run(fixture: &dyn Fixture) {
    let scene = Scene::new(fixture, &CHAIN).await;
    let mut run = scene.start_run().await;
    run.execute("a", Outcome::Ok).await;
    run.execute("b", Outcome::Ok).await;
    scene.epoch(1).await;
    assert_eq!(run.finish().await.0, ["a", "b", "c"]);
    assert!(scene.stale().await.is_empty());
}

async fn epoch_rises_in_a_cell(fixture: &dyn Fixture) {
    let scene = Scene::new(fixture, &CHAIN).await;
    let mut run = scene.start_run().await;
    let in_flight = run.dispatch_of("a").await;
    scene.epoch(1).await;
    run.report(&in_flight, Outcome::Ok).await;
    assert_eq!(run.finish().await.0, ["a", "b", "c"]);
}
