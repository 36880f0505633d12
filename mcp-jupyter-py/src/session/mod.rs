//! A notebook whose kernel lives on, from Python.

mod binding;
mod executing;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use mcp_jupyter_core::Error;
use mcp_jupyter_core::engine::KeptSessions;
use mcp_jupyter_core::kernel::kept::{KeeperProgram, KeptKernel};
use mcp_jupyter_core::kernel::local::LocalProvisioner;
use mcp_jupyter_core::kernel::{Kernel, KernelError, ShutdownMode};
use mcp_jupyter_core::model::{CellId, SessionId};
use mcp_jupyter_core::session::edit::{EditBatch, Undo};
use mcp_jupyter_core::session::notebook::Durability;
use mcp_jupyter_core::session::{Edited, HistoryQuery, LocalSessions, RestoreFrom, SessionRecord};
use pyo3::prelude::*;
use pyo3::types::PyBytes;
use serde_json::json;

use self::binding::{Bind, Binding};
use self::executing::SessionRunOptions;
use crate::error::to_python;
use crate::job::PyJob;
use crate::live::{LaunchOptions, PyKernel};
use crate::objects::to_objects;
use crate::planner::{PlanOptions, PyPreview};
use crate::run::{PyRun, invalid};
use crate::runtime::Owned;

/// How long a kernel may take to end by itself.
const PATIENCE: Duration = Duration::from_secs(5);

/// The session of a notebook.
#[pyclass(name = "SessionHandle", module = "mcp_jupyter._native", frozen)]
#[derive(Debug)]
pub(crate) struct PySession(Owned<Arc<Kept>>);

/// A session in its store.
#[derive(Debug)]
struct Kept {
    sessions: KeptSessions,
    id: SessionId,
    /// What to start where there is no kernel.
    launch: LaunchOptions,
    idle_timeout: Option<Duration>,
}

impl Kept {
    async fn record(&self) -> Result<SessionRecord, Error> {
        Ok(self.sessions.store().get(&self.id).await?)
    }

    /// The kernel that there is. It executes until the session is used by somebody else, or for its next run.
    async fn kernel(&self) -> Result<KeptKernel, Error> {
        let record = self.record().await?;
        let kernels = self.sessions.kernels();
        let bound = record.kernel.as_ref().map(|binding| &binding.kernel_id);
        match bound.filter(|id| kernels.find(id).is_some()) {
            Some(id) => Ok(kernels.attach(id, Some(record.token)).await?),
            None => {
                let path = record.path.display();
                let reason = format!("{path} has no kernel; start() starts one, as does everything that executes");
                Err(invalid(reason).into())
            }
        }
    }
}

/// Opens the session of a notebook, whose kernels `program` keeps.
#[pyfunction]
#[pyo3(signature = (notebook, launch, program, folder=None, idle_timeout=None))]
pub(crate) fn open_session(
    py: Python<'_>,
    notebook: PathBuf,
    launch: LaunchOptions,
    program: PathBuf,
    folder: Option<PathBuf>,
    idle_timeout: Option<f64>,
) -> PyResult<PyJob> {
    let work = async move {
        let folder = folder.map_or_else(LocalSessions::default_dir, Ok)?;
        let keeper = KeeperProgram {
            program,
            arguments: vec!["keep".into()],
        };
        let sessions = KeptSessions::open(&folder, LocalProvisioner::new(), keeper).await?;
        let id = sessions.store().open(&notebook).await?.id;
        Ok::<_, Error>(Kept {
            sessions,
            id,
            launch,
            idle_timeout: idle_timeout.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok()),
        })
    };
    PyJob::start(py, work, |py, kept| {
        Ok(Bound::new(py, PySession(Owned::new(Arc::new(kept))))?.into_any())
    })
}

impl PySession {
    fn kept(&self) -> PyResult<Arc<Kept>> {
        self.0.get().map(Arc::clone)
    }
}

#[pymethods]
impl PySession {
    /// Its identity.
    #[getter]
    fn id(&self) -> PyResult<String> {
        Ok(self.0.get()?.id.to_string())
    }

    /// What is known of it: where the notebook is, and its kernel.
    fn describe(&self, py: Python<'_>) -> PyResult<PyJob> {
        let kept = self.kept()?;
        let work = async move {
            let record = kept.record().await?;
            let kernel = record
                .kernel
                .as_ref()
                .and_then(|kernel| kept.sessions.kernels().find(&kernel.kernel_id));
            Ok::<_, Error>(json!({
                "id": record.id,
                "notebook": record.path,
                "created": record.created,
                "used": record.used,
                "kernel": kernel,
            }))
        };
        PyJob::start(py, work, |py, described| to_objects(py, &described))
    }

    /// The notebook with all results, as bytes, and its revision.
    fn snapshot(&self, py: Python<'_>) -> PyResult<PyJob> {
        let kept = self.kept()?;
        let work = async move { kept.sessions.store().snapshot(&kept.id).await };
        PyJob::start(py, work, |py, snapshot| {
            let document = PyBytes::new(py, &snapshot.notebook.to_bytes());
            Ok((document, snapshot.revision.to_string()).into_pyobject(py)?.into_any())
        })
    }

    /// Applies edits, all or none.
    fn edit(&self, py: Python<'_>, batch: &str) -> PyResult<PyJob> {
        let batch: EditBatch = serde_json::from_str(batch)
            .map_err(|error| to_python(py, invalid(format!("the edits cannot be understood: {error}"))))?;
        let kept = self.kept()?;
        let work = async move { kept.sessions.store().apply(&kept.id, &batch).await };
        PyJob::start(py, work, |py, edited| describe(py, &edited))
    }

    /// Takes edits back.
    fn undo(&self, py: Python<'_>, undo: &str) -> PyResult<PyJob> {
        let undo: Undo = serde_json::from_str(undo)
            .map_err(|error| to_python(py, invalid(format!("this takes no edits back: {error}"))))?;
        let kept = self.kept()?;
        let work = async move { kept.sessions.store().undo(&kept.id, &undo).await };
        PyJob::start(py, work, |py, edited| describe(py, &edited))
    }

    /// What was executed, the latest first.
    #[pyo3(signature = (cell=None, limit=None))]
    fn history(&self, py: Python<'_>, cell: Option<String>, limit: Option<usize>) -> PyResult<PyJob> {
        let kept = self.kept()?;
        let query = HistoryQuery {
            cell: cell.map(CellId::from),
            limit,
        };
        let work = async move { kept.sessions.store().history(&kept.id, query).await };
        PyJob::start(py, work, |py, versions| to_objects(py, &versions))
    }

    /// The snapshots, the latest first.
    fn snapshots(&self, py: Python<'_>) -> PyResult<PyJob> {
        let kept = self.kept()?;
        let work = async move { kept.sessions.store().snapshots(&kept.id).await };
        PyJob::start(py, work, |py, snapshots| to_objects(py, &snapshots))
    }

    /// Takes a snapshot under a name.
    fn keep(&self, py: Python<'_>, name: String) -> PyResult<PyJob> {
        let kept = self.kept()?;
        let work = async move { kept.sessions.store().keep(&kept.id, &name).await };
        PyJob::start(py, work, |py, snapshot| to_objects(py, &snapshot))
    }

    /// Brings back a snapshot, or a cell of it, or what an execution was.
    #[pyo3(signature = (snapshot=None, version=None, cell=None))]
    fn restore(
        &self,
        py: Python<'_>,
        snapshot: Option<u64>,
        version: Option<u64>,
        cell: Option<String>,
    ) -> PyResult<PyJob> {
        let kept = self.kept()?;
        let from = match (snapshot, version) {
            (Some(seq), None) => RestoreFrom::Snapshot {
                seq,
                cell: cell.map(CellId::from),
            },
            (None, Some(seq)) => RestoreFrom::Version { seq },
            _ => {
                let reason = "name either a snapshot or a version, by its number".to_owned();
                return Err(to_python(py, invalid(reason)));
            }
        };
        let work = async move { kept.sessions.store().restore(&kept.id, from).await };
        PyJob::start(py, work, |py, restored| to_objects(py, &restored.before))
    }

    /// Starts a kernel where there is none that lives; gives what the user should know.
    fn start(&self, py: Python<'_>) -> PyResult<PyJob> {
        let kept = self.kept()?;
        let work = async move {
            let bound = Binding::new(&kept, None).await?.bind().await?;
            let Bind::Living { opened, warnings } = bound else {
                return Ok(Vec::new());
            };
            opened.session.detach().await;
            Ok::<_, Error>(warnings)
        };
        PyJob::start(py, work, |py, warnings| to_objects(py, &warnings))
    }

    /// Executes what `options` say.
    fn run(&self, py: Python<'_>, options: SessionRunOptions) -> PyResult<PyRun> {
        executing::start(py, self.kept()?, options).map(PyRun::from)
    }

    /// What a run would execute.
    fn plan(&self, py: Python<'_>, options: PlanOptions) -> PyResult<PyJob> {
        let kept = self.kept()?;
        let work = async move { executing::plan(&kept, &options).await };
        PyJob::start(py, work, |py, preview| {
            Ok(Bound::new(py, PyPreview::from(preview))?.into_any())
        })
    }

    /// The kernel, to be talked to.
    fn kernel(&self, py: Python<'_>) -> PyResult<PyJob> {
        let kept = self.kept()?;
        PyJob::start(py, async move { kept.kernel().await }, |py, kernel| {
            Ok(Bound::new(py, PyKernel::new(Arc::new(kernel), true))?.into_any())
        })
    }

    /// Interrupts what the kernel is executing.
    fn interrupt(&self, py: Python<'_>) -> PyResult<PyJob> {
        let kept = self.kept()?;
        PyJob::start_plain(
            py,
            async move { Ok::<_, Error>(kept.kernel().await?.interrupt().await?) },
        )
    }

    /// Starts a new process for the kernel.
    fn restart(&self, py: Python<'_>) -> PyResult<PyJob> {
        let kept = self.kept()?;
        PyJob::start_plain(py, async move { Ok::<_, Error>(kept.kernel().await?.restart().await?) })
    }

    /// Ends the kernel; what it has said is saved first.
    fn stop(&self, py: Python<'_>, forgets: bool) -> PyResult<PyJob> {
        let kept = self.kept()?;
        PyJob::start_plain(py, async move { stop(&kept, forgets).await })
    }
}

async fn stop(kept: &Kept, forgets: bool) -> Result<(), Error> {
    if let Some(kernel) = kept.sessions.observe(&kept.record().await?).await? {
        // A run in progress ends with it, in whatever process that is.
        match kernel.shutdown(ShutdownMode::Graceful(PATIENCE)).await {
            Ok(()) | Err(KernelError::Died(_)) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Binding::new(kept, None).await?.take_up().await?;
    kept.sessions.store().save(&kept.id, Durability::Process).await?;
    kept.sessions.remove_kernel(&kept.record().await?).await?;
    if forgets {
        kept.sessions.forget(&kept.id).await?;
    }
    Ok(())
}

fn describe<'py>(py: Python<'py>, edited: &Edited) -> PyResult<Bound<'py, PyAny>> {
    let applied = &edited.applied;
    let conflicts: Vec<String> = edited
        .conflicts
        .iter()
        .map(|conflict| format!("{conflict:?}"))
        .collect();
    to_objects(
        py,
        &json!({
            "revision": edited.revision,
            "inserted": applied.inserted,
            "deleted": applied.deleted,
            "changed": applied.changed,
            "moved": applied.moved,
            "conflicts": conflicts,
            "undo": serde_json::to_string(&applied.undo).unwrap_or_default(),
        }),
    )
}
