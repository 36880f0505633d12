use std::fmt::Debug;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

use crate::kernel::LaunchRequest;
use crate::session::notebook::Notebook;

use super::plan::Selection;

const IN_MEMORY_HISTORY: &str = "--HistoryManager.hist_file=:memory:";

/// A notebook to run, and how.
#[derive(Clone, Debug)]
pub struct RunRequest {
    /// The notebook.
    pub notebook: Notebook,
    /// The kernel to start for it.
    pub kernel: LaunchRequest,
    /// Which of its cells to execute.
    pub selection: Selection,
    /// How long one cell may take.
    pub cell_timeout: Option<Duration>,
    /// How long the whole run may take, the kernel's start included.
    pub run_timeout: Option<Duration>,
    /// What a cell that raises means for those after it.
    pub on_error: OnError,
    /// Where and when to save; nowhere if none.
    pub save: Option<Save>,
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
    pub fn new(notebook: Notebook, mut kernel: LaunchRequest) -> Self {
        if kernel.spec.is_ipykernel() {
            kernel.extra_arguments.push(IN_MEMORY_HISTORY.to_owned());
        }
        Self {
            notebook,
            kernel,
            selection: Selection::default(),
            cell_timeout: None,
            run_timeout: None,
            on_error: OnError::Stop,
            save: None,
            record_timing: true,
            input: None,
            patience: Duration::from_secs(10),
        }
    }
}

/// What a cell that raises means for the cells after it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnError {
    /// The run ends, unless the cell has the tag `raises-exception`.
    #[default]
    Stop,
    /// The run goes on.
    Continue,
}

/// Where and when the notebook is saved.
#[derive(Clone, Debug)]
pub struct Save {
    /// The file, created or replaced atomically.
    pub path: PathBuf,
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

/// Who answers when a cell asks for input.
#[async_trait]
pub trait InputSource: Debug + Send + Sync + 'static {
    /// The answer, without a line end; none where there is nobody to ask any more, which interrupts the cell.
    ///
    /// The future is dropped when the cell ends without having been answered.
    async fn ask(&self, prompt: &str, password: bool) -> Option<String>;
}
