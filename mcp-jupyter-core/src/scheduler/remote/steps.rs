//! The steps of a run, over a connection that may be cut.

use std::sync::{Arc, Weak};

use futures_core::stream::BoxStream;
use futures_util::{StreamExt, stream};
use tokio::sync::mpsc;
use tonic::Streaming;

use super::client::Client;
use crate::model::{CellId, RunId, SessionId};
use crate::rpc::pb::follow_request::{Attach, Message};
use crate::rpc::{Pauses, is_away, malformed, pb};
use crate::scheduler::convert::from_status;
use crate::scheduler::{Dispatch, SchedulerError, Step};

/// How far a run has come.
#[derive(Clone, Debug, Default)]
pub(super) struct Place {
    received: u64,
    last_dispatch: Option<(CellId, u32)>,
}

impl Place {
    /// After the step of this number.
    pub(super) fn after(received: u64, in_flight: Option<&Dispatch>) -> Self {
        Self {
            received,
            last_dispatch: in_flight.map(key),
        }
    }
}

fn key(dispatch: &Dispatch) -> (CellId, u32) {
    (dispatch.cell.id.clone(), dispatch.attempt)
}

/// The steps from there on. Dropping them before the end, while the scheduler is alive, cancels the run.
pub(super) fn stream(
    client: Arc<Client>,
    alive: Weak<()>,
    session: SessionId,
    run: RunId,
    place: Place,
) -> BoxStream<'static, Result<Step, SchedulerError>> {
    client.hold(&run, &session);
    let steps = Steps {
        client,
        alive,
        session,
        run,
        place,
        connection: None,
        has_ended: false,
    };
    stream::unfold(steps, |mut steps| async {
        let step = steps.next().await?;
        Some((step, steps))
    })
    .boxed()
}

struct Steps {
    client: Arc<Client>,
    alive: Weak<()>,
    session: SessionId,
    run: RunId,
    place: Place,
    connection: Option<Connection>,
    has_ended: bool,
}

struct Connection {
    requests: mpsc::UnboundedSender<pb::FollowRequest>,
    responses: Streaming<pb::FollowResponse>,
}

impl Steps {
    async fn next(&mut self) -> Option<Result<Step, SchedulerError>> {
        if self.has_ended {
            return None;
        }
        let client = Arc::clone(&self.client);
        let run = self.run.clone();
        let step = tokio::select! {
            biased;
            step = self.receive() => step,
            () = client.given_up(&run) => Err(client.away_for(&run)),
        };
        if !matches!(&step, Ok(step) if !matches!(step, Step::Finished(_))) {
            self.has_ended = true;
            self.connection = None;
            self.client.let_go(&self.run);
        }
        Some(step)
    }

    async fn receive(&mut self) -> Result<Step, SchedulerError> {
        let mut pauses = Pauses::within(None);
        loop {
            let connection = self.connection().await?;
            match connection.responses.message().await {
                Ok(Some(response)) if self.is_fenced_out(&response) => {
                    tracing::warn!(run_id = %self.run, "a service that was replaced has handed out a cell, which is not executed");
                    self.connection = None;
                    pauses.pause().await;
                }
                Ok(Some(response)) => return self.take(response),
                Err(status) if !is_away(&status) => return Err(self.refused(&status)),
                // Cut, or the service is about to end: it, or another one, will be there again.
                Ok(None) | Err(_) => {
                    self.connection = None;
                    pauses.pause().await;
                }
            }
        }
    }

    /// The connection, on which the next step was asked for.
    async fn connection(&mut self) -> Result<&mut Connection, SchedulerError> {
        let received = self.place.received;
        let kept = self.connection.take().filter(|connection| {
            let next = pb::FollowRequest {
                message: Some(Message::Next(received)),
            };
            connection.requests.send(next).is_ok()
        });
        let connection = match kept {
            Some(connection) => connection,
            None => self.attach().await?,
        };
        Ok(self.connection.insert(connection))
    }

    async fn attach(&self) -> Result<Connection, SchedulerError> {
        let attaching = self.client.call("follow a run", |mut service| {
            let attach = Attach {
                session: Some(self.client.session(&self.session)),
                run_id: self.run.as_str().to_owned(),
                received: self.place.received,
                last_dispatch: self
                    .place
                    .last_dispatch
                    .as_ref()
                    .map(|(cell, attempt)| pb::DispatchKey {
                        cell_id: cell.as_str().to_owned(),
                        attempt: *attempt,
                    }),
                wanted: true,
            };
            let (requests, mut queue) = mpsc::unbounded_channel();
            // The other end is right here.
            let _ = requests.send(pb::FollowRequest {
                message: Some(Message::Attach(attach)),
            });
            let queue = stream::poll_fn(move |context| queue.poll_recv(context));
            async move {
                let responses = service.follow(queue).await?;
                Ok(Connection { requests, responses })
            }
        });
        attaching.await
    }

    fn is_fenced_out(&self, response: &pb::FollowResponse) -> bool {
        let step = response.step.as_ref().and_then(|step| step.step.as_ref());
        match step {
            Some(pb::step::Step::Execute(dispatch)) => !self.client.admits(&self.session, dispatch.fencing_token),
            _ => false,
        }
    }

    fn take(&mut self, response: pb::FollowResponse) -> Result<Step, SchedulerError> {
        self.place.received = response.number;
        let step = response
            .step
            .ok_or(malformed("step"))
            .and_then(|step| step.of(&self.run));
        let step = self.client.read(step)?;
        if let Step::Execute(dispatch) = &step {
            self.place.last_dispatch = Some(key(dispatch));
        }
        Ok(step)
    }

    fn refused(&self, status: &tonic::Status) -> SchedulerError {
        from_status(status).unwrap_or_else(|| SchedulerError::Unsupported {
            what: format!("{} has refused to go on: {}", self.client.name(), status.message()),
        })
    }
}

impl Drop for Steps {
    fn drop(&mut self) {
        if self.has_ended || self.alive.strong_count() == 0 {
            return;
        }
        self.client.abandon(&self.run, &self.session);
        let client = Arc::clone(&self.client);
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            runtime.spawn(async move {
                // Where the service is away, it is told with the next call.
                let _ = client.tell_abandoned().await;
            });
        }
    }
}
