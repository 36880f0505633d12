//! Sessions in a folder of the user's: one SQLite file, and one lock for every notebook.

mod history;
mod queries;
mod recent;
mod schema;
#[cfg(test)]
mod tests;

use std::ffi::OsStr;
use std::fmt;
use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use rusqlite::{Connection, TransactionBehavior};

use super::SessionError;
use super::keeping::{Keeping, Pending, State};
use super::place::{Identity, Place};
use super::recent::{RecentWrite, Written};
use super::types::{CellResult, HistoryQuery, KernelBinding, SessionRecord, SnapshotInfo, Version};
use crate::model::{Digest, Json, SessionId};
use crate::sqlite::{Database, Failure};

/// The variable that names the folder.
const VARIABLE: &str = "MCP_JUPYTER_STATE_DIR";

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// Sessions in a folder, which several processes may use at a time.
///
/// What is executed, and snapshots, are kept for 90 days, and within 256 MiB, unless other limits are set.
#[derive(Clone, Debug)]
pub struct LocalSessions {
    state: Arc<Local>,
}

/// How much of what was executed is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HistoryLimits {
    /// For how long.
    pub age: Duration,
    /// How much in all, in bytes.
    pub bytes: u64,
}

impl Default for HistoryLimits {
    fn default() -> Self {
        Self {
            age: 90 * DAY,
            bytes: 256 << 20,
        }
    }
}

impl LocalSessions {
    /// The sessions in `folder`, which is made, for nobody else to read, where it is missing.
    ///
    /// A damaged state file is moved aside, under a name that [`LocalSessions::moved_aside`] tells, and a new one begun.
    ///
    /// # Errors
    /// [`SessionError::CorruptState`] where the file is none of ours, or one of a newer version: it is left as it is.
    /// [`SessionError::State`] where it cannot be opened.
    pub async fn open(folder: impl Into<PathBuf>) -> Result<Self, SessionError> {
        Self::open_within(folder, HistoryLimits::default()).await
    }

    /// The same, with other limits for what is kept.
    ///
    /// # Errors
    /// As [`LocalSessions::open`].
    pub async fn open_within(folder: impl Into<PathBuf>, limits: HistoryLimits) -> Result<Self, SessionError> {
        let folder = folder.into();
        let file = folder.join("state.sqlite");
        let explain = |failure| explain(failure, &file, "cannot open it");
        let locks = folder.join("locks");
        let made = fs::DirBuilder::new().recursive(true).mode(0o700).create(&locks);
        made.map_err(|error| explain(error.into()))?;
        let database = Database::open(file.clone(), &schema::FORMAT).await.map_err(explain)?;
        let trimmed = database.with(move |connection| history::trim(connection, limits)).await;
        trimmed.map_err(explain)?;
        Ok(Self {
            state: Arc::new(Local { database, locks }),
        })
    }

    /// Where a damaged state file was moved to when this was opened.
    pub fn moved_aside(&self) -> Option<&Path> {
        self.state.database.moved_aside()
    }

    /// The user's own folder: that of the variable `MCP_JUPYTER_STATE_DIR`, or the platform's for the state of programs.
    ///
    /// # Errors
    /// [`SessionError::InvalidRequest`] where the user has no home.
    pub fn default_dir() -> Result<PathBuf, SessionError> {
        let variable = |name: &str| {
            std::env::var_os(name)
                .filter(|value| !value.is_empty())
                .map(PathBuf::from)
        };
        let platform = || {
            let home = variable("HOME")?;
            Some(if cfg!(target_os = "macos") {
                home.join("Library/Application Support/mcp-jupyter")
            } else {
                home.join(".local/state/mcp-jupyter")
            })
        };
        let folder = variable(VARIABLE)
            .or_else(|| Some(variable("XDG_STATE_HOME")?.join("mcp-jupyter")))
            .or_else(platform);
        folder.ok_or_else(|| {
            SessionError::InvalidRequest(format!(
                "there is no place for the state of sessions: neither {VARIABLE} nor HOME is set"
            ))
        })
    }
}

impl fmt::Display for LocalSessions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.state.database.path().display().fmt(f)
    }
}

impl Keeping for LocalSessions {
    type State = Local;

    fn state(&self) -> &Arc<Local> {
        &self.state
    }
}

#[derive(Debug)]
pub(super) struct Local {
    database: Database,
    locks: PathBuf,
}

fn explain(failure: Failure, path: &Path, action: &str) -> SessionError {
    let path = path.to_owned();
    match failure {
        Failure::Refused(reason) => SessionError::CorruptState { path, reason },
        failure if failure.is_damage() || matches!(failure, Failure::Json(_)) => SessionError::CorruptState {
            path,
            reason: failure.to_string(),
        },
        failure => SessionError::State {
            path,
            action: action.to_owned(),
            source: failure.into(),
        },
    }
}

impl Local {
    fn read<T>(&self, query: impl FnOnce(&Connection) -> Result<T, Failure>) -> Result<T, SessionError> {
        let connection = self.database.connection();
        query(&connection).map_err(|failure| explain(failure, self.database.path(), "cannot read it"))
    }

    /// Changes what is kept of a session, whole or not at all.
    fn change<T>(
        &self,
        id: &SessionId,
        change: impl FnOnce(&Connection) -> Result<T, Failure>,
    ) -> Result<T, SessionError> {
        self.write(|connection| {
            if queries::get(connection, id)?.is_none() {
                return Ok(None);
            }
            change(connection).map(Some)
        })?
        .ok_or_else(|| SessionError::NoSuchSession { id: id.clone() })
    }

    fn write<T>(&self, change: impl FnOnce(&Connection) -> Result<T, Failure>) -> Result<T, SessionError> {
        let mut connection = self.database.connection();
        let changed = || {
            let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
            let done = change(&transaction)?;
            transaction.commit()?;
            Ok(done)
        };
        changed().map_err(|failure| explain(failure, self.database.path(), "cannot write it"))
    }
}

impl State for Local {
    type Turn = File;

    fn find(&self, place: &Place) -> Result<Option<SessionRecord>, SessionError> {
        self.write(|connection| queries::find(connection, place))
    }

    fn open(&self, place: &Place) -> Result<SessionRecord, SessionError> {
        self.write(|connection| match queries::find(connection, place)? {
            Some(found) => Ok(found),
            None => queries::begin(connection, place),
        })
    }

    fn get(&self, id: &SessionId) -> Result<SessionRecord, SessionError> {
        let found = self.read(|connection| queries::get(connection, id))?;
        found.ok_or_else(|| SessionError::NoSuchSession { id: id.clone() })
    }

    fn list(&self) -> Result<Vec<SessionRecord>, SessionError> {
        self.read(queries::list)
    }

    fn next_token(&self, id: &SessionId) -> Result<u64, SessionError> {
        self.change(id, |connection| queries::next_token(connection, id))
    }

    fn bind(&self, id: &SessionId, kernel: Option<KernelBinding>) -> Result<(), SessionError> {
        self.change(id, |connection| queries::bind(connection, id, kernel.as_ref()))
    }

    fn record(&self, id: &SessionId, results: Vec<CellResult>) -> Result<(), SessionError> {
        self.change(id, |connection| {
            for result in results {
                history::add(connection, id, &result)?;
                queries::record(connection, id, result)?;
            }
            Ok(())
        })
    }

    fn pending(&self, id: &SessionId) -> Result<Vec<Pending>, SessionError> {
        self.read(|connection| queries::pending(connection, id))
    }

    fn settle(
        &self,
        id: &SessionId,
        saved: &[u64],
        identity: Option<Identity>,
        written: Option<Written>,
    ) -> Result<(), SessionError> {
        self.change(id, |connection| {
            if let Some(written) = written {
                recent::add(connection, id, written)?;
            }
            queries::settle(connection, id, saved, identity)
        })
    }

    fn identity(&self, id: &SessionId) -> Result<Option<Identity>, SessionError> {
        self.read(|connection| queries::identity(connection, id))
    }

    fn written(&self, id: &SessionId) -> Result<Option<Digest>, SessionError> {
        self.read(|connection| recent::last(connection, id))
    }

    fn recent(&self, id: &SessionId) -> Result<Vec<RecentWrite>, SessionError> {
        self.read(|connection| recent::all(connection, id))
    }

    fn close(&self, id: &SessionId) -> Result<(), SessionError> {
        self.write(|connection| {
            connection.execute("DELETE FROM sessions WHERE id = ?1", [id.as_str()])?;
            history::sweep(connection)
        })
    }

    fn versions(&self, id: &SessionId, query: &HistoryQuery) -> Result<Vec<Version>, SessionError> {
        self.read(|connection| history::versions(connection, id, query))
    }

    fn version_outputs(&self, version: u64) -> Result<Vec<Json>, SessionError> {
        self.read(|connection| history::outputs(connection, version))
    }

    fn add_snapshot(
        &self,
        id: &SessionId,
        name: Option<&str>,
        reason: &str,
        document: &[u8],
    ) -> Result<SnapshotInfo, SessionError> {
        self.change(id, |connection| {
            history::add_snapshot(connection, id, name, reason, document)
        })
    }

    fn snapshots(&self, id: &SessionId) -> Result<Vec<SnapshotInfo>, SessionError> {
        self.read(|connection| history::snapshots(connection, id))
    }

    fn document(&self, digest: &Digest) -> Result<Option<Vec<u8>>, SessionError> {
        self.read(|connection| history::content(connection, digest))
    }

    /// The lock is the file's: it ends with whoever holds it.
    fn turn(&self, path: &Path) -> Result<File, SessionError> {
        let name = Digest::of(path.as_os_str().as_bytes());
        let lock = self.locks.join(name.hex());
        let locked = OpenOptions::new()
            .append(true)
            .create(true)
            .mode(0o600)
            .open(&lock)
            .and_then(|file| file.lock().map(|()| file));
        locked.map_err(|source: io::Error| SessionError::Io {
            action: format!("lock {} for {}", lock.display(), path.display()),
            source,
        })
    }

    fn path(&self) -> PathBuf {
        self.database.path().to_owned()
    }
}

/// A path as it is kept: any bytes.
fn path_bytes(path: &Path) -> &[u8] {
    path.as_os_str().as_bytes()
}

fn path_of(bytes: &[u8]) -> PathBuf {
    OsStr::from_bytes(bytes).into()
}
