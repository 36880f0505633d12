//! The threads on which everything but runs is done: one runtime for the process, none of which enters Python.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;
use tokio::runtime::{Builder, Handle, Runtime};

use crate::ending::check_alive;

/// What is waited for in several tasks at once is seldom more: kernels have threads of their own.
const THREADS: usize = 2;

#[derive(Debug)]
struct OfProcess {
    process: u32,
    runtime: Runtime,
}

static RUNTIME: Mutex<Option<OfProcess>> = Mutex::new(None);

/// The runtime, which is started when it is first asked for, in each fork anew.
pub(crate) fn handle(py: Python<'_>) -> PyResult<Handle> {
    check_alive(py)?;
    let mut shared = RUNTIME.lock().unwrap_or_else(PoisonError::into_inner);
    let process = std::process::id();
    if let Some(found) = shared.as_ref().filter(|found| found.process == process) {
        return Ok(found.runtime.handle().clone());
    }
    let runtime = Builder::new_multi_thread()
        .worker_threads(THREADS)
        .thread_name("mcp-jupyter")
        .enable_all()
        .build()?;
    let handle = runtime.handle().clone();
    // A fork has none of its parent's threads: they must not be waited for.
    std::mem::forget(shared.replace(OfProcess { process, runtime }));
    Ok(handle)
}

/// Does what blocks, or takes the processor. Once the runtime ends, nothing comes of it any more.
pub(crate) async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => done,
        Err(failed) if failed.is_panic() => std::panic::resume_unwind(failed.into_panic()),
        Err(_) => std::future::pending().await,
    }
}

/// Ends everything that is done, and waits for that.
pub(crate) fn close(patience: Duration) {
    let mut shared = RUNTIME.lock().unwrap_or_else(PoisonError::into_inner);
    let ours = shared.take_if(|found| found.process == std::process::id());
    drop(shared);
    if let Some(ours) = ours {
        ours.runtime.shutdown_timeout(patience);
    }
}

/// Something with threads or processes behind it, which a fork must neither use nor end.
#[derive(Debug)]
pub(crate) struct Owned<T> {
    process: u32,
    /// Always there until this is dropped.
    value: Option<T>,
}

impl<T> Owned<T> {
    pub(crate) fn new(value: T) -> Self {
        Self {
            process: std::process::id(),
            value: Some(value),
        }
    }

    /// The thing, unless this is a fork.
    pub(crate) fn ours(&self) -> Option<&T> {
        self.value.as_ref().filter(|_| self.process == std::process::id())
    }

    /// The thing, in the process that has made it.
    pub(crate) fn get(&self) -> PyResult<&T> {
        self.ours().ok_or_else(|| {
            PyRuntimeError::new_err(format!(
                "this belongs to process {}, of which this process is a fork; make a new one here",
                self.process
            ))
        })
    }
}

impl<T> Drop for Owned<T> {
    fn drop(&mut self) {
        if self.process != std::process::id() {
            std::mem::forget(self.value.take());
        }
    }
}
