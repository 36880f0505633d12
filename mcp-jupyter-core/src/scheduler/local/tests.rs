//! Whatever is done to a scheduler, in whatever order, it keeps its promises.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use proptest::collection::vec;
use proptest::prelude::*;

use super::LocalScheduler;
use crate::model::{CellId, CellRef, RunId, SessionId};
use crate::scheduler::{
    CodeCell, Dispatch, Document, KernelEpoch, MemoryJournal, Mode, OnError, OnKernelDeath, Outcome, PlanRequest,
    Priority, Report, RunEnd, Scheduler, SchedulerError, SessionStatus, StartRequest, StartedRun, Step,
};

/// Something that is done to a scheduler with one session.
#[derive(Clone, Debug)]
enum Deed {
    /// These cells, each of an id and a variant of its source.
    Sync(Vec<(u8, u8)>),
    Start(StartRequest),
    /// Ask the run for its next step.
    Ask(usize),
    /// Tell what came of the cell in flight.
    Report(Outcome),
    Cancel(usize),
    /// Drop the steps of the run.
    Drop(usize),
    NewKernel,
    Crash,
}

fn cells() -> impl Strategy<Value = Vec<(u8, u8)>> {
    let cells = vec((0u8..6, 0u8..12), 1..6);
    cells.prop_map(|mut cells| {
        let mut seen = BTreeSet::new();
        cells.retain(|(id, _)| seen.insert(*id));
        cells
    })
}

fn outcome() -> impl Strategy<Value = Outcome> {
    prop_oneof![
        8 => Just(Outcome::Ok),
        1 => Just(raised()),
        1 => Just(Outcome::KernelDied),
        1 => Just(Outcome::Interrupted),
    ]
}

fn raised() -> Outcome {
    Outcome::Error {
        ename: "NameError".to_owned(),
        evalue: String::new(),
    }
}

fn request() -> impl Strategy<Value = StartRequest> {
    let modes = [Mode::Smart, Mode::Incremental, Mode::Full, Mode::Append];
    let on_error = [OnError::Stop, OnError::Continue, OnError::ContinueIndependent];
    let priority = [Priority::Batch, Priority::Interactive];
    let choices = (
        0..modes.len(),
        0..on_error.len(),
        0..priority.len(),
        0u32..3,
        any::<bool>(),
    );
    choices.prop_map(move |(mode, error, place, restarts, late)| StartRequest {
        run_id: None,
        plan: PlanRequest {
            mode: modes[mode],
            ..PlanRequest::default()
        },
        on_error: on_error[error],
        on_kernel_death: OnKernelDeath::Restart(restarts),
        priority: priority[place],
        deadline: late.then_some(Duration::from_secs(5)),
        verify: false,
    })
}

fn deed() -> impl Strategy<Value = Deed> {
    prop_oneof![
        3 => cells().prop_map(Deed::Sync),
        3 => request().prop_map(Deed::Start),
        12 => (0usize..3).prop_map(Deed::Ask),
        12 => outcome().prop_map(Deed::Report),
        1 => (0usize..3).prop_map(Deed::Cancel),
        1 => (0usize..3).prop_map(Deed::Drop),
        1 => Just(Deed::NewKernel),
        1 => Just(Deed::Crash),
    ]
}

/// Each cell binds one of three names, from a number or from others of them.
fn document(cells: &[(u8, u8)]) -> Document {
    let cell = |(index, (id, variant)): (usize, &(u8, u8))| {
        let [bound, one, other] = [0, 1, 2].map(|step| (variant + step) % 3);
        let source = match variant / 3 {
            0 => format!("v{bound} = {}", id + 10),
            1 => format!("v{bound} = v{one} + 1"),
            2 => format!("v{bound} = v{one} + v{other}"),
            _ => format!("v{bound} = v{bound} + {}", id + 10),
        };
        CodeCell {
            id: CellId::from(format!("c{id}")),
            index,
            source: source.into(),
            tags: Vec::new(),
        }
    };
    Document {
        language: "python".to_owned(),
        cells: cells.iter().enumerate().map(cell).collect(),
    }
}

/// The names of a kernel.
type Namespace = BTreeMap<String, u64>;

/// Executes one of those cells; fails where a name is missing.
fn execute(source: &str, names: &mut Namespace) -> bool {
    let (bound, terms) = source.split_once(" = ").unwrap();
    let value = |term: &str| term.parse().ok().or_else(|| names.get(term).copied());
    let sum = terms.split(" + ").map(value).sum::<Option<u64>>();
    sum.is_some_and(|sum| {
        names.insert(bound.to_owned(), sum);
        true
    })
}

/// What a fresh run of all cells leaves, or the cell in which it fails.
fn fresh_run(document: &Document) -> Result<Namespace, CellRef> {
    let mut names = Namespace::new();
    for cell in &document.cells {
        if !execute(&cell.source, &mut names) {
            return Err(cell.cell_ref());
        }
    }
    Ok(names)
}

/// What is done to it, and what has to hold at any time.
struct Bench {
    journal: Arc<MemoryJournal>,
    scheduler: LocalScheduler,
    session: SessionId,
    runs: Vec<StartedRun>,
    document: Document,
    in_flight: Option<Dispatch>,
    /// Whether it raised.
    raised: bool,
    names: Namespace,
    epoch: u64,
    dispatched: BTreeSet<(RunId, CellId, u32)>,
}

impl Bench {
    async fn new() -> Self {
        let journal = Arc::new(MemoryJournal::new());
        let mut bench = Self {
            scheduler: LocalScheduler::new(Arc::clone(&journal) as _).with_queue_limit(3),
            journal,
            session: "s".into(),
            runs: Vec::new(),
            document: Document::default(),
            in_flight: None,
            raised: false,
            names: Namespace::new(),
            epoch: 0,
            dispatched: BTreeSet::new(),
        };
        bench.sync(&[(0, 0), (1, 5), (2, 7)]).await;
        bench
    }

    async fn sync(&mut self, cells: &[(u8, u8)]) {
        self.document = document(cells);
        let synced = self.scheduler.sync(&self.session, self.document.clone());
        synced.await.unwrap();
    }

    async fn apply(&mut self, deed: Deed) {
        match deed {
            Deed::Sync(cells) => self.sync(&cells).await,
            Deed::Start(request) => match self.scheduler.start(&self.session, request).await {
                Ok(run) => self.runs.push(run),
                Err(SchedulerError::QueueFull { .. } | SchedulerError::NotAppendable { .. }) => {}
                Err(error) => panic!("{error}"),
            },
            Deed::Ask(run) if run < self.runs.len() => {
                self.ask(run).await;
            }
            Deed::Report(outcome) => self.report(outcome).await,
            Deed::Cancel(run) if run < self.runs.len() => {
                self.scheduler.cancel(&self.runs[run].run_id).await.unwrap();
            }
            Deed::Drop(run) if run < self.runs.len() => self.drop(run).await,
            Deed::NewKernel => self.new_kernel().await,
            Deed::Crash => self.crash().await,
            Deed::Ask(_) | Deed::Cancel(_) | Deed::Drop(_) => {}
        }
    }

    /// Asks a run for its next step, if there is one; says whether there was.
    async fn ask(&mut self, place: usize) -> bool {
        let asked = tokio::time::timeout(Duration::from_millis(100), self.runs[place].steps.next());
        let Ok(item) = asked.await else { return false };
        match item.expect("a stream that has ended is not asked") {
            Ok(Step::Execute(dispatch)) => {
                assert!(self.in_flight.is_none(), "one cell at a time");
                let key = (dispatch.run_id.clone(), dispatch.cell.id.clone(), dispatch.attempt);
                assert!(self.dispatched.insert(key), "an attempt is made once");
                self.names.retain(|name, _| !dispatch.delete_before.contains(name));
                self.raised = !execute(&dispatch.source, &mut self.names);
                self.in_flight = Some(dispatch);
            }
            Ok(Step::Delete(deleted)) => self.names.retain(|name, _| !deleted.contains(name)),
            Ok(Step::RestartKernel(_)) => self.new_kernel().await,
            Ok(Step::Finished(_)) | Err(SchedulerError::NotAppendable { .. }) => {
                self.check_end(place).await;
            }
            Ok(Step::Interrupt(_) | Step::Skip(_) | Step::Warn(_)) => {}
            Err(error) => panic!("{error}"),
        }
        true
    }

    async fn ask_all(&mut self) -> bool {
        let mut asked = false;
        for place in (0..self.runs.len()).rev() {
            asked |= self.ask(place).await;
        }
        asked
    }

    async fn check_end(&mut self, place: usize) {
        let mut run = self.runs.remove(place);
        assert!(run.steps.next().await.is_none(), "the end comes last");
        let records = self.scheduler.runs(&self.session).await.unwrap();
        let record = records.iter().find(|record| record.run_id == run.run_id).unwrap();
        assert!(record.end.is_some());
        assert!(record.executions.iter().all(|(.., outcome)| outcome.is_some()));
    }

    async fn report(&mut self, outcome: Outcome) {
        let Some(dispatch) = self.in_flight.take() else { return };
        let outcome = if self.raised && outcome == Outcome::Ok {
            raised()
        } else {
            outcome
        };
        let report = Report {
            run_id: dispatch.run_id,
            cell: dispatch.cell.id,
            attempt: dispatch.attempt,
            outcome,
            observation: None,
            duration: Duration::ZERO,
        };
        self.scheduler.report(report.clone()).await.unwrap();
        self.scheduler.report(report).await.unwrap();
    }

    async fn drop(&mut self, place: usize) {
        let run = self.runs.remove(place).run_id;
        if self.in_flight.as_ref().is_some_and(|dispatch| dispatch.run_id == run) {
            self.in_flight = None;
        }
        let status = self.scheduler.status(&self.session).await.unwrap();
        assert!(!status.runs.contains(&run));
    }

    async fn new_kernel(&mut self) {
        self.epoch += 1;
        self.names.clear();
        let told = self.scheduler.kernel_epoch(&self.session, KernelEpoch(self.epoch));
        told.await.unwrap();
    }

    /// What is known after a crash is what was known before, but for runs and the cell in flight.
    async fn crash(&mut self) {
        // Who has asked is given a step even if it does not look, so what is in flight is known only after looking.
        while self.ask_all().await {}
        let before = self.knowledge().await;
        let orphans = std::mem::take(&mut self.runs);
        self.scheduler = LocalScheduler::new(Arc::clone(&self.journal) as _).with_queue_limit(3);
        drop(orphans);
        let after = self.knowledge().await;
        if self.in_flight.take().is_none() {
            assert_eq!(before, after);
        }
        let records = self.scheduler.runs(&self.session).await.unwrap();
        assert!(records.iter().all(|record| record.end.is_some()));
    }

    async fn knowledge(&self) -> SessionStatus {
        let mut status = self.scheduler.status(&self.session).await.unwrap();
        status.runs.clear();
        // Those of one cell come in the order in which names were seen first.
        status.plan.warnings.sort_unstable();
        status
    }

    /// Every run comes to its end if the engine does its part, and a smart run after that leaves what a fresh one would,
    /// or fails where that would.
    async fn finish(mut self) {
        for _ in 0..1000 {
            self.report(Outcome::Ok).await;
            let asked = self.ask_all().await;
            if self.runs.is_empty() {
                break;
            }
            assert!(asked || self.in_flight.is_some(), "somebody has to go on");
        }
        assert!(self.runs.is_empty(), "every run ends");
        let run = self
            .scheduler
            .start(&self.session, StartRequest::default())
            .await
            .unwrap();
        self.runs.push(run);
        while !self.runs.is_empty() {
            assert!(self.ask(0).await);
            self.report(Outcome::Ok).await;
        }
        let records = self.scheduler.runs(&self.session).await.unwrap();
        let end = records.last().unwrap().end.clone();
        match fresh_run(&self.document) {
            Ok(names) => {
                assert_eq!(end, Some(RunEnd::Completed));
                assert_eq!(self.names, names);
                assert_eq!(
                    self.knowledge().await.plan.cells,
                    [],
                    "a smart run leaves nothing stale"
                );
            }
            Err(cell) => assert_eq!(end, Some(RunEnd::Failed { cell })),
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn promises_are_kept(deeds in vec(deed(), 1..60)) {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .start_paused(true)
            .build()
            .unwrap();
        runtime.block_on(async {
            let mut bench = Bench::new().await;
            for deed in deeds {
                bench.apply(deed).await;
            }
            bench.finish().await;
        });
    }
}
