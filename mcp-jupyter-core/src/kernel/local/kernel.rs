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
use crate::model::{Json, JsonMap, KernelId};

use super::connection_file::Transport;
use super::generation::{Generation, Shared};
use super::router::Router;

/// How long a kernel that is restarted may take to end by itself.
const RESTART_PATIENCE: Duration = Duration::from_secs(5);

/// A kernel that runs as a process of this machine.
#[derive(Debug)]
pub(super) struct LocalKernel {
    id: KernelId,
    request: LaunchRequest,
    transport: Transport,
    shared: Shared,
    generation: RwLock<Arc<Generation>>,
    /// Held during a restart or shutdown: one at a time.
    ending: Mutex<()>,
}

impl LocalKernel {
    pub(super) async fn launch(request: LaunchRequest, transport: Transport) -> Result<Self, KernelError> {
        let shared = Shared {
            unsolicited: Router::unsolicited_channel(),
            state: watch::Sender::new(KernelState::Starting),
        };
        let generation = Generation::start(&request, transport, &shared).await?;
        let id = KernelId::random();
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

/// The content of the message, and its metadata.
pub(super) fn content(request: ExecuteRequest) -> (JsonMap, JsonMap) {
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
        let (content, metadata) = content(request);
        let (msg_id, messages) = self.generation().execute(content, metadata).await?;
        let messages = stream::unfold(messages, |mut messages| async move {
            Some((messages.recv().await?, messages))
        });
        Ok(Execution {
            msg_id,
            messages: messages.boxed(),
        })
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
        let receiver = self.shared.unsolicited.subscribe();
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
