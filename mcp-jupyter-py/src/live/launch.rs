use std::collections::BTreeMap;
use std::path::PathBuf;

use mcp_jupyter_core::Error;
use mcp_jupyter_core::kernel::local::LocalProvisioner;
use mcp_jupyter_core::kernel::{KernelProvisioner, KernelSpec, LaunchRequest};
use mcp_jupyter_core::session::notebook::Notebook;
use pyo3::prelude::*;

use super::PyKernel;
use crate::choice::KernelChoice;
use crate::error::to_python;
use crate::job::PyJob;
use crate::run::seconds;
use crate::runtime;

/// What to start, and how.
#[derive(Clone, Debug, FromPyObject)]
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
        Ok((provisioner, self.of_spec(spec)?))
    }

    /// What is to be started for a notebook. It may block.
    pub(crate) fn request_for(self, notebook: &Notebook) -> Result<LaunchRequest, Error> {
        let (_, spec) = self.kernel.choose(notebook)?;
        self.of_spec(spec)
    }

    fn of_spec(self, spec: KernelSpec) -> Result<LaunchRequest, Error> {
        let mut request = LaunchRequest::new(spec);
        request.cwd = self.cwd;
        request.env = self.env;
        request.startup_timeout = seconds("startup_timeout", self.startup_timeout)?;
        Ok(request)
    }
}

/// Starts a kernel that ends with this process at the latest.
#[pyfunction]
pub(crate) fn start_kernel(py: Python<'_>, options: LaunchOptions) -> PyResult<PyJob> {
    let work = async move {
        let (provisioner, request) = runtime::blocking(|| options.request()).await?;
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
