use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::mpsc;
use tokio::task::spawn_blocking;
use tokio::time::Instant;

use super::handle::{Job, Jobs, SessionHandle, Shared};
use super::knowledge::Knowledge;
use super::recovery;
use super::run::{Next, Run};
use super::steps;
use crate::model::{RunId, SessionId};
use crate::scheduler::journal::{Change, Checkpoint, Entry, Unfinished};
use crate::scheduler::{
    Dispatch, Document, KernelEpoch, Outcome, Plan, PlanRequest, Planner, Report, ResumedRun, RunEnd, RunRecord,
    SchedulerError, SessionStatus, StartRequest, StartedRun, Step,
};

/// How many changes a journal holds at least when the end of a run replaces them by a checkpoint.
const CHANGES_BEFORE_CHECKPOINT: usize = 100;

/// When to try again where too many runs wait.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// A session, owned by a task of its own: what is asked of it is done one after the other, and completely.
pub(super) struct Session {
    id: SessionId,
    shared: Shared,
    jobs: mpsc::WeakUnboundedSender<Job>,
    knowledge: Knowledge,
    /// How many changes the journal holds since the last checkpoint.
    changes: usize,
    /// Whether there is a document in the journal.
    synced: bool,
    active: Option<Run>,
    /// In the order in which they will be.
    waiting: Vec<Run>,
    /// What a crash has left, until somebody takes it up or anything else is asked for.
    left: Vec<Unfinished>,
}

impl Session {
    /// Begins a session, or goes on with one that the journal knows.
    pub(super) async fn open(
        id: SessionId,
        shared: Shared,
        begin: bool,
    ) -> Result<Option<SessionHandle>, SchedulerError> {
        let logged = shared.journal.load(&id).await?;
        let synced = logged.is_some();
        let recovered = match logged {
            Some(logged) => recovery::recover(logged).await,
            None if begin => recovery::Recovered::default(),
            None => return Ok(None),
        };
        let journal = shared.journal.to_string();
        let (jobs, queue) = mpsc::unbounded_channel();
        let session = Self {
            id,
            shared,
            jobs: jobs.downgrade(),
            knowledge: recovered.knowledge,
            changes: recovered.changes,
            synced,
            active: None,
            waiting: Vec::new(),
            left: recovered.left,
        };
        let task = tokio::spawn(session.serve(queue)).abort_handle();
        Ok(Some(SessionHandle::new(Jobs::new(jobs), task, journal)))
    }

    async fn serve(mut self, mut queue: mpsc::UnboundedReceiver<Job>) {
        loop {
            self.go_on().await;
            let deadline = self.next_deadline();
            tokio::select! {
                biased;
                job = queue.recv() => match job {
                    Some(job) => job(&mut self).await,
                    None => return,
                },
                () = sleep_until(deadline) => self.expire().await,
            }
        }
    }

    /// Ends what a crash has left.
    pub(super) async fn settle(&mut self) -> Result<(), SchedulerError> {
        let is_stranded = self.knowledge.is_executing() && self.active.is_none();
        if self.left.is_empty() && !is_stranded {
            return Ok(());
        }
        let (entries, change) = recovery::losses(&self.left, &self.knowledge);
        self.journal(entries).await?;
        self.left.clear();
        if let Some(change) = change {
            self.changes += 1;
            self.knowledge.apply(&change);
        }
        Ok(())
    }

    /// Takes up what a crash has left.
    pub(super) async fn resume(&mut self) -> Result<Vec<ResumedRun>, SchedulerError> {
        let records = self.shared.journal.runs(&self.id).await?;
        let left = std::mem::take(&mut self.left);
        let is_left = |record: &RunRecord| left.iter().any(|run| run.run_id == record.run_id);
        Ok(records
            .into_iter()
            .filter(is_left)
            .map(|record| self.take_up(record))
            .collect())
    }

    fn take_up(&mut self, record: RunRecord) -> ResumedRun {
        let has_begun = !record.executions.is_empty();
        let (run_id, request) = (record.run_id.clone(), record.request.clone());
        let in_flight = self.knowledge.in_flight();
        let (run, items, in_flight) = Run::resumed(record, &self.knowledge, in_flight.as_ref());
        self.shared.registry.insert(run_id.clone(), self.id.clone());
        let plan = run.left();
        // Only the run that was active has executed anything.
        if has_begun {
            self.active = Some(run);
        } else {
            self.enqueue(run);
        }
        let jobs = self.jobs.upgrade().map(Jobs::new);
        let steps = steps::stream(run_id.clone(), items, jobs);
        ResumedRun {
            run: StartedRun { run_id, plan, steps },
            request,
            in_flight,
        }
    }

    pub(super) async fn sync(&mut self, document: Document) -> Result<SessionStatus, SchedulerError> {
        if self.synced && document == *self.knowledge.planner().document() {
            return Ok(self.status());
        }
        let change = Change::Synced(document);
        if self.knowledge.is_executing() {
            self.journal([Entry::Changed(change.clone())]).await?;
            self.changes += 1;
        } else if let Change::Synced(document) = &change {
            let live = self.knowledge.planner().live();
            let document = Some(document.clone());
            self.journal([Entry::Checkpoint(Checkpoint { live, document })]).await?;
            self.changes = 0;
        }
        self.synced = true;
        self.analyse(change).await;
        if let Some(run) = &mut self.active {
            run.replan = true;
        }
        Ok(self.status())
    }

    /// Takes in new cells. Analysing many takes long enough for other tasks to notice.
    async fn analyse(&mut self, change: Change) {
        let mut knowledge = std::mem::take(&mut self.knowledge);
        let analysed = spawn_blocking(move || {
            knowledge.apply(&change);
            knowledge
        });
        match analysed.await {
            Ok(knowledge) => self.knowledge = knowledge,
            Err(error) => match error.try_into_panic() {
                Ok(panic) => std::panic::resume_unwind(panic),
                // The runtime shuts down, and this task with it.
                Err(_) => std::future::pending().await,
            },
        }
    }

    pub(super) fn plan(&self, request: &PlanRequest) -> Result<Plan, SchedulerError> {
        self.knowledge.planner().plan(request)
    }

    pub(super) async fn start(&mut self, mut request: StartRequest) -> Result<StartedRun, SchedulerError> {
        if self.waiting.len() >= self.shared.most_waiting {
            return Err(SchedulerError::QueueFull {
                session: self.id.clone(),
                waiting: self.waiting.len(),
                retry_after: RETRY_AFTER,
            });
        }
        let plan = plan_with_consent(self.knowledge.planner(), &request)?;
        let run_id = request.run_id.take().unwrap_or_else(RunId::random);
        self.journal([Entry::Started {
            run_id: run_id.clone(),
            request: request.clone(),
            plan: plan.clone(),
            due: request.deadline.and_then(due),
        }])
        .await?;
        let (run, items) = Run::new(run_id.clone(), request, plan.clone(), &self.knowledge);
        self.shared.registry.insert(run_id.clone(), self.id.clone());
        self.enqueue(run);
        let jobs = self.jobs.upgrade().map(Jobs::new);
        let steps = steps::stream(run_id.clone(), items, jobs);
        Ok(StartedRun { run_id, plan, steps })
    }

    fn enqueue(&mut self, run: Run) {
        let before = |other: &Run| other.request.priority >= run.request.priority;
        let place = self.waiting.iter().take_while(|other| before(other)).count();
        self.waiting.insert(place, run);
    }

    pub(super) async fn report(&mut self, report: Report) -> Result<(), SchedulerError> {
        match &self.active {
            Some(run) if run.id == report.run_id && run.awaits(&report) => {}
            _ => return self.check_repeated(&report).await,
        }
        self.ended(report).await
    }

    /// Takes in what came of the cell in flight.
    async fn ended(&mut self, report: Report) -> Result<(), SchedulerError> {
        let Some(run) = &self.active else { return Ok(()) };
        let counted = run.counted(&report.outcome);
        let digested = report.observation.as_ref().is_some_and(|seen| !seen.digests.is_empty());
        let change = Change::Ended {
            outcome: counted.clone(),
            observation: report.observation,
        };
        let reported = Entry::Reported {
            run_id: report.run_id,
            cell: report.cell,
            attempt: report.attempt,
            outcome: report.outcome,
        };
        let warnings = self.change(change, Some(reported)).await?;
        if let Some(run) = &mut self.active {
            run.observed(!warnings.is_empty(), digested);
            run.reported(&counted, &self.knowledge);
            for warning in warnings {
                run.warn(warning);
            }
        }
        Ok(())
    }

    async fn check_repeated(&self, report: &Report) -> Result<(), SchedulerError> {
        let Some((_, record)) = self.shared.journal.run(&report.run_id).await? else {
            return Err(SchedulerError::NoSuchRun {
                run: report.run_id.clone(),
            });
        };
        check_repeated(&record, report)
    }

    pub(super) async fn cancel(&mut self, run: &RunId) {
        self.stop(run, RunEnd::Cancelled).await;
    }

    async fn stop(&mut self, run: &RunId, end: RunEnd) {
        if let Some(place) = self.waiting.iter().position(|waiting| waiting.id == *run) {
            let waiting = self.waiting.remove(place);
            self.finish(waiting, Ok(end)).await;
        } else if let Some(active) = self
            .active
            .as_mut()
            .filter(|active| active.id == *run && !active.is_ending())
        {
            active.stop(end.clone());
            let run_id = run.clone();
            // It ends all the same: only a crash before that would forget why.
            if let Err(error) = self.journal([Entry::Stopping { run_id, end }]).await {
                tracing::warn!(%run, %error, "that the run is to end is not in the journal");
            }
        }
    }

    /// The next step of a run is asked for.
    pub(super) fn wanted(&mut self, run: &RunId) {
        let mut runs = self.active.iter_mut().chain(&mut self.waiting);
        if let Some(run) = runs.find(|other| other.id == *run) {
            run.want();
        }
    }

    /// Nobody takes the steps of a run any more, so nobody will report what is in flight either.
    pub(super) async fn abandoned(&mut self, run: &RunId) {
        self.cancel(run).await;
        let active = self.active.as_ref().filter(|active| active.id == *run);
        if let Some(report) = active.and_then(lost)
            && let Err(error) = self.ended(report).await
        {
            // A journal that says that it is in flight says the same, once it is read again.
            self.knowledge.apply(&Change::Ended {
                outcome: Outcome::Lost,
                observation: None,
            });
            self.finish_active(Err(error)).await;
        }
    }

    pub(super) fn status(&self) -> SessionStatus {
        let runs = self.active.iter().chain(&self.waiting);
        SessionStatus {
            runs: runs.map(|run| run.id.clone()).collect(),
            ..self.knowledge.planner().status()
        }
    }

    pub(super) async fn runs(&self) -> Result<Vec<RunRecord>, SchedulerError> {
        self.shared.journal.runs(&self.id).await
    }

    pub(super) async fn forget(&mut self) -> Result<(), SchedulerError> {
        self.shared.journal.forget(&self.id).await?;
        let runs = self.active.take().into_iter().chain(self.waiting.drain(..));
        for mut run in runs.collect::<Vec<_>>() {
            self.shared.registry.remove(&run.id);
            run.send(Ok(Step::Finished(RunEnd::Cancelled)));
        }
        Ok(())
    }

    pub(super) async fn kernel_epoch(&mut self, epoch: KernelEpoch) -> Result<(), SchedulerError> {
        if epoch > self.knowledge.epoch() {
            self.change(Change::Epoch(epoch), None).await?;
        }
        Ok(())
    }

    /// Lets the active run do whatever can be done without waiting.
    async fn go_on(&mut self) {
        loop {
            if self.active.is_none() && !self.waiting.is_empty() {
                let mut next = self.waiting.remove(0);
                next.activate(&self.knowledge);
                self.active = Some(next);
            }
            let Some(run) = &mut self.active else { return };
            match run.next(&self.knowledge) {
                Next::Wait => return,
                Next::Step(step) => run.send(Ok(step)),
                Next::Dispatch(dispatch) => self.dispatch(dispatch).await,
                Next::Deleted(names) => self.deleted(names).await,
                Next::End(end) => self.finish_active(Ok(end)).await,
                Next::Fail(error) => self.finish_active(Err(error)).await,
            }
        }
    }

    async fn dispatch(&mut self, dispatch: Dispatch) {
        let change = Change::Begun {
            cell: dispatch.cell.id.clone(),
            delete_before: dispatch.delete_before.clone(),
        };
        let dispatched = Entry::Dispatched {
            run_id: dispatch.run_id.clone(),
            cell: dispatch.cell.clone(),
            attempt: dispatch.attempt,
        };
        match self.change(change, Some(dispatched)).await {
            Ok(_) => {
                if let Some(run) = &mut self.active {
                    run.send(Ok(Step::Execute(dispatch)));
                }
            }
            Err(error) => self.finish_active(Err(error)).await,
        }
    }

    async fn deleted(&mut self, names: Vec<String>) {
        if let Err(error) = self.change(Change::Deleted(names), None).await {
            self.finish_active(Err(error)).await;
        }
    }

    async fn finish_active(&mut self, end: Result<RunEnd, SchedulerError>) {
        if let Some(run) = self.active.take() {
            self.finish(run, end).await;
        }
    }

    /// Ends a run. Its end is told as it is in the journal.
    async fn finish(&mut self, mut run: Run, end: Result<RunEnd, SchedulerError>) {
        let ended = Entry::Ended {
            run_id: run.id.clone(),
            end: end.as_ref().map_or(RunEnd::Cancelled, Clone::clone),
        };
        let mut entries = vec![ended];
        let checkpoint = self.changes >= CHANGES_BEFORE_CHECKPOINT && !self.knowledge.is_executing();
        if checkpoint {
            let planner = self.knowledge.planner();
            entries.push(Entry::Checkpoint(Checkpoint {
                live: planner.live(),
                document: Some(planner.document().clone()),
            }));
        }
        let written = self.journal(entries).await;
        if checkpoint && written.is_ok() {
            self.changes = 0;
        }
        self.shared.registry.remove(&run.id);
        run.send(end.and_then(|end| written.map(|()| Step::Finished(end))));
    }

    async fn expire(&mut self) {
        let now = Instant::now();
        let runs = self.active.iter().chain(&self.waiting);
        let expired = runs.filter(|run| run.deadline.is_some_and(|deadline| deadline <= now));
        for run in expired.map(|run| run.id.clone()).collect::<Vec<_>>() {
            self.stop(&run, RunEnd::DeadlineExceeded).await;
        }
        if let Some(run) = &mut self.active
            && run.deadline.is_some_and(|deadline| deadline <= now)
        {
            run.deadline = None;
        }
    }

    fn next_deadline(&self) -> Option<Instant> {
        let runs = self.active.iter().chain(&self.waiting);
        runs.filter_map(|run| run.deadline).min()
    }

    /// Journals a change, together with what belongs to it, and takes it in.
    async fn change(&mut self, change: Change, entry: Option<Entry>) -> Result<Vec<String>, SchedulerError> {
        let changed = Entry::Changed(change.clone());
        self.journal(entry.into_iter().chain([changed])).await?;
        self.changes += 1;
        Ok(self.knowledge.apply(&change))
    }

    async fn journal(&self, entries: impl IntoIterator<Item = Entry>) -> Result<(), SchedulerError> {
        let entries: Vec<Entry> = entries.into_iter().collect();
        self.shared.journal.append(&self.id, entries.into()).await
    }
}

fn plan_with_consent(planner: &Planner, request: &StartRequest) -> Result<Plan, SchedulerError> {
    let plan = planner.plan(&request.plan)?;
    if request.plan.allow_expensive || plan.needs_consent.is_empty() {
        return Ok(plan);
    }
    Err(SchedulerError::ConsentNeeded {
        cells: plan.needs_consent,
    })
}

/// A report that is right only where the same one has come before.
pub(super) fn check_repeated(record: &RunRecord, report: &Report) -> Result<(), SchedulerError> {
    let mut executions = record.executions.iter();
    let execution = executions.find(|(cell, attempt, _)| cell.id == report.cell && *attempt == report.attempt);
    let reason = match execution {
        Some((_, _, Some(outcome))) if *outcome == report.outcome => return Ok(()),
        Some((_, _, Some(outcome))) => format!("reported as {:?} now, but as {outcome:?} before", report.outcome),
        Some((_, _, None)) => "it is not being executed".to_owned(),
        None => "it was not dispatched".to_owned(),
    };
    Err(SchedulerError::InvalidReport {
        run: report.run_id.clone(),
        cell: report.cell.clone(),
        attempt: report.attempt,
        reason,
    })
}

/// A report that nobody knows what came of the cell in flight.
fn lost(run: &Run) -> Option<Report> {
    let (cell, attempt) = run.in_flight()?;
    Some(Report {
        run_id: run.id.clone(),
        cell,
        attempt,
        outcome: Outcome::Lost,
        observation: None,
        duration: Duration::ZERO,
    })
}

/// When a limit that begins now is over, by the clock that other processes know too.
fn due(limit: Duration) -> Option<Timestamp> {
    let due = Timestamp::now().checked_add(limit).ok()?;
    Timestamp::from_microsecond(due.as_microsecond()).ok()
}

async fn sleep_until(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => tokio::time::sleep_until(deadline).await,
        None => std::future::pending().await,
    }
}
