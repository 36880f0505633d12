//! Where a kernel listens, and the file that tells it (messaging spec, "Connection files").

use std::fs::{File, OpenOptions, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Once};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::net::TcpSocket;

use crate::kernel::{Channel, KernelError};
use crate::model::Json;

use super::channels::Endpoints;

/// How messages travel between us and the kernel.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Transport {
    /// Unix sockets in a folder that only the user can enter. No port, no race for one, no other user.
    #[default]
    Ipc,
    /// TCP on the loopback interface, for kernels that cannot do else.
    Tcp,
}

/// The longest path of a Unix socket on the systems we run on, in bytes, its final zero excluded.
const SOCKET_PATH_LIMIT: usize = 103;

const CHANNELS: [Channel; 5] = [
    Channel::Shell,
    Channel::Iopub,
    Channel::Stdin,
    Channel::Control,
    Channel::Heartbeat,
];

/// A connection as whoever keeps a kernel writes it down.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(in crate::kernel) struct KnownConnection {
    transport: Transport,
    ports: [u16; 5],
    key: String,
    identity: String,
    pub(in crate::kernel) dir: PathBuf,
}

/// The endpoints and the key of one kernel, and the folder that holds its connection file.
#[derive(Debug)]
pub(in crate::kernel) struct Connection {
    transport: Transport,
    ports: [u16; 5],
    key: String,
    /// What our sockets call themselves. The kernel addresses its input requests, and its replies, to that.
    identity: String,
    /// Holds the connection file and the Unix sockets; removed with this.
    dir: Arc<Folder>,
    /// Locked for as long as this process uses the folder: what is unlocked was left by a process that was killed.
    _lock: Option<File>,
    /// Bound but not listening, so that the system gives the ports to nobody else. The kernel binds the same
    /// ports beside them, because its sockets and these share the address (`SO_REUSEADDR`).
    reserved: Vec<TcpSocket>,
}

impl Connection {
    /// Chooses endpoints, and a key where none is given, and writes the connection file with mode 0600. The folder of a
    /// kernel that is given its key is to outlive us: it carries no lock and another name, so that nobody sweeps it.
    pub(in crate::kernel) fn create(
        transport: Transport,
        kernel_name: &str,
        kept_key: Option<String>,
    ) -> Result<Self, KernelError> {
        let outlives_us = kept_key.is_some();
        let failed = |error| KernelError::io("create a folder for the connection file", error);
        let dir = runtime_dir(if outlives_us { KEPT_PREFIX } else { PREFIX }).map_err(failed)?;
        let lock = (!outlives_us).then(|| {
            let lock = File::create_new(dir.0.join(LOCK))?;
            lock.lock().map(|()| lock)
        });
        let mut connection = Self {
            transport,
            ports: [1, 2, 3, 4, 5],
            key: kept_key.unwrap_or_else(|| uuid::Uuid::new_v4().to_string()),
            identity: uuid::Uuid::new_v4().simple().to_string(),
            dir: Arc::new(dir),
            _lock: lock.transpose().map_err(failed)?,
            reserved: Vec::new(),
        };
        if transport == Transport::Tcp {
            connection
                .reserve_ports()
                .map_err(|error| KernelError::io("reserve ports on 127.0.0.1", error))?;
        }
        let path = connection.file();
        connection
            .write(&path, kernel_name)
            .map_err(|error| KernelError::io(format!("write the connection file {}", path.display()), error))?;
        Ok(connection)
    }

    /// The connection of a kernel that runs already.
    pub(in crate::kernel) fn reopen(known: KnownConnection) -> Self {
        Self {
            transport: known.transport,
            ports: known.ports,
            key: known.key,
            identity: known.identity,
            dir: Arc::new(Folder(known.dir)),
            _lock: None,
            reserved: Vec::new(),
        }
    }

    /// What it takes to connect to the kernel again.
    pub(in crate::kernel) fn known(&self) -> KnownConnection {
        KnownConnection {
            transport: self.transport,
            ports: self.ports,
            key: self.key.clone(),
            identity: self.identity.clone(),
            dir: self.dir.0.clone(),
        }
    }

    fn reserve_ports(&mut self) -> io::Result<()> {
        for port in &mut self.ports {
            let socket = TcpSocket::new_v4()?;
            socket.set_reuseaddr(true)?;
            socket.bind(([127, 0, 0, 1], 0).into())?;
            *port = socket.local_addr()?.port();
            self.reserved.push(socket);
        }
        Ok(())
    }

    /// The kernel has bound its ports: they need not be kept from others any more.
    pub(in crate::kernel) fn release_ports(&mut self) {
        self.reserved.clear();
    }

    fn write(&self, path: &Path, kernel_name: &str) -> io::Result<()> {
        let ip = match self.transport {
            Transport::Ipc => self.socket_prefix().display().to_string(),
            Transport::Tcp => "127.0.0.1".to_owned(),
        };
        let port = |channel| Json::from(u32::from(self.port(channel)));
        let content: Json = [
            ("shell_port", port(Channel::Shell)),
            ("iopub_port", port(Channel::Iopub)),
            ("stdin_port", port(Channel::Stdin)),
            ("control_port", port(Channel::Control)),
            ("hb_port", port(Channel::Heartbeat)),
            ("ip", ip.into()),
            ("key", self.key.as_str().into()),
            ("transport", self.scheme().into()),
            ("signature_scheme", "hmac-sha256".into()),
            ("kernel_name", kernel_name.into()),
        ]
        .into_iter()
        .collect();
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
        file.write_all(content.to_string().as_bytes())
    }

    /// The path of the connection file.
    pub(in crate::kernel) fn file(&self) -> PathBuf {
        self.dir.0.join("connection.json")
    }

    /// The folder that holds everything of this connection.
    pub(in crate::kernel) fn dir(&self) -> &Path {
        &self.dir.0
    }

    /// For as long as it is held, the folder stays.
    pub(in crate::kernel) fn hold_dir(&self) -> Arc<Folder> {
        Arc::clone(&self.dir)
    }

    pub(in crate::kernel) fn key(&self) -> &[u8] {
        self.key.as_bytes()
    }

    fn scheme(&self) -> &'static str {
        match self.transport {
            Transport::Ipc => "ipc",
            Transport::Tcp => "tcp",
        }
    }

    fn port(&self, channel: Channel) -> u16 {
        CHANNELS
            .iter()
            .zip(self.ports)
            .find(|(of, _)| **of == channel)
            .map_or(0, |(_, port)| port)
    }

    fn socket_prefix(&self) -> PathBuf {
        self.dir.0.join("k")
    }

    /// The addresses of all channels, and who we are there.
    pub(super) fn endpoints(&self) -> Endpoints {
        Endpoints {
            identity: self.identity.clone(),
            shell: self.endpoint(Channel::Shell),
            iopub: self.endpoint(Channel::Iopub),
            stdin: self.endpoint(Channel::Stdin),
            control: self.endpoint(Channel::Control),
            heartbeat: self.endpoint(Channel::Heartbeat),
        }
    }

    /// The address of one channel, as ZeroMQ writes it.
    fn endpoint(&self, channel: Channel) -> String {
        match self.transport {
            Transport::Ipc => format!("ipc://{}", self.socket_path(channel).display()),
            Transport::Tcp => format!("tcp://127.0.0.1:{}", self.port(channel)),
        }
    }

    fn socket_path(&self, channel: Channel) -> PathBuf {
        PathBuf::from(format!("{}-{}", self.socket_prefix().display(), self.port(channel)))
    }

    /// Whether the kernel has bound all channels.
    pub(in crate::kernel) async fn is_bound(&self) -> bool {
        for channel in CHANNELS {
            let bound = match self.transport {
                Transport::Ipc => self.socket_path(channel).exists(),
                Transport::Tcp => tokio::net::TcpStream::connect(("127.0.0.1", self.port(channel)))
                    .await
                    .is_ok(),
            };
            if !bound {
                return false;
            }
        }
        true
    }

    pub(in crate::kernel) fn transport(&self) -> Transport {
        self.transport
    }
}

/// The first part of the names of our folders.
const PREFIX: &str = "mcp-jupyter-";

/// The first part of the names of folders that outlive the process that made them.
const KEPT_PREFIX: &str = "mcpj-kept-";

/// The name of the lock file in each of our folders.
const LOCK: &str = "lock";

/// A folder younger than this may be one that is just being made, and not yet locked.
const STALE_AGE: Duration = Duration::from_secs(60);

/// A folder of ours, removed with this.
#[derive(Debug)]
pub(in crate::kernel) struct Folder(pub(in crate::kernel) PathBuf);

impl Folder {
    /// One that is not swept when this process is gone.
    pub(in crate::kernel) fn that_outlives_us() -> io::Result<Self> {
        runtime_dir(KEPT_PREFIX)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// A new folder of mode 0700 whose path is short enough for Unix sockets.
fn runtime_dir(prefix: &str) -> io::Result<Folder> {
    static SWEEP: Once = Once::new();
    let make = |parent: &Path| {
        SWEEP.call_once(|| sweep(parent));
        tempfile::Builder::new()
            .prefix(prefix)
            .permissions(Permissions::from_mode(0o700))
            .tempdir_in(parent)
            .map(|dir| Folder(dir.keep()))
    };
    let runtime = std::env::var_os("XDG_RUNTIME_DIR").map(PathBuf::from);
    for parent in runtime.into_iter().chain([std::env::temp_dir()]) {
        let fits = parent.as_os_str().len() + "/mcp-jupyter-XXXXXX/k-1".len() <= SOCKET_PATH_LIMIT;
        if fits && let Ok(dir) = make(&parent) {
            return Ok(dir);
        }
    }
    make(Path::new("/tmp"))
}

/// Removes what processes that were killed have left: our folders whose lock nobody holds.
fn sweep(parent: &Path) {
    for entry in parent.read_dir().into_iter().flatten().flatten() {
        if entry.file_name().to_string_lossy().starts_with(PREFIX) && is_stale(&entry.path()).unwrap_or(false) {
            let _ = std::fs::remove_dir_all(entry.path());
        }
    }
}

fn is_stale(dir: &Path) -> io::Result<bool> {
    let lock = File::open(dir.join(LOCK))?;
    let age = lock.metadata()?.modified()?.elapsed().unwrap_or_default();
    Ok(age > STALE_AGE && lock.try_lock().is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_user_can_read_the_connection_file() {
        let connection = Connection::create(Transport::Ipc, "python3", None).unwrap();
        let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(connection.dir()), mode(&connection.file())), (0o700, 0o600));
        let content = Json::parse(&std::fs::read(connection.file()).unwrap()).unwrap();
        assert_eq!(content.get("transport"), Some(&Json::from("ipc")));
        let dir = connection.dir().to_owned();
        drop(connection);
        assert!(!dir.exists());
    }

    #[test]
    fn only_folders_that_nobody_uses_are_swept() {
        let parent = tempfile::tempdir().unwrap();
        let folder = |name: &str| {
            let dir = parent.path().join(name);
            std::fs::create_dir(&dir).unwrap();
            let lock = File::create(dir.join(LOCK)).unwrap();
            lock.set_modified(std::time::SystemTime::now() - 2 * STALE_AGE).unwrap();
            lock
        };
        let used = folder("mcp-jupyter-used");
        used.lock().unwrap();
        drop(folder("mcp-jupyter-left"));
        drop(folder("of-another-program"));
        drop(File::create(parent.path().join("mcp-jupyter-file")).unwrap());
        sweep(parent.path());
        let mut left: Vec<_> = parent
            .path()
            .read_dir()
            .unwrap()
            .map(|entry| entry.unwrap().file_name())
            .collect();
        left.sort();
        assert_eq!(left, ["mcp-jupyter-file", "mcp-jupyter-used", "of-another-program"]);
    }

    #[tokio::test]
    async fn reserved_ports_are_distinct_and_can_be_bound_by_the_kernel_alone() {
        let first = Connection::create(Transport::Tcp, "python3", None).unwrap();
        let second = Connection::create(Transport::Tcp, "python3", None).unwrap();
        let ports: std::collections::HashSet<u16> = first.ports.iter().chain(&second.ports).copied().collect();
        assert_eq!(ports.len(), 10);
        let kernel = TcpSocket::new_v4().unwrap();
        kernel.set_reuseaddr(true).unwrap();
        kernel.bind(([127, 0, 0, 1], first.ports[0]).into()).unwrap();
        kernel.listen(1).unwrap();
        let other = TcpSocket::new_v4().unwrap();
        assert!(other.bind(([127, 0, 0, 1], first.ports[1]).into()).is_err());
    }
}
