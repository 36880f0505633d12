//! The master property: whatever is done to a notebook of deterministic cells, a smart run leaves in the kernel what a
//! fresh run of the whole notebook leaves: the same names, with equal values and the same sharing of mutable objects, and
//! the same outputs; and where that fails, it fails in the same cell with the same exception.
//!
//! `MCP_JUPYTER_TEST_SCENARIOS` and `MCP_JUPYTER_TEST_SEED` make it a long campaign.
#![cfg(all(feature = "local", unix))]
#![allow(clippy::unwrap_used, reason = "a test that cannot go on panics")]
#![allow(clippy::print_stdout, reason = "a long campaign shows what it finds at once")]

mod bench;
mod cells;
mod helper;
mod random;
mod real;
mod scenario;
mod shrink;
mod simulated;
#[path = "../support/mod.rs"]
mod support;

use std::time::{Duration, Instant};

use crate::bench::{Bench, Kind};
use crate::scenario::Scenario;

/// From which numbers the scenarios are drawn.
struct Campaign {
    seeds: Vec<u64>,
    /// One that nobody has seen: a counterexample is shown, but is not the fault of whoever runs the test.
    unseen: Option<u64>,
    /// How many counterexamples are shown.
    shown: usize,
    patience: Duration,
}

impl Campaign {
    /// Always the same scenarios and one that nobody has seen; or as many as the environment asks for.
    fn new(few: u64) -> Self {
        let number = |name| std::env::var(name).ok().map(|text| text.parse::<u64>().unwrap());
        let (count, first) = (number("MCP_JUPYTER_TEST_SCENARIOS"), number("MCP_JUPYTER_TEST_SEED"));
        let shown = number("MCP_JUPYTER_TEST_SHOWN").and_then(|shown| shown.try_into().ok());
        let is_long = count.is_some() || first.is_some();
        let first = first.unwrap_or_default();
        let unseen = u64::from(std::time::UNIX_EPOCH.elapsed().unwrap().subsec_nanos());
        Self {
            seeds: (first..first + count.unwrap_or(if is_long { 1 } else { few })).collect(),
            unseen: (!is_long).then_some(unseen),
            shown: shown.unwrap_or(1),
            patience: if is_long { Duration::MAX } else { PATIENCE },
        }
    }
}

/// On a slow machine, fewer scenarios are tried.
const PATIENCE: Duration = Duration::from_secs(15);

fn hold(kind: Kind, verify: bool, few: u64) {
    let Some(python) = support::python() else { return };
    let campaign = Campaign::new(few);
    let mut bench = Bench::new(python, kind, verify);
    let mut found = Vec::new();
    let begun = Instant::now();
    for (done, seed) in campaign.seeds.into_iter().enumerate() {
        if done % 100 == 99 {
            println!("{:?} in {:?}", bench.counts, begun.elapsed());
        }
        if found.len() >= campaign.shown || begun.elapsed() > campaign.patience {
            break;
        }
        found.extend(counterexample(&mut bench, seed));
    }
    if let Some(seed) = campaign.unseen {
        let scenario = Scenario::draw(seed, &mut bench.helper);
        let difference = bench.check(&scenario).filter(|difference| !difference.is_told);
        let shown = difference.map_or_else(|| "holds".to_owned(), |difference| difference.text);
        println!("the scenario of the seed {seed}, which nobody has seen: {shown}");
    }
    println!("{kind:?}, verify {verify}: {:?} in {:?}", bench.counts, begun.elapsed());
    bench.close();
    assert!(found.is_empty(), "{}", found.join("\n\n"));
}

/// What the scenario of the seed shows, if the property does not hold for it and no cell is said to be unknown.
fn counterexample(bench: &mut Bench, seed: u64) -> Option<String> {
    let scenario = Scenario::draw(seed, &mut bench.helper);
    let difference = bench.check(&scenario)?;
    if difference.is_told {
        bench.counts.told += 1;
        return None;
    }
    println!("seed {seed}: {}", difference.kind);
    let report = report(bench, seed, scenario, difference.kind);
    println!("{report}");
    Some(report)
}

/// The counterexample as small as it gets.
fn report(bench: &mut Bench, seed: u64, scenario: Scenario, kind: &'static str) -> String {
    let smallest = shrink::shrink(scenario, &mut |candidate| {
        let found = bench.check(candidate);
        found.is_some_and(|found| found.kind == kind && !found.is_told)
    });
    let found = bench
        .check(&smallest)
        .map_or_else(|| "it comes and goes".to_owned(), |found| found.text);
    format!("seed {seed}, {kind}\n{smallest:?}{found}")
}

#[test]
fn smart_runs_leave_what_fresh_ones_leave_by_analysis_alone() {
    hold(Kind::Scheduler, false, 30);
}

#[test]
fn smart_runs_leave_what_fresh_ones_leave_with_verification() {
    hold(Kind::Scheduler, true, 30);
}

#[test]
fn smart_runs_leave_what_fresh_ones_leave_on_a_kernel() {
    hold(Kind::Kernel, true, 6);
}
