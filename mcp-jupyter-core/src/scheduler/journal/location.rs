//! From an address to a journal.

use std::path::Path;
use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use super::{Journal, MemoryJournal};
use crate::scheduler::SchedulerError;

const EXPECTED: &str = "expected a path, sqlite:///path, postgres://user@host/database or memory";

/// A journal, and what its place says of those who have it one after the other.
#[derive(Clone, Debug)]
pub struct OpenedJournal {
    /// The journal.
    pub journal: Arc<dyn Journal>,
    /// Higher than that of any process that had it before; none where its place does not count them.
    pub fencing_token: Option<u64>,
    /// Cancelled once another process may have the journal.
    pub gone: CancellationToken,
}

impl OpenedJournal {
    fn kept(journal: impl Journal) -> Self {
        Self {
            journal: Arc::new(journal),
            fencing_token: None,
            gone: CancellationToken::new(),
        }
    }
}

/// Whether this is the address of a journal; nothing is opened or made.
///
/// # Errors
/// [`SchedulerError::Unsupported`] where it is none, or this build lacks it.
pub fn check_journal(address: &str) -> Result<(), SchedulerError> {
    place(address).map(drop)
}

/// The journal of a namespace at an address: `memory`, a path, `sqlite:///path`, or `postgres://…`. A file is made where there is
/// none; that of a namespace with a name stands beside the one without.
///
/// # Errors
/// [`SchedulerError::Unsupported`] where that is no address of a journal, or this build lacks it; otherwise as
/// `SqliteJournal::open` and `PostgresJournal::open`.
pub async fn open_journal(address: &str, namespace: &str) -> Result<OpenedJournal, SchedulerError> {
    match place(address)? {
        Place::Memory => Ok(OpenedJournal::kept(MemoryJournal::new())),
        Place::File(path) if namespace.is_empty() => file(path).await,
        Place::File(path) => file(Path::new(&format!("{}.{namespace}", path.display()))).await,
        Place::Database => database(address, namespace).await,
    }
}

enum Place<'a> {
    Memory,
    File(&'a Path),
    Database,
}

fn place(address: &str) -> Result<Place<'_>, SchedulerError> {
    let refuse = |what: &str| SchedulerError::Unsupported {
        what: format!("journal {address:?}: {what}"),
    };
    match address.split_once("://") {
        None if address.is_empty() => Err(refuse(EXPECTED)),
        None if address == "memory" => Ok(Place::Memory),
        None => Ok(Place::File(Path::new(address))),
        Some(("sqlite", path)) if path.starts_with('/') => Ok(Place::File(Path::new(path))),
        Some(("sqlite", _)) => Err(refuse("expected an absolute path after sqlite://")),
        Some(("postgres" | "postgresql", _)) => Ok(Place::Database),
        Some(_) => Err(refuse(EXPECTED)),
    }
}

#[cfg(feature = "sqlite")]
async fn file(path: &Path) -> Result<OpenedJournal, SchedulerError> {
    Ok(OpenedJournal::kept(super::SqliteJournal::open(path).await?))
}

#[cfg(not(feature = "sqlite"))]
async fn file(path: &Path) -> Result<OpenedJournal, SchedulerError> {
    Err(lacking(&path.display().to_string(), "sqlite"))
}

#[cfg(feature = "postgres")]
async fn database(address: &str, namespace: &str) -> Result<OpenedJournal, SchedulerError> {
    let journal = super::PostgresJournal::open(address, namespace).await?;
    Ok(OpenedJournal {
        fencing_token: Some(journal.fencing_token()),
        gone: journal.gone(),
        journal: Arc::new(journal),
    })
}

#[cfg(not(feature = "postgres"))]
async fn database(_: &str, _: &str) -> Result<OpenedJournal, SchedulerError> {
    Err(lacking("in PostgreSQL", "postgres"))
}

#[cfg(not(all(feature = "sqlite", feature = "postgres")))]
fn lacking(journal: &str, feature: &str) -> SchedulerError {
    SchedulerError::Unsupported {
        what: format!("journal {journal}: this build was made without the feature `{feature}`"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn addresses_are_understood_or_refused() {
        let opened = open_journal("memory", "").await.unwrap();
        assert_eq!(opened.journal.to_string(), "memory");
        for refused in ["", "sqlite://relative", "redis://host"] {
            let error = check_journal(refused).unwrap_err();
            assert!(
                matches!(error, SchedulerError::Unsupported { .. }),
                "{refused}: {error}"
            );
        }
        check_journal("postgres://host/db").unwrap();
        #[cfg(feature = "sqlite")]
        {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("journal.sqlite");
            open_journal(&format!("sqlite://{}", path.display()), "").await.unwrap();
            open_journal(&format!("sqlite://{}", path.display()), "team")
                .await
                .unwrap();
            assert!(path.exists() && folder.path().join("journal.sqlite.team").exists());
        }
    }
}
