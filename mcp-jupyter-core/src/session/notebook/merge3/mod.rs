//! Three states of one notebook made one: what we want to write, what another program has written meanwhile, and what
//! both began with.

mod cell;
mod identity;
mod order;
#[cfg(test)]
mod tests;

use std::collections::{HashMap, HashSet};
use std::fmt;

use serde::{Deserialize, Serialize};

use self::cell::{MergedCell, is_edited, is_same_insert, merge_cell};
use self::identity::{Side, identify};
use self::order::interleave;
use super::cell::{Cell, CellType};
use super::document::Notebook;
use super::ids::fresh_id;
use super::merge::merge_members;
use crate::model::{CellId, Json};

/// Where, in the metadata of a cell, it is said that its source is one side of a conflict.
const CONFLICT_KEYS: [&str; 2] = ["mcp_jupyter", "conflict"];

/// The outcome of [`Notebook::merge`].
#[derive(Clone, Debug)]
pub struct Merge3 {
    /// What is to be in the file.
    pub notebook: Notebook,
    /// What the two sides did not agree on, in the order of the cells.
    pub conflicts: Vec<MergeConflict>,
    /// Whether it is another than *theirs*, so that something has to be written.
    pub changed_ours: bool,
}

/// What the two sides of a merge did not agree on. Nothing is lost in any of these.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "conflict", rename_all = "snake_case")]
#[non_exhaustive]
pub enum MergeConflict {
    /// Both changed the source: the cell has theirs.
    Source {
        /// The cell.
        cell: CellId,
        /// The raw cell, right after it, that has ours.
        kept: CellId,
    },
    /// We have deleted a cell that they have edited: it stays.
    DeletedByUs {
        /// The cell.
        cell: CellId,
    },
    /// They have deleted a cell that we have edited: it stays.
    DeletedByThem {
        /// The cell.
        cell: CellId,
    },
    /// Both inserted a cell with one id: both stay.
    SameId {
        /// The id, which theirs keeps.
        cell: CellId,
        /// The id that ours has now.
        renamed: CellId,
    },
}

impl MergeConflict {
    /// The cell that it is about.
    pub fn cell(&self) -> &CellId {
        match self {
            Self::Source { cell, .. }
            | Self::DeletedByUs { cell }
            | Self::DeletedByThem { cell }
            | Self::SameId { cell, .. } => cell,
        }
    }

    /// The cell that is there because of it.
    pub(in crate::session) fn added(&self) -> Option<&CellId> {
        match self {
            Self::Source { kept: added, .. } | Self::SameId { renamed: added, .. } => Some(added),
            Self::DeletedByUs { .. } | Self::DeletedByThem { .. } => None,
        }
    }
}

impl fmt::Display for MergeConflict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Source { cell, kept } => write!(
                f,
                "both changed the source of cell {cell}; it has theirs, and ours is in the raw cell {kept} after it"
            ),
            Self::DeletedByUs { cell } => write!(f, "cell {cell} was deleted here and edited there; it stays"),
            Self::DeletedByThem { cell } => write!(f, "cell {cell} was edited here and deleted there; it stays"),
            Self::SameId { cell, renamed } => write!(
                f,
                "both inserted a cell {cell}; both stay, and ours is called {renamed} now"
            ),
        }
    }
}

impl Notebook {
    /// Merges, cell by cell, what both sides have made of `base`, the last content that both had. `theirs` is in the
    /// file now, `ours` is what we want to write.
    ///
    /// What one side alone has changed is taken over: sources, metadata by member, outputs with their execution count,
    /// insertions, deletions and the order. Where both have changed the same,
    /// - a source is theirs, and ours stays in a raw cell right after, which no run executes. Its metadata say so:
    ///   `{"mcp_jupyter": {"conflict": {"cell": id, "cell_type": "code"}}}`;
    /// - a cell that one side has edited and the other deleted stays; results alone are no edit;
    /// - outputs are ours if our source is that of the cell, else theirs;
    /// - order, metadata members and all else are theirs.
    ///
    /// Cells are the same where their ids are. Below nbformat 4.5, where a file has none, `ours` has the ids of `base`
    /// if it was made from it in memory; what was read from a file is aligned by its sources ([`Notebook::counterparts`]),
    /// and has the ids of `base` in the result. If *they* have made the file one of 4.5, their ids are the result's.
    ///
    /// ```
    /// use mcp_jupyter_core::session::notebook::Notebook;
    ///
    /// let base = Notebook::parse(br#"{"nbformat": 4, "nbformat_minor": 5, "metadata": {}, "cells": [
    ///   {"cell_type": "raw", "id": "one", "metadata": {}, "source": "1"},
    ///   {"cell_type": "raw", "id": "two", "metadata": {}, "source": "2"}
    /// ]}"#)?;
    /// let (mut ours, mut theirs) = (base.clone(), base.clone());
    /// ours.cells_mut()[0].set_source("ours");
    /// theirs.cells_mut()[1].set_source("theirs");
    /// let merged = Notebook::merge(&base, &ours, &theirs);
    /// let sources: Vec<_> = merged.notebook.cells().iter().map(|cell| cell.source()).collect();
    /// assert_eq!(sources, ["ours", "theirs"]);
    /// assert!(merged.conflicts.is_empty() && merged.changed_ours);
    /// # Ok::<(), mcp_jupyter_core::session::SessionError>(())
    /// ```
    pub fn merge(base: &Notebook, ours: &Notebook, theirs: &Notebook) -> Merge3 {
        if is_same(ours, theirs) {
            return Merge3 {
                notebook: ours.clone(),
                conflicts: Vec::new(),
                changed_ours: false,
            };
        }
        let [base_cells, ours_cells, theirs_cells] = identify(base, ours, theirs);
        let mut merger = Merger {
            base: base_cells,
            ours: ours_cells,
            theirs: theirs_cells,
            conflicts: Vec::new(),
        };
        merger.settle_same_ids();
        let cells = merger.cells();
        let mut notebook = Notebook {
            metadata: ours.metadata.clone(),
            cells,
            rest: ours.rest.clone(),
            minor: if theirs.minor == base.minor {
                ours.minor
            } else {
                theirs.minor
            },
            quirks: theirs.quirks.clone(),
        };
        merge_members(&mut notebook.metadata, &base.metadata, &theirs.metadata);
        merge_members(&mut notebook.rest, &base.rest, &theirs.rest);
        if notebook.minor >= 5 {
            for cell in &mut notebook.cells {
                cell.rest.shift_remove("id");
            }
        }
        Merge3 {
            changed_ours: !is_same(&notebook, theirs),
            notebook,
            conflicts: merger.conflicts,
        }
    }
}

/// Whether both are written as the same file.
fn is_same(one: &Notebook, other: &Notebook) -> bool {
    let has_ids = one.minor >= 5;
    let is_same_cell =
        |(one, other): (&Cell, &Cell)| (!has_ids || one.id == other.id) && one.differing_parts(other).is_empty();
    one.minor == other.minor
        && one.metadata == other.metadata
        && one.rest == other.rest
        && one.cells.len() == other.cells.len()
        && one.cells.iter().zip(&other.cells).all(is_same_cell)
}

struct Merger<'n> {
    base: Side<'n>,
    ours: Side<'n>,
    theirs: Side<'n>,
    conflicts: Vec<MergeConflict>,
}

impl<'n> Merger<'n> {
    /// Gives a cell of ours another id where theirs inserted another cell with the same. The new id comes from the
    /// content, so that the same merge, once more, finds the cell that is there already.
    fn settle_same_ids(&mut self) {
        for at in 0..self.ours.order.len() {
            let id = self.ours.order[at].clone();
            let Some(theirs) = self.theirs.cell(&id).filter(|_| !self.base.has(&id)) else {
                continue;
            };
            let ours = self.ours.cells[&id];
            if is_same_insert(ours, theirs) {
                continue;
            }
            let renamed = fresh_id(&[id.as_str(), ours.kind.name(), ours.source()], |new| {
                let is_there = |theirs| is_same_insert(ours, theirs);
                !self.base.has(new) && !self.ours.has(new) && self.theirs.cell(new).is_none_or(is_there)
            });
            self.ours.rename(at, &renamed);
            self.conflicts.push(MergeConflict::SameId { cell: id, renamed });
        }
    }

    /// The cells of the result, in their order.
    fn cells(&mut self) -> Vec<Cell> {
        let ids: HashSet<&CellId> = self.ours.order.iter().chain(&self.theirs.order).collect();
        let mut merged = HashMap::with_capacity(ids.len());
        let mut conflicts = Vec::new();
        for id in ids {
            if let Some(mut cell) = self.merged(id, &mut conflicts) {
                cell.cell.id = id.clone();
                merged.insert(id.clone(), cell);
            }
        }
        let is_kept = |id: &CellId| merged.contains_key(id);
        let order = interleave(&self.base.order, &self.ours.order, &self.theirs.order, is_kept);
        // An earlier merge may have kept the same source already.
        let kept = |id: &CellId| {
            let cell = &merged.get(id)?.cell;
            let of = conflict_of(cell)?.into_owned();
            Some(((of, cell.source().to_owned()), id.clone()))
        };
        let there: HashMap<(String, String), CellId> = order.iter().filter_map(kept).collect();
        let mut cells = Vec::with_capacity(order.len());
        for id in &order {
            let Some(MergedCell { cell, outvoted }) = merged.remove(id) else {
                continue;
            };
            cells.push(cell);
            if let Some(source) = outvoted {
                let cell = id.clone();
                let kept = match there.get(&(id.to_string(), source.to_owned())) {
                    Some(kept) => kept.clone(),
                    None => {
                        cells.push(self.beside(id, source));
                        cells[cells.len() - 1].id.clone()
                    }
                };
                conflicts.push(MergeConflict::Source { cell, kept });
            }
        }
        self.conflicts.append(&mut conflicts);
        let places: HashMap<&CellId, usize> = cells.iter().map(Cell::id).zip(0..).collect();
        self.conflicts
            .sort_by_key(|conflict| places.get(conflict.cell()).copied());
        cells
    }

    fn merged(&self, id: &CellId, conflicts: &mut Vec<MergeConflict>) -> Option<MergedCell<'n>> {
        let mut stays = |cell: &Cell, base: &Cell, conflict: fn(CellId) -> MergeConflict| {
            is_edited(base, cell).then(|| {
                conflicts.push(conflict(id.clone()));
                MergedCell::from(cell)
            })
        };
        match (self.base.cell(id), self.ours.cell(id), self.theirs.cell(id)) {
            (Some(base), Some(ours), Some(theirs)) => Some(merge_cell(base, ours, theirs)),
            (None, Some(ours), Some(theirs)) => {
                let base = Cell::of_type(id.clone(), theirs.kind, theirs.source());
                Some(merge_cell(&base, ours, theirs))
            }
            (None, Some(inserted), None) | (None, None, Some(inserted)) => Some(MergedCell::from(inserted)),
            (Some(base), Some(ours), None) => stays(ours, base, |cell| MergeConflict::DeletedByThem { cell }),
            (Some(base), None, Some(theirs)) => stays(theirs, base, |cell| MergeConflict::DeletedByUs { cell }),
            (_, None, None) => None,
        }
    }

    /// A raw cell that keeps our source beside theirs.
    fn beside(&self, id: &CellId, source: &str) -> Cell {
        let is_free = |new: &CellId| ![&self.base, &self.ours, &self.theirs].iter().any(|side| side.has(new));
        let kept = fresh_id(&["conflict", id.as_str(), source], is_free);
        let mut cell = Cell::of_type(kept, CellType::Raw, source);
        let cell_type = self.ours.cells[id].kind.name();
        let conflict: Json = [("cell", id.as_str()), ("cell_type", cell_type)].into_iter().collect();
        let [group, name] = CONFLICT_KEYS;
        cell.metadata
            .insert(group.to_owned(), std::iter::once((name, conflict)).collect());
        cell
    }
}

/// The cell whose source this one keeps beside it.
fn conflict_of(cell: &Cell) -> Option<std::borrow::Cow<'_, str>> {
    let [group, name] = CONFLICT_KEYS;
    cell.metadata.get(group)?.get(name)?.get("cell")?.as_str()
}
