//! Gives every message to whoever waits for it, by the `msg_id` of its parent.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use tokio::sync::{broadcast, mpsc, oneshot, watch};

use crate::kernel::{Channel, Death, Header, KernelError, KernelState, Message};
use crate::model::Json;

use super::channels::Replies;
use super::frame_queue::FrameQueue;
use super::tap::{Tap, is_about_the_kernel};
use super::wire::Codec;

/// Messages of one execution that wait for its reader; behind them, messages wait in the frame queue.
const EXECUTION_LIMIT: usize = 256;

/// Messages from this size on, in bytes, wait there alone: behind them, the frame queue keeps what comes on disk.
pub(in crate::kernel) const LARGE: usize = 64 << 10;

/// Messages that an [`unsolicited`](super::super::Kernel::unsolicited) subscriber may be behind.
const UNSOLICITED_LIMIT: usize = 1024;

/// What one execution's stream yields.
pub(in crate::kernel) type ExecutionMessages = mpsc::Receiver<Result<Message, KernelError>>;

/// Who waits for what, in one process of a kernel.
#[derive(Debug)]
pub(in crate::kernel) struct Router {
    waiting: Mutex<Waiting>,
    unsolicited: broadcast::Sender<Message>,
    state: watch::Sender<KernelState>,
    published: AtomicU64,
}

#[derive(Debug, Default)]
struct Waiting {
    executions: HashMap<String, Pending>,
    replies: HashMap<String, oneshot::Sender<Result<Message, KernelError>>>,
    /// Whom to tell of a request's status, or of the welcome to a topic, on iopub.
    signs: HashMap<String, mpsc::Sender<()>>,
    death: Option<Death>,
}

#[derive(Debug)]
struct Pending {
    messages: mpsc::Sender<Result<Message, KernelError>>,
    replied: bool,
    idle: bool,
    /// Whether some of its messages are known to be lost.
    has_gap: bool,
    /// Set when the reply has come: to be told that the idle has come as well.
    settled: Option<oneshot::Sender<()>>,
}

impl Router {
    pub(in crate::kernel) fn new(
        unsolicited: broadcast::Sender<Message>,
        state: watch::Sender<KernelState>,
    ) -> Arc<Self> {
        Arc::new(Self {
            waiting: Mutex::default(),
            unsolicited,
            state,
            published: AtomicU64::new(0),
        })
    }

    /// The channel for a kernel's unsolicited messages.
    pub(in crate::kernel) fn unsolicited_channel() -> broadcast::Sender<Message> {
        broadcast::channel(UNSOLICITED_LIMIT).0
    }

    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Fails on a process that is known to be dead.
    pub(in crate::kernel) fn alive(&self) -> Result<(), KernelError> {
        self.waiting().alive()
    }

    /// Registers an execution before its request is sent.
    pub(in crate::kernel) fn expect_execution(&self, msg_id: &str) -> Result<ExecutionMessages, KernelError> {
        let (messages, receiver) = mpsc::channel(EXECUTION_LIMIT);
        let mut waiting = self.waiting();
        waiting.alive()?;
        let pending = Pending {
            messages,
            replied: false,
            idle: false,
            has_gap: false,
            settled: None,
        };
        waiting.executions.insert(msg_id.to_owned(), pending);
        Ok(receiver)
    }

    /// Registers a request before it is sent.
    pub(in crate::kernel) fn expect_reply(
        &self,
        msg_id: &str,
    ) -> Result<oneshot::Receiver<Result<Message, KernelError>>, KernelError> {
        let (reply_tx, reply_rx) = oneshot::channel();
        let mut waiting = self.waiting();
        waiting.alive()?;
        waiting.replies.insert(msg_id.to_owned(), reply_tx);
        Ok(reply_rx)
    }

    /// Forgets what was registered for a request that could not be sent.
    pub(in crate::kernel) fn forget(&self, msg_id: &str) {
        let mut waiting = self.waiting();
        waiting.executions.remove(msg_id);
        waiting.replies.remove(msg_id);
    }

    /// Tells `seen` when iopub shows the status of the request `key`, or the welcome to the topic `key`.
    pub(in crate::kernel) fn expect_sign(&self, key: &str, seen: mpsc::Sender<()>) {
        self.waiting().signs.insert(key.to_owned(), seen);
    }

    pub(in crate::kernel) fn forget_signs(&self) {
        self.waiting().signs.clear();
    }

    /// Whether the kernel has last said that it is executing.
    pub(in crate::kernel) fn is_busy(&self) -> bool {
        *self.state.borrow() == KernelState::Busy
    }

    /// How many messages iopub has brought so far.
    pub(in crate::kernel) fn published(&self) -> u64 {
        self.published.load(Ordering::Relaxed)
    }

    /// Resolves when the execution's idle has come; an error where it ends without. None where it has come.
    pub(in crate::kernel) fn expect_idle(&self, msg_id: &str) -> Option<oneshot::Receiver<()>> {
        let (settled, receiver) = oneshot::channel();
        self.waiting().executions.get_mut(msg_id)?.settled = Some(settled);
        Some(receiver)
    }

    /// Ends an execution whose idle status is known to have been lost, or any other request whose reply is.
    pub(in crate::kernel) async fn idle_lost(&self, msg_id: &str) {
        if let Some(reply) = self.waiting().replies.remove(msg_id) {
            let _ = reply.send(Err(KernelError::Incomplete));
        }
        let pending = self.waiting().executions.remove(msg_id);
        if let Some(pending) = pending {
            let _ = pending.messages.send(Err(KernelError::Incomplete)).await;
        }
    }

    /// Messages are lost here: the executions in progress will end as incomplete.
    pub(in crate::kernel) fn note_gap(&self) {
        let mut waiting = self.waiting();
        waiting
            .executions
            .values_mut()
            .for_each(|pending| pending.has_gap = true);
    }

    /// Reads iopub until its queue is closed and empty. Where somebody taps it, outputs are theirs.
    pub(in crate::kernel) async fn route_iopub(&self, codec: &Codec, queue: &FrameQueue, tap: Option<&dyn Tap>) {
        while let Some(frames) = queue.pop().await {
            if let Some(tap) = tap {
                tap.received(Channel::Iopub, &frames);
                if !is_about_the_kernel(&frames) {
                    continue;
                }
            }
            let is_large = frames.iter().map(Bytes::len).sum::<usize>() >= LARGE;
            let decoded = codec.decode(Channel::Iopub, &frames);
            drop(frames);
            match decoded {
                Ok(message) => self.give_iopub(message, is_large).await,
                Err(error) => tracing::warn!(%error),
            }
        }
    }

    /// Gives a message of iopub; a large one waits alone, and whoever gives it with it.
    pub(in crate::kernel) async fn give_iopub(&self, message: Message, is_large: bool) {
        self.published.fetch_add(1, Ordering::Relaxed);
        let msg_type = message.msg_type().into_owned();
        let is_idle = self.note(&msg_type, &message);
        let parent = message.parent_id().map(std::borrow::Cow::into_owned);
        let execution = parent
            .as_ref()
            .and_then(|id| Some(self.waiting().executions.get(id)?.messages.clone()));
        match execution {
            Some(messages) => {
                if let Err(dropped) = messages.send(Ok(message)).await
                    && let Ok(message) = dropped.0
                {
                    let _ = self.unsolicited.send(message);
                } else if is_large {
                    // There is room for all only once it has been taken; an error is that of a reader who has gone.
                    let _ = messages.reserve_many(EXECUTION_LIMIT).await;
                }
            }
            None => drop(self.unsolicited.send(message)),
        }
        if let Some(id) = parent.filter(|_| is_idle) {
            self.waiting().finished(&id, |pending| pending.idle = true);
        }
    }

    /// Notes a status or a welcome; tells whether it is the idle status.
    fn note(&self, msg_type: &str, message: &Message) -> bool {
        match msg_type {
            "status" => {
                let state = message
                    .content
                    .get("execution_state")
                    .and_then(Json::as_str)
                    .unwrap_or_default();
                let new = match &*state {
                    "busy" => KernelState::Busy,
                    "idle" => KernelState::Idle,
                    _ => KernelState::Starting,
                };
                // What a subshell does says nothing of what the kernel is executing.
                if !message.parent_header.as_ref().is_some_and(Header::is_about_a_subshell) {
                    self.enter(new);
                }
                self.show_sign(&message.parent_id().unwrap_or_default());
                state == "idle"
            }
            "iopub_welcome" => {
                self.show_sign(
                    &message
                        .content
                        .get("subscription")
                        .and_then(Json::as_str)
                        .unwrap_or_default(),
                );
                false
            }
            _ => false,
        }
    }

    /// Notes a new state, unless the process has died: what it had said is no news, and another may run by now.
    fn enter(&self, new: KernelState) {
        let waiting = self.waiting();
        if waiting.death.is_some() {
            return;
        }
        self.state.send_if_modified(|old| {
            let changed = *old != new;
            if changed {
                *old = new;
            }
            changed
        });
    }

    fn show_sign(&self, key: &str) {
        if let Some(seen) = self.waiting().signs.remove(key) {
            let _ = seen.try_send(());
        }
    }

    /// Reads replies and input requests until the channels are closed. Calls `replied` for every execution's reply.
    pub(in crate::kernel) async fn route_replies(
        &self,
        codec: &Codec,
        mut replies: Replies,
        replied: impl Fn(String),
        tap: Option<&dyn Tap>,
    ) {
        while let Some((channel, frames)) = replies.recv().await {
            if let Some(tap) = tap {
                tap.received(channel, &frames);
            }
            match codec.decode(channel, &frames) {
                Ok(message) => self.give_reply(message, &replied),
                Err(error) => tracing::warn!(%error),
            }
        }
    }

    pub(in crate::kernel) fn give_reply(&self, message: Message, replied: &impl Fn(String)) {
        let Some(id) = message.parent_id().map(std::borrow::Cow::into_owned) else {
            return;
        };
        if let Some(reply) = self.waiting().replies.remove(&id) {
            let _ = reply.send(Ok(message));
            return;
        }
        let Some(messages) = self
            .waiting()
            .executions
            .get(&id)
            .map(|pending| pending.messages.clone())
        else {
            return;
        };
        let is_reply = message.channel == Channel::Shell;
        if let Err(mpsc::error::TrySendError::Full(message)) = messages.try_send(Ok(message)) {
            // Its reader is behind: other replies do not wait for it.
            tokio::spawn(async move { messages.send(message).await });
        }
        if is_reply && !self.waiting().finished(&id, |pending| pending.replied = true) {
            replied(id);
        }
    }

    /// The process has died: nothing more is asked of it. What it has said may still have to be read.
    pub(in crate::kernel) fn note_death(&self, death: &Death) {
        let mut waiting = self.waiting();
        if waiting.death.is_none() {
            waiting.death = Some(death.clone());
            self.state.send_replace(KernelState::Dead(death.clone()));
        }
    }

    /// No reply will come any more: whoever waits for one asks how the process died.
    pub(in crate::kernel) fn end_requests(&self) {
        self.waiting().replies.clear();
    }

    /// Ends every execution: all that the dead kernel had said has been routed.
    pub(in crate::kernel) async fn end_executions(&self, death: Death) {
        let executions = std::mem::take(&mut self.waiting().executions);
        for pending in executions.into_values() {
            let _ = pending.messages.send(Err(KernelError::Died(death.clone()))).await;
        }
    }
}

impl Waiting {
    fn alive(&self) -> Result<(), KernelError> {
        match &self.death {
            Some(death) => Err(KernelError::Died(death.clone())),
            None => Ok(()),
        }
    }

    /// Applies `change`; an execution with both its reply and its idle has ended. Tells whether it has.
    fn finished(&mut self, id: &str, change: impl FnOnce(&mut Pending)) -> bool {
        let Some(pending) = self.executions.get_mut(id) else {
            return true;
        };
        change(pending);
        if !(pending.replied && pending.idle) {
            return false;
        }
        let Some(pending) = self.executions.remove(id) else {
            return true;
        };
        if pending.has_gap {
            tokio::spawn(async move { pending.messages.send(Err(KernelError::Incomplete)).await });
        }
        if let Some(settled) = pending.settled {
            let _ = settled.send(());
        }
        true
    }
}
