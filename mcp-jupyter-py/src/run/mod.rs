//! A run, from Python.

mod options;
mod queue;
mod worker;

use std::sync::Arc;
use std::time::{Duration, Instant};

use mcp_jupyter_core::engine::RunEvent;
use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;
use pyo3::types::PyBytes;

use self::options::Options;
pub(crate) use self::options::invalid;
use self::queue::{End, Next, Queue, Stop};
pub(crate) use self::worker::end_all;

use crate::ending::{check_alive, detached};
use crate::error::to_python;
use crate::pump::Wakeup;

/// How often Ctrl-C is looked for while nothing happens.
const SIGNAL_INTERVAL: Duration = Duration::from_millis(100);

/// A run in progress. Dropping it ends the run at once; what has been received is saved.
#[pyclass(name = "Run", module = "mcp_jupyter._native", frozen)]
#[derive(Debug)]
pub(crate) struct PyRun(Arc<Queue>);

#[pymethods]
impl PyRun {
    #[new]
    fn new(py: Python<'_>, options: Options) -> PyResult<Self> {
        check_alive()?;
        let started = detached(py, || worker::start(options));
        started.map(Self).map_err(|error| to_python(py, error))
    }

    /// Waits for events, at most for `timeout` seconds; None when all have been read and the run has ended.
    #[pyo3(signature = (timeout=None))]
    fn wait<'py>(&self, py: Python<'py>, timeout: Option<f64>) -> PyResult<Option<Bound<'py, PyAny>>> {
        let due = timeout
            .and_then(|seconds| Duration::try_from_secs_f64(seconds).ok())
            .and_then(|timeout| Instant::now().checked_add(timeout));
        loop {
            let patience = due.map_or(SIGNAL_INTERVAL, |due| due.saturating_duration_since(Instant::now()));
            match detached(py, || self.0.next(patience.min(SIGNAL_INTERVAL))) {
                Next::Events(events) => return to_objects(py, &events).map(Some),
                Next::End => return Ok(None),
                Next::Nothing if due.is_some_and(|due| due <= Instant::now()) => return to_objects(py, &[]).map(Some),
                Next::Nothing => py.check_signals()?,
            }
        }
    }

    /// The events that are there, without waiting; None when all have been read and the run has ended.
    fn poll<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyAny>>> {
        match self.0.next(Duration::ZERO) {
            Next::Events(events) => to_objects(py, &events).map(Some),
            Next::Nothing => to_objects(py, &[]).map(Some),
            Next::End => Ok(None),
        }
    }

    /// Has `callback` called in `event_loop` when there is something to read after there was nothing.
    fn subscribe(&self, py: Python<'_>, event_loop: Py<PyAny>, callback: Py<PyAny>) -> PyResult<()> {
        let wakeup = Arc::new(Wakeup::new(event_loop, callback)?);
        detached(py, || self.0.subscribe(wakeup));
        Ok(())
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
        self.0.abandon();
        self.0.ask(Stop::AtOnce);
    }
}

fn to_objects<'py>(py: Python<'py>, events: &[RunEvent]) -> PyResult<Bound<'py, PyAny>> {
    let text = detached(py, || serde_json::to_vec(events).unwrap_or_default());
    loads(py, &text)
}

/// The objects that JSON stands for.
pub(crate) fn loads<'py>(py: Python<'py>, text: &[u8]) -> PyResult<Bound<'py, PyAny>> {
    py.import("json")?.getattr("loads")?.call1((PyBytes::new(py, text),))
}
