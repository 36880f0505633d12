use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use async_trait::async_trait;
use futures_core::stream::BoxStream;
use futures_util::{StreamExt, stream};
use tokio::sync::{Mutex, broadcast, oneshot, watch};

use crate::kernel::{
    Channel, Death, ExecuteRequest, Execution, Header, Kernel, KernelError, KernelInfo, KernelState, LaunchRequest,
    Message, ShutdownMode,
};
use crate::model::{Json, JsonMap, KernelId};

use super::life::{Life, ShellRequest};
use super::outlet::UNSOLICITED_LIMIT;
use super::requests::kernel_info;
use super::script::Script;
use super::{Running, killed, start};

/// How long a kernel that is restarted may take to end by itself.
const RESTART_PATIENCE: Duration = Duration::from_secs(5);

/// A kernel that answers from a script.
#[derive(Debug)]
pub(super) struct MemoryKernel {
    id: KernelId,
    request: LaunchRequest,
    script: Arc<Script>,
    running: Running,
    unsolicited: broadcast::Sender<Message>,
    state: watch::Sender<KernelState>,
    life: RwLock<Arc<Life>>,
    /// The `header.session` of our messages.
    session: String,
    /// Held during a restart or shutdown: one at a time.
    ending: Mutex<()>,
}

impl MemoryKernel {
    pub(super) async fn launch(request: LaunchRequest, script: Script, running: Running) -> Result<Self, KernelError> {
        let script = Arc::new(script);
        let guard = running.enter();
        start(script.start(), &request).await?;
        let unsolicited = broadcast::channel(UNSOLICITED_LIMIT).0;
        let state = watch::Sender::new(KernelState::Starting);
        let life = Life::begin(Arc::clone(&script), unsolicited.clone(), state.clone(), guard);
        Ok(Self {
            id: KernelId::random(),
            request,
            script,
            running,
            unsolicited,
            state,
            life: RwLock::new(Arc::new(life)),
            session: uuid::Uuid::new_v4().to_string(),
            ending: Mutex::default(),
        })
    }

    fn life(&self) -> Arc<Life> {
        Arc::clone(&self.life.read().unwrap_or_else(PoisonError::into_inner))
    }

    async fn end(&self, mode: ShutdownMode) {
        let life = self.life();
        if let ShutdownMode::Graceful(patience) = mode {
            life.ask_to_end();
            if tokio::time::timeout(patience, life.ended()).await.is_err() {
                life.kill(Death {
                    signal: Some(15),
                    ..Death::default()
                });
            }
        }
        life.kill(killed());
        life.ended().await;
    }

    /// Answers on control, whatever is being executed.
    fn answer_on_control(&self, life: &Life, msg_type: &str) -> Result<JsonMap, KernelError> {
        let ok = || [("status".to_owned(), Json::from("ok"))].into_iter().collect();
        match (self.script.reply(msg_type), msg_type) {
            (Some(content), _) => Ok(content),
            (None, "kernel_info_request") => Ok(kernel_info()),
            (None, "interrupt_request") => {
                life.interrupt();
                Ok(ok())
            }
            (None, "shutdown_request") => {
                life.ask_to_end();
                Ok(ok())
            }
            _ => Err(KernelError::Unsupported {
                what: msg_type.to_owned(),
                by: self.to_string(),
            }),
        }
    }
}

impl fmt::Display for MemoryKernel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "kernel {} ({}, scripted)", self.id, self.request.spec.name)
    }
}

#[async_trait]
impl Kernel for MemoryKernel {
    fn id(&self) -> &KernelId {
        &self.id
    }

    fn info(&self) -> KernelInfo {
        KernelInfo {
            content: self.script.reply("kernel_info_request").unwrap_or_else(kernel_info),
        }
    }

    fn state(&self) -> watch::Receiver<KernelState> {
        self.state.subscribe()
    }

    async fn execute(&self, request: ExecuteRequest) -> Result<Execution, KernelError> {
        let header = Header::new("execute_request", &self.session);
        let msg_id = header.msg_id().into_owned();
        let messages = self.life().execute(header, request).await?;
        Ok(Execution {
            msg_id,
            messages,
            position: None,
        })
    }

    async fn request(&self, channel: Channel, msg_type: &str, content: JsonMap) -> Result<Message, KernelError> {
        let life = self.life();
        life.alive()?;
        let header = Header::new(msg_type, &self.session);
        let content = match channel {
            Channel::Shell => {
                let (reply, answer) = oneshot::channel();
                let msg_type = msg_type.to_owned();
                life.hand_over(ShellRequest::Other {
                    header: header.clone(),
                    msg_type,
                    content,
                    reply,
                })
                .await?;
                match answer.await {
                    Ok(content) => content?,
                    Err(_) => return Err(life.died().await),
                }
            }
            Channel::Control => self.answer_on_control(&life, msg_type)?,
            channel => {
                let what = format!("a request on {}", channel.as_str());
                return Err(KernelError::Unsupported {
                    what,
                    by: self.to_string(),
                });
            }
        };
        let reply_type = msg_type.replace("_request", "_reply");
        Ok(life.outlet.message(channel, Some(&header), &reply_type, content))
    }

    async fn send(
        &self,
        channel: Channel,
        msg_type: &str,
        content: JsonMap,
        parent: Option<&Header>,
    ) -> Result<String, KernelError> {
        let life = self.life();
        life.alive()?;
        let header = Header::new(msg_type, &self.session);
        let msg_id = header.msg_id().into_owned();
        match (channel, msg_type) {
            (Channel::Shell, msg_type) => {
                let msg_type = msg_type.to_owned();
                life.hand_over(ShellRequest::Comm {
                    header,
                    msg_type,
                    content,
                })
                .await?;
            }
            (Channel::Stdin, "input_reply") => {
                let value = content
                    .get("value")
                    .and_then(Json::as_str)
                    .unwrap_or_default()
                    .into_owned();
                let parent = parent.map(|parent| parent.msg_id().into_owned()).unwrap_or_default();
                if life.stdin.send((parent, value)).await.is_err() {
                    return Err(life.died().await);
                }
            }
            (channel, msg_type) => {
                let what = format!("sending {msg_type} on {}", channel.as_str());
                return Err(KernelError::Unsupported {
                    what,
                    by: self.to_string(),
                });
            }
        }
        Ok(msg_id)
    }

    fn unsolicited(&self) -> BoxStream<'static, Message> {
        stream::unfold(self.unsolicited.subscribe(), |mut receiver| async move {
            loop {
                match receiver.recv().await {
                    Ok(message) => return Some((message, receiver)),
                    Err(broadcast::error::RecvError::Lagged(_)) => {}
                    Err(broadcast::error::RecvError::Closed) => return None,
                }
            }
        })
        .boxed()
    }

    async fn ping(&self) -> Result<(), KernelError> {
        self.life().alive()
    }

    async fn interrupt(&self) -> Result<(), KernelError> {
        let life = self.life();
        life.alive()?;
        life.interrupt();
        Ok(())
    }

    async fn restart(&self) -> Result<(), KernelError> {
        let _one_at_a_time = self.ending.lock().await;
        self.end(ShutdownMode::Graceful(RESTART_PATIENCE)).await;
        let guard = self.running.enter();
        self.state.send_replace(KernelState::Starting);
        if let Err(error) = start(self.script.start(), &self.request).await {
            self.state.send_replace(KernelState::Dead(Death::default()));
            return Err(error);
        }
        let life = Life::begin(
            Arc::clone(&self.script),
            self.unsolicited.clone(),
            self.state.clone(),
            guard,
        );
        *self.life.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(life);
        Ok(())
    }

    async fn shutdown(&self, mode: ShutdownMode) -> Result<(), KernelError> {
        let _one_at_a_time = self.ending.lock().await;
        self.end(mode).await;
        Ok(())
    }
}
