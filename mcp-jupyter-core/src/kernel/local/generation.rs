//! One life of a kernel: its process, its channels, and the tasks that route its messages.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use nix::sys::signal::Signal;
use tokio::sync::{broadcast, watch};

use crate::kernel::{
    Channel, Death, ExecuteRequest, Header, InterruptMode, KernelError, KernelInfo, KernelState, LaunchRequest,
    Message, ShutdownMode,
};
use crate::model::{Json, JsonMap};

use super::channels::{Channels, Replies};
use super::connection_file::{Connection, Transport};
use super::conversation::Conversation;
use super::dialogue::{Begun, Carried, Carrier, Letter, content};
use super::ipykernel::swift_end;
use super::kernelspecs;
use super::process::{Output, Process, ProcessRequest, start_failure};
use super::readiness::wait_until_bound;
use super::router::Router;
use super::tap::Tap;
use super::wire::Codec;

/// How long the process group may take to end by SIGTERM, once asking has failed.
const TERM_PATIENCE: Duration = Duration::from_secs(2);

/// How long an idle kernel may take to answer before it is asked to end; it takes milliseconds.
const SWIFT_END_PATIENCE: Duration = Duration::from_millis(250);

/// What stays the same across a kernel's restarts.
#[derive(Clone, Debug)]
pub(in crate::kernel) struct Shared {
    pub(super) unsolicited: broadcast::Sender<Message>,
    pub(super) state: watch::Sender<KernelState>,
    /// Set where the kernel is to outlive this process.
    pub(super) keeping: Option<Keeping>,
}

/// How a kernel that outlives its client is looked after.
#[derive(Clone, Debug)]
pub(in crate::kernel) struct Keeping {
    pub(in crate::kernel) tap: Arc<dyn Tap>,
    /// Where its process writes what it says outside of the protocol.
    pub(in crate::kernel) log: PathBuf,
    /// The key that all its processes sign with, so that what is kept of one can still be checked later.
    pub(in crate::kernel) key: String,
}

impl Shared {
    pub(super) fn new(keeping: Option<Keeping>) -> Self {
        Self {
            unsolicited: Router::unsolicited_channel(),
            state: watch::Sender::new(KernelState::Starting),
            keeping,
        }
    }

    pub(super) fn tap(&self) -> Option<Arc<dyn Tap>> {
        self.keeping.as_ref().map(|keeping| Arc::clone(&keeping.tap))
    }
}

/// A kernel process that answers, and everything that belongs to it. Dropping it kills the process group.
#[derive(Debug)]
pub(super) struct Generation {
    process: Arc<Process>,
    conversation: Conversation,
    interrupt_mode: InterruptMode,
    /// The folder with the connection file and the sockets lives as long as this.
    connection: Connection,
}

/// The channels of a process of this machine.
#[derive(Debug)]
struct LocalCarrier {
    process: Arc<Process>,
    channels: Arc<Channels>,
}

#[async_trait]
impl Carrier for LocalCarrier {
    async fn carry(&self, letter: Letter) -> Result<Carried, KernelError> {
        self.channels.send(letter.channel, letter.frames).await?;
        Ok(Carried::Sent(None))
    }

    async fn death(&self) -> Death {
        self.process.wait().await
    }
}

impl Generation {
    /// Starts the process and waits until it answers. Dropping the future ends the process.
    pub(super) async fn start(
        request: &LaunchRequest,
        transport: Transport,
        shared: &Shared,
    ) -> Result<Arc<Self>, KernelError> {
        let name = request.spec.name.clone();
        let kept_key = shared.keeping.as_ref().map(|keeping| keeping.key.clone());
        let mut connection = Connection::create(transport, &name, kept_key)?;
        let process = Arc::new(spawn(request, &connection, shared).await?);
        let death = process.watch_death();
        let started = async {
            wait_until_bound(&connection).await?;
            let connected = Channels::connect(connection.endpoints(), None).await;
            let (channels, replies) = match connected {
                Ok(connected) => connected,
                Err(error) => return Err(start_error(&process, &name, error).await),
            };
            connection.release_ports();
            if let Some(tap) = shared.tap() {
                tap.started(process.pid().unsigned_abs());
            }
            let process = Arc::clone(&process);
            let mode = request.spec.interrupt_mode;
            let generation = Self::assemble(mode, shared, connection, process, channels, replies);
            generation.conversation.handshake(Channel::Shell).await?;
            generation.conversation.lift_limits().await?;
            Ok(generation)
        };
        tokio::select! {
            started = tokio::time::timeout(request.startup_timeout, started) => started.unwrap_or_else(|_| {
                Err(KernelError::TimedOut {
                    action: format!("starting kernel \"{name}\""),
                    seconds: request.startup_timeout.as_secs_f64(),
                })
            }),
            death = death.wait() => Err(start_failure(&name, &death)),
        }
    }

    /// Takes over a process that runs already, whoever has started it. It may be busy: it is asked on control.
    pub(super) async fn adopt(
        request: &LaunchRequest,
        connection: Connection,
        process: Process,
        info: JsonMap,
        shared: &Shared,
    ) -> Result<Arc<Self>, KernelError> {
        let (channels, replies) = Channels::connect(connection.endpoints(), None).await?;
        let mode = request.spec.interrupt_mode;
        let generation = Self::assemble(mode, shared, connection, Arc::new(process), channels, replies);
        generation.conversation.dialogue.learn(info);
        let seconds = request.startup_timeout.as_secs_f64();
        let handshake = tokio::time::timeout(
            request.startup_timeout,
            generation.conversation.handshake(Channel::Control),
        );
        handshake.await.unwrap_or_else(|_| {
            Err(KernelError::TimedOut {
                action: format!("reaching kernel \"{}\" again", request.spec.name),
                seconds,
            })
        })?;
        // It is done after what runs now: until then the kernel drops what more than 1,000 messages wait behind.
        generation.conversation.lift_limits().await?;
        Ok(generation)
    }

    fn assemble(
        interrupt_mode: InterruptMode,
        shared: &Shared,
        connection: Connection,
        process: Arc<Process>,
        channels: Channels,
        replies: Replies,
    ) -> Arc<Self> {
        let channels = Arc::new(channels);
        let carrier = LocalCarrier {
            process: Arc::clone(&process),
            channels: Arc::clone(&channels),
        };
        let codec = Codec::new(connection.key());
        let conversation = Conversation::new(Arc::new(carrier), channels, codec, shared);
        let death = process.watch_death();
        conversation.spawn_routing(replies, async move { death.wait().await });
        Arc::new(Self {
            process,
            conversation,
            interrupt_mode,
            connection,
        })
    }

    pub(super) fn info(&self) -> KernelInfo {
        self.conversation.dialogue.info()
    }

    pub(super) fn pid(&self) -> i32 {
        self.process.pid()
    }

    pub(super) fn connection(&self) -> &Connection {
        &self.connection
    }

    pub(super) async fn carry(&self, letter: Letter) -> Result<(), KernelError> {
        self.conversation.dialogue.carry(letter).await
    }

    pub(super) async fn execute(&self, request: ExecuteRequest) -> Result<Begun, KernelError> {
        self.conversation.dialogue.execute(request).await
    }

    pub(super) async fn request(
        &self,
        channel: Channel,
        msg_type: &str,
        content: JsonMap,
    ) -> Result<Message, KernelError> {
        self.conversation.dialogue.request(channel, msg_type, content).await
    }

    pub(super) async fn send(
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

    pub(super) async fn ping(&self) -> Result<(), KernelError> {
        self.conversation.dialogue.ping().await
    }

    pub(super) async fn interrupt(&self) -> Result<(), KernelError> {
        if let Some(death) = self.process.death() {
            return Err(KernelError::Died(death));
        }
        match self.interrupt_mode {
            InterruptMode::Signal => self
                .process
                .signal(Signal::SIGINT)
                .map_err(|error| KernelError::io("interrupt the kernel's process group", error)),
            InterruptMode::Message => self
                .send(Channel::Control, "interrupt_request", JsonMap::new(), None)
                .await
                .map(drop),
        }
    }

    /// Ends the process group, and returns when the process is gone. What it has said can still be read; that is not
    /// waited for, because the reader may be the one who waits here.
    pub(super) async fn shutdown(&self, mode: ShutdownMode, restart: bool) -> Result<(), KernelError> {
        let failed = |error| KernelError::io(format!("end the kernel process {}", self.process.pid()), error);
        if let ShutdownMode::Graceful(patience) = mode
            && self.process.death().is_none()
        {
            let restart = [("restart".to_owned(), Json::from(restart))].into_iter().collect();
            let shutdown = self
                .conversation
                .dialogue
                .letter(Channel::Control, "shutdown_request", restart);
            let asked = async {
                // A kernel that is executing would not end before it is done.
                if self.conversation.dialogue.router.is_busy() {
                    let _ = self.interrupt().await;
                } else if let Some(request) = swift_end(&self.info()) {
                    let (content, _) = content(request);
                    let answered = self.request(Channel::Shell, "execute_request", content);
                    let _ = tokio::time::timeout(SWIFT_END_PATIENCE, answered).await;
                }
                let _ = self.conversation.dialogue.carry(shutdown).await;
                self.process.wait().await
            };
            if tokio::time::timeout(patience, asked).await.is_err() {
                self.process.signal(Signal::SIGTERM).map_err(failed)?;
                let _ = tokio::time::timeout(TERM_PATIENCE, self.process.wait()).await;
            }
        }
        self.process.signal(Signal::SIGKILL).map_err(failed)?;
        self.conversation.dialogue.router.note_death(&self.process.wait().await);
        Ok(())
    }
}

/// Starts the process.
async fn spawn(request: &LaunchRequest, connection: &Connection, shared: &Shared) -> Result<Process, KernelError> {
    let (argv, env) = kernelspecs::command(request, &connection.file());
    let output = shared
        .keeping
        .as_ref()
        .map_or(Output::Pipe, |keeping| Output::File(keeping.log.clone()));
    let process = ProcessRequest {
        name: request.spec.name.clone(),
        argv,
        env,
        cwd: request.cwd.clone(),
        output,
    };
    Process::spawn(process).await
}

/// A kernel that ends while we connect breaks the connection: its end is then the error.
async fn start_error(process: &Process, name: &str, error: KernelError) -> KernelError {
    match tokio::time::timeout(TERM_PATIENCE, process.wait()).await {
        Ok(death) => start_failure(name, &death),
        Err(_) => error,
    }
}
