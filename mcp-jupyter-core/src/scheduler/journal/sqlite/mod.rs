mod queries;
mod schema;
#[cfg(test)]
mod tests;

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;
use rusqlite::Connection;

use super::{Entry, Journal, Logged};
use crate::model::{RunId, SessionId};
use crate::scheduler::{RunRecord, SchedulerError};
use crate::sqlite::{Database, Failure};

/// A journal in a file, which `sqlite3` can read.
///
/// Several processes may have it open. What is appended survives the crash of any process; a power cut may lose the
/// last moments, never the file. Of every session, the last [`SqliteJournal::KEPT_RUNS`] runs are kept.
///
/// ```
/// use mcp_jupyter_core::scheduler::{Journal, SqliteJournal};
///
/// # tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(async {
/// # let folder = std::env::temp_dir().join(format!("journal-{}", std::process::id()));
/// # std::fs::create_dir_all(&folder)?;
/// let journal = SqliteJournal::open(folder.join("journal.sqlite")).await?;
/// assert_eq!(journal.load(&"unheard of".into()).await?, None);
/// # std::fs::remove_dir_all(&folder)?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct SqliteJournal(Database);

impl SqliteJournal {
    /// How many runs of a session are kept; those without an end are, in any case.
    pub const KEPT_RUNS: usize = super::KEPT_RUNS;

    /// Opens the journal in this file, or makes one, readable by nobody else, where there is none; its folder has to
    /// exist.
    ///
    /// A journal of ours that is damaged is moved aside, under a name that [`SqliteJournal::moved_aside`] tells, and a
    /// new one begun.
    ///
    /// # Errors
    /// [`SchedulerError::CorruptJournal`] where the file is no journal of ours, or one of a newer version; it is left as
    /// it is. [`SchedulerError::Journal`] where it cannot be opened.
    pub async fn open(path: impl Into<PathBuf>) -> Result<Self, SchedulerError> {
        let path = path.into();
        let name = path.display().to_string();
        let opened = Database::open(path, &schema::FORMAT).await;
        opened
            .map(Self)
            .map_err(|failure| explain(failure, name, "cannot open it"))
    }

    /// Where a damaged journal was moved to when this one was opened.
    pub fn moved_aside(&self) -> Option<&Path> {
        self.0.moved_aside()
    }

    /// Does something with the database on a thread that may wait.
    async fn with<T: Send + 'static>(
        &self,
        action: &str,
        query: impl FnOnce(&mut Connection) -> Result<T, Failure> + Send + 'static,
    ) -> Result<T, SchedulerError> {
        let done = self.0.with(query).await;
        done.map_err(|failure| explain(failure, self.to_string(), action))
    }
}

impl fmt::Display for SqliteJournal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.path().display().fmt(f)
    }
}

#[async_trait]
impl Journal for SqliteJournal {
    async fn load(&self, session: &SessionId) -> Result<Option<Logged>, SchedulerError> {
        let session = session.clone();
        self.with("cannot read a session", move |connection| {
            queries::load(connection, &session)
        })
        .await
    }

    async fn append(&self, session: &SessionId, entries: Arc<[Entry]>) -> Result<(), SchedulerError> {
        let session = session.clone();
        self.with("cannot write to it", move |connection| {
            queries::append(connection, &session, &entries)
        })
        .await
    }

    async fn runs(&self, session: &SessionId) -> Result<Vec<RunRecord>, SchedulerError> {
        let session = session.clone();
        self.with("cannot read the runs", move |connection| {
            queries::runs(connection, &session)
        })
        .await
    }

    async fn run(&self, run: &RunId) -> Result<Option<(SessionId, RunRecord)>, SchedulerError> {
        let run = run.clone();
        self.with("cannot read a run", move |connection| queries::run(connection, &run))
            .await
    }

    async fn forget(&self, session: &SessionId) -> Result<(), SchedulerError> {
        let session = session.clone();
        self.with("cannot remove a session", move |connection| {
            queries::forget(connection, &session)
        })
        .await
    }
}

fn explain(failure: Failure, journal: String, action: &str) -> SchedulerError {
    match failure {
        Failure::Refused(reason) => SchedulerError::CorruptJournal { journal, reason },
        failure if failure.is_damage() || matches!(failure, Failure::Json(_)) => SchedulerError::CorruptJournal {
            journal,
            reason: format!("{action}: {failure}"),
        },
        failure => SchedulerError::Journal {
            journal,
            action: action.to_owned(),
            source: failure.into(),
        },
    }
}
