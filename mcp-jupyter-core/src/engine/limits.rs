//! What may end an execution from outside: limits of time, and requests to stop.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};

use super::event::{EscalationStep, StopCause};

/// What somebody has asked of a run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum StopRequest {
    #[default]
    None,
    Stop(StopCause),
    Abort(StopCause),
}

/// Stops a run from outside. Cheap to clone.
#[derive(Clone, Debug)]
pub struct RunControl(Arc<watch::Sender<StopRequest>>);

impl RunControl {
    pub(super) fn new() -> (Self, watch::Receiver<StopRequest>) {
        let (sender, receiver) = watch::channel(StopRequest::None);
        (Self(Arc::new(sender)), receiver)
    }

    /// Interrupts the cell that is being executed, and ends the run when that has ended. The kernel is killed where it
    /// ignores the interrupt for longer than the request's patience. Without effect on a run that is ending.
    pub fn stop(&self, cause: StopCause) {
        self.0.send_if_modified(|request| {
            let first = *request == StopRequest::None;
            if first {
                *request = StopRequest::Stop(cause);
            }
            first
        });
    }

    /// Whether the run has ended, so that there is nothing to stop any more.
    pub(super) fn has_ended(&self) -> bool {
        self.0.is_closed()
    }

    /// Kills the kernel and ends the run at once; what has been received is saved.
    pub fn abort(&self, cause: StopCause) {
        self.0.send_replace(StopRequest::Abort(cause));
    }
}

/// Why an execution is ended from outside.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Cause {
    CellTimeout(Duration),
    RunTimeout(Duration),
    Stopped(StopCause),
}

/// Watches the limits of one execution, or of the kernel's start.
#[derive(Debug)]
pub(super) struct Limits {
    cell: Option<(Instant, Duration)>,
    run: Option<(Instant, Duration)>,
    requests: watch::Receiver<StopRequest>,
    /// Whether the scheduler has ended the run.
    cancelled: bool,
    patience: Duration,
    /// Why the execution is being ended, and when the next step is due.
    ending: Option<(Cause, Option<Instant>)>,
}

impl Limits {
    pub(super) fn new(requests: watch::Receiver<StopRequest>, run: Option<Duration>, patience: Duration) -> Self {
        let run = run.map(|limit| (Instant::now() + limit, limit));
        Self {
            cell: None,
            run,
            requests,
            cancelled: false,
            patience,
            ending: None,
        }
    }

    /// The limits of the next cell, which begins now.
    pub(super) fn begin_cell(&mut self, limit: Option<Duration>) {
        self.cell = limit.map(|limit| (Instant::now() + limit, limit));
    }

    /// The run is to end as if somebody had asked it to stop.
    pub(super) fn cancel(&mut self) {
        self.cancelled = true;
    }

    /// Why the run is to end; none while it is not.
    pub(super) fn cause(&self) -> Option<Cause> {
        self.ending.map(|(cause, _)| cause)
    }

    /// Waits until a limit is reached or a request comes, and says what is to be done next.
    pub(super) async fn next_step(&mut self) -> EscalationStep {
        match self.ending {
            None => self.first_step().await,
            Some((cause, due)) => self.kill_step(cause, due).await,
        }
    }

    async fn first_step(&mut self) -> EscalationStep {
        let (cause, abort) = tokio::select! {
            biased;
            request = asked(&mut self.requests, |request| request != StopRequest::None) => match request {
                StopRequest::Abort(cause) => (Cause::Stopped(cause), true),
                StopRequest::Stop(cause) => (Cause::Stopped(cause), false),
                StopRequest::None => return std::future::pending().await,
            },
            () = std::future::ready(()), if self.cancelled => (Cause::Stopped(StopCause::Interrupt), false),
            limit = passed(self.cell) => (Cause::CellTimeout(limit), false),
            limit = passed(self.run) => (Cause::RunTimeout(limit), false),
        };
        let due = (!abort).then(|| Instant::now() + self.patience);
        self.ending = Some((cause, due));
        if abort {
            EscalationStep::Kill
        } else {
            EscalationStep::Interrupt
        }
    }

    async fn kill_step(&mut self, cause: Cause, due: Option<Instant>) -> EscalationStep {
        let Some(due) = due else {
            return std::future::pending().await;
        };
        tokio::select! {
            _ = asked(&mut self.requests, |request| matches!(request, StopRequest::Abort(_))) => {}
            () = sleep_until(due) => {}
        }
        self.ending = Some((cause, None));
        EscalationStep::Kill
    }
}

async fn asked(requests: &mut watch::Receiver<StopRequest>, wanted: impl Fn(StopRequest) -> bool) -> StopRequest {
    let request = requests
        .wait_for(|request| wanted(*request))
        .await
        .map(|request| *request);
    match request {
        Ok(request) => request,
        Err(_) => std::future::pending().await,
    }
}

async fn passed(limit: Option<(Instant, Duration)>) -> Duration {
    match limit {
        Some((deadline, limit)) => {
            sleep_until(deadline).await;
            limit
        }
        None => std::future::pending().await,
    }
}
