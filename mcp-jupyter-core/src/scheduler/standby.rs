//! A scheduler in this process that goes on where another one went away.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use futures_core::stream::BoxStream;
use futures_util::{StreamExt, stream};
use tokio::sync::Mutex;

use super::{
    Document, KernelEpoch, LocalScheduler, MemoryJournal, Plan, PlanRequest, Report, ResumedRun, RunRecord, Scheduler,
    SchedulerError, SessionStatus, StartRequest, StartedRun, Step,
};
use crate::model::{RunId, SessionId};

/// How long the one here may take to come to a step that the other one had come to.
const PATIENCE: Duration = Duration::from_secs(5);

type Steps = BoxStream<'static, Result<Step, SchedulerError>>;

/// Has another scheduler plan and drive runs, and goes on with them in this process once that is away, for good: whatever
/// the other one hands out of such a session later, nobody listens to.
///
/// For that it remembers what was asked and answered, and asks the same of its own, which plans the same from the same. So
/// it goes on only with sessions that began here; where the other one knows more, the error stands.
#[derive(Debug)]
pub struct StandbyScheduler {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    first: Arc<dyn Scheduler>,
    local: Arc<dyn Scheduler>,
    sessions: std::sync::Mutex<HashMap<SessionId, Arc<Mutex<Session>>>>,
    runs: std::sync::Mutex<HashMap<RunId, SessionId>>,
}

#[derive(Default)]
struct Session {
    events: Vec<Event>,
    is_local: bool,
    /// The steps of runs of which nobody has asked for more since.
    steps: HashMap<RunId, Steps>,
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session")
            .field("is_local", &self.is_local)
            .finish_non_exhaustive()
    }
}

/// What was asked of the other scheduler, and answered.
#[derive(Clone, Debug)]
enum Event {
    Synced(Document),
    Started(RunId, StartRequest, Plan),
    Stepped(RunId, Step),
    Reported(Report),
    Cancelled(RunId),
    OnKernel(KernelEpoch),
    /// It knew of more than what was asked from here.
    Unknown,
}

fn is_away(error: &SchedulerError) -> bool {
    matches!(error, SchedulerError::Unavailable { .. })
}

fn lock<T>(mutex: &std::sync::Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl StandbyScheduler {
    /// Stands by for this scheduler, which has to fail soon where it is away.
    pub fn for_scheduler(first: Arc<dyn Scheduler>) -> Self {
        Self {
            shared: Arc::new(Shared {
                first,
                local: Arc::new(LocalScheduler::new(Arc::new(MemoryJournal::new()))),
                sessions: std::sync::Mutex::default(),
                runs: std::sync::Mutex::default(),
            }),
        }
    }
}

impl Shared {
    fn session(&self, id: &SessionId) -> Arc<Mutex<Session>> {
        Arc::clone(lock(&self.sessions).entry(id.clone()).or_default())
    }

    fn session_of(&self, run: &RunId) -> Option<SessionId> {
        lock(&self.runs).get(run).cloned()
    }

    /// Asks the other one, or the one here where that has gone on with the session; remembers what was answered.
    async fn ask<T, F>(
        &self,
        id: &SessionId,
        ask: impl Fn(Arc<dyn Scheduler>) -> F,
        event: impl FnOnce(&T) -> Option<Event>,
    ) -> Result<T, SchedulerError>
    where
        F: Future<Output = Result<T, SchedulerError>>,
    {
        let session = self.session(id);
        let mut session = session.lock().await;
        if !session.is_local {
            match ask(Arc::clone(&self.first)).await {
                Err(error) if is_away(&error) => self.go_on(id, &mut session, error).await?,
                answer => {
                    session.events.extend(answer.as_ref().ok().and_then(event));
                    return answer;
                }
            }
        }
        ask(Arc::clone(&self.local)).await
    }

    /// Brings the one here to where the other one was.
    async fn go_on(&self, id: &SessionId, session: &mut Session, away: SchedulerError) -> Result<(), SchedulerError> {
        let events = std::mem::take(&mut session.events);
        let mut steps = HashMap::new();
        for event in &events {
            if !self.repeat(id, event, &mut steps).await {
                session.events = events;
                return Err(away);
            }
        }
        tracing::warn!(session_id = %id, "{away}: this program goes on without it");
        session.steps = steps;
        session.is_local = true;
        Ok(())
    }

    /// Asks the same here; tells whether the answer is the same.
    async fn repeat(&self, id: &SessionId, event: &Event, steps: &mut HashMap<RunId, Steps>) -> bool {
        match event {
            Event::Synced(document) => self.local.sync(id, document.clone()).await.is_ok(),
            Event::Started(run, request, plan) => {
                let request = StartRequest {
                    run_id: Some(run.clone()),
                    ..request.clone()
                };
                let Ok(started) = self.local.start(id, request).await else {
                    return false;
                };
                steps.insert(run.clone(), started.steps);
                started.plan == *plan
            }
            Event::Stepped(run, step) => match steps.get_mut(run) {
                Some(steps) => {
                    let next = tokio::time::timeout(PATIENCE, steps.next()).await;
                    matches!(next, Ok(Some(Ok(same))) if same == *step)
                }
                None => false,
            },
            Event::Reported(report) => self.local.report(report.clone()).await.is_ok(),
            Event::Cancelled(run) => self.local.cancel(run).await.is_ok(),
            Event::OnKernel(epoch) => self.local.kernel_epoch(id, *epoch).await.is_ok(),
            Event::Unknown => false,
        }
    }
}

/// The steps of a run, from wherever they come.
struct Following {
    shared: Arc<Shared>,
    session: SessionId,
    run: RunId,
    steps: Steps,
    is_local: bool,
}

impl Following {
    async fn next(&mut self) -> Option<Result<Step, SchedulerError>> {
        loop {
            if self.is_local {
                return self.steps.next().await;
            }
            match self.steps.next().await {
                Some(Err(error)) if is_away(&error) => {
                    if let Err(error) = self.turn_to_ours(error).await {
                        return Some(Err(error));
                    }
                }
                step => {
                    if let Some(Ok(step)) = &step {
                        let session = self.shared.session(&self.session);
                        let event = Event::Stepped(self.run.clone(), step.clone());
                        session.lock().await.events.push(event);
                    }
                    return step;
                }
            }
        }
    }

    async fn turn_to_ours(&mut self, away: SchedulerError) -> Result<(), SchedulerError> {
        let session = self.shared.session(&self.session);
        let mut session = session.lock().await;
        if !session.is_local {
            self.shared.go_on(&self.session, &mut session, away).await?;
        }
        let steps = session.steps.remove(&self.run);
        self.steps = steps.ok_or_else(|| SchedulerError::NoSuchRun { run: self.run.clone() })?;
        self.is_local = true;
        Ok(())
    }
}

impl fmt::Display for StandbyScheduler {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}, or this process where that is away", self.shared.first)
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl Scheduler for StandbyScheduler {
    async fn sync(&self, session: &SessionId, document: Document) -> Result<SessionStatus, SchedulerError> {
        let sync = |scheduler: Arc<dyn Scheduler>| {
            let document = document.clone();
            async move { scheduler.sync(session, document).await }
        };
        let synced = |_: &SessionStatus| Some(Event::Synced(document.clone()));
        self.shared.ask(session, sync, synced).await
    }

    async fn plan(&self, session: &SessionId, request: PlanRequest) -> Result<Plan, SchedulerError> {
        let plan = |scheduler: Arc<dyn Scheduler>| {
            let request = request.clone();
            async move { scheduler.plan(session, request).await }
        };
        self.shared.ask(session, plan, |_| None).await
    }

    async fn start(&self, session: &SessionId, mut request: StartRequest) -> Result<StartedRun, SchedulerError> {
        // Known here, so that a run of which the answer was lost is begun anew under another name.
        request.run_id.get_or_insert_with(RunId::random);
        let start = |scheduler: Arc<dyn Scheduler>| {
            let request = request.clone();
            async move { scheduler.start(session, request).await }
        };
        let event = |started: &StartedRun| {
            Some(Event::Started(
                started.run_id.clone(),
                request.clone(),
                started.plan.clone(),
            ))
        };
        let started = self.shared.ask(session, start, event).await?;
        lock(&self.shared.runs).insert(started.run_id.clone(), session.clone());
        let is_local = self.shared.session(session).lock().await.is_local;
        let following = Following {
            shared: Arc::clone(&self.shared),
            session: session.clone(),
            run: started.run_id.clone(),
            steps: started.steps,
            is_local,
        };
        let steps = stream::unfold(following, |mut following| async {
            let step = following.next().await?;
            Some((step, following))
        });
        Ok(StartedRun {
            steps: steps.boxed(),
            ..started
        })
    }

    async fn resume(&self, session: &SessionId) -> Result<Vec<ResumedRun>, SchedulerError> {
        let resume = |scheduler: Arc<dyn Scheduler>| async move { scheduler.resume(session).await };
        let resumed = |resumed: &Vec<ResumedRun>| (!resumed.is_empty()).then_some(Event::Unknown);
        self.shared.ask(session, resume, resumed).await
    }

    async fn report(&self, report: Report) -> Result<(), SchedulerError> {
        let Some(session) = self.shared.session_of(&report.run_id) else {
            return self.shared.first.report(report).await;
        };
        let tell = |scheduler: Arc<dyn Scheduler>| {
            let report = report.clone();
            async move { scheduler.report(report).await }
        };
        let told = |(): &()| Some(Event::Reported(report.clone()));
        self.shared.ask(&session, tell, told).await
    }

    async fn cancel(&self, run: &RunId) -> Result<(), SchedulerError> {
        let Some(session) = self.shared.session_of(run) else {
            return self.shared.first.cancel(run).await;
        };
        let cancel = |scheduler: Arc<dyn Scheduler>| async move { scheduler.cancel(run).await };
        let cancelled = |(): &()| Some(Event::Cancelled(run.clone()));
        self.shared.ask(&session, cancel, cancelled).await
    }

    async fn status(&self, session: &SessionId) -> Result<SessionStatus, SchedulerError> {
        let status = |scheduler: Arc<dyn Scheduler>| async move { scheduler.status(session).await };
        self.shared.ask(session, status, |_| None).await
    }

    async fn runs(&self, session: &SessionId) -> Result<Vec<RunRecord>, SchedulerError> {
        let runs = |scheduler: Arc<dyn Scheduler>| async move { scheduler.runs(session).await };
        self.shared.ask(session, runs, |_| None).await
    }

    /// Also where the other one is away: what it still knows is worth nothing to anybody.
    async fn forget(&self, session: &SessionId) -> Result<(), SchedulerError> {
        let known = lock(&self.shared.sessions).remove(session);
        lock(&self.shared.runs).retain(|_, of| of != session);
        self.shared.local.forget(session).await?;
        match self.shared.first.forget(session).await {
            Err(error) if is_away(&error) && known.is_some() => Ok(()),
            forgotten => forgotten,
        }
    }

    async fn kernel_epoch(&self, session: &SessionId, epoch: KernelEpoch) -> Result<(), SchedulerError> {
        let tell = |scheduler: Arc<dyn Scheduler>| async move { scheduler.kernel_epoch(session, epoch).await };
        self.shared.ask(session, tell, |()| Some(Event::OnKernel(epoch))).await
    }
}
