use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use mcp_jupyter_core::Error;
use mcp_jupyter_core::assets::{AssetStore, ObjectAssets, ObjectFile};
use mcp_jupyter_core::engine::{
    CellNames, Offload, OnError, PapermillOptions, Preparation, Prepared, RunRequest, Save, SaveObject, SavePolicy,
};
use mcp_jupyter_core::kernel::LaunchRequest;
use mcp_jupyter_core::kernel::local::LocalProvisioner;
use mcp_jupyter_core::model::{Json, JsonMap};
use mcp_jupyter_core::redaction::Redactor;
use mcp_jupyter_core::scheduler::Scheduler;
use mcp_jupyter_core::session::SessionError;
use mcp_jupyter_core::session::notebook::Notebook;
use pyo3::prelude::*;

use crate::assets::PyAssets;
use crate::backend::PyScheduler;
use crate::choice::KernelChoice;
use crate::object_file::{address, read_object};

/// What to run and how, as the Python half of the package has put it together.
#[derive(Debug, FromPyObject)]
#[pyo3(from_item_all)]
pub(crate) struct Options {
    /// The notebook's file; none where the notebook itself is given.
    path: Option<PathBuf>,
    /// The notebook as JSON.
    document: Option<Vec<u8>>,
    /// A path, or the address of an object.
    output: Option<PathBuf>,
    /// A JSON object.
    parameters: String,
    kernel: KernelChoice,
    cwd: Option<PathBuf>,
    env: BTreeMap<String, String>,
    /// Times are in seconds.
    timeout: Option<f64>,
    run_timeout: Option<f64>,
    startup_timeout: f64,
    on_error: String,
    /// `every-cell`, `on-exit`, or seconds.
    save: Saving,
    tags: Vec<String>,
    skip_tags: Vec<String>,
    first: Option<String>,
    last: Option<String>,
    targets: Vec<String>,
    resume: bool,
    assets: Option<Store>,
    asset_threshold: Option<u64>,
    scheduler: Option<Py<PyScheduler>>,
    redact: bool,
    strip_timing: bool,
    papermill: Option<Papermill>,
}

/// Where large outputs go.
#[derive(Debug, FromPyObject)]
enum Store {
    Address(String),
    Opened(Py<PyAssets>),
}

#[derive(Debug, FromPyObject)]
enum Saving {
    Interval(f64),
    Named(String),
}

/// What papermill does besides.
#[derive(Debug, FromPyObject)]
#[pyo3(from_item_all)]
struct Papermill {
    report_mode: bool,
    language: Option<String>,
    input_path: String,
    output_path: Option<String>,
    prepare_only: bool,
}

/// A run that can begin, and what the user should know before.
#[derive(Debug)]
pub(super) struct Ready {
    pub(super) provisioner: LocalProvisioner,
    pub(super) request: RunRequest,
    pub(super) warnings: Vec<String>,
}

impl Options {
    /// Reads and prepares the notebook, and finds its kernel. It may block.
    pub(super) fn ready(self) -> Result<Ready, Error> {
        let notebook = self.notebook()?;
        let (provisioner, spec) = self.kernel.choose(&notebook)?;
        self.make_folder()?;
        let prepared = self.preparation()?.prepare(notebook, Some(&spec))?;
        let mut kernel = LaunchRequest::new(spec);
        kernel.cwd.clone_from(&self.cwd);
        kernel.env.clone_from(&self.env);
        kernel.startup_timeout = seconds("startup_timeout", self.startup_timeout)?;
        let warnings = prepared.warnings.clone();
        let request = self.request(prepared, kernel)?;
        Ok(Ready {
            provisioner,
            request,
            warnings,
        })
    }

    /// The notebook as it would be run, where it is only to be prepared.
    pub(super) fn prepared_only(&self) -> Option<Result<Notebook, Error>> {
        let only = self.papermill.as_ref().is_some_and(|papermill| papermill.prepare_only);
        only.then(|| {
            let notebook = self.notebook()?;
            let spec = self.kernel.choose(&notebook).ok().map(|(_, spec)| spec);
            Ok(self.preparation()?.prepare(notebook, spec.as_ref())?.notebook)
        })
    }

    /// Who plans, where that is somebody else than the engine's own.
    pub(super) fn scheduler(&self, py: Python<'_>) -> PyResult<Option<Arc<dyn Scheduler>>> {
        self.scheduler
            .as_ref()
            .map(|handle| handle.get().scheduler(py))
            .transpose()
    }

    /// The file that the result goes to.
    pub(super) fn file(&self) -> Option<&Path> {
        self.output.as_deref().filter(|output| address(output).is_none())
    }

    /// The address of the object that the result goes to.
    pub(super) fn object(&self) -> Option<&str> {
        self.output.as_deref().and_then(address)
    }

    fn notebook(&self) -> Result<Notebook, Error> {
        let read = match (&self.path, &self.document) {
            (Some(path), _) => match address(path) {
                Some(address) => Notebook::parse(&read_object(address)?),
                None => Notebook::open(path),
            },
            (None, document) => Notebook::parse(document.as_deref().unwrap_or_default()),
        };
        Ok(read?)
    }

    pub(super) fn make_folder(&self) -> Result<(), Error> {
        let folder = self.file().and_then(Path::parent);
        let Some(folder) = folder.filter(|folder| !folder.as_os_str().is_empty()) else {
            return Ok(());
        };
        let made = std::fs::create_dir_all(folder).map_err(|source| SessionError::Io {
            action: format!("make the folder {}", folder.display()),
            source,
        });
        Ok(made?)
    }

    fn preparation(&self) -> Result<Preparation, Error> {
        let papermill = self.papermill.as_ref().map(|papermill| PapermillOptions {
            report_mode: papermill.report_mode,
            language: papermill.language.clone(),
            input_path: papermill.input_path.clone(),
            output_path: papermill.output_path.clone(),
        });
        let previous = self.file().filter(|output| self.path.as_deref() != Some(output));
        if self.resume
            && let Some(address) = self.object()
        {
            let reason = format!("resume: what an earlier run has left is read from files only, not from {address}");
            return Err(invalid(reason).into());
        }
        Ok(Preparation {
            parameters: parameters(&self.parameters)?,
            cells: CellNames {
                tags: self.tags.clone(),
                skip_tags: self.skip_tags.clone(),
                from: self.first.clone(),
                to: self.last.clone(),
                targets: self.targets.clone(),
                resume: self.resume,
            },
            strip_timing: self.strip_timing,
            papermill,
            previous: previous.filter(|output| output.exists()).map(Path::to_owned),
        })
    }

    fn request(self, prepared: Prepared, kernel: LaunchRequest) -> Result<RunRequest, Error> {
        let policy = self.save.policy()?;
        let save = self.file().map(|path| Save {
            path: path.to_owned(),
            policy,
        });
        let object = self.object().map(ObjectFile::open).transpose()?;
        let save_object = object.map(|object| SaveObject { object, policy });
        let limit = |name, limit: Option<f64>| limit.map(|limit| seconds(name, limit)).transpose();
        Ok(RunRequest {
            selection: prepared.selection,
            targets: prepared.targets,
            cell_timeout: limit("timeout", self.timeout)?,
            run_timeout: limit("run_timeout", self.run_timeout)?,
            on_error: on_error(&self.on_error)?,
            offload: self.offload()?,
            redactor: self.redactor(),
            record_timing: !self.strip_timing,
            save,
            save_object,
            ..RunRequest::new(prepared.notebook, kernel)
        })
    }

    fn offload(&self) -> Result<Option<Offload>, Error> {
        let store: Arc<dyn AssetStore> = match &self.assets {
            None => return Ok(None),
            Some(Store::Address(address)) => Arc::new(ObjectAssets::open(address)?),
            Some(Store::Opened(assets)) => assets.get().store().map_err(|error| invalid(error.to_string()))?,
        };
        let offload = Offload::new(store);
        Ok(Some(match self.asset_threshold {
            Some(threshold) => offload.with_threshold(threshold),
            None => offload,
        }))
    }

    /// What masks secrets, those among the variables of the kernel as well.
    fn redactor(&self) -> Option<Redactor> {
        self.redact.then(|| {
            Redactor::new()
                .with_environment(std::env::vars_os())
                .with_environment(&self.env)
        })
    }
}

impl Saving {
    fn policy(&self) -> Result<SavePolicy, SessionError> {
        match self {
            Self::Interval(interval) => seconds("save", *interval).map(SavePolicy::Interval),
            Self::Named(name) if name == "every-cell" => Ok(SavePolicy::EveryCell),
            Self::Named(name) if name == "on-exit" => Ok(SavePolicy::OnExit),
            Self::Named(name) => Err(invalid(format!(
                "save={name:?}: expected \"every-cell\", \"on-exit\" or a time in seconds"
            ))),
        }
    }
}

/// What a failed cell means, by its name.
pub(crate) fn on_error(name: &str) -> Result<OnError, SessionError> {
    match name {
        "stop" => Ok(OnError::Stop),
        "continue" => Ok(OnError::Continue),
        "independent" => Ok(OnError::ContinueIndependent),
        _ => Err(invalid(format!(
            "on_error={name:?}: expected \"stop\", \"continue\" or \"independent\""
        ))),
    }
}

/// A time above 0.
pub(crate) fn seconds(name: &str, seconds: f64) -> Result<Duration, SessionError> {
    Some(seconds)
        .filter(|seconds| *seconds > 0.0)
        .and_then(|seconds| Duration::try_from_secs_f64(seconds).ok())
        .ok_or_else(|| invalid(format!("{name}={seconds}: expected a time above 0, in seconds")))
}

fn parameters(text: &str) -> Result<JsonMap, SessionError> {
    match Json::parse(text.as_bytes()) {
        Ok(Json::Object(parameters)) => Ok(parameters),
        _ => Err(invalid("parameters: expected a mapping of names to values".to_owned())),
    }
}

pub(crate) fn invalid(reason: String) -> SessionError {
    SessionError::InvalidRequest(reason)
}
