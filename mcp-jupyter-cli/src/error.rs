use std::path::PathBuf;

use mcp_jupyter_core::Error;
use mcp_jupyter_core::ErrorKind;
use mcp_jupyter_core::assets::AssetError;
use mcp_jupyter_core::rpc::{ListenError, ServeError};
use mcp_jupyter_core::scheduler::SchedulerError;
use mcp_jupyter_core::session::SessionError;

use crate::exit::Exit;

/// What keeps a command from doing its work.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CliError {
    /// What the command line asks for makes no sense.
    #[error("{message}")]
    Usage { message: String, hint: Option<String> },
    /// A notebook cannot be read.
    #[error("{}", unreadable(name, source))]
    Input { name: String, source: SessionError },
    /// No kernel to run a notebook on.
    #[error("{}", chain(source))]
    NoKernel { source: Error, hint: String },
    /// The notebook does not say which kernel it wants.
    #[error("the notebook names no kernel (available: {available})")]
    KernelNotNamed { available: String },
    /// A store of large outputs, or one of them.
    #[error("{}", chain(.0))]
    Assets(#[from] AssetError),
    /// Something cannot be written.
    #[error("cannot write {}: {source}", path.display())]
    Output { path: PathBuf, source: std::io::Error },
    /// The system does not let us listen to signals.
    #[error("cannot listen to signals: {source}")]
    Signals { source: std::io::Error },
    /// The system does not tell when a file changes.
    #[error("cannot watch {}: {source}", path.display())]
    Watch { path: PathBuf, source: notify::Error },
    /// The address that clients would come to cannot be had.
    #[error("cannot listen on {address}: {source}")]
    Bind {
        address: std::net::SocketAddr,
        source: std::io::Error,
    },
    /// The system gives us no threads.
    #[error("cannot start threads: {source}")]
    Threads { source: std::io::Error },
    /// A service cannot listen.
    #[error("{}", chain(.0))]
    Listen(#[from] ListenError),
    /// A service cannot serve.
    #[error("{}", chain(.0))]
    Serve(#[from] ServeError),
    /// A service's connection to its journal is gone.
    #[error("{name} is gone; another service may have it by now, so this one ends")]
    JournalLost { name: String },
    /// Anything else that the library could not do.
    #[error("{}", chain(.0))]
    Core(#[from] Error),
}

pub(crate) const KERNEL_HINT: &str = "choose one with --kernel NAME, or run on an interpreter that has ipykernel with \
                                      --python PATH; `mcp-jupyter doctor` says what is missing";

impl CliError {
    pub(crate) fn usage(message: impl Into<String>) -> Self {
        Self::Usage {
            message: message.into(),
            hint: None,
        }
    }

    pub(crate) fn usage_with_hint(message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self::Usage {
            message: message.into(),
            hint: Some(hint.into()),
        }
    }

    /// What the user can do about it.
    pub(crate) fn hint(&self) -> Option<&str> {
        match self {
            Self::Usage { hint, .. } => hint.as_deref(),
            Self::NoKernel { hint, .. } => Some(hint),
            Self::KernelNotNamed { .. } => Some(KERNEL_HINT),
            Self::Bind { .. } => Some("choose another port, or 0 for a free one"),
            Self::Input { .. }
            | Self::Output { .. }
            | Self::Signals { .. }
            | Self::Watch { .. }
            | Self::Threads { .. }
            | Self::Assets(_)
            | Self::Listen(_)
            | Self::Serve(_)
            | Self::JournalLost { .. }
            | Self::Core(_) => None,
        }
    }

    /// The error as one of the notebook `name`.
    pub(crate) fn about(&self, name: &str) -> String {
        match self {
            Self::Input { .. } => self.to_string(),
            _ => format!("{name}: {self}"),
        }
    }

    pub(crate) fn exit(&self) -> Exit {
        match self {
            Self::Usage { .. }
            | Self::Assets(AssetError::Invalid { .. })
            | Self::Serve(ServeError::Unprotected { .. } | ServeError::Certificate { .. })
            | Self::Core(Error::Scheduler(SchedulerError::Unsupported { .. })) => Exit::Usage,
            Self::Input { .. } => Exit::BadNotebook,
            Self::NoKernel { .. } | Self::KernelNotNamed { .. } => Exit::KernelStart,
            Self::Assets(AssetError::Unavailable { .. }) | Self::JournalLost { .. } => Exit::Unavailable,
            Self::Output { .. }
            | Self::Signals { .. }
            | Self::Watch { .. }
            | Self::Bind { .. }
            | Self::Threads { .. }
            | Self::Assets(_)
            | Self::Listen(_)
            | Self::Serve(_) => Exit::Failed,
            Self::Core(error) => error.kind().into(),
        }
    }

    pub(crate) fn kind(&self) -> ErrorKind {
        match self {
            Self::Usage { .. } => ErrorKind::InvalidRequest,
            Self::Input { source, .. } => source.kind(),
            Self::NoKernel { source, .. } | Self::Core(source) => source.kind(),
            Self::Assets(source) => source.kind(),
            Self::KernelNotNamed { .. } => ErrorKind::NotFound,
            Self::Output { .. }
            | Self::Signals { .. }
            | Self::Watch { .. }
            | Self::Bind { .. }
            | Self::Threads { .. }
            | Self::Listen(_)
            | Self::Serve(_) => ErrorKind::Io,
            Self::JournalLost { .. } => ErrorKind::Unavailable,
        }
    }
}

impl From<SessionError> for CliError {
    fn from(error: SessionError) -> Self {
        Self::Core(error.into())
    }
}

/// Why a notebook cannot be read; most errors name its path themselves.
fn unreadable(name: &str, error: &SessionError) -> String {
    match error {
        SessionError::InvalidNotebook { .. } => format!("{name}: {}", chain(error)),
        SessionError::Io { .. } => format!("cannot {}", chain(error)),
        _ => chain(error),
    }
}

/// An error and its causes, in one line.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(error.source(), |error| error.source());
    causes.fold(error.to_string(), |sentence, cause| format!("{sentence}: {cause}"))
}
