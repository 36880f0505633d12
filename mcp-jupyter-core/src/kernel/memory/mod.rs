//! Kernels that answer from a script, for tests: no process, no socket, and time is tokio's clock, which a test may
//! pause.
//!
//! A [`MemoryProvisioner`] holds the [`Script`]: what is answered to which code, as a list of [`Reaction`]s. Code that
//! no response was given for is read by a [small interpreter](Script#the-interpreter).
//!
//! ```
//! use futures_util::StreamExt;
//! use mcp_jupyter_core::kernel::memory::{MemoryProvisioner, Reaction};
//! use mcp_jupyter_core::kernel::{ExecuteRequest, Kernel, KernelProvisioner};
//!
//! # tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(async {
//! let provisioner = MemoryProvisioner::new().with_response("fit()", [Reaction::stdout("loss 0.1\n")]);
//! let kernel = provisioner.launch(provisioner.request()).await?;
//! let mut execution = kernel.execute(ExecuteRequest::new("fit()")).await?;
//! let mut types = Vec::new();
//! while let Some(message) = execution.messages.next().await {
//!     types.push(message?.msg_type().into_owned());
//! }
//! assert_eq!(types, ["status", "execute_input", "stream", "execute_reply", "status"]);
//! # Ok::<(), mcp_jupyter_core::kernel::KernelError>(())
//! # })?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod execution;
mod interpreter;
mod kernel;
mod life;
mod outlet;
mod requests;
mod script;

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;

pub use script::{Gate, Reaction, Script, Start};

use self::kernel::MemoryKernel;

use super::{Death, Kernel, KernelError, KernelProvisioner, KernelSpec, LaunchRequest};
use crate::model::JsonMap;

/// Starts kernels that answer from one script.
#[derive(Clone, Debug)]
pub struct MemoryProvisioner {
    kernelspecs: Vec<KernelSpec>,
    script: Script,
    running: Running,
}

impl Default for MemoryProvisioner {
    fn default() -> Self {
        Self {
            kernelspecs: vec![kernelspec("memory")],
            script: Script::default(),
            running: Running::default(),
        }
    }
}

impl MemoryProvisioner {
    /// A provisioner with one kernelspec, `memory`, and only the interpreter for a script.
    pub fn new() -> Self {
        Self::default()
    }

    /// Offers these kernelspecs, by name, instead.
    #[must_use]
    pub fn with_kernelspecs<'a>(mut self, names: impl IntoIterator<Item = &'a str>) -> Self {
        self.kernelspecs = names.into_iter().map(kernelspec).collect();
        self.kernelspecs.sort_by(|one, other| one.name.cmp(&other.name));
        self
    }

    /// Answers `code`, white space around it aside, with these reactions, in order.
    #[must_use]
    pub fn with_response(mut self, code: &str, reactions: impl IntoIterator<Item = Reaction>) -> Self {
        self.script.respond(code, reactions.into_iter().collect());
        self
    }

    /// Asks this function how to answer code that no response was given for; where it gives none, the interpreter is.
    #[must_use]
    pub fn with_responder(mut self, respond: impl Fn(&str) -> Option<Vec<Reaction>> + Send + Sync + 'static) -> Self {
        self.script.set_responder(Arc::new(respond));
        self
    }

    /// Answers every request of this type, such as `debug_request`, with this content.
    #[must_use]
    pub fn with_reply(mut self, msg_type: impl Into<String>, content: JsonMap) -> Self {
        self.script.set_reply(msg_type.into(), content);
        self
    }

    /// How its kernels start, again when they are restarted.
    #[must_use]
    pub fn with_start(mut self, start: Start) -> Self {
        self.script.set_start(start);
        self
    }

    /// A request for its first kernelspec.
    ///
    /// # Panics
    /// Where it offers none.
    pub fn request(&self) -> LaunchRequest {
        LaunchRequest::new(self.kernelspecs.first().expect("a kernelspec is offered").clone())
    }

    /// How many of its kernels have been started and have not ended, those that are just starting included.
    pub fn running(&self) -> usize {
        self.running.count()
    }
}

fn kernelspec(name: &str) -> KernelSpec {
    KernelSpec {
        name: name.to_owned(),
        resource_dir: std::path::PathBuf::new(),
        argv: Vec::new(),
        display_name: name.to_owned(),
        language: "memory".to_owned(),
        env: indexmap::IndexMap::new(),
        interrupt_mode: super::InterruptMode::default(),
        metadata: JsonMap::new(),
    }
}

impl fmt::Display for MemoryProvisioner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("scripted kernels")
    }
}

#[async_trait]
impl KernelProvisioner for MemoryProvisioner {
    async fn kernelspecs(&self) -> Result<Vec<KernelSpec>, KernelError> {
        Ok(self.kernelspecs.clone())
    }

    /// As the trait says; besides, [`KernelError::NoSuchKernel`] where the request's spec is none of those offered.
    async fn launch(&self, request: LaunchRequest) -> Result<Arc<dyn Kernel>, KernelError> {
        if !self.kernelspecs.iter().any(|spec| spec.name == request.spec.name) {
            return Err(KernelError::NoSuchKernel {
                name: request.spec.name,
                available: self.kernelspecs.iter().map(|spec| spec.name.clone()).collect(),
            });
        }
        let kernel = MemoryKernel::launch(request, self.script.clone(), self.running.clone()).await?;
        Ok(Arc::new(kernel))
    }
}

/// Counts the kernels that run.
#[derive(Clone, Debug, Default)]
struct Running(Arc<AtomicUsize>);

/// Counts as one running kernel until it is dropped.
#[derive(Debug)]
struct RunningGuard(Running);

impl Running {
    fn count(&self) -> usize {
        self.0.load(Ordering::SeqCst)
    }

    fn enter(&self) -> RunningGuard {
        self.0.fetch_add(1, Ordering::SeqCst);
        RunningGuard(self.clone())
    }
}

impl Drop for RunningGuard {
    fn drop(&mut self) {
        self.0.0.fetch_sub(1, Ordering::SeqCst);
    }
}

/// Passes the time that a kernel takes to start.
async fn start(start: &Start, request: &LaunchRequest) -> Result<(), KernelError> {
    let name = &request.spec.name;
    let failed = |reason: String| KernelError::StartFailed {
        name: name.clone(),
        reason,
    };
    match start {
        Start::AtOnce => Ok(()),
        Start::Fail(reason) => Err(failed(reason.clone())),
        Start::Die(death) => Err(failed(format!("its process {death}"))),
        Start::After(delay) => tokio::time::timeout(request.startup_timeout, wait(*delay))
            .await
            .map_err(|_| KernelError::TimedOut {
                action: format!("starting kernel \"{name}\""),
                seconds: request.startup_timeout.as_secs_f64(),
            }),
    }
}

/// Sleeps; the longest time there is means for ever, which a paused clock must not skip.
async fn wait(time: Duration) {
    if time == Duration::MAX {
        std::future::pending::<()>().await;
    }
    tokio::time::sleep(time).await;
}

/// How a process ends that is killed.
fn killed() -> Death {
    Death {
        signal: Some(9),
        ..Death::default()
    }
}

/// An object from its members.
fn object<const N: usize>(members: [(&str, crate::model::Json); N]) -> JsonMap {
    members
        .into_iter()
        .map(|(key, value)| (key.to_owned(), value))
        .collect()
}
