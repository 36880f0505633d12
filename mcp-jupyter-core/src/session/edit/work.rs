//! A notebook under edit: every change goes through here, so that it can be taken back at once or later.

use std::collections::{HashMap, HashSet};

use uuid::Uuid;

use super::error::EditFailure;
use super::types::{Applied, Place};
use super::undo::Undo;
use crate::model::{CellId, Json, JsonMap};
use crate::session::notebook::ids::is_valid;
use crate::session::notebook::parts::set_member;
use crate::session::notebook::{Cell, Notebook};

/// Hexadecimal digits of a new id, as many as nbformat takes.
const ID_LENGTH: usize = 8;

/// What a notebook was before: of the cells the order, and whole only those that were touched.
pub(super) struct Before {
    pub(super) order: Vec<CellId>,
    pub(super) cells: HashMap<CellId, Cell>,
    pub(super) metadata: Option<JsonMap>,
    pub(super) minor: i64,
    pub(super) minor_member: Option<Json>,
}

pub(super) struct Work<'n> {
    pub(super) notebook: &'n mut Notebook,
    before: Before,
    known: HashSet<CellId>,
    created: Vec<CellId>,
}

impl<'n> Work<'n> {
    /// # Errors
    /// Where two cells have one id, so that no edit could name them.
    pub(super) fn on(notebook: &'n mut Notebook) -> Result<Self, EditFailure> {
        let order: Vec<CellId> = notebook.cells.iter().map(|cell| cell.id.clone()).collect();
        let mut known = HashSet::with_capacity(order.len());
        if let Some(twice) = order.iter().find(|id| !known.insert((*id).clone())) {
            return Err(EditFailure::invalid(twice, format!("two cells have the id `{twice}`")));
        }
        let before = Before {
            order,
            cells: HashMap::new(),
            metadata: None,
            minor: notebook.minor,
            minor_member: notebook.rest.get("nbformat_minor").cloned(),
        };
        Ok(Self {
            notebook,
            before,
            known,
            created: Vec::new(),
        })
    }

    pub(super) fn position(&self, cell: &CellId) -> Result<usize, EditFailure> {
        let missing = || EditFailure::NoSuchCell { cell: cell.clone() };
        self.notebook.position(cell).ok_or_else(missing)
    }

    pub(super) fn cell(&self, cell: &CellId) -> Result<&Cell, EditFailure> {
        Ok(&self.notebook.cells[self.position(cell)?])
    }

    /// The cell, to change.
    pub(super) fn touch(&mut self, cell: &CellId) -> Result<&mut Cell, EditFailure> {
        let position = self.position(cell)?;
        let cell = &mut self.notebook.cells[position];
        if self.known.contains(&cell.id) && !self.before.cells.contains_key(&cell.id) {
            self.before.cells.insert(cell.id.clone(), cell.clone());
        }
        Ok(cell)
    }

    /// The notebook's metadata, to change.
    pub(super) fn touch_metadata(&mut self) -> &mut JsonMap {
        let metadata = &mut self.notebook.metadata;
        self.before.metadata.get_or_insert_with(|| metadata.clone());
        metadata
    }

    /// Where among the cells a new one has to be inserted.
    pub(super) fn index(&self, place: &Place) -> Result<usize, EditFailure> {
        match place {
            Place::First => Ok(0),
            Place::Last => Ok(self.notebook.cells.len()),
            Place::Before(cell) => self.position(cell),
            Place::After(cell) => Ok(self.position(cell)? + 1),
        }
    }

    /// The id of a new cell: the one that was asked for, else one that no cell has or had.
    pub(super) fn new_id(&self, wanted: Option<&CellId>) -> Result<CellId, EditFailure> {
        let is_taken = |id: &CellId| self.notebook.position(id).is_some();
        match wanted {
            None => Ok(std::iter::repeat_with(random_id)
                .find(|id| !is_taken(id) && !self.known.contains(id))
                .expect("random ids do not end")),
            Some(id) if !is_valid(id.as_str()) => Err(EditFailure::invalid(
                id,
                format!("`{id}` is no id: 1 to 64 of a-z, A-Z, 0-9, '-' and '_' were expected"),
            )),
            Some(id) if is_taken(id) => Err(EditFailure::invalid(
                id,
                format!("a cell with the id `{id}` is there already; leave the id out, or choose another"),
            )),
            Some(id) => Ok(id.clone()),
        }
    }

    /// Puts a new cell into the notebook, which has to be one that holds ids then.
    pub(super) fn create(&mut self, index: usize, cell: Cell) -> Result<(), EditFailure> {
        self.raise()?;
        self.insert(index, cell);
        Ok(())
    }

    pub(super) fn insert(&mut self, index: usize, mut cell: Cell) {
        if self.notebook.minor >= 5 {
            cell.rest.shift_remove("id");
        }
        self.created.push(cell.id.clone());
        self.notebook.cells.insert(index, cell);
    }

    /// Takes a cell out for good.
    pub(super) fn remove(&mut self, cell: &CellId) -> Result<(), EditFailure> {
        let removed = self.take(cell)?;
        if self.known.contains(cell) {
            self.before.cells.entry(cell.clone()).or_insert(removed);
        }
        Ok(())
    }

    /// Takes a cell out, to be put elsewhere by [`Work::put`].
    pub(super) fn take(&mut self, cell: &CellId) -> Result<Cell, EditFailure> {
        let position = self.position(cell)?;
        Ok(self.notebook.cells.remove(position))
    }

    pub(super) fn put(&mut self, index: usize, cell: Cell) {
        self.notebook.cells.insert(index, cell);
    }

    /// Makes the notebook one of nbformat 4.5, unless it is that or a later one. What a cell has as an `id` below 4.5
    /// is its identity already, or no valid one.
    pub(super) fn raise(&mut self) -> Result<(), EditFailure> {
        if self.notebook.minor >= 5 {
            return Ok(());
        }
        let with_id = self.notebook.cells.iter().filter(|cell| cell.rest.contains_key("id"));
        for id in with_id.map(|cell| cell.id.clone()).collect::<Vec<_>>() {
            self.touch(&id)?.rest.shift_remove("id");
        }
        self.set_minor(5, Some(5_i64.into()));
        Ok(())
    }

    pub(super) fn set_minor(&mut self, minor: i64, member: Option<Json>) {
        self.notebook.minor = minor;
        set_member(&mut self.notebook.rest, "nbformat_minor", member);
    }

    /// Makes the notebook what it was before.
    pub(super) fn roll_back(mut self) {
        let cells = std::mem::take(&mut self.notebook.cells);
        let mut present: HashMap<CellId, Cell> = cells.into_iter().map(|cell| (cell.id.clone(), cell)).collect();
        let touched = &mut self.before.cells;
        let cells = self.before.order.iter();
        self.notebook.cells = cells
            .filter_map(|id| touched.remove(id).or_else(|| present.remove(id)))
            .collect();
        if let Some(metadata) = self.before.metadata.take() {
            self.notebook.metadata = metadata;
        }
        let member = self.before.minor_member.take();
        self.set_minor(self.before.minor, member);
    }

    /// What has been done.
    pub(super) fn finish(self) -> Applied {
        let Self {
            notebook,
            before,
            known,
            created,
        } = self;
        let present: HashSet<&CellId> = notebook.cells.iter().map(Cell::id).collect();
        let mut inserted: Vec<CellId> = Vec::new();
        for id in created {
            if present.contains(&id) && !known.contains(&id) && !inserted.contains(&id) {
                inserted.push(id);
            }
        }
        let deleted = before.order.iter().filter(|id| !present.contains(id));
        let deleted = deleted.cloned().collect();
        Undo::describe(&before, notebook, inserted, deleted)
    }
}

fn random_id() -> CellId {
    let mut id = Uuid::new_v4().simple().to_string();
    id.truncate(ID_LENGTH);
    CellId::from(id)
}
