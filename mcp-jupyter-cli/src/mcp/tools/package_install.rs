use std::path::PathBuf;
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use mcp_jupyter_core::model::{Json, JsonMap};
use mcp_jupyter_core::session::SessionRecord;
use mcp_jupyter_core::session::edit::Edit;
use schemars::JsonSchema;
use serde::Deserialize;
use tokio::process::Command;
use tokio::time::timeout;

use crate::keeping;
use crate::mcp::answer::{Answer, Refusal};
use crate::mcp::caller::Caller;
use crate::mcp::server::Server;
use crate::mcp::tool::{Effect, Tool};

/// How long an installation may take.
const LONGEST: Duration = Duration::from_secs(900);

/// The member of a notebook's metadata that says what was installed for it.
const METADATA: &str = "mcp_jupyter";

pub(super) struct PackageInstall;

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Arguments {
    path: String,
    /// As pip takes them, such as pandas>=2
    packages: Vec<String>,
}

impl Tool for PackageInstall {
    const NAME: &'static str = "package_install";
    const DESCRIPTION: &'static str =
        "Install packages into the environment of a notebook's kernel, by uv or pip, and note them in the notebook.";
    const EFFECT: Effect = Effect::Destroys;
    type Arguments = Arguments;

    async fn call(server: Arc<Server>, arguments: Arguments, _caller: Caller) -> Result<Answer, Refusal> {
        check(&arguments.packages, &server.policy.packages)?;
        let record = server.session(&arguments.path).await?;
        let python = interpreter(&server, &record).await?;
        let (program, output) = install(&python, &arguments.packages).await?;
        note(&server, &record, &arguments.packages).await?;
        let mut page = server.page();
        page.line(format!(
            "{program} installed {} for {}; a kernel that has imported an older one needs kernel_restart",
            arguments.packages.join(", "),
            python.display()
        ));
        page.text(&output, "the rest says nothing else");
        Ok(Answer {
            content: page.finish(),
            ..Answer::default()
        })
    }
}

/// Refuses what is no package, or not allowed.
fn check(packages: &[String], allowed: &[String]) -> Result<(), Refusal> {
    if packages.is_empty() {
        return Err(Refusal::new("name the packages"));
    }
    for package in packages {
        let name = name_of(package);
        if name.is_empty() {
            return Err(Refusal::new(format!("{package:?} is no package")));
        }
        let is_allowed = allowed.is_empty() || allowed.iter().any(|allowed| name_of(allowed) == name);
        // What comes from elsewhere may be called anything.
        if !is_allowed || !allowed.is_empty() && package.contains(['@', '/']) {
            return Err(Refusal::new(format!("{package} may not be installed on this server"))
                .with_advice(format!("these may: {}", allowed.join(", "))));
        }
    }
    Ok(())
}

/// A package's name, normalised as PyPI does (PEP 503); empty where it is none.
fn name_of(package: &str) -> String {
    let is_part = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    let name: String = package.trim().chars().take_while(|c| is_part(*c)).collect();
    if !name.starts_with(|c: char| c.is_ascii_alphanumeric()) {
        return String::new();
    }
    let mut normal = String::new();
    for c in name.to_ascii_lowercase().chars() {
        let c = if matches!(c, '_' | '.') { '-' } else { c };
        if !(c == '-' && normal.ends_with('-')) {
            normal.push(c);
        }
    }
    normal
}

/// The interpreter of the notebook's kernel, or of the one that it would have.
async fn interpreter(server: &Server, record: &SessionRecord) -> Result<PathBuf, Refusal> {
    let spec = match &record.kernel {
        Some(kernel) => kernel.spec.clone(),
        None => {
            let notebook = keeping::newest(&server.sessions, record).await?;
            server.kernels.choose(&notebook).await?
        }
    };
    let program = spec.argv.first().map(PathBuf::from).unwrap_or_default();
    let is_python = program
        .file_name()
        .is_some_and(|name| name.to_string_lossy().starts_with("python"));
    if is_python && spec.language.eq_ignore_ascii_case("python") {
        return Ok(program);
    }
    Err(Refusal::new(format!(
        "the kernel {} runs {}, of which the environment is not known",
        spec.name,
        program.display()
    )))
}

async fn install(python: &PathBuf, packages: &[String]) -> Result<(&'static str, String), Refusal> {
    let by_uv = || {
        let mut command = Command::new("uv");
        command.args(["pip", "install", "--python"]).arg(python);
        command
    };
    let by_pip = || {
        let mut command = Command::new(python);
        command.args(["-m", "pip", "install", "--disable-pip-version-check", "--no-input"]);
        command
    };
    let (name, output) = match run(by_uv(), packages).await {
        Err(Failure::Missing) => ("pip", run(by_pip(), packages).await),
        done => ("uv", done),
    };
    match output {
        Ok(output) => Ok((name, output)),
        Err(Failure::Missing) => Err(Refusal::new(format!("there is neither uv nor {}", python.display()))),
        Err(Failure::Refused(said)) => Err(Refusal::new(format!("{name} failed:\n{said}"))),
    }
}

enum Failure {
    Missing,
    Refused(String),
}

async fn run(mut command: Command, packages: &[String]) -> Result<String, Failure> {
    let done = command
        .arg("--")
        .args(packages)
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output();
    let output = match timeout(LONGEST, done).await {
        Ok(Ok(output)) => output,
        Ok(Err(error)) if error.kind() == std::io::ErrorKind::NotFound => return Err(Failure::Missing),
        Ok(Err(error)) => return Err(Failure::Refused(error.to_string())),
        Err(_) => return Err(Failure::Refused(format!("it took longer than {} s", LONGEST.as_secs()))),
    };
    let said = [output.stdout, output.stderr].map(|said| String::from_utf8_lossy(&said).trim().to_owned());
    let said = said.join("\n").trim().to_owned();
    if output.status.success() {
        Ok(said)
    } else {
        Err(Failure::Refused(said))
    }
}

/// Writes down in the notebook what was installed for it.
async fn note(server: &Server, record: &SessionRecord, packages: &[String]) -> Result<(), Refusal> {
    let notebook = server.sessions.store().snapshot(&record.id).await?.notebook;
    let mut ours = notebook
        .metadata()
        .get(METADATA)
        .and_then(Json::as_object)
        .cloned()
        .unwrap_or_default();
    let noted = ours.get("packages").and_then(Json::as_array).unwrap_or_default();
    let mut noted: Vec<Json> = noted.to_vec();
    for package in packages {
        if !noted
            .iter()
            .any(|noted| noted.as_str().as_deref() == Some(package.as_str()))
        {
            noted.push(Json::from(package.clone()));
        }
    }
    ours.insert("packages".to_owned(), Json::Array(noted));
    let set: JsonMap = [(METADATA.to_owned(), Json::Object(ours))].into_iter().collect();
    let edit = Edit::SetMetadata {
        cell: None,
        set,
        remove: Vec::new(),
    };
    server.sessions.store().apply(&record.id, &vec![edit].into()).await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_allowed_packages_are_installed() {
        let allowed = ["Scikit_Learn".to_owned()];
        let checked = |package: &str, allowed: &[String]| check(&[package.to_owned()], allowed).is_ok();
        assert!(checked("scikit-learn>=1", &allowed));
        assert!(checked("scikit.learn[extra]", &allowed));
        for other in [
            "pandas",
            "scikit-learn @ https://example.org/x",
            "--index-url",
            "",
            "../x",
        ] {
            assert!(!checked(other, &allowed), "{other}");
        }
        assert!(checked("pandas", &[]));
        assert!(!checked("--target=/", &[]));
        assert!(!checked("./folder", &[]));
    }
}
