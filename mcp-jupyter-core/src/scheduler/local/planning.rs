//! How a run goes on when things are not as they were when it was planned.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::run::{Run, find_cell};
use crate::model::CellId;
use crate::scheduler::{
    CodeCell, Mode, OnError, Plan, PlanRequest, PlannedCell, Planner, SchedulerError, SkipReason, SkippedCell,
    StaleKind, Step, Target,
};

/// How often a run executes the same source of the same cell with success: a plan that wants more does not settle.
const MOST_TIMES: u32 = 3;

impl Run {
    /// Plans the rest of the run as things stand now, which may drop cells and may add some, also above those that have
    /// been executed.
    pub(super) fn plan_anew(&mut self, planner: &Planner) -> Result<(), SchedulerError> {
        self.replan = false;
        let cells = &planner.document().cells;
        self.failed
            .retain(|id, source| cells.iter().any(|cell| cell.id == *id && cell.source == *source));
        let blocked = self.blocked(planner);
        let plan = match self.present_request(cells, &blocked) {
            Some(request) => planner.plan(&request)?,
            None => Plan::default(),
        };
        if !self.request.plan.allow_expensive && !plan.needs_consent.is_empty() {
            return Err(SchedulerError::ConsentNeeded {
                cells: plan.needs_consent,
            });
        }
        self.adopt(plan, cells, &blocked);
        Ok(())
    }

    /// The cells that depend on one that failed, with that one. Where the run goes on with all cells, nothing is
    /// blocked.
    fn blocked(&self, planner: &Planner) -> BTreeMap<CellId, CellId> {
        let mut blocked = BTreeMap::new();
        if self.request.on_error == OnError::Continue {
            return blocked;
        }
        for failed in self.failed.keys() {
            for cell in planner.downstream(failed) {
                blocked.entry(cell).or_insert_with(|| failed.clone());
            }
        }
        blocked.retain(|cell, _| !self.failed.contains_key(cell));
        blocked
    }

    /// What was asked for, less what cannot be done any more; none where that leaves nothing.
    fn present_request(&self, cells: &[CodeCell], blocked: &BTreeMap<CellId, CellId>) -> Option<PlanRequest> {
        let is_there = |id: &CellId| cells.iter().any(|cell| cell.id == *id);
        let mut request = self.request.plan.clone();
        request.excluded.retain(is_there);
        request.excluded.extend(self.failed.keys().cloned());
        request.excluded.extend(blocked.keys().cloned());
        if let Some(appended) = &self.appended {
            let there = appended.iter().filter(|id| is_there(id));
            request.mode = Mode::Smart;
            request.targets = there.cloned().map(Target::Cell).collect();
            if request.targets.is_empty() {
                return None;
            }
        }
        Some(request)
    }

    fn adopt(&mut self, plan: Plan, cells: &[CodeCell], blocked: &BTreeMap<CellId, CellId>) {
        for warning in plan.warnings {
            self.warn(warning);
        }
        let before = std::mem::take(&mut self.queue);
        let mut skipped: HashMap<CellId, SkippedCell> = HashMap::new();
        for cell in plan.skipped {
            skipped.insert(cell.cell.id.clone(), cell);
        }
        let mut planned: Vec<PlannedCell> = Vec::with_capacity(plan.cells.len());
        for cell in plan.cells {
            if self.takes(&cell, blocked) {
                planned.push(cell);
            }
        }
        let taken: BTreeSet<CellId> = planned.iter().map(|planned| planned.cell.id.clone()).collect();
        for old in before {
            if taken.contains(&old.cell.id) {
                continue;
            }
            let reason = skipped.get(&old.cell.id);
            if let Some(kept) = self.keeps(&old, reason, cells) {
                planned.push(kept);
            } else {
                self.drop_planned(old, reason, blocked);
            }
        }
        planned.sort_by_key(|planned| planned.cell.index);
        self.queue = planned.into();
        self.delete_after = plan.delete_after;
    }

    /// Whether a cell of a new plan is to be executed in this run.
    fn takes(&mut self, planned: &PlannedCell, blocked: &BTreeMap<CellId, CellId>) -> bool {
        let id = &planned.cell.id;
        if self.failed.contains_key(id) || blocked.contains_key(id) {
            return false;
        }
        let Some(done) = self.done.get(id) else { return true };
        if planned.reason.kind == StaleKind::Mode {
            return false;
        }
        if done.times < MOST_TIMES {
            return true;
        }
        self.warn(format!(
            "cell #{} ({id}) was executed {MOST_TIMES} times in this run and is stale again ({}); the run goes on without it",
            planned.cell.index, planned.reason.kind
        ));
        false
    }

    /// A cell of the plan so far that stays though it is fresh, because the mode takes fresh cells: the first stale one
    /// may have been executed by now, and what comes after it is still asked for.
    fn keeps(&self, old: &PlannedCell, reason: Option<&SkippedCell>, cells: &[CodeCell]) -> Option<PlannedCell> {
        let fresh = reason.is_some_and(|skipped| skipped.reason == SkipReason::Fresh);
        if self.request.plan.mode == Mode::Smart || !fresh {
            return None;
        }
        let cell = find_cell(cells, &old.cell)?;
        Some(PlannedCell {
            cell: cell.cell_ref(),
            ..old.clone()
        })
    }

    fn drop_planned(&mut self, old: PlannedCell, reason: Option<&SkippedCell>, blocked: &BTreeMap<CellId, CellId>) {
        // It had its turn already.
        if self.done.contains_key(&old.cell.id) || self.failed.contains_key(&old.cell.id) {
            return;
        }
        let via = blocked.get(&old.cell.id);
        let skipped = SkippedCell {
            cell: old.cell,
            reason: match via {
                Some(_) => SkipReason::Blocked,
                None => reason.map_or(SkipReason::NotTargeted, |skipped| skipped.reason),
            },
            via: via.cloned().or_else(|| reason.and_then(|skipped| skipped.via.clone())),
        };
        if self.skipped.insert(skipped.cell.id.clone()) {
            self.outbox.push_back(Step::Skip(skipped));
        }
    }

    /// Says something to the user, once.
    pub(super) fn warn(&mut self, warning: String) {
        if self.warned.insert(warning.clone()) {
            self.outbox.push_back(Step::Warn(warning));
        }
    }
}
