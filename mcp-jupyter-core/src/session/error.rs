use std::path::PathBuf;

use crate::error::ErrorKind;
use crate::model::CellId;

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
    /// No cell has the id that was named.
    #[error("{message}")]
    NoSuchCell {
        /// The id.
        cell: CellId,
        /// What named it, and that it is not there.
        message: String,
    },
    /// The notebook is not as whoever wants to change it has seen it.
    #[error("{message}")]
    Conflict {
        /// The cell; none where it is the whole notebook or its metadata.
        cell: Option<CellId>,
        /// The source that the cell has, where there is such a cell.
        present: Option<String>,
        /// What wanted to change it, and what is another than expected.
        message: String,
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
            Self::NotFound { .. } | Self::NoSuchCell { .. } => ErrorKind::NotFound,
            Self::Conflict { .. } => ErrorKind::Conflict,
            Self::InvalidNotebook { .. } => ErrorKind::Corrupt,
            Self::InvalidRequest(_) => ErrorKind::InvalidRequest,
            Self::Io { .. } => ErrorKind::Io,
        }
    }
}
