use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;

use super::Fixture;
use crate::model::{CellId, SessionId};
use crate::scheduler::{
    CodeCell, Dispatch, Document, Outcome, Plan, PlanRequest, Report, RunEnd, RunRecord, Scheduler, SchedulerError,
    SessionStatus, StartRequest, StartedRun, Step,
};

/// How long nothing has to come before a case is sure that nothing does.
const QUIET: Duration = Duration::from_millis(50);

/// Three cells, each of which needs the one before.
pub(super) const CHAIN: [(&str, &str); 3] = [("a", "x = 1"), ("b", "y = x"), ("c", "z = y")];

/// A notebook with these cells; a `!` before an id stands for the tag `raises-exception`.
pub(super) fn notebook(cells: &[(&str, &str)]) -> Document {
    let cell = |(index, (id, source)): (usize, &(&str, &str))| CodeCell {
        id: id.trim_start_matches('!').into(),
        index,
        source: (*source).into(),
        tags: id
            .starts_with('!')
            .then(|| "raises-exception".to_owned())
            .into_iter()
            .collect(),
    };
    Document {
        language: "python".to_owned(),
        cells: cells.iter().enumerate().map(cell).collect(),
    }
}

/// A scheduler with one session.
pub(super) struct Scene {
    pub(super) scheduler: Arc<dyn Scheduler>,
    pub(super) session: SessionId,
}

impl Scene {
    /// A session of these cells, none of which was executed.
    pub(super) async fn new(fixture: &dyn Fixture, cells: &[(&str, &str)]) -> Self {
        let scene = Self {
            scheduler: fixture.scheduler().await,
            session: "session".into(),
        };
        scene.sync(cells).await;
        scene
    }

    /// The same where all cells were executed.
    pub(super) async fn executed(fixture: &dyn Fixture, cells: &[(&str, &str)]) -> Self {
        let scene = Self::new(fixture, cells).await;
        assert_eq!(scene.start_run().await.finish().await.1, RunEnd::Completed);
        scene
    }

    /// The session after its scheduler was gone in the middle of these runs.
    pub(super) async fn crash<const N: usize>(self, fixture: &dyn Fixture, runs: [Driver; N]) -> Self {
        let session = self.session.clone();
        drop(self);
        // Only after the crash: a stream of steps that is dropped before cancels its run.
        let orphans = runs.map(|driver| driver.run.steps);
        let scheduler = fixture.reopen().await;
        drop(orphans);
        Self { scheduler, session }
    }

    pub(super) async fn sync(&self, cells: &[(&str, &str)]) -> SessionStatus {
        let synced = self.scheduler.sync(&self.session, notebook(cells)).await;
        synced.expect("cells can be synced")
    }

    pub(super) async fn epoch(&self, epoch: u64) {
        let told = self
            .scheduler
            .kernel_epoch(&self.session, crate::scheduler::KernelEpoch(epoch));
        told.await.expect("the session is known");
    }

    pub(super) async fn plan(&self, request: PlanRequest) -> Plan {
        let planned = self.scheduler.plan(&self.session, request).await;
        planned.expect("the request can be planned")
    }

    pub(super) async fn status(&self) -> SessionStatus {
        let status = self.scheduler.status(&self.session).await;
        status.expect("the session is known")
    }

    /// What a smart run would execute.
    pub(super) async fn stale(&self) -> Vec<String> {
        ids(&self.plan(PlanRequest::default()).await)
    }

    pub(super) async fn runs(&self) -> Vec<RunRecord> {
        let runs = self.scheduler.runs(&self.session).await;
        runs.expect("the session is known")
    }

    pub(super) async fn start(&self, request: StartRequest) -> Driver {
        let started = self.scheduler.start(&self.session, request).await;
        self.drive(started.expect("the run is accepted"))
    }

    pub(super) fn drive(&self, run: StartedRun) -> Driver {
        Driver {
            run,
            scheduler: Arc::clone(&self.scheduler),
        }
    }

    pub(super) async fn start_run(&self) -> Driver {
        self.start(StartRequest::default()).await
    }

    pub(super) async fn start_plan(&self, plan: PlanRequest) -> Driver {
        let request = StartRequest {
            plan,
            ..StartRequest::default()
        };
        self.start(request).await
    }
}

/// Does for a run what an engine does.
pub(super) struct Driver {
    pub(super) run: StartedRun,
    scheduler: Arc<dyn Scheduler>,
}

impl Driver {
    /// The next step.
    pub(super) async fn step(&mut self) -> Step {
        let step = self.run.steps.next().await.expect("the run has not ended");
        step.expect("the run can go on")
    }

    /// The next step, which is to execute a cell.
    pub(super) async fn dispatch(&mut self) -> Dispatch {
        match self.step().await {
            Step::Execute(dispatch) => dispatch,
            step => panic!("a cell is executed next, not {step:?}"),
        }
    }

    /// The next step, which is to execute this cell.
    pub(super) async fn dispatch_of(&mut self, cell: &str) -> Dispatch {
        let dispatch = self.dispatch().await;
        assert_eq!(dispatch.cell.id.as_str(), cell, "the cell that is executed next");
        dispatch
    }

    /// The next step is to execute this cell, and this is what comes of it.
    pub(super) async fn execute(&mut self, cell: &str, outcome: Outcome) -> Dispatch {
        let dispatch = self.dispatch_of(cell).await;
        self.report(&dispatch, outcome).await;
        dispatch
    }

    /// Tells what came of a dispatch.
    pub(super) fn report(&self, dispatch: &Dispatch, outcome: Outcome) -> impl Future<Output = ()> + use<> {
        let (scheduler, report) = (Arc::clone(&self.scheduler), report(dispatch, outcome));
        async move {
            let reported = scheduler.report(report).await;
            reported.expect("what was dispatched can be reported");
        }
    }

    /// Nothing comes before something else happens.
    pub(super) async fn expect_nothing(&mut self) {
        let step = tokio::time::timeout(QUIET, self.run.steps.next()).await;
        assert!(step.is_err(), "nothing is to be done now, not {step:?}");
    }

    /// The run ends now, like this.
    pub(super) async fn expect_end(&mut self, end: RunEnd) {
        assert_eq!(self.step().await, Step::Finished(end));
        assert!(self.run.steps.next().await.is_none(), "nothing comes after the end");
    }

    /// Executes all the rest with success: which cells, and how the run ended.
    pub(super) async fn finish(mut self) -> (Vec<String>, RunEnd) {
        let mut executed = Vec::new();
        loop {
            match self.step().await {
                Step::Execute(dispatch) => {
                    self.report(&dispatch, Outcome::Ok).await;
                    executed.push(dispatch.cell.id.as_str().to_owned());
                }
                Step::Delete(_) | Step::Skip(_) | Step::Warn(_) => {}
                Step::Finished(end) => return (executed, end),
                step @ (Step::Interrupt(_) | Step::RestartKernel(_)) => panic!("nobody asked for {step:?}"),
            }
        }
    }

    pub(super) fn cancel(&self) -> impl Future<Output = ()> + use<> {
        let (scheduler, run) = (Arc::clone(&self.scheduler), self.run.run_id.clone());
        async move {
            let cancelled = scheduler.cancel(&run).await;
            cancelled.expect("the run is known");
        }
    }
}

pub(super) fn report(dispatch: &Dispatch, outcome: Outcome) -> Report {
    Report {
        run_id: dispatch.run_id.clone(),
        cell: dispatch.cell.id.clone(),
        attempt: dispatch.attempt,
        outcome,
        observation: None,
        duration: Duration::from_millis(1),
    }
}

/// The outcome of a cell that raises.
pub(super) fn raised() -> Outcome {
    Outcome::Error {
        ename: "ValueError".to_owned(),
        evalue: "no".to_owned(),
    }
}

/// The cells that a plan executes.
pub(super) fn ids(plan: &Plan) -> Vec<String> {
    let cells = plan.cells.iter();
    cells.map(|planned| planned.cell.id.as_str().to_owned()).collect()
}

/// A request for these cells and what they need.
pub(super) fn targets(cells: &[&str]) -> PlanRequest {
    let target = |id: &&str| crate::scheduler::Target::Cell(CellId::from(*id));
    PlanRequest {
        targets: cells.iter().map(target).collect(),
        ..PlanRequest::default()
    }
}

/// The error of a call that has to fail.
pub(super) fn error<T: std::fmt::Debug>(result: Result<T, SchedulerError>) -> SchedulerError {
    result.expect_err("the call fails")
}
