use std::collections::BTreeSet;
use std::fmt::Debug;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use crate::assets::ObjectFile;
use crate::kernel::{Kernel, KernelSpec, LaunchRequest};
use crate::model::{CellId, SessionId};
use crate::redaction::Redactor;
use crate::scheduler::{KernelEpoch, Mode, OnError, OnKernelDeath, Target};
use crate::session::notebook::{Notebook, SharedFile};

use super::input::InputSource;
use super::offload::Offload;
use super::saver::StoredIn;
use super::selection::Selection;

const IN_MEMORY_HISTORY: &str = "--HistoryManager.hist_file=:memory:";

const PATIENCE: Duration = Duration::from_secs(10);

/// A notebook to run, and how.
#[derive(Clone, Debug)]
pub struct RunRequest {
    /// The notebook.
    pub notebook: Notebook,
    /// The kernel to start for it.
    pub kernel: LaunchRequest,
    /// Which of its cells to execute.
    pub selection: Selection,
    /// The part of them that is wanted, with what it needs; all where there are none.
    pub targets: Vec<Target>,
    /// How long one cell may take.
    pub cell_timeout: Option<Duration>,
    /// How long the whole run may take, the kernel's start included.
    pub run_timeout: Option<Duration>,
    /// What a cell that raises means for the others, unless it has the tag `raises-exception`.
    pub on_error: OnError,
    /// What the death of the kernel means.
    pub on_kernel_death: OnKernelDeath,
    /// Whether to look, in a Python kernel, for what a cell does to names and the analysis does not see.
    pub verify: bool,
    /// Where and when to save; nowhere if none.
    pub save: Option<Save>,
    /// Where and when to save, in place of `save`, where that is no file of this machine.
    pub save_object: Option<SaveObject>,
    /// Where outputs go that are too large for the notebook; they stay in it if none.
    pub offload: Option<Offload>,
    /// Masks secrets in all that cells output, before it is told, saved or stored; nothing is masked if none.
    pub redactor: Option<Redactor>,
    /// Whether to record when each cell began and ended, in `metadata.execution`.
    pub record_timing: bool,
    /// Who answers `input()`; if nobody, a cell that asks fails.
    pub input: Option<Arc<dyn InputSource>>,
    /// How long a kernel may ignore an interrupt before it is killed.
    pub patience: Duration,
}

impl RunRequest {
    /// Runs all code cells on a new kernel, records timings, stops at the first error, and saves nothing.
    ///
    /// An ipykernel keeps its history in memory, as nbclient has it: in the user's history file, kernels that run at the
    /// same time would wait for each other.
    pub fn new(notebook: Notebook, kernel: LaunchRequest) -> Self {
        Self {
            notebook,
            kernel: with_history_in_memory(kernel),
            selection: Selection::default(),
            targets: Vec::new(),
            cell_timeout: None,
            run_timeout: None,
            on_error: OnError::Stop,
            on_kernel_death: OnKernelDeath::Stop,
            verify: false,
            save: None,
            save_object: None,
            offload: None,
            redactor: None,
            record_timing: true,
            input: None,
            patience: PATIENCE,
        }
    }
}

/// A kernel to keep for runs of one notebook.
#[derive(Clone, Debug)]
pub struct SessionRequest {
    /// The kernel to start.
    pub kernel: LaunchRequest,
    /// The session's identity, under which the scheduler keeps its runs also after the session is closed. With none, it
    /// has a new one and nothing is kept.
    pub id: Option<SessionId>,
}

impl SessionRequest {
    /// A session of its own on this kernel. An ipykernel keeps its history in memory.
    pub fn new(kernel: LaunchRequest) -> Self {
        Self {
            kernel: with_history_in_memory(kernel),
            id: None,
        }
    }
}

/// A kernel that runs already, for runs of one notebook.
#[derive(Clone, Debug)]
pub struct Attachment {
    /// The kernel.
    pub kernel: Arc<dyn Kernel>,
    /// Its kernelspec.
    pub spec: KernelSpec,
    /// The session that it belongs to.
    pub id: SessionId,
    /// The session's epoch when the kernel was started for it; its restarts count from there.
    pub epoch: KernelEpoch,
    /// Whether it was started just now: what was in flight on an earlier one has died with that.
    pub is_new: bool,
}

pub(super) fn with_history_in_memory(mut kernel: LaunchRequest) -> LaunchRequest {
    if kernel.spec.is_ipykernel() {
        kernel.extra_arguments.push(IN_MEMORY_HISTORY.to_owned());
    }
    kernel
}

/// How to run a notebook on a session's kernel.
#[derive(Clone, Debug)]
pub struct SessionRun {
    /// Which of the cells to execute.
    pub mode: Mode,
    /// The part that is wanted, with what it needs; all where there are none.
    pub targets: Vec<Target>,
    /// Cells that must not be executed, whatever depends on them.
    pub excluded: BTreeSet<CellId>,
    /// Whether cells marked `@expensive` may be executed again only to restore a value for others.
    pub allow_expensive: bool,
    /// How long one cell may take.
    pub cell_timeout: Option<Duration>,
    /// How long the whole run may take, the time that it waits for earlier ones included.
    pub run_timeout: Option<Duration>,
    /// What a cell that raises means for the others, unless it has the tag `raises-exception`.
    pub on_error: OnError,
    /// What the death of the kernel means. A kernel that is dead when a run begins is always restarted.
    pub on_kernel_death: OnKernelDeath,
    /// Whether to look, in a Python kernel, for what a cell does to names and the analysis does not see.
    pub verify: bool,
    /// Where and when to save; nowhere if none.
    pub save: Option<Save>,
    /// A file of this notebook that others write too. Results are merged into it as cells end, as far as that can be done
    /// at the time: where the file is no notebook just then, the next time.
    pub write_back: Option<Arc<Mutex<SharedFile>>>,
    /// A store of sessions that results are recorded in, and that merges them into the notebook's file.
    pub stored_in: Option<StoredIn>,
    /// Where outputs go that are too large for the notebook; they stay in it if none.
    pub offload: Option<Offload>,
    /// Masks secrets in all that cells output, before it is told, saved or stored; nothing is masked if none.
    pub redactor: Option<Redactor>,
    /// Whether to record when each cell began and ended, in `metadata.execution`.
    pub record_timing: bool,
    /// Who answers `input()`; if nobody, a cell that asks fails.
    pub input: Option<Arc<dyn InputSource>>,
    /// How long the kernel may ignore an interrupt before it is killed.
    pub patience: Duration,
}

impl Default for SessionRun {
    /// Executes what is stale, and verifies; stops at the first error, and saves nothing.
    fn default() -> Self {
        Self {
            mode: Mode::Smart,
            targets: Vec::new(),
            excluded: BTreeSet::new(),
            allow_expensive: false,
            cell_timeout: None,
            run_timeout: None,
            on_error: OnError::Stop,
            on_kernel_death: OnKernelDeath::Stop,
            verify: true,
            save: None,
            write_back: None,
            stored_in: None,
            offload: None,
            redactor: None,
            record_timing: true,
            input: None,
            patience: PATIENCE,
        }
    }
}

/// Where and when the notebook is saved.
#[derive(Clone, Debug)]
pub struct Save {
    /// The file, created or replaced atomically.
    pub path: PathBuf,
    /// When, besides the end of the run however it ends.
    pub policy: SavePolicy,
}

/// Where and when the notebook is saved, in a cloud's object store.
#[derive(Clone, Debug)]
pub struct SaveObject {
    /// The object, created or replaced as a whole.
    pub object: ObjectFile,
    /// When, besides the end of the run however it ends.
    pub policy: SavePolicy,
}

/// When a notebook is saved while it runs.
///
/// Saving takes at most a twentieth of the run's time: where it would take more, it waits, so that the cost of a run
/// stays proportional to its length.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SavePolicy {
    /// After every cell, and every 30 s within one.
    #[default]
    EveryCell,
    /// After this time, within a cell as well.
    Interval(Duration),
    /// At the end only.
    OnExit,
}
