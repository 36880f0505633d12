use serde::Serialize;

use crate::model::CellRef;
use crate::scheduler::{CellEffects, Edge, PlannedCell, SkippedCell};

use super::Preview;

/// The plan as it is written in JSON. Cells are named by their index among all cells of the notebook.
#[derive(Debug, Serialize)]
pub struct PlanDocument<'a> {
    /// Every code cell.
    cells: Vec<Cell<'a>>,
    /// From the last writer above to the reader.
    edges: Vec<EdgeLine<'a>>,
    /// Every cell that has to be executed, and why.
    stale: Vec<Stale<'a>>,
    /// The same cells, in the order of execution.
    order: Vec<usize>,
    /// Every other code cell.
    skipped: Vec<Skipped>,
    /// Names that are deleted from the kernel.
    delete: Vec<Deletion<'a>>,
    /// Expensive cells that are executed only with consent.
    needs_consent: Vec<usize>,
    warnings: &'a [String],
}

#[derive(Debug, Serialize)]
struct Cell<'a> {
    index: usize,
    id: &'a str,
    reads: &'a [String],
    writes: &'a [String],
    unknown: Option<&'a str>,
}

#[derive(Debug, Serialize)]
struct EdgeLine<'a> {
    from: usize,
    to: usize,
    names: &'a [String],
}

#[derive(Debug, Serialize)]
struct Stale<'a> {
    index: usize,
    id: &'a str,
    reason: &'static str,
    via: Option<usize>,
    names: &'a [String],
}

#[derive(Debug, Serialize)]
struct Skipped {
    index: usize,
    reason: &'static str,
}

#[derive(Debug, Serialize)]
struct Deletion<'a> {
    /// None after the last cell.
    before: Option<usize>,
    names: &'a [String],
}

impl<'a> PlanDocument<'a> {
    /// The plan of a preview.
    pub fn new(preview: &'a Preview) -> Self {
        let plan = &preview.plan;
        Self {
            cells: preview.cells.iter().map(cell).collect(),
            edges: preview.edges.iter().map(edge).collect(),
            stale: plan.cells.iter().map(|planned| stale(preview, planned)).collect(),
            order: plan.cells.iter().map(|planned| planned.cell.index).collect(),
            skipped: plan.skipped.iter().map(skipped).collect(),
            delete: deletions(preview),
            needs_consent: plan.needs_consent.iter().map(|cell| cell.index).collect(),
            warnings: &plan.warnings,
        }
    }
}

fn cell((cell, effects): &(CellRef, CellEffects)) -> Cell<'_> {
    Cell {
        index: cell.index,
        id: cell.id.as_str(),
        reads: &effects.reads,
        writes: &effects.writes,
        unknown: effects.unknown.as_deref(),
    }
}

fn edge(edge: &Edge) -> EdgeLine<'_> {
    EdgeLine {
        from: edge.from.index,
        to: edge.to.index,
        names: &edge.names,
    }
}

fn stale<'a>(preview: &Preview, planned: &'a PlannedCell) -> Stale<'a> {
    let reason = &planned.reason;
    Stale {
        index: planned.cell.index,
        id: planned.cell.id.as_str(),
        reason: reason.kind.as_str(),
        via: reason.via.as_ref().and_then(|id| preview.index(id)),
        names: &reason.names,
    }
}

fn skipped(skipped: &SkippedCell) -> Skipped {
    Skipped {
        index: skipped.cell.index,
        reason: skipped.reason.as_str(),
    }
}

fn deletions(preview: &Preview) -> Vec<Deletion<'_>> {
    let before = preview.plan.cells.iter().map(|planned| Deletion {
        before: Some(planned.cell.index),
        names: &planned.delete_before,
    });
    let after = Deletion {
        before: None,
        names: &preview.plan.delete_after,
    };
    before
        .chain([after])
        .filter(|deletion| !deletion.names.is_empty())
        .collect()
}
