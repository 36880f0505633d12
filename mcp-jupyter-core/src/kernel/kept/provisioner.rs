use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;
use serde::Serialize;

use super::home::{Description, Home, Launch, Order};
use super::kernel::KeptKernel;
use super::program::KeeperProgram;
use super::usage::Usage;
use crate::kernel::local::{LocalProvisioner, Transport};
use crate::kernel::{Death, Kernel, KernelError, KernelProvisioner, KernelSpec, LaunchRequest};
use crate::model::KernelId;

/// How much of what a kernel says is kept until somebody acknowledges it, in bytes.
const SPOOL_LIMIT: u64 = 16 << 30;

/// A folder without a description that is younger may be one of a keeper that is just starting.
const STRAY_AGE: Duration = Duration::from_secs(60);

/// Starts kernels that outlive us, and finds them again.
#[derive(Clone, Debug)]
pub struct KeptProvisioner {
    local: LocalProvisioner,
    program: KeeperProgram,
    root: PathBuf,
    transport: Option<Transport>,
    spool_limit: u64,
}

/// A kernel that is kept, or was.
#[derive(Clone, Debug, Serialize)]
pub struct KeptRecord {
    /// Its identity.
    pub kernel_id: KernelId,
    /// The kernelspec's name.
    pub spec: String,
    /// The kernel's process.
    pub pid: u32,
    /// When the process was born, in a form that no other process has; none where the system does not tell.
    pub born: Option<String>,
    /// The keeper's process.
    pub keeper_pid: u32,
    /// How often the kernel was restarted.
    pub epoch: u64,
    /// Since when there is the kernel.
    pub started: Timestamp,
    /// Whether its process runs.
    pub is_alive: bool,
    /// Whether it has a keeper.
    pub has_keeper: bool,
    /// Whether it outlives whoever has started it.
    pub is_kept: bool,
    /// How its process has ended, where that is known.
    pub death: Option<Death>,
    /// What its processes use, where they run and the system tells.
    pub usage: Option<Usage>,
    /// Why the keeper has ended it, where it has.
    pub ended_because: Option<String>,
    /// The folder with all that is known of it.
    pub home: PathBuf,
}

impl KeptRecord {
    fn new(home: &Home, description: Description) -> Self {
        let is_alive = description.kernel_runs();
        Self {
            is_alive,
            usage: is_alive.then(|| Usage::of(description.generation.pid)).flatten(),
            has_keeper: home.has_keeper(),
            is_kept: description.is_kept,
            kernel_id: description.kernel_id,
            spec: description.request.spec.name,
            pid: description.generation.pid,
            born: description.born,
            keeper_pid: description.keeper_pid,
            epoch: description.generation.epoch,
            started: description.started,
            death: description.death,
            ended_because: description.ended_because,
            home: home.path().to_owned(),
        }
    }
}

impl KeptProvisioner {
    /// A provisioner that finds kernelspecs as `local` does, has `program` keep kernels, and writes down in the folder
    /// `root` all that is known of them.
    pub fn new(local: LocalProvisioner, program: KeeperProgram, root: impl Into<PathBuf>) -> Self {
        Self {
            transport: local.transport(),
            local,
            program,
            root: root.into(),
            spool_limit: SPOOL_LIMIT,
        }
    }

    /// Keeps at most so much of what a kernel says until it is acknowledged, in bytes; 16 GiB otherwise. Where there is
    /// more, outputs are dropped, and those cells end as incomplete.
    #[must_use]
    pub fn with_spool_limit(mut self, bytes: u64) -> Self {
        self.spool_limit = bytes;
        self
    }

    /// Where kernelspecs are found.
    pub fn local(&self) -> &LocalProvisioner {
        &self.local
    }

    fn home(&self, id: &KernelId) -> Home {
        Home(self.root.join(id.as_str()))
    }

    /// Starts a kernel. It ends with the value that is returned, unless [`KeptKernel::keep`] is called.
    ///
    /// # Errors
    /// As [`KernelProvisioner::launch`].
    pub async fn start(&self, mut request: LaunchRequest) -> Result<KeptKernel, KernelError> {
        if request.cwd.is_none() {
            request.cwd = std::env::current_dir().ok();
        }
        let id = KernelId::random();
        let home = self.home(&id);
        let launch = Launch {
            kernel_id: id,
            request,
            transport: self.transport,
            spool_limit: self.spool_limit,
        };
        let tether = self.program.start(&home, &Order::Launch(Box::new(launch))).await?;
        KeptKernel::open(home, self.program.clone(), None, tether).await
    }

    /// Reaches a kernel that is kept. With a token, every client with a lower one executes nothing any more. A kernel that
    /// has ended can still be reached for what it had said.
    ///
    /// # Errors
    /// [`KernelError::Fenced`] where a client with a higher token was there; [`KernelError::Io`] where nothing is known of
    /// the kernel, or its keeper cannot be reached and no other one started.
    pub async fn attach(&self, id: &KernelId, token: Option<u64>) -> Result<KeptKernel, KernelError> {
        KeptKernel::open(self.home(id), self.program.clone(), token, None).await
    }

    /// All kernels that something is known of, oldest first.
    ///
    /// # Errors
    /// [`KernelError::Io`] where the folder cannot be read.
    pub fn list(&self) -> Result<Vec<KeptRecord>, KernelError> {
        let entries = match self.root.read_dir() {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            entries => entries.map_err(|error| self.unreadable(&self.root, error))?,
        };
        let homes = entries.flatten().map(|entry| Home(entry.path()));
        let homes = homes.filter(|home| !home.is_removed());
        let described = homes.filter_map(|home| Some((home.description().ok()?, home)));
        let mut records: Vec<KeptRecord> = described
            .map(|(description, home)| KeptRecord::new(&home, description))
            .collect();
        records.sort_by_key(|record| record.started);
        Ok(records)
    }

    /// What is known of a kernel; none where nothing is.
    pub fn find(&self, id: &KernelId) -> Option<KeptRecord> {
        let home = self.home(id);
        let description = home.description().ok()?;
        Some(KeptRecord::new(&home, description))
    }

    /// Ends a kernel's process and its keeper, and removes all that is known of it. Repeating is safe.
    ///
    /// # Errors
    /// [`KernelError::Io`] where it cannot be ended, or its folder not be removed.
    pub async fn remove(&self, id: &KernelId) -> Result<(), KernelError> {
        let home = self.home(id);
        if home.description().is_ok_and(|description| description.kernel_runs()) || home.has_keeper() {
            self.attach(id, None).await?.end().await?;
        }
        home.remove().map_err(|error| self.unreadable(home.path(), error))
    }

    /// Ends what keepers that were killed at their start have left: processes of which nothing else is known, and their
    /// folders. Tells how many. Removes what interrupted removals have left.
    ///
    /// # Errors
    /// [`KernelError::Io`] where the folder of kernels cannot be read, or such a folder not be removed.
    pub fn reap_strays(&self) -> Result<usize, KernelError> {
        let entries = match self.root.read_dir() {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(0),
            entries => entries.map_err(|error| self.unreadable(&self.root, error))?,
        };
        let mut reaped = 0;
        for home in entries.flatten().map(|entry| Home(entry.path())) {
            if home.is_removed() {
                // Whoever else removes it just now removes it too.
                let _ = std::fs::remove_dir_all(home.path());
                continue;
            }
            let age = home.path().metadata().and_then(|found| found.modified()).ok();
            let is_new = age.and_then(|age| age.elapsed().ok()).is_none_or(|age| age < STRAY_AGE);
            if home.has_keeper() || home.description().is_ok() || is_new && home.stray_process().is_none() {
                continue;
            }
            if let Some(pid) = home.stray_process().and_then(|pid| i32::try_from(pid).ok()) {
                let _ = nix::sys::signal::killpg(nix::unistd::Pid::from_raw(pid), nix::sys::signal::Signal::SIGKILL);
            }
            home.remove().map_err(|error| self.unreadable(home.path(), error))?;
            reaped += 1;
        }
        Ok(reaped)
    }

    fn unreadable(&self, path: &Path, error: io::Error) -> KernelError {
        KernelError::io(
            format!("use {}, where {self} writes down its kernels", path.display()),
            error,
        )
    }
}

impl fmt::Display for KeptProvisioner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "kept local processes ({})", self.root.display())
    }
}

#[async_trait]
impl KernelProvisioner for KeptProvisioner {
    async fn kernelspecs(&self) -> Result<Vec<KernelSpec>, KernelError> {
        self.local.kernelspecs().await
    }

    async fn launch(&self, request: LaunchRequest) -> Result<Arc<dyn Kernel>, KernelError> {
        Ok(Arc::new(self.start(request).await?))
    }
}
