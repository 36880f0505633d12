use std::sync::Arc;
use std::time::Duration;

use mcp_jupyter_core::kernel::{Kernel, KernelError, ShutdownMode};
use tokio::time::Instant;

use super::arguments::NotebookArguments;
use crate::keeping;
use crate::mcp::answer::{Answer, Refusal};
use crate::mcp::caller::Caller;
use crate::mcp::executing::Launch;
use crate::mcp::server::Server;
use crate::mcp::tool::{Effect, Tool};

/// How long a kernel may take to end by itself.
const PATIENCE: Duration = Duration::from_secs(5);

/// How long a run may take to take in what its dead kernel has said.
const LAST_WORDS: Duration = Duration::from_secs(30);

pub(super) struct KernelStop;

impl Tool for KernelStop {
    const NAME: &'static str = "kernel_stop";
    const DESCRIPTION: &'static str = "End a notebook's kernel: all names are gone. What it has said is saved.";
    const EFFECT: Effect = Effect::Destroys;
    type Arguments = NotebookArguments;

    async fn call(server: Arc<Server>, arguments: NotebookArguments, _caller: Caller) -> Result<Answer, Refusal> {
        let record = server.session(&arguments.path).await?;
        let kernel = server.kernel_of(&arguments.path).await?;
        match kernel.shutdown(ShutdownMode::Graceful(PATIENCE)).await {
            Ok(()) | Err(KernelError::Died(_)) => {}
            Err(error) => return Err(error.into()),
        }
        drop(kernel);
        // What was left is taken up, and the dead kernel removed, which is a refusal elsewhere.
        if let Ok(bound) = server.bind(&record, Launch::Nothing, Instant::now() + LAST_WORDS).await {
            bound.opened.session.detach().await;
            server.sessions.remove_kernel(&bound.right.record).await?;
        }
        keeping::newest(&server.sessions, &record).await?;
        Ok(Answer::text(format!("stopped the kernel of {}", arguments.path)))
    }
}
