use std::sync::Arc;

use mcp_jupyter_core::engine::SessionRun;
use mcp_jupyter_core::model::CellId;
use mcp_jupyter_core::scheduler::Target;
use mcp_jupyter_core::session::notebook::{Cell, CellType};
use schemars::JsonSchema;
use serde::Deserialize;

use super::arguments::{limit, until};
use crate::keeping;
use crate::mcp::answer::{Answer, Refusal};
use crate::mcp::caller::Caller;
use crate::mcp::executing::Launch;
use crate::mcp::run_log::SCRATCH;
use crate::mcp::server::Server;
use crate::mcp::structured::Structured;
use crate::mcp::tool::{Effect, Tool};

pub(super) struct ExecuteCode;

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Arguments {
    /// The notebook on whose kernel
    path: String,
    code: String,
    wait_seconds: Option<f64>,
    cell_timeout: Option<f64>,
}

impl Tool for ExecuteCode {
    const NAME: &'static str = "execute_code";
    const DESCRIPTION: &'static str = "Execute scratch code on a notebook's kernel, outside of the notebook. No cell runs \
                                       before it. The next `run` deletes names that only it made, and makes again what it \
                                       changed.";
    const EFFECT: Effect = Effect::Destroys;
    const STRUCTURED: Option<Structured> = Some(Structured::Run);
    type Arguments = Arguments;

    async fn call(server: Arc<Server>, arguments: Arguments, caller: Caller) -> Result<Answer, Refusal> {
        let until = until(arguments.wait_seconds)?;
        let cell_timeout = limit(arguments.cell_timeout)?;
        let record = server.session(&arguments.path).await?;
        let bound = server.bind(&record, Launch::Usual, until).await?;
        // A cell below all others that is never saved: so the scheduler knows what it has done to names.
        let mut notebook = (*keeping::newest(&server.sessions, &record).await?).clone();
        let others = notebook
            .cells()
            .iter()
            .filter(|cell| cell.cell_type() == CellType::Code);
        let excluded = others.map(|cell| cell.id().clone()).collect();
        let scratch =
            CellId::from(format!("{SCRATCH}{}", &mcp_jupyter_core::model::RunId::random().as_str()[..8]).as_str());
        notebook
            .cells_mut()
            .push(Cell::new_code(scratch.clone(), &arguments.code));
        let log = server.start_run(bound, Arc::new(notebook), |run| SessionRun {
            targets: vec![Target::Cell(scratch)],
            excluded,
            cell_timeout,
            ..run
        });
        Ok(server.wait_for(&log.await?, 0, until, &caller).await)
    }
}
