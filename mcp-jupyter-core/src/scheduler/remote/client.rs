//! What all calls to one scheduler service share.

use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::watch;
use tonic::transport::Channel;
use tonic::{Response, Status};
use uuid::Uuid;

use crate::model::{RunId, SessionId};
use crate::rpc::pb::scheduler_service_client::SchedulerServiceClient;
use crate::rpc::{Attempt, LARGEST_MESSAGE, Link, Malformed, Trouble, cause, pb};
use crate::scheduler::SchedulerError;
use crate::scheduler::convert::from_status;

/// The way to the service, and the runs that this process holds there.
#[derive(Debug)]
pub(super) struct Client {
    link: Link,
    name: String,
    id: String,
    observes: bool,
    table: Mutex<Table>,
    /// The runs that are not waited for any more.
    given_up: watch::Sender<HashSet<RunId>>,
    /// One at a time tells the service of runs that nobody follows.
    telling: tokio::sync::Mutex<()>,
}

#[derive(Debug, Default)]
struct Table {
    /// The runs that have not ended, with their sessions.
    held: HashMap<RunId, SessionId>,
    /// Runs that nobody follows any more, and that the service has not been told of yet.
    abandoned: Vec<(RunId, SessionId)>,
    /// The highest fencing token that was seen of each session.
    tokens: HashMap<SessionId, u64>,
}

impl Table {
    fn admits(&mut self, session: &SessionId, token: u64) -> bool {
        let highest = self.tokens.entry(session.clone()).or_default();
        *highest = token.max(*highest);
        *highest == token
    }
}

/// One call's way to the service.
#[derive(Debug)]
pub(super) struct Service {
    client: SchedulerServiceClient<Channel>,
    attempt: Attempt,
}

macro_rules! calls {
    ($($name:ident: $request:ident -> $response:ident,)*) => {
        impl Service {
            $(pub(super) async fn $name(&mut self, request: pb::$request) -> Result<pb::$response, Status> {
                let request = self.attempt.request(request);
                self.client.$name(request).await.map(Response::into_inner)
            })*
        }
    };
}

calls! {
    sync: SyncRequest -> SyncResponse,
    plan: PlanCall -> PlanResponse,
    start: StartCall -> StartResponse,
    abandon: AbandonRequest -> AbandonResponse,
    resume: ResumeRequest -> ResumeResponse,
    report: ReportRequest -> ReportResponse,
    cancel: CancelRequest -> CancelResponse,
    status: StatusRequest -> StatusResponse,
    runs: RunsRequest -> RunsResponse,
    forget: ForgetRequest -> ForgetResponse,
    kernel_epoch: KernelEpochRequest -> KernelEpochResponse,
}

impl Service {
    fn new(attempt: Attempt) -> Self {
        let client = SchedulerServiceClient::new(attempt.channel.clone())
            .max_decoding_message_size(LARGEST_MESSAGE)
            .max_encoding_message_size(LARGEST_MESSAGE);
        Self { client, attempt }
    }

    /// Follows a run.
    pub(super) async fn follow(
        &mut self,
        requests: impl futures_core::Stream<Item = pb::FollowRequest> + Send + 'static,
    ) -> Result<tonic::Streaming<pb::FollowResponse>, Status> {
        let request = self.attempt.stream(requests);
        self.client.follow(request).await.map(Response::into_inner)
    }
}

impl Client {
    pub(super) fn new(link: Link, name: String, observes: bool) -> Self {
        Self {
            link,
            name,
            id: Uuid::new_v4().to_string(),
            observes,
            table: Mutex::default(),
            given_up: watch::Sender::default(),
            telling: tokio::sync::Mutex::default(),
        }
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    fn with<T>(&self, look: impl FnOnce(&mut Table) -> T) -> T {
        look(&mut self.table.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// The session as requests name it.
    pub(super) fn session(&self, session: &SessionId) -> pb::SessionRef {
        let held_runs = self.with(|table| {
            let held = table.held.iter().filter(|(_, of)| *of == session);
            held.map(|(run, _)| run.as_str().to_owned()).collect()
        });
        pb::SessionRef {
            session_id: session.as_str().to_owned(),
            held_runs,
            client_id: self.id.clone(),
            observes: self.observes,
        }
    }

    /// The session of a run that this process holds.
    pub(super) fn session_of(&self, run: &RunId) -> Option<pb::SessionRef> {
        let session = self.with(|table| table.held.get(run).cloned())?;
        Some(self.session(&session))
    }

    /// This process holds the run from now on.
    pub(super) fn hold(&self, run: &RunId, session: &SessionId) {
        self.with(|table| table.held.insert(run.clone(), session.clone()));
    }

    /// The run has ended. Tells whether it had not before.
    pub(super) fn let_go(&self, run: &RunId) -> bool {
        self.given_up.send_if_modified(|given_up| given_up.remove(run));
        self.with(|table| table.held.remove(run)).is_some()
    }

    /// Nobody follows the run any more: the service is told before anything else is asked of it.
    pub(super) fn abandon(&self, run: &RunId, session: &SessionId) {
        if self.let_go(run) {
            self.with(|table| table.abandoned.push((run.clone(), session.clone())));
        }
    }

    /// Tells the service of the runs that nobody follows.
    pub(super) async fn tell_abandoned(&self) -> Result<(), SchedulerError> {
        let _telling = self.telling.lock().await;
        while let Some((run, session)) = self.with(|table| table.abandoned.first().cloned()) {
            let (session, run_id) = (self.session(&session), run.as_str().to_owned());
            let told = self.link.call(|attempt| {
                let (session, run_id) = (Some(session.clone()), run_id.clone());
                async move {
                    Service::new(attempt)
                        .abandon(pb::AbandonRequest { session, run_id })
                        .await
                }
            });
            if let Err(trouble) = told.await {
                let error = error(&self.name, "cancel a run", trouble);
                if matches!(error, SchedulerError::Unavailable { .. }) {
                    return Err(error);
                }
                tracing::debug!(%error, run_id = %run, "the run was not cancelled");
            }
            self.with(|table| table.abandoned.retain(|(other, _)| *other != run));
        }
        Ok(())
    }

    /// Calls the service, as often as it takes.
    pub(super) async fn call<T, F>(&self, action: &str, call: impl Fn(Service) -> F) -> Result<T, SchedulerError>
    where
        F: Future<Output = Result<T, Status>>,
    {
        self.tell_abandoned().await?;
        let called = self.link.call(|attempt| call(Service::new(attempt))).await;
        called.map_err(|trouble| error(&self.name, action, trouble))
    }

    /// Calls the service, for so long at most.
    pub(super) async fn call_within<T, F>(
        &self,
        limit: Duration,
        action: &str,
        call: impl Fn(Service) -> F,
    ) -> Result<T, SchedulerError>
    where
        F: Future<Output = Result<T, Status>>,
    {
        let called = self
            .link
            .call_within(limit, |attempt| call(Service::new(attempt)))
            .await;
        called.map_err(|trouble| error(&self.name, action, trouble))
    }

    /// Starts the run, once however often that takes.
    pub(super) async fn start(
        &self,
        session: &SessionId,
        run: &RunId,
        request: pb::StartRequest,
    ) -> Result<pb::StartResponse, SchedulerError> {
        let was_asked = AtomicBool::new(false);
        let start = || self.start_once(session, run, &request, &was_asked);
        loop {
            match start().await {
                Err(SchedulerError::Busy { retry_after, .. }) if self.link.waits() => {
                    tokio::time::sleep(retry_after.mul_f64(1.0 + fastrand::f64())).await;
                }
                started => return started,
            }
        }
    }

    async fn start_once(
        &self,
        session: &SessionId,
        run: &RunId,
        request: &pb::StartRequest,
        was_asked: &AtomicBool,
    ) -> Result<pb::StartResponse, SchedulerError> {
        self.call("start a run", |mut service| {
            // It is not held before it has begun.
            let mut session = self.session(session);
            session.held_runs.retain(|held| held != run.as_str());
            let call = pb::StartCall {
                session: Some(session),
                run_id: run.as_str().to_owned(),
                request: Some(request.clone()),
                is_repeated: was_asked.swap(true, Ordering::Relaxed),
            };
            async move { service.start(call).await }
        })
        .await
    }

    /// Whether a service with this token may still hand out cells of the session; one that was replaced may not.
    pub(super) fn admits(&self, session: &SessionId, token: u64) -> bool {
        self.with(|table| table.admits(session, token))
    }

    /// The run is not waited for any more.
    pub(super) fn give_up(&self, run: &RunId) {
        if self.with(|table| table.held.contains_key(run)) {
            self.given_up.send_modify(|given_up| {
                given_up.insert(run.clone());
            });
        }
    }

    /// Waits until the run is not waited for any more.
    pub(super) async fn given_up(&self, run: &RunId) {
        let mut given_up = self.given_up.subscribe();
        if given_up.wait_for(|given_up| given_up.contains(run)).await.is_err() {
            std::future::pending::<()>().await;
        }
    }

    /// The error of a run that is not waited for.
    pub(super) fn away_for(&self, run: &RunId) -> SchedulerError {
        SchedulerError::Unavailable {
            scheduler: self.name.clone(),
            action: format!("end run \"{run}\""),
            source: "it is away, and the run was to end".into(),
        }
    }

    /// What the service has said, if it makes sense.
    pub(super) fn read<T>(&self, answer: Result<T, Malformed>) -> Result<T, SchedulerError> {
        answer.map_err(|error| SchedulerError::Unsupported {
            what: format!(
                "{} has given an answer that this program does not understand: {error}",
                self.name
            ),
        })
    }
}

/// What has happened to a call, in the words of the domain.
pub(super) fn error(scheduler: &str, action: &str, trouble: Trouble) -> SchedulerError {
    let (scheduler, action) = (scheduler.to_owned(), action.to_owned());
    match trouble {
        Trouble::Away(status) => SchedulerError::Unavailable {
            scheduler,
            action,
            source: cause(&status).into(),
        },
        Trouble::Denied(status) => SchedulerError::Denied {
            scheduler,
            action,
            source: status.message().into(),
        },
        Trouble::Incompatible(what) => SchedulerError::Unsupported { what },
        Trouble::Answered(status) => from_status(&status).unwrap_or_else(|| SchedulerError::Unsupported {
            what: format!("{scheduler} has refused to {action}: {}", status.message()),
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_service_that_was_replaced_hands_out_nothing() {
        let mut table = Table::default();
        let [one, other] = ["one", "other"].map(SessionId::from);
        assert!(table.admits(&one, 2) && table.admits(&one, 2));
        assert!(!table.admits(&one, 1));
        assert!(table.admits(&other, 1), "each session has its own");
        assert!(table.admits(&one, 3) && !table.admits(&one, 2));
    }
}
