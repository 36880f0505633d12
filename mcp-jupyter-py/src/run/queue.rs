use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use mcp_jupyter_core::Error;
use mcp_jupyter_core::engine::{FinishedRun, RunControl, RunEvent, StopCause};
use tokio::sync::Notify;

use crate::pump::Wakeup;

/// Events that wait for Python. What comes beyond waits in the run, which leaves outputs out, and says so, where a reader
/// stays behind.
const LIMIT: usize = 4096;

/// The way of a run's events from its thread to Python, and of requests to stop back.
#[derive(Debug, Default)]
pub(crate) struct Queue {
    state: Mutex<State>,
    changed: Condvar,
    room: Notify,
}

#[derive(Debug, Default)]
struct State {
    events: VecDeque<RunEvent>,
    end: Option<End>,
    ended: bool,
    abandoned: bool,
    wakeup: Option<Arc<Wakeup>>,
    control: Option<RunControl>,
    asked: Option<Stop>,
}

/// How a run's thread has ended.
#[derive(Debug)]
pub(crate) enum End {
    Finished(FinishedRun),
    /// Nothing was run.
    Refused(Error),
    Panicked,
}

/// What somebody asks of a run.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Stop {
    /// Interrupt, save, end.
    Gracefully,
    /// Save and end, now.
    AtOnce,
}

/// What there is to read.
#[derive(Debug)]
pub(crate) enum Next {
    Events(Vec<RunEvent>),
    Nothing,
    End,
}

impl Queue {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds an event as soon as there is room. Where nobody will read it, it is dropped.
    pub(crate) async fn push(&self, event: RunEvent) {
        loop {
            {
                let mut state = self.state();
                if state.abandoned {
                    return;
                }
                if state.events.len() < LIMIT {
                    let was_empty = state.events.is_empty();
                    state.events.push_back(event);
                    self.tell(&state, was_empty);
                    return;
                }
            }
            self.room.notified().await;
        }
    }

    /// No event follows.
    pub(crate) fn end(&self, end: End) {
        let mut state = self.state();
        if !state.ended {
            state.ended = true;
            state.end = Some(end);
            state.control = None;
            self.tell(&state, true);
        }
    }

    fn tell(&self, state: &State, wakes: bool) {
        self.changed.notify_all();
        if let Some(wakeup) = state.wakeup.as_ref().filter(|_| wakes) {
            wakeup.send();
        }
    }

    /// What there is to read, for which it waits at most for `patience`.
    pub(crate) fn next(&self, patience: Duration) -> Next {
        let waits = |state: &mut State| state.events.is_empty() && !state.ended;
        let waited = self.changed.wait_timeout_while(self.state(), patience, waits);
        let (mut state, _) = waited.unwrap_or_else(PoisonError::into_inner);
        if state.events.is_empty() {
            return if state.ended { Next::End } else { Next::Nothing };
        }
        let events = state.events.drain(..).collect();
        self.room.notify_one();
        Next::Events(events)
    }

    /// What the run has left, once.
    pub(crate) fn take_end(&self) -> Option<End> {
        self.state().end.take()
    }

    /// Waits until the run has ended, at most for `patience`; tells whether it has.
    pub(crate) fn wait_for_end(&self, patience: Duration) -> bool {
        let waited = self
            .changed
            .wait_timeout_while(self.state(), patience, |state| !state.ended);
        waited.unwrap_or_else(PoisonError::into_inner).0.ended
    }

    /// Somebody is to be told when there is something to read.
    pub(crate) fn subscribe(&self, wakeup: Arc<Wakeup>) {
        let mut state = self.state();
        state.wakeup = Some(wakeup);
        let readable = !state.events.is_empty() || state.ended;
        self.tell(&state, readable);
    }

    /// Nobody will read any more.
    pub(crate) fn abandon(&self) {
        let mut state = self.state();
        state.abandoned = true;
        state.events.clear();
        state.wakeup = None;
        self.room.notify_one();
    }

    /// The run has begun; it is given what was asked of it before.
    pub(crate) fn has_begun(&self, control: RunControl) {
        let mut state = self.state();
        if let Some(stop) = state.asked {
            stop.apply(&control);
        }
        state.control = Some(control);
    }

    pub(crate) fn ask(&self, stop: Stop) {
        let mut state = self.state();
        state.asked = Some(stop);
        if let Some(control) = &state.control {
            stop.apply(control);
        }
    }
}

impl Stop {
    fn apply(self, control: &RunControl) {
        match self {
            Self::Gracefully => control.stop(StopCause::Interrupt),
            Self::AtOnce => control.abort(StopCause::Interrupt),
        }
    }
}
