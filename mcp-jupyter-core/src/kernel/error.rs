use std::path::PathBuf;

use crate::error::ErrorKind;
use crate::model::CellId;

use super::types::Death;

/// What can go wrong with a kernel; a cell that raises is not among it, that is an outcome.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum KernelError {
    /// No kernelspec has this name.
    #[error("no kernelspec named \"{name}\" was found (available: {})", list(available))]
    NoSuchKernel {
        /// The name that was asked for.
        name: String,
        /// The names that exist, sorted.
        available: Vec<String>,
    },
    /// A kernelspec, connection file or interpreter is there but cannot be used.
    #[error("{}: {reason}", path.display())]
    InvalidKernelSpec {
        /// The file or folder.
        path: PathBuf,
        /// What is wrong, and what was expected.
        reason: String,
    },
    /// The kernel process could not be started, or ended before it was ready.
    #[error("kernel \"{name}\" did not start: {reason}")]
    StartFailed {
        /// The kernelspec's name.
        name: String,
        /// What happened, with the end of the kernel's own error output.
        reason: String,
    },
    /// The kernel process has ended.
    #[error("the kernel died: {0}")]
    Died(Death),
    /// The kernel has replied to an execution but its idle status never came: outputs may be missing.
    #[error("the kernel's idle status was lost, so outputs of this execution may be missing")]
    Incomplete,
    /// Another client has taken over the session: this one executes nothing any more.
    #[error("another program has taken over this kernel (its token is {newest}, ours {token})")]
    Fenced {
        /// The token of whoever asked.
        token: u64,
        /// The highest one that the kernel's keeper has seen.
        newest: u64,
    },
    /// This execution of a cell was asked for before, so long ago that what came of it is not kept any more.
    #[error("cell {cell} was executed already in this run (attempt {attempt})")]
    Repeated {
        /// The cell.
        cell: CellId,
        /// Which of its executions.
        attempt: u32,
    },
    /// The kernel did not answer within the given time.
    #[error("{action} took longer than {} s", seconds)]
    TimedOut {
        /// What was waited for.
        action: String,
        /// The limit, in seconds.
        seconds: f64,
    },
    /// The kernel or the backend cannot do this.
    #[error("{what} is not supported by {by}")]
    Unsupported {
        /// The operation.
        what: String,
        /// The kernel or backend.
        by: String,
    },
    /// A message that breaks the protocol: a wrong signature, a replay, or frames that are no message.
    #[error("refused a message on {channel}: {reason}")]
    Protocol {
        /// The channel it came on.
        channel: &'static str,
        /// What is wrong with it.
        reason: String,
    },
    /// The operating system refused something.
    #[error("{action}")]
    Io {
        /// What was attempted, with the path where there is one.
        action: String,
        /// The system's error.
        #[source]
        source: std::io::Error,
    },
}

fn list(names: &[String]) -> String {
    if names.is_empty() {
        "none".to_owned()
    } else {
        names.join(", ")
    }
}

impl KernelError {
    /// What a caller can do about it.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::NoSuchKernel { .. } => ErrorKind::NotFound,
            Self::InvalidKernelSpec { .. } | Self::StartFailed { .. } => ErrorKind::KernelStart,
            Self::Died(_) => ErrorKind::KernelDied,
            Self::TimedOut { .. } => ErrorKind::TimedOut,
            Self::Unsupported { .. } => ErrorKind::Unsupported,
            Self::Protocol { .. } | Self::Incomplete => ErrorKind::Corrupt,
            Self::Fenced { .. } | Self::Repeated { .. } => ErrorKind::Conflict,
            Self::Io { .. } => ErrorKind::Io,
        }
    }

    #[cfg(feature = "local")]
    pub(crate) fn io(action: impl Into<String>, source: std::io::Error) -> Self {
        Self::Io {
            action: action.into(),
            source,
        }
    }
}
