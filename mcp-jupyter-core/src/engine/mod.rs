//! The facade: runs a notebook on a kernel and tells what happens as a stream of events.
//!
//! The engine is where the domains meet; it knows their traits, not their backends. [`Engine::run`] gives a [`Run`],
//! a stream of [`RunEvent`]s; every user interface consumes that stream, and [`Summary`] is a fold over it. What is
//! executed next, the scheduler says. [`Engine::open`] gives a [`Session`], whose kernel lives on between runs.

mod alone;
mod cell_outputs;
mod document;
pub mod drawing;
mod event;
mod event_log;
mod execution;
mod input;
#[cfg(all(feature = "local", feature = "sqlite"))]
mod kept_sessions;
mod limits;
mod live_kernel;
mod names;
mod observer;
mod offload;
mod offloading;
mod outcome;
mod preparation;
pub mod preview;
mod recovery;
mod redacting;
mod request;
mod run;
mod saver;
mod selection;
mod session;
mod setup;
mod summary;
mod target;
mod widgets;

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use futures_core::Stream;
use tokio::task::JoinHandle;

pub use document::planner;
pub use event::{CellOutcome, EscalationStep, RunEvent, RunOutcome, StopCause};
pub use input::{InputRequest, InputSource, NoSuchInput, PendingInputs};
#[cfg(all(feature = "local", feature = "sqlite"))]
pub use kept_sessions::{KeptSessions, OpenedSession, Turn};
pub use limits::RunControl;
pub use offload::{Inlined, METADATA_KEY, Offload, Offloaded, inline};
pub use preparation::{CellNames, PapermillOptions, Preparation, Prepared};
pub use request::{Attachment, RunRequest, Save, SaveObject, SavePolicy, SessionRequest, SessionRun};
pub use saver::StoredIn;
pub use selection::Selection;
pub use session::Session;
pub use summary::{CellSummary, Summary};
pub use target::resolve_target;

pub use crate::model::CellRef;
pub use crate::scheduler::{OnError, OnKernelDeath, SkipReason};

use crate::error::Error;
use crate::kernel::KernelProvisioner;
use crate::model::SessionId;
use crate::scheduler::{LocalScheduler, MemoryJournal, Scheduler};
use crate::session::notebook::Notebook;

use self::event_log::{EventLog, Events};
use self::run::RunLoop;
use self::setup::Setup;

/// Runs notebooks on kernels of one provisioner.
///
/// ```no_run
/// use std::sync::Arc;
///
/// use futures_util::StreamExt;
/// use mcp_jupyter_core::engine::{Engine, RunRequest};
/// use mcp_jupyter_core::kernel::LaunchRequest;
/// use mcp_jupyter_core::kernel::local::LocalProvisioner;
/// use mcp_jupyter_core::session::notebook::Notebook;
///
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// let provisioner = LocalProvisioner::new();
/// let kernel = LaunchRequest::new(provisioner.kernelspec("python3").await?);
/// let notebook = Notebook::open("analysis.ipynb".as_ref())?;
/// let mut run = Engine::new(Arc::new(provisioner)).run(RunRequest::new(notebook, kernel))?;
/// while let Some(event) = run.next().await {
///     println!("{event:?}");
/// }
/// let finished = run.finish().await;
/// assert!(finished.summary.is_ok());
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Engine {
    provisioner: Arc<dyn KernelProvisioner>,
    /// None: each run and each session has one of its own, in memory.
    scheduler: Option<Arc<dyn Scheduler>>,
}

impl Engine {
    /// An engine that starts its kernels with `provisioner`, and schedules in this process, in memory.
    pub fn new(provisioner: Arc<dyn KernelProvisioner>) -> Self {
        Self {
            provisioner,
            scheduler: None,
        }
    }

    /// Has this scheduler plan and journal all runs.
    #[must_use]
    pub fn with_scheduler(mut self, scheduler: Arc<dyn Scheduler>) -> Self {
        self.scheduler = Some(scheduler);
        self
    }

    fn scheduler(&self) -> Arc<dyn Scheduler> {
        let own = || Arc::new(LocalScheduler::new(Arc::new(MemoryJournal::new()))) as Arc<dyn Scheduler>;
        self.scheduler.clone().unwrap_or_else(own)
    }

    /// Starts a run on a new kernel. It goes on whether or not its events are read; dropping the [`Run`] aborts it.
    ///
    /// # Errors
    /// Where the selection or the targets do not fit the notebook, or nothing can be saved where it is to be saved: then
    /// nothing has been started.
    ///
    /// # Panics
    /// Outside of a tokio runtime.
    pub fn run(&self, request: RunRequest) -> Result<Run, Error> {
        let part = selection::part(&request.notebook, &request.selection, request.targets.clone())?;
        let (provisioner, kernel) = (Arc::clone(&self.provisioner), request.kernel.clone());
        let (notebook, setup) = Setup::alone(request, part);
        Run::start(
            Arc::new(notebook),
            setup,
            self.scheduler(),
            SessionId::random(),
            |run| run.alone(provisioner, kernel),
        )
    }

    /// Starts a kernel for a notebook and keeps it, so that later runs execute only what has to be.
    ///
    /// Dropping the future ends the process that it has started.
    ///
    /// # Errors
    /// Where the kernel does not start, or the scheduler cannot be asked.
    pub async fn open(&self, request: SessionRequest) -> Result<Session, Error> {
        Session::open(&*self.provisioner, self.scheduler(), request).await
    }

    /// Goes on with a kernel that runs already. What the scheduler knows of the session holds for as long as the epoch is
    /// the one that it knows.
    pub fn attach(&self, attachment: Attachment) -> Session {
        Session::attach(self.scheduler(), attachment)
    }
}

/// A run in progress: the stream of its events, the first of which has its identity.
#[derive(Debug)]
pub struct Run {
    events: Events,
    control: RunControl,
    task: Option<JoinHandle<FinishedRun>>,
}

/// What a run leaves.
#[derive(Clone, Debug)]
pub struct FinishedRun {
    /// The notebook with its new outputs.
    pub notebook: Arc<Notebook>,
    /// What came of the run.
    pub summary: Summary,
}

impl Run {
    /// Has a task do all that there is to do.
    fn start<F>(
        notebook: Arc<Notebook>,
        setup: Setup,
        scheduler: Arc<dyn Scheduler>,
        session: SessionId,
        go: impl FnOnce(RunLoop) -> F,
    ) -> Result<Self, Error>
    where
        F: Future<Output = FinishedRun> + Send + 'static,
    {
        if let Some(save) = &setup.save {
            Notebook::check_writable(&save.path)?;
        }
        let log = EventLog::default();
        let (control, requests) = RunControl::new();
        let run = RunLoop::new(notebook, setup, scheduler, session, log.clone(), requests);
        Ok(Self {
            events: log.subscribe(),
            control,
            task: Some(tokio::spawn(go(run))),
        })
    }

    /// A handle to stop the run.
    pub fn control(&self) -> RunControl {
        self.control.clone()
    }

    /// Waits for the end of the run; events that have not been read are dropped.
    ///
    /// # Panics
    /// Where the run itself has panicked.
    pub async fn finish(mut self) -> FinishedRun {
        let task = self.task.take().expect("only this takes it");
        task.await
            .unwrap_or_else(|error| std::panic::resume_unwind(error.into_panic()))
    }
}

impl Stream for Run {
    type Item = RunEvent;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<RunEvent>> {
        Pin::new(&mut self.events).poll_next(context)
    }
}

impl Drop for Run {
    fn drop(&mut self) {
        if self.task.is_some() {
            self.control.abort(StopCause::Interrupt);
        }
    }
}
