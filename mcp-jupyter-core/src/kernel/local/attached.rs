//! A kernel that somebody else has started, and that others may talk to as well.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures_core::stream::BoxStream;
use serde::Deserialize;
use tokio::sync::watch;

use crate::kernel::{
    Channel, Death, ExecuteRequest, Execution, Header, Kernel, KernelError, KernelInfo, KernelState, Message,
    ShutdownMode,
};
use crate::model::{Json, JsonMap, KernelId};

use super::channels::{Channels, Endpoints};
use super::conversation::Conversation;
use super::dialogue::{Begun, Carried, Carrier, Letter};
use super::generation::Shared;
use super::kernel::{stream_of, unsolicited};
use super::wire::Codec;

/// How long a kernel may take to end that is asked to at once: nobody here can make it.
const END_PATIENCE: Duration = Duration::from_secs(2);

/// A connection file as any client of Jupyter writes it (messaging spec, "Connection files").
#[derive(Debug, Deserialize)]
struct ConnectionFile {
    transport: String,
    ip: String,
    shell_port: u16,
    iopub_port: u16,
    stdin_port: u16,
    control_port: u16,
    hb_port: u16,
    key: String,
    #[serde(default)]
    signature_scheme: String,
}

impl ConnectionFile {
    fn read(path: &Path) -> Result<Self, KernelError> {
        let read = std::fs::read(path);
        let content = read.map_err(|error| KernelError::io(format!("read {}", path.display()), error))?;
        Self::parse(&content).map_err(|reason| KernelError::InvalidKernelSpec {
            path: path.to_owned(),
            reason,
        })
    }

    fn parse(content: &[u8]) -> Result<Self, String> {
        let file: Self = serde_json::from_slice(content)
            .map_err(|error| format!("this is no connection file of a kernel: {error}"))?;
        if !matches!(file.transport.as_str(), "tcp" | "ipc") {
            return Err(format!("transport {:?}: expected \"tcp\" or \"ipc\"", file.transport));
        }
        if !matches!(file.signature_scheme.as_str(), "" | "hmac-sha256") {
            return Err(format!(
                "signature_scheme {:?}: expected \"hmac-sha256\"",
                file.signature_scheme
            ));
        }
        Ok(file)
    }

    fn endpoints(&self) -> Endpoints {
        let endpoint = |port: u16| match self.transport.as_str() {
            "ipc" => format!("ipc://{}-{port}", self.ip),
            _ => format!("tcp://{}:{port}", self.ip),
        };
        Endpoints {
            identity: uuid::Uuid::new_v4().simple().to_string(),
            shell: endpoint(self.shell_port),
            iopub: endpoint(self.iopub_port),
            stdin: endpoint(self.stdin_port),
            control: endpoint(self.control_port),
            heartbeat: endpoint(self.hb_port),
        }
    }
}

/// A kernel of somebody else. Dropping it leaves the kernel as it is.
#[derive(Debug)]
pub(super) struct AttachedKernel {
    id: KernelId,
    file: PathBuf,
    shared: Shared,
    conversation: Conversation,
    gone: Gone,
}

/// Whether the kernel has closed its sockets.
#[derive(Clone, Debug)]
struct Gone(watch::Receiver<bool>);

impl Gone {
    /// Waits for it. How the process ended is not known here.
    async fn wait(mut self) -> Death {
        let _ = self.0.wait_for(|gone| *gone).await;
        Death::default()
    }
}

#[derive(Debug)]
struct AttachedCarrier {
    channels: Arc<Channels>,
    gone: Gone,
}

#[async_trait]
impl Carrier for AttachedCarrier {
    async fn carry(&self, letter: Letter) -> Result<Carried, KernelError> {
        self.channels.send(letter.channel, letter.frames).await?;
        Ok(Carried::Sent(None))
    }

    async fn death(&self) -> Death {
        self.gone.clone().wait().await
    }
}

impl AttachedKernel {
    pub(super) async fn connect(file: &Path, timeout: Duration) -> Result<Self, KernelError> {
        let known = ConnectionFile::read(file)?;
        let connecting = tokio::time::timeout(timeout, Self::try_connect(file, &known));
        connecting.await.unwrap_or_else(|_| {
            Err(KernelError::TimedOut {
                action: format!("reaching the kernel of {}", file.display()),
                seconds: timeout.as_secs_f64(),
            })
        })
    }

    async fn try_connect(file: &Path, known: &ConnectionFile) -> Result<Self, KernelError> {
        let (gone_tx, gone) = watch::channel(false);
        let gone = Gone(gone);
        let (channels, replies) = Channels::connect(known.endpoints(), Some(gone_tx)).await?;
        let channels = Arc::new(channels);
        let carrier = AttachedCarrier {
            channels: Arc::clone(&channels),
            gone: gone.clone(),
        };
        let shared = Shared::new(None);
        let codec = Codec::new(known.key.as_bytes());
        let conversation = Conversation::new(Arc::new(carrier), channels, codec, &shared);
        conversation.spawn_routing(replies, gone.clone().wait());
        // It may be busy: then it answers on control alone.
        conversation.handshake(Channel::Control).await?;
        conversation.lift_limits().await?;
        Ok(Self {
            id: KernelId::random(),
            file: file.to_owned(),
            shared,
            conversation,
            gone,
        })
    }
}

impl fmt::Display for AttachedKernel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "kernel of {}", self.file.display())
    }
}

#[async_trait]
impl Kernel for AttachedKernel {
    fn id(&self) -> &KernelId {
        &self.id
    }

    fn info(&self) -> KernelInfo {
        self.conversation.dialogue.info()
    }

    fn state(&self) -> watch::Receiver<KernelState> {
        self.shared.state.subscribe()
    }

    async fn execute(&self, request: ExecuteRequest) -> Result<Execution, KernelError> {
        match self.conversation.dialogue.execute(request).await? {
            Begun::New(msg_id, messages, position) => Ok(Execution {
                msg_id,
                messages: stream_of(messages),
                position,
            }),
            Begun::Before(..) => unreachable!("nothing is recorded of what somebody else's kernel executes"),
        }
    }

    async fn request(&self, channel: Channel, msg_type: &str, content: JsonMap) -> Result<Message, KernelError> {
        self.conversation.dialogue.request(channel, msg_type, content).await
    }

    async fn send(
        &self,
        channel: Channel,
        msg_type: &str,
        content: JsonMap,
        parent: Option<&Header>,
    ) -> Result<String, KernelError> {
        self.conversation
            .dialogue
            .send(channel, msg_type, content, parent)
            .await
    }

    fn unsolicited(&self) -> BoxStream<'static, Message> {
        unsolicited(self.shared.unsolicited.subscribe())
    }

    async fn ping(&self) -> Result<(), KernelError> {
        self.conversation.dialogue.ping().await
    }

    async fn interrupt(&self) -> Result<(), KernelError> {
        let sent = self.send(Channel::Control, "interrupt_request", JsonMap::new(), None);
        sent.await.map(drop)
    }

    async fn restart(&self) -> Result<(), KernelError> {
        Err(KernelError::Unsupported {
            what: "a restart".to_owned(),
            by: format!("the {self}, which somebody else has started"),
        })
    }

    async fn shutdown(&self, mode: ShutdownMode) -> Result<(), KernelError> {
        let patience = match mode {
            ShutdownMode::Graceful(patience) => patience,
            ShutdownMode::Immediate => END_PATIENCE,
        };
        let content = JsonMap::from_iter([("restart".to_owned(), Json::from(false))]);
        let ended = async {
            // One that has gone meanwhile need not be asked.
            let _ = self.send(Channel::Control, "shutdown_request", content, None).await;
            self.gone.clone().wait().await
        };
        let ended = tokio::time::timeout(patience, ended).await;
        ended.map(drop).map_err(|_| KernelError::TimedOut {
            action: format!("ending the {self}"),
            seconds: patience.as_secs_f64(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::ConnectionFile;

    fn file(transport: &str, ip: &str, scheme: &str) -> Result<ConnectionFile, String> {
        let text = format!(
            r#"{{"transport": "{transport}", "ip": "{ip}", "shell_port": 1, "iopub_port": 2, "stdin_port": 3,
            "control_port": 4, "hb_port": 5, "key": "k", "signature_scheme": "{scheme}", "kernel_name": "python3"}}"#
        );
        ConnectionFile::parse(text.as_bytes())
    }

    #[test]
    fn addresses_are_those_that_the_kernel_binds() {
        let tcp = file("tcp", "127.0.0.1", "hmac-sha256").unwrap().endpoints();
        assert_eq!(
            (tcp.shell.as_str(), tcp.heartbeat.as_str()),
            ("tcp://127.0.0.1:1", "tcp://127.0.0.1:5")
        );
        let ipc = file("ipc", "/run/k", "").unwrap().endpoints();
        assert_eq!(
            (ipc.iopub.as_str(), ipc.control.as_str()),
            ("ipc:///run/k-2", "ipc:///run/k-4")
        );
    }

    #[test]
    fn what_cannot_be_spoken_is_said() {
        assert_eq!(
            file("udp", "127.0.0.1", "").unwrap_err(),
            "transport \"udp\": expected \"tcp\" or \"ipc\""
        );
        assert!(
            file("tcp", "127.0.0.1", "hmac-md5")
                .unwrap_err()
                .contains("hmac-sha256")
        );
        let error = ConnectionFile::parse(b"{}").unwrap_err();
        assert!(
            error.starts_with("this is no connection file of a kernel: missing field"),
            "{error}"
        );
    }
}
