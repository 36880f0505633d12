//! Runs with a scheduler that others use as well, or that fails.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use futures_util::StreamExt;
use mcp_jupyter_core::ErrorKind;
use mcp_jupyter_core::engine::{CellOutcome, Engine, RunEvent, RunOutcome, SessionRequest, SessionRun};
use mcp_jupyter_core::kernel::memory::MemoryProvisioner;
use mcp_jupyter_core::model::{RunId, SessionId};
use mcp_jupyter_core::scheduler::{
    Document, KernelEpoch, LocalScheduler, MemoryJournal, Plan, PlanRequest, Report, ResumedRun, RunEnd, RunRecord,
    Scheduler, SchedulerError, SessionStatus, StaleKind, StartRequest, StartedRun,
};

use crate::scene::{names, notebook, outcomes, request};
use crate::sessions::{events_of, executed};

fn scheduler() -> LocalScheduler {
    LocalScheduler::new(Arc::new(MemoryJournal::new()))
}

#[tokio::test(start_paused = true)]
async fn a_run_that_is_cancelled_elsewhere_is_interrupted() {
    let scheduler = Arc::new(scheduler());
    let provisioner = MemoryProvisioner::new();
    let engine =
        Engine::new(Arc::new(provisioner.clone())).with_scheduler(Arc::clone(&scheduler) as Arc<dyn Scheduler>);
    let id = SessionId::from("named");
    let request = SessionRequest {
        id: Some(id.clone()),
        ..SessionRequest::new(provisioner.request())
    };
    let session = engine.open(request.clone()).await.unwrap();
    let mut running = session
        .run(notebook(&["print 0", "hang"]), SessionRun::default())
        .unwrap();
    let mut run_id = None;
    while let Some(event) = running.next().await {
        match event {
            RunEvent::RunStarted { run_id: id, .. } => run_id = Some(id),
            RunEvent::CellStarted { cell, .. } if cell.index == 1 => {
                scheduler.cancel(run_id.as_ref().unwrap()).await.unwrap();
            }
            _ => {}
        }
    }
    let finished = running.finish().await;
    assert_eq!(outcomes(&finished)[1], &CellOutcome::Interrupted);
    assert!(matches!(finished.summary.outcome, Some(RunOutcome::Interrupted { .. })));
    session.close().await.unwrap();
    let runs = scheduler.runs(&id).await.unwrap();
    assert_eq!(runs.len(), 1, "a session with a name stays in the journal");
    assert_eq!(runs[0].end, Some(RunEnd::Cancelled));
    let reopened = engine.open(request).await.unwrap();
    let again = reopened.run(notebook(&["print 0"]), SessionRun::default()).unwrap();
    let (events, _) = events_of(again).await;
    assert_eq!(executed(&events), [(0, StaleKind::KernelRestarted)]);
    let unnamed = engine.open(SessionRequest::new(provisioner.request())).await.unwrap();
    let id = unnamed.id().clone();
    let run = unnamed.run(notebook(&["print 0"]), SessionRun::default()).unwrap();
    assert!(run.finish().await.summary.is_ok());
    unnamed.close().await.unwrap();
    assert!(scheduler.runs(&id).await.is_err());
}

/// Fails where it is told to: what a service does that goes away.
#[derive(Debug)]
struct Failing {
    inner: LocalScheduler,
    start: bool,
    report: bool,
}

impl Failing {
    fn new(start: bool, report: bool) -> Arc<Self> {
        let inner = scheduler();
        Arc::new(Self { inner, start, report })
    }
}

fn gone(fails: bool) -> Result<(), SchedulerError> {
    let error = || SchedulerError::Journal {
        journal: "afar".to_owned(),
        action: "write".to_owned(),
        source: "it is gone".into(),
    };
    if fails { Err(error()) } else { Ok(()) }
}

impl fmt::Display for Failing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("failing")
    }
}

#[async_trait]
impl Scheduler for Failing {
    async fn sync(&self, session: &SessionId, document: Document) -> Result<SessionStatus, SchedulerError> {
        self.inner.sync(session, document).await
    }

    async fn plan(&self, session: &SessionId, request: PlanRequest) -> Result<Plan, SchedulerError> {
        self.inner.plan(session, request).await
    }

    async fn start(&self, session: &SessionId, request: StartRequest) -> Result<StartedRun, SchedulerError> {
        gone(self.start)?;
        self.inner.start(session, request).await
    }

    async fn resume(&self, session: &SessionId) -> Result<Vec<ResumedRun>, SchedulerError> {
        self.inner.resume(session).await
    }

    async fn report(&self, report: Report) -> Result<(), SchedulerError> {
        gone(self.report)?;
        self.inner.report(report).await
    }

    async fn cancel(&self, run: &RunId) -> Result<(), SchedulerError> {
        self.inner.cancel(run).await
    }

    async fn status(&self, session: &SessionId) -> Result<SessionStatus, SchedulerError> {
        self.inner.status(session).await
    }

    async fn runs(&self, session: &SessionId) -> Result<Vec<RunRecord>, SchedulerError> {
        self.inner.runs(session).await
    }

    async fn forget(&self, session: &SessionId) -> Result<(), SchedulerError> {
        self.inner.forget(session).await
    }

    async fn kernel_epoch(&self, session: &SessionId, epoch: KernelEpoch) -> Result<(), SchedulerError> {
        self.inner.kernel_epoch(session, epoch).await
    }
}

#[tokio::test(start_paused = true)]
async fn a_scheduler_that_fails_ends_the_run() {
    let cases = [
        (Failing::new(true, false), vec!["run_started", "run_finished"]),
        (
            Failing::new(false, true),
            vec![
                "run_started",
                "kernel_started",
                "cell_started",
                "output",
                "cell_finished",
                "run_finished",
            ],
        ),
    ];
    for (scheduler, expected) in cases {
        let provisioner = MemoryProvisioner::new();
        let engine = Engine::new(Arc::new(provisioner.clone())).with_scheduler(scheduler);
        let run = engine.run(request(&provisioner, &["print 0", "print never"])).unwrap();
        let (events, finished) = events_of(run).await;
        assert_eq!(names(&events), expected);
        let Some(RunOutcome::Failed { kind, message }) = finished.summary.outcome else {
            panic!("{:?}", finished.summary)
        };
        assert_eq!((kind, &*message), (ErrorKind::Io, "journal afar: write: it is gone"));
        assert_eq!(provisioner.running(), 0);
    }
}

#[tokio::test(start_paused = true)]
async fn a_session_that_is_forgotten_ends_its_run() {
    let scheduler = Arc::new(scheduler());
    let provisioner = MemoryProvisioner::new();
    let engine =
        Engine::new(Arc::new(provisioner.clone())).with_scheduler(Arc::clone(&scheduler) as Arc<dyn Scheduler>);
    let session = engine.open(SessionRequest::new(provisioner.request())).await.unwrap();
    let mut run = session
        .run(notebook(&["hang", "print never"]), SessionRun::default())
        .unwrap();
    while let Some(event) = run.next().await {
        if let RunEvent::CellStarted { .. } = event {
            scheduler.forget(session.id()).await.unwrap();
        }
    }
    let finished = run.finish().await;
    assert_eq!(outcomes(&finished), [&CellOutcome::Interrupted]);
    let again = session.run(notebook(&["print 0"]), SessionRun::default()).unwrap();
    assert!(again.finish().await.summary.is_ok(), "the session begins anew");
}
