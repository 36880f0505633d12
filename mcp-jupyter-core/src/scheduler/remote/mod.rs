//! A scheduler in another process.

mod client;
mod steps;

use std::fmt;
use std::sync::{Arc, Weak};
use std::time::Duration;

use async_trait::async_trait;

use self::client::Client;
use super::{
    Document, KernelEpoch, Plan, PlanRequest, Report, ResumedRun, RunRecord, Scheduler, SchedulerError, SessionStatus,
    StartRequest, StartedRun,
};
use crate::model::{RunId, SessionId};
use crate::rpc::{ClientSettings, Endpoint, Link, pb, required};

/// How long a service that is away keeps whoever wants to cancel a run, or forget a session.
const CANCEL: Duration = Duration::from_secs(5);

/// Plans and drives runs in a scheduler service.
///
/// The connection comes back by itself, and a run goes on where it was, also if the service was replaced meanwhile by
/// another one over the same journal. What happens while the service is away,
/// [`WhenAway`](crate::rpc::WhenAway) says. Dropping the scheduler is, for its runs, like the crash of this process: another
/// one can take them up by [`Scheduler::resume`]. It needs a tokio runtime.
#[derive(Debug)]
pub struct RemoteScheduler {
    client: Arc<Client>,
    /// Gone with this scheduler, though the steps of its runs may still be there.
    alive: Arc<()>,
}

impl RemoteScheduler {
    /// Connects to the service.
    ///
    /// # Errors
    /// [`SchedulerError::Unavailable`] where nobody answers, [`SchedulerError::Unsupported`] where that is no scheduler
    /// service or one of another time, [`SchedulerError::Denied`] where it does not let us in.
    pub async fn connect(endpoint: Endpoint, settings: &ClientSettings) -> Result<Self, SchedulerError> {
        Self::open(endpoint, settings, false).await
    }

    /// Connects to the service only to look: what a crash has left stays for whoever takes it up.
    ///
    /// # Errors
    /// As [`RemoteScheduler::connect`].
    pub async fn observe(endpoint: Endpoint, settings: &ClientSettings) -> Result<Self, SchedulerError> {
        Self::open(endpoint, settings, true).await
    }

    async fn open(endpoint: Endpoint, settings: &ClientSettings, observes: bool) -> Result<Self, SchedulerError> {
        let name = format!("the scheduler service at {endpoint}");
        let link = Link::open(endpoint, pb::ServiceKind::Scheduler, settings).await;
        let link = link.map_err(|trouble| client::error(&name, "connect", trouble))?;
        Ok(Self {
            client: Arc::new(Client::new(link, name, observes)),
            alive: Arc::default(),
        })
    }

    fn alive(&self) -> Weak<()> {
        Arc::downgrade(&self.alive)
    }

    /// The run of this client, from its first step or from where it was.
    fn run(&self, session: &SessionId, run_id: RunId, plan: Plan, place: steps::Place) -> StartedRun {
        let steps = steps::stream(
            Arc::clone(&self.client),
            self.alive(),
            session.clone(),
            run_id.clone(),
            place,
        );
        StartedRun { run_id, plan, steps }
    }
}

impl fmt::Display for RemoteScheduler {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.client.name())
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl Scheduler for RemoteScheduler {
    async fn sync(&self, session: &SessionId, document: Document) -> Result<SessionStatus, SchedulerError> {
        let document = pb::Document::from(document);
        let answer = self.client.call("sync the cells", |mut service| {
            let (session, document) = (self.client.session(session), document.clone());
            async move {
                service
                    .sync(pb::SyncRequest {
                        session: Some(session),
                        document: Some(document),
                    })
                    .await
            }
        });
        self.client.read(required(answer.await?.status, "status"))
    }

    async fn plan(&self, session: &SessionId, request: PlanRequest) -> Result<Plan, SchedulerError> {
        let request = pb::PlanRequest::from(request);
        let answer = self.client.call("plan a run", |mut service| {
            let (session, request) = (self.client.session(session), request.clone());
            async move {
                service
                    .plan(pb::PlanCall {
                        session: Some(session),
                        request: Some(request),
                    })
                    .await
            }
        });
        self.client.read(required(answer.await?.plan, "plan"))
    }

    async fn start(&self, session: &SessionId, mut request: StartRequest) -> Result<StartedRun, SchedulerError> {
        let run = request.run_id.take().unwrap_or_else(RunId::random);
        // Given up where this future is: nobody else knows of the run.
        let mut steps = self.run(session, run.clone(), Plan::default(), steps::Place::default());
        let answer = self.client.start(session, &run, request.into()).await;
        match answer.and_then(|answer| self.client.read(required(answer.plan, "plan"))) {
            Ok(plan) => steps.plan = plan,
            Err(error) => {
                self.client.let_go(&run);
                return Err(error);
            }
        }
        Ok(steps)
    }

    async fn resume(&self, session: &SessionId) -> Result<Vec<ResumedRun>, SchedulerError> {
        let answer = self.client.call("take up runs", |mut service| {
            let session = self.client.session(session);
            async move { service.resume(pb::ResumeRequest { session: Some(session) }).await }
        });
        let mut resumed = Vec::new();
        for run in answer.await?.runs {
            let in_flight = run.in_flight.map(TryInto::try_into).transpose();
            let in_flight = self.client.read(in_flight)?;
            let plan = self.client.read(required(run.plan, "plan"))?;
            let place = steps::Place::after(run.received, in_flight.as_ref());
            resumed.push(ResumedRun {
                run: self.run(session, run.run_id.into(), plan, place),
                request: self.client.read(required(run.request, "request"))?,
                in_flight,
            });
        }
        Ok(resumed)
    }

    async fn report(&self, report: Report) -> Result<(), SchedulerError> {
        let run = report.run_id.clone();
        let report = pb::Report::from(report);
        let reported = self.client.call("report what came of a cell", |mut service| {
            let (session, report) = (self.client.session_of(&run), report.clone());
            async move {
                service
                    .report(pb::ReportRequest {
                        session,
                        report: Some(report),
                    })
                    .await
            }
        });
        tokio::select! {
            biased;
            reported = reported => reported.map(|_| ()),
            () = self.client.given_up(&run) => Err(self.client.away_for(&run)),
        }
    }

    async fn cancel(&self, run: &RunId) -> Result<(), SchedulerError> {
        let cancelled = self.client.call_within(CANCEL, "cancel a run", |mut service| {
            let (session, run_id) = (self.client.session_of(run), run.as_str().to_owned());
            async move { service.cancel(pb::CancelRequest { session, run_id }).await }
        });
        let cancelled = cancelled.await;
        if matches!(cancelled, Err(SchedulerError::Unavailable { .. })) {
            // Whoever cancels does not want to wait for the service to return.
            self.client.give_up(run);
        }
        cancelled.map(|_| ())
    }

    async fn status(&self, session: &SessionId) -> Result<SessionStatus, SchedulerError> {
        let answer = self.client.call("ask for the state of a session", |mut service| {
            let session = self.client.session(session);
            async move { service.status(pb::StatusRequest { session: Some(session) }).await }
        });
        self.client.read(required(answer.await?.status, "status"))
    }

    async fn runs(&self, session: &SessionId) -> Result<Vec<RunRecord>, SchedulerError> {
        let answer = self.client.call("list runs", |mut service| {
            let session = self.client.session(session);
            async move { service.runs(pb::RunsRequest { session: Some(session) }).await }
        });
        self.client.read(crate::rpc::all(answer.await?.runs))
    }

    async fn forget(&self, session: &SessionId) -> Result<(), SchedulerError> {
        // Nothing depends on it, so nobody waits for a service that is away.
        let forgotten = self.client.call_within(CANCEL, "forget a session", |mut service| {
            let session_id = session.as_str().to_owned();
            async move { service.forget(pb::ForgetRequest { session_id }).await }
        });
        forgotten.await.map(|_| ())
    }

    async fn kernel_epoch(&self, session: &SessionId, epoch: KernelEpoch) -> Result<(), SchedulerError> {
        let told = self.client.call("tell of a new kernel", |mut service| {
            let session = self.client.session(session);
            async move {
                service
                    .kernel_epoch(pb::KernelEpochRequest {
                        session: Some(session),
                        epoch: epoch.0,
                    })
                    .await
            }
        });
        told.await.map(|_| ())
    }
}
