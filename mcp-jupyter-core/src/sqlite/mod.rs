//! SQLite files of ours: made, recognised, brought up to date, and moved aside where they are damaged. What is in them is
//! the business of their owners, which say so with a [`Format`]; the main type is [`Database`].

mod file;
mod file_system;

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rusqlite::{Connection, ErrorCode, Row};
use tokio::task::spawn_blocking;

/// What is common to all files of one purpose.
#[derive(Debug)]
pub(crate) struct Format {
    /// What tells these files from those of other programs.
    pub(crate) application_id: i32,
    /// What one of them is called in messages.
    pub(crate) noun: &'static str,
    /// What brings a file from the version of its place in this list to the next one.
    pub(crate) migrations: &'static [&'static str],
}

/// An open file, which other processes may have open too.
#[derive(Clone, Debug)]
pub(crate) struct Database {
    path: Arc<Path>,
    moved_aside: Option<PathBuf>,
    connection: Arc<Mutex<Connection>>,
}

impl Database {
    /// Opens the file, or makes one that nobody else can read where there is none; one of this format that is damaged is
    /// moved aside first.
    pub(crate) async fn open(path: PathBuf, format: &'static Format) -> Result<Self, Failure> {
        let opened = spawn_blocking(move || Self::open_blocking(path, format)).await;
        opened.map_err(|error| Failure::Stopped(error.to_string())).flatten()
    }

    fn open_blocking(path: PathBuf, format: &Format) -> Result<Self, Failure> {
        let opened = file::open(&path, format)?;
        if let Some(aside) = &opened.moved_aside {
            let noun = format.noun;
            tracing::warn!(path = %path.display(), aside = %aside.display(), "a damaged {noun} was moved aside");
        }
        Ok(Self {
            path: path.into(),
            moved_aside: opened.moved_aside,
            connection: Arc::new(Mutex::new(opened.connection)),
        })
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Where a damaged file was moved to when this one was opened.
    pub(crate) fn moved_aside(&self) -> Option<&Path> {
        self.moved_aside.as_deref()
    }

    /// Does something with the database on a thread that may wait.
    pub(crate) async fn with<T: Send + 'static>(
        &self,
        query: impl FnOnce(&mut Connection) -> Result<T, Failure> + Send + 'static,
    ) -> Result<T, Failure> {
        let database = self.clone();
        let done = spawn_blocking(move || query(&mut database.connection())).await;
        done.map_err(|error| Failure::Stopped(error.to_string())).flatten()
    }

    /// The connection, for threads that may wait.
    pub(crate) fn connection(&self) -> MutexGuard<'_, Connection> {
        // A panic in a transaction has rolled it back.
        self.connection.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What goes wrong with a file.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    #[error(transparent)]
    Sqlite(#[from] rusqlite::Error),
    #[error(transparent)]
    Json(#[from] serde_json::Error),
    #[error(transparent)]
    Io(#[from] std::io::Error),
    #[error("{0}")]
    Refused(String),
    #[error("{0}")]
    Stopped(String),
}

impl Failure {
    /// Whether SQLite says that the file is damaged.
    pub(crate) fn is_damage(&self) -> bool {
        let code = match self {
            Self::Sqlite(error) => error.sqlite_error_code(),
            _ => None,
        };
        matches!(code, Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase))
    }
}

/// All rows of a query.
pub(crate) fn all<T>(
    connection: &Connection,
    query: &str,
    key: impl rusqlite::Params,
    read: impl FnMut(&Row<'_>) -> rusqlite::Result<T>,
) -> Result<Vec<T>, Failure> {
    let mut statement = connection.prepare(query)?;
    let rows = statement.query_map(key, read)?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}
