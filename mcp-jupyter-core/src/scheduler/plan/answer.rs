//! From the closure to a plan: an answer for every cell.

use rustc_hash::FxHashMap;

use crate::model::CellId;
use crate::scheduler::analysis::NameId;
use crate::scheduler::flow::{Carried, WriteKind};
use crate::scheduler::graph::{inactive, is_pseudo, sorted};
use crate::scheduler::types::{Plan, PlannedCell, SkipReason, SkippedCell, StaleKind};

use super::closure::Closure;
use super::expect::Given;

impl Closure<'_> {
    pub(super) fn finish(self) -> Plan {
        let mut plan = Plan::default();
        let mut deletions: FxHashMap<u32, Vec<NameId>> = FxHashMap::default();
        for (name, position) in &self.deletions {
            deletions.entry(*position).or_default().push(*name);
        }
        let text = |names: &[NameId]| sorted(names.iter().map(|name| self.names.get(*name)));
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
                let only_for_others = match reason.kind {
                    StaleKind::Restore | StaleKind::Clobber => true,
                    StaleKind::Upstream => self.is_as_expected(position),
                    _ => false,
                };
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

    /// Whether the last execution gave what another one will: it is repeated for the sake of the objects alone.
    fn is_as_expected(&self, position: u32) -> bool {
        let execution = self.execution(position).filter(|execution| execution.succeeded);
        execution.is_some_and(|execution| execution.version == self.versions[position as usize])
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
            let deletes = |writer: &u32| self.is_planned(*writer) && self.writes_as(*writer, **name, WriteKind::Delete);
            self.end.written(**name).is_none()
                && !self.deletions.contains_key(name)
                && !self.graph.writers(**name).iter().any(deletes)
                && !is_pseudo(self.names.get(**name))
        };
        self.live.names.keys().filter(is_left).copied().collect()
    }

    fn warnings(&self) -> Vec<String> {
        let mut warnings = Vec::new();
        for (position, node) in self.graph.positions().zip(&self.graph.nodes) {
            let (cell, first) = (self.cell_ref(position), warnings.len());
            for read in node
                .flow
                .reads
                .iter()
                .filter(|read| read.writer.is_none() && !read.is_builtin && read.carried == Carried::No)
            {
                let below = self.graph.writers(read.name).iter().find(|writer| **writer > position);
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
            warnings[first..].sort_unstable();
        }
        warnings
    }
}
