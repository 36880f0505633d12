use std::sync::Arc;

use mcp_jupyter_core::kernel::Kernel;

use super::arguments::NotebookArguments;
use crate::mcp::answer::{Answer, Refusal};
use crate::mcp::caller::Caller;
use crate::mcp::server::Server;
use crate::mcp::tool::{Effect, Tool};

pub(super) struct KernelInterrupt;

impl Tool for KernelInterrupt {
    const NAME: &'static str = "kernel_interrupt";
    const DESCRIPTION: &'static str = "Interrupt what a notebook's kernel executes, whoever has begun it; names stay.";
    const EFFECT: Effect = Effect::Settles;
    type Arguments = NotebookArguments;

    async fn call(server: Arc<Server>, arguments: NotebookArguments, _caller: Caller) -> Result<Answer, Refusal> {
        let kernel = server.kernel_of(&arguments.path).await?;
        let running = kernel.running().await?;
        kernel.interrupt().await?;
        Ok(Answer::text(match running.first() {
            Some(running) => format!("interrupted cell {} of run {}", running.cell, running.run_id),
            None => "no cell was being executed".to_owned(),
        }))
    }
}
