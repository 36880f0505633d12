//! Does what a scenario says, and compares what is left with a fresh run.

use std::collections::BTreeMap;
use std::path::PathBuf;

use mcp_jupyter_core::model::CellId;
use mcp_jupyter_core::scheduler::{Mode, OnError, PlanRequest, StartRequest, Target};
use tokio::runtime::Runtime;

use crate::helper::{Fresh, Helper};
use crate::real::Real;
use crate::scenario::{Cell, Cells, Deed, Run, Scenario, indented};
use crate::simulated::Simulated;

pub(crate) fn cell_id(number: usize) -> CellId {
    format!("c{number}").as_str().into()
}

/// How a run ended.
#[derive(Debug, Default)]
pub(crate) struct End {
    pub(crate) is_completed: bool,
    /// The last cell that raised, and what.
    pub(crate) failure: Option<(usize, String)>,
    pub(crate) executed: usize,
    pub(crate) warnings: Vec<String>,
}

/// What is put to the test.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// The scheduler, on the helper's namespace.
    Scheduler,
    /// The engine, on an ipykernel.
    Kernel,
}

enum Subject {
    Simulated(Simulated),
    Real(Real),
}

/// A difference to a fresh run.
#[derive(Debug)]
pub(crate) struct Difference {
    pub(crate) kind: &'static str,
    pub(crate) text: String,
    /// Whether a cell was reported as one that cannot be known.
    pub(crate) is_told: bool,
}

#[derive(Debug, Default)]
pub(crate) struct Counts {
    pub(crate) scenarios: usize,
    pub(crate) syncs: usize,
    pub(crate) failing_syncs: usize,
    pub(crate) executed: usize,
    pub(crate) cells: usize,
    /// Differences where a cell was reported as one that cannot be known.
    pub(crate) told: usize,
    /// Syncs after which something is stale though nothing is unknown.
    pub(crate) restless: usize,
}

pub(crate) struct Bench {
    python: PathBuf,
    pub(crate) helper: Helper,
    runtime: Runtime,
    pub(crate) counts: Counts,
    kind: Kind,
    verify: bool,
    /// A real kernel is restarted rather than started.
    kernel: Option<Real>,
}

impl Bench {
    pub(crate) fn new(python: PathBuf, kind: Kind, verify: bool) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        Self {
            helper: Helper::start(&python),
            python,
            runtime,
            counts: Counts::default(),
            kind,
            verify,
            kernel: None,
        }
    }

    /// The first difference that the scenario leads to.
    pub(crate) fn check(&mut self, scenario: &Scenario) -> Option<Difference> {
        self.counts.scenarios += 1;
        let runtime = std::mem::replace(&mut self.runtime, idle_runtime());
        let found = runtime.block_on(self.play(scenario));
        self.runtime = runtime;
        found
    }

    async fn play(&mut self, scenario: &Scenario) -> Option<Difference> {
        let mut subject = self.subject().await;
        // The kernel's session has met the cells of other scenarios.
        let mut cells = Cells::numbered_from(self.counts.scenarios * 1000);
        let mut found = None;
        for deed in &scenario.0 {
            cells.apply(deed);
            match deed {
                Deed::Restart => self.restart(&mut subject).await,
                Deed::Run(run) if !cells.cells.is_empty() => {
                    let request = self.request(run, &cells);
                    self.run(&mut subject, &cells.cells, request).await;
                }
                Deed::Sync => found = self.sync(&mut subject, &cells.cells).await,
                _ => {}
            }
            if found.is_some() {
                break;
            }
        }
        if let Subject::Real(real) = subject {
            self.kernel = Some(real);
        }
        found
    }

    async fn subject(&mut self) -> Subject {
        match (self.kind, self.kernel.take()) {
            (Kind::Scheduler, _) => Subject::Simulated(Simulated::new(&mut self.helper)),
            (Kind::Kernel, None) => Subject::Real(Real::new(&self.python).await),
            (Kind::Kernel, Some(mut real)) => {
                real.begin_anew().await;
                Subject::Real(real)
            }
        }
    }

    async fn restart(&mut self, subject: &mut Subject) {
        match subject {
            Subject::Simulated(simulated) => simulated.restart(&mut self.helper).await,
            Subject::Real(real) => real.restart().await,
        }
    }

    async fn run(&mut self, subject: &mut Subject, cells: &[Cell], request: StartRequest) -> End {
        match subject {
            Subject::Simulated(simulated) => simulated.run(&mut self.helper, cells, request).await,
            Subject::Real(real) => real.run(cells, request).await,
        }
    }

    fn request(&self, run: &Run, cells: &Cells) -> StartRequest {
        let id = |place: usize| cell_id(cells.cells[cells.place(place)].number);
        let mut plan = PlanRequest::default();
        let mut on_error = OnError::Stop;
        match run {
            Run::Cell(place) => plan.targets.push(Target::Cell(id(*place))),
            Run::Downstream(place) => plan.targets.push(Target::Downstream(id(*place))),
            Run::Range(one, other) => {
                let (one, other) = (cells.place(*one), cells.place(*other));
                plan.targets.push(Target::Range(id(one.min(other)), id(one.max(other))));
            }
            Run::Incremental => plan.mode = Mode::Incremental,
            Run::Append => plan.mode = Mode::Append,
            Run::Full => plan.mode = Mode::Full,
            Run::GoOn => on_error = OnError::Continue,
            Run::GoOnIndependent => on_error = OnError::ContinueIndependent,
        }
        StartRequest {
            plan,
            on_error,
            verify: self.verify,
            ..StartRequest::default()
        }
    }

    /// Runs what is stale, and compares.
    async fn sync(&mut self, subject: &mut Subject, cells: &[Cell]) -> Option<Difference> {
        let request = StartRequest {
            verify: self.verify,
            ..StartRequest::default()
        };
        let end = self.run(subject, cells, request).await;
        let sources: Vec<&str> = cells.iter().map(|cell| cell.source.as_str()).collect();
        let fresh = self.helper.fresh(&sources);
        self.counts.syncs += 1;
        self.counts.executed += end.executed;
        self.counts.cells += fresh.failed.map_or(cells.len(), |failed| failed + 1);
        self.counts.failing_syncs += usize::from(fresh.failed.is_some());
        let is_told = match subject {
            Subject::Simulated(simulated) => {
                let status = simulated.sync(cells).await;
                let is_told = status.cells.iter().any(|(_, effects)| effects.unknown.is_some());
                self.counts.restless += usize::from(!is_told && fresh.failed.is_none() && !status.plan.is_empty());
                is_told
            }
            Subject::Real(real) => is_told(real.notebook()),
        };
        let (kind, text) = self.compare(subject, cells, &end, &fresh)?;
        Some(Difference {
            kind,
            text: format!("{text}\n{}", shown(cells, &end)),
            is_told,
        })
    }

    fn compare(
        &mut self,
        subject: &Subject,
        cells: &[Cell],
        end: &End,
        fresh: &Fresh,
    ) -> Option<(&'static str, String)> {
        let expected = fresh.failed.zip(fresh.ename.clone());
        if end.failure != expected || end.is_completed != expected.is_none() {
            return Some(("failure", format!("failed: {end:?}, expected {expected:?}")));
        }
        let count = fresh.failed.unwrap_or(cells.len());
        for (place, cell) in cells.iter().enumerate().take(count) {
            let text = match subject {
                Subject::Simulated(simulated) => simulated.text(cell).to_owned(),
                Subject::Real(real) => self.helper.normal(&real.text(place)),
            };
            if !cell.source.trim().is_empty() && text != fresh.texts[place] {
                let expected = &fresh.texts[place];
                return Some(("output", format!("#{place} shows {text:?}, expected {expected:?}")));
            }
        }
        if fresh.failed.is_some() {
            return None;
        }
        let names = match subject {
            Subject::Simulated(_) => self.helper.describe(&fresh.exempt),
            Subject::Real(real) => real.describe(&fresh.exempt),
        };
        let differing = differing(&names, &fresh.names);
        (!differing.is_empty()).then(|| ("names", differing.join("\n")))
    }
}

impl Bench {
    /// Ends the kernel, where there is one.
    pub(crate) fn close(&mut self) {
        if let Some(kernel) = self.kernel.take() {
            self.runtime.block_on(kernel.close());
        }
    }
}

fn idle_runtime() -> Runtime {
    tokio::runtime::Builder::new_current_thread().build().unwrap()
}

/// Whether a plan of the notebook says that something cannot be known.
fn is_told(notebook: &mcp_jupyter_core::session::notebook::Notebook) -> bool {
    let mut planner = mcp_jupyter_core::scheduler::Planner::default();
    planner.sync(mcp_jupyter_core::scheduler::Document::from_notebook(notebook));
    planner.effects().iter().any(|(_, effects)| effects.unknown.is_some())
}

fn differing(names: &BTreeMap<String, String>, expected: &BTreeMap<String, String>) -> Vec<String> {
    let mut found = Vec::new();
    for (name, value) in names {
        match expected.get(name) {
            Some(wanted) if wanted == value => {}
            wanted => found.push(format!("{name} is {value}, expected {wanted:?}")),
        }
    }
    let missing = expected.keys().filter(|name| !names.contains_key(*name));
    found.extend(missing.map(|name| format!("{name} is missing")));
    found
}

fn shown(cells: &[Cell], end: &End) -> String {
    let cells: Vec<String> = cells
        .iter()
        .enumerate()
        .map(|(place, cell)| format!("    #{place} c{}:\n{}", cell.number, indented(&cell.source)))
        .collect();
    format!("{}\n{end:?}", cells.join("\n"))
}
