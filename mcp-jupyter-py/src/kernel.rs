use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use mcp_jupyter_core::kernel::local::KernelSpecs;
use mcp_jupyter_core::kernel::{InterruptMode, KernelError, KernelSpec};
use mcp_jupyter_core::model::Json;
use pyo3::prelude::*;
use pyo3::types::PyDict;

use crate::ending::detached;
use crate::error::to_python;
use crate::objects::loads;

/// An installed description of a kernel.
#[pyclass(name = "KernelSpec", module = "mcp_jupyter", frozen, eq)]
#[derive(PartialEq)]
pub(crate) struct PyKernelSpec(KernelSpec);

#[pymethods]
impl PyKernelSpec {
    /// What a notebook's metadata.kernelspec.name refers to, in lower case.
    #[getter]
    fn name(&self) -> &str {
        &self.0.name
    }

    /// The name for people.
    #[getter]
    fn display_name(&self) -> &str {
        &self.0.display_name
    }

    /// The language of the kernel's cells.
    #[getter]
    fn language(&self) -> &str {
        &self.0.language
    }

    /// The command; `{connection_file}` and `{resource_dir}` in it are filled in when a kernel starts.
    #[getter]
    fn argv(&self) -> Vec<String> {
        self.0.argv.clone()
    }

    /// The folder that holds kernel.json, or ipykernel's own where none is installed.
    #[getter]
    fn resource_dir(&self) -> &Path {
        &self.0.resource_dir
    }

    /// Environment variables for the kernel; ${NAME} in them refers to the environment of whoever starts it.
    #[getter]
    fn env<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let env = PyDict::new(py);
        for (name, value) in &self.0.env {
            env.set_item(name, value)?;
        }
        Ok(env)
    }

    /// How the kernel wants to be interrupted: "signal" or "message".
    #[getter]
    fn interrupt_mode(&self) -> &'static str {
        match self.0.interrupt_mode {
            InterruptMode::Signal => "signal",
            InterruptMode::Message => "message",
        }
    }

    /// Whatever else the kernelspec says about the kernel.
    #[getter]
    fn metadata<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        let text = Json::Object(self.0.metadata.clone()).to_string();
        loads(py, text.as_bytes())
    }

    fn __repr__(&self) -> String {
        let KernelSpec { name, argv, .. } = &self.0;
        format!("<KernelSpec {name:?}: {}>", argv.join(" "))
    }
}

/// All kernelspecs by name, as `jupyter_client` would find them in the interpreter `python`, by default this one.
///
/// A kernelspec that cannot be used is left out.
#[pyfunction]
#[pyo3(signature = (python=None))]
pub(crate) fn kernelspecs(py: Python<'_>, python: Option<PathBuf>) -> PyResult<BTreeMap<String, PyKernelSpec>> {
    let specs = search(py, python)?;
    let found = detached(py, || specs.all()).into_iter();
    Ok(found.map(|spec| (spec.name.clone(), PyKernelSpec(spec))).collect())
}

/// The kernelspec of this name, as `jupyter_client` would find it in the interpreter `python`, by default this one.
///
/// Raises `NotFoundError`, with the names that exist, and `KernelStartError` for a kernelspec that cannot be used.
#[pyfunction]
#[pyo3(signature = (name, python=None))]
pub(crate) fn kernelspec(py: Python<'_>, name: &str, python: Option<PathBuf>) -> PyResult<PyKernelSpec> {
    let specs = search(py, python)?;
    let found = detached(py, || specs.get(name));
    found.map(PyKernelSpec).map_err(|error| to_python(py, error))
}

/// The environment is read while attached, because Python code that changes it is attached too.
fn search(py: Python<'_>, python: Option<PathBuf>) -> PyResult<KernelSpecs> {
    let is_chosen = python.is_some();
    let python = match python {
        Some(python) => Some(python),
        None => this_interpreter(py)?,
    };
    let specs = KernelSpecs::from_env(python.as_deref());
    let usable: Result<_, KernelError> = if is_chosen {
        detached(py, || specs.python())
    } else {
        Ok(None)
    };
    usable.map_err(|error| to_python(py, error))?;
    Ok(specs)
}

/// An interpreter that is embedded in another program has no executable to search for.
fn this_interpreter(py: Python<'_>) -> PyResult<Option<PathBuf>> {
    let executable: Option<PathBuf> = py.import("sys")?.getattr("executable")?.extract()?;
    Ok(executable.filter(|path| !path.as_os_str().is_empty()))
}
