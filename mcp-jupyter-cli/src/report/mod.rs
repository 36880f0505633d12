//! What the user sees. This is the only place that prints: data on stdout, everything else on stderr.
//!
//! Each notebook has a [`Reporter`], which is given the events of its run.

mod diff;
mod failure;
mod human;
mod json;
mod log;
mod plan;
mod quiet;
mod screen;
mod streams;
mod style;
mod table;
pub(crate) mod terminal;

use std::fmt::Debug;
use std::io::{self, Write};

use mcp_jupyter_core::engine::RunEvent;
use mcp_jupyter_core::engine::preview::Preview;
use mcp_jupyter_core::model::CellRef;
use serde::Serialize;

use crate::error::CliError;
use crate::exit::Exit;
use crate::job::Destination;
use crate::signals::Stop;

pub(crate) use self::diff::DiffText;
use self::human::Human;
use self::json::JsonLines;
use self::quiet::Quiet;
pub(crate) use self::screen::Screen;
pub(crate) use self::streams::StreamFiles;
use self::style::Style;

/// Shows what happens to one notebook.
pub(crate) trait Reporter: Debug + Send {
    /// The notebook has been read; these are the sources of its cells, in order.
    fn begin(&mut self, sources: Vec<String>);

    /// Something to know before the run that does not prevent it.
    fn warning(&mut self, message: &str);

    /// What happens in the run.
    fn event(&mut self, event: &RunEvent);

    /// The notebook could not be run, or its result not be handed on.
    fn failed(&mut self, error: &CliError);
}

/// How much to show.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Mode {
    /// Progress and failures, and what cells print where `log_output` says so.
    Human { log_output: bool, progress: bool },
    /// Failures.
    #[default]
    Quiet,
    /// Events as JSON on stdout.
    Json,
}

/// Makes the reporters of all notebooks of one command, and shows what concerns them all.
#[derive(Debug)]
pub(crate) struct Report {
    mode: Mode,
    screen: Screen,
    several: bool,
    streams: StreamFiles,
}

impl Report {
    /// For one notebook, or `several`.
    pub(crate) fn new(mode: Mode, several: bool) -> Self {
        let progress = matches!(mode, Mode::Human { progress: true, .. });
        Self {
            mode,
            screen: Screen::new(progress),
            several,
            streams: StreamFiles::default(),
        }
    }

    /// Copies what cells print into files as well.
    pub(crate) fn with_streams(mut self, streams: StreamFiles) -> Self {
        self.streams = streams;
        self
    }

    /// The terminal, for whoever asks the user something.
    pub(crate) fn screen(&self) -> &Screen {
        &self.screen
    }

    /// The reporter of the notebook `name`.
    pub(crate) fn reporter(&self, name: &str, destination: &Destination) -> Box<dyn Reporter> {
        let screen = self.screen.clone();
        let reporter: Box<dyn Reporter> = match self.mode {
            Mode::Human { log_output, .. } => {
                Box::new(Human::new(name, destination.clone(), screen, self.several, log_output))
            }
            Mode::Quiet => Box::new(Quiet::new(name, screen)),
            Mode::Json => Box::new(JsonLines::new(name, self.several, screen)),
        };
        self.streams.wrap(reporter)
    }

    /// All runs have been asked to stop.
    pub(crate) fn stopping(&self, stop: Stop) {
        let Mode::Human { .. } = self.mode else { return };
        self.screen.print(match stop {
            Stop::Gracefully(_) => {
                "stopping: the running cell is interrupted and the notebook saved; once more ends at once"
            }
            Stop::AtOnce(_) => "ending at once",
        });
    }

    /// Something to know that concerns no single run.
    pub(crate) fn warning(&self, message: &str) {
        self.screen.warning(message);
    }

    /// What people may like to know.
    pub(crate) fn remark(&self, text: &str) {
        if matches!(self.mode, Mode::Human { .. }) {
            self.screen.print(&terminal::clean(text, false));
        }
    }

    /// Why a cell is executed.
    pub(crate) fn executing(&self, cell: &CellRef, why: &str) {
        if matches!(self.mode, Mode::Human { .. }) {
            let text = terminal::clean(&format!("{}: {why}", failure::cell_name(cell)), false);
            self.screen.print(&self.screen.style().faint(&text));
        }
    }

    /// All notebooks are done.
    pub(crate) fn finish(&self, exits: &[Exit]) {
        if self.several && matches!(self.mode, Mode::Human { .. }) {
            let ok = exits.iter().filter(|exit| **exit == Exit::Ok).count();
            self.screen.print(&format!(
                "{} notebooks: {ok} ok, {} failed",
                exits.len(),
                exits.len() - ok
            ));
        }
    }
}

/// Shows what clap says: help and versions on stdout, mistakes on stderr.
pub(crate) fn show_usage(error: &clap::Error) -> Exit {
    let _ = error.print();
    if error.use_stderr() { Exit::Usage } else { Exit::Ok }
}

/// Shows why a command fails.
pub(crate) fn show_failure(message: &str, hint: Option<&str>, exit: Exit) -> Exit {
    Screen::new(false).error(message, hint);
    exit
}

/// Shows a remark on stderr.
pub(crate) fn show_note(message: &str) {
    Screen::new(false).print(message);
}

/// Shows lines of which the first may be coloured by what they say.
pub(crate) fn show_checks(checks: &[(Option<bool>, String)]) {
    let style = Style::of_stdout();
    let lines = checks.iter().map(|(good, text)| match good {
        Some(true) => format!("{} {text}\n", style.good("ok  ")),
        Some(false) => format!("{} {text}\n", style.bad("bad ")),
        None => format!("     {text}\n"),
    });
    show_data(lines.collect::<String>().as_bytes());
}

/// Prints a table on stdout.
pub(crate) fn show_table(header: &[&str], rows: &[Vec<String>]) {
    show_data(table::table(header, rows).as_bytes());
}

/// Prints a plan as a table on stdout.
pub(crate) fn show_plan(preview: &Preview) {
    let width = terminal_size::terminal_size_of(io::stdout()).map(|(width, _)| usize::from(width.0));
    show_data(plan::plan_table(preview, Style::of_stdout(), width).as_bytes());
}

/// What differs, as plain text.
pub(crate) fn plain_diff(texts: &[DiffText]) -> String {
    diff::diff_text(texts, Style::default())
}

/// Prints what has changed in a notebook on stdout.
pub(crate) fn show_diff(texts: &[DiffText]) {
    show_data(diff::diff_text(texts, Style::of_stdout()).as_bytes());
}

/// Prints JSON on stdout, in one line: for programs, and fast.
pub(crate) fn show_json_line(value: &impl Serialize) {
    let mut text = serde_json::to_vec(value).unwrap_or_default();
    text.push(b'\n');
    show_data(&text);
}

/// Prints JSON on stdout.
pub(crate) fn show_json(value: &impl Serialize) {
    let mut text = serde_json::to_vec_pretty(value).unwrap_or_default();
    text.push(b'\n');
    show_data(&text);
}

/// Writes data to stdout; tells whether there is still somebody who reads it.
pub(crate) fn stream_data(data: &[u8]) -> io::Result<bool> {
    let mut stdout = io::stdout().lock();
    match stdout.write_all(data).and_then(|()| stdout.flush()) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(false),
        written => written.map(|()| true),
    }
}

/// Lets go of stdout and stderr: whoever reads them may wait for their end.
pub(crate) fn close() {
    if let Ok(nowhere) = std::fs::OpenOptions::new().write(true).open("/dev/null") {
        let _ = nix::unistd::dup2_stdout(&nowhere);
        let _ = nix::unistd::dup2_stderr(&nowhere);
    }
}

/// Writes data to stdout; a reader that has gone away is no failure.
pub(crate) fn show_data(data: &[u8]) {
    let mut stdout = io::stdout().lock();
    let _ = stdout.write_all(data).and_then(|()| stdout.flush());
}
