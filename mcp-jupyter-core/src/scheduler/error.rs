use std::time::Duration;

use crate::error::ErrorKind;
use crate::model::{CellId, CellRef, RunId, SessionId};

/// What can go wrong with planning and running; a cell that raises is not among it, that is an outcome.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SchedulerError {
    /// The session was never synced, or has been forgotten.
    #[error("the scheduler knows no session \"{session}\"; sync its cells first")]
    NoSuchSession {
        /// The session.
        session: SessionId,
    },
    /// No such run.
    #[error("the scheduler knows no run \"{run}\"")]
    NoSuchRun {
        /// The run.
        run: RunId,
    },
    /// A target or exclusion names a cell that the notebook does not have.
    #[error("the notebook has no code cell \"{cell}\"")]
    NoSuchCell {
        /// The cell.
        cell: CellId,
    },
    /// No cell has the tag that a target names.
    #[error("no code cell has the tag \"{tag}\"")]
    NoSuchTag {
        /// The tag.
        tag: String,
    },
    /// `append` was asked for, but executed cells have changed.
    #[error(
        "only new cells can be appended, but these have changed since they were executed: {}",
        places(changed)
    )]
    NotAppendable {
        /// The cells that have changed.
        changed: Vec<CellRef>,
    },
    /// The plan would execute expensive cells only to restore values for others.
    #[error(
        "these cells are marked @expensive and would be executed again only to restore what others need: {}; allow it, or narrow the run",
        places(cells)
    )]
    ConsentNeeded {
        /// The expensive cells.
        cells: Vec<CellRef>,
    },
    /// A report about something that was not dispatched, or that was reported differently before.
    #[error("cell \"{cell}\" of run \"{run}\", attempt {attempt}: {reason}")]
    InvalidReport {
        /// The run.
        run: RunId,
        /// The cell.
        cell: CellId,
        /// The attempt.
        attempt: u32,
        /// What is wrong with it.
        reason: String,
    },
    /// Too many runs wait.
    #[error("{waiting} runs wait in session \"{session}\" already; try again in {} s", retry_after.as_secs_f64())]
    QueueFull {
        /// The session.
        session: SessionId,
        /// How many wait.
        waiting: usize,
        /// When to try again at the earliest.
        retry_after: Duration,
    },
    /// A scheduler in another process has as much to do as it may; later it has room.
    #[error("{scheduler} has no room: {reason}; try again in {} s", retry_after.as_secs_f64())]
    Busy {
        /// Which scheduler.
        scheduler: String,
        /// What there is too much of.
        reason: String,
        /// When to try again at the earliest.
        retry_after: Duration,
    },
    /// The journal is not what it should be.
    #[error("journal {journal}: {reason}")]
    CorruptJournal {
        /// Which journal.
        journal: String,
        /// What is wrong, and what was done about it.
        reason: String,
    },
    /// A scheduler in another process does not answer; later it may.
    #[error("{scheduler} cannot be reached: {action}")]
    Unavailable {
        /// Which scheduler.
        scheduler: String,
        /// What was attempted.
        action: String,
        /// The cause.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// A scheduler in another process does not let us in.
    #[error("{scheduler} refuses access: {action}")]
    Denied {
        /// Which scheduler.
        scheduler: String,
        /// What was attempted.
        action: String,
        /// The cause.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// This build, or the scheduler at the other end, lacks it.
    #[error("{what}")]
    Unsupported {
        /// What is missing, and where it can be had.
        what: String,
    },
    /// Reading or writing the journal failed.
    #[error("journal {journal}: {action}")]
    Journal {
        /// Which journal.
        journal: String,
        /// What was attempted.
        action: String,
        /// The cause.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}

fn places(cells: &[CellRef]) -> String {
    let places: Vec<String> = cells
        .iter()
        .map(|cell| format!("#{} ({})", cell.index, cell.id))
        .collect();
    places.join(", ")
}

impl SchedulerError {
    /// What a caller can do about it.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::NoSuchSession { .. } | Self::NoSuchRun { .. } => ErrorKind::NotFound,
            Self::NoSuchCell { .. }
            | Self::NoSuchTag { .. }
            | Self::NotAppendable { .. }
            | Self::ConsentNeeded { .. }
            | Self::InvalidReport { .. } => ErrorKind::InvalidRequest,
            Self::QueueFull { .. } | Self::Busy { .. } | Self::Unavailable { .. } => ErrorKind::Unavailable,
            Self::Unsupported { .. } => ErrorKind::Unsupported,
            Self::CorruptJournal { .. } => ErrorKind::Corrupt,
            Self::Denied { .. } | Self::Journal { .. } => ErrorKind::Io,
        }
    }
}
