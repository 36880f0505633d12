use std::path::PathBuf;

use crate::error::ErrorKind;
use crate::model::{CellId, SessionId};

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
    /// There is no such session, or not any more.
    #[error("{id}: no such session")]
    NoSuchSession {
        /// The id that was given.
        id: SessionId,
    },
    /// Results are not in the notebook's file; they are kept for the next save.
    #[error("cannot save {}; its results are kept for the next save", path.display())]
    NotSaved {
        /// The notebook's file.
        path: PathBuf,
        /// Why not.
        #[source]
        source: Box<SessionError>,
    },
    /// The file in which the state of sessions is kept is damaged, of another program or of a newer version.
    #[error("{}: no usable state of sessions: {reason}", path.display())]
    CorruptState {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// The state of sessions cannot be read or written now, as on a full disk.
    #[error("{}: {action}", path.display())]
    State {
        /// The file or folder that it is in.
        path: PathBuf,
        /// What failed.
        action: String,
        /// Why.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
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
            Self::NotFound { .. } | Self::NoSuchCell { .. } | Self::NoSuchSession { .. } => ErrorKind::NotFound,
            Self::Conflict { .. } => ErrorKind::Conflict,
            Self::InvalidNotebook { .. } | Self::CorruptState { .. } => ErrorKind::Corrupt,
            Self::InvalidRequest(_) => ErrorKind::InvalidRequest,
            Self::NotSaved { source, .. } => source.kind(),
            Self::Io { .. } | Self::State { .. } => ErrorKind::Io,
        }
    }
}
