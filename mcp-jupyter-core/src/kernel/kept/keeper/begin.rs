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
use super::super::spool::{Kind, Spool};
use super::recorder::Recorder;
use super::table::Table;
use super::{Greeting, Keeper, Outgoing};
use crate::kernel::local::connection_file::Folder;
use crate::kernel::local::generation::Keeping;
use crate::kernel::local::kernel::{LocalKernel, Taken};
use crate::kernel::local::process::{Process, birth};
use crate::kernel::{Channel, Kernel, KernelError, local};
use crate::model::{Json, JsonMap};

impl Order {
    pub(super) fn is_new(&self) -> bool {
        matches!(self, Self::Launch(_))
    }
}

/// Starts the kernel, or takes it over, and listens for clients.
pub(super) async fn begin(home: Home, order: &Order) -> Result<(Arc<Keeper>, UnixListener), KernelError> {
    match order {
        Order::Launch(launch) => start(home, launch).await,
        Order::Adopt => adopt(home).await,
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

/// Takes over a kernel whose keeper is gone. What it has said meanwhile is lost, which the record tells; what was asked
/// of it and is answered to nobody is found by a request that it answers after those.
#[cfg(target_os = "linux")]
async fn adopt(home: Home) -> Result<(Arc<Keeper>, UnixListener), KernelError> {
    let mut description = home.description().map_err(|error| failed(&home, error))?;
    let gone = || KernelError::Died(description.death.clone().unwrap_or_default());
    let born = description.born.clone().ok_or_else(gone)?;
    let process =
        Process::adopt(description.generation.pid, &born, home.log()).map_err(|error| failed(&home, error))?;
    let process = process.ok_or_else(gone)?;
    let spool = Spool::reopen(home.path(), description.spool_limit).map_err(|error| failed(&home, error))?;
    let table = recall(&home, &description);
    let next_epoch = description.generation.epoch + 1;
    let recorder = Arc::new(Recorder::new(home.clone(), spool, table, next_epoch));
    let adopted = serde_json::json!({ "keeper_pid": std::process::id() });
    recorder
        .tell(Kind::Adopted, &adopted)
        .map_err(|error| failed(&home, error))?;
    let keeping = keeping(&home, &recorder, description.generation.key.clone());
    let info = match &description.generation.info {
        Json::Object(info) => info.clone(),
        _ => JsonMap::new(),
    };
    let taken = Taken {
        process,
        connection: description.connection.clone(),
        info,
    };
    let (id, request) = (description.kernel_id.clone(), description.request.clone());
    let kernel = LocalKernel::adopt(id, request, description.transport, keeping, taken).await?;
    let unanswered = recorder.look(Table::unanswered);
    let _ = std::fs::remove_dir_all(&description.socket_dir);
    let socket_dir = Folder::that_outlives_us().map_err(|error| failed(&home, error))?;
    description.socket_dir.clone_from(&socket_dir.0);
    description.keeper_pid = std::process::id();
    let (keeper, listener) = Keeper::open(home, kernel, recorder, description, socket_dir)?;
    tokio::spawn(settle(Arc::clone(&keeper), unanswered));
    Ok((keeper, listener))
}

#[cfg(not(target_os = "linux"))]
async fn adopt(_home: Home) -> Result<(Arc<Keeper>, UnixListener), KernelError> {
    Err(KernelError::Unsupported {
        what: "taking over a kernel whose keeper is gone".to_owned(),
        by: "this system".to_owned(),
    })
}

/// A kernel answers one request of its shell after the other: where a later one is answered, nothing more will be said
/// to the earlier ones.
async fn settle(keeper: Arc<Keeper>, unanswered: Vec<String>) {
    if unanswered.is_empty() {
        return;
    }
    let probe = keeper
        .kernel
        .request(Channel::Shell, "kernel_info_request", JsonMap::new());
    if probe.await.is_ok()
        && let Err(error) = keeper.recorder.settle(&unanswered)
    {
        tracing::error!(%error, "what was lost was not recorded");
    }
}

/// What the keeper before us has sent, and which of that has ended by its record.
fn recall(home: &Home, description: &Description) -> Table {
    let mut table = Table::default();
    for noted in home.executions() {
        let is_of_this_process = noted.epoch == description.generation.epoch;
        let msg_id = noted.msg_id.clone();
        table.remember(noted);
        if is_of_this_process {
            table.executed += 1;
        } else {
            table.replied(&msg_id);
            table.idle(&msg_id);
        }
    }
    for (msg_id, is_reply) in super::recorder::endings(home) {
        if is_reply {
            table.replied(&msg_id);
        } else {
            table.idle(&msg_id);
        }
    }
    table
}

fn keeping(home: &Home, recorder: &Arc<Recorder>, key: String) -> Keeping {
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

fn failed(home: &Home, error: io::Error) -> KernelError {
    KernelError::io(format!("keep a kernel in {}", home.path().display()), error)
}

impl Keeper {
    /// Writes down what there is, and listens.
    fn open(
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
