//! Why a cell is stale.

use crate::model::CellId;
use crate::scheduler::analysis::NameId;
use crate::scheduler::graph::{Node, sorted};
use crate::scheduler::live::Execution;
use crate::scheduler::types::{StaleKind, StaleReason};
use crate::scheduler::version::Version;

use super::closure::Closure;

/// A reason while names are still numbers.
#[derive(Clone, Debug)]
pub(super) struct Reason {
    pub(super) kind: StaleKind,
    pub(super) via: Option<CellId>,
    pub(super) names: Vec<NameId>,
}

impl Reason {
    pub(super) fn of(kind: StaleKind) -> Self {
        Self {
            kind,
            via: None,
            names: Vec::new(),
        }
    }

    pub(super) fn through(kind: StaleKind, via: Option<CellId>, name: NameId) -> Self {
        Self {
            kind,
            via,
            names: vec![name],
        }
    }
}

impl Closure<'_> {
    /// Why the last execution of a cell is not what a full run would give; none where it is.
    pub(super) fn why(&self, position: u32, expected: Version) -> Option<Reason> {
        let node = &self.graph.nodes[position as usize];
        let id = &self.document.cells[node.place].id;
        let Some(execution) = self.execution(position) else {
            let kind = if self.live.former.contains(id) {
                StaleKind::KernelRestarted
            } else {
                StaleKind::NeverRun
            };
            return Some(Reason::of(kind));
        };
        if !execution.succeeded {
            return Some(Reason::of(StaleKind::Failed));
        }
        if execution.source != node.analysis.digest {
            return Some(Reason::of(StaleKind::Edited));
        }
        if execution.version == expected {
            return None;
        }
        let reads = &self.reads[self.graph.reads_of(position)];
        Some(self.what_differs(node, reads, execution))
    }

    /// Which of the values that a cell reads are others than at its last execution.
    fn what_differs(&self, node: &Node, reads: &[Option<Version>], execution: &Execution<NameId>) -> Reason {
        let mut reason = Reason::of(StaleKind::Upstream);
        for (read, version) in node.flow.reads.iter().zip(reads) {
            let input = execution.inputs.iter().find(|input| input.name == read.name);
            if input.is_some_and(|input| input.version == *version) {
                continue;
            }
            let writer = read.writer.map(|writer| self.id(writer).clone());
            let before = input.and_then(|input| input.writer.clone());
            let is_planned = read.writer.is_some_and(|writer| self.is_planned(writer));
            let (kind, via) = match before {
                _ if is_planned => (StaleKind::Upstream, writer),
                Some(before) if !self.has_cell(&before) => (StaleKind::RemovedUpstream, Some(before)),
                before if before == writer => (StaleKind::Upstream, writer),
                before => (StaleKind::Moved, writer.or(before)),
            };
            if reason.names.is_empty() || kind < reason.kind && reason.kind != StaleKind::Upstream {
                reason = Reason::through(kind, via, read.name);
            } else if reason.kind == kind && reason.via == via {
                reason.names.push(read.name);
            }
        }
        reason
    }

    pub(super) fn in_words(&self, reason: &Reason) -> StaleReason {
        StaleReason {
            kind: reason.kind,
            via: reason.via.clone(),
            names: sorted(reason.names.iter().map(|name| self.names.get(*name))),
        }
    }
}
