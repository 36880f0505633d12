//! What a process's exit code says.

use std::process::ExitCode;

use mcp_jupyter_core::ErrorKind;
use mcp_jupyter_core::engine::{RunOutcome, StopCause};

/// How the program ends; documented in `--help`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Exit {
    #[default]
    Ok,
    /// A cell failed, or the notebook could not be saved.
    Failed,
    Usage,
    BadNotebook,
    KernelStart,
    KernelDied,
    TimedOut,
    /// A service or store that was asked for does not answer.
    Unavailable,
    Interrupted,
    Terminated,
}

impl Exit {
    pub(crate) fn code(self) -> u8 {
        match self {
            Self::Ok => 0,
            Self::Failed => 1,
            Self::Usage => 2,
            Self::BadNotebook => 3,
            Self::KernelStart => 4,
            Self::KernelDied => 5,
            Self::TimedOut => 6,
            Self::Unavailable => 7,
            Self::Interrupted => 130,
            Self::Terminated => 143,
        }
    }

    /// How another process of this program has ended.
    pub(crate) fn from_code(code: i32) -> Self {
        let all = [
            Self::Ok,
            Self::Failed,
            Self::Usage,
            Self::BadNotebook,
            Self::KernelStart,
            Self::KernelDied,
            Self::TimedOut,
            Self::Unavailable,
            Self::Interrupted,
            Self::Terminated,
        ];
        all.into_iter()
            .find(|exit| i32::from(exit.code()) == code)
            .unwrap_or(Self::Failed)
    }

    /// The first failure counts, in the order in which the notebooks were named.
    pub(crate) fn first_failure(exits: impl IntoIterator<Item = Self>) -> Self {
        exits.into_iter().find(|exit| *exit != Self::Ok).unwrap_or_default()
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        exit.code().into()
    }
}

impl From<ErrorKind> for Exit {
    /// Once a notebook has been read, what is not found or takes too long is its kernel: limits of cells and runs are
    /// outcomes, not errors.
    fn from(kind: ErrorKind) -> Self {
        match kind {
            ErrorKind::NotFound | ErrorKind::KernelStart | ErrorKind::TimedOut | ErrorKind::Unsupported => {
                Self::KernelStart
            }
            ErrorKind::InvalidRequest => Self::Usage,
            ErrorKind::Corrupt => Self::BadNotebook,
            ErrorKind::KernelDied => Self::KernelDied,
            ErrorKind::Unavailable => Self::Unavailable,
            ErrorKind::Conflict | ErrorKind::Io => Self::Failed,
        }
    }
}

impl From<StopCause> for Exit {
    fn from(cause: StopCause) -> Self {
        match cause {
            StopCause::Interrupt => Self::Interrupted,
            StopCause::Terminate => Self::Terminated,
        }
    }
}

impl From<&RunOutcome> for Exit {
    fn from(outcome: &RunOutcome) -> Self {
        match outcome {
            RunOutcome::Ok => Self::Ok,
            RunOutcome::CellFailed { .. } => Self::Failed,
            RunOutcome::TimedOut { .. } => Self::TimedOut,
            RunOutcome::KernelDied { .. } => Self::KernelDied,
            RunOutcome::Interrupted { cause } => (*cause).into(),
            RunOutcome::Failed { kind, .. } => (*kind).into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_failure_counts() {
        let exits = [Exit::Ok, Exit::KernelDied, Exit::Failed];
        assert_eq!(Exit::first_failure(exits).code(), 5);
        assert_eq!(Exit::first_failure([Exit::Ok]).code(), 0);
        assert_eq!(Exit::first_failure([]).code(), 0);
    }
}
