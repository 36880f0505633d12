//! What a run is about, whether it has a kernel of its own or a session's.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crate::redaction::Redactor;
use crate::scheduler::{Mode, PlanRequest, Priority, StartRequest};
use crate::session::notebook::{Notebook, SharedFile};

use super::input::InputSource;
use super::offload::Offload;
use super::request::{RunRequest, Save, SaveObject, SessionRun};
use super::saver::StoredIn;
use super::selection::{Part, Resumed};

/// A run before it starts.
#[derive(Debug)]
pub(super) struct Setup {
    /// What is asked of the scheduler.
    pub(super) start: StartRequest,
    /// What an earlier run has left, where this one goes on from there.
    pub(super) resumed: Option<Resumed>,
    /// Whether the plan depends on the analysis of the cells, so that its doubts matter to the user.
    pub(super) tells_doubts: bool,
    /// Whether what earlier runs have left in the cells of the plan goes at the start, so that it is gone whatever ends
    /// the run. In a session a cell may turn out to be fresh, and the scheduler knows what was executed.
    pub(super) clears_first: bool,
    /// The kernelspec's name.
    pub(super) kernel: String,
    pub(super) cell_timeout: Option<Duration>,
    pub(super) run_timeout: Option<Duration>,
    pub(super) patience: Duration,
    pub(super) record_timing: bool,
    pub(super) input: Option<Arc<dyn InputSource>>,
    pub(super) save: Option<Save>,
    pub(super) save_object: Option<SaveObject>,
    pub(super) write_back: Option<Arc<Mutex<SharedFile>>>,
    pub(super) stored_in: Option<StoredIn>,
    pub(super) offload: Option<Offload>,
    pub(super) redactor: Option<Redactor>,
}

impl Setup {
    /// A run on a kernel of its own.
    pub(super) fn alone(request: RunRequest, part: Part) -> (Notebook, Self) {
        let tells_doubts = !part.targets.is_empty();
        let setup = Self {
            start: StartRequest {
                run_id: None,
                plan: PlanRequest {
                    mode: Mode::Smart,
                    targets: part.targets,
                    excluded: part.excluded,
                    allow_expensive: true,
                },
                on_error: request.on_error,
                on_kernel_death: request.on_kernel_death,
                priority: Priority::Batch,
                deadline: None,
                verify: request.verify,
            },
            resumed: part.resumed,
            tells_doubts,
            clears_first: true,
            kernel: request.kernel.spec.name,
            cell_timeout: request.cell_timeout,
            run_timeout: request.run_timeout,
            patience: request.patience,
            record_timing: request.record_timing,
            input: request.input,
            save: request.save,
            save_object: request.save_object,
            write_back: None,
            stored_in: None,
            offload: request.offload,
            redactor: request.redactor,
        };
        (request.notebook, setup)
    }

    /// A run in a session.
    pub(super) fn in_session(run: SessionRun, kernel: String) -> Self {
        Self {
            start: StartRequest {
                run_id: None,
                plan: PlanRequest {
                    mode: run.mode,
                    targets: run.targets,
                    excluded: run.excluded,
                    allow_expensive: run.allow_expensive,
                },
                on_error: run.on_error,
                on_kernel_death: run.on_kernel_death,
                priority: Priority::Interactive,
                deadline: None,
                verify: run.verify,
            },
            resumed: None,
            tells_doubts: true,
            clears_first: false,
            kernel,
            cell_timeout: run.cell_timeout,
            run_timeout: run.run_timeout,
            patience: run.patience,
            record_timing: run.record_timing,
            input: run.input,
            save: run.save,
            save_object: None,
            write_back: run.write_back,
            stored_in: run.stored_in,
            offload: run.offload,
            redactor: run.redactor,
        }
    }

    /// Where the notebook is or will be, for those who look for what refers to an asset.
    pub(super) fn notebook_path(&self) -> String {
        if let Some(save) = &self.save_object {
            return save.object.to_string();
        }
        let shared = self.write_back.as_ref().map(|file| {
            let file = file.lock().unwrap_or_else(PoisonError::into_inner);
            file.path().to_owned()
        });
        let stored = self.stored_in.as_ref().map(|stored| stored.path.clone());
        let path = self.save.as_ref().map(|save| save.path.clone()).or(shared).or(stored);
        path.map_or_else(String::new, |path| {
            let path = std::path::absolute(&path).unwrap_or(path);
            path.to_string_lossy().into_owned()
        })
    }
}
