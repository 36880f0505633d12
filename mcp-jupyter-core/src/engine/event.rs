use serde::{Deserialize, Serialize};

use crate::error::ErrorKind;
use crate::kernel::Death;
use crate::model::{CellId, CellRef, InputId, Output, RunId};
use crate::scheduler::{SkipReason, StaleReason};

/// What happens in a run, as it happens.
///
/// `RunStarted` comes first, `RunFinished` last and once; every `CellStarted` is closed by one `CellFinished` of the
/// same cell; a cell is skipped at most once, at the start or as soon as it is known; outputs come in the kernel's order, between the two, unless a thread goes on printing after its cell has
/// ended. A reader that is too slow misses outputs, and that they were cleared or updated, never anything else, and is
/// told so by `Lagged`: the notebook has them.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
#[non_exhaustive]
pub enum RunEvent {
    /// The run has begun; the kernel has not been started yet.
    RunStarted {
        /// The run.
        run_id: RunId,
        /// The kernelspec's name.
        kernel: String,
        /// How many cells will be executed, as far as is known.
        cells: usize,
    },
    /// The kernel answers.
    KernelStarted {
        /// How long that took, in seconds.
        seconds: f64,
    },
    /// The kernel was dead, and a new one answers. Cells are executed again where what they made is needed.
    KernelRestarted {
        /// How long that took, in seconds.
        seconds: f64,
    },
    /// A cell that will not be executed in this run, and why.
    CellSkipped {
        /// The cell.
        cell: CellRef,
        /// Why it is not executed.
        reason: SkipReason,
        /// The cell that blocks it, where one does.
        via: Option<CellId>,
    },
    /// A cell's code has been sent to the kernel.
    CellStarted {
        /// The cell.
        cell: CellRef,
        /// How many executions of this run come before it.
        position: usize,
        /// Why it is executed.
        reason: StaleReason,
    },
    /// A cell has a new output; a stream output carries the new text only.
    Output {
        /// The cell.
        cell: CellRef,
        /// The output.
        output: Output,
    },
    /// The outputs of a cell were cleared by the code.
    OutputCleared {
        /// The cell.
        cell: CellRef,
    },
    /// An earlier output was replaced (`update_display_data`).
    OutputUpdated {
        /// The cell whose output it is.
        cell: CellRef,
        /// The output's place among the cell's outputs, from 0.
        output: usize,
    },
    /// The code asks for input; it is passed on to the request's input source.
    InputRequested {
        /// Which question.
        id: InputId,
        /// The cell.
        cell: CellRef,
        /// What the code shows to whoever is to answer.
        prompt: String,
        /// Whether the answer must not be shown.
        password: bool,
    },
    /// The kernel is made to stop what it executes; a further step follows where this one is ignored.
    Escalated {
        /// The cell.
        cell: CellRef,
        /// What is done.
        step: EscalationStep,
    },
    /// The execution of a cell has ended.
    CellFinished {
        /// The cell.
        cell: CellRef,
        /// How it ended.
        outcome: CellOutcome,
        /// Whether the run goes on as if it had succeeded: it did, or its error is allowed.
        accepted: bool,
        /// The `n` of `In[n]`.
        execution_count: i64,
        /// How long it took, in seconds.
        seconds: f64,
    },
    /// Something that the user should know and that stops nothing.
    Warning {
        /// What it is.
        message: String,
    },
    /// Events about outputs were not delivered because they were read too slowly; the notebook has it all.
    Lagged {
        /// How many `Output`, `OutputCleared` and `OutputUpdated` events were left out.
        missed: usize,
    },
    /// The run has ended and the notebook is saved; the kernel is gone, unless it is a session's.
    RunFinished {
        /// How it ended.
        outcome: RunOutcome,
        /// How long it took, in seconds.
        seconds: f64,
    },
}

/// A step to end an execution that will not end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EscalationStep {
    /// The kernel is interrupted.
    Interrupt,
    /// The kernel is killed.
    Kill,
}

/// How the execution of one cell ended.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "status", rename_all = "snake_case")]
pub enum CellOutcome {
    /// The code ran to its end.
    Ok,
    /// The code raised.
    Error {
        /// Class of the exception.
        ename: String,
        /// Its message.
        evalue: String,
        /// Its traceback, with ANSI colours as the kernel sent them.
        traceback: Vec<String>,
    },
    /// The kernel did not execute it.
    Aborted,
    /// It was interrupted by request.
    Interrupted,
    /// It took longer than allowed.
    TimedOut {
        /// The limit, in seconds.
        limit: f64,
    },
    /// The kernel died.
    KernelDied {
        /// How.
        death: Death,
    },
    /// The kernel did not say when it was done, so outputs may be missing.
    Incomplete,
}

impl CellOutcome {
    /// The outcome in a word, as it is written in JSON.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Error { .. } => "error",
            Self::Aborted => "aborted",
            Self::Interrupted => "interrupted",
            Self::TimedOut { .. } => "timed_out",
            Self::KernelDied { .. } => "kernel_died",
            Self::Incomplete => "incomplete",
        }
    }
}

/// How a run ended.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "status", rename_all = "snake_case")]
pub enum RunOutcome {
    /// All cells of the plan were executed.
    Ok,
    /// A cell ended in a way that ends the run.
    CellFailed {
        /// The cell.
        cell: CellRef,
    },
    /// A cell, or the run, took longer than allowed.
    TimedOut {
        /// The cell that was executed at that time.
        cell: Option<CellRef>,
    },
    /// The kernel died in a cell.
    KernelDied {
        /// The cell.
        cell: CellRef,
    },
    /// Someone asked the run to stop.
    Interrupted {
        /// Why.
        cause: StopCause,
    },
    /// The run failed by itself: the kernel could not be started, or the notebook not saved.
    Failed {
        /// The kind of failure.
        kind: ErrorKind,
        /// What happened.
        message: String,
    },
}

/// Why a run is asked to stop.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StopCause {
    /// A person asked, as by Ctrl-C.
    Interrupt,
    /// The system asked, as by SIGTERM.
    Terminate,
}
