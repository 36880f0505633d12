//! The file that somebody edits.

use std::path::{Path, PathBuf};
use std::time::Duration;

use mcp_jupyter_core::session::SessionError;

use crate::error::CliError;
use crate::job::Input;
use crate::report::Report;

use super::file_events::FileEvents;

/// Editors that do not replace a file leave half of it for a moment; what is no notebook for longer is told.
const PATIENCE: Duration = Duration::from_millis(500);

/// When somebody edits a file, and whether it can be used.
#[derive(Debug)]
pub(crate) struct Editor {
    path: PathBuf,
    events: FileEvents,
    /// Whether the user knows that the file cannot be used.
    has_complained: bool,
}

impl Editor {
    /// Watches the notebook at `path` from now on.
    pub(crate) fn new(path: &Path) -> Result<Self, CliError> {
        Ok(Self {
            path: path.to_owned(),
            events: FileEvents::new(path)?,
            has_complained: false,
        })
    }

    /// Waits until the file may be another one. Nothing is lost where this is dropped.
    pub(super) async fn event(&mut self) {
        self.events.next().await;
    }

    /// Why the file cannot be used, with the name that the user gave it.
    pub(super) fn complaint(&self, error: SessionError) -> CliError {
        let source = match error {
            SessionError::NotSaved { source, .. } => *source,
            error => error,
        };
        Input::new(&self.path).read().err().unwrap_or(CliError::Input {
            name: self.path.display().to_string(),
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
