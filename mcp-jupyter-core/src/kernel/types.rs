use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use futures_core::stream::BoxStream;
use indexmap::IndexMap;
use serde::{Deserialize, Serialize};

use crate::model::{CellId, Json, JsonMap, RunId};

use super::KernelError;
use super::message::Message;

/// How a kernel wants to be interrupted (kernelspec `interrupt_mode`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum InterruptMode {
    /// By SIGINT to its process group.
    #[default]
    Signal,
    /// By an `interrupt_request` on the control channel.
    Message,
}

/// An installed description of a kernel: the `kernel.json` of a kernelspec folder.
///
/// Source: jupyter_client's documentation, "Making kernels for Jupyter", Kernel specs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct KernelSpec {
    /// The folder's name, in lower case; what `metadata.kernelspec.name` of a notebook refers to.
    pub name: String,
    /// The folder that holds `kernel.json`, the `{resource_dir}` of the template; empty for a spec made by hand.
    pub resource_dir: PathBuf,
    /// The command, with `{connection_file}` and `{resource_dir}` still to be filled in.
    pub argv: Vec<String>,
    /// The name for people.
    pub display_name: String,
    /// The language of its cells, as `metadata.kernelspec.language` has it.
    pub language: String,
    /// Environment variables to add; `${NAME}` refers to our environment.
    pub env: IndexMap<String, String>,
    /// How to interrupt it.
    pub interrupt_mode: InterruptMode,
    /// Whatever else the spec says about the kernel.
    pub metadata: JsonMap,
}

impl KernelSpec {
    /// Whether it starts ipykernel, by its command.
    pub fn is_ipykernel(&self) -> bool {
        self.argv
            .iter()
            .any(|argument| argument == "ipykernel_launcher" || argument == "ipykernel")
    }
}

/// What to start, and how.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct LaunchRequest {
    /// The kernel to start.
    pub spec: KernelSpec,
    /// The kernel's working directory; ours where there is none.
    pub cwd: Option<PathBuf>,
    /// Environment variables to add to the spec's, and over them.
    pub env: BTreeMap<String, String>,
    /// Arguments to add to the spec's command.
    pub extra_arguments: Vec<String>,
    /// How long the kernel may take until it answers.
    pub startup_timeout: Duration,
}

impl LaunchRequest {
    /// Starts `spec` here, with a minute to answer.
    pub fn new(spec: KernelSpec) -> Self {
        Self {
            spec,
            cwd: None,
            env: BTreeMap::new(),
            extra_arguments: Vec::new(),
            startup_timeout: Duration::from_secs(60),
        }
    }
}

/// The five channels of a kernel (messaging spec, "Introduction").
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Channel {
    /// Requests for execution and information, with their replies.
    Shell,
    /// What the kernel publishes: outputs and states.
    Iopub,
    /// The kernel's requests for input.
    Stdin,
    /// Requests that overtake the shell's: interrupt, shutdown, debug.
    Control,
    /// Echoes bytes for as long as the kernel's process runs.
    Heartbeat,
}

impl Channel {
    /// The channel's name in the messaging spec.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Shell => "shell",
            Self::Iopub => "iopub",
            Self::Stdin => "stdin",
            Self::Control => "control",
            Self::Heartbeat => "heartbeat",
        }
    }
}

/// The state of a kernel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KernelState {
    /// Its process has been started and has not answered yet.
    Starting,
    /// It is handling a request.
    Busy,
    /// It waits for a request.
    Idle,
    /// Its process has ended.
    Dead(Death),
}

/// How a kernel process ended.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Death {
    /// Its exit code, where it exited.
    pub exit_code: Option<i32>,
    /// The signal's number, where one ended it.
    pub signal: Option<i32>,
    /// The last lines that the process wrote to its own standard error, trimmed.
    pub stderr: String,
}

impl Death {
    /// What the likely cause is, where the way it ended points to one.
    pub fn hint(&self) -> Option<&'static str> {
        match (self.signal, self.exit_code) {
            (Some(9), _) => Some("SIGKILL, as the system sends it when memory runs out"),
            (Some(11), _) => Some("SIGSEGV, a crash in native code"),
            (Some(6), _) => Some("SIGABRT, native code gave up"),
            (Some(15), _) => Some("SIGTERM, something asked it to end"),
            (_, Some(0)) => Some("it ended by itself, as os._exit() or quit() in a cell does"),
            _ => None,
        }
    }
}

impl fmt::Display for Death {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.signal, self.exit_code) {
            (Some(signal), _) => write!(f, "ended by signal {signal}")?,
            (None, Some(code)) => write!(f, "ended with exit code {code}")?,
            (None, None) => f.write_str("ended")?,
        }
        if let Some(hint) = self.hint() {
            write!(f, " ({hint})")?;
        }
        if !self.stderr.is_empty() {
            write!(f, "; its last words:\n{}", self.stderr)?;
        }
        Ok(())
    }
}

/// How to end a kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ShutdownMode {
    /// Ask first (`shutdown_request`), then end the process group by SIGTERM and SIGKILL, each step bounded by this.
    Graceful(Duration),
    /// End the process group at once.
    Immediate,
}

/// Which execution of a run a request is: the same one never happens twice on a kernel that outlives its clients.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct DispatchId {
    /// The run.
    pub run_id: RunId,
    /// The cell.
    pub cell: CellId,
    /// How often the run has dispatched the cell, from 1.
    pub attempt: u32,
}

/// One `execute_request` (messaging spec, "Execute").
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ExecuteRequest {
    /// The code, which may have many lines.
    pub code: String,
    /// Execute without broadcasting the input or counting.
    pub silent: bool,
    /// Put it into the kernel's history.
    pub store_history: bool,
    /// Expressions to evaluate after the code, by name.
    pub user_expressions: JsonMap,
    /// Whether the code may ask for input; if not, the kernel raises where it does.
    pub allow_stdin: bool,
    /// Whether an exception aborts the requests that are queued behind this one.
    pub stop_on_error: bool,
    /// Metadata of the message; a `cellId` there is passed on to the debugger by some kernels.
    pub metadata: JsonMap,
    /// Which execution this is, where that matters to whoever keeps the kernel; not sent to the kernel.
    pub dispatch: Option<DispatchId>,
}

impl ExecuteRequest {
    /// A cell's code, stored in the history, without input, stopping on error.
    pub fn new(code: impl Into<String>) -> Self {
        Self {
            code: code.into(),
            store_history: true,
            stop_on_error: true,
            ..Self::default()
        }
    }

    /// No code, only an expression: silent, not in the history and not counted. It aborts nothing where it raises.
    pub fn expression(expression: impl Into<String>) -> Self {
        Self {
            silent: true,
            user_expressions: JsonMap::from_iter([("expression".to_owned(), expression.into().into())]),
            ..Self::default()
        }
    }
}

/// One execution in progress: its `msg_id`, and everything that the kernel says about it.
pub struct Execution {
    /// The `msg_id` of the request.
    pub msg_id: String,
    /// The messages whose parent is the request, iopub in the kernel's order, and the reply. The stream ends when both
    /// the reply and the idle status have come; it yields an error, last, where the kernel dies first.
    pub messages: BoxStream<'static, Result<Message, KernelError>>,
    /// Where the request lies in what is recorded of a kernel that outlives its clients.
    pub position: Option<u64>,
}

/// An execution that an earlier client of the kernel has asked for.
#[derive(Debug)]
pub struct Unfinished {
    /// Which one it is.
    pub dispatch: DispatchId,
    /// The code that was sent.
    pub code: String,
    /// All that the kernel says, and has said, about it.
    pub execution: Execution,
}

impl fmt::Debug for Execution {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Execution")
            .field("msg_id", &self.msg_id)
            .finish_non_exhaustive()
    }
}

/// What clients have had a kernel process execute.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Executed {
    /// Which process of the kernel it is: how often it was restarted.
    pub epoch: u64,
    /// How many cells were sent to it.
    pub cells: u64,
    /// The cells that the latest requests were for, by `msg_id`, oldest first.
    pub requests: Vec<(String, CellId)>,
}

/// What a kernel says about itself (`kernel_info_reply`).
#[derive(Clone, Debug, Default, PartialEq)]
pub struct KernelInfo {
    /// The whole content of the reply.
    pub content: JsonMap,
}

impl KernelInfo {
    /// `language_info`, as notebook metadata holds it.
    pub fn language_info(&self) -> Option<&Json> {
        self.content.get("language_info")
    }

    /// Whether it is ipykernel, or another one around the same IPython shell, which calls itself so.
    pub fn is_ipython(&self) -> bool {
        let implementation = self.content.get("implementation").and_then(Json::as_str);
        implementation.as_deref() == Some("ipython")
    }

    /// Whether it executes in subshells beside what it is executing (messaging spec, "Kernel subshells").
    pub fn has_subshells(&self) -> bool {
        let features = self.content.get("supported_features").and_then(Json::as_array);
        let mut features = features.unwrap_or_default().iter().filter_map(Json::as_str);
        features.any(|feature| feature == "kernel subshells")
    }

    /// The version of the messaging protocol that the kernel speaks, such as `5.3`.
    pub fn protocol_version(&self) -> Option<String> {
        self.content
            .get("protocol_version")
            .and_then(Json::as_str)
            .map(std::borrow::Cow::into_owned)
    }
}
