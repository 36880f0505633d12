//! Syncing, planning, and runs that go well.

use super::Fixture;
use super::list_cases;
use super::scene::{CHAIN, Driver, Scene, error, ids, notebook, report, targets};
use crate::model::{RunId, SessionId};
use crate::scheduler::{
    Dispatch, KernelEpoch, Mode, Observation, Outcome, PlanRequest, Report, RunEnd, SchedulerError, SkipReason,
    StaleKind, StartRequest, Step, Target,
};

list_cases! {
    sync_begins: "a session begins with its first sync",
    session_unknown: "what is asked of a session that was never synced is an error",
    run_unknown: "a run that does not exist can neither be reported about nor cancelled",
    plan_is_dry: "planning changes nothing",
    plan_unknown_cell: "a target that the notebook does not have is an error",
    run_in_order: "a run executes what its plan says, in notebook order",
    run_one_at_a_time: "the next cell comes after the present one is reported",
    run_nothing: "a run of a fresh notebook ends at once",
    run_edited: "a cell that was edited is executed again, with what depends on it",
    run_target: "a target is executed with what it needs, and nothing else",
    run_full: "a full run executes every cell, each once",
    run_incremental: "an incremental run executes all from the first stale cell on, each once",
    run_append: "an appending run executes new cells only, and is refused where executed ones have changed",
    run_expensive: "an expensive cell is executed only to restore a value for others where that is allowed",
    run_deletes: "the names of a cell that is gone are deleted, and then that is done",
    run_verified: "where a run is to verify, every dispatch says so, and observations are taken",
    run_cut_off: "a cell that leaves the value that it had left before spares those that depend on it",
    run_surprised: "a write that no code shows is told of, and what reads the name is executed again",
    sessions_apart: "two sessions do not wait for each other",
}

async fn sync_begins(fixture: &dyn Fixture) {
    let scheduler = fixture.scheduler().await;
    let synced = scheduler.sync(&"new".into(), notebook(&CHAIN)).await;
    let status = synced.expect("a session begins");
    assert_eq!(status.epoch, KernelEpoch(0));
    assert_eq!(ids(&status.plan), ["a", "b", "c"]);
    assert!(
        status
            .plan
            .cells
            .iter()
            .all(|planned| planned.reason.kind == StaleKind::NeverRun)
    );
    assert!(status.runs.is_empty());
    assert_eq!(scheduler.status(&"new".into()).await.expect("it is known"), status);
}

async fn session_unknown(fixture: &dyn Fixture) {
    let scheduler = fixture.scheduler().await;
    let session: SessionId = "nobody".into();
    let errors = [
        error(scheduler.plan(&session, PlanRequest::default()).await),
        error(scheduler.start(&session, StartRequest::default()).await),
        error(scheduler.status(&session).await),
        error(scheduler.runs(&session).await),
        error(scheduler.kernel_epoch(&session, KernelEpoch(1)).await),
    ];
    for error in errors {
        assert!(
            matches!(&error, SchedulerError::NoSuchSession { session } if session.as_str() == "nobody"),
            "{error}"
        );
    }
}

async fn run_unknown(fixture: &dyn Fixture) {
    let scene = Scene::new(fixture, &CHAIN).await;
    let mut run = scene.start_run().await;
    let mut report = report(&run.dispatch().await, Outcome::Ok);
    report.run_id = RunId::random();
    let cancelled = error(scene.scheduler.cancel(&report.run_id).await);
    assert!(matches!(cancelled, SchedulerError::NoSuchRun { .. }), "{cancelled}");
    let reported = error(scene.scheduler.report(report).await);
    assert!(matches!(reported, SchedulerError::NoSuchRun { .. }), "{reported}");
}

async fn plan_is_dry(fixture: &dyn Fixture) {
    let scene = Scene::new(fixture, &CHAIN).await;
    let before = scene.status().await;
    let planned = scene.plan(PlanRequest::default()).await;
    assert_eq!(planned, scene.plan(PlanRequest::default()).await);
    assert_eq!(before, scene.status().await);
    assert!(scene.runs().await.is_empty());
}

async fn plan_unknown_cell(fixture: &dyn Fixture) {
    let scene = Scene::new(fixture, &CHAIN).await;
    let planned = error(scene.scheduler.plan(&scene.session, targets(&["q"])).await);
    assert!(
        matches!(&planned, SchedulerError::NoSuchCell { cell } if cell.as_str() == "q"),
        "{planned}"
    );
    let request = StartRequest {
        plan: PlanRequest {
            targets: vec![Target::Tag("t".to_owned())],
            ..PlanRequest::default()
        },
        ..StartRequest::default()
    };
    let started = error(scene.scheduler.start(&scene.session, request).await);
    assert!(
        matches!(&started, SchedulerError::NoSuchTag { tag } if tag == "t"),
        "{started}"
    );
    assert!(scene.runs().await.is_empty());
}

async fn run_in_order(fixture: &dyn Fixture) {
    let scene = Scene::new(fixture, &CHAIN).await;
    let mut run = scene.start_run().await;
    assert_eq!(ids(&run.run.plan), ["a", "b", "c"]);
    for (index, (id, source)) in CHAIN.into_iter().enumerate() {
        let dispatch = run.execute(id, Outcome::Ok).await;
        assert_eq!(dispatch.run_id, run.run.run_id);
        assert_eq!(dispatch.cell.index, index);
        assert_eq!(dispatch.attempt, 1);
        assert_eq!(&*dispatch.source, source);
        assert_eq!(dispatch.remaining, 2 - index);
        assert_eq!(dispatch.reason.kind, StaleKind::NeverRun);
        assert!(dispatch.stop_on_error && !dispatch.verify);
    }
    run.expect_end(RunEnd::Completed).await;
    assert!(scene.stale().await.is_empty());
}

async fn run_one_at_a_time(fixture: &dyn Fixture) {
    let scene = Scene::new(fixture, &CHAIN).await;
    let mut run = scene.start_run().await;
    let first = run.dispatch_of("a").await;
    run.expect_nothing().await;
    run.report(&first, Outcome::Ok).await;
    run.dispatch_of("b").await;
}

async fn run_nothing(fixture: &dyn Fixture) {
    let scene = Scene::executed(fixture, &CHAIN).await;
    let mut run = scene.start_run().await;
    assert!(run.run.plan.is_empty());
    assert!(
        run.run
            .plan
            .skipped
            .iter()
            .all(|skipped| skipped.reason == SkipReason::Fresh)
    );
    run.expect_end(RunEnd::Completed).await;
}

async fn run_edited(fixture: &dyn Fixture) {
    let scene = Scene::executed(fixture, &CHAIN).await;
    let status = scene.sync(&[("a", "x = 1"), ("b", "y = x + 1"), ("c", "z = y")]).await;
    assert_eq!(ids(&status.plan), ["b", "c"]);
    let (executed, _) = scene.start_run().await.finish().await;
    assert_eq!(executed, ["b", "c"]);
    assert!(scene.stale().await.is_empty());
}

async fn run_target(fixture: &dyn Fixture) {
    let scene = Scene::new(fixture, &[("a", "x = 1"), ("b", "y = 2"), ("c", "z = x")]).await;
    let (executed, end) = scene.start_plan(targets(&["c"])).await.finish().await;
    assert_eq!(executed, ["a", "c"]);
    assert_eq!(end, RunEnd::Completed);
    assert_eq!(scene.stale().await, ["b"]);
}

async fn run_full(fixture: &dyn Fixture) {
    let scene = Scene::executed(fixture, &CHAIN).await;
    let full = PlanRequest {
        mode: Mode::Full,
        ..PlanRequest::default()
    };
    let (executed, end) = scene.start_plan(full).await.finish().await;
    assert_eq!(executed, ["a", "b", "c"]);
    assert_eq!(end, RunEnd::Completed);
}

async fn run_incremental(fixture: &dyn Fixture) {
    let cells = [("a", "x = 1"), ("b", "y = 2"), ("c", "z = 3")];
    let scene = Scene::executed(fixture, &cells).await;
    scene.sync(&[("a", "x = 1"), ("b", "y = 4"), ("c", "z = 3")]).await;
    let incremental = PlanRequest {
        mode: Mode::Incremental,
        ..PlanRequest::default()
    };
    let mut run = scene.start_plan(incremental).await;
    run.execute("b", Outcome::Ok).await;
    // Planned anew, nothing is stale any more; what was asked for is still all from the first stale cell on.
    scene
        .sync(&[("a", "x = 1"), ("b", "y = 4"), ("c", "z = 3"), ("d", "w = 4")])
        .await;
    let (executed, _) = run.finish().await;
    assert_eq!(executed, ["c", "d"]);
}

async fn run_append(fixture: &dyn Fixture) {
    let scene = Scene::executed(fixture, &CHAIN[..2]).await;
    let append = PlanRequest {
        mode: Mode::Append,
        ..PlanRequest::default()
    };
    scene.sync(&[("a", "x = 2"), ("b", "y = x"), ("c", "z = y")]).await;
    let refused = error(scene.scheduler.plan(&scene.session, append.clone()).await);
    assert!(
        matches!(&refused, SchedulerError::NotAppendable { changed } if changed[0].id.as_str() == "a"),
        "{refused}"
    );
    scene.sync(&CHAIN).await;
    assert_eq!(scene.start_plan(append).await.finish().await.0, ["c"]);
}

async fn run_expensive(fixture: &dyn Fixture) {
    let scene = Scene::executed(fixture, &[("a", "# @expensive\nx = []"), ("b", "x.append(1)")]).await;
    scene.sync(&[("a", "# @expensive\nx = []"), ("b", "x.append(2)")]).await;
    let refused = error(scene.scheduler.start(&scene.session, StartRequest::default()).await);
    assert!(
        matches!(&refused, SchedulerError::ConsentNeeded { cells } if cells.len() == 1 && cells[0].index == 0),
        "{refused}"
    );
    let allowed = PlanRequest {
        allow_expensive: true,
        ..PlanRequest::default()
    };
    assert_eq!(scene.start_plan(allowed).await.finish().await.0, ["a", "b"]);
}

async fn run_deletes(fixture: &dyn Fixture) {
    let scene = Scene::executed(fixture, &CHAIN).await;
    let status = scene.sync(&CHAIN[..2]).await;
    assert!(!status.plan.is_empty());
    let mut run = scene.start_run().await;
    assert_eq!(run.step().await, Step::Delete(vec!["z".to_owned()]));
    run.expect_end(RunEnd::Completed).await;
    assert!(scene.plan(PlanRequest::default()).await.is_empty());
}

async fn run_verified(fixture: &dyn Fixture) {
    let scene = Scene::new(fixture, &CHAIN).await;
    let mut run = start_verified(&scene).await;
    for (cell, name) in [("a", "x"), ("b", "y"), ("c", "z")] {
        assert!(observe(&scene, &mut run, cell, &[name], "").await.verify);
    }
    run.expect_end(RunEnd::Completed).await;
    assert!(scene.stale().await.is_empty());
}

/// The next step is to execute this cell, which binds these names; they are digested where a digest is given.
async fn observe(scene: &Scene, run: &mut Driver, cell: &str, bound: &[&str], digest: &str) -> Dispatch {
    let dispatch = run.dispatch_of(cell).await;
    let names = || bound.iter().map(|name| (*name).to_owned());
    let digested = names().filter(|_| !digest.is_empty());
    let observation = Observation {
        bound: names().collect(),
        digests: digested.map(|name| (name, digest.to_owned())).collect(),
        ..Observation::default()
    };
    let observed = Report {
        observation: Some(observation),
        ..report(&dispatch, Outcome::Ok)
    };
    let reported = scene.scheduler.report(observed).await;
    reported.expect("an observation is taken");
    dispatch
}

async fn start_verified(scene: &Scene) -> Driver {
    let request = StartRequest {
        verify: true,
        ..StartRequest::default()
    };
    scene.start(request).await
}

async fn run_cut_off(fixture: &dyn Fixture) {
    let scene = Scene::new(fixture, &CHAIN).await;
    let mut run = start_verified(&scene).await;
    for (cell, name) in [("a", "x"), ("b", "y"), ("c", "z")] {
        observe(&scene, &mut run, cell, &[name], "one").await;
    }
    run.expect_end(RunEnd::Completed).await;
    scene.sync(&[("a", "x = 2 - 1"), ("b", "y = x"), ("c", "z = y")]).await;
    let mut run = start_verified(&scene).await;
    observe(&scene, &mut run, "a", &["x"], "one").await;
    for cell in ["b", "c"] {
        match run.step().await {
            Step::Skip(skipped) => assert_eq!((skipped.cell.id.as_str(), skipped.reason), (cell, SkipReason::Fresh)),
            step => panic!("{cell} is fresh, not {step:?}"),
        }
    }
    run.expect_end(RunEnd::Completed).await;
}

async fn run_surprised(fixture: &dyn Fixture) {
    let scene = Scene::executed(fixture, &[("a", "x = 1"), ("b", "y = 2"), ("c", "z = x")]).await;
    scene.sync(&[("a", "x = 1"), ("b", "y = 3"), ("c", "z = x")]).await;
    let mut run = start_verified(&scene).await;
    observe(&scene, &mut run, "b", &["x", "y"], "").await;
    match run.step().await {
        Step::Warn(warning) => assert!(warning.contains("(b)") && warning.contains("`x`"), "{warning}"),
        step => panic!("it is told of, not {step:?}"),
    }
    assert_eq!(run.finish().await.0, ["c"]);
    assert!(scene.stale().await.is_empty());
}

async fn sessions_apart(fixture: &dyn Fixture) {
    let one = Scene::new(fixture, &CHAIN).await;
    let other = Scene {
        scheduler: std::sync::Arc::clone(&one.scheduler),
        session: "other".into(),
    };
    other.sync(&[("a", "x = 5")]).await;
    let mut run_of_one = one.start_run().await;
    let in_flight = run_of_one.dispatch_of("a").await;
    let (executed, _) = other.start_run().await.finish().await;
    assert_eq!(executed, ["a"]);
    assert_eq!(one.runs().await.len(), 1);
    assert_eq!(one.stale().await, ["a", "b", "c"]);
    run_of_one.report(&in_flight, Outcome::Ok).await;
    assert!(matches!(run_of_one.step().await, Step::Execute(_)));
}
