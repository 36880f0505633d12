use serde::{Deserialize, Serialize};

use crate::model::CellRef;

use super::event::{CellOutcome, RunEvent, RunOutcome};

/// What came of a run: a fold over its events, so that a replayed log gives the same.
///
/// ```
/// use mcp_jupyter_core::engine::{RunEvent, Summary};
///
/// let mut summary = Summary::default();
/// summary.apply(&RunEvent::KernelStarted { seconds: 0.4 });
/// assert!(summary.outcome.is_none());
/// ```
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Summary {
    /// How many cells were to be executed.
    pub planned: usize,
    /// The cells that were executed, in order.
    pub cells: Vec<CellSummary>,
    /// How many cells were skipped.
    pub skipped: usize,
    /// What the user was warned of.
    pub warnings: Vec<String>,
    /// How the run ended; none while it has not.
    pub outcome: Option<RunOutcome>,
    /// How long it took, in seconds.
    pub seconds: f64,
}

/// What came of one cell.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CellSummary {
    /// The cell.
    pub cell: CellRef,
    /// How its execution ended.
    pub outcome: CellOutcome,
    /// Whether the run went on as if it had succeeded.
    pub accepted: bool,
    /// How long it took, in seconds.
    pub seconds: f64,
}

impl Summary {
    /// Takes the next event into account.
    pub fn apply(&mut self, event: &RunEvent) {
        match event {
            RunEvent::RunStarted { cells, .. } => self.planned = *cells,
            RunEvent::CellSkipped { .. } => self.skipped += 1,
            RunEvent::CellFinished {
                cell,
                outcome,
                accepted,
                seconds,
                ..
            } => self.cells.push(CellSummary {
                cell: cell.clone(),
                outcome: outcome.clone(),
                accepted: *accepted,
                seconds: *seconds,
            }),
            RunEvent::Warning { message } => self.warnings.push(message.clone()),
            RunEvent::RunFinished { outcome, seconds } => {
                self.outcome = Some(outcome.clone());
                self.seconds = *seconds;
            }
            _ => {}
        }
    }

    /// Whether the run has ended, and as it should.
    pub fn is_ok(&self) -> bool {
        self.outcome == Some(RunOutcome::Ok)
    }

    /// The last cell whose outcome was not accepted.
    pub fn failure(&self) -> Option<&CellSummary> {
        self.cells.iter().rfind(|cell| !cell.accepted)
    }
}
