//! Arguments that several tools take.

use std::time::Duration;

use mcp_jupyter_core::engine::{OnError, resolve_target};
use mcp_jupyter_core::scheduler::{Mode, Target};
use mcp_jupyter_core::session::notebook::{Cell, Notebook};
use schemars::JsonSchema;
use serde::Deserialize;
use tokio::time::Instant;

use crate::mcp::answer::Refusal;

/// How long a tool waits where it is not told.
const USUAL_WAIT: f64 = 20.0;

/// How long it waits at most.
const LONGEST_WAIT: f64 = 3600.0;

/// A notebook.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct NotebookArguments {
    pub(super) path: String,
}

/// When a tool that may wait answers, given how many seconds it may take.
pub(in crate::mcp) fn until(seconds: Option<f64>) -> Result<Instant, Refusal> {
    let seconds = seconds.unwrap_or(USUAL_WAIT);
    if !(0.0..=LONGEST_WAIT).contains(&seconds) {
        return Err(Refusal::new(format!(
            "wait_seconds is {seconds}; it has to be from 0 to {LONGEST_WAIT}"
        )));
    }
    Ok(Instant::now() + Duration::from_secs_f64(seconds))
}

/// A limit in seconds.
pub(super) fn limit(seconds: Option<f64>) -> Result<Option<Duration>, Refusal> {
    let limit = seconds.map(Duration::try_from_secs_f64).transpose();
    let limit = limit.map_err(|_| Refusal::new("cell_timeout has to be a number of seconds above 0"))?;
    Ok(limit.filter(|limit| !limit.is_zero()))
}

#[derive(Clone, Copy, Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum ModeArgument {
    #[default]
    Smart,
    Incremental,
    Full,
    Append,
}

impl From<ModeArgument> for Mode {
    fn from(mode: ModeArgument) -> Self {
        match mode {
            ModeArgument::Smart => Self::Smart,
            ModeArgument::Incremental => Self::Incremental,
            ModeArgument::Full => Self::Full,
            ModeArgument::Append => Self::Append,
        }
    }
}

#[derive(Clone, Copy, Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum OnErrorArgument {
    #[default]
    Stop,
    Continue,
    Independent,
}

impl From<OnErrorArgument> for OnError {
    fn from(on_error: OnErrorArgument) -> Self {
        match on_error {
            OnErrorArgument::Stop => Self::Stop,
            OnErrorArgument::Continue => Self::Continue,
            OnErrorArgument::Independent => Self::ContinueIndependent,
        }
    }
}

/// What a run is to be narrowed to.
pub(super) fn targets(notebook: &Notebook, cells: &[String]) -> Result<Vec<Target>, Refusal> {
    let targets = cells.iter().map(|text| {
        refuse_index(notebook, text.split("..").next().unwrap_or_default())?;
        Ok(resolve_target(notebook, text)?)
    });
    targets.collect()
}

/// The cell that is to be changed or executed: by its id or a unique start of that, never by its place, which others may
/// have changed.
pub(super) fn cell<'a>(notebook: &'a Notebook, name: &str) -> Result<(usize, &'a Cell), Refusal> {
    refuse_index(notebook, name)?;
    let position = notebook.find(name)?;
    Ok((position, &notebook.cells()[position]))
}

fn refuse_index(notebook: &Notebook, name: &str) -> Result<(), Refusal> {
    let digits = name.trim_start_matches('#');
    let is_index = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    let starts_an_id = || notebook.cells().iter().any(|cell| cell.id().as_str().starts_with(name));
    if !is_index || starts_an_id() {
        return Ok(());
    }
    let there = digits.parse().ok().and_then(|index: usize| notebook.cells().get(index));
    let now = there.map_or_else(
        || "there is no such cell now".to_owned(),
        |cell| format!("the cell there now is {}", cell.id()),
    );
    Err(Refusal::new(format!(
        "{name} is a place, which others may change while you work; {now}"
    ))
    .with_advice("name the cell by its id"))
}
