//! Small notebooks with their edges and minimal re-runs (`corpus/*.json`, verified by `corpus/verify.py`).

use std::collections::BTreeSet;
use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use mcp_jupyter_core::scheduler::{CodeCell, Document, Outcome, PlanRequest, Planner};
use serde::Deserialize;

#[derive(Deserialize)]
pub(crate) struct Case {
    pub(crate) name: String,
    pub(crate) old: Vec<Cell>,
    pub(crate) new: Vec<Cell>,
    edges: Vec<(usize, usize, Vec<String>)>,
    /// Edges that are right whether they are there or not.
    #[serde(default)]
    maybe: Vec<(usize, usize, Vec<String>)>,
    stale: BTreeSet<usize>,
    /// Cells that may be executed as well.
    #[serde(default)]
    may: BTreeSet<usize>,
}

#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Cell {
    pub(crate) id: String,
    pub(crate) source: String,
}

pub(crate) fn document(cells: &[Cell]) -> Document {
    let cells = cells.iter().enumerate().map(|(index, cell)| CodeCell {
        id: cell.id.as_str().into(),
        index,
        source: cell.source.as_str().into(),
        tags: Vec::new(),
    });
    Document {
        language: "python".to_owned(),
        cells: cells.collect(),
    }
}

fn planner(case: &Case) -> Planner {
    let mut planner = Planner::default();
    planner.sync(document(&case.old));
    for cell in &case.old {
        planner.executed(&cell.id.as_str().into(), &Outcome::Ok, None);
    }
    planner.sync(document(&case.new));
    planner
}

pub(crate) fn cases() -> &'static [Case] {
    static CASES: OnceLock<Vec<Case>> = OnceLock::new();
    CASES.get_or_init(read_cases)
}

fn read_cases() -> Vec<Case> {
    let folder = std::env::var_os("MCP_JUPYTER_TEST_CORPUS").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/scheduler/corpus"),
        PathBuf::from,
    );
    let mut files: Vec<PathBuf> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "json"))
        .collect();
    files.sort();
    let read = |file: PathBuf| -> Vec<Case> { serde_json::from_slice(&std::fs::read(file).unwrap()).unwrap() };
    files.into_iter().flat_map(read).collect()
}

/// What a difference is about: a re-run that is too small makes a wrong notebook, one that is too large only costs.
#[derive(Default)]
struct Differences {
    unsound: String,
    inexact: String,
    edges: String,
    counts: [usize; 3],
}

#[test]
fn plans_are_what_executions_have_shown() {
    let cases = cases();
    let mut found = Differences::default();
    for case in cases {
        compare(case, &mut found);
    }
    let [unsound, inexact, edges] = found.counts;
    let report = format!(
        "{} cases, {unsound} unsound, {inexact} with a re-run too large, {edges} with other edges\n{}{}{}",
        cases.len(),
        found.unsound,
        found.inexact,
        found.edges
    );
    println!("{report}");
    assert_eq!(unsound, 0, "{report}");
    assert!(inexact * 20 <= cases.len(), "{report}");
    assert!(edges * 20 <= cases.len(), "{report}");
}

fn compare(case: &Case, found: &mut Differences) {
    let planner = planner(case);
    let plan = planner.plan(&PlanRequest::default()).unwrap();
    let stale: BTreeSet<usize> = plan.cells.iter().map(|planned| planned.cell.index).collect();
    let edges: BTreeSet<(usize, usize)> = planner
        .edges()
        .iter()
        .map(|edge| (edge.from.index, edge.to.index))
        .collect();
    let wanted: BTreeSet<(usize, usize)> = case.edges.iter().map(|(from, to, _)| (*from, *to)).collect();
    let missing: Vec<_> = case.stale.difference(&stale).collect();
    let allowed: BTreeSet<usize> = case.stale.union(&case.may).copied().collect();
    let surplus: Vec<_> = stale.difference(&allowed).collect();
    if !missing.is_empty() {
        found.counts[0] += 1;
        writeln!(found.unsound, "UNSOUND {}: {missing:?} missing", case.name).unwrap();
    } else if !surplus.is_empty() {
        found.counts[1] += 1;
        let why: Vec<String> = plan
            .cells
            .iter()
            .filter(|planned| surplus.contains(&&planned.cell.index))
            .map(|planned| {
                format!(
                    "{} {} {:?} {:?}",
                    planned.cell.index, planned.reason.kind, planned.reason.via, planned.reason.names
                )
            })
            .collect();
        writeln!(found.inexact, "INEXACT {}: {why:?}", case.name).unwrap();
    }
    let maybe: BTreeSet<(usize, usize)> = case.maybe.iter().map(|(from, to, _)| (*from, *to)).collect();
    let missing: Vec<_> = wanted.difference(&edges).filter(|edge| !maybe.contains(edge)).collect();
    let surplus: Vec<_> = edges.difference(&wanted).filter(|edge| !maybe.contains(edge)).collect();
    if !missing.is_empty() || !surplus.is_empty() {
        found.counts[2] += 1;
        writeln!(
            found.edges,
            "EDGES {}: missing {missing:?}, surplus {surplus:?}",
            case.name
        )
        .unwrap();
    }
}
