use std::sync::Arc;

use mcp_jupyter_core::Error;
use mcp_jupyter_core::engine::preview::Preview;
use mcp_jupyter_core::engine::{FinishedRun, Offload, SessionRun, planner, resolve_target};
use mcp_jupyter_core::session::notebook::{Durability, Notebook};
use pyo3::prelude::*;

use super::Kept;
use super::binding::{Bind, Binding};
use crate::assets::PyAssets;
use crate::planner::{PlanOptions, mode};
use crate::run::{Queue, Stop, follow, on_error, register, seconds, work};
use crate::runtime;

/// What to execute, and how.
#[derive(Debug, FromPyObject)]
#[pyo3(from_item_all)]
pub(crate) struct SessionRunOptions {
    mode: String,
    targets: Vec<String>,
    allow_expensive: bool,
    /// Times are in seconds.
    timeout: Option<f64>,
    run_timeout: Option<f64>,
    on_error: String,
    assets: Option<Py<PyAssets>>,
}

/// The same, ready for another thread.
struct Wish {
    options: SessionRunOptions,
    offload: Option<Offload>,
}

impl Wish {
    fn request(&self, notebook: &Notebook) -> Result<SessionRun, Error> {
        let options = &self.options;
        let limit = |name, limit: Option<f64>| limit.map(|limit| seconds(name, limit)).transpose();
        let targets = options.targets.iter().map(|target| resolve_target(notebook, target));
        Ok(SessionRun {
            mode: mode(&options.mode)?,
            targets: targets.collect::<Result<_, _>>()?,
            allow_expensive: options.allow_expensive,
            cell_timeout: limit("timeout", options.timeout)?,
            run_timeout: limit("run_timeout", options.run_timeout)?,
            on_error: on_error(&options.on_error)?,
            offload: self.offload.clone(),
            ..SessionRun::default()
        })
    }
}

/// Begins a run on the session's kernel. Where nobody waits for it any more, the cell that is being executed is
/// interrupted; the kernel lives on.
pub(super) fn start(py: Python<'_>, kept: Arc<Kept>, options: SessionRunOptions) -> PyResult<Arc<Queue>> {
    let store = options.assets.as_ref().map(|assets| assets.get().store()).transpose()?;
    let wish = Wish {
        offload: store.map(Offload::new),
        options,
    };
    let runtime = runtime::handle(py)?;
    let queue = Arc::new(Queue::new(Stop::Gracefully));
    let followed = Arc::clone(&queue);
    runtime.spawn(async move {
        let running = run(&kept, &wish, &followed);
        work(Arc::clone(&followed), running).await;
    });
    register(&queue);
    Ok(queue)
}

async fn run(kept: &Kept, wish: &Wish, queue: &Queue) -> Result<FinishedRun, Error> {
    let (opened, warnings) = match Binding::new(kept, Some(queue)).await?.bind().await? {
        Bind::Living { opened, warnings } => (opened, warnings),
        Bind::Failed(finished) => return Ok(finished),
    };
    let notebook = kept
        .sessions
        .store()
        .save(&kept.id, Durability::Process)
        .await?
        .notebook;
    let mut request = wish.request(&notebook)?;
    request.stored_in = Some(kept.sessions.stored_in(&kept.record().await?));
    let run = opened.session.run(notebook, request)?;
    let finished = follow(queue, run, warnings).await;
    opened.session.detach().await;
    Ok(finished)
}

/// The plan on the kernel that there is, or on a new one where there is none.
pub(super) async fn plan(kept: &Kept, options: &PlanOptions) -> Result<Preview, Error> {
    let record = kept.record().await?;
    let notebook = Notebook::open_sources(&record.path)?;
    let request = options.request(&notebook)?;
    let fresh = planner(&notebook, None);
    let mut preview = Preview::of_planner(record.path.display().to_string(), notebook, &fresh, &request)?;
    if record.kernel.is_some()
        && let Bind::Living { opened, .. } = Binding::new(kept, None).await?.bind().await?
    {
        let planned = opened.session.plan(&preview.notebook, request).await;
        opened.session.detach().await;
        preview.plan = planned?;
    }
    Ok(preview)
}
