use std::path::PathBuf;

use crate::error::ErrorKind;

/// What can go wrong with a notebook and its file.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SessionError {
    /// There is no such file.
    #[error("{}: no such file", path.display())]
    NotFound {
        /// The path that was given.
        path: PathBuf,
    },
    /// The document is no notebook.
    #[error("not a valid notebook: {place}: {reason}")]
    InvalidNotebook {
        /// Where, as a path into the document (`cells[3].outputs[0]`) or a line and column.
        place: String,
        /// What is wrong there, and what was expected.
        reason: String,
    },
    /// What was asked for does not fit the notebook, such as an unknown cell.
    #[error("{0}")]
    InvalidRequest(String),
    /// The operating system refused something.
    #[error("{action}")]
    Io {
        /// What was attempted, with the path.
        action: String,
        /// The system's error.
        #[source]
        source: std::io::Error,
    },
}

impl SessionError {
    /// What a caller can do about it.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::NotFound { .. } => ErrorKind::NotFound,
            Self::InvalidNotebook { .. } => ErrorKind::Corrupt,
            Self::InvalidRequest(_) => ErrorKind::InvalidRequest,
            Self::Io { .. } => ErrorKind::Io,
        }
    }
}
