//! What each edit does.

use super::error::{EditError, EditFailure, EditStep};
use super::types::{Applied, Edit, EditBatch, Place};
use super::work::Work;
use crate::model::{CellId, Digest, Json, JsonMap};
use crate::session::notebook::read::{TRANSIENT, TRANSIENT_IN_CELL};
use crate::session::notebook::validate::{cell_quirks, metadata_quirks};
use crate::session::notebook::{Cell, CellType, Notebook, Quirk};

impl Notebook {
    /// Applies all edits of the batch, in their order, or none.
    ///
    /// # Errors
    /// [`EditError`] with the edit that could not be applied, the cell and why; the notebook is as it was then.
    pub fn apply_edits(&mut self, batch: &EditBatch) -> Result<Applied, EditError> {
        let check = |failure| EditError {
            step: EditStep::Check,
            failure,
        };
        check_base(self, batch).map_err(check)?;
        let mut work = Work::on(self).map_err(check)?;
        for (edit, number) in batch.edits.iter().zip(1..) {
            if let Err(failure) = apply(&mut work, edit) {
                work.roll_back();
                let name = edit.name();
                return Err(EditError {
                    step: EditStep::Edit { number, name },
                    failure,
                });
            }
        }
        Ok(work.finish())
    }

    /// The identity of the whole document, as it is written: any change of it is another revision.
    pub fn revision(&self) -> Digest {
        Digest::of(&self.to_bytes())
    }
}

fn check_base(notebook: &Notebook, batch: &EditBatch) -> Result<(), EditFailure> {
    for (id, digest) in &batch.based_on {
        let missing = || EditFailure::NoSuchCell { cell: id.clone() };
        let cell = notebook.cell(id).ok_or_else(missing)?;
        if cell.source_digest() != *digest {
            return Err(conflict(cell, "has another source by now; look at it again"));
        }
    }
    match batch.revision {
        Some(revision) if revision != notebook.revision() => Err(EditFailure::Conflict {
            cell: None,
            reason: "the notebook is another by now; look at it again".to_owned(),
            present: None,
        }),
        _ => Ok(()),
    }
}

pub(super) fn conflict(cell: &Cell, what: &str) -> EditFailure {
    EditFailure::Conflict {
        cell: Some(cell.id.clone()),
        reason: format!("cell `{}` {what}", cell.id),
        present: Some(cell.source().to_owned()),
    }
}

fn apply(work: &mut Work<'_>, edit: &Edit) -> Result<(), EditFailure> {
    match edit {
        Edit::Insert {
            at,
            cell_type,
            source,
            id,
            metadata,
        } => {
            let mut cell = Cell::of_type(work.new_id(id.as_ref())?, *cell_type, source);
            cell.metadata.clone_from(metadata);
            insert(work, at, cell)
        }
        Edit::ReplaceSource { cell, source } => {
            work.touch(cell)?.set_source(source.as_str());
            Ok(())
        }
        Edit::ReplaceText { cell, old, new } => replace_text(work, cell, old, new),
        Edit::Delete { cell } => work.remove(cell),
        Edit::Move { cell, to } => move_cell(work, cell, to),
        Edit::Copy { cell, to, id } => {
            let copy = unexecuted(work.cell(cell)?, work.new_id(id.as_ref())?);
            let index = work.index(to)?;
            work.create(index, copy)
        }
        Edit::Split { cell, line, id } => split(work, cell, *line, id.as_ref()),
        Edit::Merge { cells } => merge(work, cells),
        Edit::SetType { cell, cell_type } => set_type(work, cell, *cell_type),
        Edit::SetMetadata {
            cell: Some(cell),
            set,
            remove,
        } => set_cell_metadata(work, cell, set, remove),
        Edit::SetMetadata {
            cell: None,
            set,
            remove,
        } => set_notebook_metadata(work, set, remove),
        Edit::AddTags { cell, tags } => checked(work, cell, |cell| tags.iter().for_each(|tag| cell.add_tag(tag))),
        Edit::RemoveTags { cell, tags } => {
            let metadata = &mut work.touch(cell)?.metadata;
            for tag in tags {
                remove_tag(metadata, tag);
            }
            Ok(())
        }
        Edit::ClearOutputs { cells: Some(cells) } => cells.iter().try_for_each(|cell| clear_outputs(work, cell)),
        Edit::ClearOutputs { cells: None } => {
            let cells: Vec<CellId> = work.notebook.cells.iter().map(|cell| cell.id.clone()).collect();
            cells.iter().try_for_each(|cell| clear_outputs(work, cell))
        }
    }
}

fn insert(work: &mut Work<'_>, at: &Place, cell: Cell) -> Result<(), EditFailure> {
    refuse_transient(Some(&cell.id), &cell.metadata, TRANSIENT_IN_CELL)?;
    let index = work.index(at)?;
    refuse_new(Some(&cell.id), &[], &cell_quirks(&cell, work.notebook.minor.max(5)))?;
    work.create(index, cell)
}

/// Changes a cell in a way that may break the schema, and refuses it then. What was broken before may stay so.
fn checked(work: &mut Work<'_>, id: &CellId, change: impl FnOnce(&mut Cell)) -> Result<(), EditFailure> {
    let minor = work.notebook.minor;
    let cell = work.touch(id)?;
    let before = cell_quirks(cell, minor);
    change(cell);
    refuse_new(Some(id), &before, &cell_quirks(cell, minor))
}

fn refuse_new(cell: Option<&CellId>, before: &[Quirk], after: &[Quirk]) -> Result<(), EditFailure> {
    match after.iter().find(|quirk| !before.contains(quirk)) {
        None => Ok(()),
        Some(quirk) => Err(EditFailure::Invalid {
            cell: cell.cloned(),
            reason: format!("this would make the notebook invalid: {}: {}", quirk.place, quirk.what),
        }),
    }
}

fn refuse_transient(cell: Option<&CellId>, set: &JsonMap, transient: &[&str]) -> Result<(), EditFailure> {
    match transient.iter().find(|name| set.contains_key(**name)) {
        None => Ok(()),
        Some(name) => Err(EditFailure::Invalid {
            cell: cell.cloned(),
            reason: format!("`{name}` cannot be set: it is never written to the file"),
        }),
    }
}

fn replace_text(work: &mut Work<'_>, id: &CellId, old: &str, new: &str) -> Result<(), EditFailure> {
    let cell = work.touch(id)?;
    if old.is_empty() {
        return Err(EditFailure::invalid(id, "the text to be replaced is empty"));
    }
    let source = cell.source();
    match occurrences(source, old).as_slice() {
        [] => Err(conflict(cell, "does not hold the text to be replaced")),
        [at] => {
            let replaced = [&source[..*at], new, &source[at + old.len()..]].concat();
            cell.set_source(replaced);
            Ok(())
        }
        several => {
            let times = several.len();
            Err(conflict(
                cell,
                &format!("holds the text to be replaced {times} times; name more of what stands around it"),
            ))
        }
    }
}

/// Where `part` begins in `text`, overlapping ones too.
fn occurrences(text: &str, part: &str) -> Vec<usize> {
    let step = part.chars().next().map_or(1, char::len_utf8);
    std::iter::successors(text.find(part), |at| {
        let from = at + step;
        text[from..].find(part).map(|next| from + next)
    })
    .collect()
}

fn move_cell(work: &mut Work<'_>, cell: &CellId, to: &Place) -> Result<(), EditFailure> {
    if matches!(to, Place::Before(anchor) | Place::After(anchor) if anchor == cell) {
        return Err(EditFailure::invalid(
            cell,
            format!("cell `{cell}` cannot be moved next to itself"),
        ));
    }
    // Before the cell is taken out, so that it is back in its place where there is no such place.
    work.index(to)?;
    let taken = work.take(cell)?;
    let index = work.index(to)?;
    work.put(index, taken);
    Ok(())
}

/// A new cell with what an author has written into `cell`.
fn unexecuted(cell: &Cell, id: CellId) -> Cell {
    let mut new = Cell::of_type(id, cell.kind, "");
    new.source.clone_from(&cell.source);
    new.metadata.clone_from(&cell.metadata);
    new.metadata.shift_remove("execution");
    new.rest.clone_from(&cell.rest);
    new
}

fn split(work: &mut Work<'_>, id: &CellId, line: usize, new: Option<&CellId>) -> Result<(), EditFailure> {
    let new = work.new_id(new)?;
    let index = work.position(id)? + 1;
    let cell = work.touch(id)?;
    let source = cell.source().to_owned();
    let Some((end, _)) = line.checked_sub(2).and_then(|at| source.match_indices('\n').nth(at)) else {
        let lines = source.split('\n').count();
        let reason = format!("cell `{id}` of {lines} lines cannot be split at line {line}: a line from 2 was expected");
        return Err(EditFailure::invalid(id, reason));
    };
    let mut second = unexecuted(cell, new);
    second.set_source(&source[end + 1..]);
    let first = &source[..end];
    cell.set_source(first.strip_suffix('\r').unwrap_or(first));
    work.create(index, second)
}

fn merge(work: &mut Work<'_>, ids: &[CellId]) -> Result<(), EditFailure> {
    let (first, others) = match ids {
        [first, others @ ..] if !others.is_empty() => (first, others),
        _ => {
            return Err(EditFailure::Invalid {
                cell: ids.first().cloned(),
                reason: "two or more cells were expected".to_owned(),
            });
        }
    };
    let start = work.position(first)?;
    for (id, expected) in others.iter().zip(start + 1..) {
        check_mergeable(work, start, id, expected)?;
    }
    let cells = &work.notebook.cells[start..=start + others.len()];
    let source = cells.iter().map(Cell::source).collect::<Vec<_>>().join("\n");
    let attachments = merged_attachments(cells)?;
    let cell = work.touch(first)?;
    cell.set_source(source);
    if let Some(attachments) = attachments {
        cell.rest.insert("attachments".to_owned(), attachments.into());
    }
    others.iter().try_for_each(|id| work.remove(id))
}

fn check_mergeable(work: &Work<'_>, first: usize, id: &CellId, expected: usize) -> Result<(), EditFailure> {
    let position = work.position(id)?;
    let cells = &work.notebook.cells;
    if position != expected {
        let reason = format!("cell `{id}` does not follow the one before: adjacent cells in their order were expected");
        return Err(EditFailure::invalid(id, reason));
    }
    let kind = |cell: &Cell| (cell.kind, cell.rest.get("cell_type").cloned());
    if kind(&cells[position]) != kind(&cells[first]) {
        let reason = format!("cell `{id}` is not of the type of cell `{}`", cells[first].id);
        return Err(EditFailure::invalid(id, reason));
    }
    Ok(())
}

fn merged_attachments(cells: &[Cell]) -> Result<Option<JsonMap>, EditFailure> {
    let mut merged: Option<JsonMap> = None;
    for cell in cells {
        let found = cell.rest.get("attachments").and_then(Json::as_object);
        for (name, attachment) in found.into_iter().flatten() {
            let merged = merged.get_or_insert_default();
            if merged.get(name).is_some_and(|other| other != attachment) {
                let reason = format!("another of the cells has another attachment `{name}`; rename one of them first");
                return Err(EditFailure::invalid(&cell.id, reason));
            }
            merged.insert(name.clone(), attachment.clone());
        }
    }
    Ok(merged)
}

fn set_type(work: &mut Work<'_>, id: &CellId, kind: CellType) -> Result<(), EditFailure> {
    let cell = work.cell(id)?;
    if cell.kind == kind && !cell.rest.contains_key("cell_type") {
        return Ok(());
    }
    checked(work, id, |cell| {
        cell.rest.shift_remove("cell_type");
        cell.kind = kind;
        cell.outputs.clear();
        cell.source.get_or_insert_default();
        if kind == CellType::Code {
            cell.rest.shift_remove("attachments");
            cell.execution_count = Some(Json::Null);
        } else {
            cell.execution_count = None;
        }
    })
}

fn set_cell_metadata(work: &mut Work<'_>, id: &CellId, set: &JsonMap, remove: &[String]) -> Result<(), EditFailure> {
    refuse_transient(Some(id), set, TRANSIENT_IN_CELL)?;
    checked(work, id, |cell| set_members(&mut cell.metadata, set, remove))
}

fn set_notebook_metadata(work: &mut Work<'_>, set: &JsonMap, remove: &[String]) -> Result<(), EditFailure> {
    refuse_transient(None, set, TRANSIENT)?;
    let minor = work.notebook.minor;
    let metadata = work.touch_metadata();
    let before = metadata_quirks(metadata, minor);
    set_members(metadata, set, remove);
    refuse_new(None, &before, &metadata_quirks(metadata, minor))
}

fn set_members(members: &mut JsonMap, set: &JsonMap, remove: &[String]) {
    for name in remove {
        members.shift_remove(name);
    }
    members.extend(set.iter().map(|(name, value)| (name.clone(), value.clone())));
}

fn remove_tag(metadata: &mut JsonMap, tag: &str) {
    let is_tag = |found: &Json| found.as_str().as_deref() == Some(tag);
    match metadata.get_mut("tags") {
        Some(Json::Array(tags)) => tags.retain(|found| !is_tag(found)),
        Some(only) if is_tag(only) => drop(metadata.shift_remove("tags")),
        _ => {}
    }
}

fn clear_outputs(work: &mut Work<'_>, id: &CellId) -> Result<(), EditFailure> {
    let cell = work.cell(id)?;
    let is_clear = cell.outputs.is_empty() && cell.execution_count == Some(Json::Null);
    if cell.kind == CellType::Code && !is_clear {
        let cell = work.touch(id)?;
        cell.outputs.clear();
        cell.execution_count = Some(Json::Null);
    }
    Ok(())
}
