//! How a run goes on when things are not as they were when it was planned.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use super::run::Run;
use crate::model::{CellId, CellRef};
use crate::scheduler::{
    Mode, OnError, Plan, PlanRequest, PlannedCell, Planner, SchedulerError, SkipReason, SkippedCell, StaleKind, Step,
    Target,
};

/// How often a run executes the same source of the same cell with success: a plan that wants more does not settle.
const MOST_TIMES: u32 = 3;

impl Run {
    /// Plans the rest of the run as things stand now, which may drop cells and may add some, also above those that have
    /// been executed.
    pub(super) fn plan_anew(&mut self, planner: &Planner) -> Result<(), SchedulerError> {
        self.replan = false;
        let cells = planner.document().cells.iter();
        let cells: HashMap<&CellId, &Arc<str>> = cells.map(|cell| (&cell.id, &cell.source)).collect();
        self.failed.retain(|id, source| cells.get(id) == Some(&&*source));
        if self.request.plan.mode == Mode::Append && self.has_begun() {
            self.note_appended(planner)?;
        }
        let blocked = self.blocked(planner);
        let plan = match self.present_request(|id| cells.contains_key(id), &blocked) {
            Some(request) => planner.plan_with(&request, &self.asked_for())?,
            None => Plan::default(),
        };
        if !self.request.plan.allow_expensive && !plan.needs_consent.is_empty() {
            return Err(SchedulerError::ConsentNeeded {
                cells: plan.needs_consent,
            });
        }
        self.adopt(plan, &blocked);
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

    /// What an appending run appends: the cells that it had to execute, and those that are new since. Once it has begun
    /// they get what they need, be it that the kernel was restarted or that a cell above was edited.
    fn note_appended(&mut self, planner: &Planner) -> Result<(), SchedulerError> {
        let planned = planner.plan(&PlanRequest::default())?.cells.into_iter();
        let new = planned.filter(|planned| planned.reason.kind == StaleKind::NeverRun);
        let cells = self.queue.iter().map(|planned| &planned.cell.id);
        self.appended.extend(cells.chain(self.attempts.keys()).cloned());
        self.appended.extend(new.map(|planned| planned.cell.id));
        Ok(())
    }

    /// What was asked for, less what cannot be done any more; none where that leaves nothing.
    fn present_request(
        &self,
        is_there: impl Fn(&CellId) -> bool,
        blocked: &BTreeMap<CellId, CellId>,
    ) -> Option<PlanRequest> {
        let mut request = self.request.plan.clone();
        request.excluded.retain(&is_there);
        request.excluded.extend(self.failed.keys().cloned());
        request.excluded.extend(blocked.keys().cloned());
        if !self.has_begun() {
            return Some(request);
        }
        if request.mode == Mode::Append {
            let appended = self.appended.iter().filter(|id| is_there(id));
            request.targets = appended.cloned().map(Target::Cell).collect();
            if request.targets.is_empty() {
                return None;
            }
        }
        // Which fresh cells the mode takes was settled when the run began; those that had their turn must not get
        // another one for the mode's sake.
        request.mode = Mode::Smart;
        Some(request)
    }

    /// The cells that are still to be executed, fresh or not.
    fn asked_for(&self) -> BTreeSet<CellId> {
        if self.has_begun() && matches!(self.request.plan.mode, Mode::Incremental | Mode::Full) {
            let cells = self.queue.iter().map(|planned| planned.cell.id.clone());
            cells.collect()
        } else {
            BTreeSet::new()
        }
    }

    fn adopt(&mut self, plan: Plan, blocked: &BTreeMap<CellId, CellId>) {
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
            self.drop_planned(&old.cell, skipped.get(&old.cell.id), blocked);
        }
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
        if done.times < MOST_TIMES {
            return true;
        }
        self.warn(format!(
            "cell #{} ({id}) was executed {MOST_TIMES} times in this run and is stale again ({}); the run goes on without it",
            planned.cell.index, planned.reason.kind
        ));
        false
    }

    fn drop_planned(&mut self, old: &CellRef, reason: Option<&SkippedCell>, blocked: &BTreeMap<CellId, CellId>) {
        // It had its turn already.
        if self.done.contains_key(&old.id) || self.failed.contains_key(&old.id) {
            return;
        }
        let via = blocked.get(&old.id);
        let skipped = SkippedCell {
            cell: old.clone(),
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
