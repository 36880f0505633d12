use std::fs::OpenOptions;
use std::io::{self, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::sync::{Arc, Mutex};

use jiff::Timestamp;
use tokio::net::UnixListener;
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;

use super::super::home::{Description, Home, Launch, Order};
use super::super::packet::{GenerationInfo, VERSION, WireChannel};
use super::super::spool::Spool;
use super::recorder::Recorder;
use super::table::Table;
use super::{Greeting, Keeper, Outgoing};
use crate::kernel::local::connection_file::Folder;
use crate::kernel::local::generation::Keeping;
use crate::kernel::local::kernel::LocalKernel;
use crate::kernel::local::process::birth;
use crate::kernel::{Kernel, KernelError, local};
use crate::model::Json;

impl Order {
    pub(super) fn is_new(&self) -> bool {
        matches!(self, Self::Launch(_))
    }
}

/// Starts the kernel, or takes it over, and listens for clients.
pub(super) async fn begin(home: Home, order: &Order) -> Result<(Arc<Keeper>, UnixListener), KernelError> {
    match order {
        Order::Launch(launch) => start(home, launch).await,
        #[cfg(target_os = "linux")]
        Order::Adopt => super::adopt::adopt(home).await,
        #[cfg(not(target_os = "linux"))]
        Order::Adopt => Err(KernelError::Unsupported {
            what: "taking over a kernel whose keeper is gone".to_owned(),
            by: "this system".to_owned(),
        }),
    }
}

async fn start(home: Home, launch: &Launch) -> Result<(Arc<Keeper>, UnixListener), KernelError> {
    let spool = Spool::create(home.path(), launch.spool_limit).map_err(|error| failed(&home, error))?;
    let recorder = Arc::new(Recorder::new(home.clone(), spool, Table::default(), 0));
    let keeping = keeping(&home, &recorder, uuid::Uuid::new_v4().to_string());
    let key = keeping.key.clone();
    let (id, request) = (launch.kernel_id.clone(), launch.request.clone());
    let kernel = local::launch(id, launch.transport, request, Some(keeping)).await?;
    let socket_dir = Folder::that_outlives_us().map_err(|error| failed(&home, error))?;
    let description = Description {
        version: VERSION,
        kernel_id: launch.kernel_id.clone(),
        request: launch.request.clone(),
        transport: kernel.transport(),
        spool_limit: launch.spool_limit,
        generation: generation(&kernel, &recorder, key),
        born: birth(kernel.pid()),
        connection: kernel.connection(),
        keeper_pid: std::process::id(),
        socket_dir: socket_dir.0.clone(),
        started: Timestamp::now(),
        token: 0,
        is_kept: false,
        idle_timeout: None,
        death: None,
        ended_because: None,
    };
    Keeper::open(home, kernel, recorder, description, socket_dir)
}

pub(super) fn keeping(home: &Home, recorder: &Arc<Recorder>, key: String) -> Keeping {
    Keeping {
        tap: Arc::<Recorder>::clone(recorder),
        log: home.log(),
        key,
    }
}

pub(super) fn generation(kernel: &LocalKernel, recorder: &Recorder, key: String) -> GenerationInfo {
    GenerationInfo {
        epoch: recorder.epoch(),
        pid: kernel.pid(),
        key,
        info: Json::Object(kernel.info().content),
    }
}

pub(super) fn failed(home: &Home, error: io::Error) -> KernelError {
    KernelError::io(format!("keep a kernel in {}", home.path().display()), error)
}

impl Keeper {
    /// Writes down what there is, and listens.
    pub(super) fn open(
        home: Home,
        kernel: LocalKernel,
        recorder: Arc<Recorder>,
        description: Description,
        socket_dir: Folder,
    ) -> Result<(Arc<Self>, UnixListener), KernelError> {
        let socket = description.socket();
        let listener = UnixListener::bind(&socket)
            .and_then(|listener| {
                std::fs::set_permissions(&socket, std::fs::Permissions::from_mode(0o600)).map(|()| listener)
            })
            .map_err(|error| KernelError::io(format!("listen on {}", socket.display()), error))?;
        home.describe(&description).map_err(|error| failed(&home, error))?;
        let mut inboxes = Vec::new();
        let channels = [
            WireChannel::Shell,
            WireChannel::Stdin,
            WireChannel::Control,
            WireChannel::Heartbeat,
        ];
        let outboxes = channels.map(|channel| {
            let (outbox, inbox) = mpsc::unbounded_channel();
            inboxes.push(inbox);
            (channel, outbox)
        });
        let keeper = Arc::new(Self {
            home,
            kernel,
            recorder,
            description: Mutex::new(description),
            outboxes: outboxes.into(),
            clients: watch::Sender::new(0),
            ending: watch::Sender::new(None),
            stirred: Mutex::new(Instant::now()),
            _socket_dir: socket_dir,
        });
        for inbox in inboxes {
            tokio::spawn(hand_over(Arc::clone(&keeper), inbox));
        }
        Ok((keeper, listener))
    }
}

/// Hands the messages of one channel over, one after the other.
async fn hand_over(keeper: Arc<Keeper>, mut inbox: mpsc::UnboundedReceiver<Outgoing>) {
    while let Some((letter, handed_over)) = inbox.recv().await {
        let _ = handed_over.send(keeper.kernel.carry(letter).await);
    }
}

/// Tells whoever has started us.
pub(super) fn greet(greeting: &Greeting) -> io::Result<()> {
    let mut line = serde_json::to_vec(greeting).map_err(io::Error::other)?;
    line.push(b'\n');
    let mut out = io::stdout().lock();
    out.write_all(&line)?;
    out.flush()
}

/// Lets go of the streams of whoever has started us: they may wait for their end.
pub(super) fn quieten(home: &Home) -> io::Result<()> {
    let nowhere = OpenOptions::new().write(true).open("/dev/null")?;
    nix::unistd::dup2_stdout(&nowhere)?;
    let log = OpenOptions::new()
        .append(true)
        .create(true)
        .mode(0o600)
        .open(home.keeper_log())?;
    nix::unistd::dup2_stderr(&log)?;
    std::env::set_current_dir("/")
}
