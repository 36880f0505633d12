//! What is known of runs, also after the scheduler was gone.

use super::Fixture;
use super::list_cases;
use super::scene::{CHAIN, Scene, error, ids, raised, report, targets};
use crate::scheduler::{Observation, OnError, Outcome, Report, RunEnd, RunRecord, SchedulerError, StartRequest};

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
