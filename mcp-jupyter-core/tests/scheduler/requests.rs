//! What a request, a tag or a comment makes of a plan.

use std::collections::BTreeSet;

use mcp_jupyter_core::scheduler::{
    CodeCell, Document, Mode, Outcome, Plan, PlanRequest, Planner, SchedulerError, SkipReason, StaleKind, Target,
};

fn document(sources: &[&str]) -> Document {
    let cells = sources.iter().enumerate().map(|(index, source)| CodeCell {
        id: format!("c{index}").as_str().into(),
        index,
        source: (*source).into(),
        tags: match *source {
            "skip_me = 1" => vec!["skip-execution".to_owned()],
            source if source.contains("plot") => vec!["figures".to_owned()],
            _ => Vec::new(),
        },
    });
    Document {
        language: "python".to_owned(),
        cells: cells.collect(),
    }
}

/// A planner whose kernel has executed all of `old`, for the cells of `new`.
fn planner(old: &[&str], new: &[&str]) -> Planner {
    let mut planner = Planner::default();
    planner.sync(document(old));
    for index in 0..old.len() {
        planner.executed(&format!("c{index}").as_str().into(), &Outcome::Ok, None);
    }
    planner.sync(document(new));
    planner
}

fn order(plan: &Plan) -> Vec<usize> {
    plan.cells.iter().map(|planned| planned.cell.index).collect()
}

fn kinds(plan: &Plan) -> Vec<StaleKind> {
    plan.cells.iter().map(|planned| planned.reason.kind).collect()
}

fn skipped(plan: &Plan) -> Vec<(usize, SkipReason)> {
    plan.skipped
        .iter()
        .map(|skipped| (skipped.cell.index, skipped.reason))
        .collect()
}

fn with_mode(mode: Mode) -> PlanRequest {
    PlanRequest {
        mode,
        ..PlanRequest::default()
    }
}

#[test]
fn every_cell_is_answered_for() {
    let plan = planner(
        &["x = 1", "", "skip_me = 1", "y = x"],
        &["x = 2", "", "skip_me = 1", "y = x"],
    );
    let plan = plan.plan(&PlanRequest::default()).unwrap();
    assert_eq!(order(&plan), [0, 3]);
    assert_eq!(skipped(&plan), [(1, SkipReason::Empty), (2, SkipReason::Tagged)]);
}

#[test]
fn incremental_goes_from_the_first_stale_cell_to_the_end() {
    let sources = ["a = 1", "b = 2", "c = 3"];
    let plan = planner(&sources, &["a = 1", "b = 3", "c = 3"])
        .plan(&with_mode(Mode::Incremental))
        .unwrap();
    assert_eq!(order(&plan), [1, 2]);
    assert_eq!(kinds(&plan), [StaleKind::Edited, StaleKind::Mode]);
    let nothing = planner(&sources, &sources).plan(&with_mode(Mode::Incremental)).unwrap();
    assert!(nothing.is_empty());
}

#[test]
fn incremental_restores_what_it_needs_and_goes_on_from_there() {
    let plan = planner(&["x = []", "x.append(1)", "y = 1"], &["x = []", "x.append(2)", "y = 1"]);
    assert_eq!(order(&plan.plan(&with_mode(Mode::Incremental)).unwrap()), [0, 1, 2]);
}

#[test]
fn full_takes_every_cell() {
    let sources = ["a = 1", "b = 2"];
    let plan = planner(&sources, &sources).plan(&with_mode(Mode::Full)).unwrap();
    assert_eq!(kinds(&plan), [StaleKind::Mode, StaleKind::Mode]);
}

#[test]
fn append_takes_new_cells_and_refuses_edits() {
    let plan = planner(&["a = 1"], &["a = 1", "b = a"])
        .plan(&with_mode(Mode::Append))
        .unwrap();
    assert_eq!(order(&plan), [1]);
    let refused = planner(&["a = 1"], &["a = 2", "b = a"]).plan(&with_mode(Mode::Append));
    assert!(matches!(refused, Err(SchedulerError::NotAppendable { changed }) if changed[0].index == 0));
}

#[test]
fn a_target_takes_its_upstream_only() {
    let sources = ["a = 1", "b = 2", "c = a", "plot(c)", "d = b"];
    let mut planner = Planner::default();
    planner.sync(document(&sources));
    let plan = |target: Target| {
        let request = PlanRequest {
            targets: vec![target],
            ..PlanRequest::default()
        };
        planner.plan(&request)
    };
    assert_eq!(order(&plan(Target::Cell("c2".into())).unwrap()), [0, 2]);
    assert_eq!(order(&plan(Target::Downstream("c2".into())).unwrap()), [0, 2, 3]);
    assert_eq!(
        order(&plan(Target::Range("c3".into(), "c4".into())).unwrap()),
        [0, 1, 2, 3, 4]
    );
    assert_eq!(order(&plan(Target::Tag("figures".to_owned())).unwrap()), [0, 2, 3]);
    assert!(matches!(
        plan(Target::Tag("none".to_owned())),
        Err(SchedulerError::NoSuchTag { .. })
    ));
    assert!(matches!(
        plan(Target::Cell("c9".into())),
        Err(SchedulerError::NoSuchCell { .. })
    ));
    let narrowed = plan(Target::Cell("c0".into())).unwrap();
    assert!(
        skipped(&narrowed)
            .iter()
            .all(|(_, reason)| *reason == SkipReason::NotTargeted)
    );
}

#[test]
fn excluded_cells_never_run() {
    let mut planner = Planner::default();
    planner.sync(document(&["a = 1", "b = a"]));
    let request = PlanRequest {
        excluded: BTreeSet::from(["c0".into()]),
        ..PlanRequest::default()
    };
    assert_eq!(order(&planner.plan(&request).unwrap()), [1]);
}

#[test]
fn frozen_cells_run_once() {
    let frozen = "# @frozen\nb = load(a)";
    let plan = planner(&["a = 1", frozen, "c = b"], &["a = 2", frozen, "c = b"])
        .plan(&PlanRequest::default())
        .unwrap();
    assert_eq!(order(&plan), [0]);
    assert_eq!(skipped(&plan), [(1, SkipReason::Frozen), (2, SkipReason::Fresh)]);
    let mut new = Planner::default();
    new.sync(document(&["a = 1", frozen]));
    assert_eq!(order(&new.plan(&PlanRequest::default()).unwrap()), [0, 1]);
}

#[test]
fn skipped_cells_block_what_depends_on_them() {
    let mut planner = Planner::default();
    planner.sync(document(&["# @skip\na = 1", "b = a", "c = b", "d = 4"]));
    let plan = planner.plan(&PlanRequest::default()).unwrap();
    assert_eq!(order(&plan), [3]);
    let reasons = [
        (0, SkipReason::Skipped),
        (1, SkipReason::Blocked),
        (2, SkipReason::Blocked),
    ];
    assert_eq!(skipped(&plan), reasons);
    assert_eq!(plan.skipped[2].via, Some("c1".into()));
}

#[test]
fn expensive_cells_are_not_repeated_for_others_without_consent() {
    let (old, new) = (
        ["# @expensive\nx = []", "x.append(1)"],
        ["# @expensive\nx = []", "x.append(2)"],
    );
    let planner_after_edit = planner(&old, &new);
    let plan = planner_after_edit.plan(&PlanRequest::default()).unwrap();
    assert_eq!(plan.needs_consent.len(), 1);
    let allowed = PlanRequest {
        allow_expensive: true,
        ..PlanRequest::default()
    };
    assert!(planner_after_edit.plan(&allowed).unwrap().needs_consent.is_empty());
    let edited = planner(&old, &["# @expensive\nx = [0]", "x.append(1)"]);
    assert!(
        edited.plan(&PlanRequest::default()).unwrap().needs_consent.is_empty(),
        "its own edit is consent"
    );
}

#[test]
fn other_languages_run_from_the_first_edit_to_the_end() {
    let julia = |sources: &[&str]| Document {
        language: "julia".to_owned(),
        ..document(sources)
    };
    let mut planner = Planner::default();
    planner.sync(julia(&["a = 1", "b = 2", "c = 3"]));
    for id in ["c0", "c1", "c2"] {
        planner.executed(&id.into(), &Outcome::Ok, None);
    }
    planner.sync(julia(&["a = 1", "b = 3", "c = 3"]));
    assert_eq!(order(&planner.plan(&PlanRequest::default()).unwrap()), [1, 2]);
    let edges: Vec<(usize, usize)> = planner
        .edges()
        .iter()
        .map(|edge| (edge.from.index, edge.to.index))
        .collect();
    assert_eq!(edges, [(0, 1), (1, 2)]);
    assert!(planner.effects().iter().all(|(_, effects)| effects.unknown.is_some()));
}

#[test]
fn a_target_takes_code_that_may_have_changed_what_it_reads() {
    let mut planner = Planner::default();
    planner.sync(document(&["x = 1", "exec(input())", "y = x"]));
    let request = PlanRequest {
        targets: vec![Target::Cell("c2".into())],
        ..PlanRequest::default()
    };
    assert_eq!(order(&planner.plan(&request).unwrap()), [0, 1, 2]);
    assert_eq!(planner.downstream(&"c1".into()).len(), 1);
    assert!(planner.edges().iter().all(|edge| !edge.names.is_empty()));
}

#[test]
fn a_name_that_only_an_exception_might_unbind_is_deleted() {
    let handler = "try:\n    n = e['a']\nexcept KeyError as f:\n    n = 1";
    let old = ["e = {'a': 0}", handler, "def f():\n    return 1"];
    let plan = planner(&old, &["e = {'a': 0}", handler, "g = 1"])
        .plan(&PlanRequest::default())
        .unwrap();
    assert_eq!(order(&plan), [2]);
    assert_eq!(plan.delete_after, ["f"]);
}

#[test]
fn what_cannot_be_followed_becomes_fresh_when_it_is_executed() {
    let sources = |code: &'static str| [code, "exec(code)", "import sys\nsys.path.append('lib')", "print(z)"];
    let mut planner = planner(&sources("code = 'z = 3'"), &sources("code = 'z = 4'"));
    let plan = planner.plan(&PlanRequest::default()).unwrap();
    for planned in &plan.cells {
        planner.executed(&planned.cell.id, &Outcome::Ok, None);
    }
    let again = planner.plan(&PlanRequest::default()).unwrap();
    assert!(again.is_empty(), "{plan:#?} {again:#?}");
}
