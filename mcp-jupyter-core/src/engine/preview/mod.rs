//! What a run would do, and why, as people read it.
//!
//! A [`Preview`] is a notebook with what depends on what in it and a plan; [`drawing`](super::drawing) makes pictures of
//! it, and [`PlanDocument`] is its form as JSON.

mod json;

use std::collections::HashMap;

use crate::model::{CellId, CellRef};
use crate::scheduler::{
    CellEffects, Edge, Plan, PlanRequest, Planner, SchedulerError, SessionStatus, SkippedCell, StaleKind, StaleReason,
};
use crate::session::notebook::Notebook;

pub use self::json::PlanDocument;

/// Names that are listed; the others are counted.
const LISTED_NAMES: usize = 4;

/// A notebook, what depends on what in it, and its plan.
#[derive(Clone, Debug)]
pub struct Preview {
    /// What the notebook is called.
    pub name: String,
    /// The notebook.
    pub notebook: Notebook,
    /// Every code cell with its effects, in notebook order.
    pub cells: Vec<(CellRef, CellEffects)>,
    /// From the last writer above to the reader.
    pub edges: Vec<Edge>,
    /// What would be executed.
    pub plan: Plan,
    indices: HashMap<CellId, usize>,
}

impl Preview {
    /// What this planner, which has been given the notebook, would have executed.
    ///
    /// # Errors
    /// As [`Planner::plan`].
    pub fn of_planner(
        name: String,
        notebook: Notebook,
        planner: &Planner,
        request: &PlanRequest,
    ) -> Result<Self, SchedulerError> {
        let plan = planner.plan(request)?;
        Ok(Self::new(name, notebook, planner.effects(), planner.edges(), plan))
    }

    /// What a scheduler would have executed that has just been given the notebook.
    pub fn of_session(name: String, notebook: Notebook, status: SessionStatus, plan: Plan) -> Self {
        Self::new(name, notebook, status.cells, status.edges, plan)
    }

    fn new(name: String, notebook: Notebook, cells: Vec<(CellRef, CellEffects)>, edges: Vec<Edge>, plan: Plan) -> Self {
        Self {
            name,
            notebook,
            indices: cells.iter().map(|(cell, _)| (cell.id.clone(), cell.index)).collect(),
            cells,
            edges,
            plan,
        }
    }

    /// Where the cell stands; none where it is gone.
    pub fn index(&self, id: &CellId) -> Option<usize> {
        self.indices.get(id).copied()
    }

    /// The text of a cell.
    pub fn source(&self, cell: &CellRef) -> &str {
        self.notebook.cells()[cell.index].source()
    }

    /// A reason in words.
    pub fn explain(&self, reason: &StaleReason) -> String {
        explain(reason, |id| self.index(id))
    }

    /// Why a cell is not executed, in words.
    pub fn explain_skip(&self, skipped: &SkippedCell) -> String {
        match skipped.via.as_ref().and_then(|id| self.index(id)) {
            Some(index) => format!("{}: by #{index}", skipped.reason),
            None => skipped.reason.to_string(),
        }
    }

    /// What the user should know, a line each.
    pub fn remarks(&self) -> Vec<String> {
        // Some of what is unknown is a warning already.
        let unknown = self.cells.iter().filter_map(|(cell, effects)| {
            let remark = format!("#{}: {}", cell.index, effects.unknown.as_ref()?);
            (!self.plan.warnings.contains(&remark)).then(|| format!("unknown: {remark}"))
        });
        let warnings = self.plan.warnings.iter().map(|warning| format!("warning: {warning}"));
        unknown
            .chain(warnings)
            .chain(self.deletions())
            .chain(self.consent())
            .collect()
    }

    fn deletions(&self) -> impl Iterator<Item = String> {
        let before = self.plan.cells.iter().filter_map(|planned| {
            let names = list(&planned.delete_before)?;
            Some(format!("delete: {names} before #{}", planned.cell.index))
        });
        let after = list(&self.plan.delete_after).map(|names| format!("delete: {names} at the end"));
        before.chain(after)
    }

    fn consent(&self) -> Option<String> {
        let cells: Vec<_> = self
            .plan
            .needs_consent
            .iter()
            .map(|cell| format!("#{}", cell.index))
            .collect();
        (!cells.is_empty()).then(|| {
            format!(
                "consent: {} would be executed only to restore what others need, and marked @expensive: allow it, \
                 or narrow the run",
                cells.join(", ")
            )
        })
    }
}

/// A reason in words: the kind first, as it is in JSON, then the names and the cell that are behind it.
pub fn explain(reason: &StaleReason, index: impl Fn(&CellId) -> Option<usize>) -> String {
    let via = reason.via.as_ref().map(|id| match index(id) {
        Some(index) => format!("#{index}"),
        None => "a removed cell".to_owned(),
    });
    let detail = match (reason.kind, via, list(&reason.names)) {
        (_, None, names) => names,
        (StaleKind::Clobber, Some(via), Some(names)) => Some(format!("{names}, which {via} overwrites")),
        (StaleKind::Restore, Some(via), Some(names)) => Some(format!("{names} for {via}")),
        (_, Some(via), Some(names)) => Some(format!("{names} from {via}")),
        (StaleKind::Restore, Some(via), None) => Some(format!("for {via}")),
        (_, Some(via), None) => Some(format!("by {via}")),
    };
    match detail {
        Some(detail) => format!("{}: {detail}", reason.kind),
        None => reason.kind.to_string(),
    }
}

/// A few names, and how many more there are; none of none.
pub(super) fn list(names: &[String]) -> Option<String> {
    let listed = names
        .iter()
        .take(LISTED_NAMES)
        .map(String::as_str)
        .collect::<Vec<_>>()
        .join(", ");
    match names.len() {
        0 => None,
        count if count <= LISTED_NAMES => Some(listed),
        count => Some(format!("{listed} and {} more", count - LISTED_NAMES)),
    }
}
