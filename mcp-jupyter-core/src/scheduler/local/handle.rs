use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use futures_core::future::BoxFuture;
use tokio::sync::{mpsc, oneshot};
use tokio::task::AbortHandle;

use super::session::Session;
use crate::model::{RunId, SessionId};
use crate::scheduler::SchedulerError;
use crate::scheduler::journal::Journal;

/// Something that a session is to do.
pub(super) type Job = Box<dyn for<'a> FnOnce(&'a mut Session) -> BoxFuture<'a, ()> + Send>;

/// The sessions of the runs that have not ended.
#[derive(Clone, Debug, Default)]
pub(super) struct Registry(Arc<Mutex<HashMap<RunId, SessionId>>>);

impl Registry {
    pub(super) fn session_of(&self, run: &RunId) -> Option<SessionId> {
        self.with(|runs| runs.get(run).cloned())
    }

    pub(super) fn insert(&self, run: RunId, session: SessionId) {
        self.with(|runs| runs.insert(run, session));
    }

    pub(super) fn remove(&self, run: &RunId) {
        self.with(|runs| runs.remove(run));
    }

    fn with<T>(&self, change: impl FnOnce(&mut HashMap<RunId, SessionId>) -> T) -> T {
        change(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// What all sessions of a scheduler share.
#[derive(Clone, Debug)]
pub(super) struct Shared {
    pub(super) journal: Arc<dyn Journal>,
    pub(super) registry: Registry,
    /// How many runs may wait in a session.
    pub(super) most_waiting: usize,
}

/// A session as its scheduler holds it. Dropping the last one ends the session's task as a crash would.
#[derive(Debug)]
pub(super) struct SessionHandle {
    jobs: Jobs,
    task: AbortHandle,
    journal: String,
}

impl Drop for SessionHandle {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl SessionHandle {
    pub(super) fn new(jobs: Jobs, task: AbortHandle, journal: String) -> Self {
        Self { jobs, task, journal }
    }

    /// Has the session do something, once what a crash has left is ended. It does so to the end, even where the future is
    /// dropped.
    pub(super) async fn call<T, F>(&self, job: F) -> Result<T, SchedulerError>
    where
        T: Send + 'static,
        F: for<'a> FnOnce(&'a mut Session) -> BoxFuture<'a, Result<T, SchedulerError>> + Send + 'static,
    {
        self.call_first(|session| {
            Box::pin(async move {
                session.settle().await?;
                job(session).await
            })
        })
        .await
    }

    /// Has the session do something with what a crash has left.
    pub(super) async fn call_first<T, F>(&self, job: F) -> Result<T, SchedulerError>
    where
        T: Send + 'static,
        F: for<'a> FnOnce(&'a mut Session) -> BoxFuture<'a, Result<T, SchedulerError>> + Send + 'static,
    {
        let (reply, result) = oneshot::channel();
        self.jobs.send(move |session| {
            Box::pin(async move {
                // Where nobody waits any more, dropping the result is all that is left to do.
                let _ = reply.send(job(session).await);
            })
        });
        result.await.unwrap_or_else(|_| Err(self.task_ended()))
    }

    /// Whether its task has ended.
    pub(super) fn has_ended(&self) -> bool {
        self.jobs.0.is_closed()
    }

    fn task_ended(&self) -> SchedulerError {
        SchedulerError::Journal {
            journal: self.journal.clone(),
            action: "cannot serve the session".to_owned(),
            source: "its task has ended".into(),
        }
    }
}

/// The way to a session's task. Unbounded, because every caller waits for what it has sent.
#[derive(Clone, Debug)]
pub(super) struct Jobs(mpsc::UnboundedSender<Job>);

impl Jobs {
    pub(super) fn new(jobs: mpsc::UnboundedSender<Job>) -> Self {
        Self(jobs)
    }

    /// Without effect where the session's task has ended.
    pub(super) fn send(&self, job: impl for<'a> FnOnce(&'a mut Session) -> BoxFuture<'a, ()> + Send + 'static) {
        let _ = self.0.send(Box::new(job));
    }
}
