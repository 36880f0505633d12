use std::sync::{Mutex, MutexGuard, PoisonError};

use mcp_jupyter_core::Error;
use mcp_jupyter_core::engine::{FinishedRun, RunControl, RunEvent, StopCause};

use crate::feed::Feed;

/// The way of a run's events from its thread to Python, and of requests to stop back.
#[derive(Debug)]
pub(crate) struct Queue {
    pub(crate) events: Feed<RunEvent>,
    state: Mutex<State>,
    /// How the run ends where nobody waits for it any more.
    parting: Stop,
}

#[derive(Debug, Default)]
struct State {
    end: Option<End>,
    ended: bool,
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

impl Queue {
    pub(crate) fn new(parting: Stop) -> Self {
        Self {
            events: Feed::default(),
            state: Mutex::default(),
            parting,
        }
    }

    /// Nobody waits for the run any more.
    pub(crate) fn leave(&self) {
        self.events.abandon();
        self.ask(self.parting);
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// No event follows.
    pub(crate) fn end(&self, end: End) {
        {
            let mut state = self.state();
            if state.ended {
                return;
            }
            state.ended = true;
            state.end = Some(end);
            state.control = None;
        }
        self.events.end();
    }

    /// What the run has left, once.
    pub(crate) fn take_end(&self) -> Option<End> {
        self.state().end.take()
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
