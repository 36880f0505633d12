//! The closure of what is stale over forward, restore and clobber.

use std::collections::BTreeSet;

use rustc_hash::FxHashMap;

use crate::model::{CellId, CellRef};
use crate::scheduler::SchedulerError;
use crate::scheduler::analysis::{NameId, Names};
use crate::scheduler::flow::{Carried, Read};
use crate::scheduler::graph::{Graph, inactive, is_pseudo};
use crate::scheduler::live::{Execution, LiveState};
use crate::scheduler::types::{Document, Mode, Plan, PlanRequest, PlannedCell, SkipReason, SkippedCell, StaleKind};
use crate::scheduler::version::{Ingredients, Version};

use super::expect::{
    Expected, Given, execution_version, is_star, numbered, opaque_version, output_versions, read_version,
};
use super::reason::Reason;
use super::scope::Scope;

/// A plan in the making.
pub(in crate::scheduler) struct Closure<'a> {
    pub(super) document: &'a Document,
    pub(super) live: &'a LiveState,
    pub(super) names: &'a Names,
    graph: &'a Graph,
    request: &'a PlanRequest,
    /// Cells that run though they are fresh.
    also: &'a BTreeSet<CellId>,
    scope: Scope,
    /// Why a cell is to run.
    planned: Vec<Option<Reason>>,
    /// Cells that would have to run, but are not asked for.
    left_stale: Vec<bool>,
    /// Frozen cells that would have to run otherwise.
    held_back: Vec<bool>,
    versions: Vec<Version>,
    reads: Vec<Vec<Option<Version>>>,
    writes: Vec<Vec<Option<Version>>>,
    end: Expected,
    /// For every name the cells that write it, in notebook order.
    writers: Vec<Vec<u32>>,
    /// Names that some cell reads from another.
    read_across: Vec<bool>,
    /// Names to delete before a cell.
    deletions: FxHashMap<NameId, u32>,
}

impl<'a> Closure<'a> {
    pub(in crate::scheduler) fn new(
        graph: &'a Graph,
        document: &'a Document,
        live: &'a LiveState,
        names: &'a Names,
        request: &'a PlanRequest,
        also: &'a BTreeSet<CellId>,
    ) -> Result<Self, SchedulerError> {
        let count = graph.nodes.len();
        let mut writers: Vec<Vec<u32>> = vec![Vec::new(); names.len()];
        for (position, node) in graph.positions().zip(&graph.nodes) {
            node.flow
                .writes
                .iter()
                .for_each(|write| writers[write.name.index()].push(position));
        }
        let mut read_across = vec![false; names.len()];
        for read in graph.nodes.iter().flat_map(|node| &node.flow.reads) {
            read_across[read.name.index()] |= read.writer.is_some();
        }
        Ok(Self {
            read_across,
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
            writers,
            deletions: FxHashMap::default(),
        })
    }

    pub(super) fn id(&self, position: u32) -> &'a CellId {
        &self.document.cells[self.graph.nodes[position as usize].place].id
    }

    fn cell_ref(&self, position: u32) -> CellRef {
        self.document.cells[self.graph.nodes[position as usize].place].cell_ref()
    }

    pub(super) fn has_cell(&self, cell: &CellId) -> bool {
        self.graph.position(cell).is_some()
    }

    pub(super) fn is_planned(&self, position: u32) -> bool {
        self.planned[position as usize].is_some()
    }

    fn execution(&self, position: u32) -> Option<&'a Execution<NameId>> {
        let cell = &self.document.cells[self.graph.nodes[position as usize].place];
        self.live.cells.get(&cell.id)
    }

    fn add(&mut self, position: u32, reason: Reason) -> bool {
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

    /// Computes what a full run gives, and adds the cells whose last execution gave something else.
    fn forward(&mut self) {
        let graph = self.graph;
        let mut expected = Expected::new(self.names.len());
        let mut ingredients = Ingredients::of("");
        self.versions.clear();
        self.reads.clear();
        self.writes.clear();
        for (position, node) in graph.positions().zip(&graph.nodes) {
            let bases = |writer: u32| self.versions[writer as usize];
            let reads: Vec<Option<Version>> = node
                .flow
                .reads
                .iter()
                .map(|read| read_version(read, &expected, graph, &bases))
                .collect();
            let version = execution_version(node, self.id(position), &reads, self.names, &mut ingredients);
            self.versions.push(version);
            self.consider(position, &reads, version);
            let writes = self.expected_outputs(position, version, &expected, &mut ingredients);
            for (write, version) in node.flow.writes.iter().zip(&writes) {
                expected.write(write.name, *version, position);
            }
            if node.flow.writes_all {
                expected.write_all(position, version);
            }
            self.reads.push(reads);
            self.writes.push(writes);
        }
        self.end = expected;
    }

    /// Adds a cell where it is stale.
    fn consider(&mut self, position: u32, reads: &[Option<Version>], version: Version) {
        if self.is_planned(position) {
            return;
        }
        let node = &self.graph.nodes[position as usize];
        let reason = self
            .why(node, reads, version)
            .or_else(|| self.keeps_what_is_made_anew(position));
        let Some(reason) = reason else { return };
        let has_run = self.execution(position).is_some_and(|execution| execution.succeeded);
        if node.analysis.marks.frozen && has_run {
            self.held_back[position as usize] = true;
        } else if self.scope.targeted[position as usize] && self.is_taken(reason.kind) {
            self.add(position, reason);
        } else {
            self.left_stale[position as usize] = true;
        }
    }

    fn is_taken(&self, kind: StaleKind) -> bool {
        self.request.mode != Mode::Append || matches!(kind, StaleKind::NeverRun | StaleKind::KernelRestarted)
    }

    /// Whether a fresh cell keeps a reference to an object of which there is, or will be, another one.
    fn keeps_what_is_made_anew(&self, position: u32) -> Option<Reason> {
        let execution = self.execution(position)?;
        let kept = execution.inputs.iter().filter(|input| input.kept.is_some());
        for input in kept {
            let read = self
                .graph
                .flow(position)
                .reads
                .iter()
                .find(|read| read.name == input.name)?;
            let Some(binder) = read.binder else { continue };
            let made = self.execution(binder).map(|execution| execution.serial);
            if self.is_planned(binder) || made != input.kept {
                return Some(Reason::through(
                    StaleKind::Upstream,
                    Some(self.id(binder).clone()),
                    read.name,
                ));
            }
        }
        None
    }

    /// What the cell leaves: what it has left where that was as expected, else what another execution will.
    fn expected_outputs(
        &self,
        position: u32,
        version: Version,
        expected: &Expected,
        ingredients: &mut Ingredients,
    ) -> Vec<Option<Version>> {
        let flow = self.graph.flow(position);
        let execution = self.execution(position).filter(|execution| execution.succeeded);
        let is_as_expected = execution.is_some_and(|execution| execution.version == version);
        let runs = self.is_planned(position);
        let holds =
            is_as_expected && (!runs || !flow.is_nondeterministic) || self.held_back[position as usize] && !runs;
        if let Some(execution) = execution.filter(|_| holds) {
            let computed = output_versions(&flow.writes, version, expected, self.names, ingredients);
            let output = |(write, computed): (&crate::scheduler::flow::Write, Option<Version>)| {
                let output = execution.outputs.iter().find(|output| output.name == write.name);
                output.map_or(computed, |output| output.version)
            };
            return flow.writes.iter().zip(computed).map(output).collect();
        }
        let version = if flow.is_nondeterministic {
            numbered(version, None, ingredients)
        } else {
            version
        };
        output_versions(&flow.writes, version, expected, self.names, ingredients)
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
                let expected = self.reads[position as usize][index];
                changed |= self.restore_read(position, &read, expected, &mut first_writer);
            }
        }
        changed
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
        if self.is_planned(writer) || is_star(self.graph.flow(writer), read.name) {
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
        let above = self.writers[name.index()]
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
        self.writes[position as usize][index]
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
        for index in 0..self.writers.len() {
            let Some(last) = self.writers[index].last().copied() else {
                continue;
            };
            if self.is_planned(last) || !self.scope.may_run(last) || self.is_left_alone(last) {
                continue;
            }
            let write = self
                .graph
                .flow(last)
                .writes
                .iter()
                .find(|write| write.name.index() == index);
            let Some(name) = write.map(|write| write.name).filter(|name| !self.is_exempt(*name)) else {
                continue;
            };
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
        let planned = self.writers[name.index()]
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
        if self.live.seen(name) == seen || self.held_back[last as usize] {
            return None;
        }
        let writer = self.live.names.get(&name).map(|value| value.writer.clone());
        Some(Reason::through(StaleKind::Clobber, writer, name))
    }

    /// A loop's variable that no other cell reads: its value does not matter.
    fn is_exempt(&self, name: NameId) -> bool {
        let writers = &self.writers[name.index()];
        let is_temporary = writers.iter().all(|position| {
            let mut writes = self.graph.flow(*position).writes.iter();
            writes.any(|write| write.name == name && write.is_temporary)
        });
        is_temporary && !self.read_across[name.index()]
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

    fn finish(self) -> Plan {
        let mut plan = Plan::default();
        let mut deletions: FxHashMap<u32, Vec<NameId>> = FxHashMap::default();
        for (name, position) in &self.deletions {
            deletions.entry(*position).or_default().push(*name);
        }
        let text = |names: &[NameId]| crate::scheduler::graph::sorted(names.iter().map(|name| self.names.get(*name)));
        let mut active = self.graph.positions().peekable();
        for (place, cell) in self.document.cells.iter().enumerate() {
            let position = active.next_if(|position| self.graph.nodes[*position as usize].place == place);
            let Some(position) = position else {
                let reason = inactive(cell).unwrap_or(SkipReason::Empty);
                plan.skipped.push(SkippedCell {
                    cell: cell.cell_ref(),
                    reason,
                    via: None,
                });
                continue;
            };
            if let Some(reason) = &self.planned[position as usize] {
                let delete_before = deletions.get(&position).map(|names| text(names)).unwrap_or_default();
                let only_for_others = matches!(reason.kind, StaleKind::Restore | StaleKind::Clobber);
                let marks = self.graph.nodes[position as usize].analysis.marks;
                if marks.expensive && only_for_others && !self.request.allow_expensive {
                    plan.needs_consent.push(cell.cell_ref());
                }
                let reason = self.in_words(reason);
                plan.cells.push(PlannedCell {
                    cell: cell.cell_ref(),
                    reason,
                    delete_before,
                });
            } else {
                let (reason, via) = self.why_not(position);
                plan.skipped.push(SkippedCell {
                    cell: cell.cell_ref(),
                    reason,
                    via,
                });
            }
        }
        plan.delete_after = text(&self.leftovers());
        plan.warnings = self.warnings();
        plan
    }

    fn why_not(&self, position: u32) -> (SkipReason, Option<CellId>) {
        let at = position as usize;
        if self.scope.skipped[at] {
            (SkipReason::Skipped, None)
        } else if let Some(via) = self.scope.blocked[at] {
            (SkipReason::Blocked, Some(self.id(via).clone()))
        } else if self.scope.excluded[at] || !self.scope.targeted[at] || self.left_stale[at] {
            (SkipReason::NotTargeted, None)
        } else if self.held_back[at] {
            (SkipReason::Frozen, None)
        } else {
            (SkipReason::Fresh, None)
        }
    }

    /// Names that are live, and that no cell binds any more.
    fn leftovers(&self) -> Vec<NameId> {
        let is_left = |name: &&NameId| {
            let binds = |position: &u32| self.is_planned(*position);
            self.end.written(**name).is_none()
                && !self.deletions.contains_key(name)
                && !self.writers[name.index()].iter().any(binds)
                && !is_pseudo(self.names.get(**name))
        };
        self.live.names.keys().filter(is_left).copied().collect()
    }

    fn warnings(&self) -> Vec<String> {
        let mut warnings = Vec::new();
        for (position, node) in self.graph.positions().zip(&self.graph.nodes) {
            let cell = self.cell_ref(position);
            for read in node
                .flow
                .reads
                .iter()
                .filter(|read| read.writer.is_none() && !read.is_builtin && read.carried == Carried::No)
            {
                let below = self.writers[read.name.index()]
                    .iter()
                    .find(|writer| **writer > position);
                let name = self.names.get(read.name);
                if let Some(below) = below.filter(|_| !is_pseudo(name)) {
                    let writer = self.cell_ref(*below);
                    warnings.push(format!(
                        "#{} uses `{name}` above #{}, which binds it: in a full run it is not there yet",
                        cell.index, writer.index
                    ));
                }
            }
            if let Some(reason) = node.flow.unknown {
                warnings.push(format!("#{}: {reason}", cell.index));
            }
        }
        warnings
    }
}

impl Given for LiveState {
    fn written(&self, name: NameId) -> Option<Version> {
        self.names.get(&name).map(|value| value.version)
    }

    fn seen(&self, name: NameId) -> Option<Version> {
        let value = self.names.get(&name);
        match self.opaque {
            Some((serial, version)) if value.is_none_or(|value| value.serial < serial) => {
                Some(opaque_version(value.map(|value| value.version), version))
            }
            _ => value.map(|value| value.version),
        }
    }
}
