use indicatif::ProgressBar;
use mcp_jupyter_core::engine::{CellOutcome, CellRef, EscalationStep, RunEvent, RunOutcome, SkipReason};
use mcp_jupyter_core::model::CellId;

use crate::error::CliError;
use crate::job::Destination;

use super::failure::{Failures, cell_name, raised};
use super::log::Lines;
use super::style::time;
use super::terminal::{clean, first_line};
use super::{Reporter, Screen};

/// How much of a cell's first line is shown beside the bar.
const SOURCE_WIDTH: usize = 60;

/// Progress and failures for people: a bar on a terminal, and lines, few unless outputs are wanted.
#[derive(Debug)]
pub(super) struct Human {
    name: String,
    destination: Destination,
    screen: Screen,
    failures: Failures,
    bar: Option<ProgressBar>,
    /// What begins each line of output, so that those of several notebooks can be told apart.
    prefix: String,
    log: Option<Lines>,
    planned: usize,
    executed: usize,
}

fn count(cells: usize) -> String {
    if cells == 1 {
        "1 cell".to_owned()
    } else {
        format!("{cells} cells")
    }
}

impl Human {
    pub(super) fn new(name: &str, destination: Destination, screen: Screen, several: bool, log_output: bool) -> Self {
        let clean_name = clean(name, false);
        Self {
            prefix: if several {
                screen.style().faint(&format!("{clean_name} | "))
            } else {
                String::new()
            },
            name: clean_name,
            destination,
            screen,
            failures: Failures::new(name),
            bar: None,
            log: log_output.then(Lines::default),
            planned: 0,
            executed: 0,
        }
    }

    fn print(&self, text: &str) {
        let lines: Vec<String> = text.lines().map(|line| format!("{}{line}", self.prefix)).collect();
        self.screen.print(&lines.join("\n"));
    }

    fn run_started(&mut self, kernel: &str, cells: usize) {
        self.planned = cells;
        self.bar = self.screen.bar(&self.name, cells);
        match &self.bar {
            Some(bar) => bar.set_message("starting the kernel"),
            None if cells == 0 => {}
            None => self.screen.print(&format!(
                "running {}: {} on {}",
                self.name,
                count(cells),
                clean(kernel, false)
            )),
        }
    }

    fn cell_started(&mut self, cell: &CellRef, position: usize) {
        if let Some(bar) = &self.bar {
            let source = self.failures.sources.get(cell.index).map_or("", String::as_str);
            bar.set_message(first_line(source, SOURCE_WIDTH));
        }
        if self.log.is_some() {
            let line = format!("[{}/{}] {}", position + 1, self.planned, cell_name(cell));
            self.print(&self.screen.style().faint(&line));
        }
    }

    fn cell_finished(&mut self, cell: &CellRef, outcome: &CellOutcome, accepted: bool) {
        self.executed += 1;
        let colour = self.screen.style().colour;
        if let Some(rest) = self.log.as_mut().and_then(|lines| lines.flush(colour)) {
            self.print(&rest);
        }
        if let Some(bar) = &self.bar {
            bar.inc(1);
        }
        if let (
            true,
            CellOutcome::Error {
                ename,
                evalue,
                traceback,
            },
        ) = (accepted, outcome)
        {
            self.print(&format!(
                "{} {}, which is allowed",
                cell_name(cell),
                raised(ename, evalue)
            ));
            if self.log.is_some() {
                self.print(clean(&traceback.join("\n"), colour).trim_end());
            }
        }
    }

    fn cell_skipped(&self, cell: &CellRef, reason: SkipReason, via: Option<&CellId>) {
        if let (SkipReason::Blocked, Some(via)) = (reason, via) {
            let via = clean(via.as_str(), false);
            let line = format!("{} is not executed: it depends on {via}", cell_name(cell));
            self.print(&self.screen.style().faint(&line));
        }
    }

    fn escalated(&self, cell: &CellRef, step: EscalationStep) {
        let step = match step {
            EscalationStep::Interrupt => "is interrupted",
            EscalationStep::Kill => "does not end, so its kernel is killed",
        };
        self.screen.print(&format!("{}: {} {step}", self.name, cell_name(cell)));
    }

    fn run_finished(&mut self, outcome: &RunOutcome, seconds: f64) {
        if let Some(bar) = self.bar.take() {
            bar.finish_and_clear();
        }
        let verdict = self.verdict(outcome);
        if self.planned == 0 && *outcome == RunOutcome::Ok {
            return self
                .screen
                .print(&format!("{verdict} {}: nothing to execute", self.name));
        }
        let cells = if self.executed == self.planned {
            count(self.planned)
        } else {
            format!("{} of {}", self.executed, count(self.planned))
        };
        let saved = self.saved(outcome);
        self.screen
            .print(&format!("{verdict} {}: {cells} in {}{saved}", self.name, time(seconds)));
    }

    fn verdict(&self, outcome: &RunOutcome) -> String {
        let style = self.screen.style();
        match outcome {
            RunOutcome::Ok => style.good("ok:"),
            RunOutcome::Interrupted { .. } => style.bad("stopped:"),
            RunOutcome::TimedOut { .. } => style.bad("timed out:"),
            RunOutcome::CellFailed { .. } | RunOutcome::KernelDied { .. } | RunOutcome::Failed { .. } => {
                style.bad("failed:")
            }
        }
    }

    /// Where the result is; a run that failed by itself may have left none.
    fn saved(&self, outcome: &RunOutcome) -> String {
        let Destination::File(path) = &self.destination else {
            return String::new();
        };
        let path = clean(&path.display().to_string(), false);
        match outcome {
            RunOutcome::Ok => format!(", saved to {path}"),
            RunOutcome::Failed { .. } => String::new(),
            _ => format!(", see {path}"),
        }
    }
}

impl Reporter for Human {
    fn begin(&mut self, sources: Vec<String>) {
        self.failures.sources = sources;
    }

    fn warning(&mut self, message: &str) {
        self.screen.warning(&format!("{}: {message}", self.name));
    }

    fn event(&mut self, event: &RunEvent) {
        if let Some(failure) = self.failures.describe(event, self.screen.style()) {
            self.screen.print(&failure);
        }
        match event {
            RunEvent::RunStarted { kernel, cells, .. } => self.run_started(kernel, *cells),
            RunEvent::CellStarted { cell, position, .. } => self.cell_started(cell, *position),
            RunEvent::CellSkipped { cell, reason, via } => self.cell_skipped(cell, *reason, via.as_ref()),
            RunEvent::KernelRestarted { .. } => self.print("the kernel was dead and has been restarted"),
            RunEvent::Output { output, .. } => {
                let colour = self.screen.style().colour;
                if let Some(lines) = self.log.as_mut().and_then(|log| log.push(output, colour)) {
                    self.print(&lines);
                }
            }
            RunEvent::Escalated { cell, step } => self.escalated(cell, *step),
            RunEvent::CellFinished {
                cell,
                outcome,
                accepted,
                ..
            } => self.cell_finished(cell, outcome, *accepted),
            RunEvent::Warning { message } => self.warning(message),
            RunEvent::Lagged { missed } if self.log.is_some() => {
                self.print(&format!("… {missed} outputs are not shown; the notebook has them"));
            }
            RunEvent::RunFinished { outcome, seconds } => self.run_finished(outcome, *seconds),
            _ => {}
        }
    }

    fn failed(&mut self, error: &CliError) {
        if let Some(bar) = self.bar.take() {
            bar.finish_and_clear();
        }
        self.screen.error(&error.about(&self.name), error.hint());
    }
}
