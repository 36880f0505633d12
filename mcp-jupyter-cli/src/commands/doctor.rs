use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use mcp_jupyter_core::Error;
use mcp_jupyter_core::kernel::local::LocalProvisioner;
use mcp_jupyter_core::kernel::{KernelProvisioner, KernelSpec};
use serde::Serialize;

use crate::args::DoctorArgs;
use crate::error::CliError;
use crate::exit::Exit;
use crate::report;

/// Prints the versions of Python and of ipykernel, the second only where it is installed.
const VERSIONS: &str = "import sys
print(sys.version.split()[0])
import importlib.metadata
print(importlib.metadata.version('ipykernel'))";

/// What has been examined.
#[derive(Debug, Serialize)]
struct Diagnosis {
    version: &'static str,
    pythons: Vec<Python>,
    kernels: Vec<KernelCheck>,
    folders: Vec<FolderCheck>,
    /// What to do, most urgent first.
    advice: Vec<String>,
}

#[derive(Debug, Serialize)]
struct Python {
    path: PathBuf,
    /// None where it does not run.
    version: Option<String>,
    ipykernel: Option<String>,
}

#[derive(Debug, Serialize)]
struct KernelCheck {
    name: String,
    display_name: String,
    resource_dir: PathBuf,
    program: String,
    program_exists: bool,
}

/// A folder that kernels' sockets or temporary files are put into.
#[derive(Debug, Serialize)]
struct FolderCheck {
    path: PathBuf,
    problem: Option<String>,
}

/// Examines what notebooks need to run; fails where no kernel could be started.
pub(crate) async fn doctor(args: DoctorArgs) -> Result<Exit, CliError> {
    let provisioner = match &args.python {
        Some(python) => LocalProvisioner::new().with_python(python),
        None => LocalProvisioner::new(),
    };
    let specs = provisioner.kernelspecs().await.map_err(Error::from)?;
    let diagnosis = Diagnosis::make(args.python.as_deref(), &specs);
    if args.json {
        report::show_json(&diagnosis);
    } else {
        report::show_checks(&diagnosis.lines());
    }
    Ok(if diagnosis.can_run() {
        Exit::Ok
    } else {
        Exit::KernelStart
    })
}

impl Diagnosis {
    fn make(chosen: Option<&Path>, specs: &[KernelSpec]) -> Self {
        let mut diagnosis = Self {
            version: env!("CARGO_PKG_VERSION"),
            pythons: pythons(chosen).into_iter().map(Python::examine).collect(),
            kernels: specs.iter().map(KernelCheck::examine).collect(),
            folders: folders().into_iter().map(FolderCheck::examine).collect(),
            advice: Vec::new(),
        };
        diagnosis.advise();
        diagnosis
    }

    fn can_run(&self) -> bool {
        self.kernels.iter().any(|kernel| kernel.program_exists)
            && self.folders.iter().all(|folder| folder.problem.is_none())
    }

    fn advise(&mut self) {
        let working = self.pythons.iter().find(|python| python.version.is_some());
        if !self.kernels.iter().any(|kernel| kernel.program_exists) {
            self.advice.push(match working {
                Some(python) if python.ipykernel.is_some() => format!("run with: --python {}", python.path.display()),
                Some(python) => format!("install a kernel: {} -m pip install ipykernel", python.path.display()),
                None => "install Python 3, then: python3 -m pip install ipykernel".to_owned(),
            });
        }
        for kernel in self.kernels.iter().filter(|kernel| !kernel.program_exists) {
            self.advice.push(format!(
                "the kernel {} names a program that does not exist: remove {} or install {}",
                kernel.name,
                kernel.resource_dir.display(),
                kernel.program
            ));
        }
        for folder in self.folders.iter().filter(|folder| folder.problem.is_some()) {
            self.advice
                .push(format!("make {} a folder that you can write to", folder.path.display()));
        }
    }

    fn lines(&self) -> Vec<(Option<bool>, String)> {
        let mut lines = vec![(None, format!("mcp-jupyter {}", self.version))];
        lines.extend(self.pythons.iter().map(Python::line));
        if self.pythons.is_empty() {
            lines.push((Some(false), "no Python on the PATH".to_owned()));
        }
        lines.extend(self.kernels.iter().map(KernelCheck::line));
        if self.kernels.is_empty() {
            lines.push((Some(false), "no kernels".to_owned()));
        }
        lines.extend(self.folders.iter().map(FolderCheck::line));
        lines.extend(self.advice.iter().map(|advice| (None, format!("to do: {advice}"))));
        lines
    }
}

/// The interpreters that a kernel could come from: the chosen one, those of active environments and of `.venv`, those
/// on the PATH.
fn pythons(chosen: Option<&Path>) -> Vec<PathBuf> {
    let in_folder = |folder: PathBuf| {
        if folder.is_dir() {
            folder.join("bin/python")
        } else {
            folder
        }
    };
    let environments = ["VIRTUAL_ENV", "CONDA_PREFIX"]
        .map(std::env::var_os)
        .into_iter()
        .flatten()
        .map(PathBuf::from);
    let on_path = ["python3", "python"].into_iter().filter_map(on_path);
    let candidates = chosen
        .map(Path::to_owned)
        .into_iter()
        .chain(environments)
        .chain([".venv".into()]);
    let mut seen = BTreeSet::new();
    let existing = candidates
        .map(in_folder)
        .chain(on_path)
        .filter(|path| path.exists() || Some(&**path) == chosen);
    existing.filter(|path| seen.insert(path.clone())).collect()
}

fn on_path(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path)
        .map(|folder| folder.join(program))
        .find(|candidate| candidate.is_file())
}

impl Python {
    fn examine(path: PathBuf) -> Self {
        let mut command = Command::new(&path);
        command.args(["-c", VERSIONS]).current_dir("/").stdin(Stdio::null());
        let printed = command
            .output()
            .map(|output| String::from_utf8_lossy(&output.stdout).into_owned());
        let mut lines = printed.iter().flat_map(|text| text.lines()).map(str::to_owned);
        let (version, ipykernel) = (lines.next(), lines.next());
        drop(lines);
        Self {
            path,
            version,
            ipykernel,
        }
    }

    fn line(&self) -> (Option<bool>, String) {
        let path = self.path.display();
        match (&self.version, &self.ipykernel) {
            (None, _) => (Some(false), format!("{path} does not run")),
            (Some(version), None) => (None, format!("{path}: Python {version}, no ipykernel")),
            (Some(version), Some(ipykernel)) => {
                (Some(true), format!("{path}: Python {version}, ipykernel {ipykernel}"))
            }
        }
    }
}

impl KernelCheck {
    fn examine(spec: &KernelSpec) -> Self {
        let program = spec.argv.first().cloned().unwrap_or_default();
        let exists = if program.contains('/') {
            Path::new(&program).is_file()
        } else {
            on_path(&program).is_some()
        };
        Self {
            name: spec.name.clone(),
            display_name: spec.display_name.clone(),
            resource_dir: spec.resource_dir.clone(),
            program,
            program_exists: exists,
        }
    }

    fn line(&self) -> (Option<bool>, String) {
        let Self {
            name,
            display_name,
            program,
            ..
        } = self;
        if self.program_exists {
            (Some(true), format!("kernel {name} ({display_name}): {program}"))
        } else {
            (
                Some(false),
                format!("kernel {name} ({display_name}): {program} does not exist"),
            )
        }
    }
}

fn folders() -> Vec<PathBuf> {
    let runtime = std::env::var_os("XDG_RUNTIME_DIR")
        .filter(|path| !path.is_empty())
        .map(PathBuf::from);
    runtime
        .into_iter()
        .filter(|path| path.is_dir())
        .chain([std::env::temp_dir()])
        .collect()
}

impl FolderCheck {
    /// Tries it: permissions, a read-only file system and a full disk all show.
    fn examine(path: PathBuf) -> Self {
        let probe = path.join(format!(".mcp-jupyter-doctor-{}", std::process::id()));
        let written = std::fs::write(&probe, "probe").and_then(|()| std::fs::remove_file(&probe));
        Self {
            path,
            problem: written.err().map(|error| error.to_string()),
        }
    }

    fn line(&self) -> (Option<bool>, String) {
        match &self.problem {
            None => (Some(true), format!("{} can be written to", self.path.display())),
            Some(problem) => (
                Some(false),
                format!("{} cannot be written to: {problem}", self.path.display()),
            ),
        }
    }
}
