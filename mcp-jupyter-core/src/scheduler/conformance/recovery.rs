//! What is known of runs, also after the scheduler was gone.

use std::time::Duration;

use super::Fixture;
use super::list_cases;
use super::scene::{CHAIN, Driver, Scene, error, ids, raised, report, targets};
use crate::scheduler::{
    Dispatch, Mode, Observation, OnError, Outcome, PlanRequest, Report, RunEnd, RunRecord, SchedulerError,
    StartRequest, Step,
};

list_cases! {
    runs_listed: "every run is listed with its request, its plan, its executions and its end, oldest first",
    forget_session: "a session that is forgotten is unknown, and begins anew",
    forget_while_running: "forgetting a session cancels its runs",
    forget_unknown: "forgetting what is not known is no error",
    reopen_fresh: "what was executed is fresh after a crash, on the same kernel process",
    reopen_new_kernel: "and stale on a new one",
    reopen_after_many: "a long run is known as well as a short one",
    reopen_running: "a run without an end is lost, its cell in flight as well, and nothing is executed twice",
    reopen_waiting: "so is a run that waited",
    reopen_between: "which cells had ended is known",
    reopen_and_report: "a report that comes after the crash is refused",
    reopen_synced: "the cells are known as they were synced last, also with one in flight",
    reopen_surprised: "what was seen of cells and their code does not show is known after a crash",
    reopen_twice: "recovering twice changes nothing",
    resume_in_flight: "a run that is taken up waits for its cell in flight, and goes on as if nothing had happened",
    resume_failed: "a cell in flight that has failed ends it as any other",
    resume_lost: "so does one that nobody knows about",
    resume_between: "with nothing in flight it goes on with the next cell",
    resume_waiting: "a run that waited goes on waiting",
    resume_twice: "a run is taken up once in a life, and in every life again",
    resume_edited: "cells may have been edited: what was executed is what had been dispatched",
    resume_and_cancel: "a run that was taken up can be cancelled",
    resume_cancelled: "a run that was cancelled in a cell ends with that cell",
    resume_late: "the deadline of a run stays where it was",
    resume_without_repeating: "whatever the mode, what the run had executed is not executed again",
    resume_on_a_new_kernel: "a new kernel makes everything stale, as ever",
    resume_unknown: "a session that is not known has nothing to take up",
}

async fn runs_listed(fixture: &dyn Fixture) {
    let scene = Scene::new(fixture, &CHAIN).await;
    let request = StartRequest {
        plan: targets(&["b"]),
        on_error: OnError::Continue,
        ..StartRequest::default()
    };
    let first = scene.start(request.clone()).await;
    let (first_id, first_plan) = (first.run.run_id.clone(), first.run.plan.clone());
    first.finish().await;
    let mut second = scene.start_run().await;
    let in_flight = second.dispatch_of("c").await;
    let [one, other] = <[_; 2]>::try_from(scene.runs().await).expect("there are two runs");
    assert_eq!((one.run_id, one.request, one.plan), (first_id, request, first_plan));
    let executed: Vec<_> = one.executions.iter().map(|(cell, ..)| cell.id.as_str()).collect();
    assert_eq!(executed, ["a", "b"]);
    assert_eq!(one.executions[0].2, Some(Outcome::Ok));
    assert_eq!(one.end, Some(RunEnd::Completed));
    assert_eq!(other.run_id, second.run.run_id);
    assert_eq!(other.executions, [(in_flight.cell, 1, None)]);
    assert_eq!(other.end, None);
}

async fn forget_session(fixture: &dyn Fixture) {
    let scene = Scene::executed(fixture, &CHAIN).await;
    let run = scene.runs().await.remove(0).run_id;
    let forgotten = scene.scheduler.forget(&scene.session).await;
    forgotten.expect("a session can be forgotten");
    let status = error(scene.scheduler.status(&scene.session).await);
    assert!(matches!(status, SchedulerError::NoSuchSession { .. }), "{status}");
    let cancelled = error(scene.scheduler.cancel(&run).await);
    assert!(matches!(cancelled, SchedulerError::NoSuchRun { .. }), "{cancelled}");
    scene.sync(&CHAIN).await;
    assert_eq!(scene.stale().await, ["a", "b", "c"]);
    assert!(scene.runs().await.is_empty());
}

async fn forget_while_running(fixture: &dyn Fixture) {
    let scene = Scene::new(fixture, &CHAIN).await;
    let mut active = scene.start_run().await;
    let in_flight = active.dispatch_of("a").await;
    let mut waiting = scene.start_run().await;
    let forgotten = scene.scheduler.forget(&scene.session).await;
    forgotten.expect("a session can be forgotten");
    active.expect_end(RunEnd::Cancelled).await;
    waiting.expect_end(RunEnd::Cancelled).await;
    let late = error(scene.scheduler.report(report(&in_flight, Outcome::Ok)).await);
    assert!(matches!(late, SchedulerError::NoSuchRun { .. }), "{late}");
}

async fn forget_unknown(fixture: &dyn Fixture) {
    let scheduler = fixture.scheduler().await;
    for _ in 0..2 {
        let forgotten = scheduler.forget(&"nobody".into()).await;
        forgotten.expect("forgetting again is no error");
    }
}

async fn reopen_fresh(fixture: &dyn Fixture) {
    let scene = Scene::new(fixture, &CHAIN).await;
    scene.epoch(2).await;
    scene.start_plan(targets(&["b"])).await.finish().await;
    let before = scene.status().await;
    let scene = scene.crash(fixture, []).await;
    assert_eq!(scene.status().await, before);
    scene.epoch(2).await;
    assert_eq!(scene.stale().await, ["c"]);
    assert_eq!(scene.runs().await[0].end, Some(RunEnd::Completed));
    assert_eq!(ids(&scene.sync(&CHAIN).await.plan), ["c"]);
    assert_eq!(scene.start_run().await.finish().await.0, ["c"]);
}

async fn reopen_new_kernel(fixture: &dyn Fixture) {
    let scene = Scene::executed(fixture, &CHAIN).await;
    let scene = scene.crash(fixture, []).await;
    scene.epoch(1).await;
    assert_eq!(scene.stale().await, ["a", "b", "c"]);
}

async fn reopen_after_many(fixture: &dyn Fixture) {
    let names: Vec<(String, String)> = (0..300)
        .map(|number| (format!("c{number}"), format!("x{number} = {number}")))
        .collect();
    let cells: Vec<(&str, &str)> = names.iter().map(|(id, source)| (&**id, &**source)).collect();
    let scene = Scene::executed(fixture, &cells).await;
    let scene = scene.crash(fixture, []).await;
    assert!(scene.stale().await.is_empty());
    assert_eq!(scene.runs().await[0].executions.len(), 300);
}

async fn reopen_running(fixture: &dyn Fixture) {
    let scene = Scene::new(fixture, &CHAIN).await;
    let mut run = scene.start_run().await;
    run.execute("a", Outcome::Ok).await;
    run.dispatch_of("b").await;
    let scene = scene.crash(fixture, [run]).await;
    let record = scene.runs().await.remove(0);
    assert_eq!(record.end, Some(RunEnd::Lost));
    assert_eq!(outcomes(&record), [Some(Outcome::Ok), Some(Outcome::Lost)]);
    assert!(scene.status().await.runs.is_empty());
    assert_eq!(scene.stale().await, ["b", "c"]);
    assert_eq!(scene.start_run().await.finish().await.0, ["b", "c"]);
}

fn outcomes(record: &RunRecord) -> Vec<Option<Outcome>> {
    record.executions.iter().map(|(.., outcome)| outcome.clone()).collect()
}

async fn reopen_waiting(fixture: &dyn Fixture) {
    let scene = Scene::new(fixture, &CHAIN).await;
    let mut active = scene.start_run().await;
    active.dispatch_of("a").await;
    let waiting = scene.start_run().await;
    let scene = scene.crash(fixture, [active, waiting]).await;
    let runs = scene.runs().await;
    assert_eq!(runs[1].end, Some(RunEnd::Lost));
    assert_eq!(ids(&runs[1].plan), ["a", "b", "c"]);
    assert!(runs[1].executions.is_empty());
}

async fn reopen_between(fixture: &dyn Fixture) {
    let scene = Scene::new(fixture, &CHAIN).await;
    let request = StartRequest {
        on_error: OnError::Continue,
        ..StartRequest::default()
    };
    let mut run = scene.start(request).await;
    run.execute("a", Outcome::Ok).await;
    run.execute("b", raised()).await;
    let scene = scene.crash(fixture, [run]).await;
    let record = scene.runs().await.remove(0);
    assert_eq!(record.end, Some(RunEnd::Lost));
    assert_eq!(outcomes(&record), [Some(Outcome::Ok), Some(raised())]);
    assert_eq!(scene.stale().await, ["b", "c"]);
}

async fn reopen_and_report(fixture: &dyn Fixture) {
    let scene = Scene::new(fixture, &CHAIN).await;
    let mut run = scene.start_run().await;
    let in_flight = run.dispatch_of("a").await;
    let id = run.run.run_id.clone();
    let scene = scene.crash(fixture, [run]).await;
    let late = error(scene.scheduler.report(report(&in_flight, Outcome::Ok)).await);
    assert!(matches!(late, SchedulerError::InvalidReport { .. }), "{late}");
    let cancelled = scene.scheduler.cancel(&id).await;
    cancelled.expect("cancelling a run that is lost is no error");
    assert_eq!(scene.runs().await[0].end, Some(RunEnd::Lost));
    assert_eq!(scene.stale().await, ["a", "b", "c"]);
}

async fn reopen_synced(fixture: &dyn Fixture) {
    let scene = Scene::new(fixture, &CHAIN).await;
    let mut run = scene.start_run().await;
    let in_flight = run.dispatch_of("a").await;
    let edited = [("a", "x = 1"), ("b", "y = x + 1"), ("c", "z = y"), ("d", "w = z")];
    scene.sync(&edited).await;
    run.report(&in_flight, Outcome::Ok).await;
    run.dispatch_of("b").await;
    scene.sync(&edited[..3]).await;
    let scene = scene.crash(fixture, [run]).await;
    assert_eq!(scene.status().await.cells.len(), 3);
    assert_eq!(scene.stale().await, ["b", "c"]);
    assert_eq!(&*scene.start_run().await.dispatch_of("b").await.source, "y = x + 1");
}

async fn reopen_surprised(fixture: &dyn Fixture) {
    let cells = [("a", "x = 1"), ("b", "y = 2"), ("c", "z = x")];
    let scene = Scene::new(fixture, &cells).await;
    let mut run = scene.start_run().await;
    run.execute("a", Outcome::Ok).await;
    let dispatch = run.dispatch_of("b").await;
    let surprise = Report {
        observation: Some(Observation {
            bound: vec!["x".to_owned()],
            ..Observation::default()
        }),
        ..report(&dispatch, Outcome::Ok)
    };
    let reported = scene.scheduler.report(surprise).await;
    reported.expect("an observation is taken");
    run.finish().await;
    // Another state of the notebook, so that what is kept is not only what was reported.
    scene.sync(&[("a", "x = 1"), ("b", "y = 2"), ("c", "z = x + 1")]).await;
    scene.start_run().await.finish().await;
    let scene = scene.crash(fixture, []).await;
    assert!(scene.stale().await.is_empty());
    scene.epoch(1).await;
    assert_eq!(ids(&scene.plan(targets(&["c"])).await), ["b", "c"]);
}

async fn reopen_twice(fixture: &dyn Fixture) {
    let scene = Scene::new(fixture, &CHAIN).await;
    let mut run = scene.start_run().await;
    run.execute("a", Outcome::Ok).await;
    run.dispatch_of("b").await;
    let scene = scene.crash(fixture, [run]).await;
    let (status, runs) = (scene.status().await, scene.runs().await);
    let scene = scene.crash(fixture, []).await;
    assert_eq!((scene.status().await, scene.runs().await), (status, runs));
}

impl Scene {
    /// Takes up the one run that a crash has left.
    async fn resume(&self) -> (Driver, Option<Dispatch>) {
        let resumed = self.scheduler.resume(&self.session).await;
        let resumed = resumed.expect("the session is known");
        let [resumed] = <[_; 1]>::try_from(resumed).expect("one run was left");
        (self.drive(resumed.run), resumed.in_flight)
    }
}

/// A run with `a` executed and `b` in flight, whose scheduler has crashed and has taken it up again.
async fn resumed(fixture: &dyn Fixture, request: StartRequest) -> (Scene, Driver, Dispatch) {
    let scene = Scene::new(fixture, &CHAIN).await;
    let mut run = scene.start(request).await;
    run.execute("a", Outcome::Ok).await;
    let before = run.dispatch_of("b").await;
    let id = run.run.run_id.clone();
    let scene = scene.crash(fixture, [run]).await;
    let (run, in_flight) = scene.resume().await;
    assert_eq!(run.run.run_id, id);
    let in_flight = in_flight.expect("a cell was in flight");
    assert_eq!((&in_flight.cell, in_flight.attempt), (&before.cell, before.attempt));
    assert_eq!((&in_flight.source, &in_flight.reason), (&before.source, &before.reason));
    (scene, run, in_flight)
}

async fn resume_in_flight(fixture: &dyn Fixture) {
    let (scene, mut run, in_flight) = resumed(fixture, StartRequest::default()).await;
    run.expect_nothing().await;
    run.report(&in_flight, Outcome::Ok).await;
    assert_eq!(run.finish().await, (vec!["c".to_owned()], RunEnd::Completed));
    assert!(scene.stale().await.is_empty());
    let record = scene.runs().await.remove(0);
    assert_eq!(
        outcomes(&record),
        [Some(Outcome::Ok), Some(Outcome::Ok), Some(Outcome::Ok)]
    );
}

async fn resume_failed(fixture: &dyn Fixture) {
    let (scene, mut run, in_flight) = resumed(fixture, StartRequest::default()).await;
    run.report(&in_flight, raised()).await;
    let cell = in_flight.cell;
    run.expect_end(RunEnd::Failed { cell }).await;
    assert_eq!(scene.stale().await, ["b", "c"]);
}

async fn resume_lost(fixture: &dyn Fixture) {
    let (scene, mut run, in_flight) = resumed(fixture, StartRequest::default()).await;
    run.report(&in_flight, Outcome::Lost).await;
    let cell = in_flight.cell;
    run.expect_end(RunEnd::Failed { cell }).await;
    assert_eq!(scene.stale().await, ["b", "c"]);
}

async fn resume_between(fixture: &dyn Fixture) {
    let scene = Scene::new(fixture, &CHAIN).await;
    let mut run = scene.start_run().await;
    run.execute("a", Outcome::Ok).await;
    let scene = scene.crash(fixture, [run]).await;
    let (run, in_flight) = scene.resume().await;
    assert_eq!(in_flight, None);
    assert_eq!(run.finish().await.0, ["b", "c"]);
}

async fn resume_waiting(fixture: &dyn Fixture) {
    let scene = Scene::new(fixture, &CHAIN).await;
    let mut active = scene.start_run().await;
    active.dispatch_of("a").await;
    let waiting = scene.start_plan(targets(&["b"])).await;
    let scene = scene.crash(fixture, [active, waiting]).await;
    let resumed = scene.scheduler.resume(&scene.session).await;
    let [active, waiting] = <[_; 2]>::try_from(resumed.expect("the session is known")).expect("two runs were left");
    assert_eq!(waiting.in_flight, None);
    assert_eq!(waiting.request.plan, targets(&["b"]));
    let (in_flight, mut waiting) = (
        active.in_flight.expect("a cell was in flight"),
        scene.drive(waiting.run),
    );
    waiting.expect_nothing().await;
    let active = scene.drive(active.run);
    active.report(&in_flight, Outcome::Ok).await;
    assert_eq!(active.finish().await.0, ["b", "c"]);
    assert!(
        waiting.finish().await.0.is_empty(),
        "the first run has executed all that the second one wanted"
    );
}

async fn resume_twice(fixture: &dyn Fixture) {
    let (scene, run, _) = resumed(fixture, StartRequest::default()).await;
    let again = scene.scheduler.resume(&scene.session).await;
    assert!(again.expect("the session is known").is_empty());
    let scene = scene.crash(fixture, [run]).await;
    let (run, in_flight) = scene.resume().await;
    run.report(&in_flight.expect("a cell was in flight"), Outcome::Ok).await;
    assert_eq!(run.finish().await.0, ["c"]);
}

async fn resume_edited(fixture: &dyn Fixture) {
    let (scene, run, in_flight) = resumed(fixture, StartRequest::default()).await;
    scene.sync(&[("a", "x = 1"), ("b", "y = x + 1"), ("c", "z = y")]).await;
    assert_eq!(
        &*in_flight.source, "y = x",
        "what was executed is what had been dispatched"
    );
    run.report(&in_flight, Outcome::Ok).await;
    assert_eq!(run.finish().await.0, ["b", "c"]);
}

async fn resume_and_cancel(fixture: &dyn Fixture) {
    let (scene, mut run, in_flight) = resumed(fixture, StartRequest::default()).await;
    run.cancel().await;
    assert!(matches!(run.step().await, Step::Interrupt(_)));
    run.report(&in_flight, Outcome::Interrupted).await;
    run.expect_end(RunEnd::Cancelled).await;
    assert_eq!(scene.stale().await, ["b", "c"]);
}

async fn resume_cancelled(fixture: &dyn Fixture) {
    let scene = Scene::new(fixture, &CHAIN).await;
    let mut run = scene.start_run().await;
    run.dispatch_of("a").await;
    run.cancel().await;
    let scene = scene.crash(fixture, [run]).await;
    expect_stopped(&scene, RunEnd::Cancelled).await;
}

/// Takes up the run, whose cell is to be interrupted, and which ends so.
async fn expect_stopped(scene: &Scene, end: RunEnd) {
    let (mut run, in_flight) = scene.resume().await;
    assert_eq!(run.step().await, Step::Interrupt(run.run.run_id.clone()));
    run.report(&in_flight.expect("a cell was in flight"), Outcome::Interrupted)
        .await;
    run.expect_end(end.clone()).await;
    let record = scene.runs().await.remove(0);
    assert_eq!((record.stopping, record.end), (Some(end.clone()), Some(end)));
}

async fn resume_late(fixture: &dyn Fixture) {
    let request = StartRequest {
        deadline: Some(Duration::from_millis(500)),
        ..StartRequest::default()
    };
    let scene = Scene::new(fixture, &CHAIN).await;
    let mut run = scene.start(request).await;
    run.dispatch_of("a").await;
    let due = scene.runs().await[0].due;
    assert!(due.is_some());
    let scene = scene.crash(fixture, [run]).await;
    let (mut run, _) = scene.resume().await;
    assert_eq!(run.step().await, Step::Interrupt(run.run.run_id.clone()));
    let scene = scene.crash(fixture, [run]).await;
    expect_stopped(&scene, RunEnd::DeadlineExceeded).await;
    assert_eq!(scene.runs().await[0].due, due);
}

async fn resume_without_repeating(fixture: &dyn Fixture) {
    for mode in [Mode::Full, Mode::Incremental] {
        let scene = Scene::executed(fixture, &CHAIN).await;
        let edited = [("a", "x = 2"), ("b", "y = 3"), ("c", "z = 4"), ("d", "w = 5")];
        scene.sync(&edited[..3]).await;
        let plan = PlanRequest {
            mode,
            ..PlanRequest::default()
        };
        let mut run = scene.start_plan(plan).await;
        run.execute("a", Outcome::Ok).await;
        run.dispatch_of("b").await;
        let scene = scene.crash(fixture, [run]).await;
        let (run, in_flight) = scene.resume().await;
        run.report(&in_flight.expect("a cell was in flight"), Outcome::Ok).await;
        assert_eq!(run.finish().await.0, ["c"], "{mode:?}");
        scene
            .scheduler
            .forget(&scene.session)
            .await
            .expect("a session can be forgotten");
    }
}

async fn resume_on_a_new_kernel(fixture: &dyn Fixture) {
    let (scene, run, in_flight) = resumed(fixture, StartRequest::default()).await;
    scene.epoch(1).await;
    run.report(&in_flight, Outcome::Lost).await;
    let cell = in_flight.cell;
    let mut run = run;
    run.expect_end(RunEnd::Failed { cell }).await;
    assert_eq!(scene.stale().await, ["a", "b", "c"]);
}

async fn resume_unknown(fixture: &dyn Fixture) {
    let scheduler = fixture.scheduler().await;
    let unknown = error(scheduler.resume(&"nowhere".into()).await);
    assert!(matches!(unknown, SchedulerError::NoSuchSession { .. }), "{unknown}");
}
