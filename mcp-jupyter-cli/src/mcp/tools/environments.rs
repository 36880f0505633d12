use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use schemars::JsonSchema;
use serde::Deserialize;
use tokio::process::Command;
use tokio::time::timeout;

use crate::mcp::answer::{Answer, Refusal};
use crate::mcp::caller::Caller;
use crate::mcp::server::Server;
use crate::mcp::tool::{Effect, Tool};

/// Interpreters that are examined.
const EXAMINED: usize = 40;

/// How long one may take to answer.
const PATIENCE: Duration = Duration::from_secs(10);

const QUESTION: &str = "import sys, importlib.util as u\n\
                        print(sys.version.split()[0], 'yes' if u.find_spec('ipykernel') else 'no')";

pub(super) struct EnvironmentList;

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Arguments {}

impl Tool for EnvironmentList {
    const NAME: &'static str = "environment_list";
    const DESCRIPTION: &'static str = "Python interpreters (venv, conda, uv, poetry, pyenv, PATH), their versions, and \
                                       whether they have ipykernel, which kernel_start needs.";
    const EFFECT: Effect = Effect::Reads;
    type Arguments = Arguments;

    async fn call(server: Arc<Server>, _arguments: Arguments, _caller: Caller) -> Result<Answer, Refusal> {
        let roots = server.roots.folders().to_vec();
        let found = tokio::task::spawn_blocking(move || interpreters(&roots)).await;
        let found = found.map_err(|error| Refusal::new(format!("interpreters cannot be looked for: {error}")))?;
        let examined = found.iter().take(EXAMINED).map(|(kind, python)| examine(kind, python));
        let mut lines = join_all(examined).await;
        if found.len() > EXAMINED {
            lines.push(format!("[{} more were not examined]", found.len() - EXAMINED));
        }
        Ok(Answer::text(lines.join("\n")))
    }
}

async fn examine(kind: &str, python: &Path) -> String {
    let asked = Command::new(python)
        .args(["-I", "-c", QUESTION])
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .output();
    let said = match timeout(PATIENCE, asked).await {
        Ok(Ok(output)) if output.status.success() => String::from_utf8_lossy(&output.stdout).trim().to_owned(),
        _ => String::new(),
    };
    match said.split_once(' ') {
        Some((version, "yes")) => format!("{} ({kind}, {version}, ipykernel)", python.display()),
        Some((version, _)) => format!("{} ({kind}, {version}, no ipykernel)", python.display()),
        None => format!("{} ({kind}, does not answer)", python.display()),
    }
}

/// The interpreters of all environments that there are, with what kind of environment each is of, once each.
fn interpreters(roots: &[PathBuf]) -> Vec<(&'static str, PathBuf)> {
    let home = std::env::var_os("HOME").map(PathBuf::from).unwrap_or_default();
    let mut found: Vec<(&'static str, PathBuf)> = Vec::new();
    let mut add = |kind, environment: &Path| found.push((kind, environment.join("bin/python")));
    for variable in ["VIRTUAL_ENV", "CONDA_PREFIX"] {
        if let Some(environment) = std::env::var_os(variable) {
            add("active", Path::new(&environment));
        }
    }
    for root in roots {
        for folder in [root.clone()].into_iter().chain(folders(root)) {
            if folder.join("pyvenv.cfg").is_file() {
                add("venv", &folder);
            }
            for name in [".venv", "venv"] {
                add("venv", &folder.join(name));
            }
        }
    }
    let conda = std::fs::read_to_string(home.join(".conda/environments.txt")).unwrap_or_default();
    conda
        .lines()
        .for_each(|environment| add("conda", Path::new(environment)));
    for (kind, folder) in [
        ("conda", "miniconda3/envs"),
        ("conda", "miniforge3/envs"),
        ("pyenv", ".pyenv/versions"),
        ("uv", ".local/share/uv/python"),
        ("poetry", ".cache/pypoetry/virtualenvs"),
    ] {
        for environment in folders(&home.join(folder)) {
            add(kind, &environment);
        }
    }
    let path = std::env::var_os("PATH").unwrap_or_default();
    found.extend(std::env::split_paths(&path).map(|folder| ("PATH", folder.join("python3"))));
    // The interpreter of an environment is often a link to another one's: the environment is where the link is.
    let mut seen = BTreeSet::new();
    found.retain(|(_, python)| python.is_file() && seen.insert(canonical_folder(python)));
    found
}

fn canonical_folder(python: &Path) -> PathBuf {
    let folder = python.parent().unwrap_or(python);
    folder.canonicalize().unwrap_or_else(|_| folder.to_owned())
}

fn folders(folder: &Path) -> Vec<PathBuf> {
    let entries = folder.read_dir().into_iter().flatten().flatten();
    let mut folders: Vec<PathBuf> = entries.map(|entry| entry.path()).filter(|path| path.is_dir()).collect();
    folders.sort();
    folders
}
