//! What a scheduler has to know after a crash.
//!
//! A [`Journal`] keeps for every session what its planner was told, as a [`Checkpoint`] and the [`Change`]s since, and
//! its runs: what was asked for, the plan, which cells had ended. It decides nothing; `LocalScheduler` writes
//! [`Entry`]s and reads them back. [`MemoryJournal`] is for tests and for runs that end with their process,
//! `SqliteJournal` a file. [`conformance`] says what each of them must do.

#[cfg(any(test, feature = "conformance"))]
pub mod conformance;
mod location;
mod memory;
#[cfg(feature = "postgres")]
mod postgres;
#[cfg(feature = "sqlite")]
mod sqlite;

use std::fmt::{Debug, Display};
use std::sync::Arc;

use async_trait::async_trait;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

pub use location::{OpenedJournal, check_journal, open_journal};
pub use memory::MemoryJournal;
#[cfg(feature = "postgres")]
pub use postgres::PostgresJournal;
#[cfg(feature = "sqlite")]
pub use sqlite::SqliteJournal;

use super::{Document, KernelEpoch, Live, Observation, Outcome, Plan, RunEnd, RunRecord, SchedulerError, StartRequest};
use crate::model::{CellId, CellRef, RunId, SessionId};

/// How many runs of a session a journal keeps, besides those without an end.
const KEPT_RUNS: usize = 100;

/// Keeps what is known of sessions and their runs, so that a crash of the process loses nothing of it.
#[async_trait]
pub trait Journal: Display + Debug + Send + Sync + 'static {
    /// What to go on with in a session; none where nothing was ever appended for it, or it was forgotten.
    ///
    /// # Errors
    /// [`SchedulerError::Journal`], [`SchedulerError::CorruptJournal`], as of all methods.
    async fn load(&self, session: &SessionId) -> Result<Option<Logged>, SchedulerError>;

    /// Appends to what is known of a session, all of it or nothing, after everything that was appended before. When
    /// this returns, a crash of the process cannot lose it any more. A session that was not known begins.
    ///
    /// Where the future is dropped, it may be appended or not.
    async fn append(&self, session: &SessionId, entries: Arc<[Entry]>) -> Result<(), SchedulerError>;

    /// The last runs of a session, 100 at least, and those without an end, oldest first.
    async fn runs(&self, session: &SessionId) -> Result<Vec<RunRecord>, SchedulerError>;

    /// A run and its session; none where there is none.
    async fn run(&self, run: &RunId) -> Result<Option<(SessionId, RunRecord)>, SchedulerError>;

    /// Removes all that is known of a session. Repeating is safe.
    async fn forget(&self, session: &SessionId) -> Result<(), SchedulerError>;
}

/// One thing to keep.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Entry {
    /// A run was accepted.
    Started {
        /// The run.
        run_id: RunId,
        /// What was asked for.
        request: StartRequest,
        /// Its plan at that time.
        plan: Plan,
        /// When its deadline passes, to the microsecond.
        due: Option<Timestamp>,
    },
    /// A cell of a run is about to be executed.
    Dispatched {
        /// The run.
        run_id: RunId,
        /// The cell.
        cell: CellRef,
        /// How often the run has dispatched it, from 1.
        attempt: u32,
    },
    /// What came of a dispatch.
    Reported {
        /// The run.
        run_id: RunId,
        /// The cell.
        cell: CellId,
        /// The dispatch's attempt.
        attempt: u32,
        /// How the execution ended.
        outcome: Outcome,
    },
    /// A run is to end so once the cell that is being executed has.
    Stopping {
        /// The run.
        run_id: RunId,
        /// How.
        end: RunEnd,
    },
    /// A run has ended.
    Ended {
        /// The run.
        run_id: RunId,
        /// How.
        end: RunEnd,
    },
    /// The planner was told something.
    Changed(Change),
    /// This stands for all changes before it.
    Checkpoint(Checkpoint),
}

/// Something that a planner is told. A planner that starts from a checkpoint and is told every change since, in order,
/// knows what the first one knew.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Change {
    /// The cells are these now.
    Synced(Document),
    /// This cell, as it stands in the document of this moment, is handed out to be executed.
    Begun {
        /// The cell.
        cell: CellId,
        /// Names that are deleted from the kernel right before.
        delete_before: Vec<String>,
    },
    /// The cell that was begun last has ended.
    Ended {
        /// What counts as its outcome: an error that was expected is [`Outcome::Ok`].
        outcome: Outcome,
        /// What was seen in the namespace.
        observation: Option<Observation>,
    },
    /// These names were deleted from the kernel.
    Deleted(Vec<String>),
    /// The session is on this kernel process from now on.
    Epoch(KernelEpoch),
}

/// What a planner knows at one moment, between two executions.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Checkpoint {
    /// What the kernel holds.
    pub live: Live,
    /// The cells; none where they are those of the checkpoint before, and no [`Change::Synced`] came since.
    pub document: Option<Document>,
}

/// What a journal knows of a session.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Logged {
    /// What its planner knew at the last checkpoint, the document always given. Empty where there was no checkpoint.
    pub live: Live,
    /// The cells at the last checkpoint.
    pub document: Document,
    /// What the planner was told since, in order.
    pub changes: Vec<Change>,
    /// The runs without an end, oldest first.
    pub unfinished: Vec<Unfinished>,
}

/// A run without an end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unfinished {
    /// The run.
    pub run_id: RunId,
    /// The cells, with their attempts, that were dispatched and not reported.
    pub in_flight: Vec<(CellId, u32)>,
}
