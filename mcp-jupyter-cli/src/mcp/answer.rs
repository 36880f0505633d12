//! What a tool answers, and what it refuses.

use std::fmt;
use std::sync::Arc;

use mcp_jupyter_core::Error;
use mcp_jupyter_core::assets::AssetError;
use mcp_jupyter_core::kernel::KernelError;
use mcp_jupyter_core::scheduler::SchedulerError;
use mcp_jupyter_core::session::SessionError;
use rmcp::model::{CallToolResult, ContentBlock};
use serde_json::Value;

use super::run_log::{Question, RunLog};
use super::show::bounded;
use crate::error::{CliError, chain};

/// What a tool answers.
#[derive(Debug, Default)]
pub(super) struct Answer {
    /// Text and images, for whoever reads.
    pub(super) content: Vec<ContentBlock>,
    /// Ids, states, counts and cursors, for whoever computes.
    pub(super) structured: Option<Value>,
    /// Whether what was asked for has failed, though the tool has done its work.
    pub(super) is_failure: bool,
    /// What a cell asks for, where the client's user may be asked.
    pub(super) asking: Option<Asking>,
    /// The id of a proposal that the client's user may decide about at once.
    pub(super) proposal: Option<String>,
}

/// A run that waits for input.
#[derive(Debug)]
pub(super) struct Asking {
    pub(super) log: Arc<RunLog>,
    pub(super) question: Question,
    /// Since when the answer shows the run, and in how many blocks at its end.
    pub(super) since: u64,
    pub(super) shown: usize,
}

impl Answer {
    pub(super) fn text(text: impl Into<String>) -> Self {
        Self {
            content: vec![ContentBlock::text(text)],
            ..Self::default()
        }
    }

    #[must_use]
    pub(super) fn with_structured(mut self, structured: Value) -> Self {
        self.structured = Some(structured);
        self
    }
}

impl From<Answer> for CallToolResult {
    fn from(answer: Answer) -> Self {
        let mut result = CallToolResult::success(answer.content);
        result.structured_content = answer.structured;
        result.is_error = Some(answer.is_failure);
        result
    }
}

/// Why a tool does not do what it is asked for: what, and what to do about it.
#[derive(Debug)]
pub(super) struct Refusal {
    message: String,
    advice: Option<String>,
}

impl Refusal {
    pub(super) fn new(message: impl Into<String>) -> Self {
        Self {
            message: message.into(),
            advice: None,
        }
    }

    #[must_use]
    pub(super) fn with_advice(mut self, advice: impl Into<String>) -> Self {
        self.advice = Some(advice.into());
        self
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)?;
        match &self.advice {
            Some(advice) => write!(f, "\nTo do: {advice}"),
            None => Ok(()),
        }
    }
}

impl Refusal {
    /// The result of a call, with at most `limit` bytes of text: a client's own words may be part of it.
    pub(super) fn into_result(self, limit: usize) -> CallToolResult {
        let text = bounded(&self.to_string(), limit, "the message is too long to be shown whole");
        CallToolResult::error(vec![ContentBlock::text(text)])
    }
}

macro_rules! refused {
    ($($error:ty),*) => {
        $(impl From<$error> for Refusal {
            fn from(error: $error) -> Self {
                Self::new(chain(&error))
            }
        })*
    };
}

refused!(Error, SchedulerError, KernelError, AssetError);

impl From<SessionError> for Refusal {
    fn from(error: SessionError) -> Self {
        match &error {
            SessionError::Conflict {
                cell: Some(cell),
                present: Some(present),
                message,
            } => Self::new(format!("{message}\nPresent source of {cell}:\n{present}"))
                .with_advice("base the edit on that, with the digest that notebook_read shows"),
            _ => Self::new(chain(&error)),
        }
    }
}

impl From<CliError> for Refusal {
    fn from(error: CliError) -> Self {
        let refusal = Self::new(error.to_string());
        match error.hint() {
            Some(hint) => refusal.with_advice(hint),
            None => refusal,
        }
    }
}
