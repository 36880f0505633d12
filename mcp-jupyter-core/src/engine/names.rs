//! What is done to the names of a kernel beside its cells: they are watched, and deleted.

use std::time::Duration;

use futures_util::StreamExt;
use tokio::time::{Instant, sleep_until};

use crate::kernel::{Channel, ExecuteRequest, KernelError, ShutdownMode};
use crate::model::Json;
use crate::scheduler::{Dispatch, Observation};

use super::event::{CellOutcome, EscalationStep};
use super::execution::Reply;
use super::live_kernel::{Helper, LiveKernel};
use super::observer::{self, Seen};
use super::run::RunLoop;

/// How long a request of our own is waited for before it is interrupted. It takes milliseconds, and an interrupt that
/// does not hit code makes ipykernel lose the answer.
const OWN_PATIENCE: Duration = Duration::from_secs(1);

impl RunLoop {
    /// Deletes names.
    pub(super) async fn delete(&mut self, live: &mut LiveKernel, names: &[String]) {
        if names.is_empty() {
            return;
        }
        self.install(live).await;
        let request = match live.helper {
            Helper::Absent => observer::delete_by_code(names),
            Helper::Behind | Helper::Current => observer::delete(names),
        };
        self.quietly(live, request).await;
    }

    /// Lets the helper see the namespace as it is before the next cell.
    pub(super) async fn catch_up(&mut self, live: &mut LiveKernel) {
        self.install(live).await;
        if live.helper == Helper::Behind && self.quietly(live, observer::look_alone()).await.is_some() {
            live.helper = Helper::Current;
        }
    }

    async fn install(&mut self, live: &mut LiveKernel) {
        if live.helper == Helper::Absent
            && live.kernel.info().is_ipython()
            && self.quietly(live, observer::install()).await.is_some()
        {
            live.helper = Helper::Current;
        }
    }

    /// What was seen of an execution. Where the code has raised, the kernel did not look, and is asked to.
    pub(super) async fn observed(
        &mut self,
        live: &mut LiveKernel,
        dispatch: &Dispatch,
        reply: &Reply,
    ) -> Option<Observation> {
        // The helper may be there and not ours, where somebody else has begun the execution.
        if live.helper == Helper::Absent && reply.seen == Seen::Nothing {
            return None;
        }
        live.helper = Helper::Behind;
        if !dispatch.verify {
            return None;
        }
        let seen = match (&reply.seen, &reply.outcome) {
            (Seen::Nothing, CellOutcome::Error { .. }) => {
                let reply = self.quietly(live, observer::look_alone()).await?;
                observer::seen(&reply)
            }
            (seen, _) => seen.clone(),
        };
        if matches!(seen, Seen::Changes(_) | Seen::Unable) {
            live.helper = Helper::Current;
        }
        match seen {
            Seen::Changes(changes) => Some(changes),
            Seen::Unable | Seen::Interrupted | Seen::Nothing => None,
        }
    }

    /// Executes what is none of the user's; gives the reply, none where the kernel gave none. What is printed meanwhile
    /// belongs to no cell.
    async fn quietly(&mut self, live: &mut LiveKernel, request: ExecuteRequest) -> Option<Json> {
        match self.try_quietly(live, request).await {
            Ok(reply) => reply,
            Err(error) => {
                // A kernel that is dead is found so by the next cell.
                tracing::debug!(%error, "the kernel did not take a request");
                None
            }
        }
    }

    async fn try_quietly(
        &mut self,
        live: &mut LiveKernel,
        request: ExecuteRequest,
    ) -> Result<Option<Json>, KernelError> {
        let mut execution = live.kernel.execute(request).await?;
        let (mut reply, mut due) = (None, None);
        loop {
            tokio::select! {
                message = execution.messages.next() => match message {
                    Some(message) => {
                        let message = message?;
                        if message.channel == Channel::Shell {
                            reply = Some(message.content);
                        }
                    }
                    None => return Ok(reply),
                },
                Some(message) = live.strays.next() => self.take_stray(live, message).await,
                () = sleep_until(due.unwrap_or_else(Instant::now)), if due.is_some() => {
                    due = None;
                    live.kernel.interrupt().await?;
                }
                step = self.limits.next_step() => match step {
                    EscalationStep::Interrupt => due = Some(Instant::now() + OWN_PATIENCE),
                    EscalationStep::Kill => live.kernel.shutdown(ShutdownMode::Immediate).await?,
                },
            }
        }
    }
}
