//! The folder of a kernel that is kept: what it takes to find it, to reach it, and to know what became of it.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use jiff::Timestamp;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::packet::GenerationInfo;
use super::spool::Position;
use crate::kernel::local::Transport;
use crate::kernel::local::connection_file::KnownConnection;
use crate::kernel::local::process::birth;
use crate::kernel::{Death, DispatchId, LaunchRequest};
use crate::model::KernelId;

/// What a keeper is started for.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Order {
    /// To start a kernel.
    Launch(Box<Launch>),
    /// To take over the kernel of this folder, whose keeper is gone.
    Adopt,
}

/// The kernel to start.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Launch {
    pub(super) kernel_id: KernelId,
    pub(super) request: LaunchRequest,
    pub(super) transport: Option<Transport>,
    /// How much of what the kernel says is kept until it is acknowledged, in bytes.
    pub(super) spool_limit: u64,
}

/// What is written down of a kernel, for whoever looks for it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Description {
    pub(super) version: u32,
    pub(super) kernel_id: KernelId,
    pub(super) request: LaunchRequest,
    pub(super) transport: Transport,
    pub(super) spool_limit: u64,
    pub(super) generation: GenerationInfo,
    /// When the process was born, as the system tells it.
    pub(super) born: Option<String>,
    pub(super) connection: KnownConnection,
    pub(super) keeper_pid: u32,
    /// The folder of the keeper's socket.
    pub(super) socket_dir: PathBuf,
    pub(super) started: Timestamp,
    pub(super) token: u64,
    /// Whether it outlives the client that has started it.
    pub(super) is_kept: bool,
    pub(super) idle_timeout: Option<Duration>,
    /// How the process has ended, where it has.
    pub(super) death: Option<Death>,
    /// Why the keeper has ended it, where it has.
    pub(super) ended_because: Option<String>,
}

const DESCRIPTION: &str = "kernel.json";
const ACKNOWLEDGED: &str = "acknowledged";
const EXECUTED: &str = "executed";
const PROCESS: &str = "process";
const LOCK: &str = "lock";

/// The folder of one kernel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Home(pub(super) PathBuf);

impl Home {
    /// Makes the folder, which only the user may enter.
    pub(super) fn create(path: PathBuf) -> io::Result<Self> {
        fs::DirBuilder::new().recursive(true).mode(0o700).create(&path)?;
        Ok(Self(path))
    }

    pub(super) fn path(&self) -> &Path {
        &self.0
    }

    /// Where the kernel's process writes what it says outside of the protocol.
    pub(super) fn log(&self) -> PathBuf {
        self.0.join("kernel.log")
    }

    /// Where the keeper writes what is wrong with itself.
    pub(super) fn keeper_log(&self) -> PathBuf {
        self.0.join("keeper.log")
    }

    /// Locked for as long as the keeper lives, however it ends.
    pub(super) fn lock(&self) -> io::Result<File> {
        private().append(true).create(true).open(self.0.join(LOCK))
    }

    /// Whether a keeper lives.
    pub(super) fn has_keeper(&self) -> bool {
        let lock = File::open(self.0.join(LOCK));
        lock.is_ok_and(|lock| matches!(lock.try_lock_shared(), Err(fs::TryLockError::WouldBlock)))
    }

    pub(super) fn describe(&self, description: &Description) -> io::Result<()> {
        self.replace(DESCRIPTION, &serde_json::to_vec(description).map_err(io::Error::other)?)
    }

    pub(super) fn description(&self) -> io::Result<Description> {
        self.read(DESCRIPTION)
    }

    /// Everything before this was acknowledged.
    pub(super) fn acknowledged(&self) -> Position {
        self.read(ACKNOWLEDGED).unwrap_or_default()
    }

    pub(super) fn acknowledge(&self, position: Position) -> io::Result<()> {
        self.replace(ACKNOWLEDGED, position.to_string().as_bytes())
    }

    /// Notes which process was started, before anything is known of it: should its keeper be killed now, somebody else can
    /// end it.
    pub(super) fn note_process(&self, pid: u32) -> io::Result<()> {
        let noted = NotedProcess { pid, born: birth(pid) };
        self.replace(PROCESS, &serde_json::to_vec(&noted).map_err(io::Error::other)?)
    }

    /// The process that was started and of which nothing else is written down; none where it is gone.
    pub(super) fn stray_process(&self) -> Option<u32> {
        let noted: NotedProcess = self.read(PROCESS).ok()?;
        (noted.born.is_some() && birth(noted.pid) == noted.born).then_some(noted.pid)
    }

    /// Notes that this was sent, for whoever keeps the kernel after us.
    pub(super) fn note_execution(&self, noted: &NotedExecution) -> io::Result<()> {
        let mut line = serde_json::to_vec(noted).map_err(io::Error::other)?;
        line.push(b'\n');
        private()
            .append(true)
            .create(true)
            .open(self.0.join(EXECUTED))?
            .write_all(&line)
    }

    /// What was sent, oldest first.
    pub(super) fn executions(&self) -> Vec<NotedExecution> {
        let lines = fs::read_to_string(self.0.join(EXECUTED)).unwrap_or_default();
        lines
            .lines()
            .filter_map(|line| serde_json::from_str(line).ok())
            .collect()
    }

    fn read<T: DeserializeOwned>(&self, name: &str) -> io::Result<T> {
        Ok(serde_json::from_slice(&fs::read(self.0.join(name))?)?)
    }

    /// Replaces a file in one step.
    fn replace(&self, name: &str, content: &[u8]) -> io::Result<()> {
        let new = self.0.join(format!("{name}.new"));
        private()
            .write(true)
            .create(true)
            .truncate(true)
            .open(&new)?
            .write_all(content)?;
        fs::rename(new, self.0.join(name))
    }

    /// Whether this is what an interrupted removal has left.
    pub(super) fn is_removed(&self) -> bool {
        self.0
            .file_name()
            .is_some_and(|name| name.as_encoded_bytes().starts_with(b"."))
    }

    /// Removes all that belongs to the kernel. A keeper that is just ending may still write into the folder: so it gets
    /// another name first, under which nobody looks for it.
    pub(super) fn remove(&self) -> io::Result<()> {
        if let Ok(description) = self.description() {
            let _ = fs::remove_dir_all(&description.socket_dir);
            let _ = fs::remove_dir_all(&description.connection.dir);
        }
        let name = self.0.file_name().unwrap_or_default().to_string_lossy();
        let removed = self.0.with_file_name(format!(".{name}.{}", std::process::id()));
        let renamed = fs::rename(&self.0, &removed).and_then(|()| fs::remove_dir_all(removed));
        match renamed {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            removed => removed,
        }
    }
}

/// A process that was started.
#[derive(Debug, Serialize, Deserialize)]
struct NotedProcess {
    pid: u32,
    born: Option<String>,
}

/// An execution that was sent.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct NotedExecution {
    pub(super) msg_id: String,
    pub(super) dispatch: DispatchId,
    pub(super) position: Position,
    pub(super) epoch: u64,
}

impl Description {
    /// The keeper's socket.
    pub(super) fn socket(&self) -> PathBuf {
        self.socket_dir.join("keeper")
    }

    /// Whether the process that is described runs: its number alone could be another's by now.
    pub(super) fn kernel_runs(&self) -> bool {
        self.death.is_none() && self.born.is_some() && birth(self.generation.pid) == self.born
    }
}

fn private() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.mode(0o600);
    options
}
