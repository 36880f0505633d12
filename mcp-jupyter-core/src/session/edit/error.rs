use std::fmt;

use crate::model::CellId;
use crate::session::SessionError;

/// Why a batch of edits was not applied, or not undone; the notebook is as it was before.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{step}: {failure}")]
pub struct EditError {
    /// What failed.
    pub step: EditStep,
    /// Why.
    pub failure: EditFailure,
}

/// A step of applying or undoing a batch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EditStep {
    /// Finding out whether the notebook is as the author of the batch has seen it.
    Check,
    /// One of the edits.
    Edit {
        /// Which, from 1.
        number: usize,
        /// What it does, as `op` says it: `replace_text`.
        name: &'static str,
    },
    /// Undoing a batch.
    Undo,
}

impl fmt::Display for EditStep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            EditStep::Check => f.write_str("edits"),
            EditStep::Edit { number, name } => write!(f, "edit {number} ({name})"),
            EditStep::Undo => f.write_str("undo"),
        }
    }
}

/// Why a step failed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EditFailure {
    /// No cell has this id.
    #[error("the notebook has no cell `{cell}`; it may have been deleted meanwhile")]
    NoSuchCell {
        /// The id.
        cell: CellId,
    },
    /// The notebook is not as the author has seen it.
    #[error("{reason}")]
    Conflict {
        /// The cell; none where it is the whole notebook or its metadata.
        cell: Option<CellId>,
        /// What is another than expected, and where.
        reason: String,
        /// The source that the cell has, where there is such a cell.
        present: Option<String>,
    },
    /// The edit cannot be applied to any state of this notebook, or would make it invalid.
    #[error("{reason}")]
    Invalid {
        /// The cell, where it is about one.
        cell: Option<CellId>,
        /// What is wrong, and what was expected.
        reason: String,
    },
}

impl EditFailure {
    pub(super) fn invalid(cell: &CellId, reason: impl Into<String>) -> Self {
        Self::Invalid {
            cell: Some(cell.clone()),
            reason: reason.into(),
        }
    }
}

impl From<EditError> for SessionError {
    fn from(error: EditError) -> Self {
        let message = error.to_string();
        match error.failure {
            EditFailure::NoSuchCell { cell } => SessionError::NoSuchCell { cell, message },
            EditFailure::Conflict { cell, present, .. } => SessionError::Conflict { cell, present, message },
            EditFailure::Invalid { .. } => SessionError::InvalidRequest(message),
        }
    }
}
