use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::sync::Arc;

use tokio::sync::mpsc;
use tokio::time::Instant;

use super::knowledge::Knowledge;
use crate::model::{CellId, CellRef, RunId};
use crate::scheduler::{
    CodeCell, Dispatch, KernelEpoch, OnError, OnKernelDeath, Outcome, Plan, PlannedCell, Report, RunEnd,
    SchedulerError, SkipReason, SkippedCell, StaleKind, StartRequest, Step,
};

/// The tag of a cell whose exception is expected.
const RAISES_EXCEPTION: &str = "raises-exception";

/// What the stream of steps gives.
pub(super) type Item = Result<Step, SchedulerError>;

/// A run that has not ended: what it still has to do, and what it waits for. No input or output.
#[derive(Debug)]
pub(super) struct Run {
    pub(super) id: RunId,
    pub(super) request: StartRequest,
    pub(super) deadline: Option<Instant>,
    /// What is still to be executed, in notebook order.
    pub(super) queue: VecDeque<PlannedCell>,
    pub(super) delete_after: Vec<String>,
    /// Whether the queue has to be planned anew before it goes on.
    pub(super) replan: bool,
    /// The generation of the knowledge that the queue was planned with.
    planned_at: u64,
    /// The kernel process that what follows is about.
    epoch: KernelEpoch,
    /// The cells that an appending run appends, once it was planned anew.
    pub(super) appended: BTreeSet<CellId>,
    /// The cells that succeeded.
    pub(super) done: HashMap<CellId, Done>,
    /// The cells that failed, with the sources that did.
    pub(super) failed: BTreeMap<CellId, Arc<str>>,
    /// The cells that were announced as skipped, so that none is twice.
    pub(super) skipped: BTreeSet<CellId>,
    /// The warnings that were given, so that none is twice.
    pub(super) warned: BTreeSet<String>,
    /// Steps that need no report.
    pub(super) outbox: VecDeque<Step>,
    pub(super) attempts: HashMap<CellId, u32>,
    first_failure: Option<CellRef>,
    in_flight: Option<InFlight>,
    deleting: bool,
    restarts: u32,
    restart: Asked,
    interrupt: Asked,
    /// How it ends as soon as nothing is in flight.
    ending: Option<RunEnd>,
    items: mpsc::UnboundedSender<Item>,
    /// Whether the next step has been asked for.
    wanted: bool,
}

/// A cell that succeeded.
#[derive(Debug)]
pub(super) struct Done {
    /// Its source.
    pub(super) source: Arc<str>,
    /// How often.
    pub(super) times: u32,
}

#[derive(Debug)]
struct InFlight {
    cell: CellRef,
    attempt: u32,
    source: Arc<str>,
    epoch: KernelEpoch,
    expects_error: bool,
    /// Whether this kernel process has executed it already.
    ran_before: bool,
}

/// Where something stands that the engine is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Asked {
    No,
    Due,
    Sent,
}

/// What a run does next.
#[derive(Debug)]
pub(super) enum Next {
    /// Nothing, until something is reported, asked for or cancelled.
    Wait,
    /// A step that concerns nobody but the engine.
    Step(Step),
    /// A cell is to be executed.
    Dispatch(Dispatch),
    /// These names were deleted.
    Deleted(Vec<String>),
    /// It has ended.
    End(RunEnd),
    /// It cannot go on.
    Fail(SchedulerError),
}

impl Run {
    /// A run that begins with this plan, and the other end of its steps.
    pub(super) fn new(
        id: RunId,
        request: StartRequest,
        plan: Plan,
        knowledge: &Knowledge,
    ) -> (Self, mpsc::UnboundedReceiver<Item>) {
        // Bounded by what is asked for: one item per wish, and the last one.
        let (items, steps) = mpsc::unbounded_channel();
        let run = Self {
            id,
            deadline: request.deadline.and_then(|limit| Instant::now().checked_add(limit)),
            request,
            queue: plan.cells.into(),
            delete_after: plan.delete_after,
            replan: false,
            planned_at: knowledge.generation(),
            epoch: knowledge.epoch(),
            appended: BTreeSet::new(),
            done: HashMap::new(),
            failed: BTreeMap::new(),
            skipped: plan.skipped.into_iter().map(|skipped| skipped.cell.id).collect(),
            warned: plan.warnings.into_iter().collect(),
            outbox: VecDeque::new(),
            attempts: HashMap::new(),
            first_failure: None,
            in_flight: None,
            deleting: false,
            restarts: 0,
            restart: Asked::No,
            interrupt: Asked::No,
            ending: None,
            items,
            wanted: false,
        };
        (run, steps)
    }

    pub(super) fn want(&mut self) {
        self.wanted = true;
    }

    /// Hands out an item. Nobody may be there to take it: then the run is about to be told so.
    pub(super) fn send(&mut self, item: Item) {
        self.wanted = false;
        let _ = self.items.send(item);
    }

    /// Whether a cell was dispatched.
    pub(super) fn has_begun(&self) -> bool {
        !self.attempts.is_empty()
    }

    /// The runs before it have ended.
    pub(super) fn activate(&mut self, knowledge: &Knowledge) {
        self.replan |= self.planned_at != knowledge.generation();
    }

    /// What is to be done, as things stand. Nothing but its end comes without being asked for.
    pub(super) fn next(&mut self, knowledge: &Knowledge) -> Next {
        if let Some(ending) = &self.ending
            && self.in_flight.is_none()
        {
            return Next::End(ending.clone());
        }
        if !self.wanted {
            return self.end_of_the_queue().map_or(Next::Wait, Next::End);
        }
        if std::mem::take(&mut self.deleting) {
            return Next::Deleted(std::mem::take(&mut self.delete_after));
        }
        if self.in_flight.is_some() {
            let interrupt = Step::Interrupt(self.id.clone());
            return ask(&mut self.interrupt, interrupt);
        }
        self.proceed(knowledge)
    }

    fn proceed(&mut self, knowledge: &Knowledge) -> Next {
        self.notice_epoch(knowledge);
        if self.restart != Asked::No {
            let restart = Step::RestartKernel(self.id.clone());
            return ask(&mut self.restart, restart);
        }
        if self.replan
            && let Err(error) = self.plan_anew(knowledge.planner())
        {
            return Next::Fail(error);
        }
        if let Some(step) = self.outbox.pop_front() {
            return Next::Step(step);
        }
        if let Some(planned) = self.queue.pop_front() {
            return self.dispatch(planned, knowledge);
        }
        if !self.delete_after.is_empty() {
            self.deleting = true;
            return Next::Step(Step::Delete(self.delete_after.clone()));
        }
        Next::End(self.end())
    }

    /// The end, where nothing at all is left to do.
    fn end_of_the_queue(&self) -> Option<RunEnd> {
        let waits = self.in_flight.is_some() || self.restart != Asked::No || self.replan || self.deleting;
        let left = !self.queue.is_empty() || !self.outbox.is_empty() || !self.delete_after.is_empty();
        (!waits && !left).then(|| self.end())
    }

    fn end(&self) -> RunEnd {
        match &self.first_failure {
            Some(cell) => RunEnd::Failed { cell: cell.clone() },
            None => RunEnd::Completed,
        }
    }

    /// All that was done on an earlier kernel process is lost.
    fn notice_epoch(&mut self, knowledge: &Knowledge) {
        if knowledge.epoch() == self.epoch {
            return;
        }
        self.epoch = knowledge.epoch();
        self.restart = Asked::No;
        self.replan = true;
        self.done.clear();
        self.failed.clear();
        self.skipped.clear();
    }

    fn dispatch(&mut self, planned: PlannedCell, knowledge: &Knowledge) -> Next {
        let Some(cell) = find_cell(&knowledge.planner().document().cells, &planned.cell) else {
            return self.skip(SkippedCell {
                cell: planned.cell,
                reason: SkipReason::NotTargeted,
                via: None,
            });
        };
        let attempt = self.attempts.entry(cell.id.clone()).or_default();
        *attempt += 1;
        let expects_error = cell.tags.iter().any(|tag| tag == RAISES_EXCEPTION);
        self.in_flight = Some(InFlight {
            cell: cell.cell_ref(),
            attempt: *attempt,
            source: Arc::clone(&cell.source),
            epoch: knowledge.epoch(),
            expects_error,
            ran_before: !matches!(planned.reason.kind, StaleKind::NeverRun | StaleKind::KernelRestarted),
        });
        Next::Dispatch(Dispatch {
            run_id: self.id.clone(),
            cell: cell.cell_ref(),
            attempt: *attempt,
            reason: planned.reason,
            source: Arc::clone(&cell.source),
            delete_before: planned.delete_before,
            stop_on_error: self.request.on_error != OnError::Continue && !expects_error,
            verify: self.request.verify,
            remaining: self.queue.len(),
        })
    }

    /// A cell was handed out before the crash; where it is not in the notebook any more, its source is not known.
    pub(super) fn begun(&mut self, cell: &CellRef, attempt: u32, code: Option<&CodeCell>, epoch: KernelEpoch) {
        self.in_flight = Some(InFlight {
            cell: cell.clone(),
            attempt,
            source: code.map_or_else(|| "".into(), |code| Arc::clone(&code.source)),
            epoch,
            expects_error: code.is_some_and(|code| code.tags.iter().any(|tag| tag == RAISES_EXCEPTION)),
            ran_before: true,
        });
    }

    /// Whether the cell in flight is one whose exception is expected.
    pub(super) fn expects_error(&self) -> bool {
        self.in_flight.as_ref().is_some_and(|flight| flight.expects_error)
    }

    fn skip(&mut self, skipped: SkippedCell) -> Next {
        self.skipped.insert(skipped.cell.id.clone());
        Next::Step(Step::Skip(skipped))
    }

    /// Whether the report is about the cell in flight.
    pub(super) fn awaits(&self, report: &Report) -> bool {
        self.in_flight
            .as_ref()
            .is_some_and(|flight| flight.cell.id == report.cell && flight.attempt == report.attempt)
    }

    /// The cell in flight, with its attempt.
    pub(super) fn in_flight(&self) -> Option<(CellId, u32)> {
        let flight = self.in_flight.as_ref()?;
        Some((flight.cell.id.clone(), flight.attempt))
    }

    /// What counts as the outcome of the cell in flight: an error that was expected is none.
    pub(super) fn counted(&self, outcome: &Outcome) -> Outcome {
        let expected = self.in_flight.as_ref().is_some_and(|flight| flight.expects_error);
        match outcome {
            Outcome::Error { .. } if expected => Outcome::Ok,
            outcome => outcome.clone(),
        }
    }

    /// The namespace was looked at around the cell in flight. What comes next may be another thing than was planned
    /// where that was a surprise, or where a value was digested that may be the one that the cell had left before.
    pub(super) fn observed(&mut self, surprised: bool, digested: bool) {
        let ran_before = self.in_flight.as_ref().is_some_and(|flight| flight.ran_before);
        self.replan |= surprised || digested && ran_before;
    }

    /// Goes on after the cell in flight has ended like this.
    pub(super) fn reported(&mut self, counted: &Outcome, knowledge: &Knowledge) {
        let Some(flight) = self.in_flight.take() else { return };
        self.interrupt = Asked::No;
        match counted {
            Outcome::Ok => self.succeeded(flight),
            Outcome::KernelDied => self.kernel_died(flight, knowledge),
            Outcome::Error { .. } | Outcome::Aborted | Outcome::Interrupted | Outcome::TimedOut | Outcome::Lost => {
                self.failed(flight);
            }
        }
    }

    fn succeeded(&mut self, flight: InFlight) {
        self.failed.remove(&flight.cell.id);
        let done = self.done.entry(flight.cell.id).or_insert_with(|| Done {
            source: Arc::clone(&flight.source),
            times: 0,
        });
        if done.source != flight.source {
            done.times = 0;
        }
        done.source = flight.source;
        done.times += 1;
    }

    fn failed(&mut self, flight: InFlight) {
        self.failed.insert(flight.cell.id.clone(), flight.source);
        match self.request.on_error {
            OnError::Stop => self.finish_as(RunEnd::Failed { cell: flight.cell }),
            // The others run whatever it has left, as they would without a plan.
            OnError::Continue => {}
            OnError::ContinueIndependent => {
                self.first_failure.get_or_insert(flight.cell);
                self.replan = true;
            }
        }
    }

    fn kernel_died(&mut self, flight: InFlight, knowledge: &Knowledge) {
        match self.request.on_kernel_death {
            OnKernelDeath::Restart(limit) if self.restarts < limit => {
                self.restarts += 1;
                // Somebody may have restarted it before the death was reported.
                if flight.epoch == knowledge.epoch() {
                    self.restart = Asked::Due;
                }
            }
            OnKernelDeath::Restart(_) | OnKernelDeath::Stop => {
                self.finish_as(RunEnd::KernelDied { cell: flight.cell });
            }
        }
    }

    /// Ends it: at once, or where a cell is in flight, after that was interrupted. What was decided first holds.
    pub(super) fn stop(&mut self, end: RunEnd) {
        self.finish_as(end);
        if self.in_flight.is_some() && self.interrupt == Asked::No {
            self.interrupt = Asked::Due;
        }
    }

    /// Whether it only waits for the cell that is being executed.
    pub(super) fn is_ending(&self) -> bool {
        self.ending.is_some()
    }

    fn finish_as(&mut self, end: RunEnd) {
        self.ending.get_or_insert(end);
    }
}

/// The step, where it is due.
fn ask(asked: &mut Asked, step: Step) -> Next {
    match asked {
        Asked::Due => {
            *asked = Asked::Sent;
            Next::Step(step)
        }
        Asked::No | Asked::Sent => Next::Wait,
    }
}

/// The cell of this identity, looked for first where it should be.
fn find_cell<'a>(cells: &'a [CodeCell], cell: &CellRef) -> Option<&'a CodeCell> {
    let place = cells.binary_search_by_key(&cell.index, |cell| cell.index).ok();
    place
        .map(|place| &cells[place])
        .filter(|found| found.id == cell.id)
        .or_else(|| cells.iter().find(|found| found.id == cell.id))
}
