//! The way of messages from a scripted kernel to whoever waits for them.

use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use bytes::Bytes;
use futures_core::stream::BoxStream;
use futures_util::{StreamExt, stream};
use tokio::sync::{broadcast, mpsc, watch};

use crate::kernel::{Channel, Death, Header, KernelError, KernelState, Message};
use crate::model::{Json, JsonMap};

use super::object;

/// Messages of one execution that wait for its reader; the kernel waits where there are more.
const EXECUTION_LIMIT: usize = 1 << 16;

/// Messages that a subscriber to the unsolicited ones may be behind.
pub(super) const UNSOLICITED_LIMIT: usize = 1024;

/// What all messages of one kernel go through.
#[derive(Clone, Debug)]
pub(super) struct Outlet {
    pub(super) session: String,
    pub(super) unsolicited: broadcast::Sender<Message>,
    pub(super) state: watch::Sender<KernelState>,
}

impl Outlet {
    pub(super) fn message(
        &self,
        channel: Channel,
        parent: Option<&Header>,
        msg_type: &str,
        content: JsonMap,
    ) -> Message {
        let mut message = Message::new(channel, msg_type, &self.session, content);
        message.parent_header = parent.cloned();
        message
    }

    /// Publishes a message that belongs to no execution.
    pub(super) fn publish(&self, parent: Option<&Header>, msg_type: &str, content: JsonMap) {
        let _ = self
            .unsolicited
            .send(self.message(Channel::Iopub, parent, msg_type, content));
    }

    /// Publishes the status of a request that is no execution.
    pub(super) fn publish_status(&self, parent: &Header, status: Status) {
        self.note(status);
        self.publish(Some(parent), "status", status.content());
    }

    fn note(&self, status: Status) {
        let new = match status {
            Status::Busy => KernelState::Busy,
            Status::Idle => KernelState::Idle,
        };
        self.state.send_if_modified(|old| {
            *old != new && {
                *old = new;
                true
            }
        });
    }
}

/// What a kernel says about itself at the beginning and the end of every request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Status {
    Busy,
    Idle,
}

impl Status {
    fn content(self) -> JsonMap {
        let state = match self {
            Self::Busy => "busy",
            Self::Idle => "idle",
        };
        object([("execution_state", Json::from(state))])
    }
}

/// How an execution ended; where it never did, the kernel has died.
#[derive(Clone, Copy, Debug)]
enum End {
    Complete,
    IdleLost,
}

/// Speaks for one execution: to its stream, or, when that is gone, to the subscribers of unsolicited messages.
#[derive(Clone, Debug)]
pub(super) struct Voice {
    outlet: Outlet,
    parent: Header,
    /// Taken out at the end of the execution; threads that it has started speak on.
    messages: Arc<Mutex<Option<mpsc::Sender<Message>>>>,
    end: Arc<OnceLock<End>>,
}

impl Voice {
    /// A voice for the execution whose request has this header, and the stream of what it says.
    pub(super) fn new(
        outlet: Outlet,
        parent: Header,
        death: watch::Receiver<Option<Death>>,
    ) -> (Self, BoxStream<'static, Result<Message, KernelError>>) {
        let (messages, receiver) = mpsc::channel(EXECUTION_LIMIT);
        let end = Arc::default();
        let listener = Listener {
            receiver,
            death,
            end: Arc::clone(&end),
            ended: false,
        };
        let stream = stream::unfold(listener, |mut listener| async {
            Some((listener.next().await?, listener))
        });
        (
            Self {
                outlet,
                parent,
                messages: Arc::new(Mutex::new(Some(messages))),
                end,
            },
            stream.boxed(),
        )
    }

    pub(super) async fn publish(&self, msg_type: &str, content: JsonMap) {
        self.publish_with(msg_type, content, Vec::new()).await;
    }

    pub(super) async fn publish_with(&self, msg_type: &str, content: JsonMap, buffers: Vec<Bytes>) {
        let mut message = self
            .outlet
            .message(Channel::Iopub, Some(&self.parent), msg_type, content);
        message.buffers = buffers;
        self.deliver(message).await;
    }

    /// The content with the request's id in place of its placeholder.
    pub(super) fn fill_in(&self, content: JsonMap) -> JsonMap {
        match fill_in(Json::Object(content), &self.parent.msg_id()) {
            Json::Object(content) => content,
            _ => JsonMap::new(),
        }
    }

    /// Publishes a message without a parent.
    pub(super) fn publish_unsolicited(&self, msg_type: &str, content: JsonMap) {
        self.outlet.publish(None, msg_type, content);
    }

    pub(super) async fn publish_status(&self, status: Status) {
        self.outlet.note(status);
        self.publish("status", status.content()).await;
    }

    /// Sends a message on shell or stdin; gives its `msg_id`.
    pub(super) async fn send(&self, channel: Channel, msg_type: &str, content: JsonMap) -> String {
        let message = self.outlet.message(channel, Some(&self.parent), msg_type, content);
        let msg_id = message.header.msg_id().into_owned();
        self.deliver(message).await;
        msg_id
    }

    async fn deliver(&self, message: Message) {
        let messages = self.messages.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let undelivered = match messages {
            Some(messages) => messages.send(message).await.err().map(|error| error.0),
            None => Some(message),
        };
        if let Some(message) = undelivered.filter(|message| message.channel == Channel::Iopub) {
            let _ = self.outlet.unsolicited.send(message);
        }
    }

    /// The execution has ended, its idle status published or lost.
    pub(super) fn finish(&self, idle_lost: bool) {
        let _ = self.end.set(if idle_lost { End::IdleLost } else { End::Complete });
        self.messages.lock().unwrap_or_else(PoisonError::into_inner).take();
        if idle_lost {
            self.outlet.note(Status::Idle);
        }
    }
}

/// The reader's end of one execution.
struct Listener {
    receiver: mpsc::Receiver<Message>,
    death: watch::Receiver<Option<Death>>,
    end: Arc<OnceLock<End>>,
    ended: bool,
}

impl Listener {
    async fn next(&mut self) -> Option<Result<Message, KernelError>> {
        if let Some(message) = self.receiver.recv().await {
            return Some(Ok(message));
        }
        if std::mem::replace(&mut self.ended, true) {
            return None;
        }
        match self.end.get() {
            Some(End::Complete) => None,
            Some(End::IdleLost) => Some(Err(KernelError::Incomplete)),
            None => Some(Err(KernelError::Died(death(&mut self.death).await))),
        }
    }
}

fn fill_in(content: Json, msg_id: &str) -> Json {
    match content {
        Json::String(text) if text.to_str() == "{msg_id}" => msg_id.into(),
        Json::Array(items) => items
            .into_iter()
            .map(|item| fill_in(item, msg_id))
            .collect::<Vec<_>>()
            .into(),
        Json::Object(members) => members
            .into_iter()
            .map(|(key, value)| (key, fill_in(value, msg_id)))
            .collect(),
        other => other,
    }
}

/// Waits for the kernel's death.
pub(super) async fn death(death: &mut watch::Receiver<Option<Death>>) -> Death {
    let ended = death.wait_for(Option::is_some).await;
    ended.ok().and_then(|death| death.clone()).unwrap_or_default()
}
