//! Makes what fails small enough to be read.

use crate::scenario::{Deed, Scenario};

/// The smallest scenario that still fails, by taking things away one after the other.
pub(crate) fn shrink(mut scenario: Scenario, fails: &mut dyn FnMut(&Scenario) -> bool) -> Scenario {
    let mut tries = 600;
    let mut try_it = |candidate: &Scenario| {
        if tries == 0 {
            return false;
        }
        tries -= 1;
        fails(candidate)
    };
    loop {
        let before = scenario.clone();
        scenario = drop_deeds(scenario, &mut try_it);
        scenario = drop_lines(scenario, &mut try_it);
        if scenario == before {
            return scenario;
        }
    }
}

fn drop_deeds(mut scenario: Scenario, fails: &mut dyn FnMut(&Scenario) -> bool) -> Scenario {
    let mut size = scenario.0.len() / 2;
    while size > 0 {
        let mut start = scenario.0.len().saturating_sub(size);
        loop {
            let mut candidate = scenario.clone();
            candidate.0.drain(start..(start + size).min(scenario.0.len()));
            if !candidate.0.is_empty() && fails(&candidate) {
                scenario = candidate;
            }
            if start == 0 {
                break;
            }
            start = start.saturating_sub(size);
        }
        size /= 2;
    }
    scenario
}

fn drop_lines(mut scenario: Scenario, fails: &mut dyn FnMut(&Scenario) -> bool) -> Scenario {
    for place in 0..scenario.0.len() {
        let mut line = 0;
        while let Some(smaller) = without_line(&scenario.0[place], line) {
            let mut candidate = scenario.clone();
            candidate.0[place] = smaller;
            if fails(&candidate) {
                scenario = candidate;
            } else {
                line += 1;
            }
        }
    }
    scenario
}

fn without_line(deed: &Deed, line: usize) -> Option<Deed> {
    let (Deed::Insert(place, source) | Deed::Edit(place, source)) = deed else {
        return None;
    };
    let mut lines: Vec<&str> = source.lines().collect();
    if line >= lines.len() || lines.len() == 1 {
        return None;
    }
    lines.remove(line);
    let source = lines.join("\n");
    Some(match deed {
        Deed::Insert(..) => Deed::Insert(*place, source),
        _ => Deed::Edit(*place, source),
    })
}
