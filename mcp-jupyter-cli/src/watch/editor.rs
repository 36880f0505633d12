//! The notebook as the editor leaves it.

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use mcp_jupyter_core::session::SessionError;
use mcp_jupyter_core::session::notebook::{Notebook, SharedFile};

use crate::error::CliError;
use crate::report::Report;

use super::file_events::FileEvents;

/// Editors that do not replace a file leave half of it for a moment; what is no notebook for longer is told.
const PATIENCE: Duration = Duration::from_millis(500);

/// The file that somebody edits, and when that happens.
#[derive(Debug)]
pub(crate) struct Editor {
    name: String,
    file: Arc<Mutex<SharedFile>>,
    events: FileEvents,
    /// Whether the user knows that the file cannot be used.
    has_complained: bool,
}

impl Editor {
    /// Watches the notebook at `path` from now on.
    pub(crate) fn new(path: &Path) -> Result<Self, CliError> {
        Ok(Self {
            name: path.display().to_string(),
            file: Arc::new(Mutex::new(SharedFile::new(path))),
            events: FileEvents::new(path)?,
            has_complained: false,
        })
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    pub(super) fn file(&self) -> Arc<Mutex<SharedFile>> {
        Arc::clone(&self.file)
    }

    /// Waits until the file may be another one. Nothing is lost where this is dropped.
    pub(super) async fn event(&mut self) {
        self.events.next().await;
    }

    /// What the editor has saved since the last look, if anything.
    pub(super) async fn look(&mut self) -> Result<Option<Notebook>, CliError> {
        self.access(SharedFile::read).await
    }

    /// The notebook as it is.
    pub(crate) async fn read(&mut self) -> Result<Notebook, CliError> {
        self.access(SharedFile::reread).await
    }

    /// Puts what a run has changed into the file.
    pub(super) async fn write_back(&mut self, before: &Arc<Notebook>, after: &Arc<Notebook>) -> Result<(), CliError> {
        let (before, after) = (Arc::clone(before), Arc::clone(after));
        self.access(move |file| file.write_back(&before, &after).map(drop))
            .await
    }

    /// Works with the file on a thread that may block.
    async fn access<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut SharedFile) -> Result<T, SessionError> + Send + 'static,
    ) -> Result<T, CliError> {
        let file = Arc::clone(&self.file);
        let work = move || work(&mut file.lock().unwrap_or_else(PoisonError::into_inner));
        let done = match tokio::task::spawn_blocking(work).await {
            Ok(done) => done,
            Err(error) => std::panic::resume_unwind(error.into_panic()),
        };
        done.map_err(|source| CliError::Input {
            name: self.name.clone(),
            source,
        })
    }

    /// The file can be used.
    pub(super) fn is_well(&mut self) {
        self.has_complained = false;
    }

    /// The file cannot be used, which the user is told once, unless it passes. Ends with the next event, or before.
    pub(super) async fn is_unwell(&mut self, error: &CliError, report: &Report) {
        if self.has_complained {
            return self.event().await;
        }
        if !self.events.next_within(PATIENCE).await {
            self.has_complained = true;
            report.warning(&format!("{error}; waiting for it to change"));
            self.event().await;
        }
    }
}
