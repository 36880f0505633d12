//! What came of an execution or a run, from what the kernel or the system says.

use crate::error::ErrorKind;
use crate::model::{Json, Output};
use crate::scheduler::Outcome;

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

/// What the scheduler has to know of an outcome.
pub(super) fn outcome_for_scheduler(outcome: &CellOutcome) -> Outcome {
    match outcome {
        CellOutcome::Ok => Outcome::Ok,
        CellOutcome::Error { ename, evalue, .. } => Outcome::Error {
            ename: ename.clone(),
            evalue: evalue.clone(),
        },
        CellOutcome::Aborted => Outcome::Aborted,
        CellOutcome::Interrupted => Outcome::Interrupted,
        CellOutcome::TimedOut { .. } => Outcome::TimedOut,
        CellOutcome::KernelDied { .. } => Outcome::KernelDied,
        CellOutcome::Incomplete => Outcome::Lost,
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
