use std::sync::Arc;

use mcp_jupyter_core::kernel::Kernel;

use super::arguments::NotebookArguments;
use crate::mcp::answer::{Answer, Refusal};
use crate::mcp::caller::Caller;
use crate::mcp::server::Server;
use crate::mcp::tool::{Effect, Tool};

pub(super) struct KernelRestart;

impl Tool for KernelRestart {
    const NAME: &'static str = "kernel_restart";
    const DESCRIPTION: &'static str = "Start a notebook's kernel again: all names are gone, a run in progress ends.";
    const EFFECT: Effect = Effect::Destroys;
    type Arguments = NotebookArguments;

    async fn call(server: Arc<Server>, arguments: NotebookArguments, _caller: Caller) -> Result<Answer, Refusal> {
        let kernel = server.kernel_of(&arguments.path).await?;
        kernel.restart().await?;
        Ok(Answer::text(format!(
            "restarted the kernel of {}: all names are gone",
            arguments.path
        )))
    }
}
