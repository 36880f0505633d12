use std::sync::Arc;

use mcp_jupyter_core::kernel::KernelProvisioner;
use schemars::JsonSchema;
use serde::Deserialize;

use crate::mcp::answer::{Answer, Refusal};
use crate::mcp::caller::Caller;
use crate::mcp::server::Server;
use crate::mcp::tool::{Effect, Tool};

pub(super) struct KernelList;

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Arguments {}

impl Tool for KernelList {
    const NAME: &'static str = "kernel_list";
    const DESCRIPTION: &'static str = "The kernelspecs, and the living kernels with their notebooks and memory.";
    const EFFECT: Effect = Effect::Reads;
    type Arguments = Arguments;

    async fn call(server: Arc<Server>, _arguments: Arguments, _caller: Caller) -> Result<Answer, Refusal> {
        let mut lines = vec!["kernelspecs:".to_owned()];
        let specs = server.kernels.provisioner().kernelspecs().await?;
        lines.extend(
            specs
                .iter()
                .map(|spec| format!("  {}: {} ({})", spec.name, spec.display_name, spec.language)),
        );
        lines.push("living kernels:".to_owned());
        let before = lines.len();
        for record in server.sessions.store().list().await? {
            let Some(kernel) = record.kernel.as_ref().filter(|_| server.roots.contains(&record.path)) else {
                continue;
            };
            let Some(found) = server
                .sessions
                .kernels()
                .find(&kernel.kernel_id)
                .filter(|found| found.is_alive)
            else {
                continue;
            };
            let is_executing = server.sessions.try_take_turn(&record.id)?.is_err();
            let state = if is_executing { "executing" } else { "idle" };
            let memory = found
                .usage
                .map_or_else(String::new, |usage| format!(", {} MiB", usage.memory_bytes >> 20));
            lines.push(format!(
                "  {}: {}, {state}{memory}, since {}",
                server.shown(&record.path),
                kernel.spec.name,
                found.started.strftime("%Y-%m-%d %H:%M:%SZ")
            ));
        }
        if lines.len() == before {
            lines.push("  none".to_owned());
        }
        Ok(Answer::text(lines.join("\n")))
    }
}
