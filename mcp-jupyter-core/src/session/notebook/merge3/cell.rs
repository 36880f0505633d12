use crate::model::JsonMap;
use crate::session::notebook::cell::{Cell, CellType};
use crate::session::notebook::merge::merge_members;
use crate::session::notebook::parts::{Part, set_member};

/// When a run of the cell began and ended; it belongs to the outputs.
const EXECUTION: &str = "execution";

pub(super) struct MergedCell<'n> {
    pub(super) cell: Cell,
    /// Our source, where both sides have changed it and theirs is in the cell.
    pub(super) outvoted: Option<&'n str>,
}

impl From<&Cell> for MergedCell<'_> {
    fn from(cell: &Cell) -> Self {
        Self {
            cell: cell.clone(),
            outvoted: None,
        }
    }
}

/// Whether an author, and not a run, has changed the cell.
pub(super) fn is_edited(base: &Cell, cell: &Cell) -> bool {
    base.differing_parts(cell).iter().any(|part| !part.is_result())
}

/// Whether two cells that are new on both sides are one.
pub(super) fn is_same_insert(ours: &Cell, theirs: &Cell) -> bool {
    let cell_type = Part::Other("cell_type".to_owned());
    ours.kind == theirs.kind && ours.source() == theirs.source() && ours.part(&cell_type) == theirs.part(&cell_type)
}

pub(super) fn merge_cell<'n>(base: &Cell, ours: &'n Cell, theirs: &'n Cell) -> MergedCell<'n> {
    let source = three_way(&base.source, &ours.source, &theirs.source);
    let executed = executed(base, ours, theirs, source.as_deref());
    let mut cell = Cell {
        id: theirs.id.clone(),
        kind: *three_way(&base.kind, &ours.kind, &theirs.kind),
        source: source.clone(),
        metadata: merged_members(&base.metadata, &ours.metadata, &theirs.metadata),
        outputs: executed.outputs.clone(),
        execution_count: executed.execution_count.clone(),
        rest: merged_members(&base.rest, &ours.rest, &theirs.rest),
    };
    set_member(&mut cell.metadata, EXECUTION, executed.metadata.get(EXECUTION).cloned());
    drop_foreign(&mut cell);
    let is_outvoted = |source: &str| source != base.source() && source != theirs.source();
    MergedCell {
        cell,
        outvoted: Some(ours.source()).filter(|source| is_outvoted(source) && theirs.source() != base.source()),
    }
}

fn three_way<'v, T: PartialEq>(base: &T, ours: &'v T, theirs: &'v T) -> &'v T {
    if theirs == base { ours } else { theirs }
}

fn merged_members(base: &JsonMap, ours: &JsonMap, theirs: &JsonMap) -> JsonMap {
    let mut members = ours.clone();
    merge_members(&mut members, base, theirs);
    members
}

/// The side whose outputs and execution count the cell gets.
fn executed<'n>(base: &Cell, ours: &'n Cell, theirs: &'n Cell, source: Option<&str>) -> &'n Cell {
    let is_changed = |side: &Cell| {
        side.outputs != base.outputs
            || side.execution_count != base.execution_count
            || side.metadata.get(EXECUTION) != base.metadata.get(EXECUTION)
    };
    let is_of_source = ours.source.as_deref() == source;
    if is_changed(ours) && (is_of_source || !is_changed(theirs)) {
        ours
    } else {
        theirs
    }
}

/// Takes away what a cell of its type cannot have: the type may be one side's and the rest the other's.
fn drop_foreign(cell: &mut Cell) {
    if cell.kind == CellType::Code {
        cell.rest.shift_remove("attachments");
        cell.source.get_or_insert_default();
    } else {
        cell.outputs.clear();
        cell.execution_count = None;
    }
    if cell.kind != CellType::Raw {
        cell.rest.shift_remove("cell_type");
    }
}
