//! What was written a short while ago. A program that has read the file before that, and saves after it, writes over it
//! without having seen it; from what is kept here it is brought in again.

use std::collections::HashMap;
use std::time::SystemTime;

use super::notebook::parts::Part;
use super::notebook::{Cell, MergeConflict, Notebook};
use crate::model::{CellId, Digest, JsonMap};

/// How long a program may take between its reading of the file and its saving, in microseconds. A person who takes back in
/// that time what was just written cannot be told from one who has not seen it.
const WINDOW: i64 = 5_000_000;

/// What is larger is not kept, in bytes of JSON.
const MOST_BYTES: usize = 8 << 20;

/// What is written into a file, as whoever writes it sees it.
#[derive(Debug)]
pub(super) struct Written {
    /// The whole content.
    pub(super) digest: Digest,
    /// None where it is too large, or the cells have no ids of their own.
    pub(super) write: Option<RecentWrite>,
}

/// One change of a file by us.
#[derive(Clone, Debug)]
pub(super) struct RecentWrite {
    /// When, by the clock of the file system: microseconds since 1970.
    pub(super) at: i64,
    /// Only the cells that were changed and deleted, as they were.
    pub(super) before: Vec<u8>,
    /// Only the cells that were changed and inserted, as they are.
    pub(super) after: Vec<u8>,
    /// For each of these, the cell before it.
    pub(super) previous: Vec<Option<CellId>>,
}

/// The cells that a change touches, as they were before.
#[derive(Debug)]
pub(super) struct Touched {
    cells: HashMap<CellId, Option<Cell>>,
    metadata: JsonMap,
}

impl Touched {
    /// None yet.
    pub(super) fn none(notebook: &Notebook) -> Self {
        Self {
            cells: HashMap::new(),
            metadata: notebook.metadata().clone(),
        }
    }

    /// Notes cells that are there, or that may come, as they are; what is noted already stays.
    pub(super) fn note<'a>(&mut self, notebook: &Notebook, ids: impl IntoIterator<Item = &'a CellId>) {
        let places = places(notebook);
        for id in ids {
            let cell = || places.get(id).map(|place| notebook.cells()[*place].clone());
            self.cells.entry(id.clone()).or_insert_with(cell);
        }
    }

    /// Notes cells that were not there.
    pub(super) fn note_new<'a>(&mut self, ids: impl IntoIterator<Item = &'a CellId>) {
        for id in ids {
            self.cells.entry(id.clone()).or_default();
        }
    }

    /// What has become of them.
    pub(super) fn written(self, after: &Notebook, at: Option<SystemTime>) -> Option<RecentWrite> {
        if !has_ids(after) {
            return None;
        }
        let is_touched = |(place, cell): (usize, &Cell)| self.cells.contains_key(cell.id()).then_some(place);
        let now: Vec<usize> = after.cells().iter().enumerate().filter_map(is_touched).collect();
        let previous = now
            .iter()
            .map(|place| Some(after.cells()[place.checked_sub(1)?].id().clone()));
        let previous = previous.collect();
        let latest = excerpt(after, now.iter().map(|place| after.cells()[*place].clone()).collect());
        let mut earlier = excerpt(after, self.cells.into_values().flatten().collect());
        *earlier.metadata_mut() = self.metadata;
        let (before, after) = (earlier.to_bytes(), latest.to_bytes());
        (before.len() + after.len() <= MOST_BYTES).then_some(RecentWrite {
            at: microseconds(at.unwrap_or_else(SystemTime::now)),
            before,
            after,
            previous,
        })
    }
}

/// Whether the file says which cell is which.
fn has_ids(notebook: &Notebook) -> bool {
    notebook.nbformat_minor() >= 5
}

fn places(notebook: &Notebook) -> HashMap<&CellId, usize> {
    let cells = notebook.cells().iter().enumerate();
    cells.map(|(place, cell)| (cell.id(), place)).collect()
}

/// A notebook of these cells alone.
fn excerpt(notebook: &Notebook, cells: Vec<Cell>) -> Notebook {
    Notebook {
        metadata: notebook.metadata.clone(),
        cells,
        rest: notebook.rest.clone(),
        minor: notebook.minor,
        quirks: Vec::new(),
    }
}

fn microseconds(time: SystemTime) -> i64 {
    jiff::Timestamp::try_from(time).map_or(i64::MAX, jiff::Timestamp::as_microsecond)
}

/// The writes that whoever wrote the file at `modified` may not have seen.
pub(super) fn unseen(mut writes: Vec<RecentWrite>, modified: Option<SystemTime>) -> Vec<RecentWrite> {
    let modified = modified.map(microseconds);
    writes.retain(|write| modified.is_some_and(|modified| is_kept(write.at, modified)));
    writes
}

/// Whether an earlier write is of use still when the file is written at `now`.
pub(super) fn is_kept(at: i64, now: i64) -> bool {
    at.abs_diff(now) <= WINDOW.unsigned_abs()
}

/// What became of a notebook that another program has saved.
#[derive(Debug, Default)]
pub(super) struct BroughtIn {
    pub(super) is_changed: bool,
    pub(super) conflicts: Vec<MergeConflict>,
}

impl Notebook {
    /// Brings in what was written and is not there, because whoever saved this one had not seen it.
    pub(super) fn bring_in(&mut self, writes: &[RecentWrite], touched: &mut Touched) -> BroughtIn {
        let mut chains = Chains::default();
        for write in writes.iter().filter(|_| has_ids(self)) {
            chains.add(write);
        }
        let mut is_changed = chains.put_metadata(self);
        let unseen = chains.unseen(self);
        if unseen.is_empty() {
            return BroughtIn {
                is_changed,
                conflicts: Vec::new(),
            };
        }
        touched.note(self, unseen.iter().map(|change| change.id));
        let mut base = self.clone();
        for change in &unseen {
            put(&mut base, change, change.base);
        }
        let mut ours = base.clone();
        for change in &unseen {
            put(&mut ours, change, change.last);
        }
        let merged = Notebook::merge(&base, &ours, self);
        is_changed |= merged.changed_ours;
        *self = merged.notebook;
        touched.note_new(merged.conflicts.iter().filter_map(MergeConflict::added));
        BroughtIn {
            is_changed,
            conflicts: merged.conflicts,
        }
    }
}

/// What we have made of each cell, one after the other.
#[derive(Debug, Default)]
struct Chains {
    order: Vec<CellId>,
    cells: HashMap<CellId, Chain>,
    metadata: Vec<(JsonMap, JsonMap)>,
}

#[derive(Debug, Default)]
struct Chain {
    states: Vec<State>,
    previous: Option<CellId>,
}

/// A cell at one moment; none where it was not there.
#[derive(Debug)]
struct State {
    cell: Option<Cell>,
    /// Whether we have made it of the one before; otherwise others have.
    is_ours: bool,
}

/// A change that the notebook lacks.
struct Unseen<'c> {
    id: &'c CellId,
    previous: Option<&'c CellId>,
    /// What the other program has seen.
    base: Option<&'c Cell>,
    last: Option<&'c Cell>,
    /// Whether all that we have done since is to execute it; a source that others have changed meanwhile is not ours to
    /// keep.
    is_result: bool,
}

impl Unseen<'_> {
    /// Whether it is what an execution has made of another source than the cell has now.
    fn is_result_of_another(&self, present: Option<&Cell>) -> bool {
        let (Some(last), Some(present)) = (self.last, present) else {
            return false;
        };
        present.source() != last.source() && self.is_result
    }
}

impl Chains {
    fn add(&mut self, write: &RecentWrite) {
        let (Ok(before), Ok(after)) = (Notebook::parse(&write.before), Notebook::parse(&write.after)) else {
            return;
        };
        let mut earlier: HashMap<CellId, Cell> =
            before.cells.into_iter().map(|cell| (cell.id().clone(), cell)).collect();
        for (cell, previous) in after.cells.into_iter().zip(&write.previous) {
            let id = cell.id().clone();
            let was = earlier.remove(&id);
            self.extend(id, was, Some(cell)).previous.clone_from(previous);
        }
        for (id, cell) in earlier {
            self.extend(id, Some(cell), None);
        }
        self.metadata.push((before.metadata, after.metadata));
    }

    fn extend(&mut self, id: CellId, was: Option<Cell>, is: Option<Cell>) -> &mut Chain {
        if !self.cells.contains_key(&id) {
            self.order.push(id.clone());
        }
        let chain = self.cells.entry(id).or_default();
        if chain.states.last().map(|state| &state.cell) != Some(&was) {
            chain.states.push(State {
                cell: was,
                is_ours: false,
            });
        }
        chain.states.push(State {
            cell: is,
            is_ours: true,
        });
        chain
    }

    /// Sets the members that the notebook has as they were before.
    fn put_metadata(&self, notebook: &mut Notebook) -> bool {
        let mut is_changed = false;
        for (before, after) in &self.metadata {
            let names = before
                .keys()
                .chain(after.keys().filter(|name| !before.contains_key(*name)));
            for name in names.filter(|name| before.get(*name) != after.get(*name)) {
                if notebook.metadata.get(name) != before.get(name) {
                    continue;
                }
                is_changed = true;
                match after.get(name) {
                    Some(value) => drop(notebook.metadata.insert(name.clone(), value.clone())),
                    None => drop(notebook.metadata.shift_remove(name)),
                }
            }
        }
        is_changed
    }

    fn unseen(&self, notebook: &Notebook) -> Vec<Unseen<'_>> {
        let places = places(notebook);
        let unseen = self.order.iter().filter_map(|id| {
            let chain = &self.cells[id];
            let present = places.get(id).map(|place| &notebook.cells()[*place]);
            let last = chain.states.len() - 1;
            let base = chain.base(present);
            let change = Unseen {
                id,
                previous: chain.previous.as_ref(),
                base: chain.states[base].cell.as_ref(),
                last: chain.states[last].cell.as_ref(),
                is_result: chain.is_executed_only(base),
            };
            (base != last && !change.is_result_of_another(present)).then_some(change)
        });
        unseen.collect()
    }
}

impl Chain {
    /// The state of the cell that the other program has begun with.
    fn base(&self, present: Option<&Cell>) -> usize {
        let places = (0..self.states.len()).rev();
        let last = self.states.len() - 1;
        match present {
            None => places
                .clone()
                .find(|place| self.states[*place].cell.is_none())
                .unwrap_or(last),
            Some(present) => {
                let distance = |place: &usize| Some(distance(self.states[*place].cell.as_ref()?, present));
                let known = places.filter_map(|place| Some((distance(&place)?, place)));
                known
                    .min_by_key(|(distance, _)| *distance)
                    .map_or(last, |(_, place)| place)
            }
        }
    }

    /// Whether all of our steps from a state on are executions.
    fn is_executed_only(&self, base: usize) -> bool {
        let mut steps = self.states[base..].windows(2);
        steps.all(|step| match (&step[0].cell, &step[1].cell) {
            (Some(was), Some(is)) => !step[1].is_ours || was.differing_parts(is).iter().all(Part::is_result),
            _ => false,
        })
    }
}

/// How far an author and a run have come from one cell to the other: in the source, and in all else.
fn distance(from: &Cell, to: &Cell) -> (usize, bool) {
    let common = |one: &str, other: &str| {
        one.bytes()
            .zip(other.bytes())
            .take_while(|(one, other)| one == other)
            .count()
    };
    let (one, other) = (from.source(), to.source());
    let start = common(one, other);
    let (one, other) = (&one.as_bytes()[start..], &other.as_bytes()[start..]);
    let end = one
        .iter()
        .rev()
        .zip(other.iter().rev())
        .take_while(|(one, other)| one == other)
        .count();
    let edited = one.len() + other.len() - 2 * end;
    let is_run = from.outputs != to.outputs || from.execution_count != to.execution_count;
    (edited, is_run)
}

fn put(notebook: &mut Notebook, change: &Unseen<'_>, state: Option<&Cell>) {
    match (notebook.position(change.id), state) {
        (Some(place), Some(cell)) => notebook.cells_mut()[place] = cell.clone(),
        (Some(place), None) => drop(notebook.cells_mut().remove(place)),
        (None, Some(cell)) => {
            let after = change
                .previous
                .map(|previous| notebook.position(previous).map(|place| place + 1));
            let place = after.map_or(0, |place| place.unwrap_or(notebook.cells().len()));
            notebook.cells_mut().insert(place, cell.clone());
        }
        (None, None) => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Json;

    fn notebook(cells: &[(&str, &str)]) -> Notebook {
        let empty = br#"{"cells": [], "metadata": {}, "nbformat": 4, "nbformat_minor": 5}"#;
        let mut notebook = Notebook::parse(empty).unwrap();
        *notebook.cells_mut() = cells
            .iter()
            .map(|(id, source)| Cell::new_code((*id).into(), source))
            .collect();
        notebook
    }

    /// What a change to `after` leaves behind.
    fn write(before: &Notebook, after: &Notebook) -> RecentWrite {
        let ids: Vec<CellId> = before
            .cells()
            .iter()
            .chain(after.cells())
            .map(|cell| cell.id().clone())
            .collect();
        let mut touched = Touched::none(before);
        touched.note(before, &ids);
        touched.written(after, None).unwrap()
    }

    fn bring_in(notebook: &mut Notebook, writes: &[RecentWrite]) -> BroughtIn {
        let mut touched = Touched::none(notebook);
        notebook.bring_in(writes, &mut touched)
    }

    fn sources(notebook: &Notebook) -> Vec<&str> {
        notebook.cells().iter().map(Cell::source).collect()
    }

    #[test]
    fn what_a_stale_save_has_taken_away_comes_back() {
        let first = notebook(&[("a", "1"), ("b", "2"), ("gone", "0")]);
        let mut second = notebook(&[("a", "1"), ("b", "2, edited"), ("c", "3"), ("d", "4")]);
        second.metadata_mut().insert("key".to_owned(), Json::from("ours"));
        let output: Json = [("name", "stdout"), ("output_type", "stream"), ("text", "1")]
            .into_iter()
            .collect();
        let mut third = second.clone();
        third.cells_mut()[0].outputs_mut().push(output.clone());
        let writes = [write(&first, &second), write(&second, &third)];
        let mut stale = notebook(&[("a", "1"), ("p", "a person's"), ("b", "2"), ("gone", "0")]);
        let brought = bring_in(&mut stale, &writes);
        assert!(brought.is_changed && brought.conflicts.is_empty());
        assert_eq!(sources(&stale), ["1", "a person's", "2, edited", "3", "4"]);
        assert_eq!(stale.cells()[0].outputs(), [output]);
        assert_eq!(stale.metadata(), third.metadata());
        assert!(!bring_in(&mut stale, &writes).is_changed);
    }

    #[test]
    fn a_person_may_take_back_an_own_edit() {
        let executed = |source: &str, count| {
            let mut notebook = notebook(&[("a", source)]);
            notebook.cells_mut()[0].set_execution_count(Some(count));
            notebook
        };
        let writes = [
            write(&notebook(&[("a", "1")]), &executed("1", 1)),
            write(&executed("edited", 1), &executed("edited", 2)),
        ];
        let mut back = executed("1", 1);
        let brought = bring_in(&mut back, &writes);
        assert!(!brought.is_changed && brought.conflicts.is_empty());
        assert_eq!(sources(&back), ["1"]);
    }

    #[test]
    fn what_was_seen_and_changed_stays_changed() {
        let first = notebook(&[("a", "1"), ("b", "2")]);
        let second = notebook(&[("a", "1\nmore"), ("b", "2")]);
        let writes = [write(&first, &second)];
        for cells in [
            &[("a", "1\nmore!"), ("b", "2")][..],
            &[("b", "2")],
            &[("a", "1\nmore"), ("b", "x")],
        ] {
            let mut saved = notebook(cells);
            let brought = bring_in(&mut saved, &writes);
            assert!(!brought.is_changed, "{cells:?}");
        }
    }

    #[test]
    fn two_edits_of_one_cell_both_stay() {
        let first = notebook(&[("a", "one = 1")]);
        let second = notebook(&[("a", "one = 1\nours = 2")]);
        let mut saved = notebook(&[("a", "# theirs\none = 1")]);
        let brought = bring_in(&mut saved, &[write(&first, &second)]);
        assert_eq!(brought.conflicts.len(), 1);
        assert_eq!(sources(&saved), ["# theirs\none = 1", "one = 1\nours = 2"]);
    }

    #[test]
    fn only_what_was_written_just_before_may_be_unseen() {
        let first = notebook(&[("a", "1")]);
        let write = write(&first, &notebook(&[("a", "2")]));
        let at = |offset: i64| {
            let since = std::time::Duration::from_micros(u64::try_from(write.at + offset).unwrap());
            unseen(vec![write.clone()], Some(SystemTime::UNIX_EPOCH + since)).len()
        };
        assert_eq!([at(-WINDOW - 1), at(-WINDOW), at(WINDOW), at(WINDOW + 1)], [0, 1, 1, 0]);
        assert!(unseen(vec![write.clone()], None).is_empty());
    }
}
