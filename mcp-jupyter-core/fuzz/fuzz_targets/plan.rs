//! Any text is a notebook of cells: its plan is in notebook order, leaves no cell out, and once it has been executed
//! nothing is stale.
#![no_main]

use std::collections::BTreeSet;

use libfuzzer_sys::fuzz_target;
use mcp_jupyter_core::scheduler::{CodeCell, Document, Outcome, Plan, PlanRequest, Planner};

/// Between two cells. What follows another separator is the notebook after an edit, cell by cell.
const CELL: &str = "\n#--\n";
const EDIT: &str = "\n#==\n";

fuzz_target!(|data: &[u8]| {
    let text = String::from_utf8_lossy(data);
    let mut versions = text.split(EDIT);
    let first = versions.next().unwrap_or_default();
    let language = if first.starts_with("#R") { "R" } else { "python" };
    let before: Vec<&str> = first.split(CELL).collect();
    let mut planner = Planner::default();
    planner.sync(document(language, &before));
    execute(&mut planner, before.len());
    for version in versions {
        let after: Vec<&str> = version.split(CELL).collect();
        planner.sync(document(language, &after));
        execute(&mut planner, after.len());
    }
});

fn document(language: &str, sources: &[&str]) -> Document {
    let cells = sources.iter().enumerate().map(|(index, source)| CodeCell {
        id: format!("cell-{index}").as_str().into(),
        index,
        source: (*source).into(),
        tags: Vec::new(),
    });
    Document {
        language: language.to_owned(),
        cells: cells.collect(),
    }
}

fn execute(planner: &mut Planner, cells: usize) {
    let plan = planned(planner, cells);
    for planned in &plan.cells {
        planner.deleted(&planned.delete_before);
        planner.executed(&planned.cell.id, &Outcome::Ok, None);
    }
    planner.deleted(&plan.delete_after);
    let again = planned(planner, cells);
    assert!(again.is_empty(), "executed, and stale again: {again:?}");
}

fn planned(planner: &Planner, cells: usize) -> Plan {
    let plan = planner
        .plan(&PlanRequest::default())
        .expect("the request names no cell");
    let order: Vec<usize> = plan.cells.iter().map(|planned| planned.cell.index).collect();
    assert!(order.is_sorted(), "{order:?}");
    let skipped = plan.skipped.iter().map(|skipped| skipped.cell.index);
    let all: BTreeSet<usize> = order.iter().copied().chain(skipped).collect();
    assert_eq!(all.len(), cells, "{plan:?}");
    assert!(planner.edges().iter().all(|edge| edge.from.index < edge.to.index));
    plan
}
