//! Which cells a run executes: all code cells in notebook order, narrowed by a selection.

use std::collections::BTreeSet;

use crate::model::{CellId, CellRef, Json};
use crate::session::SessionError;
use crate::session::notebook::{Cell, CellType, Notebook};

use crate::scheduler::SkipReason;

/// Which code cells of a notebook to execute. A cell with the tag `injected-parameters` is always among them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Selection {
    /// Only cells with one of these tags, where there are any.
    pub tags: BTreeSet<String>,
    /// No cells with one of these tags.
    pub skip_tags: BTreeSet<String>,
    /// No cells above this one.
    pub from: Option<CellId>,
    /// No cells below this one.
    pub to: Option<CellId>,
    /// Go on with the first cell that failed or was never reached in the notebook's last run. A new kernel has none of
    /// the names that the cells above it made, so they are executed again first; where no such cell is left, nothing
    /// is.
    pub resume: bool,
}

/// The cells to execute, in order, and why the others are not.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Plan {
    pub(super) cells: Vec<CellRef>,
    pub(super) skipped: Vec<(CellRef, SkipReason)>,
    /// Where a resumed run takes up: the cell, and how many above it are executed again.
    pub(super) resumed: Option<(CellRef, usize)>,
}

const SKIP_TAG: &str = "skip-execution";
/// Parameters that were given apply to whatever is executed.
const INJECTED_TAG: &str = "injected-parameters";
pub(super) const EXPECTED_ERROR_TAG: &str = "raises-exception";

/// The plan of a run on a new kernel.
///
/// # Errors
/// [`SessionError::InvalidRequest`] where the selection names a cell that does not exist, or a range that is empty.
pub(super) fn plan(notebook: &Notebook, selection: &Selection) -> Result<Plan, SessionError> {
    let range = range(notebook, selection)?;
    let mut plan = Plan::default();
    for (index, cell) in notebook.cells().iter().enumerate() {
        if cell.cell_type() != CellType::Code {
            continue;
        }
        let cell_ref = CellRef {
            id: cell.id().clone(),
            index,
        };
        if cell.source().trim().is_empty() {
            plan.skipped.push((cell_ref, SkipReason::Empty));
        } else if cell.has_tag(SKIP_TAG) {
            plan.skipped.push((cell_ref, SkipReason::Tagged));
        } else if !(cell.has_tag(INJECTED_TAG) || range.contains(&index) && selection.admits(cell)) {
            plan.skipped.push((cell_ref, SkipReason::NotTargeted));
        } else {
            plan.cells.push(cell_ref);
        }
    }
    if selection.resume {
        plan.resume(notebook);
    }
    Ok(plan)
}

fn range(notebook: &Notebook, selection: &Selection) -> Result<std::ops::RangeInclusive<usize>, SessionError> {
    let position = |id: &Option<CellId>, default: usize| match id {
        None => Ok(default),
        Some(id) => notebook
            .position(id)
            .ok_or_else(|| SessionError::InvalidRequest(format!("the notebook has no cell with the id \"{id}\""))),
    };
    let from = position(&selection.from, 0)?;
    let to = position(&selection.to, notebook.cells().len().saturating_sub(1))?;
    if from > to {
        let reason = format!("the range of cells is empty: it starts at #{from} and ends above it, at #{to}");
        return Err(SessionError::InvalidRequest(reason));
    }
    Ok(from..=to)
}

impl Selection {
    fn admits(&self, cell: &Cell) -> bool {
        let has_one_of = |tags: &BTreeSet<String>| tags.iter().any(|tag| cell.has_tag(tag));
        (self.tags.is_empty() || has_one_of(&self.tags)) && !has_one_of(&self.skip_tags)
    }
}

impl Plan {
    fn resume(&mut self, notebook: &Notebook) {
        let incomplete = |cell: &CellRef| notebook.cell(&cell.id).is_some_and(|cell| !has_succeeded(cell));
        match self.cells.iter().position(incomplete) {
            Some(position) => self.resumed = Some((self.cells[position].clone(), position)),
            None => self
                .skipped
                .extend(self.cells.drain(..).map(|cell| (cell, SkipReason::Fresh))),
        }
    }
}

/// Whether the notebook shows that the cell was executed, and did not fail.
fn has_succeeded(cell: &Cell) -> bool {
    let failed = cell
        .outputs()
        .iter()
        .any(|output| output.get("output_type").and_then(Json::as_str).as_deref() == Some("error"));
    cell.execution_count().is_some() && (!failed || cell.has_tag(EXPECTED_ERROR_TAG))
}
