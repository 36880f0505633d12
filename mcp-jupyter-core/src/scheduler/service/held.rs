//! A run on behalf of a client that may be gone for a while.

use std::sync::Arc;
use std::time::Duration;

use futures_core::stream::BoxStream;
use futures_util::StreamExt;
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tonic::Status;

use crate::model::CellId;
use crate::rpc::pb::follow_request::Attach;
use crate::rpc::{Metrics, pb};
use crate::scheduler::convert::to_status;
use crate::scheduler::{Dispatch, RunEnd, SchedulerError, StartedRun, Step};

/// What a follower is sent.
pub(super) type Item = Result<pb::FollowResponse, Status>;

/// How long the end of a run is there for a follower that may not have got it; afterwards the journal tells it.
const ENDED: Duration = Duration::from_secs(60);

/// The way to the task that has a run.
#[derive(Clone, Debug)]
pub(super) struct Held {
    commands: mpsc::UnboundedSender<Command>,
}

#[derive(Debug)]
enum Command {
    Follow(
        Attach,
        Vec<(CellId, u32)>,
        mpsc::UnboundedSender<Item>,
        oneshot::Sender<u64>,
    ),
    Next {
        follower: u64,
        received: u64,
    },
    Gone {
        follower: u64,
    },
    LastWish {
        follower: u64,
    },
    Reported {
        cell: CellId,
        attempt: u32,
    },
    HandOver(HandOver, oneshot::Sender<Option<Taken>>),
    Abandon,
}

/// Who asks for a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum HandOver {
    /// Whoever holds it already, and may not know.
    ToHolder,
    /// Somebody else.
    ToAnother,
}

/// Where a run stands that is handed over.
#[derive(Debug)]
pub(super) struct Taken {
    pub(super) received: u64,
    pub(super) in_flight: Option<Dispatch>,
}

impl Held {
    /// Has a task hold the run, which cancels it where nobody has followed it for so long. `in_flight` is what the journal
    /// says was handed out before.
    pub(super) fn new(
        run: StartedRun,
        in_flight: Option<Dispatch>,
        is_left: bool,
        holder: Holder,
        ended: impl FnOnce() + Send + 'static,
    ) -> Self {
        let (commands, queue) = mpsc::unbounded_channel();
        let keeping = Keeping {
            steps: run.steps,
            number: 0,
            last: None,
            in_flight,
            wanted: false,
            is_left,
            has_ended: false,
            was_followed: false,
            follower: None,
            followers: 0,
            is_last_wish: false,
            holder,
            alone_since: Instant::now(),
        };
        tokio::spawn(async move {
            keeping.serve(queue).await;
            ended();
        });
        Self { commands }
    }

    /// Has a follower get the steps; gives its number.
    pub(super) async fn follow(&self, attach: Attach, items: mpsc::UnboundedSender<Item>) -> Option<u64> {
        let (reply, follower) = oneshot::channel();
        let last = attach.last_dispatch.iter();
        let last = last.map(|key| (key.cell_id.as_str().into(), key.attempt)).collect();
        self.send(Command::Follow(attach, last, items, reply));
        follower.await.ok()
    }

    pub(super) fn next(&self, follower: u64, received: u64) {
        self.send(Command::Next { follower, received });
    }

    pub(super) fn gone(&self, follower: u64) {
        self.send(Command::Gone { follower });
    }

    /// The follower asks for nothing more; what it has asked for it gets.
    pub(super) fn last_wish(&self, follower: u64) {
        self.send(Command::LastWish { follower });
    }

    pub(super) fn reported(&self, cell: CellId, attempt: u32) {
        self.send(Command::Reported { cell, attempt });
    }

    /// Where the run stands, unless somebody follows it or it has ended.
    pub(super) async fn hand_over(&self, to: HandOver) -> Option<Taken> {
        let (reply, taken) = oneshot::channel();
        self.send(Command::HandOver(to, reply));
        taken.await.ok().flatten()
    }

    /// Cancels the run; done when this returns.
    pub(super) async fn abandon(&self) {
        self.send(Command::Abandon);
        self.commands.closed().await;
    }

    /// Without effect where the run is not held any more.
    fn send(&self, command: Command) {
        let _ = self.commands.send(command);
    }
}

/// Waits until nobody takes what is sent to the follower.
async fn hung_up(follower: Option<&(u64, mpsc::UnboundedSender<Item>)>) {
    match follower {
        Some((_, items)) => items.closed().await,
        None => std::future::pending().await,
    }
}

fn label(end: &RunEnd) -> &'static str {
    match end {
        RunEnd::Completed => "completed",
        RunEnd::Failed { .. } => "failed",
        RunEnd::KernelDied { .. } => "kernel_died",
        RunEnd::Cancelled => "cancelled",
        RunEnd::DeadlineExceeded => "deadline_exceeded",
        RunEnd::Lost => "lost",
    }
}

/// What holds all runs of a service.
#[derive(Clone, Debug)]
pub(super) struct Holder {
    pub(super) fencing_token: u64,
    /// How long a run waits for its client to return.
    pub(super) lease: Duration,
    pub(super) metrics: Arc<Metrics>,
    pub(super) stop: CancellationToken,
}

/// What the task knows of its run.
struct Keeping {
    steps: BoxStream<'static, Result<Step, SchedulerError>>,
    /// The number of the last step.
    number: u64,
    /// The last step, until it is known to have been received.
    last: Option<Item>,
    in_flight: Option<Dispatch>,
    /// Whether the step after the last one is asked for.
    wanted: bool,
    /// Whether it was taken up after a crash and nobody has said yet how far it had come.
    is_left: bool,
    has_ended: bool,
    was_followed: bool,
    follower: Option<(u64, mpsc::UnboundedSender<Item>)>,
    followers: u64,
    /// Whether the follower asks for nothing after what it has asked for.
    is_last_wish: bool,
    holder: Holder,
    alone_since: Instant,
}

impl Keeping {
    async fn serve(mut self, mut commands: mpsc::UnboundedReceiver<Command>) {
        let stop = self.holder.stop.clone();
        loop {
            let is_due = self.wanted && self.last.is_none();
            let lapse = self.alone_since + if self.has_ended { ENDED } else { self.holder.lease };
            tokio::select! {
                biased;
                () = stop.cancelled() => return self.leave(),
                command = commands.recv() => match command {
                    // Before the commands are closed, which whoever has asked waits for.
                    Some(Command::Abandon) => return drop(self),
                    Some(command) => self.obey(command),
                    None => return self.leave(),
                },
                step = self.steps.next(), if is_due => self.take(step),
                () = hung_up(self.follower.as_ref()), if self.is_last_wish => self.let_go(),
                () = tokio::time::sleep_until(lapse), if self.follower.is_none() => return,
            }
        }
    }

    /// The service ends, and the run does not: it stays in the journal for whoever goes on with it.
    fn leave(self) {
        if let Some((_, items)) = self.follower {
            let _ = items.send(Err(Status::unavailable("the service is about to end")));
        }
        // Dropping the steps would say that nobody wants the run any more.
        std::mem::forget(self.steps);
    }

    fn obey(&mut self, command: Command) {
        match command {
            Command::Follow(attach, last, items, reply) => {
                self.followers += 1;
                let _ = reply.send(self.followers);
                self.follower = Some((self.followers, items));
                self.is_last_wish = false;
                self.was_followed = true;
                self.attach(&attach, &last);
            }
            Command::Next { follower, received } if self.is_followed_by(follower) => self.go_on_after(received),
            Command::Gone { follower } if self.is_followed_by(follower) => self.let_go(),
            Command::LastWish { follower } if self.is_followed_by(follower) => {
                if self.wanted {
                    self.is_last_wish = true;
                } else {
                    self.let_go();
                }
            }
            Command::Reported { cell, attempt } => {
                self.in_flight
                    .take_if(|dispatch| dispatch.cell.id == cell && dispatch.attempt == attempt);
            }
            Command::HandOver(to, reply) => {
                let _ = reply.send(self.hand_over(to));
            }
            // Of a follower that was replaced, or dealt with already.
            Command::Next { .. } | Command::Gone { .. } | Command::LastWish { .. } | Command::Abandon => {}
        }
    }

    /// Nobody follows the run any more.
    fn let_go(&mut self) {
        self.follower = None;
        self.is_last_wish = false;
        self.alone_since = Instant::now();
    }

    fn is_followed_by(&self, number: u64) -> bool {
        self.follower.as_ref().is_some_and(|(follower, _)| *follower == number)
    }

    fn attach(&mut self, attach: &Attach, last_dispatch: &[(CellId, u32)]) {
        if std::mem::take(&mut self.is_left) {
            self.number = attach.received;
            let is_known = |dispatch: &Dispatch| last_dispatch.contains(&(dispatch.cell.id.clone(), dispatch.attempt));
            if let Some(dispatch) = self.in_flight.clone().filter(|dispatch| !is_known(dispatch)) {
                // It was handed out, and the crash came before it had arrived.
                self.put(Ok(Step::Execute(dispatch)));
            }
        }
        if attach.wanted {
            self.go_on_after(attach.received);
        }
    }

    /// The follower has this step and wants the one after it.
    fn go_on_after(&mut self, received: u64) {
        if received == self.number {
            self.last = None;
            self.wanted = true;
        } else if received + 1 == self.number && self.last.is_some() {
            self.send_last();
        } else {
            let wrong = format!(
                "step {} of the run came last, so {received} cannot have been received",
                self.number
            );
            self.send(Err(Status::out_of_range(wrong)));
        }
    }

    fn take(&mut self, step: Option<Result<Step, SchedulerError>>) {
        self.wanted = false;
        self.has_ended = !matches!(&step, Some(Ok(step)) if !matches!(step, Step::Finished(_)));
        match &step {
            Some(Ok(Step::Execute(dispatch))) => {
                self.holder.metrics.dispatches.inc();
                self.in_flight = Some(dispatch.clone());
            }
            Some(Ok(Step::Finished(end))) => self.holder.metrics.ended(label(end)),
            _ => {}
        }
        if let Some(step) = step {
            self.put(step);
            self.send_last();
        } else {
            self.send(Err(Status::out_of_range("the run has ended")));
        }
    }

    /// Makes this the last step.
    fn put(&mut self, step: Result<Step, SchedulerError>) {
        self.number += 1;
        self.last = Some(match step {
            Ok(step) => Ok(pb::FollowResponse {
                number: self.number,
                step: Some(self.fenced(step.into())),
            }),
            Err(error) => Err(to_status(error)),
        });
    }

    fn fenced(&self, mut step: pb::Step) -> pb::Step {
        if let Some(pb::step::Step::Execute(dispatch)) = &mut step.step {
            dispatch.fencing_token = self.holder.fencing_token;
        }
        step
    }

    fn send_last(&mut self) {
        if let Some(last) = self.last.clone() {
            self.send(last);
        }
    }

    fn send(&mut self, item: Item) {
        if let Some((_, items)) = &self.follower {
            // Where that fails, the follower is about to be told as gone.
            let _ = items.send(item);
        }
        if self.is_last_wish {
            self.let_go();
        }
    }

    fn hand_over(&mut self, to: HandOver) -> Option<Taken> {
        let is_free = self.follower.is_none() && (self.was_followed || to == HandOver::ToHolder);
        if !is_free || self.has_ended {
            return None;
        }
        self.alone_since = Instant::now();
        // What is in flight is handed over as that, any other step is sent again.
        let is_in_flight = self.in_flight.is_some();
        let unreceived = u64::from(self.last.is_some() && !is_in_flight);
        Some(Taken {
            received: self.number - unreceived,
            in_flight: self.in_flight.clone(),
        })
    }
}
