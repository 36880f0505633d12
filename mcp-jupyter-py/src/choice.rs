//! Which kernel a notebook runs on.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{LazyLock, Mutex, PoisonError};

use mcp_jupyter_core::kernel::local::{KernelSpecs, LocalProvisioner};
use mcp_jupyter_core::kernel::{KernelError, KernelSpec};
use mcp_jupyter_core::session::notebook::Notebook;
use pyo3::prelude::*;

use crate::run::invalid;

/// Names that mean nothing but Python: what they are installed for differs from machine to machine.
const ANY_PYTHON: [&str; 2] = ["python3", "python"];

/// What the caller says of the kernel.
#[derive(Clone, Debug, FromPyObject)]
#[pyo3(from_item_all)]
pub(crate) struct KernelChoice {
    /// A kernelspec's name.
    name: Option<String>,
    /// An interpreter to run on, or to look for the kernelspec in first.
    python: Option<PathBuf>,
    /// The running interpreter.
    interpreter: Option<PathBuf>,
    /// Whether that has ipykernel.
    has_ipykernel: bool,
    /// Whether to run on it where the notebook names no kernel but Python's.
    prefers_interpreter: bool,
}

impl KernelChoice {
    /// The kernel that is named; else that of the interpreter that is named; else what the notebook names, where that is
    /// more than "a Python"; else the running interpreter. It may block.
    pub(crate) fn choose(
        &self,
        notebook: &Notebook,
    ) -> Result<(LocalProvisioner, KernelSpec), mcp_jupyter_core::Error> {
        let spec = match self.chosen()? {
            Some(spec) => spec,
            None => self.for_notebook(notebook)?,
        };
        Ok((self.provisioner(), spec))
    }

    /// The same where there is no notebook: the kernel or the interpreter that is named, else the running one. It may block.
    pub(crate) fn choose_alone(&self) -> Result<(LocalProvisioner, KernelSpec), mcp_jupyter_core::Error> {
        let spec = match (self.chosen()?, &self.interpreter) {
            (Some(spec), _) => spec,
            (None, Some(python)) if self.has_ipykernel => of_interpreter(python)?,
            (None, _) => return Err(self.not_named("no kernel is named")),
        };
        Ok((self.provisioner(), spec))
    }

    fn provisioner(&self) -> LocalProvisioner {
        match self.python.as_ref().or(self.interpreter.as_ref()) {
            Some(python) => LocalProvisioner::new().with_python(python),
            None => LocalProvisioner::new(),
        }
    }

    /// What the caller has named.
    fn chosen(&self) -> Result<Option<KernelSpec>, KernelError> {
        match (&self.name, &self.python) {
            (Some(name), _) => self.named(name).map(Some),
            (None, Some(python)) => of_interpreter(python).map(Some),
            (None, None) => Ok(None),
        }
    }

    fn named(&self, name: &str) -> Result<KernelSpec, KernelError> {
        KernelSpecs::from_env(self.python.as_deref().or(self.interpreter.as_deref())).get(name)
    }

    fn for_notebook(&self, notebook: &Notebook) -> Result<KernelSpec, mcp_jupyter_core::Error> {
        let is_python = notebook
            .language()
            .is_none_or(|language| language.to_lowercase() == "python");
        let own = self.interpreter.as_deref().filter(|_| self.has_ipykernel && is_python);
        let preferred = own.filter(|_| self.prefers_interpreter);
        match (notebook.kernelspec_name(), preferred, own) {
            (Some(name), Some(python), _) if ANY_PYTHON.contains(&name.as_str()) => Ok(of_interpreter(python)?),
            (None, _, Some(python)) => Ok(of_interpreter(python)?),
            (Some(name), preferred, _) => match (self.named(&name), preferred) {
                (Err(KernelError::NoSuchKernel { .. }), Some(python)) => Ok(of_interpreter(python)?),
                (found, _) => Ok(found?),
            },
            (None, _, None) => Err(self.not_named("the notebook names no kernel")),
        }
    }

    fn not_named(&self, what: &str) -> mcp_jupyter_core::Error {
        let found = KernelSpecs::from_env(self.interpreter.as_deref()).all();
        let names: Vec<String> = found.into_iter().map(|spec| spec.name).collect();
        let available = if names.is_empty() {
            "none".to_owned()
        } else {
            names.join(", ")
        };
        invalid(format!(
            "{what} (available: {available}), and this Python has no ipykernel; choose one with \
             kernel=NAME, or install ipykernel"
        ))
        .into()
    }
}

/// The kernelspec of an interpreter, which to ask takes long enough to be done once.
fn of_interpreter(python: &Path) -> Result<KernelSpec, KernelError> {
    static FOUND: LazyLock<Mutex<HashMap<PathBuf, KernelSpec>>> = LazyLock::new(Mutex::default);
    let found = || FOUND.lock().unwrap_or_else(PoisonError::into_inner);
    let known = found().get(python).cloned();
    if let Some(spec) = known {
        return Ok(spec);
    }
    let spec = KernelSpecs::for_python(python)?;
    found().insert(python.to_owned(), spec.clone());
    Ok(spec)
}
