use std::path::PathBuf;
use std::sync::Arc;

use mcp_jupyter_core::kernel::LaunchRequest;
use schemars::JsonSchema;
use serde::Deserialize;

use super::arguments::until;
use crate::keeping;
use crate::mcp::answer::{Answer, Refusal};
use crate::mcp::caller::Caller;
use crate::mcp::executing::Launch;
use crate::mcp::server::Server;
use crate::mcp::tool::{Effect, Tool};

pub(super) struct KernelStart;

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Arguments {
    path: String,
    /// A kernelspec, instead of what the notebook names
    kernel: Option<String>,
    /// An interpreter that has ipykernel, instead
    python: Option<PathBuf>,
    /// The folder it works in [the notebook's]
    cwd: Option<String>,
    /// Environment variables
    #[serde(default)]
    env: std::collections::BTreeMap<String, String>,
}

impl Tool for KernelStart {
    const NAME: &'static str = "kernel_start";
    const DESCRIPTION: &'static str = "Start a notebook's kernel; `run` does so by itself. Refused where one lives.";
    const EFFECT: Effect = Effect::Changes;
    type Arguments = Arguments;

    async fn call(server: Arc<Server>, arguments: Arguments, _caller: Caller) -> Result<Answer, Refusal> {
        let record = server.session(&arguments.path).await?;
        let launch = launch(&server, &arguments, &record.path).await?;
        let bound = server
            .bind(&record, Launch::This(Box::new(launch)), until(None)?)
            .await?;
        bound.opened.session.detach().await;
        match bound.started {
            Some(name) => Ok(Answer::text(format!("started {name} for {}", arguments.path))),
            None => Err(Refusal::new(format!("{} has a living kernel", arguments.path))
                .with_advice("kernel_stop ends it, kernel_restart starts it again")),
        }
    }
}

async fn launch(server: &Server, arguments: &Arguments, path: &std::path::Path) -> Result<LaunchRequest, Refusal> {
    let provisioner = server.kernels.provisioner();
    let notebook = server.read(&arguments.path).await?.1;
    let mut launch = keeping::launch(&server.kernels, &server.kernel, path, &notebook).await;
    let spec = match (&arguments.kernel, &arguments.python) {
        (Some(_), Some(_)) => {
            return Err(Refusal::new(
                "`kernel` and `python` both say what to start; name one of them",
            ));
        }
        (Some(name), None) => Some(provisioner.kernelspec(name).await?),
        (None, Some(python)) => Some(provisioner.kernelspec_for_python(python).await?),
        (None, None) => None,
    };
    if let Some(spec) = spec {
        let other = LaunchRequest::new(spec.clone());
        let usual = launch.unwrap_or(other);
        launch = Ok(LaunchRequest { spec, ..usual });
    }
    let mut launch = launch?;
    if launch.cwd.is_none() {
        launch.cwd = path.parent().map(std::path::Path::to_owned);
    }
    if let Some(cwd) = &arguments.cwd {
        launch.cwd = Some(server.roots.existing(cwd)?);
    }
    launch.env.extend(arguments.env.clone());
    Ok(launch)
}
