//! A kernel that runs, from Python.

mod execution;
mod launch;

use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use mcp_jupyter_core::kernel::{Channel, Kernel, KernelState, ShutdownMode};
use mcp_jupyter_core::model::{Json, JsonMap};
use mcp_jupyter_core::session::SessionError;
use pyo3::prelude::*;

use crate::ending::detached;
use crate::error::to_python;
use crate::job::PyJob;
use crate::objects::to_objects;
use crate::run::invalid;
use crate::runtime::Owned;

pub(crate) use self::execution::PyExecution;
pub(crate) use self::launch::{LaunchOptions, attach_kernel, start_kernel};

use self::execution::ExecuteOptions;

/// The kernels of this process that have not been closed, for its end.
static LIVE: Mutex<Vec<(u32, Weak<Live>)>> = Mutex::new(Vec::new());

/// A kernel, until it is closed.
#[derive(Debug)]
struct Live {
    kernel: Mutex<Option<Arc<dyn Kernel>>>,
    /// Whether it lives on without us.
    is_kept: bool,
}

/// A kernel. Dropping it ends the kernel's process, if that is ours.
#[pyclass(name = "KernelHandle", module = "mcp_jupyter._native", frozen)]
#[derive(Debug)]
pub(crate) struct PyKernel(Owned<Arc<Live>>);

impl PyKernel {
    pub(crate) fn new(kernel: Arc<dyn Kernel>, is_kept: bool) -> Self {
        let live = Arc::new(Live {
            kernel: Mutex::new(Some(kernel)),
            is_kept,
        });
        let mut all = LIVE.lock().unwrap_or_else(PoisonError::into_inner);
        all.retain(|(_, live)| live.strong_count() > 0);
        all.push((std::process::id(), Arc::downgrade(&live)));
        Self(Owned::new(live))
    }

    fn kernel(&self, py: Python<'_>) -> PyResult<Arc<dyn Kernel>> {
        let kernel = self.0.get()?.kernel.lock().unwrap_or_else(PoisonError::into_inner);
        kernel
            .clone()
            .ok_or_else(|| to_python(py, invalid("the kernel is closed".to_owned())))
    }

    fn take(&self) -> PyResult<Option<Arc<dyn Kernel>>> {
        let live = self.0.get()?;
        Ok(live.kernel.lock().unwrap_or_else(PoisonError::into_inner).take())
    }
}

/// Lets go of all kernels, which ends those that are ours.
pub(crate) fn end_all() {
    let all = std::mem::take(&mut *LIVE.lock().unwrap_or_else(PoisonError::into_inner));
    let ours = all.into_iter().filter(|(process, _)| *process == std::process::id());
    for live in ours.filter_map(|(_, live)| live.upgrade()) {
        drop(live.kernel.lock().unwrap_or_else(PoisonError::into_inner).take());
    }
}

#[pymethods]
impl PyKernel {
    /// Its identity, the same after a restart.
    #[getter]
    fn id(&self, py: Python<'_>) -> PyResult<String> {
        Ok(self.kernel(py)?.id().to_string())
    }

    /// Whether it lives on without us.
    #[getter]
    fn is_kept(&self) -> PyResult<bool> {
        Ok(self.0.get()?.is_kept)
    }

    /// What it has said about itself when it started.
    fn info<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        to_objects(py, &Json::Object(self.kernel(py)?.info().content))
    }

    /// `starting`, `busy`, `idle`, `dead`, or `closed`.
    fn state(&self) -> PyResult<&'static str> {
        let kernel = self.0.get()?.kernel.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(kernel) = kernel.as_ref() else {
            return Ok("closed");
        };
        let state = kernel.state();
        let state = state.borrow();
        Ok(match *state {
            KernelState::Starting => "starting",
            KernelState::Busy => "busy",
            KernelState::Idle => "idle",
            KernelState::Dead(_) => "dead",
        })
    }

    /// Has code executed.
    fn execute(&self, py: Python<'_>, options: ExecuteOptions) -> PyResult<PyExecution> {
        PyExecution::start(py, self.kernel(py)?, options)
    }

    /// Sends a request on shell or control; gives the content of its reply.
    fn request(&self, py: Python<'_>, channel: &str, msg_type: String, content: &str) -> PyResult<PyJob> {
        let channel = if channel == "control" {
            Channel::Control
        } else {
            Channel::Shell
        };
        let content = object(content).map_err(|error| to_python(py, error))?;
        let kernel = self.kernel(py)?;
        let work = async move { kernel.request(channel, &msg_type, content).await };
        PyJob::start(py, work, |py, reply| to_objects(py, &reply.content))
    }

    /// Waits for the echo of its heartbeat.
    fn ping(&self, py: Python<'_>) -> PyResult<PyJob> {
        let kernel = self.kernel(py)?;
        PyJob::start_plain(py, async move { kernel.ping().await })
    }

    /// Interrupts what it is executing.
    fn interrupt(&self, py: Python<'_>) -> PyResult<PyJob> {
        let kernel = self.kernel(py)?;
        PyJob::start_plain(py, async move { kernel.interrupt().await })
    }

    /// Starts a new process in place of its own.
    fn restart(&self, py: Python<'_>) -> PyResult<PyJob> {
        let kernel = self.kernel(py)?;
        PyJob::start_plain(py, async move { kernel.restart().await })
    }

    /// Ends it: asks first, and then gives each step so many seconds; without them it is ended at once.
    #[pyo3(signature = (patience))]
    fn shutdown(&self, py: Python<'_>, patience: Option<f64>) -> PyResult<PyJob> {
        let mode = patience
            .and_then(|seconds| Duration::try_from_secs_f64(seconds).ok())
            .map_or(ShutdownMode::Immediate, ShutdownMode::Graceful);
        let kernel = self.take()?;
        let work = async move {
            match kernel {
                Some(kernel) => kernel.shutdown(mode).await,
                None => Ok(()),
            }
        };
        PyJob::start_plain(py, work)
    }

    /// Lets go of it.
    fn release(&self, py: Python<'_>) -> PyResult<()> {
        let kernel = self.take()?;
        detached(py, || drop(kernel));
        Ok(())
    }
}

/// A JSON object.
fn object(text: &str) -> Result<JsonMap, SessionError> {
    match Json::parse(text.as_bytes()) {
        Ok(Json::Object(object)) => Ok(object),
        _ => Err(invalid("expected an object".to_owned())),
    }
}
