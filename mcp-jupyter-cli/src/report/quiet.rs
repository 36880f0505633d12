use mcp_jupyter_core::engine::RunEvent;

use crate::error::CliError;

use super::failure::Failures;
use super::{Reporter, Screen};

/// Failures only.
#[derive(Debug)]
pub(super) struct Quiet {
    name: String,
    failures: Failures,
    screen: Screen,
}

impl Quiet {
    pub(super) fn new(name: &str, screen: Screen) -> Self {
        Self {
            name: name.to_owned(),
            failures: Failures::new(name),
            screen,
        }
    }
}

impl Reporter for Quiet {
    fn begin(&mut self, sources: Vec<String>) {
        self.failures.sources = sources;
    }

    fn warning(&mut self, _message: &str) {}

    fn event(&mut self, event: &RunEvent) {
        if let Some(failure) = self.failures.describe(event, self.screen.style()) {
            self.screen.print(&failure);
        }
    }

    fn failed(&mut self, error: &CliError) {
        self.screen.error(&error.about(&self.name), error.hint());
    }
}
