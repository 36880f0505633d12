//! What is said to a kernel, and who waits for the answers; who carries it there is another matter.

use std::fmt::Debug;
use std::sync::{Arc, OnceLock, Weak};
use std::time::Duration;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use tokio::sync::mpsc;

use crate::kernel::{Channel, Death, DispatchId, ExecuteRequest, Header, KernelError, KernelInfo, Message};
use crate::model::{Json, JsonMap};

use super::frame_queue::Frames;
use super::router::{ExecutionMessages, Router};
use super::wire::Codec;

/// How long iopub may be silent after a reply before the idle is asked after.
const IDLE_PATIENCE: Duration = Duration::from_secs(2);

/// How long the end of a process may take to be told once its sockets fail.
const DEATH_PATIENCE: Duration = Duration::from_secs(2);

/// Takes messages to a kernel process.
#[async_trait]
pub(in crate::kernel) trait Carrier: Debug + Send + Sync + 'static {
    /// Hands a message to the kernel; on the heartbeat, waits for its echo.
    async fn carry(&self, letter: Letter) -> Result<Carried, KernelError>;

    /// Waits for the end of the process.
    async fn death(&self) -> Death;
}

/// What became of a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::kernel) enum Carried {
    /// The kernel has it; it was recorded here, where anything is.
    Sent(Option<u64>),
    /// The same execution was asked for before, by this request, recorded there: the kernel does not get it again.
    Before(String, u64),
}

/// An execution that the kernel has.
pub(in crate::kernel) enum Begun {
    /// It was sent, as this request, recorded there where anything is.
    New(String, ExecutionMessages, Option<u64>),
    /// It was sent before, as this request, recorded there.
    Before(String, u64),
}

/// A message on its way to the kernel.
#[derive(Debug)]
pub(in crate::kernel) struct Letter {
    pub(in crate::kernel) channel: Channel,
    pub(in crate::kernel) msg_id: String,
    pub(in crate::kernel) frames: Frames,
    /// Set on an `execute_request`.
    pub(in crate::kernel) execution: Option<ExecutionOrder>,
}

/// Who asks for an execution.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(in crate::kernel) struct ExecutionOrder {
    /// The execution of a run that it is; none where the engine looks after itself.
    pub(in crate::kernel) dispatch: Option<DispatchId>,
}

impl Letter {
    fn new(channel: Channel, message: &Message, codec: &Codec) -> Self {
        Self {
            channel,
            msg_id: message.header.msg_id().into_owned(),
            frames: codec.encode(message),
            execution: None,
        }
    }
}

/// All that is said to one kernel process, and who waits for what.
#[derive(Debug)]
pub(in crate::kernel) struct Dialogue {
    carrier: Arc<dyn Carrier>,
    pub(in crate::kernel) router: Arc<Router>,
    pub(in crate::kernel) codec: Arc<Codec>,
    /// The `header.session` of our messages.
    session: String,
    info: OnceLock<KernelInfo>,
}

impl Dialogue {
    pub(in crate::kernel) fn new(carrier: Arc<dyn Carrier>, router: Arc<Router>, codec: Codec) -> Self {
        Self {
            carrier,
            router,
            codec: Arc::new(codec),
            session: uuid::Uuid::new_v4().to_string(),
            info: OnceLock::new(),
        }
    }

    pub(in crate::kernel) fn info(&self) -> KernelInfo {
        self.info.get().cloned().unwrap_or_default()
    }

    /// Keeps what the kernel has said about itself.
    pub(in crate::kernel) fn learn(&self, content: JsonMap) {
        let _ = self.info.set(KernelInfo { content });
    }

    pub(in crate::kernel) fn letter(&self, channel: Channel, msg_type: &str, content: JsonMap) -> Letter {
        let message = Message::new(channel, msg_type, &self.session, content);
        Letter::new(channel, &message, &self.codec)
    }

    /// Hands over what nobody waits for the answer of.
    pub(in crate::kernel) async fn carry(&self, letter: Letter) -> Result<(), KernelError> {
        self.carrier.carry(letter).await.map(drop)
    }

    pub(in crate::kernel) async fn execute(&self, request: ExecuteRequest) -> Result<Begun, KernelError> {
        let dispatch = request.dispatch.clone();
        let (content, metadata) = content(request);
        let mut message = Message::new(Channel::Shell, "execute_request", &self.session, content);
        message.metadata = metadata;
        let mut letter = Letter::new(Channel::Shell, &message, &self.codec);
        letter.execution = Some(ExecutionOrder { dispatch });
        let msg_id = letter.msg_id.clone();
        let messages = self.router.expect_execution(&msg_id)?;
        match self.carry_registered(letter).await? {
            Carried::Sent(position) => Ok(Begun::New(msg_id, messages, position)),
            Carried::Before(earlier, position) => {
                self.router.forget(&msg_id);
                Ok(Begun::Before(earlier, position))
            }
        }
    }

    pub(in crate::kernel) async fn request(
        &self,
        channel: Channel,
        msg_type: &str,
        content: JsonMap,
    ) -> Result<Message, KernelError> {
        self.carry_for_reply(self.letter(channel, msg_type, content)).await
    }

    /// Executes in a subshell, while the kernel may be executing; gives the reply.
    pub(in crate::kernel) async fn execute_in(
        &self,
        subshell: Json,
        request: ExecuteRequest,
    ) -> Result<Message, KernelError> {
        let (content, metadata) = content(request);
        let mut message = Message::new(Channel::Shell, "execute_request", &self.session, content);
        message.metadata = metadata;
        message.header = message.header.with_subshell(subshell);
        self.carry_for_reply(Letter::new(Channel::Shell, &message, &self.codec))
            .await
    }

    pub(in crate::kernel) async fn carry_for_reply(&self, letter: Letter) -> Result<Message, KernelError> {
        let reply = self.router.expect_reply(&letter.msg_id)?;
        self.carry_registered(letter).await?;
        match reply.await {
            Ok(reply) => reply,
            Err(_) => Err(KernelError::Died(self.carrier.death().await)),
        }
    }

    async fn carry_registered(&self, letter: Letter) -> Result<Carried, KernelError> {
        let msg_id = letter.msg_id.clone();
        let carried = self.carry_to_the_living(letter).await;
        if carried.is_err() {
            self.router.forget(&msg_id);
        }
        carried
    }

    /// Hands a message over, unless the kernel dies before: a socket without a peer may wait for one for ever.
    async fn carry_to_the_living(&self, letter: Letter) -> Result<Carried, KernelError> {
        tokio::select! {
            biased;
            carried = self.carrier.carry(letter) => self.explain(carried).await,
            death = self.carrier.death() => Err(KernelError::Died(death)),
        }
    }

    /// A socket fails when the kernel has just died: that is then the error.
    async fn explain(&self, carried: Result<Carried, KernelError>) -> Result<Carried, KernelError> {
        match carried {
            Err(KernelError::Io { action, source }) => {
                match tokio::time::timeout(DEATH_PATIENCE, self.carrier.death()).await {
                    Ok(death) => Err(KernelError::Died(death)),
                    Err(_) => Err(KernelError::Io { action, source }),
                }
            }
            carried => carried,
        }
    }

    pub(in crate::kernel) async fn send(
        &self,
        channel: Channel,
        msg_type: &str,
        content: JsonMap,
        parent: Option<&Header>,
    ) -> Result<String, KernelError> {
        let mut message = Message::new(channel, msg_type, &self.session, content);
        message.parent_header = parent.cloned();
        let letter = Letter::new(channel, &message, &self.codec);
        let msg_id = letter.msg_id.clone();
        self.router.alive()?;
        self.carry_to_the_living(letter).await?;
        Ok(msg_id)
    }

    pub(in crate::kernel) async fn ping(&self) -> Result<(), KernelError> {
        let ping = Letter {
            channel: Channel::Heartbeat,
            msg_id: String::new(),
            frames: vec![bytes::Bytes::from_static(b"ping")],
            execution: None,
        };
        self.carry_to_the_living(ping).await.map(drop)
    }
}

/// The content of the message, and its metadata.
pub(in crate::kernel) fn content(request: ExecuteRequest) -> (JsonMap, JsonMap) {
    let content = [
        ("code", Json::from(request.code)),
        ("silent", request.silent.into()),
        ("store_history", request.store_history.into()),
        ("user_expressions", request.user_expressions.into()),
        ("allow_stdin", request.allow_stdin.into()),
        ("stop_on_error", request.stop_on_error.into()),
    ];
    (
        content
            .into_iter()
            .map(|(key, value)| (key.to_owned(), value))
            .collect(),
        request.metadata,
    )
}

/// Makes sure that an execution whose reply has come also ends.
///
/// iopub keeps its order. So when it has been silent, a request is sent whose own status must come after the missing
/// idle: if that status comes and the idle has not, the idle was lost, and perhaps outputs with it.
pub(in crate::kernel) async fn watch_for_idle(dialogue: Weak<Dialogue>, msg_id: String) {
    let Some(router) = dialogue.upgrade().map(|dialogue| Arc::clone(&dialogue.router)) else {
        return;
    };
    let Some(mut settled) = router.expect_idle(&msg_id) else {
        return;
    };
    let (passed_tx, mut passed) = mpsc::channel(1);
    loop {
        let seen = router.published();
        tokio::select! {
            _ = &mut settled => return,
            _ = passed.recv() => return router.idle_lost(&msg_id).await,
            () = tokio::time::sleep(IDLE_PATIENCE) => {}
        }
        if router.published() != seen {
            continue;
        }
        let Some(dialogue) = dialogue.upgrade() else { return };
        let probe = dialogue.letter(Channel::Shell, "kernel_info_request", JsonMap::new());
        router.expect_sign(&probe.msg_id, passed_tx.clone());
        if dialogue.carry(probe).await.is_err() {
            return;
        }
    }
}
