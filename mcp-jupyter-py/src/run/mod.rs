//! A run, from Python.

mod options;
mod queue;
mod worker;

use std::sync::Arc;
use std::time::Duration;

use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;
use pyo3::types::PyBytes;

use self::options::Options;
pub(crate) use self::options::{invalid, on_error, seconds};
use self::queue::End;
pub(crate) use self::queue::{Queue, Stop};
pub(crate) use self::worker::{end_all, follow, register, work};

use crate::ending::{check_alive, detached};
use crate::error::to_python;
use crate::objects::{loads, to_list};

/// A run in progress. Dropping it ends the run at once; what has been received is saved.
#[pyclass(name = "Run", module = "mcp_jupyter._native", frozen)]
#[derive(Debug)]
pub(crate) struct PyRun(Arc<Queue>);

impl From<Arc<Queue>> for PyRun {
    fn from(queue: Arc<Queue>) -> Self {
        Self(queue)
    }
}

#[pymethods]
impl PyRun {
    #[new]
    fn new(py: Python<'_>, options: Options) -> PyResult<Self> {
        check_alive(py)?;
        let scheduler = options.scheduler(py)?;
        let started = detached(py, || worker::start(options, scheduler));
        started.map(Self).map_err(|error| to_python(py, error))
    }

    /// Waits for events, at most for `timeout` seconds; None when all have been read and the run has ended.
    #[pyo3(signature = (timeout=None))]
    fn wait<'py>(&self, py: Python<'py>, timeout: Option<f64>) -> PyResult<Option<Bound<'py, PyAny>>> {
        to_list(py, self.0.events.wait(py, timeout)?)
    }

    /// The events that are there, without waiting; None when all have been read and the run has ended.
    fn poll<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyAny>>> {
        to_list(py, self.0.events.next(Duration::ZERO))
    }

    /// Has `callback` called in `event_loop` when there is something to read after there was nothing.
    fn subscribe(&self, py: Python<'_>, event_loop: Py<PyAny>, callback: Py<PyAny>) -> PyResult<()> {
        self.0.events.subscribe(py, event_loop, callback)
    }

    /// Interrupts the cell that is being executed, saves, and ends the run.
    fn stop(&self) {
        self.0.ask(Stop::Gracefully);
    }

    /// Kills the kernel and ends the run.
    fn abort(&self) {
        self.0.ask(Stop::AtOnce);
    }

    /// What the run has left, once: the notebook's bytes, and the summary.
    fn result<'py>(&self, py: Python<'py>) -> PyResult<(Bound<'py, PyBytes>, Bound<'py, PyAny>)> {
        let end = self.0.take_end();
        match end {
            Some(End::Finished(finished)) => {
                let (notebook, summary) = detached(py, || {
                    let summary = serde_json::to_vec(&finished.summary).unwrap_or_default();
                    (finished.notebook.to_bytes(), summary)
                });
                Ok((PyBytes::new(py, &notebook), loads(py, &summary)?))
            }
            Some(End::Refused(error)) => Err(to_python(py, error)),
            Some(End::Panicked) => Err(PyRuntimeError::new_err(
                "the run ended by a panic of mcp_jupyter, which is a bug",
            )),
            None => Err(PyRuntimeError::new_err(
                "the run has not ended, or its result has been taken",
            )),
        }
    }
}

impl Drop for PyRun {
    fn drop(&mut self) {
        self.0.leave();
    }
}
