//! From an address to a journal.

use std::path::Path;
use std::sync::Arc;

use super::{Journal, MemoryJournal};
use crate::scheduler::SchedulerError;

const EXPECTED: &str = "expected a path, sqlite:///path or memory";

/// Whether this is the address of a journal; nothing is opened or made.
///
/// # Errors
/// [`SchedulerError::Unsupported`] where it is none, or this build lacks it.
pub fn check_journal(address: &str) -> Result<(), SchedulerError> {
    place(address).map(drop)
}

/// The journal at an address: `memory`, a path, or `sqlite:///path`; a file is made where there is none.
///
/// # Errors
/// [`SchedulerError::Unsupported`] where that is no address of a journal, or this build lacks it; otherwise as
/// `SqliteJournal::open`.
pub async fn open_journal(address: &str) -> Result<Arc<dyn Journal>, SchedulerError> {
    match place(address)? {
        Place::Memory => Ok(Arc::new(MemoryJournal::new())),
        Place::File(path) => file(path).await,
    }
}

enum Place<'a> {
    Memory,
    File(&'a Path),
}

fn place(address: &str) -> Result<Place<'_>, SchedulerError> {
    let refuse = |what: String| SchedulerError::Unsupported {
        what: format!("journal {address:?}: {what}"),
    };
    match address.split_once("://") {
        None if address.is_empty() => Err(refuse(EXPECTED.to_owned())),
        None if address == "memory" => Ok(Place::Memory),
        None => Ok(Place::File(Path::new(address))),
        Some(("sqlite", path)) if path.starts_with('/') => Ok(Place::File(Path::new(path))),
        Some(("sqlite", _)) => Err(refuse("expected an absolute path after sqlite://".to_owned())),
        Some(("postgres" | "postgresql", _)) => {
            Err(refuse(format!("this build has no journals in PostgreSQL; {EXPECTED}")))
        }
        Some(_) => Err(refuse(EXPECTED.to_owned())),
    }
}

#[cfg(feature = "sqlite")]
async fn file(path: &Path) -> Result<Arc<dyn Journal>, SchedulerError> {
    Ok(Arc::new(super::SqliteJournal::open(path).await?))
}

#[cfg(not(feature = "sqlite"))]
async fn file(path: &Path) -> Result<Arc<dyn Journal>, SchedulerError> {
    Err(SchedulerError::Unsupported {
        what: format!(
            "journal {}: this build was made without the feature `sqlite`",
            path.display()
        ),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn addresses_are_understood_or_refused() {
        assert_eq!(open_journal("memory").await.unwrap().to_string(), "memory");
        for refused in ["", "sqlite://relative", "postgres://host/db", "redis://host"] {
            let error = open_journal(refused).await.unwrap_err();
            assert!(
                matches!(error, SchedulerError::Unsupported { .. }),
                "{refused}: {error}"
            );
        }
        #[cfg(feature = "sqlite")]
        {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("journal.sqlite");
            open_journal(&format!("sqlite://{}", path.display())).await.unwrap();
            assert!(path.exists());
        }
    }
}
