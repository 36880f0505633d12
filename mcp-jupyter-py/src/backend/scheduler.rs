use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use futures_util::StreamExt;
use futures_util::stream::{self, BoxStream};
use mcp_jupyter_core::model::{RunId, SessionId};
use mcp_jupyter_core::scheduler::{
    Dispatch, Document, KernelEpoch, Plan, PlanRequest, Report, ResumedRun, RunRecord, Scheduler, SchedulerError,
    SessionStatus, StartRequest, StartedRun, Step,
};
use pyo3::prelude::*;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use tokio::sync::oneshot;

use super::failure::Details;
use super::{Adapter, Failure};

/// A scheduler that is written in Python.
#[derive(Clone, Debug)]
pub(super) struct PythonScheduler {
    adapter: Adapter,
    name: Arc<str>,
    /// Steps that nobody wants any more: whatever is asked next comes after their end.
    dropped: Arc<Mutex<Vec<u64>>>,
}

/// A run as Python tells of it. Its steps are asked for by a number: the package keeps what gives them.
#[derive(Debug, Deserialize)]
struct Begun {
    run_id: RunId,
    plan: Plan,
    #[serde(default)]
    request: Option<StartRequest>,
    #[serde(default)]
    in_flight: Option<Dispatch>,
    steps: u64,
}

/// The steps of a run, until this is dropped.
struct Steps {
    scheduler: PythonScheduler,
    number: u64,
}

impl Drop for Steps {
    fn drop(&mut self) {
        let mut dropped = self.scheduler.dropped.lock().unwrap_or_else(PoisonError::into_inner);
        dropped.push(self.number);
        drop(dropped);
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            let scheduler = self.scheduler.clone();
            runtime.spawn(async move { scheduler.call::<()>("close", json!({})).await });
        }
    }
}

impl fmt::Display for PythonScheduler {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)
    }
}

impl PythonScheduler {
    pub(super) fn new(adapter: Py<PyAny>, name: &str) -> Self {
        Self {
            adapter: Adapter::new(adapter),
            name: name.into(),
            dropped: Arc::default(),
        }
    }

    async fn call<T: DeserializeOwned>(&self, method: &'static str, arguments: Value) -> Result<T, SchedulerError> {
        let dropped = std::mem::take(&mut *self.dropped.lock().unwrap_or_else(PoisonError::into_inner));
        let arguments = json!({ "closed": dropped, "arguments": arguments });
        let answered = self.adapter.call(method, arguments.to_string(), None).await;
        let answer = answered.map_err(|failure| self.failed(method, &failure))?;
        let understood = serde_json::from_str(answer.text());
        understood.map_err(|error| self.unavailable(method, &format!("what it gives cannot be understood: {error}")))
    }

    fn failed(&self, method: &'static str, failure: &Failure) -> SchedulerError {
        match serde_json::from_str::<Details>(&failure.kind) {
            Ok(details) => details.into(),
            Err(_) => self.unavailable(method, &failure.message),
        }
    }

    fn unavailable(&self, method: &'static str, message: &str) -> SchedulerError {
        SchedulerError::Unavailable {
            scheduler: self.to_string(),
            action: format!("{method}()"),
            source: message.into(),
        }
    }

    /// Has runs begun. Where nobody waits for them any more when they have, they are cancelled.
    async fn begin<T: DeserializeOwned + Send + 'static, R: Send + 'static>(
        &self,
        method: &'static str,
        arguments: Value,
        begun: fn(&Self, T) -> R,
    ) -> Result<R, SchedulerError> {
        let (scheduler, (told, begins)) = (self.clone(), oneshot::channel());
        tokio::spawn(async move {
            let value = scheduler.call(method, arguments).await;
            let _ = told.send(value.map(|value| begun(&scheduler, value)));
        });
        let gone = |_| self.unavailable(method, "the runtime has ended");
        begins.await.map_err(gone)?
    }

    fn begun(&self, begun: Begun) -> ResumedRun {
        ResumedRun {
            run: StartedRun {
                run_id: begun.run_id,
                plan: begun.plan,
                steps: self.steps(begun.steps),
            },
            request: begun.request.unwrap_or_default(),
            in_flight: begun.in_flight,
        }
    }

    fn steps(&self, number: u64) -> BoxStream<'static, Result<Step, SchedulerError>> {
        let scheduler = self.clone();
        let steps = Steps { scheduler, number };
        stream::unfold((steps, false), |(steps, has_failed)| async move {
            if has_failed {
                return None;
            }
            let asked = json!({ "steps": steps.number });
            match steps.scheduler.call::<Option<Step>>("next_step", asked).await {
                Ok(step) => step.map(|step| (Ok(step), (steps, false))),
                Err(error) => Some((Err(error), (steps, true))),
            }
        })
        .boxed()
    }
}

#[async_trait]
impl Scheduler for PythonScheduler {
    async fn sync(&self, session: &SessionId, document: Document) -> Result<SessionStatus, SchedulerError> {
        self.call("sync", json!({ "session": session, "document": document }))
            .await
    }

    async fn plan(&self, session: &SessionId, request: PlanRequest) -> Result<Plan, SchedulerError> {
        self.call("plan", json!({ "session": session, "request": request }))
            .await
    }

    async fn start(&self, session: &SessionId, request: StartRequest) -> Result<StartedRun, SchedulerError> {
        let asked = json!({ "session": session, "request": request });
        self.begin("start", asked, |scheduler, run| scheduler.begun(run).run)
            .await
    }

    async fn resume(&self, session: &SessionId) -> Result<Vec<ResumedRun>, SchedulerError> {
        let all = |scheduler: &Self, runs: Vec<Begun>| runs.into_iter().map(|run| scheduler.begun(run)).collect();
        self.begin("resume", json!({ "session": session }), all).await
    }

    async fn report(&self, report: Report) -> Result<(), SchedulerError> {
        self.call("report", json!({ "report": report })).await
    }

    async fn cancel(&self, run: &RunId) -> Result<(), SchedulerError> {
        self.call("cancel", json!({ "run": run })).await
    }

    async fn status(&self, session: &SessionId) -> Result<SessionStatus, SchedulerError> {
        self.call("status", json!({ "session": session })).await
    }

    async fn runs(&self, session: &SessionId) -> Result<Vec<RunRecord>, SchedulerError> {
        self.call("runs", json!({ "session": session })).await
    }

    async fn forget(&self, session: &SessionId) -> Result<(), SchedulerError> {
        self.call("forget", json!({ "session": session })).await
    }

    async fn kernel_epoch(&self, session: &SessionId, epoch: KernelEpoch) -> Result<(), SchedulerError> {
        self.call("kernel_epoch", json!({ "session": session, "epoch": epoch }))
            .await
    }
}
