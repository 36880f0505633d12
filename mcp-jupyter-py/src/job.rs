//! One thing that is done on our threads, for Python to wait for.

use std::fmt;
use std::sync::Arc;

use mcp_jupyter_core::Error;
use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;
use tokio::task::AbortHandle;

use crate::error::to_python;
use crate::feed::{Feed, Next};
use crate::runtime::{self, Owned};

type ToObject = dyn for<'py> FnOnce(Python<'py>) -> PyResult<Bound<'py, PyAny>> + Send;

/// What a job has come to, still to be made an object.
struct Outcome(Box<ToObject>);

impl fmt::Debug for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Outcome")
    }
}

/// Something in progress. Dropping it lets it go on.
#[pyclass(name = "Job", module = "mcp_jupyter._native", frozen)]
#[derive(Debug)]
pub(crate) struct PyJob(Owned<Progress>);

#[derive(Debug)]
struct Progress {
    feed: Arc<Feed<Outcome>>,
    task: AbortHandle,
}

/// However a task ends, whoever waits for it is told.
struct Closer(Arc<Feed<Outcome>>);

impl Drop for Closer {
    fn drop(&mut self) {
        self.0.end();
    }
}

impl PyJob {
    /// Begins it; `convert` makes an object of what it gives.
    pub(crate) fn start<T, E>(
        py: Python<'_>,
        work: impl Future<Output = Result<T, E>> + Send + 'static,
        convert: impl for<'py> FnOnce(Python<'py>, T) -> PyResult<Bound<'py, PyAny>> + Send + 'static,
    ) -> PyResult<Self>
    where
        T: Send + 'static,
        E: Into<Error> + Send + 'static,
    {
        let feed = Arc::new(Feed::default());
        let closer = Closer(Arc::clone(&feed));
        let task = runtime::handle(py)?.spawn(async move {
            let done = work.await;
            let outcome = Outcome(Box::new(move |py| match done {
                Ok(value) => convert(py, value),
                Err(error) => Err(to_python(py, error)),
            }));
            closer.0.push(outcome).await;
        });
        let task = task.abort_handle();
        Ok(Self(Owned::new(Progress { feed, task })))
    }

    /// The same for what gives nothing.
    pub(crate) fn start_plain<E>(
        py: Python<'_>,
        work: impl Future<Output = Result<(), E>> + Send + 'static,
    ) -> PyResult<Self>
    where
        E: Into<Error> + Send + 'static,
    {
        Self::start(py, work, |py, ()| Ok(py.None().into_bound(py)))
    }

    /// The same for what takes the processor, or blocks.
    pub(crate) fn start_blocking<T, E>(
        py: Python<'_>,
        work: impl FnOnce() -> Result<T, E> + Send + 'static,
        convert: impl for<'py> FnOnce(Python<'py>, T) -> PyResult<Bound<'py, PyAny>> + Send + 'static,
    ) -> PyResult<Self>
    where
        T: Send + 'static,
        E: Into<Error> + Send + 'static,
    {
        Self::start(py, runtime::blocking(work), convert)
    }
}

#[pymethods]
impl PyJob {
    /// Waits for the end, and gives what came of it, once. Ctrl-C ends the waiting.
    fn wait<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        let progress = self.0.get()?;
        taken(py, progress.feed.wait(py, None)?)
    }

    /// Whether it has ended: then `wait` does not wait.
    fn has_ended(&self) -> PyResult<bool> {
        Ok(self.0.get()?.task.is_finished())
    }

    /// Has `callback` called in `event_loop` when it has ended.
    fn subscribe(&self, py: Python<'_>, event_loop: Py<PyAny>, callback: Py<PyAny>) -> PyResult<()> {
        self.0.get()?.feed.subscribe(py, event_loop, callback)
    }

    /// Ends it, wherever it is.
    fn cancel(&self) {
        if let Some(progress) = self.0.ours() {
            progress.task.abort();
        }
    }
}

fn taken(py: Python<'_>, next: Next<Outcome>) -> PyResult<Bound<'_, PyAny>> {
    let outcome = match next {
        Next::Items(outcomes) => outcomes.into_iter().next(),
        Next::Nothing | Next::End => None,
    };
    match outcome {
        Some(outcome) => (outcome.0)(py),
        None => Err(PyRuntimeError::new_err(
            "it was ended before it was done, because the interpreter ends, by cancelling, or by a bug of mcp_jupyter",
        )),
    }
}
