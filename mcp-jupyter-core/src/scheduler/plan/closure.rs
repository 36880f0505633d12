//! The closure of what is stale over forward, restore and clobber.

use std::collections::BTreeSet;
use std::sync::Mutex;

use rustc_hash::FxHashMap;

use crate::model::{CellId, CellRef};
use crate::scheduler::SchedulerError;
use crate::scheduler::analysis::{NameId, Names};
use crate::scheduler::flow::{EVERYTHING, Read, WriteKind};
use crate::scheduler::graph::{Graph, Node, is_pseudo};
use crate::scheduler::live::{Execution, LiveState};
use crate::scheduler::types::{Document, Mode, Plan, PlanRequest, StaleKind};
use crate::scheduler::version::Version;

use super::expect::{Expected, Given, is_star};
use super::forward::Memo;
use super::reason::Reason;
use super::scope::Scope;

/// A plan in the making.
pub(in crate::scheduler) struct Closure<'a> {
    pub(super) document: &'a Document,
    pub(super) live: &'a LiveState,
    pub(super) names: &'a Names,
    pub(super) graph: &'a Graph,
    pub(super) request: &'a PlanRequest,
    /// Cells that run though they are fresh.
    pub(super) also: &'a BTreeSet<CellId>,
    pub(super) scope: Scope,
    /// The last execution of each cell.
    executions: Vec<Option<&'a Execution<NameId>>>,
    /// Why a cell is to run.
    pub(super) planned: Vec<Option<Reason>>,
    /// Cells that would have to run, but are not asked for.
    pub(super) left_stale: Vec<bool>,
    /// Frozen cells that would have to run otherwise.
    pub(super) held_back: Vec<bool>,
    pub(super) versions: Vec<Version>,
    /// The versions that a full run gives of everything that is read, and of everything that is written, cell by cell.
    pub(super) reads: Vec<Option<Version>>,
    pub(super) writes: Vec<Option<Version>>,
    pub(super) end: Expected,
    pub(super) memo: &'a Mutex<Memo>,
    /// Names to delete before a cell.
    pub(super) deletions: FxHashMap<NameId, u32>,
}

impl<'a> Closure<'a> {
    pub(in crate::scheduler) fn new(
        graph: &'a Graph,
        document: &'a Document,
        live: &'a LiveState,
        names: &'a Names,
        request: &'a PlanRequest,
        also: &'a BTreeSet<CellId>,
        memo: &'a Mutex<Memo>,
    ) -> Result<Self, SchedulerError> {
        let count = graph.nodes.len();
        let execution = |node: &Node| live.cells.get(&document.cells[node.place].id);
        Ok(Self {
            executions: graph.nodes.iter().map(execution).collect(),
            memo,
            scope: Scope::new(graph, document, request)?,
            document,
            live,
            names,
            graph,
            request,
            also,
            planned: vec![None; count],
            left_stale: vec![false; count],
            held_back: vec![false; count],
            versions: Vec::with_capacity(count),
            reads: Vec::with_capacity(count),
            writes: Vec::with_capacity(count),
            end: Expected::default(),
            deletions: FxHashMap::default(),
        })
    }

    pub(super) fn id(&self, position: u32) -> &'a CellId {
        &self.document.cells[self.graph.nodes[position as usize].place].id
    }

    pub(super) fn cell_ref(&self, position: u32) -> CellRef {
        self.document.cells[self.graph.nodes[position as usize].place].cell_ref()
    }

    pub(super) fn has_cell(&self, cell: &CellId) -> bool {
        self.graph.position(cell).is_some()
    }

    pub(super) fn is_planned(&self, position: u32) -> bool {
        self.planned[position as usize].is_some()
    }

    pub(super) fn execution(&self, position: u32) -> Option<&'a Execution<NameId>> {
        self.executions[position as usize]
    }

    pub(super) fn add(&mut self, position: u32, reason: Reason) -> bool {
        let is_new = !self.is_planned(position) && self.scope.may_run(position);
        if is_new {
            self.planned[position as usize] = Some(reason);
        }
        is_new
    }

    /// Closes the plan over all rules.
    ///
    /// # Errors
    /// [`SchedulerError::NotAppendable`].
    pub(in crate::scheduler) fn plan(mut self) -> Result<Plan, SchedulerError> {
        loop {
            self.forward();
            if self.restore() | self.clobber() {
                continue;
            }
            if !self.take_in_by_mode() {
                break;
            }
        }
        if self.request.mode == Mode::Append {
            self.check_appendable()?;
        }
        Ok(self.finish())
    }

    /// Adds, bottom up, the last writers of names that a planned cell reads and that are not as expected.
    fn restore(&mut self) -> bool {
        let mut first_writer = vec![u32::MAX; self.names.len()];
        for position in self.graph.positions() {
            if self.is_planned(position) {
                self.note_writes(position, &mut first_writer);
            }
        }
        let mut changed = false;
        for position in self.graph.positions().rev() {
            if !self.is_planned(position) {
                continue;
            }
            for index in 0..self.graph.flow(position).reads.len() {
                let read = self.graph.flow(position).reads[index];
                let expected = self.reads[self.graph.reads_of(position)][index];
                changed |= self.restore_read(position, &read, expected, &mut first_writer);
            }
            changed |= self.restore_changed(position, &mut first_writer);
        }
        changed
    }

    /// Adds the cells that leave what this one changes through another name, which it does not read.
    fn restore_changed(&mut self, position: u32, first_writer: &mut [u32]) -> bool {
        let flow = self.graph.flow(position);
        let is_read = |name| flow.reads.iter().any(|read| read.name == name);
        let changes = flow.writes.iter().filter(|write| write.kind == WriteKind::Mutate);
        let mut added = false;
        for write in changes.filter(|write| !is_read(write.name)) {
            let above = self.graph.writers(write.name).iter();
            let Some(writer) = above.take_while(|above| **above < position).last().copied() else {
                continue;
            };
            let is_overwritten =
                first_writer[write.name.index()] < position && self.is_changed_by_plan(write.name, writer);
            let is_live = self.live.written(write.name) == self.written_by(writer, write.name);
            if self.is_planned(writer) || is_live && !is_overwritten {
                continue;
            }
            let reason = Reason::through(StaleKind::Restore, Some(self.id(position).clone()), write.name);
            if self.add(writer, reason) {
                self.note_writes(writer, first_writer);
                added = true;
            }
        }
        added
    }

    fn note_writes(&self, position: u32, first_writer: &mut [u32]) {
        for write in &self.graph.flow(position).writes {
            let first = &mut first_writer[write.name.index()];
            *first = position.min(*first);
        }
    }

    fn restore_read(
        &mut self,
        position: u32,
        read: &Read,
        expected: Option<Version>,
        first_writer: &mut [u32],
    ) -> bool {
        let Some(writer) = read.writer else {
            return self.delete_leftover(read.name, position);
        };
        if self.is_planned(writer)
            || is_star(self.graph.flow(writer), read.name)
            || is_everything(self.names, read.name)
        {
            return false;
        }
        let is_overwritten = first_writer[read.name.index()] < position && self.is_changed_by_plan(read.name, writer);
        if !is_overwritten && self.live.seen(read.name) == expected {
            return false;
        }
        let reason = Reason::through(StaleKind::Restore, Some(self.id(position).clone()), read.name);
        let added = self.add(writer, reason);
        if added {
            self.note_writes(writer, first_writer);
        }
        added
    }

    /// Whether planned cells above `writer` leave another version of a name than `writer` does.
    fn is_changed_by_plan(&self, name: NameId, writer: u32) -> bool {
        let above = self
            .graph
            .writers(name)
            .iter()
            .take_while(|position| **position < writer);
        let last = above.filter(|position| self.is_planned(**position)).last();
        last.is_some_and(|last| self.written_by(*last, name) != self.written_by(writer, name))
    }

    fn written_by(&self, position: u32, name: NameId) -> Option<Version> {
        let index = self
            .graph
            .flow(position)
            .writes
            .iter()
            .position(|write| write.name == name)?;
        self.writes[self.graph.writes_of(position)][index]
    }

    /// A name that would not be bound here in a full run, but is: it has to go before the cell runs.
    fn delete_leftover(&mut self, name: NameId, position: u32) -> bool {
        let is_there = self.live.names.contains_key(&name);
        if !is_there || is_pseudo(self.names.get(name)) {
            return false;
        }
        let before = self.deletions.insert(name, position).unwrap_or(u32::MAX);
        if before < position {
            self.deletions.insert(name, before);
        }
        before == u32::MAX
    }

    /// Adds the last writers of names that would end in another version than a full run leaves.
    fn clobber(&mut self) -> bool {
        let mut changed = false;
        let graph = self.graph;
        let names = self.names;
        let written = graph.written().iter().copied();
        for name in written.filter(|name| !graph.is_exempt(*name) && !is_everything(names, *name)) {
            let Some(last) = graph.writers(name).last().copied() else {
                continue;
            };
            if self.is_planned(last) || !self.scope.may_run(last) || self.is_left_alone(last) {
                continue;
            }
            if let Some(reason) = self.why_clobbered(name, last) {
                changed |= self.add(last, reason);
            }
        }
        changed
    }

    /// A cell that is stale and not asked for stays stale, whatever happens to its names.
    fn is_left_alone(&self, position: u32) -> bool {
        self.left_stale[position as usize]
    }

    fn why_clobbered(&self, name: NameId, last: u32) -> Option<Reason> {
        let expected = self.written_by(last, name);
        // Code that cannot be followed may overwrite whatever the cells below it have written.
        let opaque = self.graph.opaque().take_while(|position| *position < last);
        if let Some(opaque) = opaque.filter(|position| self.is_planned(*position)).last() {
            return Some(Reason::through(StaleKind::Clobber, Some(self.id(opaque).clone()), name));
        }
        let planned = self
            .graph
            .writers(name)
            .iter()
            .rev()
            .find(|position| self.is_planned(**position));
        if let Some(planned) = planned {
            let differs = self.written_by(*planned, name) != expected;
            return differs.then(|| Reason::through(StaleKind::Clobber, Some(self.id(*planned).clone()), name));
        }
        if let Some(position) = self.deletions.get(&name) {
            return Some(Reason::through(
                StaleKind::Clobber,
                Some(self.id(*position).clone()),
                name,
            ));
        }
        let seen = self.end.seen(name);
        let is_deleted_after = seen.is_none() && self.writes_as(last, name, WriteKind::Clobber);
        if self.live.seen(name) == seen || is_deleted_after || self.held_back[last as usize] {
            return None;
        }
        let writer = self.live.names.get(&name).map(|value| value.writer.clone());
        Some(Reason::through(StaleKind::Clobber, writer, name))
    }

    pub(super) fn writes_as(&self, position: u32, name: NameId, kind: WriteKind) -> bool {
        let mut writes = self.graph.flow(position).writes.iter();
        writes.any(|write| write.name == name && write.kind == kind)
    }

    /// Adds fresh cells that the mode, or whoever asks, takes all the same.
    fn take_in_by_mode(&mut self) -> bool {
        let mut changed = false;
        for position in self.also.iter().filter_map(|cell| self.graph.position(cell)) {
            changed |= self.add(position, Reason::of(StaleKind::Mode));
        }
        let first = match self.request.mode {
            Mode::Smart | Mode::Append => return changed,
            Mode::Full => 0,
            Mode::Incremental => match self.planned.iter().position(Option::is_some) {
                Some(first) => first,
                None => return changed,
            },
        };
        for position in self.graph.positions().skip(first) {
            if self.scope.targeted[position as usize] && !self.held_back[position as usize] {
                changed |= self.add(position, Reason::of(StaleKind::Mode));
            }
        }
        changed
    }

    fn check_appendable(&self) -> Result<(), SchedulerError> {
        let changed: Vec<CellRef> = self
            .graph
            .positions()
            .filter(|position| {
                let node = &self.graph.nodes[*position as usize];
                let execution = self.execution(*position);
                execution.is_some_and(|execution| execution.source != node.analysis.digest || !execution.succeeded)
            })
            .map(|position| self.cell_ref(position))
            .collect();
        if changed.is_empty() {
            Ok(())
        } else {
            Err(SchedulerError::NotAppendable { changed })
        }
    }
}

/// What code that cannot be followed leaves has no single writer that could restore it: such code runs again from the
/// first stale cell on, in every language that is not analysed.
fn is_everything(names: &Names, name: NameId) -> bool {
    names.get(name) == EVERYTHING
}
