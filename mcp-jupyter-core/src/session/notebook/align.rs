//! Which cell of a notebook is which of an earlier state of it.

use std::collections::{HashMap, HashSet};
use std::ops::Range;

use super::cell::{Cell, CellType};
use super::document::Notebook;
use crate::model::CellId;

impl Notebook {
    /// For each cell, where it stood in `earlier`; none where it is new. No two cells have stood in one place.
    ///
    /// Cells are the same where their ids are. Where one of the notebooks is below nbformat 4.5, its ids are derived from
    /// what an edit changes, so sources decide: equal ones first, in their order as far as possible, then, between
    /// those, the place.
    ///
    /// ```
    /// use mcp_jupyter_core::session::notebook::{Cell, Notebook};
    ///
    /// let mut earlier = Notebook::parse(br#"{"cells": [], "metadata": {}, "nbformat": 4, "nbformat_minor": 4}"#)?;
    /// earlier.cells_mut().push(Cell::new_code("a".into(), "x = 1"));
    /// let mut later = earlier.clone();
    /// later.cells_mut().insert(0, Cell::new_code("b".into(), "import math"));
    /// assert_eq!(later.counterparts(&earlier), [None, Some(0)]);
    /// # Ok::<(), mcp_jupyter_core::session::SessionError>(())
    /// ```
    pub fn counterparts(&self, earlier: &Notebook) -> Vec<Option<usize>> {
        if self.minor >= 5 && earlier.minor >= 5 {
            by_id(earlier.cells(), self.cells())
        } else {
            by_source(earlier.cells(), self.cells())
        }
    }

    /// Lets the cells keep the identities that they have in `earlier`, an earlier state of this notebook, across edits.
    /// Without effect from nbformat 4.5 on, where ids are part of the file.
    pub fn keep_ids(&mut self, earlier: &Notebook) {
        if self.minor < 5 {
            let ids = self.ids_as_in(earlier);
            for (cell, id) in self.cells.iter_mut().zip(ids) {
                cell.id = id;
            }
        }
    }

    /// The id of each cell as `other` has it: that of the cell's counterpart there, else its own, or a new one where a
    /// cell of `other` has that.
    pub fn ids_as_in(&self, other: &Notebook) -> Vec<CellId> {
        let mut taken: HashSet<CellId> = other.cells().iter().map(|cell| cell.id().clone()).collect();
        let counterparts = self.counterparts(other);
        let id = |(cell, counterpart): (&Cell, Option<usize>)| match counterpart {
            Some(position) => other.cells()[position].id().clone(),
            None => {
                let id = free_id(cell.id(), &taken);
                taken.insert(id.clone());
                id
            }
        };
        self.cells().iter().zip(counterparts).map(id).collect()
    }
}

/// `id`, or one that begins so, which is not taken.
pub(super) fn free_id(id: &CellId, taken: &HashSet<CellId>) -> CellId {
    std::iter::once(id.clone())
        .chain((2..taken.len() + 3).map(|number| CellId::from(format!("{id}-{number}"))))
        .find(|id| !taken.contains(id))
        .expect("of more ids than are taken one is free")
}

fn by_id(earlier: &[Cell], later: &[Cell]) -> Vec<Option<usize>> {
    let places: HashMap<&CellId, usize> = earlier.iter().map(Cell::id).zip(0..).collect();
    later.iter().map(|cell| places.get(cell.id()).copied()).collect()
}

fn by_source(earlier: &[Cell], later: &[Cell]) -> Vec<Option<usize>> {
    let mut alignment = Alignment::new(earlier, later);
    alignment.align();
    alignment.match_moved();
    alignment.match_between();
    alignment.earlier_of
}

/// What makes two cells equal.
pub(super) type Key<'a> = (CellType, &'a str);

pub(super) fn key(cell: &Cell) -> Key<'_> {
    (cell.cell_type(), cell.source())
}

struct Alignment<'a> {
    earlier: Vec<Key<'a>>,
    later: Vec<Key<'a>>,
    /// The place in `earlier` of each cell of `later`.
    earlier_of: Vec<Option<usize>>,
    /// Which cells of `earlier` have been found in `later`.
    found: Vec<bool>,
    /// The pairs of equal cells that kept their order, as (earlier, later).
    anchors: Vec<(usize, usize)>,
}

impl<'a> Alignment<'a> {
    fn new(earlier: &'a [Cell], later: &'a [Cell]) -> Self {
        Self {
            earlier: earlier.iter().map(key).collect(),
            later: later.iter().map(key).collect(),
            earlier_of: vec![None; later.len()],
            found: vec![false; earlier.len()],
            anchors: Vec::new(),
        }
    }

    fn pair(&mut self, earlier: usize, later: usize) {
        self.earlier_of[later] = Some(earlier);
        self.found[earlier] = true;
    }

    fn anchor(&mut self, earlier: usize, later: usize) {
        self.pair(earlier, later);
        self.anchors.push((earlier, later));
    }

    /// Pairs equal cells that kept their order: a patience diff, which stays linear on any notebook.
    fn align(&mut self) {
        let mut segments = vec![(0..self.earlier.len(), 0..self.later.len())];
        while let Some((earlier, later)) = segments.pop() {
            let (earlier, later) = self.trim(earlier, later);
            if earlier.is_empty() || later.is_empty() {
                continue;
            }
            let unique = self.unique_pairs(earlier.clone(), later.clone());
            if unique.is_empty() {
                self.match_greedily(earlier, later);
                continue;
            }
            let (mut earlier_start, mut later_start) = (earlier.start, later.start);
            for (at_earlier, at_later) in unique {
                self.anchor(at_earlier, at_later);
                segments.push((earlier_start..at_earlier, later_start..at_later));
                (earlier_start, later_start) = (at_earlier + 1, at_later + 1);
            }
            segments.push((earlier_start..earlier.end, later_start..later.end));
        }
        self.anchors.sort_unstable();
    }

    /// Pairs what is equal at both ends, and gives what is left.
    fn trim(&mut self, mut earlier: Range<usize>, mut later: Range<usize>) -> (Range<usize>, Range<usize>) {
        while !earlier.is_empty() && !later.is_empty() && self.earlier[earlier.start] == self.later[later.start] {
            self.anchor(earlier.start, later.start);
            (earlier.start, later.start) = (earlier.start + 1, later.start + 1);
        }
        while !earlier.is_empty() && !later.is_empty() && self.earlier[earlier.end - 1] == self.later[later.end - 1] {
            (earlier.end, later.end) = (earlier.end - 1, later.end - 1);
            self.anchor(earlier.end, later.end);
        }
        (earlier, later)
    }

    /// The cells that each side has once, as many of them as are in the same order on both.
    fn unique_pairs(&self, earlier: Range<usize>, later: Range<usize>) -> Vec<(usize, usize)> {
        let earlier = once(&self.earlier, earlier);
        let mut pairs: Vec<_> = once(&self.later, later)
            .into_iter()
            .filter_map(|(key, at_later)| Some((*earlier.get(&key)?, at_later)))
            .collect();
        pairs.sort_unstable_by_key(|(_, at_later)| *at_later);
        longest_rise(&pairs)
    }

    /// Pairs each later cell with the next equal earlier one.
    fn match_greedily(&mut self, mut earlier: Range<usize>, later: Range<usize>) {
        let mut places: HashMap<Key<'a>, Vec<usize>> = HashMap::new();
        for at in earlier.clone().rev() {
            places.entry(self.earlier[at]).or_default().push(at);
        }
        for at_later in later {
            let Some(places) = places.get_mut(&self.later[at_later]) else {
                continue;
            };
            while places.last().is_some_and(|at| *at < earlier.start) {
                places.pop();
            }
            if let Some(at_earlier) = places.pop() {
                self.anchor(at_earlier, at_later);
                earlier.start = at_earlier + 1;
            }
        }
    }

    /// Pairs equal cells that stand in another order now.
    fn match_moved(&mut self) {
        let mut places: HashMap<Key<'a>, Vec<usize>> = HashMap::new();
        for at in (0..self.earlier.len()).rev().filter(|at| !self.found[*at]) {
            places.entry(self.earlier[at]).or_default().push(at);
        }
        for at_later in 0..self.later.len() {
            if self.earlier_of[at_later].is_none()
                && let Some(at_earlier) = places.get_mut(&self.later[at_later]).and_then(Vec::pop)
            {
                self.pair(at_earlier, at_later);
            }
        }
    }

    /// Pairs what is left between two anchors, cells of one type with each other, in their order.
    fn match_between(&mut self) {
        let end = (self.earlier.len(), self.later.len());
        let (mut earlier_start, mut later_start) = (0, 0);
        for (at_earlier, at_later) in std::mem::take(&mut self.anchors).into_iter().chain([end]) {
            self.match_by_place(earlier_start..at_earlier, later_start..at_later);
            (earlier_start, later_start) = (at_earlier + 1, at_later + 1);
        }
    }

    fn match_by_place(&mut self, earlier: Range<usize>, later: Range<usize>) {
        for kind in [CellType::Code, CellType::Markdown, CellType::Raw] {
            let is_left = |at: &usize| !self.found[*at] && self.earlier[*at].0 == kind;
            let earlier = earlier.clone().filter(is_left);
            let is_new = |at: &usize| self.earlier_of[*at].is_none() && self.later[*at].0 == kind;
            let pairs: Vec<_> = earlier.zip(later.clone().filter(is_new)).collect();
            for (at_earlier, at_later) in pairs {
                self.pair(at_earlier, at_later);
            }
        }
    }
}

/// The keys that occur once in `range`, with their places.
fn once<'a>(keys: &[Key<'a>], range: Range<usize>) -> HashMap<Key<'a>, usize> {
    let mut places: HashMap<Key<'a>, Option<usize>> = HashMap::with_capacity(range.len());
    for at in range {
        places
            .entry(keys[at])
            .and_modify(|place| *place = None)
            .or_insert(Some(at));
    }
    places
        .into_iter()
        .filter_map(|(key, place)| Some((key, place?)))
        .collect()
}

/// The ids of `later` that did not keep their order since `earlier`: as few as possible of those that both have.
pub(in crate::session) fn moved<'a>(
    earlier: impl Iterator<Item = &'a CellId>,
    later: impl Iterator<Item = &'a CellId>,
) -> HashSet<&'a CellId> {
    let places: HashMap<&CellId, usize> = earlier.zip(0..).collect();
    let common: Vec<&CellId> = later.filter(|id| places.contains_key(id)).collect();
    let pairs: Vec<_> = common.iter().map(|id| places[id]).zip(0..).collect();
    let mut moved: HashSet<&CellId> = common.iter().copied().collect();
    for (_, at) in longest_rise(&pairs) {
        moved.remove(common[at]);
    }
    moved
}

/// The longest part of `pairs`, which rise by their second member, that rises by the first one too.
fn longest_rise(pairs: &[(usize, usize)]) -> Vec<(usize, usize)> {
    // ends[n]: the pair with the smallest first member that ends a rise of n + 1 pairs.
    let mut ends: Vec<usize> = Vec::new();
    let mut before: Vec<Option<usize>> = Vec::with_capacity(pairs.len());
    for (at, (first, _)) in pairs.iter().enumerate() {
        let length = ends.partition_point(|end| pairs[*end].0 < *first);
        before.push(length.checked_sub(1).map(|last| ends[last]));
        if length == ends.len() {
            ends.push(at);
        } else {
            ends[length] = at;
        }
    }
    let mut rise: Vec<_> = std::iter::successors(ends.last().copied(), |at| before[*at])
        .map(|at| pairs[at])
        .collect();
    rise.reverse();
    rise
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn notebook(minor: u8, sources: &[String]) -> Notebook {
        let document = format!(r#"{{"cells": [], "metadata": {{}}, "nbformat": 4, "nbformat_minor": {minor}}}"#);
        let mut notebook = Notebook::parse(document.as_bytes()).unwrap();
        *notebook.cells_mut() = sources
            .iter()
            .enumerate()
            .map(|(position, source)| cell(format!("{position}-{source}"), source))
            .collect();
        notebook
    }

    /// A source that begins with `#` is Markdown.
    fn cell(id: String, source: &str) -> Cell {
        if source.starts_with('#') {
            Cell::new_markdown(id.into(), source)
        } else {
            Cell::new_code(id.into(), source)
        }
    }

    fn aligned(earlier: &str, later: &str) -> Vec<Option<usize>> {
        let split = |text: &str| text.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
        notebook(4, &split(later)).counterparts(&notebook(4, &split(earlier)))
    }

    #[test]
    fn ids_decide_where_both_have_them() {
        let mut earlier = notebook(5, &["a".to_owned(), "b".to_owned()]);
        let mut later = earlier.clone();
        later.cells_mut().swap(0, 1);
        later.cells_mut()[0].set_source("a");
        later.cells_mut()[1].set_source("c");
        assert_eq!(later.counterparts(&earlier), [Some(1), Some(0)]);
        earlier.minor = 4;
        assert_eq!(later.counterparts(&earlier), [Some(0), Some(1)]);
    }

    #[test]
    fn what_stands_between_equal_cells_is_the_same_edited() {
        assert_eq!(aligned("a b c", "a x c"), [Some(0), Some(1), Some(2)]);
        assert_eq!(aligned("a b c d", "a x y z d").iter().flatten().count(), 4);
        assert_eq!(aligned("a #b c", "a x c"), [Some(0), None, Some(2)]);
        assert_eq!(aligned("a #b c d", "a x #y d"), [Some(0), Some(2), Some(1), Some(3)]);
        assert_eq!(aligned("", "a"), [None]);
    }

    #[test]
    fn added_and_removed_cells_leave_the_others_what_they_are() {
        assert_eq!(aligned("a b c", "n a b c"), [None, Some(0), Some(1), Some(2)]);
        assert_eq!(aligned("a b c", "a c"), [Some(0), Some(2)]);
        assert_eq!(aligned("x x x", "x n x x"), [Some(0), None, Some(1), Some(2)]);
        assert_eq!(aligned("a x b x c", "a b x c"), [Some(0), Some(2), Some(3), Some(4)]);
    }

    #[test]
    fn moved_cells_are_found() {
        assert_eq!(aligned("a b c d", "b c d a"), [Some(1), Some(2), Some(3), Some(0)]);
        assert_eq!(aligned("a b a b", "b a b a").iter().flatten().count(), 4);
    }

    #[test]
    fn ids_of_new_cells_are_free() {
        let earlier = notebook(4, &["a".to_owned()]);
        let mut later = notebook(4, &["n".to_owned(), "a".to_owned()]);
        later.cells_mut()[0].id = "0-a".into();
        let ids = later.ids_as_in(&earlier);
        assert_eq!(ids, ["0-a-2".into(), "0-a".into()]);
    }

    #[test]
    fn cells_without_ids_keep_their_identity() {
        let earlier = notebook(4, &["a".to_owned(), "b".to_owned()]);
        let mut later = notebook(4, &["n".to_owned(), "a".to_owned(), "b2".to_owned()]);
        later.keep_ids(&earlier);
        let ids: Vec<_> = later.cells().iter().map(|cell| cell.id().as_str()).collect();
        assert_eq!(ids, ["0-n", "0-a", "1-b"]);
        let mut with_ids = notebook(5, &["x".to_owned()]);
        with_ids.keep_ids(&earlier);
        assert_eq!(with_ids.cells()[0].id().as_str(), "0-x");
    }

    #[test]
    fn thousands_of_cells_are_aligned_at_once() {
        let same = vec!["x".to_owned(); 20_000];
        let mixed: Vec<_> = (0..20_000).map(|at| format!("{}", at % 7)).collect();
        let other: Vec<_> = (0..20_000).map(|at| format!("{}", at % 5)).collect();
        for (one, two) in [(&same, &mixed), (&mixed, &other), (&other, &same)] {
            assert_eq!(notebook(4, one).counterparts(&notebook(4, two)).len(), 20_000);
        }
    }

    fn sources(letters: &'static str) -> impl Strategy<Value = Vec<String>> {
        prop::collection::vec(letters, 0..24)
    }

    proptest! {
        #[test]
        fn every_cell_has_one_counterpart_at_most(earlier in sources("[ab#c]"), later in sources("[ab#d]")) {
            let (earlier, later) = (notebook(4, &earlier), notebook(4, &later));
            let counterparts = later.counterparts(&earlier);
            let found: Vec<_> = counterparts.iter().flatten().collect();
            prop_assert_eq!(found.iter().collect::<HashSet<_>>().len(), found.len());
            for (cell, counterpart) in later.cells().iter().zip(&counterparts) {
                let same_type = counterpart.is_none_or(|at| earlier.cells()[at].kind == cell.kind);
                prop_assert!(same_type);
                let is_left = |other: &Cell| !found.contains(&&earlier.position(other.id()).unwrap());
                prop_assert!(counterpart.is_some() || !earlier.cells().iter().any(|e| key(e) == key(cell) && is_left(e)));
            }
            let ids = later.ids_as_in(&earlier);
            prop_assert_eq!(ids.iter().collect::<HashSet<_>>().len(), ids.len());
        }

        #[test]
        fn one_change_leaves_all_others_in_place(before in sources("[abcd]"), at in any::<prop::sample::Index>(), kind in 0..3) {
            prop_assume!(!before.is_empty());
            let at = at.index(before.len());
            let mut after = before.clone();
            match kind {
                0 => after[at] = "new".to_owned(),
                1 => after.insert(at, "new".to_owned()),
                _ => drop(after.remove(at)),
            }
            let counterparts = notebook(4, &after).counterparts(&notebook(4, &before));
            let equal = (0..after.len()).filter(|at| counterparts[*at].is_some_and(|b| before[b] == after[*at])).count();
            prop_assert_eq!(equal, before.len() - usize::from(kind != 1));
            prop_assert!(counterparts.iter().flatten().is_sorted());
        }
    }
}
