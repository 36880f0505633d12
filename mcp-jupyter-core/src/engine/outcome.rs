//! What came of an execution or a run, from what the kernel or the system says.

use crate::error::ErrorKind;
use crate::model::{Json, Output};

use super::cell_outputs::error;
use super::event::{CellOutcome, RunOutcome};

/// The outcome that an `execute_reply` tells of.
pub(super) fn outcome_of_reply(content: &Json) -> CellOutcome {
    match content.get("status").and_then(Json::as_str).as_deref() {
        Some("ok") => CellOutcome::Ok,
        Some("error") => match error(content) {
            Output::Error {
                ename,
                evalue,
                traceback,
            } => CellOutcome::Error {
                ename,
                evalue,
                traceback,
            },
            _ => CellOutcome::Aborted,
        },
        _ => CellOutcome::Aborted,
    }
}

/// The outcome of a run that failed by itself.
pub(super) fn failed(kind: ErrorKind, error: &dyn std::error::Error) -> RunOutcome {
    RunOutcome::Failed {
        kind,
        message: sentence(error),
    }
}

/// An error with its causes, in one line.
pub(super) fn sentence(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(error.source(), |error| error.source());
    causes.fold(error.to_string(), |sentence, cause| format!("{sentence}: {cause}"))
}
