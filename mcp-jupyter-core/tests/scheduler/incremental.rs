//! A planner that has seen other versions of a notebook knows of the present one what a new planner does.

use mcp_jupyter_core::scheduler::Planner;
use proptest::prelude::*;

use super::corpus::{Case, Cell, cases, document};

fn assert_as_new(planner: &Planner, cells: &[Cell], what: &str) {
    let mut fresh = Planner::default();
    fresh.sync(document(cells));
    assert_eq!(planner.effects(), fresh.effects(), "{what}");
    let sorted = |planner: &Planner| {
        let mut edges = planner.edges();
        edges.sort_by_key(|edge| (edge.to.index, edge.from.index));
        edges
    };
    assert_eq!(sorted(planner), sorted(&fresh), "{what}");
}

#[test]
fn an_edit_and_its_undoing_are_taken_in() {
    for Case { name, old, new, .. } in cases() {
        let mut planner = Planner::default();
        for (step, cells) in [old, new, old, new].into_iter().enumerate() {
            planner.sync(document(cells));
            assert_as_new(&planner, cells, &format!("{name}, step {step}"));
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::default())]

    #[test]
    fn any_sequence_of_edits_is_taken_in(
        picks in prop::collection::vec((0..10_000_usize, 0..10_000_usize), 3..9),
        edits in prop::collection::vec((0..10_000_usize, 0..10_000_usize, 0..10_000_usize), 1..12),
    ) {
        let cases = cases();
        let source = |(case, cell): (usize, usize)| {
            let case = &cases[case % cases.len()];
            case.new[cell % case.new.len()].source.clone()
        };
        let cell = |(index, pick): (usize, (usize, usize))| Cell { id: format!("c{index}"), source: source(pick) };
        let mut cells: Vec<Cell> = picks.into_iter().enumerate().map(cell).collect();
        let mut planner = Planner::default();
        planner.sync(document(&cells));
        for (at, case, cell) in edits {
            let at = at % cells.len();
            match case % 4 {
                0 => cells[at].source.push_str("\nadded = 1"),
                1 => cells[at].source.push_str("\nx = [1]\nprint(x)"),
                _ => cells[at].source = source((case, cell)),
            }
            planner.sync(document(&cells));
            assert_as_new(&planner, &cells, &format!("{cells:#?}"));
        }
    }
}
