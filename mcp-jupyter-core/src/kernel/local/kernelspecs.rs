//! Finding kernelspecs, where and in the order in which `jupyter_client` finds them.
//!
//! `jupyter_client` is itself a Python process, and searches relative to its own interpreter. Here that interpreter is
//! the one that the caller chose, else the active virtual environment's, else the active conda environment's, else the
//! `python3` on the PATH. Whatever `jupyter_client` would find under that interpreter is found, with the same
//! precedence; the other active environments come after all of it, so that they only ever add names.

mod command;
mod environment;
mod interpreter;
mod kernel_json;

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

pub(super) use command::command;

use super::super::{KernelError, KernelSpec};

use environment::Environment;
use interpreter::Interpreter;

/// The kernelspec that exists wherever ipykernel does, installed or not.
const NATIVE_KERNEL: &str = "python3";

/// The search for kernelspecs, bound to the environment as it was when this was made.
///
/// Its methods read folders, and may start the interpreter once to ask where its files are; none of them changes
/// anything.
///
/// Source: `jupyter_client/kernelspec.py` (8.10) and `jupyter_core/paths.py` (5.9).
///
/// ```
/// use mcp_jupyter_core::kernel::local::KernelSpecs;
///
/// for spec in KernelSpecs::from_env(None).all() {
///     assert!(!spec.argv.is_empty(), "{} has a command", spec.name);
/// }
/// ```
#[derive(Debug)]
pub struct KernelSpecs {
    environment: Environment,
    python: Option<PathBuf>,
    interpreter: OnceLock<Option<Arc<Interpreter>>>,
}

/// One folder of the search, and the interpreter that `python` means in the specs below it.
#[derive(Debug)]
struct Folder {
    path: PathBuf,
    interpreter: Option<Arc<Interpreter>>,
}

/// A kernelspec that has not been read yet.
#[derive(Debug)]
enum Found {
    Installed {
        folder: PathBuf,
        interpreter: Option<Arc<Interpreter>>,
    },
    Native(Box<KernelSpec>),
}

impl Found {
    fn read(self, name: &str) -> Result<KernelSpec, KernelError> {
        match self {
            Self::Native(spec) => Ok(*spec),
            Self::Installed { folder, interpreter } => {
                let mut spec = kernel_json::read(name, &folder)?;
                if let Some(interpreter) = interpreter {
                    interpreter.fill_in(&mut spec.argv);
                }
                Ok(spec)
            }
        }
    }
}

impl KernelSpecs {
    /// The search in this process's environment, with the environment of `python` first where it is given.
    ///
    /// A `python` that is missing or broken is logged and passed over.
    pub fn from_env(python: Option<&Path>) -> Self {
        Self::with_environment(python, std::env::vars_os())
    }

    /// The search in an environment made of these variables alone.
    pub fn with_environment<N, V>(python: Option<&Path>, variables: impl IntoIterator<Item = (N, V)>) -> Self
    where
        N: Into<OsString>,
        V: Into<OsString>,
    {
        Self {
            environment: variables.into_iter().collect(),
            python: python.map(Path::to_owned),
            interpreter: OnceLock::new(),
        }
    }

    /// The interpreter that the search is relative to; none where there is no Python at all.
    ///
    /// # Errors
    /// [`KernelError::InvalidKernelSpec`] where the chosen interpreter cannot be used. The search itself passes over it.
    pub fn python(&self) -> Result<Option<PathBuf>, KernelError> {
        let Some(chosen) = &self.python else {
            return Ok(self.interpreter().map(|interpreter| interpreter.executable.clone()));
        };
        let interpreter = Interpreter::find(chosen, &self.environment).map_err(|reason| unusable(chosen, reason))?;
        Ok(Some(interpreter.executable))
    }

    /// The folders that are searched for kernelspecs, first the one that takes precedence.
    ///
    /// Whether they exist does not matter. This is `jupyter_path("kernels")`, then IPython's folder, then the
    /// environments that are active beside the interpreter's own.
    pub fn search_path(&self) -> Vec<PathBuf> {
        let (own, added) = (self.own_folders(), self.added_folders());
        own.into_iter().chain(added).map(|folder| folder.path).collect()
    }

    /// All kernelspecs, sorted by name; of two with one name, the one whose folder comes first.
    ///
    /// One that cannot be read, or that needs a provisioner other than a local process, is logged and left out.
    pub fn all(&self) -> Vec<KernelSpec> {
        let read = self.find().into_iter().filter_map(|(name, found)| {
            found
                .read(&name)
                .inspect_err(|error| tracing::warn!(kernelspec = name, %error, "kernelspec left out"))
                .ok()
        });
        read.collect()
    }

    /// The kernelspec of this name, in any case; `python` is another name for `python3` where no spec has it.
    ///
    /// # Errors
    /// [`KernelError::NoSuchKernel`], with the names that exist; [`KernelError::InvalidKernelSpec`] where the spec that
    /// takes precedence cannot be used.
    pub fn get(&self, name: &str) -> Result<KernelSpec, KernelError> {
        let key = name.to_lowercase();
        let mut found = self.find();
        if let Some(spec) = found.remove(&key) {
            return spec.read(&key);
        }
        // jupyter_client's KernelManager has the same alias, for notebooks of the time of IPython 3.
        if key == "python"
            && let Some(spec) = found.remove(NATIVE_KERNEL)
        {
            return spec.read(NATIVE_KERNEL);
        }
        Err(KernelError::NoSuchKernel {
            name: name.to_owned(),
            available: found.into_keys().collect(),
        })
    }

    /// A kernelspec for an interpreter that has ipykernel, whether or not a kernelspec is installed for it.
    ///
    /// `python` is the path of an interpreter or of an environment's folder, or a command on the PATH.
    ///
    /// # Errors
    /// [`KernelError::InvalidKernelSpec`] where there is no such file, it is no Python 3, or it lacks ipykernel.
    pub fn for_python(python: &Path) -> Result<KernelSpec, KernelError> {
        Self::from_env(Some(python)).chosen_python(python)
    }

    fn chosen_python(&self, python: &Path) -> Result<KernelSpec, KernelError> {
        let invalid = |reason| unusable(python, reason);
        let interpreter = Interpreter::find(python, &self.environment).map_err(invalid)?;
        let resources = interpreter.ipykernel(&self.environment).map_err(invalid)?;
        resources
            .map(|resources| kernel_json::native(NATIVE_KERNEL, &interpreter.executable, resources))
            .ok_or_else(|| {
                let executable = interpreter.executable.display();
                invalid(format!(
                    "has no ipykernel; install it with: {executable} -m pip install ipykernel"
                ))
            })
    }

    fn find(&self) -> BTreeMap<String, Found> {
        let mut found = BTreeMap::new();
        search(self.own_folders(), &mut found);
        if !found.contains_key(NATIVE_KERNEL)
            && let Some(spec) = self.native_kernel()
        {
            found.insert(NATIVE_KERNEL.to_owned(), Found::Native(Box::new(spec)));
        }
        search(self.added_folders(), &mut found);
        found
    }

    fn native_kernel(&self) -> Option<KernelSpec> {
        let interpreter = self.interpreter()?;
        let resources = interpreter
            .ipykernel(&self.environment)
            .inspect_err(|reason| tracing::warn!(python = %interpreter.executable.display(), reason))
            .ok()??;
        Some(kernel_json::native(NATIVE_KERNEL, &interpreter.executable, resources))
    }

    fn own_folders(&self) -> Vec<Folder> {
        let interpreter = self.interpreter();
        let paths = self.environment.kernel_folders(interpreter.as_deref());
        let folders = paths.into_iter().map(|path| Folder {
            path,
            interpreter: interpreter.clone(),
        });
        folders.collect()
    }

    fn added_folders(&self) -> Vec<Folder> {
        let own = self.interpreter().map(|interpreter| interpreter.prefix.clone());
        let prefixes = self.environment.active_prefixes();
        let added = prefixes.into_iter().filter(|prefix| Some(prefix) != own.as_ref());
        added
            .map(|prefix| Folder {
                path: prefix.join("share/jupyter/kernels"),
                interpreter: Interpreter::of_prefix(&prefix).map(Arc::new),
            })
            .collect()
    }

    fn interpreter(&self) -> Option<Arc<Interpreter>> {
        self.interpreter
            .get_or_init(|| self.choose_interpreter().map(Arc::new))
            .clone()
    }

    fn choose_interpreter(&self) -> Option<Interpreter> {
        let environments = self.environment.active_prefixes().into_iter();
        let on_path = ["python3", "python"].map(PathBuf::from);
        let chosen = self.python.clone().into_iter();
        let mut candidates = chosen.chain(environments).chain(on_path);
        candidates.find_map(|python| {
            Interpreter::find(&python, &self.environment)
                .inspect_err(|reason| self.log_unusable(&python, reason))
                .ok()
        })
    }

    fn log_unusable(&self, python: &Path, reason: &str) {
        if self.python.as_deref() == Some(python) {
            tracing::warn!(python = %python.display(), reason, "the chosen interpreter cannot be asked for kernelspecs");
        } else {
            tracing::debug!(python = %python.display(), reason, "interpreter passed over");
        }
    }
}

fn unusable(python: &Path, reason: String) -> KernelError {
    KernelError::InvalidKernelSpec {
        path: python.to_owned(),
        reason,
    }
}

fn search(folders: Vec<Folder>, found: &mut BTreeMap<String, Found>) {
    for Folder { path, interpreter } in folders {
        for (name, folder) in kernel_json::folders_in(&path) {
            found.entry(name).or_insert_with(|| Found::Installed {
                folder,
                interpreter: interpreter.clone(),
            });
        }
    }
}

#[cfg(test)]
mod tests;
