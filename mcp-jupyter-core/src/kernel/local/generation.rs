//! One life of a kernel: its process, its channels, and the tasks that route its messages.

use std::sync::{Arc, OnceLock, Weak};
use std::time::Duration;

use nix::sys::signal::Signal;
use tokio::sync::{broadcast, mpsc, watch};

use crate::kernel::{
    Channel, Header, InterruptMode, KernelError, KernelInfo, KernelState, LaunchRequest, Message, ShutdownMode,
};
use crate::model::{Json, JsonMap};

use super::channels::{Channels, Replies};
use super::connection_file::{Connection, Transport};
use super::ipykernel::{lossless_iopub, swift_end};
use super::kernel::content;
use super::kernelspecs;
use super::process::{Process, ProcessRequest, start_failure};
use super::readiness::wait_until_bound;
use super::router::{ExecutionMessages, Router};
use super::wire::Codec;

/// How often a request is repeated whose own status shows that the subscription is live.
const PROBE_INTERVAL: Duration = Duration::from_millis(300);

/// How long iopub may be silent after a reply before the idle is asked after.
const IDLE_PATIENCE: Duration = Duration::from_secs(2);

/// How long the process group may take to end by SIGTERM, once asking has failed.
const TERM_PATIENCE: Duration = Duration::from_secs(2);

/// How long an idle kernel may take to answer before it is asked to end; it takes milliseconds.
const SWIFT_END_PATIENCE: Duration = Duration::from_millis(250);

/// What stays the same across a kernel's restarts.
#[derive(Clone, Debug)]
pub(super) struct Shared {
    pub(super) unsolicited: broadcast::Sender<Message>,
    pub(super) state: watch::Sender<KernelState>,
}

/// A kernel process that answers, and everything that belongs to it. Dropping it kills the process group.
#[derive(Debug)]
pub(super) struct Generation {
    process: Process,
    channels: Channels,
    router: Arc<Router>,
    codec: Arc<Codec>,
    /// The `header.session` of our messages.
    session: String,
    interrupt_mode: InterruptMode,
    info: OnceLock<KernelInfo>,
    /// The folder with the connection file and the sockets lives as long as this.
    _connection: Connection,
}

impl Generation {
    /// Starts the process and waits until it answers. Dropping the future ends the process.
    pub(super) async fn start(
        request: &LaunchRequest,
        transport: Transport,
        shared: &Shared,
    ) -> Result<Arc<Self>, KernelError> {
        let mut connection = Connection::create(transport, &request.spec.name)?;
        let (argv, env) = kernelspecs::command(request, &connection.file());
        let name = request.spec.name.clone();
        let process = ProcessRequest {
            name: name.clone(),
            argv,
            env,
            cwd: request.cwd.clone(),
        };
        let process = Process::spawn(process).await?;
        let death = process.watch_death();
        let started = async {
            wait_until_bound(&connection).await?;
            let connected = Channels::connect(&connection).await;
            let (channels, replies) = match connected {
                Ok(connected) => connected,
                Err(error) => return Err(start_error(&process, &name, error).await),
            };
            connection.release_ports();
            let generation = Self::assemble(request, shared, connection, process, channels, replies);
            generation.handshake().await?;
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

    fn assemble(
        request: &LaunchRequest,
        shared: &Shared,
        connection: Connection,
        process: Process,
        channels: Channels,
        replies: Replies,
    ) -> Arc<Self> {
        let generation = Arc::new(Self {
            codec: Arc::new(Codec::new(connection.key())),
            router: Router::new(shared.unsolicited.clone(), shared.state.clone()),
            process,
            channels,
            session: uuid::Uuid::new_v4().to_string(),
            interrupt_mode: request.spec.interrupt_mode,
            info: OnceLock::new(),
            _connection: connection,
        });
        generation.spawn_reply_routing(replies);
        generation.spawn_iopub_routing();
        generation
    }

    /// Routes iopub until the kernel is dead and its last message read. Holds no reference that keeps it alive.
    fn spawn_iopub_routing(&self) {
        let (router, codec) = (Arc::clone(&self.router), Arc::clone(&self.codec));
        let queue = Arc::clone(&self.channels.iopub);
        let (death, finish) = (self.process.watch_death(), self.channels.finisher());
        tokio::spawn(async move {
            let last = async {
                let death = death.wait().await;
                router.note_death(&death);
                finish.finish().await;
                death
            };
            let (death, ()) = tokio::join!(last, router.route_iopub(&codec, &queue));
            router.end_executions(death).await;
        });
    }

    fn spawn_reply_routing(self: &Arc<Self>, replies: Replies) {
        let (router, codec) = (Arc::clone(&self.router), Arc::clone(&self.codec));
        let weak = Arc::downgrade(self);
        tokio::spawn(async move {
            let replied = |msg_id| drop(tokio::spawn(watch_for_idle(weak.clone(), msg_id)));
            router.route_replies(&codec, replies, replied).await;
            router.end_requests();
        });
    }

    /// Learns what the kernel says about itself, and makes sure that everything it publishes reaches us.
    ///
    /// A kernel that follows JEP 65 welcomes the subscription to a topic of our own; the status of our own request,
    /// seen on iopub, shows the same for any other. Its first status may be published before it has noticed us.
    async fn handshake(&self) -> Result<(), KernelError> {
        let (live_tx, mut live) = mpsc::channel(1);
        let probe = format!("probe-{}", uuid::Uuid::new_v4());
        self.router.expect_sign(&probe, live_tx.clone());
        self.channels.subscribe(&probe, true).await;
        let (msg_id, frames) = self.message(Channel::Shell, "kernel_info_request", JsonMap::new());
        self.router.expect_sign(&msg_id, live_tx.clone());
        let reply = self.send_for_reply(Channel::Shell, &msg_id, frames).await?;
        if let Json::Object(content) = reply.content {
            let _ = self.info.set(KernelInfo { content });
        }
        while tokio::time::timeout(PROBE_INTERVAL, live.recv()).await.is_err() {
            let (msg_id, frames) = self.message(Channel::Shell, "kernel_info_request", JsonMap::new());
            self.router.expect_sign(&msg_id, live_tx.clone());
            self.channels.send(Channel::Shell, frames).await?;
        }
        self.router.forget_signs();
        self.channels.subscribe(&probe, false).await;
        self.lift_limits().await
    }

    /// Its reply need not be awaited: whatever is executed comes after it.
    async fn lift_limits(&self) -> Result<(), KernelError> {
        let Some(request) = lossless_iopub(&self.info()) else {
            return Ok(());
        };
        let (content, _) = content(request);
        let (_, frames) = self.message(Channel::Shell, "execute_request", content);
        self.channels.send(Channel::Shell, frames).await
    }

    pub(super) fn info(&self) -> KernelInfo {
        self.info.get().cloned().unwrap_or_default()
    }

    pub(super) fn pid(&self) -> i32 {
        self.process.pid()
    }

    fn message(&self, channel: Channel, msg_type: &str, content: JsonMap) -> (String, Vec<bytes::Bytes>) {
        let message = Message::new(channel, msg_type, &self.session, content);
        (message.header.msg_id().into_owned(), self.codec.encode(&message))
    }

    pub(super) async fn execute(
        &self,
        content: JsonMap,
        metadata: JsonMap,
    ) -> Result<(String, ExecutionMessages), KernelError> {
        let mut message = Message::new(Channel::Shell, "execute_request", &self.session, content);
        message.metadata = metadata;
        let msg_id = message.header.msg_id().into_owned();
        let messages = self.router.expect_execution(&msg_id)?;
        self.send_registered(Channel::Shell, &msg_id, self.codec.encode(&message))
            .await?;
        Ok((msg_id, messages))
    }

    pub(super) async fn request(
        &self,
        channel: Channel,
        msg_type: &str,
        content: JsonMap,
    ) -> Result<Message, KernelError> {
        let (msg_id, frames) = self.message(channel, msg_type, content);
        self.send_for_reply(channel, &msg_id, frames).await
    }

    async fn send_for_reply(
        &self,
        channel: Channel,
        msg_id: &str,
        frames: Vec<bytes::Bytes>,
    ) -> Result<Message, KernelError> {
        let reply = self.router.expect_reply(msg_id)?;
        self.send_registered(channel, msg_id, frames).await?;
        match reply.await {
            Ok(reply) => reply,
            Err(_) => Err(KernelError::Died(self.process.wait().await)),
        }
    }

    async fn send_registered(
        &self,
        channel: Channel,
        msg_id: &str,
        frames: Vec<bytes::Bytes>,
    ) -> Result<(), KernelError> {
        let sent = self.channels.send(channel, frames).await;
        if sent.is_err() {
            self.router.forget(msg_id);
        }
        self.explain(sent).await
    }

    /// A socket fails when the kernel has just died: that is then the error.
    async fn explain(&self, sent: Result<(), KernelError>) -> Result<(), KernelError> {
        let Err(error) = sent else { return Ok(()) };
        match tokio::time::timeout(TERM_PATIENCE, self.process.wait()).await {
            Ok(death) => Err(KernelError::Died(death)),
            Err(_) => Err(error),
        }
    }

    pub(super) async fn send(
        &self,
        channel: Channel,
        msg_type: &str,
        content: JsonMap,
        parent: Option<&Header>,
    ) -> Result<String, KernelError> {
        let mut message = Message::new(channel, msg_type, &self.session, content);
        message.parent_header = parent.cloned();
        let sent = self.channels.send(channel, self.codec.encode(&message)).await;
        self.explain(sent).await?;
        Ok(message.header.msg_id().into_owned())
    }

    pub(super) async fn ping(&self) -> Result<(), KernelError> {
        tokio::select! {
            echoed = self.channels.send(Channel::Heartbeat, vec![bytes::Bytes::from_static(b"ping")]) => {
                self.explain(echoed).await
            }
            death = self.process.wait() => Err(KernelError::Died(death)),
        }
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
            let (_, frames) = self.message(Channel::Control, "shutdown_request", restart);
            let asked = async {
                // A kernel that is executing would not end before it is done.
                if self.router.is_busy() {
                    let _ = self.interrupt().await;
                } else if let Some(request) = swift_end(&self.info()) {
                    let (content, _) = content(request);
                    let answered = self.request(Channel::Shell, "execute_request", content);
                    let _ = tokio::time::timeout(SWIFT_END_PATIENCE, answered).await;
                }
                let _ = self.channels.send(Channel::Control, frames).await;
                self.process.wait().await
            };
            if tokio::time::timeout(patience, asked).await.is_err() {
                self.process.signal(Signal::SIGTERM).map_err(failed)?;
                let _ = tokio::time::timeout(TERM_PATIENCE, self.process.wait()).await;
            }
        }
        self.process.signal(Signal::SIGKILL).map_err(failed)?;
        self.router.note_death(&self.process.wait().await);
        Ok(())
    }
}

/// A kernel that ends while we connect breaks the connection: its end is then the error.
async fn start_error(process: &Process, name: &str, error: KernelError) -> KernelError {
    match tokio::time::timeout(TERM_PATIENCE, process.wait()).await {
        Ok(death) => start_failure(name, &death),
        Err(_) => error,
    }
}

/// Makes sure that an execution whose reply has come also ends.
///
/// iopub keeps its order. So when it has been silent, a request is sent whose own status must come after the missing
/// idle: if that status comes and the idle has not, the idle was lost, and perhaps outputs with it.
async fn watch_for_idle(generation: Weak<Generation>, msg_id: String) {
    let Some(router) = generation.upgrade().map(|generation| Arc::clone(&generation.router)) else {
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
        let Some(generation) = generation.upgrade() else { return };
        let (probe, frames) = generation.message(Channel::Shell, "kernel_info_request", JsonMap::new());
        router.expect_sign(&probe, passed_tx.clone());
        if generation.channels.send(Channel::Shell, frames).await.is_err() {
            return;
        }
    }
}
