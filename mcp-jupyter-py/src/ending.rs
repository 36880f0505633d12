//! What is done while the interpreter is not ours, and that none of it is left when the interpreter ends.
//!
//! A thread that wants the interpreter back while that is being finalized is ended on the spot, in the middle of our
//! frames, which aborts the process. So whoever lets go of the interpreter is counted, the end waits until all have come
//! back, and afterwards nobody lets go of it any more.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
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
    is_ending: bool,
}

static STATE: Mutex<State> = Mutex::new(State {
    process: 0,
    outside: 0,
    is_ending: false,
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
    /// None where the interpreter ends.
    fn enter() -> Option<Self> {
        let mut state = state();
        (!state.is_ending).then(|| {
            state.outside += 1;
            Self
        })
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
    match Outside::enter() {
        Some(_outside) => py.detach(work),
        None => work(),
    }
}

/// Refuses to begin what would outlive the interpreter.
pub(crate) fn check_alive() -> PyResult<()> {
    if state().is_ending {
        return Err(PyRuntimeError::new_err(
            "the interpreter is ending, so nothing can be started any more",
        ));
    }
    Ok(())
}

/// Ends all runs and threads that could enter Python; called when the interpreter ends.
#[pyfunction]
pub(crate) fn shut_down(py: Python<'_>) {
    state().is_ending = true;
    py.detach(|| {
        let due = Instant::now() + PATIENCE;
        run::end_all(PATIENCE);
        live::end_all();
        runtime::close(due.saturating_duration_since(Instant::now()));
        pump::close();
        let patience = due.saturating_duration_since(Instant::now());
        let waited = CAME_BACK.wait_timeout_while(state(), patience, |state| state.outside > 0);
        drop(waited);
    });
}
