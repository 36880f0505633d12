//! The scheduler in this process.
//!
//! Every session has a task that owns what is known of it ([`knowledge`]) and its runs ([`run`]); what is asked of the
//! scheduler is done by that task, one thing after the other and always to its end, and is in the journal before it
//! counts.

mod handle;
mod knowledge;
mod planning;
mod recovery;
mod resumed;
mod run;
mod session;
mod steps;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use tokio::sync::Mutex;

use self::handle::{Registry, SessionHandle, Shared};
use self::session::{Session, check_repeated};
use super::{
    Document, Journal, KernelEpoch, Plan, PlanRequest, Report, ResumedRun, RunRecord, Scheduler, SchedulerError,
    SessionStatus, StartRequest, StartedRun,
};
use crate::model::{RunId, SessionId};

/// How many runs may wait in a session unless something else is asked for.
const MOST_WAITING: usize = 64;

/// Plans and drives runs in this process, over a journal.
///
/// Futures of its methods may be dropped: what was begun is done all the same. Dropping the scheduler itself is like a
/// crash: what is in the journal stays, and another scheduler over it goes on from there. One journal must not have the
/// same session in two schedulers at a time. It needs a tokio runtime.
///
/// ```
/// use std::sync::Arc;
///
/// use futures_util::StreamExt;
/// use mcp_jupyter_core::model::SessionId;
/// use mcp_jupyter_core::scheduler::{
///     Document, LocalScheduler, MemoryJournal, RunEnd, Scheduler, StartRequest, Step,
/// };
///
/// # tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(async {
/// let scheduler = LocalScheduler::new(Arc::new(MemoryJournal::new()));
/// let session = SessionId::random();
/// scheduler.sync(&session, Document::default()).await?;
/// let mut run = scheduler.start(&session, StartRequest::default()).await?;
/// while let Some(step) = run.steps.next().await {
///     assert_eq!(step?, Step::Finished(RunEnd::Completed));
/// }
/// # Ok::<(), mcp_jupyter_core::scheduler::SchedulerError>(())
/// # })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct LocalScheduler {
    shared: Shared,
    sessions: Mutex<HashMap<SessionId, Arc<SessionHandle>>>,
}

impl LocalScheduler {
    /// A scheduler of what is in this journal.
    pub fn new(journal: Arc<dyn Journal>) -> Self {
        Self {
            shared: Shared {
                journal,
                registry: Registry::default(),
                most_waiting: MOST_WAITING,
            },
            sessions: Mutex::default(),
        }
    }

    /// Lets so many runs of a session wait, 64 otherwise, before [`SchedulerError::QueueFull`].
    #[must_use]
    pub fn with_queue_limit(mut self, most_waiting: usize) -> Self {
        self.shared.most_waiting = most_waiting;
        self
    }

    /// The session, begun where it is new and `begin` says so.
    async fn session(&self, id: &SessionId, begin: bool) -> Result<Arc<SessionHandle>, SchedulerError> {
        let mut sessions = self.sessions.lock().await;
        if let Some(session) = sessions.get(id).filter(|session| !session.has_ended()) {
            return Ok(Arc::clone(session));
        }
        let Some(session) = Session::open(id.clone(), self.shared.clone(), begin).await? else {
            return Err(SchedulerError::NoSuchSession { session: id.clone() });
        };
        let session = Arc::new(session);
        sessions.insert(id.clone(), Arc::clone(&session));
        Ok(session)
    }

    /// The session of a run, and what is known of the run where it has ended or was never taken up again.
    async fn session_of(&self, run: &RunId) -> Result<(SessionId, Option<RunRecord>), SchedulerError> {
        if let Some(session) = self.shared.registry.session_of(run) {
            return Ok((session, None));
        }
        match self.shared.journal.run(run).await? {
            Some((session, record)) => Ok((session, Some(record))),
            None => Err(SchedulerError::NoSuchRun { run: run.clone() }),
        }
    }
}

impl fmt::Display for LocalScheduler {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "scheduler in this process, journal {}", self.shared.journal)
    }
}

#[async_trait]
impl Scheduler for LocalScheduler {
    async fn sync(&self, session: &SessionId, document: Document) -> Result<SessionStatus, SchedulerError> {
        let session = self.session(session, true).await?;
        session.call(|session| Box::pin(session.sync(document))).await
    }

    async fn plan(&self, session: &SessionId, request: PlanRequest) -> Result<Plan, SchedulerError> {
        let session = self.session(session, false).await?;
        session
            .call(move |session| Box::pin(async move { session.plan(&request) }))
            .await
    }

    async fn start(&self, session: &SessionId, request: StartRequest) -> Result<StartedRun, SchedulerError> {
        let session = self.session(session, false).await?;
        session.call(|session| Box::pin(session.start(request))).await
    }

    async fn resume(&self, session: &SessionId) -> Result<Vec<ResumedRun>, SchedulerError> {
        let session = self.session(session, false).await?;
        session.call_first(|session| Box::pin(session.resume())).await
    }

    async fn report(&self, report: Report) -> Result<(), SchedulerError> {
        let (session, ended) = self.session_of(&report.run_id).await?;
        if let Some(record) = ended.filter(|record| record.end.is_some()) {
            return check_repeated(&record, &report);
        }
        let session = self.session(&session, false).await?;
        session.call(|session| Box::pin(session.report(report))).await
    }

    async fn cancel(&self, run: &RunId) -> Result<(), SchedulerError> {
        let (session, _) = self.session_of(run).await?;
        let session = self.session(&session, false).await?;
        let run = run.clone();
        session
            .call(move |session| {
                Box::pin(async move {
                    session.cancel(&run).await;
                    Ok(())
                })
            })
            .await
    }

    async fn status(&self, session: &SessionId) -> Result<SessionStatus, SchedulerError> {
        let session = self.session(session, false).await?;
        session
            .call(|session| Box::pin(async move { Ok(session.status()) }))
            .await
    }

    async fn runs(&self, session: &SessionId) -> Result<Vec<RunRecord>, SchedulerError> {
        let session = self.session(session, false).await?;
        session.call(|session| Box::pin(session.runs())).await
    }

    async fn forget(&self, session: &SessionId) -> Result<(), SchedulerError> {
        // Held to the end, so that nobody begins the session again in between.
        let mut sessions = self.sessions.lock().await;
        match sessions.get(session).filter(|session| !session.has_ended()) {
            Some(handle) => handle.call(|session| Box::pin(session.forget())).await?,
            None => self.shared.journal.forget(session).await?,
        }
        sessions.remove(session);
        Ok(())
    }

    async fn kernel_epoch(&self, session: &SessionId, epoch: KernelEpoch) -> Result<(), SchedulerError> {
        let session = self.session(session, false).await?;
        session.call(move |session| Box::pin(session.kernel_epoch(epoch))).await
    }
}
