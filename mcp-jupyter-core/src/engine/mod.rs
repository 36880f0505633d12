//! The facade: runs a notebook on a kernel and tells what happens as a stream of events.
//!
//! The engine is where the domains meet; it knows their traits, not their backends. [`Engine::run`] gives a [`Run`],
//! a stream of [`RunEvent`]s; every user interface consumes that stream, and [`Summary`] is a fold over it.

mod cell_outputs;
mod document;
mod event;
mod event_log;
mod limits;
#[cfg_attr(
    not(test),
    expect(dead_code, reason = "the runs that verify what the analysis says come next")
)]
mod observer;
mod outcome;
mod plan;
mod request;
mod run;
mod saver;
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
pub use limits::RunControl;
pub use plan::Selection;
pub use request::{InputSource, OnError, RunRequest, Save, SavePolicy};
pub use summary::{CellSummary, Summary};
pub use target::resolve_target;

pub use crate::model::CellRef;
pub use crate::scheduler::SkipReason;

use crate::error::Error;
use crate::kernel::KernelProvisioner;
use crate::model::RunId;
use crate::session::notebook::Notebook;

use self::event_log::{EventLog, Events};
use self::run::RunLoop;

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
}

impl Engine {
    /// An engine that starts its kernels with `provisioner`.
    pub fn new(provisioner: Arc<dyn KernelProvisioner>) -> Self {
        Self { provisioner }
    }

    /// Starts a run. It goes on whether or not its events are read; dropping the [`Run`] aborts it.
    ///
    /// # Errors
    /// Where the selection does not fit the notebook, or nothing can be saved where it is to be saved: then nothing
    /// has been started.
    ///
    /// # Panics
    /// Outside of a tokio runtime.
    pub fn run(&self, request: RunRequest) -> Result<Run, Error> {
        let plan = plan::plan(&request.notebook, &request.selection)?;
        if let Some(save) = &request.save {
            Notebook::check_writable(&save.path)?;
        }
        let log = EventLog::default();
        let (control, requests) = RunControl::new();
        let run_id = RunId::random();
        let run = RunLoop::new(run_id.clone(), request, plan, log.clone(), requests);
        let task = tokio::spawn(run.run(Arc::clone(&self.provisioner)));
        Ok(Run {
            id: run_id,
            events: log.subscribe(),
            control,
            task: Some(task),
        })
    }
}

/// A run in progress: the stream of its events.
#[derive(Debug)]
pub struct Run {
    id: RunId,
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
    /// The run's identity.
    pub fn id(&self) -> &RunId {
        &self.id
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
