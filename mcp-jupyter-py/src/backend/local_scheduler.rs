//! The library's own scheduler, for schedulers of Python to build upon.

use std::fmt;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use futures_util::StreamExt;
use futures_util::stream::BoxStream;
use mcp_jupyter_core::scheduler::{
    Dispatch, Document, Journal, KernelEpoch, LocalScheduler, MemoryJournal, PlanRequest, Report, ResumedRun,
    Scheduler, SchedulerError, SqliteJournal, StartRequest, StartedRun, Step,
};
use mcp_jupyter_core::session::SessionError;
use pyo3::prelude::*;
use serde::de::DeserializeOwned;
use serde_json::json;
use tokio::runtime::Handle;

use super::scheduler::PythonScheduler;
use crate::error::to_python;
use crate::job::PyJob;
use crate::objects::to_objects;
use crate::run::invalid;
use crate::runtime::{self, Owned};

/// A scheduler, until it is abandoned.
#[pyclass(name = "SchedulerHandle", module = "mcp_jupyter._native", frozen)]
#[derive(Debug)]
pub(crate) struct PyScheduler(Owned<Mutex<Option<Arc<dyn Scheduler>>>>);

/// The steps of a run, until they are closed, which cancels the run.
#[pyclass(name = "StepsHandle", module = "mcp_jupyter._native", frozen)]
pub(crate) struct PySteps {
    steps: Owned<Mutex<Option<Steps>>>,
    /// Where the steps are at home: they may begin something when they are dropped.
    runtime: Handle,
}

type Steps = Arc<tokio::sync::Mutex<BoxStream<'static, Result<Step, SchedulerError>>>>;

impl fmt::Debug for PySteps {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PySteps")
    }
}

/// Makes a scheduler whose journal is this file, or in memory.
#[pyfunction]
#[pyo3(signature = (journal=None))]
pub(crate) fn open_local_scheduler(py: Python<'_>, journal: Option<PathBuf>) -> PyResult<PyJob> {
    let work = async move {
        let journal: Arc<dyn Journal> = match journal {
            Some(path) => Arc::new(SqliteJournal::open(path).await?),
            None => Arc::new(MemoryJournal::new()),
        };
        Ok::<_, SchedulerError>(Arc::new(LocalScheduler::new(journal)) as Arc<dyn Scheduler>)
    };
    PyJob::start(py, work, |py, scheduler| {
        Ok(Bound::new(py, PyScheduler::new(scheduler))?.into_any())
    })
}

/// The scheduler that calls this function of the package for everything.
#[pyfunction]
pub(crate) fn open_python_scheduler(adapter: Py<PyAny>, name: &str) -> PyScheduler {
    PyScheduler::new(Arc::new(PythonScheduler::new(adapter, name)))
}

fn parsed<T: DeserializeOwned>(py: Python<'_>, text: &str) -> PyResult<T> {
    let parsed = serde_json::from_str(text).map_err(|error| invalid(format!("this cannot be understood: {error}")));
    parsed.map_err(|error: SessionError| to_python(py, error))
}

fn started<'py>(
    py: Python<'py>,
    run: StartedRun,
    request: Option<&StartRequest>,
    in_flight: Option<&Dispatch>,
) -> PyResult<Bound<'py, PyAny>> {
    let steps = PySteps {
        steps: Owned::new(Mutex::new(Some(Arc::new(tokio::sync::Mutex::new(run.steps))))),
        runtime: runtime::handle(py)?,
    };
    let described = json!({ "run_id": run.run_id, "plan": run.plan, "request": request, "in_flight": in_flight });
    Ok((to_objects(py, &described)?, Bound::new(py, steps)?)
        .into_pyobject(py)?
        .into_any())
}

impl PyScheduler {
    fn new(scheduler: Arc<dyn Scheduler>) -> Self {
        Self(Owned::new(Mutex::new(Some(scheduler))))
    }

    /// The scheduler, for whoever is to use it.
    pub(crate) fn scheduler(&self, py: Python<'_>) -> PyResult<Arc<dyn Scheduler>> {
        let scheduler = self.0.get()?.lock().unwrap_or_else(PoisonError::into_inner).clone();
        scheduler.ok_or_else(|| to_python(py, invalid("the scheduler was abandoned".to_owned())))
    }
}

#[pymethods]
impl PyScheduler {
    fn sync(&self, py: Python<'_>, session: String, document: &str) -> PyResult<PyJob> {
        let (scheduler, document) = (self.scheduler(py)?, parsed::<Document>(py, document)?);
        let work = async move { scheduler.sync(&session.into(), document).await };
        PyJob::start(py, work, |py, status| to_objects(py, &status))
    }

    fn plan(&self, py: Python<'_>, session: String, request: &str) -> PyResult<PyJob> {
        let (scheduler, request) = (self.scheduler(py)?, parsed::<PlanRequest>(py, request)?);
        let work = async move { scheduler.plan(&session.into(), request).await };
        PyJob::start(py, work, |py, plan| to_objects(py, &plan))
    }

    fn start(&self, py: Python<'_>, session: String, request: &str) -> PyResult<PyJob> {
        let (scheduler, request) = (self.scheduler(py)?, parsed::<StartRequest>(py, request)?);
        let work = async move { scheduler.start(&session.into(), request).await };
        PyJob::start(py, work, |py, run| started(py, run, None, None))
    }

    fn resume(&self, py: Python<'_>, session: String) -> PyResult<PyJob> {
        let scheduler = self.scheduler(py)?;
        let work = async move { scheduler.resume(&session.into()).await };
        PyJob::start(py, work, |py, runs| {
            let resumed =
                |resumed: ResumedRun| started(py, resumed.run, Some(&resumed.request), resumed.in_flight.as_ref());
            let runs: PyResult<Vec<_>> = runs.into_iter().map(resumed).collect();
            Ok(runs?.into_pyobject(py)?.into_any())
        })
    }

    fn report(&self, py: Python<'_>, report: &str) -> PyResult<PyJob> {
        let (scheduler, report) = (self.scheduler(py)?, parsed::<Report>(py, report)?);
        PyJob::start_plain(py, async move { scheduler.report(report).await })
    }

    fn cancel(&self, py: Python<'_>, run: String) -> PyResult<PyJob> {
        let scheduler = self.scheduler(py)?;
        PyJob::start_plain(py, async move { scheduler.cancel(&run.into()).await })
    }

    fn status(&self, py: Python<'_>, session: String) -> PyResult<PyJob> {
        let scheduler = self.scheduler(py)?;
        let work = async move { scheduler.status(&session.into()).await };
        PyJob::start(py, work, |py, status| to_objects(py, &status))
    }

    fn runs(&self, py: Python<'_>, session: String) -> PyResult<PyJob> {
        let scheduler = self.scheduler(py)?;
        let work = async move { scheduler.runs(&session.into()).await };
        PyJob::start(py, work, |py, runs| to_objects(py, &runs))
    }

    fn forget(&self, py: Python<'_>, session: String) -> PyResult<PyJob> {
        let scheduler = self.scheduler(py)?;
        PyJob::start_plain(py, async move { scheduler.forget(&session.into()).await })
    }

    fn kernel_epoch(&self, py: Python<'_>, session: String, epoch: u64) -> PyResult<PyJob> {
        let scheduler = self.scheduler(py)?;
        PyJob::start_plain(py, async move {
            scheduler.kernel_epoch(&session.into(), KernelEpoch(epoch)).await
        })
    }

    /// Leaves it in the middle of whatever it does, as a crash would.
    fn abandon(&self, py: Python<'_>) -> PyResult<()> {
        let scheduler = self.0.get()?.lock().unwrap_or_else(PoisonError::into_inner).take();
        let runtime = runtime::handle(py)?;
        let _inside = runtime.enter();
        drop(scheduler);
        Ok(())
    }
}

#[pymethods]
impl PySteps {
    /// The next step; None after the last, and once they are closed.
    fn next(&self, py: Python<'_>) -> PyResult<PyJob> {
        let steps = self.steps.get()?.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let work = async move {
            match steps {
                Some(steps) => steps.lock().await.next().await.transpose(),
                None => Ok(None),
            }
        };
        PyJob::start(py, work, |py, step| to_objects(py, &step))
    }

    /// Cancels the run, unless it has ended.
    fn close(&self) {
        if let Some(steps) = self.steps.ours() {
            let _inside = self.runtime.enter();
            drop(steps.lock().unwrap_or_else(PoisonError::into_inner).take());
        }
    }
}

impl Drop for PySteps {
    fn drop(&mut self) {
        self.close();
    }
}
