//! Which cells have to run, in which order, and why.
//!
//! A [`Scheduler`] derives from the sources of a notebook's cells who depends on whom, knows which versions of the names
//! are live in the kernel, plans the smallest re-run that makes kernel and outputs equal those of a full run, and drives
//! it step by step. It executes nothing: the engine does, and reports. The pure part is [`Planner`]; [`LocalScheduler`]
//! runs it over a [`Journal`].

pub mod analysis;
#[cfg(any(test, feature = "conformance"))]
pub mod conformance;
#[cfg(feature = "grpc")]
mod convert;
mod error;
mod flow;
mod graph;
pub mod journal;
mod live;
mod local;
mod plan;
mod planner;
#[cfg(feature = "grpc")]
mod remote;
#[cfg(feature = "grpc")]
pub(crate) mod service;
mod standby;
mod types;
mod version;

use std::fmt::{Debug, Display};

use async_trait::async_trait;

pub use error::SchedulerError;
#[cfg(feature = "sqlite")]
pub use journal::SqliteJournal;
pub use journal::{Journal, MemoryJournal};
pub use live::Live;
pub use local::LocalScheduler;
pub use planner::Planner;
#[cfg(feature = "grpc")]
pub use remote::RemoteScheduler;
pub use standby::StandbyScheduler;
pub use types::{
    CellEffects, CodeCell, Dispatch, Document, Edge, KernelEpoch, Mode, Observation, OnError, OnKernelDeath, Outcome,
    Plan, PlanRequest, PlannedCell, Priority, Report, ResumedRun, RunEnd, RunRecord, SessionStatus, SkipReason,
    SkippedCell, StaleKind, StaleReason, StartRequest, StartedRun, Step, Target,
};

use crate::model::{RunId, SessionId};

/// Plans and drives the runs of sessions.
///
/// Where the future of a method is dropped, what was asked for happens or does not, but never in part. All methods fail
/// with [`SchedulerError::Journal`] or [`SchedulerError::CorruptJournal`] where the journal does.
#[async_trait]
pub trait Scheduler: Display + Debug + Send + Sync + 'static {
    /// Takes the cells of a session as they are now, and says what depends on what and what is stale. A session that is
    /// not known begins with its first sync, on epoch 0.
    ///
    /// A run in progress goes on with the new cells: what it has not dispatched yet is planned anew. Repeating is safe.
    async fn sync(&self, session: &SessionId, document: Document) -> Result<SessionStatus, SchedulerError>;

    /// What a run would do; nothing is executed or changed.
    ///
    /// # Errors
    /// [`SchedulerError::NoSuchSession`], [`SchedulerError::NoSuchCell`], [`SchedulerError::NoSuchTag`],
    /// [`SchedulerError::NotAppendable`].
    async fn plan(&self, session: &SessionId, request: PlanRequest) -> Result<Plan, SchedulerError>;

    /// Queues a run. Its first step comes when the runs before it have ended: interactive ones first, then in the order
    /// of the calls. It is in the journal when this returns.
    ///
    /// Dropping the stream of steps cancels the run, as dropping the future does; a cell in flight is then lost, and
    /// cannot be reported any more.
    ///
    /// # Errors
    /// As [`Scheduler::plan`]; [`SchedulerError::ConsentNeeded`], [`SchedulerError::QueueFull`].
    async fn start(&self, session: &SessionId, request: StartRequest) -> Result<StartedRun, SchedulerError>;

    /// Takes up the runs that a crash has left in a session, oldest first, each where it was and under its identity. A cell
    /// in flight is awaited as if it had just been dispatched: it has to be reported, as [`Outcome::Lost`] where nobody
    /// knows what came of it. The cells may be synced as they are now; the rest is planned anew in any case.
    ///
    /// There are none where nothing was left, or it was taken up before. Anything else that is asked of the session first
    /// ends those runs as [`RunEnd::Lost`], the cell in flight with them.
    ///
    /// # Errors
    /// [`SchedulerError::NoSuchSession`].
    async fn resume(&self, session: &SessionId) -> Result<Vec<ResumedRun>, SchedulerError>;

    /// Tells what came of a dispatch; it is in the journal when this returns. Repeating the same report is safe.
    ///
    /// # Errors
    /// [`SchedulerError::NoSuchRun`], [`SchedulerError::InvalidReport`].
    async fn report(&self, report: Report) -> Result<(), SchedulerError>;

    /// Ends a run: one that waits is never begun, one in progress is interrupted and dispatches nothing more. Without
    /// effect on a run that has ended.
    ///
    /// # Errors
    /// [`SchedulerError::NoSuchRun`].
    async fn cancel(&self, run: &RunId) -> Result<(), SchedulerError>;

    /// What depends on what, what is stale, and which runs there are.
    ///
    /// # Errors
    /// [`SchedulerError::NoSuchSession`].
    async fn status(&self, session: &SessionId) -> Result<SessionStatus, SchedulerError>;

    /// Every run of a session that the journal knows, oldest first: those without an end, and the last 100 at least.
    ///
    /// # Errors
    /// [`SchedulerError::NoSuchSession`].
    async fn runs(&self, session: &SessionId) -> Result<Vec<RunRecord>, SchedulerError>;

    /// Cancels the runs of a session and removes all that is known of it. Repeating is safe.
    async fn forget(&self, session: &SessionId) -> Result<(), SchedulerError>;

    /// Tells which kernel process the session is on from now on. A higher epoch than before means that all names are
    /// gone; the same one changes nothing.
    ///
    /// # Errors
    /// [`SchedulerError::NoSuchSession`].
    async fn kernel_epoch(&self, session: &SessionId, epoch: KernelEpoch) -> Result<(), SchedulerError>;
}
