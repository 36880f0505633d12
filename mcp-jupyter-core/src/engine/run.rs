//! The loop of a run: it does what the scheduler says, and reports what came of it.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use futures_core::stream::BoxStream;
use futures_util::{StreamExt, stream};
use tokio::sync::watch;
use tokio::time::Instant;

use crate::kernel::Execution;
use crate::model::{CellId, CellRef, RunId, SessionId};
use crate::scheduler::{
    Dispatch, Document, KernelEpoch, Observation, Outcome, Plan, Report, RunEnd, Scheduler, SchedulerError,
    SessionStatus, SkipReason, SkippedCell, StartedRun, Step,
};
use crate::session::SessionError;
use crate::session::notebook::{Cell, Durability, Notebook};

use super::FinishedRun;
use super::event::{RunEvent, RunOutcome};
use super::event_log::EventLog;
use super::limits::{Cause, Limits, StopRequest};
use super::live_kernel::LiveKernel;
use super::offload::OpenStreams;
use super::outcome::{failed, sentence};
use super::redacting::Redacting;
use super::saver::{Kept, Saver};
use super::setup::Setup;
use super::summary::Summary;

/// What the scheduler gives next; none where it gives nothing any more.
type Given = Option<Result<Step, SchedulerError>>;

/// The longest wait before a restart.
const LONGEST_BACKOFF: Duration = Duration::from_secs(30);

/// How many doubts about one plan are told one by one.
const MOST_DOUBTS: usize = 5;

/// Everything that one run knows.
pub(super) struct RunLoop {
    pub(super) setup: Setup,
    pub(super) notebook: Arc<Notebook>,
    pub(super) limits: Limits,
    pub(super) saver: Saver,
    pub(super) log: EventLog,
    pub(super) summary: Summary,
    /// How many outputs belonged to no cell.
    pub(super) unsolicited: usize,
    pub(super) scheduler: Arc<dyn Scheduler>,
    pub(super) session: SessionId,
    pub(super) run_id: RunId,
    pub(super) steps: BoxStream<'static, Result<Step, SchedulerError>>,
    /// What came while a cell was being executed and is no interrupt: the run has ended.
    pub(super) early: Option<Given>,
    /// The names that each cell writes, as far as is known, where the run verifies that.
    pub(super) writes: HashMap<CellId, Vec<String>>,
    /// The cells of the plan that are neither executed yet nor known to be fresh.
    pending: HashSet<CellId>,
    /// The streams that have become too large for the notebook.
    pub(super) streams: OpenStreams,
    pub(super) redacting: Option<Redacting>,
    /// What was warned of and may come again.
    warned: HashSet<String>,
    /// How often the kernel was restarted.
    restarts: u32,
    /// How many executions have begun.
    pub(super) position: usize,
    /// How the run ends, where that is known before the scheduler says so.
    pub(super) ending: Option<RunOutcome>,
}

/// How long to wait before a kernel is restarted that was so often before: what kills it may be passing.
fn backoff(restarts: u32) -> Duration {
    match restarts {
        0 => Duration::ZERO,
        _ => LONGEST_BACKOFF.min(Duration::from_millis(500) * 2_u32.saturating_pow(restarts - 1)),
    }
}

impl RunLoop {
    pub(super) fn new(
        notebook: Arc<Notebook>,
        setup: Setup,
        scheduler: Arc<dyn Scheduler>,
        session: SessionId,
        log: EventLog,
        requests: watch::Receiver<StopRequest>,
    ) -> Self {
        Self {
            saver: Saver::new(&notebook, &setup),
            notebook,
            limits: Limits::new(requests, setup.run_timeout, setup.patience),
            log,
            summary: Summary::default(),
            unsolicited: 0,
            scheduler,
            session,
            run_id: RunId::random(),
            steps: stream::empty().boxed(),
            early: None,
            writes: HashMap::new(),
            pending: HashSet::new(),
            streams: OpenStreams::default(),
            redacting: setup.redactor.clone().map(Redacting::new),
            warned: HashSet::new(),
            restarts: 0,
            position: 0,
            ending: None,
            setup,
        }
    }

    pub(super) fn emit(&mut self, event: RunEvent) {
        self.summary.apply(&event);
        if self.log.is_read() {
            self.log.push(event);
        }
    }

    pub(super) fn warn(&mut self, message: String) {
        self.emit(RunEvent::Warning { message });
    }

    /// Warns unless that was said before.
    pub(super) fn warn_once(&mut self, message: String) {
        if self.warned.insert(message.clone()) {
            self.warn(message);
        }
    }

    pub(super) fn notebook(&mut self) -> &mut Notebook {
        Arc::make_mut(&mut self.notebook)
    }

    pub(super) fn cell(&mut self, cell: &CellRef) -> &mut Cell {
        &mut self.notebook().cells_mut()[cell.index]
    }

    /// The cell as it stands in this notebook, which may not have it: others may sync the session as well.
    pub(super) fn place(&self, cell: &CellRef) -> Option<CellRef> {
        let cells = self.notebook.cells();
        if cells.get(cell.index).is_some_and(|found| *found.id() == cell.id) {
            return Some(cell.clone());
        }
        self.place_of(&cell.id)
    }

    pub(super) fn place_of(&self, id: &CellId) -> Option<CellRef> {
        let index = self.notebook.position(id)?;
        Some(CellRef { id: id.clone(), index })
    }

    /// The last event, and what the run leaves.
    pub(super) fn end(mut self, outcome: RunOutcome, started: Instant) -> FinishedRun {
        self.emit(RunEvent::RunFinished {
            outcome,
            seconds: started.elapsed().as_secs_f64(),
        });
        FinishedRun {
            notebook: self.notebook,
            summary: self.summary,
        }
    }

    /// Has the scheduler plan the run, on the kernel process of this epoch, and announces it.
    pub(super) async fn begin(&mut self, language: &str, epoch: KernelEpoch) -> Result<Plan, RunOutcome> {
        match self.try_begin(language, epoch).await {
            Ok(plan) => {
                self.announce(&plan);
                Ok(plan)
            }
            Err(error) => {
                self.announce(&Plan::default());
                Err(failed(error.kind(), &error))
            }
        }
    }

    /// Tells the scheduler what the notebook and its kernel are now.
    pub(super) async fn sync(&mut self, language: &str, epoch: KernelEpoch) -> Result<SessionStatus, SchedulerError> {
        let document = Document {
            language: language.to_owned(),
            ..Document::from_notebook(&self.notebook)
        };
        let status = self.scheduler.sync(&self.session, document).await?;
        if epoch > status.epoch {
            self.scheduler.kernel_epoch(&self.session, epoch).await?;
        }
        Ok(status)
    }

    async fn try_begin(&mut self, language: &str, epoch: KernelEpoch) -> Result<Plan, SchedulerError> {
        let status = self.sync(language, epoch).await?;
        if self.setup.start.verify {
            let cells = status.cells.into_iter();
            self.writes = cells.map(|(cell, effects)| (cell.id, effects.writes)).collect();
        }
        let started = self.scheduler.start(&self.session, self.setup.start.clone()).await?;
        Ok(self.take_up(started))
    }

    /// From now on this is the loop of that run.
    pub(super) fn take_up(&mut self, run: StartedRun) -> Plan {
        self.run_id = run.run_id;
        self.steps = run.steps;
        run.plan
    }

    /// Without a run of the scheduler's, this is still about the run of this identity.
    pub(super) fn call_itself(&mut self, run_id: RunId) {
        self.run_id = run_id;
    }

    pub(super) fn announce(&mut self, plan: &Plan) {
        let (run_id, kernel) = (self.run_id.clone(), self.setup.kernel.clone());
        self.emit(RunEvent::RunStarted {
            run_id,
            kernel,
            cells: plan.cells.len(),
        });
        for skipped in &plan.skipped {
            let resumed = self.setup.resumed.as_ref();
            self.emit(RunEvent::CellSkipped {
                cell: skipped.cell.clone(),
                reason: resumed.map_or(skipped.reason, |resumed| resumed.reason(skipped)),
                via: skipped.via.clone(),
            });
        }
        let resumed = self.setup.resumed.as_ref();
        let warning = resumed.and_then(|resumed| resumed.warning(plan.cells.iter().map(|planned| &planned.cell)));
        if let Some(warning) = warning {
            self.warn(warning);
        }
    }

    /// How the run ends when it is ended from outside.
    pub(super) fn stopped(&self, cell: Option<&CellRef>) -> RunOutcome {
        match self.limits.cause() {
            Some(Cause::Stopped(cause)) => RunOutcome::Interrupted { cause },
            _ => RunOutcome::TimedOut { cell: cell.cloned() },
        }
    }

    /// Does what the scheduler says, to the end.
    pub(super) async fn drive(&mut self, live: &mut LiveKernel, plan: &Plan) -> RunOutcome {
        if let Some(language) = live.kernel.info().language_info().cloned() {
            self.notebook()
                .metadata_mut()
                .insert("language_info".to_owned(), language);
        }
        self.tell_doubts(live, plan);
        self.pending = plan.cells.iter().map(|planned| planned.cell.id.clone()).collect();
        if self.setup.clears_first {
            self.clear_pending(live);
        }
        let outcome = loop {
            if let Some(outcome) = self.step(live).await {
                break outcome;
            }
        };
        self.take_strays(live).await;
        self.close_all(live).await;
        self.clear_pending(live);
        outcome
    }

    /// Takes away what earlier runs have left in the cells that are still to be executed.
    fn clear_pending(&mut self, live: &mut LiveKernel) {
        let cells = Arc::make_mut(&mut self.notebook).cells_mut().iter_mut();
        for cell in cells.filter(|cell| self.pending.contains(cell.id())) {
            live.outputs.reset(cell);
            self.saver.touch(cell.id());
        }
    }

    /// Warns of what the plan is not sure about, where that matters and was not said before.
    fn tell_doubts(&mut self, live: &mut LiveKernel, plan: &Plan) {
        if !self.setup.tells_doubts {
            return;
        }
        let doubts = plan.warnings.iter().filter(|doubt| live.told.insert((*doubt).clone()));
        let doubts: Vec<String> = doubts.cloned().collect();
        let more = doubts.len().saturating_sub(MOST_DOUBTS);
        for doubt in doubts.into_iter().take(MOST_DOUBTS) {
            self.warn(doubt);
        }
        if more > 0 {
            self.warn(format!(
                "there are {more} more remarks like these about the analysis of cells"
            ));
        }
    }

    /// Does the next thing; gives the run's outcome where it ends with it.
    async fn step(&mut self, live: &mut LiveKernel) -> Option<RunOutcome> {
        match self.next_step(live).await? {
            Some(Ok(Step::Finished(end))) => Some(self.outcome_of(end)),
            Some(Ok(step)) => self.carry_out(live, step).await.err(),
            Some(Err(error)) => Some(self.ending.take().unwrap_or_else(|| failed(error.kind(), &error))),
            None => Some(self.outcome_of(RunEnd::Lost)),
        }
    }

    /// What the scheduler gives next; none where something else had to be done first.
    async fn next_step(&mut self, live: &mut LiveKernel) -> Option<Given> {
        if let Some(early) = self.early.take() {
            if matches!(early, Some(Err(_))) {
                // Nobody asked to stop: that is why the cell was interrupted.
                self.ending = None;
            }
            return Some(early);
        }
        tokio::select! {
            biased;
            _ = self.limits.next_step(), if self.limits.cause().is_none() => self.cancel().await,
            step = self.steps.next() => return Some(step),
            Some(message) = live.strays.next() => self.take_stray(live, message).await,
        }
        None
    }

    async fn carry_out(&mut self, live: &mut LiveKernel, step: Step) -> Result<(), RunOutcome> {
        match step {
            Step::Execute(dispatch) => self.execute_and_report(live, &dispatch).await?,
            Step::RestartKernel(_) => {
                let seconds = self.restart(live).await?;
                let told = self.scheduler.kernel_epoch(&self.session, live.epoch).await;
                told.map_err(|error| failed(error.kind(), &error))?;
                self.emit(RunEvent::KernelRestarted { seconds });
            }
            Step::Delete(names) => self.delete(live, &names).await,
            Step::Skip(skipped) => self.skip(skipped),
            Step::Warn(message) => self.warn(message),
            // It has ended by itself meanwhile, or there is nothing more to do.
            Step::Interrupt(_) | Step::Finished(_) => {}
        }
        Ok(())
    }

    fn skip(&mut self, skipped: SkippedCell) {
        if skipped.reason == SkipReason::Fresh {
            self.pending.remove(&skipped.cell.id);
        }
        self.emit(RunEvent::CellSkipped {
            cell: skipped.cell,
            reason: skipped.reason,
            via: skipped.via,
        });
    }

    /// Starts a new process; gives how long that took, in seconds.
    pub(super) async fn restart(&mut self, live: &mut LiveKernel) -> Result<f64, RunOutcome> {
        let started = Instant::now();
        let pause = backoff(self.restarts);
        self.restarts += 1;
        let restarted = tokio::select! {
            restarted = async {
                tokio::time::sleep(pause).await;
                live.restart().await
            } => restarted,
            _ = self.limits.next_step() => return Err(self.stopped(None)),
        };
        restarted.map_err(|error| failed(error.kind(), &error))?;
        Ok(started.elapsed().as_secs_f64())
    }

    pub(super) async fn execute_and_report(
        &mut self,
        live: &mut LiveKernel,
        dispatch: &Dispatch,
    ) -> Result<(), RunOutcome> {
        let Some(cell) = self.place(&dispatch.cell) else {
            self.warn(format!("cell {} is not in this notebook", dispatch.cell.id));
            return self.report(dispatch, Outcome::Aborted, None, Duration::ZERO).await;
        };
        self.delete(live, &dispatch.delete_before).await;
        if dispatch.verify {
            self.catch_up(live).await;
        }
        if self.limits.cause().is_some() {
            // The cell did not fail: it was never begun.
            self.ending = Some(self.stopped(None));
            self.cancel().await;
            return self.report(dispatch, Outcome::Aborted, None, Duration::ZERO).await;
        }
        let started = Instant::now();
        let (outcome, observation) = self.perform(live, &cell, dispatch, None).await;
        if self.ending.is_some() {
            // Before the report, so that nothing more is dispatched.
            self.cancel().await;
        }
        if self.early.is_some() {
            return Ok(());
        }
        self.report(dispatch, outcome, observation, started.elapsed()).await
    }

    /// Executes a cell, or takes in an execution that somebody else has begun, in place of what the cell had before.
    pub(super) async fn perform(
        &mut self,
        live: &mut LiveKernel,
        cell: &CellRef,
        dispatch: &Dispatch,
        begun: Option<Execution>,
    ) -> (Outcome, Option<Observation>) {
        // Even if that was done already: it may have been executed since, or a thread of its goes on printing.
        self.streams.discard(&cell.id);
        if let Some(redacting) = &mut self.redacting {
            redacting.discard(&cell.id);
        }
        live.outputs.reset(self.cell(cell));
        self.saver.touch(&cell.id);
        self.pending.remove(&cell.id);
        self.run_cell(live, cell, dispatch, begun).await
    }

    pub(super) async fn report(
        &mut self,
        dispatch: &Dispatch,
        outcome: Outcome,
        observation: Option<Observation>,
        duration: Duration,
    ) -> Result<(), RunOutcome> {
        let report = Report {
            run_id: dispatch.run_id.clone(),
            cell: dispatch.cell.id.clone(),
            attempt: dispatch.attempt,
            outcome,
            observation,
            duration,
        };
        let reported = self.scheduler.report(report).await;
        reported.map_err(|error| self.ending.take().unwrap_or_else(|| failed(error.kind(), &error)))
    }

    /// Has the scheduler dispatch nothing more.
    pub(super) async fn cancel(&mut self) {
        if let Err(error) = self.scheduler.cancel(&self.run_id).await {
            tracing::debug!(%error, run_id = %self.run_id, "the run was not cancelled");
        }
    }

    fn outcome_of(&mut self, end: RunEnd) -> RunOutcome {
        match (self.ending.take(), end) {
            (_, RunEnd::DeadlineExceeded) => RunOutcome::TimedOut { cell: None },
            (Some(ending), _) => ending,
            (None, RunEnd::Completed) => RunOutcome::Ok,
            (None, RunEnd::Failed { cell }) => RunOutcome::CellFailed { cell },
            (None, RunEnd::KernelDied { cell }) => RunOutcome::KernelDied { cell },
            (None, RunEnd::Cancelled) if self.limits.cause().is_some() => self.stopped(None),
            (None, RunEnd::Cancelled) => RunOutcome::Interrupted {
                cause: super::StopCause::Interrupt,
            },
            (None, RunEnd::Lost) => RunOutcome::Failed {
                kind: crate::error::ErrorKind::Unavailable,
                message: format!("{} has not said how the run goes on", self.scheduler),
            },
        }
    }

    /// Notes in the notebook what the kernel's widgets show.
    pub(super) fn record_widgets(&mut self, live: &LiveKernel) {
        if let Some(widgets) = live.widgets.metadata() {
            self.notebook().metadata_mut().insert("widgets".to_owned(), widgets);
        }
        if self.unsolicited > 0 {
            self.warn(format!(
                "{} outputs belonged to no cell of this run and were not kept",
                self.unsolicited
            ));
        }
    }

    /// The outcome of a run that was saved, or not.
    pub(super) fn after_saving(&mut self, saved: Result<(), SessionError>, outcome: RunOutcome) -> RunOutcome {
        let Err(error) = saved else { return outcome };
        self.warn(format!("the notebook was not saved: {}", sentence(&error)));
        if outcome == RunOutcome::Ok {
            failed(error.kind(), &error)
        } else {
            outcome
        }
    }

    /// Saves the notebook as the run leaves it.
    pub(super) async fn save(&mut self) -> Result<Kept, SessionError> {
        self.saver.save(&self.notebook, Durability::Power).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_restart_comes_at_once_and_the_others_ever_later() {
        let pauses: Vec<u128> = (0..9).map(|restarts| backoff(restarts).as_millis()).collect();
        assert_eq!(pauses, [0, 500, 1000, 2000, 4000, 8000, 16000, 30000, 30000]);
        assert_eq!(backoff(u32::MAX), LONGEST_BACKOFF);
    }
}
