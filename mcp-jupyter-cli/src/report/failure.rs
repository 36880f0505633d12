use mcp_jupyter_core::engine::{CellOutcome, CellRef, RunEvent, RunOutcome};

use super::style::{Style, time};
use super::terminal::{clean, first_line};

/// How much of an exception's message fits beside its name; the traceback has all of it.
const MESSAGE_WIDTH: usize = 160;

/// Describes what fails in the run of one notebook.
#[derive(Debug)]
pub(super) struct Failures {
    name: String,
    pub(super) sources: Vec<String>,
}

/// A cell for people: its index, as `--from` takes it, and its id.
pub(super) fn cell_name(cell: &CellRef) -> String {
    format!("cell #{} (id {})", cell.index, clean(cell.id.as_str(), false))
}

impl Failures {
    pub(super) fn new(name: &str) -> Self {
        Self {
            name: clean(name, false),
            sources: Vec::new(),
        }
    }

    /// The description of a failure, without a line end; none where the event is none.
    pub(super) fn describe(&self, event: &RunEvent, style: Style) -> Option<String> {
        match event {
            RunEvent::CellFinished {
                cell,
                outcome,
                accepted: false,
                execution_count,
                ..
            } => Some(self.cell(cell, outcome, *execution_count, style)),
            RunEvent::RunFinished {
                outcome: RunOutcome::Failed { message, .. },
                ..
            } => Some(self.error(&clean(message, false), style)),
            RunEvent::RunFinished {
                outcome: RunOutcome::TimedOut { cell: None },
                ..
            } => Some(self.error("the run took longer than allowed", style)),
            _ => None,
        }
    }

    fn error(&self, message: &str, style: Style) -> String {
        format!("{} {}: {message}", style.bad("error:"), self.name)
    }

    fn cell(&self, cell: &CellRef, outcome: &CellOutcome, count: i64, style: Style) -> String {
        let what = match outcome {
            CellOutcome::Ok => "succeeded, but the run cannot go on".to_owned(),
            CellOutcome::Error { ename, evalue, .. } => raised(ename, evalue),
            CellOutcome::Aborted => "was refused by the kernel".to_owned(),
            CellOutcome::Interrupted => "was interrupted".to_owned(),
            CellOutcome::TimedOut { limit } => format!("timed out: the limit of {} was reached", time(*limit)),
            CellOutcome::KernelDied { death } => {
                format!("did not end: the kernel {}", clean(&death.to_string(), false))
            }
            CellOutcome::Incomplete => "may lack outputs: the kernel did not say when it was done".to_owned(),
        };
        let mut text = self.error(&format!("{}, In[{count}], {what}", cell_name(cell)), style);
        if let CellOutcome::Error { traceback, .. } = outcome {
            let traceback = traceback.join("\n");
            if let Some(line) = self.line(cell, &traceback, count) {
                text.push_str(&line);
            }
            text.push('\n');
            text.push_str(clean(&traceback, style.colour).trim_end());
        }
        text
    }

    /// The line of the cell from which the exception came.
    fn line(&self, cell: &CellRef, traceback: &str, count: i64) -> Option<String> {
        let number = line_in_cell(&clean(traceback, false), count)?;
        let line = self.sources.get(cell.index)?.lines().nth(number.checked_sub(1)?)?;
        Some(format!("\n  line {number}: {}", first_line(line, MESSAGE_WIDTH)))
    }
}

pub(super) fn raised(ename: &str, evalue: &str) -> String {
    match (first_line(ename, MESSAGE_WIDTH), first_line(evalue, MESSAGE_WIDTH)) {
        // Kernels of languages without exceptions name none: bash_kernel gives the exit status as the message.
        (name, message) if name.is_empty() => format!("failed with: {message}"),
        (name, message) if message.is_empty() => format!("raised {name}"),
        (name, message) => format!("raised {name}: {message}"),
    }
}

/// The line of the first frame that is in the cell `In[count]`, as IPython 8 and later (`Cell In[3], line 2`) and
/// IPython 7 (`<ipython-input-3-0123abcd> in <module>`, with an arrow before the line) write it.
fn line_in_cell(traceback: &str, count: i64) -> Option<usize> {
    let number = |text: &str| {
        text.chars()
            .take_while(char::is_ascii_digit)
            .collect::<String>()
            .parse()
            .ok()
    };
    if let Some((_, after)) = traceback.split_once(&format!("In[{count}], line ")) {
        return number(after);
    }
    let (_, frame) = traceback.split_once(&format!("<ipython-input-{count}-"))?;
    let arrow = frame.lines().find_map(|line| line.trim_start().strip_prefix('-'))?;
    number(arrow.trim_start_matches(['-', '>', ' ']))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn finished(outcome: CellOutcome) -> RunEvent {
        let cell = CellRef {
            id: "abc".into(),
            index: 1,
        };
        RunEvent::CellFinished {
            cell,
            outcome,
            accepted: false,
            execution_count: 3,
            seconds: 0.1,
        }
    }

    fn described(outcome: CellOutcome) -> String {
        let mut failures = Failures::new("a.ipynb");
        failures.sources = vec!["# text".to_owned(), "x = 1\n1 / 0\n".to_owned()];
        failures.describe(&finished(outcome), Style { colour: false }).unwrap()
    }

    #[test]
    fn an_error_is_told_by_what_the_kernel_gives() {
        assert_eq!(raised("ValueError", "no"), "raised ValueError: no");
        assert_eq!(raised("KeyboardInterrupt", ""), "raised KeyboardInterrupt");
        assert_eq!(raised("", "2"), "failed with: 2");
    }

    #[test]
    fn a_cell_is_named_with_the_line_that_raised() {
        let traceback = [
            "\x1b[31m---\x1b[0m",
            "\x1b[36mCell\x1b[39m \x1b[32mIn[3], line \x1b[39m\x1b[32m2\x1b[39m",
            "ZeroDivisionError: no",
        ];
        let outcome = CellOutcome::Error {
            ename: "ZeroDivisionError".to_owned(),
            evalue: "no\nway".to_owned(),
            traceback: traceback.map(str::to_owned).to_vec(),
        };
        let expected = "error: a.ipynb: cell #1 (id abc), In[3], raised ZeroDivisionError: no\n  line 2: 1 / 0\n---\nCell In[3], line 2\nZeroDivisionError: no";
        assert_eq!(described(outcome), expected);
    }

    #[test]
    fn old_tracebacks_have_an_arrow() {
        let traceback = "<ipython-input-3-9e1622b385b6> in <module>\n      1 x = 1\n----> 2 1/0\n";
        assert_eq!(line_in_cell(traceback, 3), Some(2));
        assert_eq!(line_in_cell(traceback, 2), None);
        assert_eq!(line_in_cell("no frame", 3), None);
    }

    #[test]
    fn a_death_says_how_and_why() {
        let death = mcp_jupyter_core::kernel::Death {
            exit_code: None,
            signal: Some(9),
            stderr: "bye".to_owned(),
        };
        let text = described(CellOutcome::KernelDied { death });
        assert!(
            text.contains("the kernel ended by signal 9") && text.contains("memory") && text.ends_with("bye"),
            "{text}"
        );
    }

    #[test]
    fn what_is_accepted_is_no_failure() {
        let cell = CellRef {
            id: "abc".into(),
            index: 1,
        };
        let outcome = CellOutcome::Ok;
        let event = RunEvent::CellFinished {
            cell,
            outcome,
            accepted: true,
            execution_count: 3,
            seconds: 0.1,
        };
        assert_eq!(Failures::new("a").describe(&event, Style { colour: false }), None);
    }
}
