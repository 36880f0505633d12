//! Failures of schedulers on their way through Python.

use std::time::Duration;

use mcp_jupyter_core::Error;
use mcp_jupyter_core::model::{CellId, CellRef, RunId, SessionId};
use mcp_jupyter_core::scheduler::SchedulerError;
use serde::{Deserialize, Serialize};

/// What a failure is about, so that it is the same again on the other side.
#[derive(Debug, Serialize, Deserialize)]
#[serde(tag = "error", rename_all = "snake_case")]
pub(crate) enum Details {
    NoSuchSession {
        session: SessionId,
    },
    NoSuchRun {
        run: RunId,
    },
    NoSuchCell {
        cell: CellId,
    },
    NoSuchTag {
        tag: String,
    },
    NotAppendable {
        changed: Vec<CellRef>,
    },
    ConsentNeeded {
        cells: Vec<CellRef>,
    },
    InvalidReport {
        run: RunId,
        cell: CellId,
        attempt: u32,
        reason: String,
    },
    QueueFull {
        session: SessionId,
        waiting: usize,
        /// In seconds.
        retry_after: f64,
    },
}

impl Details {
    /// None of failures that say no more than their message.
    pub(crate) fn of(error: &Error) -> Option<Self> {
        use SchedulerError as E;
        let Error::Scheduler(error) = error else { return None };
        Some(match error {
            E::NoSuchSession { session } => Self::NoSuchSession {
                session: session.clone(),
            },
            E::NoSuchRun { run } => Self::NoSuchRun { run: run.clone() },
            E::NoSuchCell { cell } => Self::NoSuchCell { cell: cell.clone() },
            E::NoSuchTag { tag } => Self::NoSuchTag { tag: tag.clone() },
            E::NotAppendable { changed } => Self::NotAppendable {
                changed: changed.clone(),
            },
            E::ConsentNeeded { cells } => Self::ConsentNeeded { cells: cells.clone() },
            E::InvalidReport {
                run,
                cell,
                attempt,
                reason,
            } => Self::InvalidReport {
                run: run.clone(),
                cell: cell.clone(),
                attempt: *attempt,
                reason: reason.clone(),
            },
            E::QueueFull {
                session,
                waiting,
                retry_after,
            } => Self::QueueFull {
                session: session.clone(),
                waiting: *waiting,
                retry_after: retry_after.as_secs_f64(),
            },
            _ => return None,
        })
    }
}

impl From<Details> for SchedulerError {
    fn from(details: Details) -> Self {
        match details {
            Details::NoSuchSession { session } => Self::NoSuchSession { session },
            Details::NoSuchRun { run } => Self::NoSuchRun { run },
            Details::NoSuchCell { cell } => Self::NoSuchCell { cell },
            Details::NoSuchTag { tag } => Self::NoSuchTag { tag },
            Details::NotAppendable { changed } => Self::NotAppendable { changed },
            Details::ConsentNeeded { cells } => Self::ConsentNeeded { cells },
            Details::InvalidReport {
                run,
                cell,
                attempt,
                reason,
            } => Self::InvalidReport {
                run,
                cell,
                attempt,
                reason,
            },
            Details::QueueFull {
                session,
                waiting,
                retry_after,
            } => Self::QueueFull {
                session,
                waiting,
                retry_after: Duration::try_from_secs_f64(retry_after).unwrap_or_default(),
            },
        }
    }
}
