use serde::{Deserialize, Serialize};

use crate::assets::AssetError;
use crate::kernel::KernelError;
use crate::scheduler::SchedulerError;
use crate::session::SessionError;

/// Any failure of this crate, by domain.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Finding, starting or talking to a kernel failed.
    #[error(transparent)]
    Kernel(#[from] KernelError),
    /// Reading, checking or writing a notebook failed.
    #[error(transparent)]
    Session(#[from] SessionError),
    /// Planning or driving a run failed.
    #[error(transparent)]
    Scheduler(#[from] SchedulerError),
    /// Keeping or reading a large output failed.
    #[error(transparent)]
    Asset(#[from] AssetError),
}

impl Error {
    /// What a caller can do about it; exit codes and exceptions are chosen by this alone.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Kernel(error) => error.kind(),
            Self::Session(error) => error.kind(),
            Self::Scheduler(error) => error.kind(),
            Self::Asset(error) => error.kind(),
        }
    }
}

/// The kinds of failure, by what a caller can do about them. Exhaustive on purpose: whoever maps it maps all of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ErrorKind {
    /// The thing that was named does not exist.
    NotFound,
    /// What was asked for contradicts itself or the notebook: the caller has to ask for something else.
    InvalidRequest,
    /// What was to be changed is not what the caller has seen: look at it as it is now, and ask again.
    Conflict,
    /// A notebook or message that is not what it should be.
    Corrupt,
    /// A kernel could not be started.
    KernelStart,
    /// The kernel process ended.
    KernelDied,
    /// A limit of time was reached.
    TimedOut,
    /// The kernel or backend lacks this.
    Unsupported,
    /// The operating system refused a file operation or a process.
    Io,
    /// Not now: a queue is full, or a service away. Later it may succeed.
    Unavailable,
}
