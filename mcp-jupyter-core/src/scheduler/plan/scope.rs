//! Which cells a request lets run at all.

use rustc_hash::FxHashSet;

use crate::model::CellId;
use crate::scheduler::SchedulerError;
use crate::scheduler::graph::Graph;
use crate::scheduler::types::{Document, PlanRequest, Target};

/// What a request says about every cell.
#[derive(Debug)]
pub(super) struct Scope {
    /// Cells that the request asks for, with their upstream.
    pub(super) targeted: Vec<bool>,
    /// Cells that must not run.
    pub(super) excluded: Vec<bool>,
    /// Cells marked `@skip`.
    pub(super) skipped: Vec<bool>,
    /// For cells that depend on one that is skipped: the cell that they read from.
    pub(super) blocked: Vec<Option<u32>>,
}

impl Scope {
    pub(super) fn new(graph: &Graph, document: &Document, request: &PlanRequest) -> Result<Self, SchedulerError> {
        let count = graph.nodes.len();
        let mut scope = Self {
            targeted: vec![request.targets.is_empty(); count],
            excluded: vec![false; count],
            skipped: graph.nodes.iter().map(|node| node.analysis.marks.skip).collect(),
            blocked: vec![None; count],
        };
        let mut chosen = FxHashSet::default();
        for target in &request.targets {
            choose(target, graph, document, &mut chosen)?;
        }
        for position in graph.upstream(chosen) {
            scope.targeted[position as usize] = true;
        }
        let mut known: FxHashSet<&CellId> = FxHashSet::default();
        if !request.excluded.is_empty() {
            known.extend(document.cells.iter().map(|cell| &cell.id));
        }
        for cell in &request.excluded {
            if !known.contains(cell) {
                return Err(SchedulerError::NoSuchCell { cell: cell.clone() });
            }
            if let Some(position) = graph.position(cell) {
                scope.excluded[position as usize] = true;
            }
        }
        scope.block(graph);
        Ok(scope)
    }

    fn block(&mut self, graph: &Graph) {
        if !self.skipped.contains(&true) {
            return;
        }
        for (position, node) in graph.nodes.iter().enumerate() {
            let writers = node.flow.reads.iter().filter_map(|read| read.writer);
            let is_off = |writer: &u32| {
                let writer = *writer as usize;
                self.skipped[writer] || self.blocked[writer].is_some()
            };
            self.blocked[position] = writers.into_iter().find(is_off);
        }
    }

    /// Whether the cell may be executed for some reason.
    pub(super) fn may_run(&self, position: u32) -> bool {
        let position = position as usize;
        !self.excluded[position] && !self.skipped[position] && self.blocked[position].is_none()
    }
}

/// The cell's place in the document.
fn check(cell: &CellId, document: &Document) -> Result<usize, SchedulerError> {
    let place = document.cells.iter().position(|found| found.id == *cell);
    place.ok_or_else(|| SchedulerError::NoSuchCell { cell: cell.clone() })
}

/// Adds the cells of a target.
fn choose(
    target: &Target,
    graph: &Graph,
    document: &Document,
    chosen: &mut FxHashSet<u32>,
) -> Result<(), SchedulerError> {
    match target {
        Target::Cell(cell) => {
            check(cell, document)?;
            chosen.extend(graph.position(cell));
        }
        Target::Downstream(cell) => {
            check(cell, document)?;
            chosen.extend(graph.downstream(graph.position(cell)));
        }
        Target::Range(first, last) => {
            let range = check(first, document)?..=check(last, document)?;
            let inside = |position: &u32| range.contains(&graph.nodes[*position as usize].place);
            chosen.extend(graph.positions().filter(inside));
        }
        Target::Tag(tag) => {
            let has_tag = |place: usize| document.cells[place].tags.contains(tag);
            if !(0..document.cells.len()).any(has_tag) {
                return Err(SchedulerError::NoSuchTag { tag: tag.clone() });
            }
            let tagged = |position: &u32| has_tag(graph.nodes[*position as usize].place);
            chosen.extend(graph.positions().filter(tagged));
        }
    }
    Ok(())
}
