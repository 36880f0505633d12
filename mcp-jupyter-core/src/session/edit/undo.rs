//! What takes a batch back: of each touched cell the parts that were changed, and no other.

use std::collections::HashMap;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use super::apply::conflict;
use super::error::{EditError, EditFailure, EditStep};
use super::types::Applied;
use super::work::{Before, Work};
use crate::model::{CellId, Digest, Json, JsonMap};
use crate::session::notebook::align::moved;
use crate::session::notebook::parts::{Part, differing_members, digest, set_member};
use crate::session::notebook::{Cell, CellType, Notebook};

/// What takes back a batch of edits, by [`Notebook::undo`]. To be stored; what is in it concerns nobody else.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Undo {
    /// The cells that are to go.
    created: Vec<Created>,
    /// The cells that are to come back, or to go back to their places, in the order that they had.
    placed: Vec<Placed>,
    changed: Vec<Changed>,
    metadata: Vec<Change<String>>,
    minor: Option<Minor>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Created {
    cell: CellId,
    /// What its author has written into it; a run may have changed the rest.
    left: Digest,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Placed {
    cell: CellId,
    after: Option<CellId>,
    /// The next cell that stays where it is.
    before: Option<CellId>,
    /// All that the cell was; none where it has only been moved.
    deleted: Option<Vec<(Part, Literal)>>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Changed {
    cell: CellId,
    parts: Vec<Change<Part>>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Change<P> {
    part: P,
    was: Option<Literal>,
    left: Option<Digest>,
}

impl<P> Change<P> {
    fn new(part: P, was: Option<Json>, left: Option<&Json>) -> Self {
        Self {
            part,
            was: was.map(Literal),
            left: left.map(digest),
        }
    }
}

impl Change<Part> {
    /// Whether it gives a cell what is its `id` below nbformat 4.5, and a second one above.
    fn puts_id(&self) -> bool {
        self.was.is_some() && matches!(&self.part, Part::Other(name) if name == "id")
    }
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Minor {
    was: i64,
    member: Option<Literal>,
    /// The cells that the batch has left: where there are others, a lower version might take ids from them.
    left: Digest,
}

/// JSON that is stored as its own text, because other formats know neither `NaN` nor `1.0` and `1e5` as they are.
#[derive(Clone, Debug, PartialEq)]
struct Literal(Json);

impl Serialize for Literal {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for Literal {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Json::parse(text.as_bytes()).map(Self).map_err(de::Error::custom)
    }
}

impl Undo {
    /// The cells that it changes, takes away or brings back.
    pub(in crate::session) fn cells(&self) -> impl Iterator<Item = &CellId> {
        let created = self.created.iter().map(|created| &created.cell);
        let placed = self.placed.iter().map(|placed| &placed.cell);
        created
            .chain(placed)
            .chain(self.changed.iter().map(|changed| &changed.cell))
    }
}

impl Notebook {
    /// Takes a batch of edits back, or an undo, which redoes it. Where nothing else has changed in between, the notebook
    /// is what it was, byte for byte; what else has changed stays.
    ///
    /// Outputs that a run has given to a cell meanwhile do not keep the cell from being deleted again: they are in the
    /// undo that this gives.
    ///
    /// # Errors
    /// [`EditFailure::Conflict`] where a cell is not as the batch has left it; the notebook is as it was then.
    pub fn undo(&mut self, undo: &Undo) -> Result<Applied, EditError> {
        let failed = |failure| EditError {
            step: EditStep::Undo,
            failure,
        };
        undo.check(self).map_err(failed)?;
        let mut work = Work::on(self).map_err(failed)?;
        match undo.revert(&mut work) {
            Ok(()) => Ok(work.finish()),
            Err(failure) => {
                work.roll_back();
                Err(failed(failure))
            }
        }
    }
}

impl Undo {
    /// What has become of the notebook that was as `before` says.
    pub(super) fn describe(before: &Before, now: &Notebook, inserted: Vec<CellId>, deleted: Vec<CellId>) -> Applied {
        let cells: HashMap<&CellId, &Cell> = now.cells.iter().map(|cell| (&cell.id, cell)).collect();
        let elsewhere = moved(now.cells.iter().map(Cell::id), before.order.iter());
        let undo = Undo {
            created: inserted.iter().map(|id| created(cells[id])).collect(),
            placed: placed(before, |id| elsewhere.contains(id) || !cells.contains_key(id), &deleted),
            changed: before
                .order
                .iter()
                .filter_map(|id| changed(before.cells.get(id)?, cells.get(id)?))
                .collect(),
            metadata: metadata(before, now),
            minor: (before.minor != now.minor).then(|| minor(before, now)),
        };
        let is_moved = |id: &&CellId| elsewhere.contains(id);
        let moved = before.order.iter().filter(is_moved).cloned().collect();
        Applied {
            inserted,
            deleted,
            changed: undo.changed.iter().map(|changed| changed.cell.clone()).collect(),
            moved,
            undo,
        }
    }

    fn check(&self, notebook: &Notebook) -> Result<(), EditFailure> {
        for Created { cell: id, left } in &self.created {
            let cell = expected(notebook, id)?;
            if authored(cell) != *left {
                return Err(conflict(cell, "has changed since it was created"));
            }
        }
        for Changed { cell: id, parts } in &self.changed {
            let cell = expected(notebook, id)?;
            let is_left = |change: &Change<Part>| cell.part(&change.part).as_ref().map(digest) == change.left;
            if !parts.iter().all(is_left) {
                return Err(conflict(cell, "has changed since"));
            }
        }
        for Placed { cell: id, deleted, .. } in &self.placed {
            match (deleted, notebook.cell(id)) {
                (Some(_), Some(cell)) => return Err(conflict(cell, "is there again")),
                (None, None) => return Err(gone(id)),
                _ => {}
            }
        }
        self.metadata
            .iter()
            .try_for_each(|change| check_member(&notebook.metadata, change))
    }

    fn revert(&self, work: &mut Work<'_>) -> Result<(), EditFailure> {
        if let Some(minor) = &self.minor {
            minor.revert(work)?;
        }
        self.created.iter().try_for_each(|created| work.remove(&created.cell))?;
        for Changed { cell, parts } in &self.changed {
            let holds_ids = work.notebook.minor >= 5;
            let cell = work.touch(cell)?;
            for change in parts.iter().filter(|change| !(holds_ids && change.puts_id())) {
                cell.set_part(&change.part, change.was.clone().map(|was| was.0));
            }
        }
        self.put_back(work)?;
        for change in &self.metadata {
            set_member(work.touch_metadata(), &change.part, change.was.clone().map(|was| was.0));
        }
        Ok(())
    }

    fn put_back(&self, work: &mut Work<'_>) -> Result<(), EditFailure> {
        let mut taken = HashMap::new();
        for Placed { cell: id, deleted, .. } in &self.placed {
            if deleted.is_none() {
                taken.insert(id, work.take(id)?);
            }
        }
        for placed in &self.placed {
            let index = placed.index(work.notebook);
            match taken.remove(&placed.cell) {
                Some(cell) => work.put(index, cell),
                None => work.insert(index, placed.whole()),
            }
        }
        Ok(())
    }
}

fn expected<'n>(notebook: &'n Notebook, id: &CellId) -> Result<&'n Cell, EditFailure> {
    notebook.cell(id).ok_or_else(|| gone(id))
}

fn gone(id: &CellId) -> EditFailure {
    EditFailure::Conflict {
        cell: Some(id.clone()),
        reason: format!("cell `{id}` has been deleted since"),
        present: None,
    }
}

fn check_member(members: &JsonMap, change: &Change<String>) -> Result<(), EditFailure> {
    let name = &change.part;
    if members.get(name).map(digest) == change.left {
        return Ok(());
    }
    Err(EditFailure::Conflict {
        cell: None,
        reason: format!("`{name}` in the notebook's metadata has changed since"),
        present: None,
    })
}

impl Placed {
    /// After the cell that it came after, or before the next one that stayed, whatever has become of the others.
    fn index(&self, notebook: &Notebook) -> usize {
        match (&self.after, &self.before) {
            (None, _) => 0,
            (Some(after), before) => {
                let after = notebook.position(after).map(|at| at + 1);
                let before = || notebook.position(before.as_ref()?);
                after.or_else(before).unwrap_or(notebook.cells.len())
            }
        }
    }

    fn whole(&self) -> Cell {
        let mut cell = Cell::of_type(self.cell.clone(), CellType::Raw, "");
        cell.source = None;
        for (part, was) in self.deleted.iter().flatten() {
            cell.set_part(part, Some(was.0.clone()));
        }
        cell
    }
}

impl Minor {
    fn revert(&self, work: &mut Work<'_>) -> Result<(), EditFailure> {
        if ids(work.notebook) == self.left {
            work.set_minor(self.was, self.member.clone().map(|member| member.0));
            Ok(())
        } else if self.was >= 5 {
            work.raise()
        } else {
            Ok(())
        }
    }
}

fn created(cell: &Cell) -> Created {
    Created {
        cell: cell.id.clone(),
        left: authored(cell),
    }
}

/// What an author has written into the cell.
fn authored(cell: &Cell) -> Digest {
    let parts = cell.parts().into_iter().filter(|part| !part.is_result());
    digest(&parts.map(|part| (format!("{part:?}"), cell.part(&part))).collect())
}

fn placed(before: &Before, is_placed: impl Fn(&CellId) -> bool, deleted: &[CellId]) -> Vec<Placed> {
    let order = &before.order;
    let whole = |id: &CellId| {
        deleted
            .contains(id)
            .then(|| before.cells.get(id))
            .flatten()
            .map(literals)
    };
    let mut next = None;
    let mut placed = Vec::new();
    for (at, id) in order.iter().enumerate().rev() {
        if !is_placed(id) {
            next = Some(id);
            continue;
        }
        placed.push(Placed {
            cell: id.clone(),
            after: at.checked_sub(1).map(|at| order[at].clone()),
            before: next.cloned(),
            deleted: whole(id),
        });
    }
    placed.reverse();
    placed
}

fn literals(cell: &Cell) -> Vec<(Part, Literal)> {
    let parts = cell.parts().into_iter();
    parts
        .filter_map(|part| cell.part(&part).map(|was| (part, Literal(was))))
        .collect()
}

fn changed(before: &Cell, now: &Cell) -> Option<Changed> {
    let parts: Vec<_> = before
        .differing_parts(now)
        .into_iter()
        .map(|part| {
            let (was, left) = (before.part(&part), now.part(&part));
            Change::new(part, was, left.as_ref())
        })
        .collect();
    (!parts.is_empty()).then(|| Changed {
        cell: before.id.clone(),
        parts,
    })
}

fn metadata(before: &Before, now: &Notebook) -> Vec<Change<String>> {
    let Some(before) = &before.metadata else {
        return Vec::new();
    };
    differing_members(before, &now.metadata)
        .map(|name| {
            let (was, left) = (before.get(&name).cloned(), now.metadata.get(&name));
            Change::new(name, was, left)
        })
        .collect()
}

fn minor(before: &Before, now: &Notebook) -> Minor {
    Minor {
        was: before.minor,
        member: before.minor_member.clone().map(Literal),
        left: ids(now),
    }
}

fn ids(notebook: &Notebook) -> Digest {
    let ids: Vec<&str> = notebook.cells.iter().map(|cell| cell.id.as_str()).collect();
    Digest::of(ids.join("\n").as_bytes())
}
