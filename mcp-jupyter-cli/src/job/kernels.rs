use std::collections::HashMap;
use std::path::PathBuf;

use mcp_jupyter_core::Error;
use mcp_jupyter_core::kernel::local::{LocalProvisioner, Transport};
use mcp_jupyter_core::kernel::{KernelError, KernelProvisioner, KernelSpec};
use mcp_jupyter_core::session::notebook::Notebook;
use tokio::sync::Mutex;

use crate::error::{CliError, KERNEL_HINT};

/// Chooses the kernel of each notebook; every kernelspec is looked for once.
#[derive(Debug)]
pub(crate) struct Kernels {
    provisioner: LocalProvisioner,
    name: Option<String>,
    python: Option<PathBuf>,
    found: Mutex<HashMap<Option<String>, KernelSpec>>,
}

impl Kernels {
    /// The kernel called `name`, or the one of the interpreter `python`, or what each notebook names.
    pub(crate) fn new(name: Option<String>, python: Option<PathBuf>, transport: Option<Transport>) -> Self {
        let mut provisioner = LocalProvisioner::new();
        if let Some(transport) = transport {
            provisioner = provisioner.with_transport(transport);
        }
        let provisioner = match &python {
            Some(python) => provisioner.with_python(python),
            None => provisioner,
        };
        Self {
            provisioner,
            name,
            python,
            found: Mutex::default(),
        }
    }

    pub(crate) fn provisioner(&self) -> &LocalProvisioner {
        &self.provisioner
    }

    /// The kernelspec to run `notebook` on.
    pub(crate) async fn choose(&self, notebook: &Notebook) -> Result<KernelSpec, CliError> {
        let name = match (&self.name, &self.python) {
            (Some(name), _) => Some(name.clone()),
            (None, Some(_)) => None,
            (None, None) => Some(self.named_by(notebook).await?),
        };
        let mut found = self.found.lock().await;
        if let Some(spec) = found.get(&name) {
            return Ok(spec.clone());
        }
        let spec = self.find(name.as_deref()).await.map_err(no_kernel)?;
        found.insert(name, spec.clone());
        Ok(spec)
    }

    async fn named_by(&self, notebook: &Notebook) -> Result<String, CliError> {
        if let Some(name) = notebook.kernelspec_name() {
            return Ok(name);
        }
        let specs = self.provisioner.kernelspecs().await.map_err(no_kernel)?;
        let names: Vec<String> = specs.into_iter().map(|spec| spec.name).collect();
        let available = if names.is_empty() {
            "none".to_owned()
        } else {
            names.join(", ")
        };
        Err(CliError::KernelNotNamed { available })
    }

    async fn find(&self, name: Option<&str>) -> Result<KernelSpec, KernelError> {
        match (name, &self.python) {
            (None, Some(python)) => self.provisioner.kernelspec_for_python(python).await,
            (name, _) => self.provisioner.kernelspec(name.unwrap_or_default()).await,
        }
    }
}

fn no_kernel(error: KernelError) -> CliError {
    let missing = matches!(error, KernelError::NoSuchKernel { .. });
    let hint = if missing {
        KERNEL_HINT
    } else {
        "`mcp-jupyter doctor` says what is missing"
    };
    CliError::NoKernel {
        source: Error::from(error),
        hint: hint.to_owned(),
    }
}
