//! Sessions that outlive every process that uses them.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use crate::error::Error;
use crate::kernel::kept::{KeeperProgram, KeptKernel, KeptProvisioner, KeptRecord};
use crate::kernel::local::LocalProvisioner;
use crate::kernel::{Death, Kernel, KernelError, KernelState, LaunchRequest};
use crate::model::SessionId;
use crate::scheduler::{Journal, KernelEpoch, LocalScheduler, RunRecord, Scheduler, SchedulerError, SqliteJournal};
use crate::session::{KernelBinding, LocalSessions, SessionError, SessionRecord, SessionStore};

use super::request::{Attachment, with_history_in_memory};
use super::saver::StoredIn;
use super::{Engine, Session};

/// How long the end of a process may take to be told by its keeper.
const DEATH_PATIENCE: Duration = Duration::from_secs(10);

/// How many kernels live at a time unless something else is asked for.
const MOST_KERNELS: usize = 64;

/// More processes than a kernel has had of which nothing is left.
const UNKNOWN_RESTARTS: u64 = 1000;

/// The sessions of one user: their store, their kernels behind keepers, and the journal of their runs, in one folder.
///
/// Any process may open them, one after another or at the same time. Whoever is to execute something takes its
/// [`Turn`] first, so that a notebook has one run at a time; the turn of a process that is gone is free.
#[derive(Debug)]
pub struct KeptSessions {
    folder: PathBuf,
    store: Arc<dyn SessionStore>,
    kernels: KeptProvisioner,
    journal: Arc<dyn Journal>,
    /// One over the journal if none.
    scheduler: Option<Arc<dyn Scheduler>>,
    most_kernels: usize,
}

/// The right to execute something in a session, until it is dropped or its process is gone.
#[derive(Debug)]
pub struct Turn {
    file: File,
}

/// A session with its kernel.
#[derive(Debug)]
pub struct OpenedSession {
    /// For its runs.
    pub session: Session,
    /// Its kernel.
    pub kernel: Arc<KeptKernel>,
}

impl OpenedSession {
    /// How the kernel's process has ended, where it has; what it had said can still be taken in, by [`Session::recover`].
    pub fn death(&self) -> Option<Death> {
        match &*self.kernel.state().borrow() {
            KernelState::Dead(death) => Some(death.clone()),
            _ => None,
        }
    }
}

impl KeptSessions {
    /// The sessions in `folder`, which is made where it is missing. Kernels are found by `local`, and kept by `keeper`.
    ///
    /// # Errors
    /// Where the folder, the state file or the journal cannot be used.
    pub async fn open(folder: &Path, local: LocalProvisioner, keeper: KeeperProgram) -> Result<Self, Error> {
        let store = LocalSessions::open(folder).await?;
        let journal = SqliteJournal::open(folder.join("journal.sqlite")).await?;
        Ok(Self {
            folder: folder.to_owned(),
            store: Arc::new(store),
            kernels: KeptProvisioner::new(local, keeper, folder.join("kernels")),
            journal: Arc::new(journal),
            scheduler: None,
            most_kernels: MOST_KERNELS,
        })
    }

    /// Lets so many kernels live at a time, 64 otherwise.
    #[must_use]
    pub fn with_kernel_limit(mut self, most_kernels: usize) -> Self {
        self.most_kernels = most_kernels;
        self
    }

    /// Has this scheduler plan and journal the runs, instead of one in this process over the folder's journal.
    #[must_use]
    pub fn with_scheduler(mut self, scheduler: Arc<dyn Scheduler>) -> Self {
        self.scheduler = Some(scheduler);
        self
    }

    /// What is kept of sessions.
    pub fn store(&self) -> &Arc<dyn SessionStore> {
        &self.store
    }

    /// The kernels.
    pub fn kernels(&self) -> &KeptProvisioner {
        &self.kernels
    }

    /// What is kept of runs in the folder; none of those of another scheduler.
    pub fn journal(&self) -> &Arc<dyn Journal> {
        &self.journal
    }

    /// The runs of a session that are known, oldest first.
    ///
    /// # Errors
    /// Where the journal cannot be read, or the scheduler not be asked.
    pub async fn runs(&self, id: &SessionId) -> Result<Vec<RunRecord>, Error> {
        let Some(scheduler) = &self.scheduler else {
            return Ok(self.journal.runs(id).await?);
        };
        match scheduler.runs(id).await {
            Err(SchedulerError::NoSuchSession { .. }) => Ok(Vec::new()),
            runs => Ok(runs?),
        }
    }

    /// Where results of runs of a session go.
    pub fn stored_in(&self, record: &SessionRecord) -> StoredIn {
        StoredIn {
            store: Arc::clone(&self.store),
            id: record.id.clone(),
            path: record.path.clone(),
        }
    }

    /// The right to execute, unless another process has it: then that process's number, where it has told it.
    ///
    /// # Errors
    /// [`SessionError::Io`] where the file of the turn cannot be used.
    pub fn try_take_turn(&self, id: &SessionId) -> Result<Result<Turn, Option<u32>>, Error> {
        let mut file = self.turn_file(id)?;
        match file.try_lock() {
            Ok(()) => Ok(Ok(Turn::taken(file))),
            Err(std::fs::TryLockError::WouldBlock) => {
                let mut holder = String::new();
                let _ = file.read_to_string(&mut holder);
                Ok(Err(holder.trim().parse().ok()))
            }
            Err(std::fs::TryLockError::Error(error)) => Err(self.no_turn(id, error)),
        }
    }

    /// The right to execute, once no other process has it.
    ///
    /// # Errors
    /// As [`KeptSessions::try_take_turn`].
    pub async fn take_turn(&self, id: &SessionId) -> Result<Turn, Error> {
        let file = self.turn_file(id)?;
        let locked = tokio::task::spawn_blocking(move || file.lock().map(|()| file)).await;
        let locked = locked.map_err(std::io::Error::other).flatten();
        locked.map(Turn::taken).map_err(|error| self.no_turn(id, error))
    }

    fn turn_file(&self, id: &SessionId) -> Result<File, Error> {
        let folder = self.folder.join("turns");
        let open = || {
            std::fs::create_dir_all(&folder)?;
            let mut options = std::fs::OpenOptions::new();
            options.read(true).write(true).create(true).truncate(false).mode(0o600);
            options.open(folder.join(id.as_str()))
        };
        open().map_err(|error| self.no_turn(id, error))
    }

    fn no_turn(&self, id: &SessionId, source: std::io::Error) -> Error {
        let file = self.folder.join("turns").join(id.as_str());
        let action = format!("lock {}", file.display());
        SessionError::Io { action, source }.into()
    }

    /// The session with the kernel that it is bound to, dead or alive; none where it has none, or nothing is left of it.
    /// Everybody who has executed on it before executes nothing any more.
    ///
    /// # Errors
    /// Where the kernel cannot be reached though it is there.
    pub async fn attach(&self, _turn: &Turn, record: &SessionRecord) -> Result<Option<OpenedSession>, Error> {
        let Some(binding) = &record.kernel else {
            return Ok(None);
        };
        let Some(found) = self.kernels.find(&binding.kernel_id) else {
            return Ok(None);
        };
        let token = self.store.next_token(&record.id).await?;
        let kernel = self.kernels.attach(&binding.kernel_id, Some(token)).await?;
        if !found.is_alive {
            // Its keeper is about to say so.
            let mut state = kernel.state();
            let told = state.wait_for(|state| matches!(state, KernelState::Dead(_)));
            let _ = tokio::time::timeout(DEATH_PATIENCE, told).await;
        }
        Ok(Some(self.opened(record, binding.clone(), kernel, false)))
    }

    /// The session with a new kernel, which is kept until it is stopped, or has been idle without a client for so long.
    ///
    /// # Errors
    /// As [`Engine::open`].
    pub async fn start(
        &self,
        _turn: &Turn,
        record: &SessionRecord,
        launch: LaunchRequest,
        idle_timeout: Option<Duration>,
    ) -> Result<OpenedSession, Error> {
        self.check_limit().await?;
        let spec = launch.spec.clone();
        let token = self.store.next_token(&record.id).await?;
        let started = self.kernels.start(with_history_in_memory(launch)).await?;
        let binding = KernelBinding {
            kernel_id: started.id().clone(),
            spec,
            epoch: record.epoch + 1,
        };
        // Written down before it lives on: what nobody knows of ends with us.
        self.store.bind(&record.id, Some(binding.clone())).await?;
        started.keep(idle_timeout).await?;
        drop(started);
        let kernel = self.kernels.attach(&binding.kernel_id, Some(token)).await?;
        Ok(self.opened(record, binding, kernel, true))
    }

    /// Refuses one more kernel where there are enough, naming those that do nothing.
    async fn check_limit(&self) -> Result<(), Error> {
        let kernels = self.kernels.list()?.into_iter();
        let living: Vec<KeptRecord> = kernels.filter(|kernel| kernel.is_alive).collect();
        if living.len() < self.most_kernels {
            return Ok(());
        }
        let mut idle = Vec::new();
        for record in self.store.list().await? {
            let bound = record.kernel.as_ref().map(|kernel| &kernel.kernel_id);
            let is_living = living.iter().any(|kernel| Some(&kernel.kernel_id) == bound);
            // Whoever executes has the turn.
            if is_living && self.try_take_turn(&record.id)?.is_ok() {
                idle.push(record.path.display().to_string());
            }
        }
        let idle = if idle.is_empty() {
            "none of them is idle".to_owned()
        } else {
            format!("idle: {}", idle.join(", "))
        };
        let refused = format!("{} kernels live already, and no more may ({idle})", living.len());
        Err(SessionError::InvalidRequest(refused).into())
    }

    fn opened(
        &self,
        record: &SessionRecord,
        binding: KernelBinding,
        kernel: KeptKernel,
        is_new: bool,
    ) -> OpenedSession {
        let kernel = Arc::new(kernel);
        let own = || Arc::new(LocalScheduler::new(Arc::clone(&self.journal))) as Arc<dyn Scheduler>;
        let scheduler = self.scheduler.clone().unwrap_or_else(own);
        let engine = Engine::new(Arc::new(self.kernels.clone())).with_scheduler(scheduler);
        let session = engine.attach(Attachment {
            kernel: Arc::<KeptKernel>::clone(&kernel),
            spec: binding.spec,
            id: record.id.clone(),
            epoch: KernelEpoch(binding.epoch),
            is_new,
        });
        OpenedSession { session, kernel }
    }

    /// The kernel of a session, for whoever only looks at it or interrupts it; none as for [`KeptSessions::attach`].
    ///
    /// # Errors
    /// Where it cannot be reached though it is there.
    pub async fn observe(&self, record: &SessionRecord) -> Result<Option<KeptKernel>, Error> {
        let Some(binding) = &record.kernel else {
            return Ok(None);
        };
        if self.kernels.find(&binding.kernel_id).is_none() {
            return Ok(None);
        }
        Ok(Some(self.kernels.attach(&binding.kernel_id, None).await?))
    }

    /// Ends the kernel of a session, if it lives, and removes all that is known of it: what it has said and nobody has
    /// taken in is lost.
    ///
    /// # Errors
    /// Where it cannot be ended.
    pub async fn remove_kernel(&self, record: &SessionRecord) -> Result<(), Error> {
        let Some(binding) = &record.kernel else {
            return Ok(());
        };
        let restarts = self
            .kernels
            .find(&binding.kernel_id)
            .map_or(UNKNOWN_RESTARTS, |found| found.epoch);
        match self.kernels.remove(&binding.kernel_id).await {
            Err(KernelError::Died(_)) | Ok(()) => {}
            Err(error) => return Err(error.into()),
        }
        // The next kernel's epoch is higher than that of every process of this one.
        let last = KernelBinding {
            epoch: binding.epoch + restarts,
            ..binding.clone()
        };
        self.store.bind(&record.id, Some(last)).await?;
        self.store.bind(&record.id, None).await?;
        Ok(())
    }

    /// Forgets a session whose kernel was removed.
    ///
    /// # Errors
    /// Where the store or the journal cannot be used.
    pub async fn forget(&self, id: &SessionId) -> Result<(), Error> {
        self.journal.forget(id).await?;
        if let Some(scheduler) = &self.scheduler {
            scheduler.forget(id).await?;
        }
        self.store.close(id).await?;
        let _ = std::fs::remove_file(self.folder.join("turns").join(id.as_str()));
        Ok(())
    }
}

impl Turn {
    fn taken(mut file: File) -> Self {
        // Only for whoever is told to wait.
        let _ = file.set_len(0);
        let _ = file.seek(SeekFrom::Start(0));
        let _ = write!(file, "{}", std::process::id());
        Self { file }
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        let _ = self.file.set_len(0);
    }
}
