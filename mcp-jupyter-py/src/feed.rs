//! The way of what happens on our threads to Python.

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use pyo3::prelude::*;
use tokio::sync::Notify;

use crate::ending::detached;
use crate::pump::Wakeup;

/// How often Ctrl-C is looked for while nothing happens.
const SIGNAL_INTERVAL: Duration = Duration::from_millis(100);

/// Items that wait for Python. What comes beyond waits where it comes from.
const LIMIT: usize = 4096;

/// A queue with one end on our threads and the other in Python, which waits for it in a thread or in an event loop.
#[derive(Debug)]
pub(crate) struct Feed<T> {
    state: Mutex<State<T>>,
    changed: Condvar,
    room: Notify,
}

#[derive(Debug)]
struct State<T> {
    items: VecDeque<T>,
    ended: bool,
    abandoned: bool,
    wakeup: Option<Arc<Wakeup>>,
}

/// What there is to read.
#[derive(Debug)]
pub(crate) enum Next<T> {
    Items(Vec<T>),
    Nothing,
    End,
}

impl<T> Default for Feed<T> {
    fn default() -> Self {
        Self {
            state: Mutex::new(State {
                items: VecDeque::new(),
                ended: false,
                abandoned: false,
                wakeup: None,
            }),
            changed: Condvar::new(),
            room: Notify::new(),
        }
    }
}

impl<T: Send> Feed<T> {
    fn state(&self) -> MutexGuard<'_, State<T>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds an item as soon as there is room; tells whether anybody will read it.
    pub(crate) async fn push(&self, item: T) -> bool {
        loop {
            {
                let mut state = self.state();
                if state.abandoned {
                    return false;
                }
                if state.items.len() < LIMIT {
                    let was_empty = state.items.is_empty();
                    state.items.push_back(item);
                    self.tell(&state, was_empty);
                    return true;
                }
            }
            self.room.notified().await;
        }
    }

    /// No item follows.
    pub(crate) fn end(&self) {
        let mut state = self.state();
        if !state.ended {
            state.ended = true;
            self.tell(&state, true);
        }
    }

    fn tell(&self, state: &State<T>, wakes: bool) {
        self.changed.notify_all();
        if let Some(wakeup) = state.wakeup.as_ref().filter(|_| wakes) {
            wakeup.send();
        }
    }

    /// What there is to read, for which it waits at most for `patience`.
    pub(crate) fn next(&self, patience: Duration) -> Next<T> {
        let waits = |state: &mut State<T>| state.items.is_empty() && !state.ended;
        let waited = self.changed.wait_timeout_while(self.state(), patience, waits);
        let (mut state, _) = waited.unwrap_or_else(PoisonError::into_inner);
        if state.items.is_empty() {
            return if state.ended { Next::End } else { Next::Nothing };
        }
        let items = state.items.drain(..).collect();
        self.room.notify_one();
        Next::Items(items)
    }

    /// What there is to read, for which it waits at most for `timeout` seconds, without the interpreter; Ctrl-C ends that.
    pub(crate) fn wait(&self, py: Python<'_>, timeout: Option<f64>) -> PyResult<Next<T>> {
        let due = timeout
            .and_then(|seconds| Duration::try_from_secs_f64(seconds).ok())
            .and_then(|timeout| Instant::now().checked_add(timeout));
        loop {
            let patience = due.map_or(SIGNAL_INTERVAL, |due| due.saturating_duration_since(Instant::now()));
            match detached(py, || self.next(patience.min(SIGNAL_INTERVAL))) {
                Next::Nothing if due.is_none_or(|due| due > Instant::now()) => py.check_signals()?,
                next => return Ok(next),
            }
        }
    }

    /// Waits until all has been fed, at most for `patience`; tells whether it has.
    pub(crate) fn wait_for_end(&self, patience: Duration) -> bool {
        let waited = self
            .changed
            .wait_timeout_while(self.state(), patience, |state| !state.ended);
        waited.unwrap_or_else(PoisonError::into_inner).0.ended
    }

    /// Has `callback` called in `event_loop` when there is something to read after there was nothing.
    pub(crate) fn subscribe(&self, py: Python<'_>, event_loop: Py<PyAny>, callback: Py<PyAny>) -> PyResult<()> {
        let wakeup = Arc::new(Wakeup::new(event_loop, callback)?);
        detached(py, || {
            let mut state = self.state();
            state.wakeup = Some(wakeup);
            let readable = !state.items.is_empty() || state.ended;
            self.tell(&state, readable);
        });
        Ok(())
    }

    /// Nobody will read any more.
    pub(crate) fn abandon(&self) {
        let mut state = self.state();
        state.abandoned = true;
        state.items.clear();
        state.wakeup = None;
        self.room.notify_one();
    }
}
