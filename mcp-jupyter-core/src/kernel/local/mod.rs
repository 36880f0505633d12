//! Kernels as processes of this machine, over ZeroMQ: Unix sockets in a private folder, or TCP on request.
//!
//! [`LocalProvisioner`] finds kernelspecs and starts kernels. A kernel's process dies with ours, however ours ends.
//! Its sockets live on a thread of their own that does nothing but move frames into a queue, because a kernel drops
//! what its reader is too slow for, without a trace.

mod attached;
mod channels;
pub(super) mod connection_file;
mod conversation;
pub(super) mod dialogue;
pub(super) mod frame_queue;
pub(super) mod generation;
mod ipykernel;
pub(super) mod kernel;
mod kernelspecs;
pub(super) mod process;
mod readiness;
pub(super) mod router;
pub(super) mod tap;
pub(super) mod wire;

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

pub use connection_file::Transport;
pub use kernelspecs::KernelSpecs;
pub use wire::Codec;

use self::attached::AttachedKernel;
use self::generation::Keeping;
use self::kernel::LocalKernel;

use super::{Kernel, KernelError, KernelProvisioner, KernelSpec, LaunchRequest};
use crate::model::KernelId;

/// Over TCP a port that we reserved may yet be bound by a process that had it before: so often another set is tried.
const TCP_ATTEMPTS: usize = 3;

/// Starts kernels as processes of this machine.
///
/// ```no_run
/// use mcp_jupyter_core::kernel::local::LocalProvisioner;
/// use mcp_jupyter_core::kernel::{ExecuteRequest, Kernel, KernelProvisioner, LaunchRequest};
///
/// # async fn example() -> Result<(), mcp_jupyter_core::kernel::KernelError> {
/// let provisioner = LocalProvisioner::new();
/// let spec = provisioner.kernelspec("python3").await?;
/// let kernel = provisioner.launch(LaunchRequest::new(spec)).await?;
/// let execution = kernel.execute(ExecuteRequest::new("print(6 * 7)")).await?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, Default)]
pub struct LocalProvisioner {
    python: Option<PathBuf>,
    transport: Option<Transport>,
}

impl LocalProvisioner {
    /// A provisioner that looks where Jupyter looks, and talks over Unix sockets with every kernel that can.
    pub fn new() -> Self {
        Self::default()
    }

    /// Looks for kernelspecs in the environment of this interpreter first.
    #[must_use]
    pub fn with_python(mut self, python: impl Into<PathBuf>) -> Self {
        self.python = Some(python.into());
        self
    }

    /// Chooses how messages travel. Without this they travel over Unix sockets, and over TCP with a kernel that does
    /// not start otherwise (xeus kernels know no Unix sockets).
    #[must_use]
    pub fn with_transport(mut self, transport: Transport) -> Self {
        self.transport = Some(transport);
        self
    }

    /// How messages are to travel, where that was chosen.
    pub(super) fn transport(&self) -> Option<Transport> {
        self.transport
    }

    /// Connects to a kernel that somebody else has started, by its connection file, and waits, so long at most, until it
    /// answers and every one of its messages can be received. It may be busy, and others may talk to it as well.
    ///
    /// What is returned never ends the kernel by being dropped. It interrupts by message, and cannot restart. The kernel
    /// counts as dead when it closes its sockets.
    ///
    /// # Errors
    /// [`KernelError::InvalidKernelSpec`] where the file is no connection file, [`KernelError::TimedOut`] where no kernel
    /// answers.
    pub async fn attach(&self, connection_file: &Path, timeout: Duration) -> Result<Arc<dyn Kernel>, KernelError> {
        let attached = AttachedKernel::connect(connection_file, timeout).await?;
        Ok(Arc::new(attached))
    }

    /// The kernelspec of this name.
    ///
    /// # Errors
    /// [`KernelError::NoSuchKernel`], listing those that exist.
    pub async fn kernelspec(&self, name: &str) -> Result<KernelSpec, KernelError> {
        let name = name.to_owned();
        self.search(move |specs| specs.get(&name)).await?
    }

    /// A kernelspec for an interpreter that has ipykernel, whether or not a kernelspec is installed for it.
    ///
    /// # Errors
    /// [`KernelError::InvalidKernelSpec`] where it is no Python or lacks ipykernel.
    pub async fn kernelspec_for_python(&self, python: &Path) -> Result<KernelSpec, KernelError> {
        let python = python.to_owned();
        blocking(move || KernelSpecs::for_python(&python)).await?
    }

    async fn search<T: Send + 'static>(
        &self,
        find: impl FnOnce(KernelSpecs) -> T + Send + 'static,
    ) -> Result<T, KernelError> {
        let python = self.python.clone();
        blocking(move || find(KernelSpecs::from_env(python.as_deref()))).await
    }
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, KernelError> {
    let done = tokio::task::spawn_blocking(work).await;
    done.map_err(|error| KernelError::io("look for kernelspecs", std::io::Error::other(error)))
}

impl fmt::Display for LocalProvisioner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("local processes")
    }
}

#[async_trait]
impl KernelProvisioner for LocalProvisioner {
    async fn kernelspecs(&self) -> Result<Vec<KernelSpec>, KernelError> {
        self.search(|specs| specs.all()).await
    }

    async fn launch(&self, request: LaunchRequest) -> Result<Arc<dyn Kernel>, KernelError> {
        let launched = launch(KernelId::random(), self.transport, request, None).await?;
        Ok(Arc::new(launched))
    }
}

/// Starts a kernel over the transport that is asked for, or else over the first that it knows.
pub(super) async fn launch(
    id: KernelId,
    transport: Option<Transport>,
    request: LaunchRequest,
    keeping: Option<Keeping>,
) -> Result<LocalKernel, KernelError> {
    let over = |transport| launch_over(id.clone(), transport, &request, keeping.clone());
    // ipykernel is known to speak over Unix sockets: where it does not start, it would not over TCP either.
    match over(transport.unwrap_or_default()).await {
        Err(KernelError::StartFailed { reason, .. }) if transport.is_none() && !request.spec.is_ipykernel() => {
            let name = &request.spec.name;
            tracing::debug!(name, reason, "no start over Unix sockets; trying TCP");
            over(Transport::Tcp).await
        }
        launched => launched,
    }
}

async fn launch_over(
    id: KernelId,
    transport: Transport,
    request: &LaunchRequest,
    keeping: Option<Keeping>,
) -> Result<LocalKernel, KernelError> {
    let mut attempt = 1;
    loop {
        match LocalKernel::launch(id.clone(), request.clone(), transport, keeping.clone()).await {
            Err(KernelError::StartFailed { reason, .. })
                if transport == Transport::Tcp
                    && attempt < TCP_ATTEMPTS
                    && reason.contains("Address already in use") =>
            {
                attempt += 1;
            }
            launched => return launched,
        }
    }
}
