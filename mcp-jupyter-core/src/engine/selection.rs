//! Which part of a notebook a run is about: by tags, by a range, by what an earlier run has left undone.

use std::collections::{BTreeSet, HashSet};

use crate::model::{CellId, CellRef, Json};
use crate::scheduler::{SchedulerError, SkipReason, SkippedCell, Target};
use crate::session::SessionError;
use crate::session::notebook::{Cell, CellType, Notebook};

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
    /// Only the cells that failed or were never reached in the notebook's last run, those that depend on them, and those
    /// that they need: a new kernel has none of the names that the completed cells made. Completed cells that are not
    /// needed are fresh and keep their outputs; where no other cell is left, no kernel is started.
    pub resume: bool,
}

/// What a selection means for a notebook.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Part {
    /// Cells that must not be executed.
    pub(super) excluded: BTreeSet<CellId>,
    /// What to narrow the run to; the whole notebook where there are none.
    pub(super) targets: Vec<Target>,
    pub(super) resumed: Option<Resumed>,
}

/// What an earlier run has left.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Resumed {
    /// The first cell that has not succeeded.
    from: Option<CellRef>,
    /// The cells that have.
    completed: HashSet<CellId>,
}

/// Parameters that were given apply to whatever is executed.
const INJECTED_TAG: &str = "injected-parameters";
const EXPECTED_ERROR_TAG: &str = "raises-exception";

/// The part of `notebook` that the selection and the targets leave.
///
/// # Errors
/// Where the selection or a target names what does not exist, a range that is empty, or both a resumed run and targets.
pub(super) fn part(
    notebook: &Notebook,
    selection: &Selection,
    targets: Vec<Target>,
) -> Result<Part, crate::error::Error> {
    check_targets(notebook, &targets)?;
    let range = range(notebook, selection)?;
    let admitted =
        |(index, cell): &(usize, &Cell)| cell.has_tag(INJECTED_TAG) || range.contains(index) && selection.admits(cell);
    let (selected, excluded): (Vec<_>, Vec<_>) = code_cells(notebook).partition(admitted);
    let mut part = Part {
        excluded: excluded.into_iter().map(|(_, cell)| cell.id().clone()).collect(),
        targets,
        resumed: None,
    };
    if selection.resume {
        if !part.targets.is_empty() {
            let reason = "a run is either resumed or has targets, not both".to_owned();
            return Err(SessionError::InvalidRequest(reason).into());
        }
        part.resume(selected);
    }
    Ok(part)
}

fn code_cells(notebook: &Notebook) -> impl Iterator<Item = (usize, &Cell)> {
    let cells = notebook.cells().iter().enumerate();
    cells.filter(|(_, cell)| cell.cell_type() == CellType::Code)
}

/// Whether the notebook has what the targets name.
pub(super) fn check_targets(notebook: &Notebook, targets: &[Target]) -> Result<(), SchedulerError> {
    let check = |id: &CellId| {
        let found = code_cells(notebook).find(|(_, cell)| cell.id() == id);
        let missing = || SchedulerError::NoSuchCell { cell: id.clone() };
        found.map(drop).ok_or_else(missing)
    };
    targets.iter().try_for_each(|target| match target {
        Target::Cell(cell) | Target::Downstream(cell) => check(cell),
        Target::Range(from, to) => check(from).and_then(|()| check(to)),
        Target::Tag(tag) if code_cells(notebook).any(|(_, cell)| cell.has_tag(tag)) => Ok(()),
        Target::Tag(tag) => Err(SchedulerError::NoSuchTag { tag: tag.clone() }),
    })
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

impl Part {
    fn resume(&mut self, selected: Vec<(usize, &Cell)>) {
        let is_done = |(_, cell): &(usize, &Cell)| !is_to_run(cell) || has_succeeded(cell);
        let (done, left): (Vec<_>, Vec<_>) = selected.into_iter().partition(is_done);
        if left.is_empty() {
            // Without targets a run would be about the whole notebook.
            self.excluded.extend(done.iter().map(|(_, cell)| cell.id().clone()));
        }
        let completed = done.iter().filter(|(_, cell)| is_to_run(cell));
        self.resumed = Some(Resumed {
            from: left.first().map(|(index, cell)| CellRef {
                id: cell.id().clone(),
                index: *index,
            }),
            completed: completed.map(|(_, cell)| cell.id().clone()).collect(),
        });
        let last_done = done.last().map(|(index, _)| *index);
        let (above, below): (Vec<_>, Vec<_>) = left.into_iter().partition(|(index, _)| Some(*index) < last_done);
        // A completed cell that depends on one that failed has read a value that it will not have.
        let above = above.into_iter().map(|(_, cell)| Target::Downstream(cell.id().clone()));
        let ends = below.first().zip(below.last());
        let below = ends.map(|((_, first), (_, last))| Target::Range(first.id().clone(), last.id().clone()));
        self.targets = above.chain(below).collect();
    }
}

impl Resumed {
    /// What the user should know, where `again` are the cells to execute.
    pub(super) fn warning<'a>(&self, again: impl Iterator<Item = &'a CellRef>) -> Option<String> {
        let from = self.from.as_ref()?;
        let again = again.filter(|cell| self.completed.contains(&cell.id)).count();
        Some(format!(
            "resuming at cell #{} ({}): the kernel is new, so completed cells that are needed are executed again \
             ({again} of {})",
            from.index,
            from.id,
            self.completed.len()
        ))
    }

    /// A completed cell that is not needed is fresh, though the kernel has none of its names.
    pub(super) fn reason(&self, skipped: &SkippedCell) -> SkipReason {
        match skipped.reason {
            SkipReason::NotTargeted if self.completed.contains(&skipped.cell.id) => SkipReason::Fresh,
            reason => reason,
        }
    }
}

fn is_to_run(cell: &Cell) -> bool {
    !cell.source().trim().is_empty() && !cell.has_tag("skip-execution")
}

/// Whether the notebook shows that the cell was executed, and did not fail.
fn has_succeeded(cell: &Cell) -> bool {
    let failed = cell
        .outputs()
        .iter()
        .any(|output| output.get("output_type").and_then(Json::as_str).as_deref() == Some("error"));
    cell.execution_count().is_some() && (!failed || cell.has_tag(EXPECTED_ERROR_TAG))
}
