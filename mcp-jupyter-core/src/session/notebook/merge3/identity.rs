//! Which cells of the three notebooks are the same.

use std::collections::{HashMap, HashSet, VecDeque};

use crate::model::CellId;
use crate::session::notebook::Notebook;
use crate::session::notebook::align::{Key, free_id, key};
use crate::session::notebook::cell::Cell;
use crate::session::notebook::ids::are_derived;

/// One of the notebooks, by ids that are the same in all three.
pub(super) struct Side<'n> {
    pub(super) order: Vec<CellId>,
    pub(super) cells: HashMap<CellId, &'n Cell>,
}

impl<'n> Side<'n> {
    fn new(notebook: &'n Notebook, order: Vec<CellId>) -> Self {
        let cells = order.iter().cloned().zip(&notebook.cells).collect();
        Self { order, cells }
    }

    pub(super) fn has(&self, id: &CellId) -> bool {
        self.cells.contains_key(id)
    }

    pub(super) fn cell(&self, id: &CellId) -> Option<&'n Cell> {
        self.cells.get(id).copied()
    }

    pub(super) fn rename(&mut self, at: usize, new: &CellId) {
        let old = std::mem::replace(&mut self.order[at], new.clone());
        if let Some(cell) = self.cells.remove(&old) {
            self.cells.insert(new.clone(), cell);
        }
    }
}

/// The three sides by the ids that the result has.
pub(super) fn identify<'n>(base: &'n Notebook, ours: &'n Notebook, theirs: &'n Notebook) -> [Side<'n>; 3] {
    let notebooks = [base, ours, theirs];
    let mut ids = [own_ids(base), ids_by(ours, base), ids_by(theirs, base)];
    if has_foreign_ids(theirs, base) {
        recognise(notebooks, &mut ids);
    }
    if base.minor < 5 {
        // Ids that have become part of a file are the ones that other programs know.
        if let Some(at) = [2, 1].into_iter().find(|at| notebooks[*at].minor >= 5) {
            adopt(&mut ids, at, own_ids(notebooks[at]));
        }
    }
    let [base_ids, ours_ids, theirs_ids] = ids;
    [
        Side::new(base, base_ids),
        Side::new(ours, ours_ids),
        Side::new(theirs, theirs_ids),
    ]
}

fn own_ids(notebook: &Notebook) -> Vec<CellId> {
    notebook.cells.iter().map(|cell| cell.id.clone()).collect()
}

/// The ids of a side as `base` has them.
///
/// Ids that were derived when the file was read change with position and source, and those that another program has
/// added say nothing about `base`.
fn ids_by(side: &Notebook, base: &Notebook) -> Vec<CellId> {
    if has_foreign_ids(side, base) {
        side.ids_as_in(base)
    } else {
        own_ids(side)
    }
}

fn has_foreign_ids(side: &Notebook, base: &Notebook) -> bool {
    if side.minor >= 5 && base.minor >= 5 {
        return false;
    }
    let known: HashSet<&CellId> = base.cells.iter().map(Cell::id).collect();
    let shares_ids = side.cells.iter().any(|cell| known.contains(&cell.id));
    !shares_ids || (side.minor < 5 && are_derived(&side.cells))
}

/// Finds in their file what we have written there already: a cell that is not as `base` has it, but as ours is, has the
/// id that it has there.
fn recognise([base, ours, theirs]: [&Notebook; 3], [base_ids, ours_ids, theirs_ids]: &mut [Vec<CellId>; 3]) {
    let known: HashMap<&CellId, Key<'_>> = base_ids.iter().zip(base.cells.iter().map(key)).collect();
    let is_known = |id: &CellId, cell: &Cell| known.get(id) == Some(&key(cell));
    let mut written: HashMap<Key<'_>, VecDeque<&CellId>> = HashMap::new();
    for (id, cell) in ours_ids
        .iter()
        .zip(&ours.cells)
        .filter(|(id, cell)| !is_known(id, cell))
    {
        written.entry(key(cell)).or_default().push_back(id);
    }
    let is_unchanged: Vec<bool> = theirs_ids
        .iter()
        .zip(&theirs.cells)
        .map(|(id, cell)| is_known(id, cell))
        .collect();
    let unchanged = theirs_ids
        .iter()
        .zip(&is_unchanged)
        .filter(|(_, is_unchanged)| **is_unchanged);
    let mut taken: HashSet<CellId> = unchanged.map(|(id, _)| id.clone()).collect();
    let found: Vec<Option<CellId>> = theirs
        .cells
        .iter()
        .zip(&is_unchanged)
        .map(|(cell, is_unchanged)| {
            let id = written.get_mut(&key(cell)).filter(|_| !is_unchanged)?.pop_front()?;
            taken.insert(id.clone()).then(|| id.clone())
        })
        .collect();
    let others = theirs_ids
        .iter_mut()
        .zip(found)
        .zip(is_unchanged)
        .filter(|(_, is_unchanged)| !is_unchanged);
    for ((id, found), _) in others {
        *id = found.unwrap_or_else(|| {
            let free = free_id(id, &taken);
            taken.insert(free.clone());
            free
        });
    }
}

/// Gives all the ids that one of the three has of its own.
fn adopt(ids: &mut [Vec<CellId>; 3], leader: usize, own: Vec<CellId>) {
    let mut names: HashMap<CellId, CellId> = ids[leader].iter().cloned().zip(own.iter().cloned()).collect();
    let mut taken: HashSet<CellId> = own.into_iter().collect();
    for id in ids.iter_mut().flatten() {
        let name = names.entry(id.clone()).or_insert_with(|| {
            let free = free_id(id, &taken);
            taken.insert(free.clone());
            free
        });
        *id = name.clone();
    }
}
