//! What a run has changed, put into a notebook that others have changed meanwhile.

use std::collections::HashMap;

use super::cell::{Cell, CellType};
use super::document::Notebook;
use crate::model::{CellId, JsonMap};

/// What became of a run's results.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Merged {
    /// Whether the notebook is another one now.
    pub is_changed: bool,
    /// Cells that had results and were edited meanwhile, or are gone: their results are of another source than theirs,
    /// and were left out. By the ids that the run knew them by.
    pub left_out: Vec<CellId>,
}

impl Notebook {
    /// Takes over what a run has changed: outputs, execution counts and metadata, where `after` differs from `before`,
    /// which is what the run was given. Cells, sources and all else stay as they are here.
    ///
    /// A cell takes results only of the very source that it has; cells are matched as by [`Notebook::counterparts`].
    pub fn merge_results(&mut self, before: &Notebook, after: &Notebook) -> Merged {
        let mut results = results(before, after);
        let mut is_changed = merge_members(&mut self.metadata, &before.metadata, &after.metadata);
        for (position, id) in self.ids_as_in(after).iter().enumerate() {
            let cell = &mut self.cells[position];
            if cell.kind == CellType::Code
                && let Some((before, after)) = results.get(id)
                && cell.source() == after.source()
            {
                is_changed |= merge_cell(cell, before, after);
                results.remove(id);
            }
        }
        let left_out = after.cells.iter().map(Cell::id).filter(|id| results.contains_key(id));
        Merged {
            is_changed,
            left_out: left_out.cloned().collect(),
        }
    }
}

/// The cells that the run has changed, as they were and as they are.
fn results<'a>(before: &'a Notebook, after: &'a Notebook) -> HashMap<CellId, (&'a Cell, &'a Cell)> {
    let earlier: HashMap<&CellId, &Cell> = before.cells.iter().map(|cell| (cell.id(), cell)).collect();
    let changed = |cell: &'a Cell| {
        let before = earlier.get(cell.id())?;
        (*before != cell).then(|| (cell.id().clone(), (*before, cell)))
    };
    after.cells.iter().filter_map(changed).collect()
}

fn merge_cell(cell: &mut Cell, before: &Cell, after: &Cell) -> bool {
    let is_changed = merge_members(&mut cell.metadata, &before.metadata, &after.metadata);
    // Outputs may be the same as before; they are those of this execution all the same.
    let is_executed = after.outputs != before.outputs || after.execution_count != before.execution_count;
    if !is_executed || cell.outputs == after.outputs && cell.execution_count == after.execution_count {
        return is_changed;
    }
    cell.outputs.clone_from(&after.outputs);
    cell.execution_count.clone_from(&after.execution_count);
    true
}

/// Sets and removes the members that differ between `before` and `after`; tells whether anything is another one now.
pub(super) fn merge_members(members: &mut JsonMap, before: &JsonMap, after: &JsonMap) -> bool {
    let mut is_changed = false;
    for (name, value) in after.iter().filter(|(name, value)| before.get(*name) != Some(*value)) {
        is_changed |= members.insert(name.clone(), value.clone()).as_ref() != Some(value);
    }
    for name in before.keys().filter(|name| !after.contains_key(*name)) {
        is_changed |= members.shift_remove(name).is_some();
    }
    is_changed
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::model::Json;

    fn notebook(minor: u8, cells: &[(String, String)]) -> Notebook {
        let document = format!(r#"{{"cells": [], "metadata": {{}}, "nbformat": 4, "nbformat_minor": {minor}}}"#);
        let mut notebook = Notebook::parse(document.as_bytes()).unwrap();
        *notebook.cells_mut() = cells
            .iter()
            .map(|(id, source)| Cell::new_code(id.as_str().into(), source))
            .collect();
        notebook
    }

    /// Executes some cells: each output holds the source that made it.
    fn execute(notebook: &Notebook, executed: impl Fn(usize) -> bool) -> Notebook {
        let mut notebook = notebook.clone();
        for (position, cell) in notebook.cells.iter_mut().enumerate().filter(|(at, _)| executed(*at)) {
            cell.outputs = vec![Json::from(cell.source())];
            cell.set_execution_count(i64::try_from(position).ok());
            cell.metadata.insert("execution".to_owned(), Json::from("now"));
        }
        notebook
            .metadata
            .insert("language_info".to_owned(), Json::from("python"));
        notebook
    }

    fn cells(cells: &[(&str, &str)]) -> Vec<(String, String)> {
        cells
            .iter()
            .map(|(id, source)| ((*id).to_owned(), (*source).to_owned()))
            .collect()
    }

    #[test]
    fn results_go_to_the_cells_that_still_have_their_source() {
        let before = notebook(5, &cells(&[("a", "1"), ("b", "2"), ("c", "3")]));
        let after = execute(&before, |at| at < 2);
        let mut newest = notebook(5, &cells(&[("n", "0"), ("b", "edited"), ("a", "1"), ("c", "3")]));
        newest.metadata.insert("kernelspec".to_owned(), Json::from("mine"));
        let merged = newest.merge_results(&before, &after);
        assert_eq!(
            merged,
            Merged {
                is_changed: true,
                left_out: vec!["b".into()]
            }
        );
        assert_eq!(newest.cells[2].outputs, after.cells[0].outputs);
        assert_eq!(newest.cells[2].metadata, after.cells[0].metadata);
        for untouched in [0, 1, 3] {
            assert!(newest.cells[untouched].outputs.is_empty() && newest.cells[untouched].metadata.is_empty());
        }
        assert_eq!(newest.metadata.len(), 2);
        let again = newest.merge_results(&before, &after);
        assert!(!again.is_changed);
    }

    #[test]
    fn what_the_run_has_cleared_is_cleared() {
        let before = execute(&notebook(5, &cells(&[("a", "1")])), |_| true);
        let mut after = before.clone();
        after.cells[0].outputs.clear();
        after.cells[0].metadata.shift_remove("execution");
        let mut newest = before.clone();
        assert!(newest.merge_results(&before, &after).is_changed);
        assert_eq!(newest.cells, after.cells);
    }

    #[test]
    fn the_same_outputs_again_are_results_too() {
        let before = execute(&notebook(5, &cells(&[("a", "1")])), |_| true);
        let mut after = before.clone();
        after.cells[0].set_execution_count(Some(7));
        let mut newest = notebook(5, &cells(&[("a", "1")]));
        newest.merge_results(&before, &after);
        assert_eq!(newest.cells[0].outputs, after.cells[0].outputs);
    }

    fn edited() -> impl Strategy<Value = Vec<(String, String)>> {
        prop::collection::vec(("[a-f]", "[uvw]"), 0..8).prop_map(|mut cells| {
            let mut seen = std::collections::HashSet::new();
            cells.retain(|(id, _)| seen.insert(id.clone()));
            cells
        })
    }

    proptest! {
        #[test]
        fn no_result_lands_in_a_cell_of_another_source(
            given in edited(), now in edited(), minor in 4_u8..6, executed in any::<u8>(),
        ) {
            let before = notebook(minor, &given);
            let after = execute(&before, |at| executed >> at & 1 == 1);
            let mut newest = notebook(minor, &now);
            let left_out = newest.merge_results(&before, &after).left_out;
            let sources: Vec<_> = newest.cells.iter().map(|cell| (cell.id.to_string(), cell.source().to_owned())).collect();
            prop_assert_eq!(sources, now);
            let mut taken = 0;
            for cell in &newest.cells {
                prop_assert!(cell.outputs.is_empty() || cell.outputs == [Json::from(cell.source())]);
                taken += usize::from(!cell.outputs.is_empty());
            }
            let results = after.cells.iter().filter(|cell| !cell.outputs.is_empty()).count();
            prop_assert_eq!(taken + left_out.len(), results);
        }

        #[test]
        fn where_nothing_else_has_changed_the_result_is_the_runs(given in edited(), minor in 4_u8..6, executed in any::<u8>()) {
            let before = notebook(minor, &given);
            let after = execute(&before, |at| executed >> at & 1 == 1);
            let mut newest = before.clone();
            prop_assert!(newest.merge_results(&before, &after).left_out.is_empty());
            prop_assert_eq!(newest.to_bytes(), after.to_bytes());
        }
    }
}
