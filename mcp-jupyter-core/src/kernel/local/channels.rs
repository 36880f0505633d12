//! The five sockets of one kernel, on a thread of their own that does nothing but move frames.

use std::sync::Arc;
use std::time::Duration;

use futures_util::{FutureExt, StreamExt};
use tokio::sync::{mpsc, oneshot, watch};
use zeromq::util::PeerIdentity;
use zeromq::{
    DealerSocket, ReqSocket, Socket, SocketEvent, SocketOptions, SocketRecv, SocketSend, SubSocket, ZmqError,
    ZmqMessage,
};

use crate::kernel::{Channel, KernelError};

use super::frame_queue::{FrameQueue, Frames};

/// Requests that may wait to be sent; the sender waits where there are more.
const OUTGOING_LIMIT: usize = 64;

/// How long what a dead kernel has published may take to arrive.
const LAST_WORDS: Duration = Duration::from_secs(2);

/// A message on its way to the kernel, and where to say that it has been handed over.
type Outgoing = (Frames, oneshot::Sender<Result<(), ZmqError>>);

/// What the task that reads iopub is asked to do.
enum Order {
    Subscribe(String, bool),
    /// The kernel has died: read iopub to its end, then stop.
    Finish,
}

/// The sockets of one kernel. Dropping it ends their thread.
#[derive(Debug)]
pub(super) struct Channels {
    shell: mpsc::Sender<Outgoing>,
    control: mpsc::Sender<Outgoing>,
    stdin: mpsc::Sender<Outgoing>,
    heartbeat: mpsc::Sender<Outgoing>,
    orders: mpsc::Sender<Order>,
    /// What came on iopub.
    pub(super) iopub: Arc<FrameQueue>,
}

/// The other ends of what [`Channels`] holds, for the sockets' thread.
struct Work {
    shell: mpsc::Receiver<Outgoing>,
    control: mpsc::Receiver<Outgoing>,
    stdin: mpsc::Receiver<Outgoing>,
    heartbeat: mpsc::Receiver<Outgoing>,
    orders: mpsc::Receiver<Order>,
    replies: mpsc::UnboundedSender<(Channel, Frames)>,
    iopub: Arc<FrameQueue>,
    gone: Option<watch::Sender<bool>>,
}

/// What came on shell, control and stdin, by channel.
pub(super) type Replies = mpsc::UnboundedReceiver<(Channel, Frames)>;

fn channels() -> (Channels, Work, Replies) {
    let (shell_tx, shell) = mpsc::channel(OUTGOING_LIMIT);
    let (control_tx, control) = mpsc::channel(OUTGOING_LIMIT);
    let (stdin_tx, stdin) = mpsc::channel(OUTGOING_LIMIT);
    let (heartbeat_tx, heartbeat) = mpsc::channel(OUTGOING_LIMIT);
    let (orders_tx, orders) = mpsc::channel(OUTGOING_LIMIT);
    // Replies answer our own requests, so their number is bounded by ours.
    let (replies, replies_rx) = mpsc::unbounded_channel();
    let iopub = Arc::new(FrameQueue::default());
    let channels = Channels {
        shell: shell_tx,
        control: control_tx,
        stdin: stdin_tx,
        heartbeat: heartbeat_tx,
        orders: orders_tx,
        iopub: Arc::clone(&iopub),
    };
    (
        channels,
        Work {
            shell,
            control,
            stdin,
            heartbeat,
            orders,
            replies,
            iopub,
            gone: None,
        },
        replies_rx,
    )
}

/// Where a kernel listens, as ZeroMQ writes it.
#[derive(Clone, Debug)]
pub(super) struct Endpoints {
    /// What our sockets call themselves: the kernel addresses its input requests to whoever has sent the shell request.
    pub(super) identity: String,
    pub(super) shell: String,
    pub(super) iopub: String,
    pub(super) stdin: String,
    pub(super) control: String,
    pub(super) heartbeat: String,
}

impl Channels {
    /// Connects to a kernel that has bound its sockets; iopub subscribes to everything. `gone` is told when the kernel has
    /// closed iopub, for kernels whose process nobody here watches.
    pub(super) async fn connect(
        endpoints: Endpoints,
        gone: Option<watch::Sender<bool>>,
    ) -> Result<(Self, Replies), KernelError> {
        let (channels, mut work, replies) = channels();
        work.gone = gone;
        let iopub = Arc::clone(&work.iopub);
        let (connected_tx, connected_rx) = oneshot::channel();
        let run = move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            match runtime {
                Ok(runtime) => runtime.block_on(serve(endpoints, work, connected_tx)),
                Err(error) => drop(connected_tx.send(Err(ZmqError::Network(error)))),
            }
            iopub.close();
        };
        std::thread::Builder::new()
            .name("mcp-jupyter-channels".to_owned())
            .spawn(run)
            .map_err(|error| KernelError::io("start the thread of the kernel's channels", error))?;
        connected_rx
            .await
            .unwrap_or(Err(ZmqError::NoMessage))
            .map_err(|error| unreachable("connect", &error))?;
        Ok((channels, replies))
    }

    /// Hands a message to the kernel's socket; on the heartbeat, waits for its echo.
    pub(super) async fn send(&self, channel: Channel, frames: Frames) -> Result<(), KernelError> {
        let socket = match channel {
            Channel::Shell => &self.shell,
            Channel::Control => &self.control,
            Channel::Stdin => &self.stdin,
            Channel::Heartbeat => &self.heartbeat,
            Channel::Iopub => {
                return Err(KernelError::Unsupported {
                    what: "sending on iopub".to_owned(),
                    by: "a client".to_owned(),
                });
            }
        };
        let (sent_tx, sent_rx) = oneshot::channel();
        let _ = socket.send((frames, sent_tx)).await;
        sent_rx
            .await
            .unwrap_or(Err(ZmqError::NoMessage))
            .map_err(|error| unreachable(channel.as_str(), &error))
    }

    /// Adds a topic to the iopub subscription, or takes it back.
    pub(super) async fn subscribe(&self, topic: &str, on: bool) {
        let _ = self.orders.send(Order::Subscribe(topic.to_owned(), on)).await;
    }

    /// What ends the channels once the kernel has died.
    pub(super) fn finisher(&self) -> Finisher {
        Finisher(self.orders.clone())
    }
}

/// Ends the channels of a dead kernel, without keeping a living one's open.
pub(super) struct Finisher(mpsc::Sender<Order>);

impl Finisher {
    /// Reads what the dead kernel has still published, then closes [`Channels::iopub`].
    pub(super) async fn finish(&self) {
        let _ = self.0.send(Order::Finish).await;
    }
}

fn unreachable(what: &str, error: &ZmqError) -> KernelError {
    KernelError::io(
        format!("reach the kernel ({what})"),
        std::io::Error::other(error.to_string()),
    )
}

struct Sockets {
    shell: DealerSocket,
    control: DealerSocket,
    stdin: DealerSocket,
    heartbeat: ReqSocket,
    iopub: SubSocket,
}

async fn open(endpoints: &Endpoints) -> Result<Sockets, ZmqError> {
    let identity = PeerIdentity::try_from(endpoints.identity.as_bytes().to_vec())?;
    let dealer = || {
        let mut options = SocketOptions::default();
        options.peer_identity(identity.clone());
        DealerSocket::with_options(options)
    };
    let (mut shell, mut control, mut stdin) = (dealer(), dealer(), dealer());
    let (mut heartbeat, mut iopub) = (ReqSocket::new(), SubSocket::new());
    iopub.subscribe("").await?;
    iopub.connect(&endpoints.iopub).await?;
    shell.connect(&endpoints.shell).await?;
    control.connect(&endpoints.control).await?;
    stdin.connect(&endpoints.stdin).await?;
    heartbeat.connect(&endpoints.heartbeat).await?;
    Ok(Sockets {
        shell,
        control,
        stdin,
        heartbeat,
        iopub,
    })
}

async fn serve(endpoints: Endpoints, mut work: Work, connected: oneshot::Sender<Result<(), ZmqError>>) {
    let mut sockets = match open(&endpoints).await {
        Ok(sockets) => sockets,
        Err(error) => return drop(connected.send(Err(error))),
    };
    let (shell_tx, shell_rx) = sockets.shell.split();
    let (control_tx, control_rx) = sockets.control.split();
    let (stdin_tx, stdin_rx) = sockets.stdin.split();
    // Each direction of each socket has a task of its own: a kernel that does not read delays nothing but itself.
    tokio::spawn(transmit(shell_tx, work.shell));
    tokio::spawn(transmit(control_tx, work.control));
    tokio::spawn(transmit(stdin_tx, work.stdin));
    tokio::spawn(beat(sockets.heartbeat, work.heartbeat));
    tokio::spawn(receive(Channel::Shell, shell_rx, work.replies.clone()));
    tokio::spawn(receive(Channel::Control, control_rx, work.replies.clone()));
    tokio::spawn(receive(Channel::Stdin, stdin_rx, work.replies));
    let mut events = sockets.iopub.monitor();
    let _ = connected.send(Ok(()));
    let drained = tokio::select! {
        finishes = drain(&mut sockets.iopub, &mut work.orders, &work.iopub) => finishes,
        () = closed(&mut events), if work.gone.is_some() => {
            while let Some(Ok(message)) = sockets.iopub.recv().now_or_never() {
                work.iopub.push(message.into_vec());
            }
            if let Some(gone) = work.gone {
                gone.send_replace(true);
            }
            false
        }
    };
    if drained {
        let _ = tokio::time::timeout(LAST_WORDS, last_words(&mut sockets.iopub, &mut events, &work.iopub)).await;
    }
}

/// Moves everything from iopub to the queue until the kernel has died (true) or nobody holds the channels any more.
async fn drain(iopub: &mut SubSocket, orders: &mut mpsc::Receiver<Order>, queue: &FrameQueue) -> bool {
    loop {
        tokio::select! {
            biased;
            message = iopub.recv() => match message {
                Ok(message) => queue.push(message.into_vec()),
                Err(error) => tracing::warn!(%error, "iopub"),
            },
            order = orders.recv() => match order {
                Some(Order::Subscribe(topic, on)) => {
                    let result = if on { iopub.subscribe(&topic).await } else { iopub.unsubscribe(&topic).await };
                    if let Err(error) = result {
                        tracing::warn!(%error, topic, "iopub subscription");
                    }
                }
                Some(Order::Finish) => return true,
                None => return false,
            },
        }
    }
}

/// Waits until the kernel's end of a socket is closed.
async fn closed(events: &mut (impl futures_core::Stream<Item = SocketEvent> + Unpin)) {
    while let Some(event) = events.next().await {
        if matches!(event, SocketEvent::Disconnected(_)) {
            return;
        }
    }
}

/// Reads iopub until the kernel's end of it is closed.
async fn last_words(
    iopub: &mut SubSocket,
    events: &mut (impl futures_core::Stream<Item = SocketEvent> + Unpin),
    queue: &FrameQueue,
) {
    loop {
        tokio::select! {
            biased;
            message = iopub.recv() => match message {
                Ok(message) => queue.push(message.into_vec()),
                Err(_) => return,
            },
            event = events.next() => match event {
                Some(SocketEvent::Disconnected(_)) | None => return,
                Some(_) => {}
            },
        }
    }
}

async fn receive(channel: Channel, mut socket: impl SocketRecv, replies: mpsc::UnboundedSender<(Channel, Frames)>) {
    while let Ok(message) = socket.recv().await {
        if replies.send((channel, message.into_vec())).is_err() {
            return;
        }
    }
}

async fn transmit(mut socket: impl SocketSend, mut messages: mpsc::Receiver<Outgoing>) {
    while let Some((frames, sent)) = messages.recv().await {
        let result = match ZmqMessage::try_from(frames) {
            Ok(message) => socket.send(message).await,
            Err(_) => Err(ZmqError::Other("a message without frames")),
        };
        let _ = sent.send(result);
    }
}

/// Sends what is given and says so once it has been echoed.
async fn beat(mut socket: ReqSocket, mut pings: mpsc::Receiver<Outgoing>) {
    while let Some((frames, echoed)) = pings.recv().await {
        let Ok(message) = ZmqMessage::try_from(frames) else {
            continue;
        };
        let mut result = socket.send(message).await;
        if result.is_ok() {
            result = socket.recv().await.map(drop);
        }
        let _ = echoed.send(result);
    }
}
