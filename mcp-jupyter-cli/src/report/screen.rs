use std::io::{self, IsTerminal, Write};
use std::time::Duration;

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressState, ProgressStyle};

use super::style::Style;
use super::terminal::clean;

/// How often a bar shows the time.
const TICK: Duration = Duration::from_millis(250);

/// Stderr, with progress bars at its bottom where it is a terminal. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Screen {
    bars: Option<MultiProgress>,
    style: Style,
}

impl Screen {
    pub(super) fn new(progress: bool) -> Self {
        let dumb = std::env::var_os("TERM").is_none_or(|term| term == "dumb");
        let bars = progress && io::stderr().is_terminal() && !dumb;
        Self {
            bars: bars.then(MultiProgress::new),
            style: Style::of_stderr(),
        }
    }

    pub(super) fn style(&self) -> Style {
        self.style
    }

    /// Prints a text, which ends with a line end, above the bars. A terminal that has gone away is no failure.
    pub(super) fn print(&self, text: &str) {
        let write = || {
            let mut stderr = io::stderr().lock();
            let _ = stderr.write_all(format!("{text}\n").as_bytes());
        };
        match &self.bars {
            Some(bars) => bars.suspend(write),
            None => write(),
        }
    }

    pub(super) fn error(&self, message: &str, hint: Option<&str>) {
        let message = clean(message, false);
        self.print(&format!("{} {message}", self.style.bad("error:")));
        if let Some(hint) = hint {
            self.print(&format!("{} {}", self.style.good("hint:"), clean(hint, false)));
        }
    }

    pub(super) fn warning(&self, message: &str) {
        self.print(&format!(
            "{} {}",
            self.style.doubtful("warning:"),
            clean(message, false)
        ));
    }

    /// A bar for a run of so many cells; none where bars cannot be shown.
    pub(super) fn bar(&self, name: &str, cells: usize) -> Option<ProgressBar> {
        let template = "{prefix} [{bar:24}] {pos}/{len} {elapsed}{left} {wide_msg}";
        let style = ProgressStyle::with_template(template)
            .expect("the template is valid")
            .progress_chars("=> ");
        let style = style.with_key("left", |state: &ProgressState, out: &mut dyn std::fmt::Write| {
            if state.pos() > 0 && Some(state.pos()) < state.len() {
                let _ = write!(out, ", {}s left", state.eta().as_secs());
            }
        });
        let bar = self
            .bars
            .as_ref()?
            .add(ProgressBar::new(cells as u64))
            .with_style(style);
        bar.set_prefix(clean(name, false));
        bar.enable_steady_tick(TICK);
        Some(bar)
    }

    /// Shows a question in place of the bars, until the guard is dropped.
    pub(crate) fn ask(&self, question: &str) -> Question<'_> {
        if let Some(bars) = &self.bars {
            let _ = bars.clear();
            bars.set_draw_target(ProgressDrawTarget::hidden());
        }
        let mut stderr = io::stderr().lock();
        let _ = stderr
            .write_all(clean(question, self.style.colour).as_bytes())
            .and_then(|()| stderr.flush());
        Question(self)
    }
}

/// A question on the screen.
#[derive(Debug)]
pub(crate) struct Question<'a>(&'a Screen);

impl Drop for Question<'_> {
    fn drop(&mut self) {
        if let Some(bars) = &self.0.bars {
            bars.set_draw_target(ProgressDrawTarget::stderr());
        }
    }
}
