use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use async_trait::async_trait;
use futures_core::stream::BoxStream;
use futures_util::{StreamExt, stream};
use tokio::sync::{Mutex, broadcast, watch};

use crate::kernel::{
    Channel, Death, ExecuteRequest, Execution, Header, Kernel, KernelError, KernelInfo, KernelState, LaunchRequest,
    Message, ShutdownMode,
};
use crate::model::{JsonMap, KernelId};

use super::connection_file::{Connection, KnownConnection, Transport};
use super::dialogue::{Begun, Letter};
use super::generation::{Generation, Keeping, Shared};
use super::process::Process;
use super::router::ExecutionMessages;

/// How long a kernel that is restarted may take to end by itself.
const RESTART_PATIENCE: Duration = Duration::from_secs(5);

/// A process that runs already, and what is known of it.
#[cfg(target_os = "linux")]
#[derive(Debug)]
pub(in crate::kernel) struct Taken {
    pub(in crate::kernel) process: Process,
    pub(in crate::kernel) connection: Connection,
    /// The content of its `kernel_info_reply`.
    pub(in crate::kernel) info: JsonMap,
}

/// A kernel that runs as a process of this machine.
#[derive(Debug)]
pub(in crate::kernel) struct LocalKernel {
    id: KernelId,
    request: LaunchRequest,
    transport: Transport,
    shared: Shared,
    generation: RwLock<Arc<Generation>>,
    /// Held during a restart or shutdown: one at a time.
    ending: Mutex<()>,
}

impl LocalKernel {
    /// Starts a kernel of this identity, to outlive this process where `keeping` is given.
    pub(super) async fn launch(
        id: KernelId,
        request: LaunchRequest,
        transport: Transport,
        keeping: Option<Keeping>,
    ) -> Result<Self, KernelError> {
        let shared = Shared::new(keeping);
        let generation = Generation::start(&request, transport, &shared).await?;
        tracing::debug!(kernel_id = %id, pid = generation.pid(), name = request.spec.name, "kernel started");
        let generation = RwLock::new(generation);
        Ok(Self {
            id,
            request,
            transport,
            shared,
            generation,
            ending: Mutex::default(),
        })
    }

    /// Takes over a kernel that runs already.
    #[cfg(target_os = "linux")]
    pub(in crate::kernel) async fn adopt(
        id: KernelId,
        request: LaunchRequest,
        transport: Transport,
        keeping: Keeping,
        taken: Taken,
    ) -> Result<Self, KernelError> {
        let shared = Shared::new(Some(keeping));
        let generation = Generation::adopt(&request, taken.connection, taken.process, taken.info, &shared).await?;
        Ok(Self {
            id,
            request,
            transport,
            shared,
            generation: RwLock::new(generation),
            ending: Mutex::default(),
        })
    }

    pub(in crate::kernel) fn transport(&self) -> Transport {
        self.transport
    }

    pub(in crate::kernel) fn pid(&self) -> u32 {
        self.generation().pid().unsigned_abs()
    }

    /// What it takes to connect to the process that runs now.
    pub(in crate::kernel) fn connection(&self) -> KnownConnection {
        self.generation().connection().known()
    }

    /// Hands over a message that somebody else has made.
    pub(in crate::kernel) async fn carry(&self, letter: Letter) -> Result<(), KernelError> {
        self.generation().carry(letter).await
    }

    fn generation(&self) -> Arc<Generation> {
        Arc::clone(&self.generation.read().unwrap_or_else(PoisonError::into_inner))
    }
}

impl fmt::Display for LocalKernel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "kernel {} ({}, process {})",
            self.id,
            self.request.spec.name,
            self.generation().pid()
        )
    }
}

/// What a router gives, as a stream.
pub(in crate::kernel) fn stream_of(messages: ExecutionMessages) -> BoxStream<'static, Result<Message, KernelError>> {
    stream::unfold(messages, |mut messages| async move {
        Some((messages.recv().await?, messages))
    })
    .boxed()
}

/// What belongs to no execution, as a stream.
pub(in crate::kernel) fn unsolicited(receiver: broadcast::Receiver<Message>) -> BoxStream<'static, Message> {
    stream::unfold(receiver, |mut receiver| async move {
        loop {
            match receiver.recv().await {
                Ok(message) => return Some((message, receiver)),
                Err(broadcast::error::RecvError::Lagged(missed)) => {
                    tracing::warn!(missed, "unsolicited messages were read too late");
                }
                Err(broadcast::error::RecvError::Closed) => return None,
            }
        }
    })
    .boxed()
}

#[async_trait]
impl Kernel for LocalKernel {
    fn id(&self) -> &KernelId {
        &self.id
    }

    fn info(&self) -> KernelInfo {
        self.generation().info()
    }

    fn state(&self) -> watch::Receiver<KernelState> {
        self.shared.state.subscribe()
    }

    async fn execute(&self, request: ExecuteRequest) -> Result<Execution, KernelError> {
        match self.generation().execute(request).await? {
            Begun::New(msg_id, messages, position) => Ok(Execution {
                msg_id,
                messages: stream_of(messages),
                position,
            }),
            Begun::Before(..) => unreachable!("nothing is recorded of a local kernel's executions"),
        }
    }

    async fn request(&self, channel: Channel, msg_type: &str, content: JsonMap) -> Result<Message, KernelError> {
        self.generation().request(channel, msg_type, content).await
    }

    async fn send(
        &self,
        channel: Channel,
        msg_type: &str,
        content: JsonMap,
        parent: Option<&Header>,
    ) -> Result<String, KernelError> {
        self.generation().send(channel, msg_type, content, parent).await
    }

    fn unsolicited(&self) -> BoxStream<'static, Message> {
        unsolicited(self.shared.unsolicited.subscribe())
    }

    async fn ping(&self) -> Result<(), KernelError> {
        self.generation().ping().await
    }

    async fn interrupt(&self) -> Result<(), KernelError> {
        self.generation().interrupt().await
    }

    async fn restart(&self) -> Result<(), KernelError> {
        let _one_at_a_time = self.ending.lock().await;
        self.generation()
            .shutdown(ShutdownMode::Graceful(RESTART_PATIENCE), true)
            .await?;
        self.shared.state.send_replace(KernelState::Starting);
        let generation = Generation::start(&self.request, self.transport, &self.shared).await;
        match generation {
            Ok(generation) => {
                *self.generation.write().unwrap_or_else(PoisonError::into_inner) = generation;
                Ok(())
            }
            Err(error) => {
                self.shared.state.send_replace(KernelState::Dead(Death::default()));
                Err(error)
            }
        }
    }

    async fn shutdown(&self, mode: ShutdownMode) -> Result<(), KernelError> {
        let _one_at_a_time = self.ending.lock().await;
        self.generation().shutdown(mode, false).await
    }
}
