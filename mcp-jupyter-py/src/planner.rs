//! What depends on what in a notebook, and what would be executed, from Python.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use mcp_jupyter_core::Error;
use mcp_jupyter_core::engine::drawing::{Drawing, dot, html, mermaid, svg};
use mcp_jupyter_core::engine::preview::{PlanDocument, Preview};
use mcp_jupyter_core::engine::{planner, resolve_target};
use mcp_jupyter_core::scheduler::{Document, KernelEpoch, Mode, Outcome, PlanRequest, Planner};
use mcp_jupyter_core::session::notebook::Notebook;
use pyo3::prelude::*;
use serde_json::json;

use crate::error::to_python;
use crate::job::PyJob;
use crate::object_file::{address, read_object};
use crate::objects::to_objects;
use crate::run::invalid;

/// A notebook: a file, or its JSON.
#[derive(Debug, FromPyObject)]
#[pyo3(from_item_all)]
pub(crate) struct Source {
    path: Option<PathBuf>,
    document: Option<Vec<u8>>,
}

impl Source {
    /// Its sources, without its outputs. It may block.
    fn read(&self) -> Result<Notebook, Error> {
        Ok(match (&self.path, &self.document) {
            (Some(path), _) => match address(path) {
                Some(address) => Notebook::parse_sources(&read_object(address)?)?,
                None => Notebook::open_sources(path)?,
            },
            (None, document) => Notebook::parse_sources(document.as_deref().unwrap_or_default())?,
        })
    }

    fn name(&self) -> String {
        let path = self.path.as_ref().map(|path| path.display().to_string());
        path.unwrap_or_else(|| "notebook".to_owned())
    }
}

/// Which plan is asked for.
#[derive(Debug, FromPyObject)]
#[pyo3(from_item_all)]
pub(crate) struct PlanOptions {
    mode: String,
    targets: Vec<String>,
    allow_expensive: bool,
}

impl PlanOptions {
    /// The request, in terms of the notebook.
    pub(crate) fn request(&self, notebook: &Notebook) -> Result<PlanRequest, Error> {
        let targets = self.targets.iter().map(|target| resolve_target(notebook, target));
        Ok(PlanRequest {
            mode: mode(&self.mode)?,
            targets: targets.collect::<Result<_, _>>()?,
            allow_expensive: self.allow_expensive,
            ..PlanRequest::default()
        })
    }
}

/// The mode of this name.
pub(crate) fn mode(name: &str) -> Result<Mode, Error> {
    match name {
        "smart" => Ok(Mode::Smart),
        "incremental" => Ok(Mode::Incremental),
        "full" => Ok(Mode::Full),
        "append" => Ok(Mode::Append),
        _ => Err(invalid(format!(
            "mode={name:?}: expected \"smart\", \"incremental\", \"full\" or \"append\""
        ))
        .into()),
    }
}

/// What one kernel has executed of one notebook, and what it would have to execute.
#[pyclass(name = "Planner", module = "mcp_jupyter._native", frozen)]
#[derive(Debug, Default)]
pub(crate) struct PyPlanner(Arc<Mutex<Planner>>);

#[pymethods]
impl PyPlanner {
    #[new]
    fn new() -> Self {
        Self::default()
    }

    /// Takes the notebook's cells as they are now, and plans; gives a `Preview`. `since` is what counts as executed, instead
    /// of what was.
    #[pyo3(signature = (notebook, options, since=None))]
    fn preview(
        &self,
        py: Python<'_>,
        notebook: Source,
        options: PlanOptions,
        since: Option<Source>,
    ) -> PyResult<PyJob> {
        let planner = Arc::clone(&self.0);
        let work = move || plan(&planner, &notebook, &options, since.as_ref());
        PyJob::start_blocking(py, work, |py, preview| {
            Ok(Bound::new(py, PyPreview::from(preview))?.into_any())
        })
    }

    /// Notes that cells were executed, in this order, and how that ended. Those that the notebook lacks are left out; gives
    /// their ids.
    fn executed(&self, py: Python<'_>, cells: Vec<String>, status: &str) -> PyResult<Vec<String>> {
        let outcome = outcome(status).map_err(|error| to_python(py, error))?;
        let mut planner = lock(&self.0);
        let mut unknown = Vec::new();
        for id in cells {
            let is_known = planner.document().cells.iter().any(|cell| cell.id.as_str() == id);
            if is_known {
                planner.executed(&id.as_str().into(), &outcome, None);
            } else {
                unknown.push(id);
            }
        }
        Ok(unknown)
    }

    /// Notes that the kernel was restarted.
    fn restarted(&self) {
        let mut planner = lock(&self.0);
        let epoch = planner.epoch();
        planner.kernel_epoch(KernelEpoch(epoch.0 + 1));
    }
}

fn lock(planner: &Mutex<Planner>) -> MutexGuard<'_, Planner> {
    planner.lock().unwrap_or_else(PoisonError::into_inner)
}

fn plan(
    shared: &Mutex<Planner>,
    source: &Source,
    options: &PlanOptions,
    since: Option<&Source>,
) -> Result<Preview, Error> {
    let notebook = source.read()?;
    let request = options.request(&notebook)?;
    if let Some(since) = since {
        let fresh = planner(&notebook, Some(&since.read()?));
        return Ok(Preview::of_planner(source.name(), notebook, &fresh, &request)?);
    }
    let mut planner = lock(shared);
    planner.sync(Document::from_notebook(&notebook));
    Ok(Preview::of_planner(source.name(), notebook, &planner, &request)?)
}

fn outcome(status: &str) -> Result<Outcome, Error> {
    match status {
        "ok" => Ok(Outcome::Ok),
        "error" => Ok(Outcome::Error {
            ename: String::new(),
            evalue: String::new(),
        }),
        "aborted" => Ok(Outcome::Aborted),
        "interrupted" => Ok(Outcome::Interrupted),
        "timed_out" => Ok(Outcome::TimedOut),
        "kernel_died" => Ok(Outcome::KernelDied),
        _ => Err(invalid(format!(
            "status={status:?}: expected \"ok\", \"error\", \"aborted\", \"interrupted\", \"timed_out\" or \"kernel_died\""
        ))
        .into()),
    }
}

/// A notebook with its plan.
#[pyclass(name = "Preview", module = "mcp_jupyter._native", frozen)]
#[derive(Debug)]
pub(crate) struct PyPreview(Preview);

impl From<Preview> for PyPreview {
    fn from(preview: Preview) -> Self {
        Self(preview)
    }
}

#[pymethods]
impl PyPreview {
    /// What the notebook is called.
    #[getter]
    fn name(&self) -> &str {
        &self.0.name
    }

    /// The plan as `mcp-jupyter plan --format json` prints it.
    fn document<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        to_objects(py, &PlanDocument::new(&self.0))
    }

    /// Why each cell is executed or not, by its index, and its source.
    fn explanations<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        let preview = &self.0;
        let run = preview.plan.cells.iter();
        let run = run.map(|planned| (&planned.cell, preview.explain(&planned.reason)));
        let skip = preview.plan.skipped.iter();
        let skip = skip.map(|skipped| (&skipped.cell, preview.explain_skip(skipped)));
        let all = run.chain(skip).map(|(cell, why)| {
            let source = preview.source(cell);
            json!({ "index": cell.index, "id": cell.id, "why": why, "source": source })
        });
        to_objects(py, &all.collect::<Vec<_>>())
    }

    /// What the user should know, a line each.
    fn remarks(&self) -> Vec<String> {
        self.0.remarks()
    }

    /// The graph, as `svg`, `html`, `dot` or `mermaid`.
    fn draw(&self, py: Python<'_>, format: &str) -> PyResult<String> {
        let drawing = Drawing::new(&self.0);
        Ok(match format {
            "svg" => svg(&drawing),
            "html" => html(&drawing),
            "dot" => dot(&drawing),
            "mermaid" => mermaid(&drawing),
            _ => {
                let reason = format!("format={format:?}: expected \"svg\", \"html\", \"dot\" or \"mermaid\"");
                return Err(to_python(py, invalid(reason)));
            }
        })
    }
}
