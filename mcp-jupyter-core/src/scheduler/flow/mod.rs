//! Follows objects through the cells of a notebook, in notebook order, as a full run would.
//!
//! It is an abstract interpreter: names are bound to sets of objects, calls of the notebook's own functions are followed
//! into their bodies, and what a library does is looked up by name (`library`). What comes out for each cell is a
//! [`CellFlow`]: the names that it reads, with the cells that wrote them last, and the names that it writes.

mod call;
mod cell;
mod execute;
mod finish;
mod library;
mod library_call;
mod method;
mod store;

use serde::{Deserialize, Serialize};

use rustc_hash::FxHashSet;

use super::analysis::{Analysis, NameId, Names};
use super::graph::is_pseudo;

use self::cell::CellRun;
use self::store::{Binding, Store};

/// The pseudo-name of what code that cannot be followed may write.
pub(crate) const EVERYTHING: &str = "*";

/// What a cell does in its notebook.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct CellFlow {
    /// Sorted by name.
    pub(crate) reads: Vec<Read>,
    /// Sorted by name.
    pub(crate) writes: Vec<Write>,
    /// It gives another result every time.
    pub(crate) is_nondeterministic: bool,
    /// It may write every name.
    pub(crate) writes_all: bool,
    /// Why something about it cannot be known.
    pub(crate) unknown: Option<&'static str>,
    /// For each write what others can tell of its value, and whether it holds what was there before.
    shapes: Vec<(NameId, u64, bool)>,
    /// It has connected what was there before.
    connects: bool,
    /// It was looked at again, and depends on what it or the cells below have done.
    looked_below: bool,
}

impl CellFlow {
    fn shape(&self, name: NameId) -> Option<(u64, bool)> {
        let found = self.shapes.iter().find(|(found, _, _)| *found == name)?;
        Some((found.1, found.2))
    }

    /// Whether nothing about the cell needs more than a look at itself.
    fn is_plain(&self) -> bool {
        let binds_in_loop = self.writes.iter().any(|write| write.kind == WriteKind::LoopBind);
        let keeps = self
            .reads
            .iter()
            .any(|read| read.kept == Kept::ByTemporary || read.carried == Carried::Loop);
        !self.connects && !binds_in_loop && !keeps && !self.writes_all && self.unknown.is_none()
    }

    /// The names that another version of the cell writes differently, if at all: in another way, or another kind of value.
    /// The flag says whether whoever changes something else may change the value as well.
    fn differences(&self, other: &Self) -> Vec<(NameId, bool)> {
        let mut names: Vec<NameId> = self
            .writes
            .iter()
            .chain(&other.writes)
            .map(|write| write.name)
            .collect();
        names.sort_unstable();
        names.dedup();
        let write = |flow: &Self, name: NameId| flow.writes.iter().find(|write| write.name == name).copied();
        let holds = |flow: &Self, name: NameId| flow.shape(name).is_some_and(|(_, holds)| holds);
        let differs =
            |name: &NameId| write(self, *name) != write(other, *name) || self.shape(*name) != other.shape(*name);
        let differing = names.into_iter().filter(differs);
        differing
            .map(|name| (name, holds(self, name) || holds(other, name)))
            .collect()
    }
}

/// A name that a cell reads before it binds it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Read {
    pub(crate) name: NameId,
    /// The cell above that wrote it last.
    pub(crate) writer: Option<u32>,
    /// The cell above that bound it last.
    pub(crate) binder: Option<u32>,
    /// Whether the cell keeps a reference to the object, which may change.
    pub(crate) kept: Kept,
    pub(crate) carried: Carried,
    /// It means something though nobody has bound it.
    pub(crate) is_builtin: bool,
}

/// Whether a cell keeps a reference to an object that it reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kept {
    No,
    /// Only by a loop's variable, which matters if another cell reads that.
    ByTemporary,
    Yes,
}

/// Whether a name is read only because it is perhaps not bound, so that it keeps its value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Carried {
    /// It is loaded.
    No,
    /// The branch that binds it is perhaps not taken.
    Branch,
    /// The loop that binds it is perhaps not entered: that matters only if somebody reads it below.
    Loop,
}

/// A name that a cell writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Write {
    pub(crate) name: NameId,
    pub(crate) kind: WriteKind,
    /// For a module or something in it: its path. The value is the same whoever imports it.
    pub(crate) import: Option<NameId>,
    /// A loop's variable.
    pub(crate) is_temporary: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum WriteKind {
    /// Bound, whatever was there before.
    Bind,
    /// Bound in a branch that is perhaps not taken.
    MayBind,
    /// Bound in the body of a loop that is perhaps never entered.
    LoopBind,
    /// Changed in place.
    Mutate,
    Delete,
    /// Unbound at the end of an exception handler.
    Clobber,
}

/// Follows the cells one after the other.
#[derive(Debug, Default)]
pub(crate) struct Flow {
    store: Store,
    /// The last cell that imported everything from a module.
    star: Option<u32>,
    cells: u32,
    /// Names whose bindings are no longer what the cells bind.
    unsettled: FxHashSet<NameId>,
}

impl Flow {
    /// What the next cell does.
    pub(crate) fn next(&mut self, analysis: &Analysis, names: &mut Names) -> CellFlow {
        let position = self.cells;
        self.cells += 1;
        CellRun::new(self, names, position).run(&analysis.body)
    }

    /// What another version of a cell does, where that can be told without following the others anew: it reads nothing
    /// that is written by it or below it, and what it writes differently is told to be harmless by `is_used_below`.
    pub(crate) fn again(
        &mut self,
        position: u32,
        analysis: &Analysis,
        before: &CellFlow,
        names: &mut Names,
        is_used_below: impl Fn(NameId) -> bool,
    ) -> Option<CellFlow> {
        if !before.is_plain() {
            return None;
        }
        let after = CellRun::new(self, names, position).look(&analysis.body)?;
        if !after.is_plain() {
            return None;
        }
        let differences = before.differences(&after);
        let matters = |(name, holds): &(NameId, bool)| *holds || is_pseudo(names.get(*name)) || is_used_below(*name);
        if differences.iter().any(matters) {
            return None;
        }
        self.unsettled.extend(differences.into_iter().map(|(name, _)| name));
        Some(after)
    }

    /// A cell wrote names though its code does not show it. What it changed or deleted, it has read.
    pub(crate) fn add_writes(&mut self, position: u32, writes: &[Write], flow: &mut CellFlow) {
        for write in writes {
            let old = self.store.binding(write.name).cloned();
            let is_bound = write.kind == WriteKind::Bind || old.is_none();
            if !is_bound && flow.reads.iter().all(|read| read.name != write.name) {
                flow.reads.push(Read {
                    name: write.name,
                    writer: old.as_ref().map(|old| old.writer),
                    binder: old.as_ref().map(|old| old.binder),
                    kept: Kept::No,
                    carried: Carried::No,
                    is_builtin: false,
                });
            }
            let binder = match &old {
                Some(old) if !is_bound => old.binder,
                _ => position,
            };
            let objs = match old {
                Some(old) if !is_bound => old.objs,
                _ => self.store.unknown(),
            };
            let writer = position;
            self.store.set_binding(write.name, Binding { objs, writer, binder });
            flow.writes.push(*write);
        }
        flow.reads.sort_unstable_by_key(|read| read.name);
    }
}
