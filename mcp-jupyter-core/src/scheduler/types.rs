use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use futures_core::stream::BoxStream;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::model::{CellId, CellRef, RunId};

use super::SchedulerError;

/// What the scheduler needs to know of a notebook: its language and its code cells, in notebook order.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Document {
    /// The kernel's language as kernelspecs name it, such as `python`; in lower case.
    pub language: String,
    /// The code cells, in notebook order.
    pub cells: Vec<CodeCell>,
}

/// A code cell.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CodeCell {
    /// Its identity.
    pub id: CellId,
    /// Its place in the notebook, all cells counted, from 0.
    pub index: usize,
    /// Its whole source.
    pub source: Arc<str>,
    /// The tags in its metadata.
    pub tags: Vec<String>,
}

impl CodeCell {
    /// The cell's identity and place.
    pub fn cell_ref(&self) -> CellRef {
        CellRef {
            id: self.id.clone(),
            index: self.index,
        }
    }
}

/// Which cells a plan may take.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// Stale cells only, and what they need.
    #[default]
    Smart,
    /// From the first stale cell to the end, fresh ones included.
    Incremental,
    /// All cells. Meant for a kernel that has executed nothing.
    Full,
    /// Cells that were never executed; refused where an executed one has changed.
    Append,
}

/// A part of the notebook that a plan is narrowed to. Several targets add up.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Target {
    /// One cell with everything that it needs (its upstream).
    Cell(CellId),
    /// One cell, everything that depends on it, and what all that needs.
    Downstream(CellId),
    /// The cells from the first to the second in notebook order, both included, and what they need.
    Range(CellId, CellId),
    /// The cells with this tag, and what they need.
    Tag(String),
}

/// What to plan.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlanRequest {
    /// Which cells are taken.
    pub mode: Mode,
    /// Narrows the mode; the whole notebook where empty.
    pub targets: Vec<Target>,
    /// Cells that must not be executed, whatever depends on them; reported as [`SkipReason::NotTargeted`].
    pub excluded: BTreeSet<CellId>,
    /// Whether cells marked `@expensive` may be executed again only to restore a value for others.
    pub allow_expensive: bool,
}

/// Why a cell has to be executed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StaleReason {
    /// What kind of reason it is.
    pub kind: StaleKind,
    /// The cell that causes it, where there is one; it may have been removed from the notebook.
    pub via: Option<CellId>,
    /// The names that are concerned, sorted.
    pub names: Vec<String>,
}

/// The kinds of [`StaleReason`]; where several hold, the first of this list is given.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StaleKind {
    /// It was never executed.
    NeverRun,
    /// It was executed by a kernel that is gone.
    KernelRestarted,
    /// Its last execution failed, or was interrupted.
    Failed,
    /// It did not run because a cell that it depends on had failed or is skipped.
    Blocked,
    /// Its source has changed since it was executed.
    Edited,
    /// It stands elsewhere now, and so reads other values.
    Moved,
    /// It reads what a removed cell had written.
    RemovedUpstream,
    /// A cell that it reads from is executed, or was executed since.
    Upstream,
    /// A value that another cell needs is not there any more: it has to be made again.
    Restore,
    /// A cell that is executed overwrites what this one wrote last.
    Clobber,
    /// It is fresh; the mode takes it all the same.
    Mode,
}

impl StaleKind {
    /// The kind as it is written in JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::NeverRun => "never_run",
            Self::KernelRestarted => "kernel_restarted",
            Self::Failed => "failed",
            Self::Blocked => "blocked",
            Self::Edited => "edited",
            Self::Moved => "moved",
            Self::RemovedUpstream => "removed_upstream",
            Self::Upstream => "upstream",
            Self::Restore => "restore",
            Self::Clobber => "clobber",
            Self::Mode => "mode",
        }
    }
}

impl fmt::Display for StaleKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Why a cell is not executed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SkipReason {
    /// It has no code.
    Empty,
    /// It has the tag `skip-execution`.
    Tagged,
    /// It is not among the cells that the request asks for, nor needed by them.
    NotTargeted,
    /// It was executed, and nothing that it depends on has changed.
    Fresh,
    /// It is marked `@frozen` and its values are live.
    Frozen,
    /// It is marked `@skip`.
    Skipped,
    /// It depends on a cell that is skipped or has failed.
    Blocked,
}

impl SkipReason {
    /// The reason as it is written in JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Empty => "empty",
            Self::Tagged => "tagged",
            Self::NotTargeted => "not_targeted",
            Self::Fresh => "fresh",
            Self::Frozen => "frozen",
            Self::Skipped => "skipped",
            Self::Blocked => "blocked",
        }
    }
}

impl fmt::Display for SkipReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A cell that has to be executed, and why.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlannedCell {
    /// The cell.
    pub cell: CellRef,
    /// Why it has to be executed.
    pub reason: StaleReason,
    /// Names to delete from the kernel right before: cells that are gone, or stand below now, had bound them.
    pub delete_before: Vec<String>,
}

/// A cell that is not executed, and why.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SkippedCell {
    /// The cell.
    pub cell: CellRef,
    /// Why it is not executed.
    pub reason: SkipReason,
    /// The cell that blocks it, where one does.
    pub via: Option<CellId>,
}

/// What would be executed, and what not: every code cell is in one of the two lists.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Plan {
    /// The cells to execute, in notebook order, which is the order of execution.
    pub cells: Vec<PlannedCell>,
    /// Names to delete from the kernel after the last cell.
    pub delete_after: Vec<String>,
    /// The cells that are not executed, in notebook order.
    pub skipped: Vec<SkippedCell>,
    /// Cells marked `@expensive` that would be executed only to restore a value for others, without consent. A plan
    /// that has any is not started.
    pub needs_consent: Vec<CellRef>,
    /// What the user should know: names used above their definition, cells that could not be analysed.
    pub warnings: Vec<String>,
}

impl Plan {
    /// Whether nothing is to be done.
    pub fn is_empty(&self) -> bool {
        self.cells.is_empty() && self.delete_after.is_empty()
    }
}

/// What a cell does to the names of its kernel, as far as its source tells.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CellEffects {
    /// Names that it reads before it binds them, sorted.
    pub reads: Vec<String>,
    /// Names that it binds, mutates, deletes or clobbers, sorted.
    pub writes: Vec<String>,
    /// Why something about it cannot be known; none where all is certain.
    pub unknown: Option<String>,
}

/// A cell reads what another one above it wrote last.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Edge {
    /// The writer.
    pub from: CellRef,
    /// The reader.
    pub to: CellRef,
    /// The names, sorted.
    pub names: Vec<String>,
}

/// The dependencies between the cells of a session, and which cells are stale.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SessionStatus {
    /// The kernel's epoch.
    pub epoch: KernelEpoch,
    /// Every code cell with its effects, in notebook order.
    pub cells: Vec<(CellRef, CellEffects)>,
    /// All edges, by reader and then by writer.
    pub edges: Vec<Edge>,
    /// What a smart run would do.
    pub plan: Plan,
    /// The run that is active, and those that wait, in the order in which they will be.
    pub runs: Vec<RunId>,
}

/// Which kernel process a session is on: it rises with every new process, and what an earlier one had is lost.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct KernelEpoch(pub u64);

/// What a failed cell means for the others.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OnError {
    /// The run ends.
    #[default]
    Stop,
    /// The run goes on with all cells.
    Continue,
    /// The run goes on with the cells that do not depend on the failed one; those that do are blocked.
    ContinueIndependent,
}

/// What the death of the kernel means for a run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OnKernelDeath {
    /// The run ends.
    #[default]
    Stop,
    /// The kernel is restarted and what was lost and is needed is executed again, at most so many times a run.
    Restart(u32),
}

/// Which of the runs that wait comes first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Priority {
    /// After all interactive ones.
    #[default]
    Batch,
    /// Somebody waits for it.
    Interactive,
}

/// A run to start.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct StartRequest {
    /// The identity of the run, where the caller chooses it, so that it knows it whatever becomes of the call. It has to be
    /// a new one; the journal has it as the run's, not as part of the request.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run_id: Option<RunId>,
    /// What to execute.
    pub plan: PlanRequest,
    /// What a failed cell means for the others.
    pub on_error: OnError,
    /// What the death of the kernel means.
    pub on_kernel_death: OnKernelDeath,
    /// Its place among the runs that wait.
    pub priority: Priority,
    /// How long it may take, the time that it waits included; then it is cancelled.
    pub deadline: Option<Duration>,
    /// Whether executions carry observations of the namespace (see [`Observation`]).
    pub verify: bool,
}

/// A run that was accepted.
pub struct StartedRun {
    /// The run.
    pub run_id: RunId,
    /// The plan as it is now; it may change as the run goes on.
    pub plan: Plan,
    /// What to do next, one at a time: the next step comes after the present one has been reported; only
    /// [`Step::Interrupt`] and the steps that it leads to come before that. The stream ends after [`Step::Finished`], or
    /// after an error, which ends the run as well: the cells or the journal have changed so that it cannot go on.
    pub steps: BoxStream<'static, Result<Step, SchedulerError>>,
}

impl fmt::Debug for StartedRun {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StartedRun")
            .field("run_id", &self.run_id)
            .field("plan", &self.plan)
            .finish_non_exhaustive()
    }
}

/// A run that goes on after a crash.
#[derive(Debug)]
pub struct ResumedRun {
    /// The run under its identity, with what is left of its plan.
    pub run: StartedRun,
    /// What was asked for.
    pub request: StartRequest,
    /// The cell that was handed out and not reported; it has to be reported before anything else is dispatched.
    pub in_flight: Option<Dispatch>,
}

/// What the engine has to do for a run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "step", content = "value", rename_all = "snake_case")]
pub enum Step {
    /// Execute a cell, and report its outcome.
    Execute(Dispatch),
    /// Interrupt the cell that is being executed: the run was cancelled or its deadline has passed. Its outcome is
    /// still to be reported; where that was done while this was on its way, there is nothing to interrupt.
    Interrupt(RunId),
    /// Start a new kernel process, and tell of its epoch ([`Scheduler::kernel_epoch`](super::Scheduler::kernel_epoch)).
    RestartKernel(RunId),
    /// Delete these names from the kernel; nothing is reported. It counts as done when the next step is asked for.
    Delete(Vec<String>),
    /// A cell of the plan will not be executed after all.
    Skip(SkippedCell),
    /// Something that the user should know: what the analysis had not foreseen, or a run that does not settle.
    Warn(String),
    /// The run has ended.
    Finished(RunEnd),
}

/// One cell to execute.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Dispatch {
    /// The run.
    pub run_id: RunId,
    /// The cell.
    pub cell: CellRef,
    /// How often this run has dispatched this cell, from 1. (run, cell, attempt) is executed at most once.
    pub attempt: u32,
    /// Why it is executed.
    pub reason: StaleReason,
    /// The source to execute.
    pub source: Arc<str>,
    /// Names to delete from the kernel right before.
    pub delete_before: Vec<String>,
    /// Whether the run ends, or a part of it, where the cell raises.
    pub stop_on_error: bool,
    /// Whether to observe the namespace.
    pub verify: bool,
    /// How many more cells are planned.
    pub remaining: usize,
}

/// What came of a dispatch.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    /// The run.
    pub run_id: RunId,
    /// The cell.
    pub cell: CellId,
    /// The dispatch's attempt.
    pub attempt: u32,
    /// How the execution ended.
    pub outcome: Outcome,
    /// What was seen in the namespace, where it was looked at.
    pub observation: Option<Observation>,
    /// How long the execution took.
    pub duration: Duration,
}

/// How an execution ended, as far as the scheduler has to know.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "status", rename_all = "snake_case")]
pub enum Outcome {
    /// The code ran to its end.
    Ok,
    /// The code raised.
    Error {
        /// Class of the exception.
        ename: String,
        /// Its message.
        evalue: String,
    },
    /// It was never begun.
    Aborted,
    /// It was interrupted by request.
    Interrupted,
    /// It took longer than allowed.
    TimedOut,
    /// The kernel died in it.
    KernelDied,
    /// Nobody knows whether it ended.
    Lost,
}

/// What a kernel helper saw of the user's namespace around one execution.
///
/// Only names of the user count: no modules of IPython, no history, nothing that starts with an underscore and is
/// IPython's own.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Observation {
    /// Names that are bound to another object than before, new ones included.
    pub bound: Vec<String>,
    /// Names whose object is the same and whose sampled content differs.
    pub mutated: Vec<String>,
    /// Names that are gone.
    pub deleted: Vec<String>,
    /// Digests of whole values, only of exact immutable types: equal digests mean equal values.
    pub digests: BTreeMap<String, String>,
}

/// How a run ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "status", rename_all = "snake_case")]
pub enum RunEnd {
    /// All cells of the plan were executed; errors that were allowed are among that.
    Completed,
    /// A cell failed.
    Failed {
        /// The first that did.
        cell: CellRef,
    },
    /// The kernel died, and the policy did not allow to go on.
    KernelDied {
        /// The cell that was executed at that time.
        cell: CellRef,
    },
    /// It was cancelled.
    Cancelled,
    /// Its deadline has passed.
    DeadlineExceeded,
    /// The scheduler was gone in the middle of it.
    Lost,
}

/// What the journal knows of a run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunRecord {
    /// The run.
    pub run_id: RunId,
    /// What was asked for.
    pub request: StartRequest,
    /// The plan at its start.
    pub plan: Plan,
    /// Every dispatch so far: the cell, its attempt, and how it ended; none while it is being executed.
    pub executions: Vec<(CellRef, u32, Option<Outcome>)>,
    /// When its deadline passes.
    pub due: Option<Timestamp>,
    /// How it is to end once the cell that is being executed has: it was cancelled, or its deadline has passed.
    pub stopping: Option<RunEnd>,
    /// How it ended; none while it has not.
    pub end: Option<RunEnd>,
}

#[cfg(test)]
mod tests {
    use super::{RunEnd, Step};
    use crate::model::{CellRef, RunId};

    #[test]
    fn steps_survive_json() {
        let cell = CellRef {
            id: "a".into(),
            index: 0,
        };
        let steps = [
            Step::Interrupt(RunId::from("r")),
            Step::Delete(vec!["x".to_owned()]),
            Step::Finished(RunEnd::Failed { cell }),
        ];
        for step in steps {
            let json = serde_json::to_string(&step).unwrap();
            assert_eq!(serde_json::from_str::<Step>(&json).unwrap(), step, "{json}");
        }
    }
}
