//! What was executed, for an editor that does not know it yet.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use mcp_jupyter_core::model::{CellId, JsonMap};
use mcp_jupyter_core::session::CellResult;
use mcp_jupyter_core::session::notebook::{Cell, Notebook};

/// The latest results of all cells.
///
/// An editor that had opened the notebook before they were written saves without them, and the kernel has executed these
/// cells all the same: nothing would ever bring their outputs back.
#[derive(Debug)]
pub(super) struct Memory {
    latest: Arc<Notebook>,
    /// The execution counts that each cell has had with its present source.
    counts: HashMap<CellId, HashSet<Option<i64>>>,
}

impl Memory {
    /// Nothing was executed yet.
    pub(super) fn new(notebook: &Arc<Notebook>) -> Self {
        let mut memory = Self {
            latest: Arc::clone(notebook),
            counts: HashMap::new(),
        };
        memory.see(notebook);
        memory
    }

    /// A run has made `after` of `found`.
    pub(super) fn record(&mut self, found: &Notebook, after: &Arc<Notebook>) {
        let earlier: HashMap<&CellId, &str> = self
            .latest
            .cells()
            .iter()
            .map(|cell| (cell.id(), cell.source()))
            .collect();
        let is_same = |cell: &&Cell| earlier.get(cell.id()) == Some(&cell.source());
        let same: HashSet<&CellId> = after.cells().iter().filter(is_same).map(Cell::id).collect();
        self.counts.retain(|id, _| same.contains(id));
        self.latest = Arc::clone(after);
        self.see(found);
        self.see(after);
    }

    fn see(&mut self, notebook: &Notebook) {
        for cell in notebook.cells() {
            let counts = self.counts.entry(cell.id().clone()).or_default();
            counts.insert(cell.execution_count());
        }
    }

    /// The results that cells of an edited notebook have lost: where the source is the same and what the editor has is an
    /// earlier state; any other outputs are somebody's will.
    pub(super) fn lost(&self, edited: &Notebook) -> Vec<CellResult> {
        let ids = edited.ids_as_in(&self.latest);
        let latest: HashMap<&CellId, &Cell> = self.latest.cells().iter().map(|cell| (cell.id(), cell)).collect();
        let is_lost = |cell: &Cell, latest: &Cell| {
            let counts = self.counts.get(latest.id());
            latest.source() == cell.source()
                && latest.execution_count() != cell.execution_count()
                && counts.is_some_and(|counts| counts.contains(&cell.execution_count()))
        };
        let known = edited.cells().iter().zip(&ids);
        known
            .filter_map(|(cell, id)| Some((cell, *latest.get(id)?)))
            .filter(|(cell, latest)| is_lost(cell, latest))
            .map(|(cell, latest)| result(cell, latest))
            .collect()
    }
}

/// What `latest` shows, for `cell`.
fn result(cell: &Cell, latest: &Cell) -> CellResult {
    CellResult {
        cell: cell.id().clone(),
        source: cell.source_digest(),
        outputs: latest.outputs().to_vec(),
        execution_count: latest.execution_count(),
        metadata: JsonMap::default(),
        notebook_metadata: JsonMap::default(),
        end: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn notebook(cells: &[(&str, Option<i64>)]) -> Arc<Notebook> {
        let empty = br#"{"cells": [], "metadata": {}, "nbformat": 4, "nbformat_minor": 5}"#;
        let mut notebook = Notebook::parse(empty).unwrap();
        let cell = |(at, (source, count)): (usize, &(&str, Option<i64>))| {
            let mut cell = Cell::new_code(format!("c{at}").into(), source);
            cell.set_execution_count(*count);
            cell
        };
        notebook.cells_mut().extend(cells.iter().enumerate().map(cell));
        Arc::new(notebook)
    }

    fn restored(memory: &Memory, edited: &[(&str, Option<i64>)]) -> Vec<Option<i64>> {
        let edited = notebook(edited);
        let lost = memory.lost(&edited);
        let count = |cell: &Cell| match lost.iter().find(|lost| lost.cell == *cell.id()) {
            Some(lost) => lost.execution_count,
            None => cell.execution_count(),
        };
        edited.cells().iter().map(count).collect()
    }

    #[test]
    fn any_earlier_state_is_brought_up_to_date() {
        let first = notebook(&[("x", None), ("y", None)]);
        let mut memory = Memory::new(&first);
        let second = notebook(&[("x", Some(1)), ("y", Some(2))]);
        memory.record(&first, &second);
        let third = notebook(&[("x", Some(1)), ("y", Some(3))]);
        memory.record(&second, &third);
        assert_eq!(restored(&memory, &[("x", None), ("y", Some(2))]), [Some(1), Some(3)]);
        assert_eq!(restored(&memory, &[("x", None), ("y", None)]), [Some(1), Some(3)]);
    }

    #[test]
    fn edited_cells_and_results_of_others_are_left_alone() {
        let first = notebook(&[("x", None), ("y", None)]);
        let mut memory = Memory::new(&first);
        let second = notebook(&[("x", Some(1)), ("y", Some(2))]);
        memory.record(&first, &second);
        assert_eq!(restored(&memory, &[("z", None), ("y", Some(9))]), [None, Some(9)]);
        let third = notebook(&[("z", Some(3)), ("y", Some(2))]);
        memory.record(&notebook(&[("z", Some(1)), ("y", Some(2))]), &third);
        assert_eq!(restored(&memory, &[("z", None), ("n", None)]), [None, None]);
    }
}
