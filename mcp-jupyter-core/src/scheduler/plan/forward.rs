//! What a full run gives, and which cells have last given something else.

use std::sync::PoisonError;

use crate::scheduler::analysis::SourceDigest;
use crate::scheduler::flow::WriteKind;
use crate::scheduler::graph::Node;
use crate::scheduler::types::{Mode, StaleKind};
use crate::scheduler::version::{Ingredients, Version};

use super::closure::Closure;
use super::expect::{Expected, execution_version, numbered, output_version, read_version};
use super::reason::Reason;

/// The versions of an earlier plan: those of a cell that is what it was, and reads what it read, are not computed again.
#[derive(Debug, Default)]
pub(in crate::scheduler) struct Memo(Vec<Option<Remembered>>);

#[derive(Debug)]
struct Remembered {
    source: SourceDigest,
    reads: Vec<Option<Version>>,
    version: Version,
}

impl Memo {
    /// The cells or their order have changed.
    pub(in crate::scheduler) fn clear(&mut self) {
        self.0.clear();
    }

    fn version(
        &mut self,
        position: u32,
        node: &Node,
        reads: &[Option<Version>],
        compute: impl FnOnce() -> Version,
    ) -> Version {
        let position = position as usize;
        if self.0.len() <= position {
            self.0.resize_with(position + 1, || None);
        }
        let source = node.analysis.digest;
        if let Some(remembered) = &self.0[position]
            && remembered.source == source
            && remembered.reads == reads
        {
            return remembered.version;
        }
        let version = compute();
        self.0[position] = Some(Remembered {
            source,
            reads: reads.to_vec(),
            version,
        });
        version
    }
}

impl Closure<'_> {
    /// Computes what a full run gives, and adds the cells whose last execution gave something else.
    pub(super) fn forward(&mut self) {
        let graph = self.graph;
        let mut memo = self.memo.lock().unwrap_or_else(PoisonError::into_inner);
        let mut expected = Expected::new(self.names.len());
        let mut ingredients = Ingredients::of("");
        self.versions.clear();
        self.reads.clear();
        self.writes.clear();
        for (position, node) in graph.positions().zip(&graph.nodes) {
            let bases = |writer: u32| self.versions[writer as usize];
            let reads = node
                .flow
                .reads
                .iter()
                .map(|read| read_version(read, &expected, graph, &bases, self.names));
            self.reads.extend(reads);
            let reads = &self.reads[graph.reads_of(position)];
            let version = memo.version(position, node, reads, || {
                execution_version(node, self.id(position), reads, self.names, &mut ingredients)
            });
            self.versions.push(version);
            self.consider(position, version);
            self.expect_outputs(position, version, &expected, &mut ingredients);
            let outputs = &self.writes[graph.writes_of(position)];
            for (write, version) in node.flow.writes.iter().zip(outputs) {
                expected.write(write.name, *version, position);
            }
            if node.flow.writes_all {
                expected.write_all(position, version);
            }
        }
        self.end = expected;
    }

    /// Adds a cell where it is stale.
    fn consider(&mut self, position: u32, version: Version) {
        if self.is_planned(position) {
            return;
        }
        let node = &self.graph.nodes[position as usize];
        let reason = self
            .why(position, version)
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
                .find(|read| read.name == input.name);
            let Some(binder) = read.and_then(|read| read.binder) else {
                continue;
            };
            let made = self.execution(binder).map(|execution| execution.serial);
            if self.is_planned(binder) || made != input.kept {
                return Some(Reason::through(
                    StaleKind::Upstream,
                    Some(self.id(binder).clone()),
                    input.name,
                ));
            }
        }
        None
    }

    /// What the cell leaves: what it has left where that was as expected, else what another execution will.
    fn expect_outputs(&mut self, position: u32, version: Version, expected: &Expected, ingredients: &mut Ingredients) {
        let flow = self.graph.flow(position);
        let execution = self.execution(position).filter(|execution| execution.succeeded);
        let is_as_expected = execution.is_some_and(|execution| execution.version == version);
        let runs = self.is_planned(position);
        let holds =
            is_as_expected && (!runs || !flow.is_nondeterministic) || self.held_back[position as usize] && !runs;
        let execution = execution.filter(|_| holds);
        let held_back = self.held_back[position as usize];
        let numbered = if flow.is_nondeterministic {
            numbered(version, execution.map(|execution| execution.serial), ingredients)
        } else {
            version
        };
        for write in &flow.writes {
            // What was changed depends on what it was before, which may be another value now.
            let is_whole = held_back || write.kind == WriteKind::Bind;
            let recorded = execution
                .filter(|_| is_whole)
                .and_then(|execution| execution.outputs.iter().find(|output| output.name == write.name));
            let version = match recorded {
                Some(output) => output.version,
                None => output_version(write, numbered, expected, self.names, ingredients),
            };
            self.writes.push(version);
        }
    }
}
