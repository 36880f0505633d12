//! The way of events from a run to its subscriber.

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use futures_core::Stream;

use crate::model::Output;

use super::event::RunEvent;

/// Outputs that wait for the subscriber, in bytes; more are left out and counted.
const OUTPUT_LIMIT: usize = 8 << 20;

/// Events about outputs that wait for the subscriber; more are left out and counted.
const OUTPUT_COUNT_LIMIT: usize = 4096;

/// Carries events without ever waiting for the subscriber: what would exceed the bounds, events about outputs alone, is
/// left out. The other events are bounded by the number of cells.
#[derive(Clone, Debug, Default)]
pub(super) struct EventLog(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    events: VecDeque<(RunEvent, usize)>,
    output_bytes: usize,
    outputs: usize,
    missed: usize,
    closed: bool,
    abandoned: bool,
    waker: Option<Waker>,
}

impl EventLog {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether somebody may still read.
    pub(super) fn is_read(&self) -> bool {
        !self.state().abandoned
    }

    pub(super) fn push(&self, event: RunEvent) {
        self.state().push(event);
    }

    /// Ends the subscriber's stream when it is dropped, also where the run panics.
    pub(super) fn closer(&self) -> Closer {
        Closer(self.clone())
    }

    /// The one subscriber.
    pub(super) fn subscribe(&self) -> Events {
        Events(self.clone())
    }
}

impl State {
    fn push(&mut self, event: RunEvent) {
        if self.abandoned {
            return;
        }
        let size = match &event {
            RunEvent::Output { output, .. } => size(output),
            _ => 0,
        };
        let is_output = is_about_outputs(&event);
        let full = self.outputs >= OUTPUT_COUNT_LIMIT || self.outputs > 0 && self.output_bytes + size > OUTPUT_LIMIT;
        if is_output && full {
            self.missed += 1;
            return;
        }
        if self.missed > 0 {
            let missed = std::mem::take(&mut self.missed);
            self.events.push_back((RunEvent::Lagged { missed }, 0));
        }
        self.outputs += usize::from(is_output);
        self.output_bytes += size;
        self.events.push_back((event, size));
        self.wake();
    }

    fn pop(&mut self) -> Option<RunEvent> {
        let (event, size) = self.events.pop_front()?;
        self.output_bytes -= size;
        self.outputs -= usize::from(is_about_outputs(&event));
        Some(event)
    }

    fn wake(&mut self) {
        if let Some(waker) = self.waker.take() {
            waker.wake();
        }
    }
}

/// Of these events a cell may cause any number.
fn is_about_outputs(event: &RunEvent) -> bool {
    use RunEvent::{Output, OutputCleared, OutputUpdated};
    matches!(event, Output { .. } | OutputCleared { .. } | OutputUpdated { .. })
}

fn size(output: &Output) -> usize {
    match output {
        Output::Stream { text, .. } => text.size(),
        Output::DisplayData { data, .. } | Output::ExecuteResult { data, .. } => data
            .0
            .values()
            .filter_map(|value| value.as_text())
            .map(crate::model::Text::size)
            .sum(),
        Output::Error { traceback, .. } => traceback.iter().map(String::len).sum(),
    }
}

/// No event will come once it is gone.
pub(super) struct Closer(EventLog);

impl Drop for Closer {
    fn drop(&mut self) {
        let mut state = self.0.state();
        state.closed = true;
        state.wake();
    }
}

/// The subscriber's end.
#[derive(Debug)]
pub(super) struct Events(EventLog);

impl Stream for Events {
    type Item = RunEvent;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<RunEvent>> {
        let mut state = self.0.state();
        match state.pop() {
            Some(event) => Poll::Ready(Some(event)),
            None if state.closed => Poll::Ready(None),
            None => {
                state.waker = Some(context.waker().clone());
                Poll::Pending
            }
        }
    }
}

impl Drop for Events {
    fn drop(&mut self) {
        let mut state = self.0.state();
        state.abandoned = true;
        state.events.clear();
    }
}
