//! A scheduler for other processes.
//!
//! The service adds to the scheduler that it stands in front of what a connection can lose: a run goes on when its client
//! comes back ([`held`]), and whatever is asked twice is done once.

mod held;
mod runs;

use std::sync::Arc;

use futures_core::stream::BoxStream;
use futures_util::{StreamExt, stream};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tonic::{Request, Response, Status, Streaming, async_trait};

use self::held::Item;
use self::runs::Runs;
use super::convert::to_status;
use super::{KernelEpoch, Report, Scheduler, SchedulerError, StartRequest, Step};
use crate::model::{RunId, SessionId};
use crate::rpc::pb::scheduler_service_server::SchedulerService;
use crate::rpc::{Metrics, ServerSettings, malformed, pb, required};

/// Answers clients for a scheduler.
#[derive(Debug)]
pub(crate) struct SchedulerOverGrpc {
    scheduler: Arc<dyn Scheduler>,
    runs: Arc<Runs>,
}

impl SchedulerOverGrpc {
    /// Serves until `stop` is cancelled: then runs are left in the journal as they are.
    pub(crate) fn new(
        scheduler: Arc<dyn Scheduler>,
        settings: &ServerSettings,
        metrics: &Arc<Metrics>,
        stop: &CancellationToken,
    ) -> Self {
        Self {
            runs: Arc::new(Runs::new(Arc::clone(&scheduler), settings, metrics, stop)),
            scheduler,
        }
    }

    /// The session, once what the client holds of it is held here as well.
    async fn session(&self, session: Option<pb::SessionRef>) -> Result<SessionId, Status> {
        let session = session.ok_or(malformed("session"))?;
        self.runs.go_on_with(&session).await?;
        Ok(session.session_id.into())
    }

    /// The same where the session is only given if the client holds the run.
    async fn holder(&self, session: Option<pb::SessionRef>, run: &RunId) -> Result<(), Status> {
        match session {
            Some(session) => {
                self.runs.go_on_with(&session).await?;
                self.runs.check_holder(run, &session)
            }
            None => Ok(()),
        }
    }
}

/// Does it to the end, even if the client is gone meanwhile.
async fn to_the_end<T: Send + 'static>(
    work: impl Future<Output = Result<T, Status>> + Send + 'static,
) -> Result<T, Status> {
    match tokio::spawn(work).await {
        Ok(done) => done,
        Err(error) => Err(Status::internal(format!("the service has failed: {error}"))),
    }
}

type Answer<T> = Result<Response<T>, Status>;

#[async_trait]
impl SchedulerService for SchedulerOverGrpc {
    async fn sync(&self, request: Request<pb::SyncRequest>) -> Answer<pb::SyncResponse> {
        let request = request.into_inner();
        let session = self.session(request.session).await?;
        let document = required(request.document, "document")?;
        let status = self.scheduler.sync(&session, document).await.map_err(to_status)?;
        let status = Some(status.into());
        Ok(Response::new(pb::SyncResponse { status }))
    }

    async fn plan(&self, request: Request<pb::PlanCall>) -> Answer<pb::PlanResponse> {
        let request = request.into_inner();
        let session = self.session(request.session).await?;
        let wanted = required(request.request, "request")?;
        let plan = self.scheduler.plan(&session, wanted).await.map_err(to_status)?;
        let plan = Some(plan.into());
        Ok(Response::new(pb::PlanResponse { plan }))
    }

    async fn start(&self, request: Request<pb::StartCall>) -> Answer<pb::StartResponse> {
        let call = request.into_inner();
        let session = call.session.ok_or(malformed("session"))?;
        self.runs.go_on_with(&session).await?;
        let mut request: StartRequest = required(call.request, "request")?;
        request.run_id = Some(call.run_id.into());
        let runs = Arc::clone(&self.runs);
        let plan = to_the_end(async move { runs.start(session, request, call.is_repeated).await }).await?;
        let plan = Some(plan.into());
        Ok(Response::new(pb::StartResponse { plan }))
    }

    type FollowStream = BoxStream<'static, Item>;

    async fn follow(&self, request: Request<Streaming<pb::FollowRequest>>) -> Answer<Self::FollowStream> {
        use pb::follow_request::Message;
        let mut requests = request.into_inner();
        let first = requests.message().await?.and_then(|request| request.message);
        let Some(Message::Attach(attach)) = first else {
            return Err(malformed("attachment at its beginning").into());
        };
        let run = RunId::from(attach.run_id.as_str());
        let session = attach.session.clone().ok_or(malformed("session"))?;
        self.runs.go_on_with(&session).await?;
        self.runs.check_holder(&run, &session)?;
        let (items, received) = mpsc::unbounded_channel();
        let last = attach.received;
        let followed = match self.runs.held(&run) {
            Some(held) => held.follow(attach, items).await.map(|follower| (held, follower)),
            None => None,
        };
        let Some((held, follower)) = followed else {
            let end = self.runs.end_of(&run, &session.session_id.into()).await?;
            let step = pb::FollowResponse {
                number: last + 1,
                step: Some(Step::Finished(end).into()),
            };
            return Ok(Response::new(stream::iter([Ok(step)]).boxed()));
        };
        tokio::spawn(async move {
            loop {
                match requests.message().await {
                    Ok(Some(request)) => {
                        if let Some(Message::Next(received)) = request.message {
                            held.next(follower, received);
                        }
                    }
                    // It has said all, and may be waiting for the answer.
                    Ok(None) => return held.last_wish(follower),
                    Err(_) => return held.gone(follower),
                }
            }
        });
        // Bounded by what is asked for: one step for each wish.
        let items = stream::unfold(received, |mut received| async {
            let item = received.recv().await?;
            Some((item, received))
        });
        Ok(Response::new(items.boxed()))
    }

    async fn abandon(&self, request: Request<pb::AbandonRequest>) -> Answer<pb::AbandonResponse> {
        let request = request.into_inner();
        let session = request.session.ok_or(malformed("session"))?;
        let (runs, run) = (Arc::clone(&self.runs), request.run_id.into());
        to_the_end(async move { runs.abandon(session, run).await }).await?;
        Ok(Response::new(pb::AbandonResponse {}))
    }

    async fn resume(&self, request: Request<pb::ResumeRequest>) -> Answer<pb::ResumeResponse> {
        let session = request.into_inner().session;
        let session = session.ok_or(malformed("session"))?;
        let runs = Arc::clone(&self.runs);
        let runs = to_the_end(async move { runs.resume(session).await }).await?;
        Ok(Response::new(pb::ResumeResponse { runs }))
    }

    async fn report(&self, request: Request<pb::ReportRequest>) -> Answer<pb::ReportResponse> {
        let request = request.into_inner();
        let report: Report = required(request.report, "report")?;
        self.holder(request.session, &report.run_id).await?;
        let (scheduler, held) = (Arc::clone(&self.scheduler), self.runs.held(&report.run_id));
        to_the_end(async move {
            let (cell, attempt) = (report.cell.clone(), report.attempt);
            scheduler.report(report).await.map_err(to_status)?;
            if let Some(held) = held {
                held.reported(cell, attempt);
            }
            Ok(())
        })
        .await?;
        Ok(Response::new(pb::ReportResponse {}))
    }

    async fn cancel(&self, request: Request<pb::CancelRequest>) -> Answer<pb::CancelResponse> {
        let request = request.into_inner();
        let run = RunId::from(request.run_id);
        self.holder(request.session, &run).await?;
        self.scheduler.cancel(&run).await.map_err(to_status)?;
        Ok(Response::new(pb::CancelResponse {}))
    }

    async fn status(&self, request: Request<pb::StatusRequest>) -> Answer<pb::StatusResponse> {
        let session = self.session(request.into_inner().session).await?;
        let status = self.scheduler.status(&session).await.map_err(to_status)?;
        let status = Some(status.into());
        Ok(Response::new(pb::StatusResponse { status }))
    }

    async fn runs(&self, request: Request<pb::RunsRequest>) -> Answer<pb::RunsResponse> {
        let session = self.session(request.into_inner().session).await?;
        let runs = self.scheduler.runs(&session).await.map_err(to_status)?;
        let runs = runs.into_iter().map(Into::into).collect();
        Ok(Response::new(pb::RunsResponse { runs }))
    }

    async fn forget(&self, request: Request<pb::ForgetRequest>) -> Answer<pb::ForgetResponse> {
        let session = SessionId::from(request.into_inner().session_id);
        self.scheduler.forget(&session).await.map_err(to_status)?;
        Ok(Response::new(pb::ForgetResponse {}))
    }

    async fn kernel_epoch(&self, request: Request<pb::KernelEpochRequest>) -> Answer<pb::KernelEpochResponse> {
        let request = request.into_inner();
        let session = self.session(request.session).await?;
        let told = self.scheduler.kernel_epoch(&session, KernelEpoch(request.epoch)).await;
        told.map_err(to_status)?;
        Ok(Response::new(pb::KernelEpochResponse {}))
    }
}

/// The run is not this client's any more.
fn taken_over(run: &RunId) -> Status {
    to_status(SchedulerError::Denied {
        scheduler: "the scheduler service".to_owned(),
        action: format!("follow run \"{run}\""),
        source: "another program has taken it over".into(),
    })
}
