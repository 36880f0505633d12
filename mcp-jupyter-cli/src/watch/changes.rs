//! What an edit means for what was executed.

use mcp_jupyter_core::engine::planner;
use mcp_jupyter_core::model::CellRef;
use mcp_jupyter_core::scheduler::PlanRequest;
use mcp_jupyter_core::session::notebook::{Cell, Notebook};

/// Whether somebody has changed more than results.
pub(super) fn is_edited(before: &Notebook, newest: &Notebook) -> bool {
    let is_same = |(before, newest): (&Cell, &Cell)| {
        before.id() == newest.id()
            && before.cell_type() == newest.cell_type()
            && before.source() == newest.source()
            && before.metadata() == newest.metadata()
    };
    before.cells().len() != newest.cells().len() || !before.cells().iter().zip(newest.cells()).all(is_same)
}

/// Whether the cell that is being executed would have to be executed again: it is gone, or what has changed since `before`
/// makes it stale.
pub(super) fn is_overtaken(cell: &CellRef, before: &Notebook, newest: &Notebook) -> bool {
    let sources = |notebook: &Notebook| notebook.cells().iter().map(Cell::source).collect::<Vec<_>>().join("\0");
    if newest.position(&cell.id).is_none() {
        return true;
    }
    if sources(before) == sources(newest) {
        return false;
    }
    let plan = planner(newest, Some(before)).plan(&PlanRequest::default());
    plan.is_ok_and(|plan| plan.cells.iter().any(|planned| planned.cell.id == cell.id))
}
