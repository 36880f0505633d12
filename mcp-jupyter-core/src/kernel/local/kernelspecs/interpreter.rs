use std::ffi::OsStr;
use std::fs;
use std::path::{Component, Path, PathBuf, absolute};
use std::process::{Command, Output, Stdio};

use crate::model::Json;

use super::command::fill_template;
use super::environment::Environment;

/// Prints where the interpreter's files are. Nothing in the working folder can shadow the modules that it imports,
/// whereas PYTHONPATH and the user's site-packages count, as they will for the kernel.
const QUESTION: &str = "\
import sys
if sys.path and sys.path[0] == '':
    del sys.path[0]
import importlib.util, json, os, site
spec = importlib.util.find_spec('ipykernel')
print()
print(json.dumps({
    'executable': sys.executable,
    'prefix': sys.prefix,
    'virtual': sys.prefix != sys.base_prefix,
    'user_base': site.getuserbase() if site.ENABLE_USER_SITE else None,
    'ipykernel': spec and spec.origin and os.path.dirname(spec.origin),
}))";

/// A Python interpreter, and where it keeps its files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Interpreter {
    pub(super) executable: PathBuf,
    pub(super) prefix: PathBuf,
    pub(super) is_virtual: bool,
    /// Where `pip install --user` puts things, unless this interpreter ignores it.
    pub(super) user_base: Option<PathBuf>,
}

impl Interpreter {
    /// The interpreter at a path, in an environment's folder, or of this name on the PATH.
    ///
    /// An error is the reason why there is none, to follow its name.
    pub(super) fn find(python: &Path, environment: &Environment) -> Result<Self, String> {
        let executable = locate(python, environment)?;
        match Self::in_virtual_environment(&executable) {
            Some(interpreter) => Ok(interpreter),
            None => Ok(Self::ask(&executable, environment)?.0),
        }
    }

    /// The interpreter in an environment's folder.
    pub(super) fn of_prefix(prefix: &Path) -> Option<Self> {
        Some(Self {
            executable: executable_in(prefix)?,
            prefix: prefix.to_owned(),
            is_virtual: false,
            user_base: None,
        })
    }

    /// What starting the interpreter of a virtual environment would tell, without starting it: that takes longer than
    /// the rest of the search.
    fn in_virtual_environment(executable: &Path) -> Option<Self> {
        let name = executable.file_name()?.to_string_lossy();
        let prefix = executable.parent()?.parent()?;
        let settings = fs::read_to_string(prefix.join("pyvenv.cfg")).ok()?;
        if !name.starts_with("python") || sees_user_site(&settings) {
            return None;
        }
        Some(Self {
            executable: executable.to_owned(),
            prefix: prefix.to_owned(),
            is_virtual: true,
            user_base: None,
        })
    }

    /// Starts the interpreter to ask it, and where its ipykernel is.
    fn ask(executable: &Path, environment: &Environment) -> Result<(Self, Option<PathBuf>), String> {
        let answer = answer(executable, environment)?;
        let path = |key| {
            let text = answer.get(key).and_then(Json::as_str);
            text.filter(|text| !text.is_empty()).map(|text| PathBuf::from(&*text))
        };
        let prefix = path("prefix").ok_or("is no Python interpreter: it knows no sys.prefix")?;
        let interpreter = Self {
            executable: path("executable").unwrap_or_else(|| executable.to_owned()),
            prefix,
            is_virtual: answer.get("virtual").and_then(Json::as_bool).unwrap_or(false),
            user_base: path("user_base"),
        };
        Ok((interpreter, path("ipykernel")))
    }

    /// The resources of the ipykernel that this interpreter imports, if it has one.
    pub(super) fn ipykernel(&self, environment: &Environment) -> Result<Option<PathBuf>, String> {
        let package = match self.installed_ipykernel() {
            Some(package) => Some(package),
            None => Self::ask(&self.executable, environment)?.1,
        };
        Ok(package.map(|package| package.join("resources")))
    }

    fn installed_ipykernel(&self) -> Option<PathBuf> {
        let mut versions = fs::read_dir(self.prefix.join("lib")).ok()?.filter_map(Result::ok);
        versions.find_map(|version| {
            let packages = version.path().join("site-packages");
            let complete = packages.join("ipykernel_launcher.py").is_file();
            Some(packages.join("ipykernel")).filter(|package| complete && package.is_dir())
        })
    }

    /// Fills in what a kernelspec's command leaves to the interpreter: `python` itself, and `{prefix}`.
    ///
    /// `python` on the PATH is often another one when an environment is used without being activated.
    ///
    /// Source: `KernelManager.format_kernel_cmd` of `jupyter_client`.
    pub(super) fn fill_in(&self, argv: &mut [String]) {
        if let Some(program) = argv.first_mut()
            && let Some(executable) = self.meant_by(program)
        {
            *program = executable.to_string_lossy().into_owned();
        }
        let prefix = self.prefix.to_string_lossy();
        for argument in argv {
            *argument = fill_template(argument, |name| (name == "prefix").then(|| prefix.to_string()));
        }
    }

    fn meant_by(&self, program: &str) -> Option<PathBuf> {
        match program.strip_prefix("python")? {
            "" | "3" => Some(self.executable.clone()),
            version if version.starts_with("3.") => self.of_version(program),
            _ => None,
        }
    }

    /// The interpreter of a version: this one, or another one beside it.
    fn of_version(&self, program: &str) -> Option<PathBuf> {
        let named = self.prefix.join("bin").join(program);
        let real = named.canonicalize().ok()?;
        let is_this = self
            .executable
            .canonicalize()
            .is_ok_and(|executable| executable == real);
        Some(if is_this { self.executable.clone() } else { named })
    }
}

/// The absolute path of an interpreter, its symlinks kept: they are what makes a virtual environment.
fn locate(python: &Path, environment: &Environment) -> Result<PathBuf, String> {
    if python.is_dir() {
        return executable_in(python).ok_or_else(|| "is a folder without bin/python".to_owned());
    }
    let missing = || "there is no such file; expected the path of a Python interpreter".to_owned();
    if python.is_file() {
        return absolute(python).map(|path| normalised(&path)).map_err(|_| missing());
    }
    let is_name = python.components().count() == 1 && python.file_name().is_some();
    let found = if is_name { environment.on_path(python) } else { None };
    found.ok_or_else(missing)
}

fn executable_in(prefix: &Path) -> Option<PathBuf> {
    let prefix = normalised(&absolute(prefix).ok()?);
    let names = ["bin/python", "bin/python3"].into_iter();
    names.map(|name| prefix.join(name)).find(|path| path.is_file())
}

/// `..` taken away by name, as Python does when it computes its prefix.
fn normalised(path: &Path) -> PathBuf {
    let mut clean = PathBuf::new();
    for component in path.components() {
        match component {
            Component::ParentDir => {
                clean.pop();
            }
            other => clean.push(other),
        }
    }
    clean
}

fn sees_user_site(pyvenv_cfg: &str) -> bool {
    pyvenv_cfg
        .lines()
        .filter_map(|line| line.split_once('='))
        .any(|(key, value)| {
            key.trim().eq_ignore_ascii_case("include-system-site-packages") && value.trim().eq_ignore_ascii_case("true")
        })
}

fn answer(executable: &Path, environment: &Environment) -> Result<Json, String> {
    let output = Command::new(executable)
        .args([OsStr::new("-c"), OsStr::new(QUESTION)])
        .env_clear()
        .envs(environment.variables())
        .stdin(Stdio::null())
        .output()
        .map_err(|error| format!("cannot be started as a Python interpreter: {error}"))?;
    let lines = String::from_utf8_lossy(&output.stdout);
    let last = lines.lines().last().unwrap_or_default();
    match Json::parse(last.as_bytes()) {
        Ok(answer @ Json::Object(_)) if output.status.success() => Ok(answer),
        _ => Err(refusal(&output)),
    }
}

fn refusal(output: &Output) -> String {
    let stderr = String::from_utf8_lossy(&output.stderr);
    let last = stderr.lines().rev().find(|line| !line.trim().is_empty());
    let said = last.map_or_else(String::new, |line| format!(", and says: {}", line.trim()));
    format!("is no Python 3 that works: it ended with {}{said}", output.status)
}
