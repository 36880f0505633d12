use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use mcp_jupyter_core::Error;
use mcp_jupyter_core::kernel::kept::{KeeperProgram, KeptProvisioner};
use mcp_jupyter_core::kernel::local::LocalProvisioner;
use mcp_jupyter_core::kernel::{KernelProvisioner, LaunchRequest};
use mcp_jupyter_core::model::KernelId;
use pyo3::prelude::*;

use super::PyKernel;
use crate::choice::KernelChoice;
use crate::error::to_python;
use crate::job::PyJob;
use crate::run::seconds;

/// What to start, and how.
#[derive(Debug, FromPyObject)]
#[pyo3(from_item_all)]
pub(crate) struct LaunchOptions {
    kernel: KernelChoice,
    cwd: Option<PathBuf>,
    env: BTreeMap<String, String>,
    /// In seconds.
    startup_timeout: f64,
}

impl LaunchOptions {
    /// What is to be started, by whom. It may block.
    fn request(self) -> Result<(LocalProvisioner, LaunchRequest), Error> {
        let (provisioner, spec) = self.kernel.choose_alone()?;
        let mut request = LaunchRequest::new(spec);
        request.cwd = self.cwd;
        request.env = self.env;
        request.startup_timeout = seconds("startup_timeout", self.startup_timeout)?;
        Ok((provisioner, request))
    }
}

/// Starts a kernel that ends with this process at the latest.
#[pyfunction]
pub(crate) fn start_kernel(py: Python<'_>, options: LaunchOptions) -> PyResult<PyJob> {
    let work = async move {
        let chosen = tokio::task::spawn_blocking(|| options.request()).await;
        let (provisioner, request) = chosen.unwrap_or_else(|failed| std::panic::resume_unwind(failed.into_panic()))?;
        Ok::<_, Error>(provisioner.launch(request).await?)
    };
    PyJob::start(py, work, |py, kernel| {
        Ok(Bound::new(py, PyKernel::new(kernel, false))?.into_any())
    })
}

/// Connects to a kernel that somebody else has started, by its connection file, within so many seconds.
#[pyfunction]
pub(crate) fn attach_kernel(py: Python<'_>, connection_file: PathBuf, timeout: f64) -> PyResult<PyJob> {
    let timeout = seconds("timeout", timeout).map_err(|error| to_python(py, error))?;
    let work = async move { LocalProvisioner::new().attach(&connection_file, timeout).await };
    PyJob::start(py, work, |py, kernel| {
        Ok(Bound::new(py, PyKernel::new(kernel, true))?.into_any())
    })
}

/// Connects to a kernel behind a keeper, by its id.
#[pyfunction]
pub(crate) fn attach_kept(py: Python<'_>, folder: PathBuf, program: PathBuf, kernel: String) -> PyResult<PyJob> {
    let work = async move {
        let keeper = KeeperProgram {
            program,
            arguments: vec!["keep".into()],
        };
        let kernels = KeptProvisioner::new(LocalProvisioner::new(), keeper, folder.join("kernels"));
        kernels.attach(&KernelId::from(kernel), None).await
    };
    PyJob::start(py, work, |py, kernel| {
        Ok(Bound::new(py, PyKernel::new(Arc::new(kernel), true))?.into_any())
    })
}
