//! What is done while the interpreter is not ours, and that none of it is left when the interpreter ends.
//!
//! A thread that wants the interpreter back while that is being finalized is ended on the spot, in the middle of our
//! frames, which aborts the process. So whoever lets go of the interpreter, or calls into Python, where it may be taken
//! away, is counted, and the end waits until all have come back. Threads that come to us afterwards, which are daemons,
//! stand still, as those of Python itself do.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, ThreadId};
use std::time::{Duration, Instant};

use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;

use crate::{live, pump, run, runtime};

/// How long runs may take to save and to end their kernels when the interpreter ends.
const PATIENCE: Duration = Duration::from_secs(5);

#[derive(Debug)]
struct State {
    /// A fork has none of its parent's threads.
    process: u32,
    outside: usize,
    /// The thread that ends the interpreter, once it does.
    ender: Option<ThreadId>,
}

static STATE: Mutex<State> = Mutex::new(State {
    process: 0,
    outside: 0,
    ender: None,
});
static CAME_BACK: Condvar = Condvar::new();

fn state() -> MutexGuard<'static, State> {
    let mut state = STATE.lock().unwrap_or_else(PoisonError::into_inner);
    if state.process != std::process::id() {
        state.process = std::process::id();
        state.outside = 0;
    }
    state
}

/// One that is outside, until it is dropped.
struct Outside;

impl Outside {
    /// None for the thread that ends the interpreter; none of the others goes on from here then.
    fn enter(py: Python<'_>) -> Option<Self> {
        let mut state = state();
        match state.ender {
            None => {
                state.outside += 1;
                Some(Self)
            }
            Some(ender) if ender == thread::current().id() => None,
            Some(_) => {
                drop(state);
                py.detach(|| {
                    loop {
                        thread::park();
                    }
                })
            }
        }
    }
}

impl Drop for Outside {
    fn drop(&mut self) {
        let mut state = state();
        state.outside = state.outside.saturating_sub(1);
        CAME_BACK.notify_all();
    }
}

/// Lets other threads have the interpreter during `work`.
pub(crate) fn detached<T: Send>(py: Python<'_>, work: impl FnOnce() -> T + Send) -> T {
    match Outside::enter(py) {
        Some(_outside) => py.detach(work),
        None => work(),
    }
}

/// Calls Python code from ours.
pub(crate) fn entered<T>(py: Python<'_>, call: impl FnOnce() -> T) -> T {
    let _outside = Outside::enter(py);
    call()
}

/// Calls Python from a thread of ours; none where the interpreter ends.
pub(crate) fn call_in<T>(call: impl FnOnce(Python<'_>) -> T) -> Option<T> {
    // Counted before the thread asks for the interpreter, so that the end waits for it.
    let outside = {
        let mut state = state();
        state.ender.is_none().then(|| {
            state.outside += 1;
            Outside
        })
    };
    outside.and_then(|_outside| Python::try_attach(call))
}

/// Refuses to begin what would outlive the interpreter.
pub(crate) fn check_alive(py: Python<'_>) -> PyResult<()> {
    match Outside::enter(py) {
        Some(_) => Ok(()),
        None => Err(PyRuntimeError::new_err(
            "the interpreter is ending, so nothing can be started any more",
        )),
    }
}

/// Ends all runs and threads that could enter Python; called when the interpreter ends.
#[pyfunction]
pub(crate) fn shut_down(py: Python<'_>) {
    state().ender = Some(thread::current().id());
    py.detach(|| {
        // Nobody begins anything any more once all are back.
        drop(CAME_BACK.wait_timeout_while(state(), PATIENCE, |state| state.outside > 0));
        let due = Instant::now() + PATIENCE;
        run::end_all(PATIENCE);
        live::end_all();
        runtime::close(due.saturating_duration_since(Instant::now()));
        pump::close();
    });
}
