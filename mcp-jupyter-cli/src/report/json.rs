use std::io::{self, Write};

use mcp_jupyter_core::engine::{RunEvent, RunOutcome};
use serde::Serialize;

use crate::error::CliError;

use super::{Reporter, Screen};

/// One event a line on stdout.
#[derive(Debug)]
pub(super) struct JsonLines {
    name: String,
    /// Whether each line says which notebook it is about.
    several: bool,
    screen: Screen,
    /// Warnings that came before the run, whose first event is to stay the first.
    early: Vec<String>,
    started: bool,
}

#[derive(Serialize)]
struct Line<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    notebook: Option<&'a str>,
    #[serde(flatten)]
    event: &'a RunEvent,
}

impl JsonLines {
    pub(super) fn new(name: &str, several: bool, screen: Screen) -> Self {
        Self {
            name: name.to_owned(),
            several,
            screen,
            early: Vec::new(),
            started: false,
        }
    }

    /// Whole lines, so that those of several notebooks do not mix. A reader that has gone away does not end the run.
    fn print(&self, event: &RunEvent) {
        let line = Line {
            notebook: self.several.then_some(&*self.name),
            event,
        };
        match serde_json::to_vec(&line) {
            Ok(mut line) => {
                line.push(b'\n');
                let mut stdout = io::stdout().lock();
                let _ = stdout.write_all(&line).and_then(|()| stdout.flush());
            }
            Err(error) => self
                .screen
                .warning(&format!("an event cannot be written as JSON: {error}")),
        }
    }
}

impl Reporter for JsonLines {
    fn begin(&mut self, _sources: Vec<String>) {}

    fn warning(&mut self, message: &str) {
        self.early.push(message.to_owned());
    }

    fn event(&mut self, event: &RunEvent) {
        self.print(event);
        if matches!(event, RunEvent::RunStarted { .. }) {
            self.started = true;
            for message in std::mem::take(&mut self.early) {
                self.print(&RunEvent::Warning { message });
            }
        }
    }

    /// Also where no run has started: readers wait for this event.
    fn failed(&mut self, error: &CliError) {
        if !self.started {
            let outcome = RunOutcome::Failed {
                kind: error.kind(),
                message: error.to_string(),
            };
            self.print(&RunEvent::RunFinished { outcome, seconds: 0.0 });
        }
        self.screen.error(&error.about(&self.name), error.hint());
    }
}
