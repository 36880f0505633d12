//! A kernel that lives on between runs.

use std::fmt;
use std::sync::{Arc, PoisonError};

use futures_util::StreamExt;
use tokio::sync::{Mutex, MutexGuard};
use tokio::time::Instant;

use crate::error::{Error, ErrorKind};
use crate::kernel::{KernelError, KernelProvisioner, KernelSpec, ShutdownMode};
use crate::model::SessionId;
use crate::scheduler::{Document, KernelEpoch, Plan, PlanRequest, Scheduler, SchedulerError};
use crate::session::notebook::Notebook;

use super::alone::SHUTDOWN_PATIENCE;
use super::event::{RunEvent, RunOutcome, StopCause};
use super::limits::RunControl;
use super::live_kernel::LiveKernel;
use super::recovery::Leftover;
use super::request::{Attachment, SessionRequest, SessionRun};
use super::run::RunLoop;
use super::setup::Setup;
use super::{FinishedRun, Run, selection};

/// A notebook's kernel, kept between runs: each executes only what has become stale since the last one.
///
/// Runs of one session come one after the other, in the order of the calls. Dropping the session aborts them and ends
/// the kernel.
///
/// ```
/// use std::sync::Arc;
///
/// use mcp_jupyter_core::engine::{Engine, SessionRequest, SessionRun};
/// use mcp_jupyter_core::kernel::memory::MemoryProvisioner;
/// use mcp_jupyter_core::session::notebook::{Cell, Notebook};
///
/// # tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(async {
/// let provisioner = MemoryProvisioner::new();
/// let request = SessionRequest::new(provisioner.request());
/// let session = Engine::new(Arc::new(provisioner)).open(request).await?;
/// let mut notebook = Notebook::parse(br#"{"cells": [], "metadata": {}, "nbformat": 4, "nbformat_minor": 5}"#)?;
/// notebook.cells_mut().push(Cell::new_code("a".into(), "x = 1"));
/// let first = session.run(notebook, SessionRun::default())?.finish().await;
/// assert_eq!(first.summary.cells.len(), 1);
/// let second = session.run(first.notebook, SessionRun::default())?.finish().await;
/// assert_eq!(second.summary.cells.len(), 0);
/// session.close().await?;
/// # Ok::<(), mcp_jupyter_core::Error>(())
/// # })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Session {
    kept: Arc<Kept>,
    /// The runs that may not have ended.
    runs: std::sync::Mutex<Vec<RunControl>>,
}

/// What the runs of a session share.
pub(super) struct Kept {
    id: SessionId,
    scheduler: Arc<dyn Scheduler>,
    spec: KernelSpec,
    /// Held by the run that is active; none once the session is closed.
    live: Mutex<Option<LiveKernel>>,
    /// Whether the scheduler's record is to stay when the session is closed.
    is_recorded: bool,
    /// Whether nobody has used the kernel before.
    is_kernel_new: bool,
}

impl fmt::Debug for Kept {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Kept")
            .field("id", &self.id)
            .field("kernel", &self.spec.name)
            .finish_non_exhaustive()
    }
}

impl Session {
    pub(super) async fn open(
        provisioner: &dyn KernelProvisioner,
        scheduler: Arc<dyn Scheduler>,
        request: SessionRequest,
    ) -> Result<Self, Error> {
        let is_recorded = request.id.is_some();
        let id = request.id.unwrap_or_else(SessionId::random);
        let epoch = next_epoch(&*scheduler, &id).await?;
        let spec = request.kernel.spec.clone();
        let kernel = provisioner.launch(request.kernel).await?;
        let live = Mutex::new(Some(LiveKernel::new(kernel, epoch)));
        let kept = Kept {
            id,
            scheduler,
            spec,
            live,
            is_recorded,
            is_kernel_new: true,
        };
        Ok(Self {
            kept: Arc::new(kept),
            runs: std::sync::Mutex::default(),
        })
    }

    pub(super) fn attach(scheduler: Arc<dyn Scheduler>, attachment: Attachment) -> Self {
        let process = attachment.kernel.executed().epoch;
        let epoch = KernelEpoch(attachment.epoch.0 + process);
        let kept = Kept {
            id: attachment.id,
            scheduler,
            spec: attachment.spec,
            live: Mutex::new(Some(LiveKernel::used(attachment.kernel, epoch))),
            is_recorded: true,
            is_kernel_new: attachment.is_new,
        };
        Self {
            kept: Arc::new(kept),
            runs: std::sync::Mutex::default(),
        }
    }

    /// Leaves the kernel as it is, after the runs in progress: it is somebody else's, or kept.
    pub async fn detach(self) {
        drop(self.kept.live().await.take());
    }

    /// The session's identity.
    pub fn id(&self) -> &SessionId {
        &self.kept.id
    }

    /// Starts a run of the notebook as it is now; it waits for the runs before it. It goes on whether or not its events
    /// are read; dropping the [`Run`] aborts it, which ends the kernel's process, and the next run begins with a new one.
    ///
    /// # Errors
    /// Where the targets do not fit the notebook, or nothing can be saved where it is to be saved: then nothing has been
    /// started.
    ///
    /// # Panics
    /// Outside of a tokio runtime.
    pub fn run(&self, notebook: impl Into<Arc<Notebook>>, run: SessionRun) -> Result<Run, Error> {
        let notebook = notebook.into();
        selection::check_targets(&notebook, &run.targets)?;
        let kept = Arc::clone(&self.kept);
        let setup = Setup::in_session(run, kept.spec.name.clone());
        let run = Run::start(notebook, setup, Arc::clone(&kept.scheduler), kept.id.clone(), |run| {
            run.in_session(kept)
        })?;
        self.keep(&run);
        Ok(run)
    }

    fn keep(&self, run: &Run) {
        let mut runs = self.runs.lock().unwrap_or_else(PoisonError::into_inner);
        runs.retain(|run| !run.has_ended());
        runs.push(run.control());
    }

    /// Goes on with what an earlier process has begun in this session and not finished, whatever ended that: executions
    /// whose outputs may not be in the notebook are taken in, the cell that was being executed goes on, and with it the
    /// run, under its identity. Each [`Run`] is one of those runs; with none, there is nothing to go on with. To be called
    /// before anything else.
    ///
    /// # Errors
    /// Where the scheduler cannot be asked, or nothing can be saved where it is to be saved.
    ///
    /// # Panics
    /// Outside of a tokio runtime.
    pub async fn recover(&self, notebook: impl Into<Arc<Notebook>>, run: SessionRun) -> Result<Option<Run>, Error> {
        let resumed = match self.kept.scheduler.resume(&self.kept.id).await {
            Err(SchedulerError::NoSuchSession { .. }) => Vec::new(),
            resumed => resumed?,
        };
        let executions = match self.kept.live().await.as_ref() {
            Some(live) => live.kernel.unfinished().collect().await,
            None => Vec::new(),
        };
        let mut resumed = resumed.into_iter();
        let leftover = Leftover {
            run: resumed.next(),
            executions,
            is_kernel_new: self.kept.is_kernel_new,
        };
        // Those that had not begun: whoever asked for them is gone.
        drop(resumed);
        if leftover.is_empty() {
            return Ok(None);
        }
        let kept = Arc::clone(&self.kept);
        let setup = Setup::in_session(run, kept.spec.name.clone());
        let session = kept.id.clone();
        let scheduler = Arc::clone(&kept.scheduler);
        let run = Run::start(notebook.into(), setup, scheduler, session, |run| {
            run.recovering(kept, leftover)
        })?;
        self.keep(&run);
        Ok(Some(run))
    }

    /// What a run of the notebook would do. It waits for the runs in progress.
    ///
    /// # Errors
    /// Where the session is closed, the request does not fit the notebook, or the scheduler cannot be asked.
    pub async fn plan(&self, notebook: &Notebook, request: PlanRequest) -> Result<Plan, Error> {
        let guard = self.kept.live().await;
        let (language, epoch) = {
            let live = guard.as_ref().ok_or_else(closed)?;
            (self.kept.language(live), live.epoch)
        };
        let document = Document {
            language,
            ..Document::from_notebook(notebook)
        };
        let (id, scheduler) = (&self.kept.id, &self.kept.scheduler);
        if scheduler.sync(id, document).await?.epoch < epoch {
            scheduler.kernel_epoch(id, epoch).await?;
        }
        Ok(scheduler.plan(id, request).await?)
    }

    /// Starts a new kernel process: all names are gone. It waits for the runs in progress.
    ///
    /// # Errors
    /// Where the session is closed, or the kernel does not start; the next run tries again.
    pub async fn restart(&self) -> Result<(), Error> {
        let mut live = self.kept.live().await;
        let live = live.as_mut().ok_or_else(closed)?;
        live.restart().await?;
        match self.kept.scheduler.kernel_epoch(&self.kept.id, live.epoch).await {
            // It was never synced: the first run tells.
            Err(SchedulerError::NoSuchSession { .. }) => Ok(()),
            told => Ok(told?),
        }
    }

    /// Ends the kernel, after the runs in progress.
    ///
    /// # Errors
    /// Where the process could not be ended.
    pub async fn close(self) -> Result<(), Error> {
        let live = self.kept.live().await.take();
        if let Some(live) = live {
            live.kernel.shutdown(ShutdownMode::Graceful(SHUTDOWN_PATIENCE)).await?;
        }
        if !self.kept.is_recorded {
            self.kept.scheduler.forget(&self.kept.id).await?;
        }
        Ok(())
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        let runs = self.runs.get_mut().unwrap_or_else(PoisonError::into_inner);
        for run in runs {
            run.abort(StopCause::Interrupt);
        }
    }
}

/// The epoch of a new process, where the session may have had another one.
async fn next_epoch(scheduler: &dyn Scheduler, id: &SessionId) -> Result<KernelEpoch, SchedulerError> {
    match scheduler.status(id).await {
        Ok(status) => Ok(KernelEpoch(status.epoch.0 + 1)),
        Err(SchedulerError::NoSuchSession { .. }) => Ok(KernelEpoch::default()),
        Err(error) => Err(error),
    }
}

fn closed() -> Error {
    KernelError::Died(crate::kernel::Death::default()).into()
}

impl Kept {
    pub(super) async fn live(&self) -> MutexGuard<'_, Option<LiveKernel>> {
        self.live.lock().await
    }

    pub(super) fn language(&self, live: &LiveKernel) -> String {
        live.language().unwrap_or_else(|| self.spec.language.to_lowercase())
    }
}

impl RunLoop {
    /// Runs to the end, whatever happens.
    async fn in_session(mut self, kept: Arc<Kept>) -> FinishedRun {
        let started = Instant::now();
        let _closer = self.log.closer();
        let outcome = self.run_in_session(&kept).await;
        self.end(outcome, started)
    }

    async fn run_in_session(&mut self, kept: &Kept) -> RunOutcome {
        let mut live = tokio::select! {
            live = kept.live() => live,
            _ = self.limits.next_step() => {
                self.announce(&Plan::default());
                return self.stopped(None);
            }
        };
        let Some(live) = live.as_mut() else {
            self.announce(&Plan::default());
            return RunOutcome::Failed {
                kind: ErrorKind::KernelDied,
                message: "the session is closed".to_owned(),
            };
        };
        let revived = match self.revive(live).await {
            Ok(revived) => revived,
            Err(outcome) => {
                self.announce(&Plan::default());
                return outcome;
            }
        };
        let plan = match self.begin(&kept.language(live), live.epoch).await {
            Ok(plan) => plan,
            Err(outcome) => return outcome,
        };
        if let Some(seconds) = revived {
            self.emit(RunEvent::KernelRestarted { seconds });
        }
        live.outputs.recall(&self.notebook);
        let outcome = self.drive(live, &plan).await;
        self.leave(live, outcome).await
    }

    /// Starts a new process where the kernel is dead; gives how long that took.
    async fn revive(&mut self, live: &mut LiveKernel) -> Result<Option<f64>, RunOutcome> {
        if !live.is_dead() {
            return Ok(None);
        }
        self.restart(live).await.map(Some)
    }
}
