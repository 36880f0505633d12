//! What has changed between two states of a notebook, cell by cell.

use std::collections::{HashMap, HashSet};

use serde::{Deserialize, Serialize};

use super::align::moved;
use super::cell::{Cell, CellType};
use super::document::Notebook;
use super::parts::{Part, differing_members};
use crate::model::CellId;

/// The differences between two states of a notebook, by [`Notebook::diff`].
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct NotebookDiff {
    /// The cells that differ: those of the newer state in their order, and each removed one where it stood.
    pub cells: Vec<CellDiff>,
    /// The members of the notebook's metadata that differ.
    pub metadata: Vec<String>,
    /// The other members of the document that differ, such as `nbformat_minor`.
    pub other: Vec<String>,
}

/// One difference of a cell. A cell that was moved and changed has two.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "change", rename_all = "snake_case")]
#[non_exhaustive]
pub enum CellDiff {
    /// The cell is new.
    Added {
        /// Its id.
        cell: CellId,
        /// Where it is, from 0.
        at: usize,
    },
    /// The cell is gone.
    Removed {
        /// The id that it had.
        cell: CellId,
        /// Where it was, from 0.
        at: usize,
    },
    /// The cell stands elsewhere among the others; not told of those that merely make way.
    Moved {
        /// Its id in the newer state.
        cell: CellId,
        /// Where it was, from 0.
        from: usize,
        /// Where it is, from 0.
        to: usize,
    },
    /// The cell has another content.
    Changed {
        /// Its id in the newer state.
        cell: CellId,
        /// Whether the source differs.
        source: bool,
        /// Whether outputs or execution count differ.
        outputs: bool,
        /// The members of the metadata that differ.
        metadata: Vec<String>,
        /// What the type was and is, where it differs.
        cell_type: Option<TypeChange>,
        /// The other members that differ, such as `attachments`.
        other: Vec<String>,
    },
}

/// A cell's types.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TypeChange {
    /// In the older state.
    pub from: CellType,
    /// In the newer one.
    pub to: CellType,
}

impl NotebookDiff {
    /// Whether both states are the same.
    pub fn is_empty(&self) -> bool {
        self.cells.is_empty() && self.metadata.is_empty() && self.other.is_empty()
    }
}

impl Notebook {
    /// What has changed from this state of a notebook to a newer one. Which cells are the same is told by
    /// [`Notebook::counterparts`]; how their sources differ, by [`line_diff`](super::line_diff).
    ///
    /// ```
    /// use mcp_jupyter_core::session::notebook::{Cell, CellDiff, Notebook};
    ///
    /// let older = Notebook::parse(br#"{"cells": [], "metadata": {}, "nbformat": 4, "nbformat_minor": 5}"#)?;
    /// let mut newer = older.clone();
    /// newer.cells_mut().push(Cell::new_code("a".into(), "x = 1"));
    /// assert_eq!(older.diff(&newer).cells, [CellDiff::Added { cell: "a".into(), at: 0 }]);
    /// # Ok::<(), mcp_jupyter_core::session::SessionError>(())
    /// ```
    pub fn diff(&self, newer: &Notebook) -> NotebookDiff {
        let counterparts = newer.counterparts(self);
        let mut cells = Vec::new();
        let mut removed = removed(self, &counterparts);
        cells.append(&mut removed.remove(&None).unwrap_or_default());
        let moved = moved_cells(self, &counterparts);
        for (to, (cell, counterpart)) in newer.cells.iter().zip(counterparts).enumerate() {
            let Some(from) = counterpart else {
                let cell = cell.id.clone();
                cells.push(CellDiff::Added { cell, at: to });
                continue;
            };
            if moved.contains(&from) {
                let cell = cell.id.clone();
                cells.push(CellDiff::Moved { cell, from, to });
            }
            cells.extend(changed(&self.cells[from], cell));
            cells.append(&mut removed.remove(&Some(from)).unwrap_or_default());
        }
        NotebookDiff {
            cells,
            metadata: differing_members(&self.metadata, &newer.metadata).collect(),
            other: differing_members(&self.rest, &newer.rest).collect(),
        }
    }
}

/// The cells that are gone, by the place of the last one before them that is not.
fn removed(older: &Notebook, counterparts: &[Option<usize>]) -> HashMap<Option<usize>, Vec<CellDiff>> {
    let kept: HashSet<usize> = counterparts.iter().copied().flatten().collect();
    let mut removed: HashMap<_, Vec<CellDiff>> = HashMap::new();
    let mut last = None;
    for (at, cell) in older.cells.iter().enumerate() {
        if kept.contains(&at) {
            last = Some(at);
            continue;
        }
        let cell = cell.id.clone();
        removed.entry(last).or_default().push(CellDiff::Removed { cell, at });
    }
    removed
}

/// The places in `older` of the cells that stand elsewhere now.
fn moved_cells(older: &Notebook, counterparts: &[Option<usize>]) -> HashSet<usize> {
    let ids = || older.cells.iter().map(Cell::id);
    let now = counterparts.iter().flatten().map(|at| older.cells[*at].id());
    let moved = moved(ids(), now);
    ids()
        .zip(0..)
        .filter(|(id, _)| moved.contains(id))
        .map(|(_, at)| at)
        .collect()
}

fn changed(older: &Cell, newer: &Cell) -> Option<CellDiff> {
    let parts = older.differing_parts(newer);
    if parts.is_empty() {
        return None;
    }
    let has = |part: &Part| parts.contains(part);
    let member = |part: &Part| match part {
        Part::Metadata(name) => Some(name.clone()),
        _ => None,
    };
    let other = |part: &Part| match part {
        Part::Other(name) => Some(name.clone()),
        _ => None,
    };
    Some(CellDiff::Changed {
        cell: newer.id.clone(),
        source: has(&Part::Source),
        // With the type code a cell loses its count, which says nothing about an execution.
        outputs: has(&Part::Outputs) || (older.kind == newer.kind && has(&Part::ExecutionCount)),
        metadata: parts.iter().filter_map(member).collect(),
        cell_type: has(&Part::CellType).then_some(TypeChange {
            from: older.kind,
            to: newer.kind,
        }),
        other: parts.iter().filter_map(other).collect(),
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::model::Json;

    fn notebook(minor: u8, ids: &str) -> Notebook {
        let document = format!(r#"{{"cells": [], "metadata": {{}}, "nbformat": 4, "nbformat_minor": {minor}}}"#);
        let mut notebook = Notebook::parse(document.as_bytes()).unwrap();
        *notebook.cells_mut() = ids
            .chars()
            .map(|id| Cell::new_code(id.to_string().into(), "same"))
            .collect();
        notebook
    }

    fn diff(older: &str, newer: &str) -> Vec<String> {
        let describe = |diff: CellDiff| match diff {
            CellDiff::Added { cell, at } => format!("+{cell}{at}"),
            CellDiff::Removed { cell, at } => format!("-{cell}{at}"),
            CellDiff::Moved { cell, from, to } => format!("{cell}{from}>{to}"),
            CellDiff::Changed { cell, .. } => format!("~{cell}"),
        };
        let diff = notebook(5, older).diff(&notebook(5, newer));
        diff.cells.into_iter().map(describe).collect()
    }

    #[test]
    fn equal_notebooks_have_no_difference() {
        let notebook = notebook(5, "abc");
        assert!(notebook.diff(&notebook).is_empty());
    }

    #[test]
    fn cells_come_go_and_move() {
        assert_eq!(diff("abc", "xabyc"), ["+x0", "+y3"]);
        assert_eq!(diff("abcd", "bd"), ["-a0", "-c2"]);
        assert_eq!(diff("abcd", "dabc"), ["d3>0"]);
        assert_eq!(diff("abcd", "bcad"), ["a0>2"]);
        assert_eq!(diff("abc", "cxa"), ["c2>0", "+x1", "-b1"]);
        assert_eq!(diff("ab", ""), ["-a0", "-b1"]);
    }

    #[test]
    fn what_has_changed_in_a_cell_is_told() {
        let older = notebook(5, "abcd");
        let mut newer = older.clone();
        newer.cells[0].set_source("other");
        newer.cells[0].add_tag("t");
        newer.cells[1].outputs.push(Json::from("out"));
        newer.cells[2].execution_count = Some(Json::from(1_i64));
        newer.cells[3] = Cell::new_markdown("d".into(), "same");
        newer.cells[3].rest.insert("attachments".to_owned(), Json::Null);
        newer.metadata.insert("title".to_owned(), Json::Null);
        let diff = serde_json::to_value(older.diff(&newer)).unwrap();
        let changed = |cell: &str, source: bool, outputs: bool, metadata: &[&str]| {
            serde_json::json!({
                "change": "changed", "cell": cell, "source": source, "outputs": outputs, "metadata": metadata,
                "cell_type": null, "other": [],
            })
        };
        let mut last = changed("d", false, false, &[]);
        last["cell_type"] = serde_json::json!({"from": "code", "to": "markdown"});
        last["other"] = serde_json::json!(["attachments"]);
        let cells = [
            changed("a", true, false, &["tags"]),
            changed("b", false, true, &[]),
            changed("c", false, true, &[]),
            last,
        ];
        assert_eq!(
            diff,
            serde_json::json!({"cells": cells, "metadata": ["title"], "other": []})
        );
        assert!(!serde_json::from_value::<NotebookDiff>(diff).unwrap().is_empty());
    }

    #[test]
    fn cells_without_ids_are_matched_by_their_sources() {
        let sources = |sources: &[&str]| {
            let mut notebook = notebook(4, "");
            let cells = sources.iter().map(|source| Cell::new_code("".into(), source));
            *notebook.cells_mut() = cells.collect();
            Notebook::parse(&notebook.to_bytes()).unwrap()
        };
        let (older, newer) = (sources(&["a", "b", "c"]), sources(&["new", "a", "b2", "c"]));
        let diff = older.diff(&newer).cells;
        let is_expected = matches!(
            diff.as_slice(),
            [CellDiff::Added { at: 0, .. }, CellDiff::Changed { cell, source: true, .. }] if cell == newer.cells()[2].id()
        );
        assert!(is_expected, "{diff:?}");
        let mut raised = notebook(5, "x");
        raised.cells[0].set_source("a");
        assert_eq!(sources(&["a"]).diff(&raised).other, ["nbformat_minor"]);
    }

    fn ids() -> impl Strategy<Value = Vec<char>> {
        prop::sample::subsequence("abcdefg".chars().collect::<Vec<_>>(), 0..8).prop_shuffle()
    }

    proptest! {
        #[test]
        fn no_difference_is_no_change_and_each_cell_is_accounted_for(older in ids(), newer in ids()) {
            let text = |ids: &[char]| ids.iter().collect::<String>();
            let (older, newer) = (notebook(5, &text(&older)), notebook(5, &text(&newer)));
            let diff = older.diff(&newer);
            prop_assert_eq!(diff.is_empty(), older.to_bytes() == newer.to_bytes());
            // What the diff says, done to the older notebook, gives the newer one.
            let gone = |id: &CellId| diff.cells.iter().any(|diff| match diff {
                CellDiff::Removed { cell, .. } | CellDiff::Moved { cell, .. } => cell == id,
                _ => false,
            });
            let mut cells: Vec<CellId> = older.cells.iter().map(|cell| cell.id.clone()).filter(|id| !gone(id)).collect();
            for diff in &diff.cells {
                if let CellDiff::Added { cell, at: to } | CellDiff::Moved { cell, to, .. } = diff {
                    cells.insert(*to, cell.clone());
                }
            }
            prop_assert!(cells.iter().eq(newer.cells.iter().map(Cell::id)));
        }
    }
}
