//! A run that goes on after a crash.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::mpsc;
use tokio::time::Instant;

use super::knowledge::Knowledge;
use super::run::{Item, Run};
use crate::model::CellId;
use crate::scheduler::{CodeCell, Dispatch, OnError, Plan, RunRecord, StaleKind, StaleReason};

impl Run {
    /// The run of this record, as it was when its scheduler was gone: what it has executed is done, and what was handed
    /// out and not reported is awaited. Its deadline is where it was, and where it was to end, it is.
    pub(super) fn resumed(
        record: RunRecord,
        knowledge: &Knowledge,
        in_flight: Option<&(CodeCell, Vec<String>)>,
    ) -> (Self, mpsc::UnboundedReceiver<Item>, Option<Dispatch>) {
        let RunRecord {
            run_id,
            request,
            plan,
            executions,
            due,
            stopping,
            ..
        } = record;
        let reasons = plan.cells.clone();
        let (mut run, items) = Self::new(run_id, request, plan, knowledge);
        run.queue
            .retain(|planned| !executions.iter().any(|(cell, ..)| cell.id == planned.cell.id));
        run.replan = true;
        // A clock that was set back does not make the time longer than it was.
        let left = due.map(|due| Timestamp::now().duration_until(due).try_into().unwrap_or_default());
        let left = left.map(|left: Duration| left.min(run.request.deadline.unwrap_or(left)));
        run.deadline = left.and_then(|left| Instant::now().checked_add(left));
        let mut awaited = None;
        for (cell, attempt, outcome) in executions {
            run.attempts.insert(cell.id.clone(), attempt);
            match (outcome, in_flight) {
                (Some(outcome), _) => {
                    let code = find(knowledge, &cell.id);
                    run.begun(&cell, attempt, code, knowledge.epoch());
                    let counted = run.counted(&outcome);
                    run.reported(&counted, knowledge);
                }
                (None, Some((code, delete_before))) if code.id == cell.id => {
                    run.begun(&cell, attempt, Some(code), knowledge.epoch());
                    let reason = reasons.iter().find(|planned| planned.cell.id == cell.id);
                    let reason = reason.map_or_else(unknown, |planned| planned.reason.clone());
                    awaited = Some(run.dispatch_again(code, attempt, reason, delete_before.clone()));
                }
                (None, _) => {}
            }
        }
        if let Some(end) = stopping {
            run.stop(end);
        }
        (run, items, awaited)
    }

    /// What is still to be executed, as far as is known.
    pub(super) fn left(&self) -> Plan {
        Plan {
            cells: self.queue.iter().cloned().collect(),
            delete_after: self.delete_after.clone(),
            ..Plan::default()
        }
    }

    fn dispatch_again(
        &self,
        cell: &CodeCell,
        attempt: u32,
        reason: StaleReason,
        delete_before: Vec<String>,
    ) -> Dispatch {
        Dispatch {
            run_id: self.id.clone(),
            cell: cell.cell_ref(),
            attempt,
            reason,
            source: Arc::clone(&cell.source),
            delete_before,
            stop_on_error: self.request.on_error != OnError::Continue && !self.expects_error(),
            verify: self.request.verify,
            remaining: self.queue.len(),
        }
    }
}

fn find<'a>(knowledge: &'a Knowledge, id: &CellId) -> Option<&'a CodeCell> {
    let cells = &knowledge.planner().document().cells;
    cells.iter().find(|cell| cell.id == *id)
}

/// It was not in the first plan, and what has added it is not known any more.
fn unknown() -> StaleReason {
    StaleReason {
        kind: StaleKind::Upstream,
        via: None,
        names: Vec::new(),
    }
}
