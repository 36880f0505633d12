//! A folder with notebooks, a Python with ipykernel, and nothing of the user's environment.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStderr, ChildStdout, Command, Stdio};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::{Value, json};
use tempfile::TempDir;

pub(crate) struct Lab {
    folder: TempDir,
    python: PathBuf,
}

/// What a finished command has left.
pub(crate) struct Finished {
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Lab {
    /// None, with the reason printed, where there is no Python to test with; in CI that is a failure.
    pub(crate) fn new() -> Option<Self> {
        let python = test_python()?;
        let folder = tempfile::Builder::new().prefix("lab").tempdir().unwrap();
        fs::create_dir(folder.path().join("run")).unwrap();
        Some(Self { folder, python })
    }

    /// What is written down of the kernels that are kept, dead or alive.
    pub(crate) fn kept_kernels(&self) -> Vec<Value> {
        let homes = fs::read_dir(self.path("state/kernels")).into_iter().flatten().flatten();
        let described = homes.filter_map(|home| fs::read(home.path().join("kernel.json")).ok());
        described
            .filter_map(|text| serde_json::from_slice(&text).ok())
            .collect()
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn python(&self) -> &Path {
        &self.python
    }

    /// Writes a notebook of code cells for the kernel `python3`, with the ids `cell-0`, `cell-1`…
    pub(crate) fn notebook(&self, name: &str, sources: &[&str]) {
        let cells: Vec<(&str, &[&str])> = sources.iter().map(|source| (*source, &[][..])).collect();
        self.tagged_notebook(name, &cells);
    }

    pub(crate) fn tagged_notebook(&self, name: &str, cells: &[(&str, &[&str])]) {
        let cells: Vec<Value> = cells
            .iter()
            .enumerate()
            .map(|(index, (source, tags))| {
                let metadata = if tags.is_empty() {
                    json!({})
                } else {
                    json!({ "tags": tags })
                };
                json!({
                    "cell_type": "code", "id": format!("cell-{index}"), "metadata": metadata,
                    "source": source, "outputs": [], "execution_count": null,
                })
            })
            .collect();
        let kernelspec = json!({ "name": "python3", "display_name": "Python 3", "language": "python" });
        let metadata = json!({ "kernelspec": kernelspec });
        self.write(
            name,
            &json!({ "cells": cells, "metadata": metadata, "nbformat": 4, "nbformat_minor": 5 }).to_string(),
        );
    }

    pub(crate) fn write(&self, name: &str, content: &str) {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }

    pub(crate) fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap()
    }

    pub(crate) fn json(&self, name: &str) -> Value {
        serde_json::from_str(&self.read(name)).unwrap()
    }

    /// Installs a kernelspec that runs a shell script.
    pub(crate) fn kernelspec(&self, name: &str, script: &str) {
        let spec = json!({ "argv": ["sh", "-c", script, "{connection_file}"], "display_name": name, "language": "sh" });
        self.write(&format!("jupyter/kernels/{name}/kernel.json"), &spec.to_string());
    }

    /// A named pipe. Its reader sees its end when no process holds it open for writing any more.
    pub(crate) fn pipe(&self, name: &str) -> PathBuf {
        let path = self.path(name);
        nix::unistd::mkfifo(&path, nix::sys::stat::Mode::S_IRWXU).unwrap();
        path
    }

    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_mcp-jupyter"));
        let environment = self.python.parent().and_then(Path::parent).unwrap();
        command
            .args(arguments)
            .current_dir(self.folder.path())
            .env_clear()
            .env("HOME", self.folder.path())
            .env("PATH", "/usr/bin:/bin")
            .env("VIRTUAL_ENV", environment)
            .env("JUPYTER_PATH", self.path("jupyter"))
            .env("XDG_RUNTIME_DIR", self.path("run"))
            .env("MCP_JUPYTER_STATE_DIR", self.path("state"))
            .stdin(Stdio::null());
        command
    }

    /// The Python that tests use, in the environment that our command has.
    pub(crate) fn python_command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(&self.python);
        command
            .arg("-I")
            .args(arguments)
            .current_dir(self.folder.path())
            .env_clear()
            .env("HOME", self.folder.path())
            .env("PATH", "/usr/bin:/bin")
            .env("XDG_RUNTIME_DIR", self.path("run"))
            .stdin(Stdio::null());
        command
    }

    /// Runs a command to its end.
    pub(crate) fn run(&self, arguments: &[&str]) -> Finished {
        finish(&mut self.command(arguments), b"")
    }

    pub(crate) fn run_with_stdin(&self, arguments: &[&str], input: &str) -> Finished {
        finish(&mut self.command(arguments), input.as_bytes())
    }

    /// Starts a command and goes on.
    pub(crate) fn start(&self, arguments: &[&str]) -> Running {
        let mut command = self.command(arguments);
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let stdout = BufReader::new(child.stdout.take().unwrap());
        let stderr = BufReader::new(child.stderr.take().unwrap());
        Running { child, stdout, stderr }
    }

    /// Whether nothing is left of kernels: neither processes nor the folders of their sockets.
    pub(crate) fn is_clean(&self) -> bool {
        fs::read_dir(self.path("run")).unwrap().next().is_none()
    }
}

/// Kernels that outlive their commands do not outlive the folder.
impl Drop for Lab {
    fn drop(&mut self) {
        for kernel in self.kept_kernels().iter().filter(|kernel| kernel["death"].is_null()) {
            for pid in [&kernel["keeper_pid"], &kernel["generation"]["pid"]] {
                let pid = pid.as_u64().and_then(|pid| i32::try_from(pid).ok());
                let _ = pid.map(|pid| kill(Pid::from_raw(pid), Signal::SIGKILL));
            }
        }
    }
}

fn test_python() -> Option<PathBuf> {
    let named = std::env::var_os("MCP_JUPYTER_TEST_PYTHON").map(PathBuf::from);
    let own = Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .unwrap()
        .join(".venv/bin/python");
    let python = named.unwrap_or(own);
    if python.exists() {
        return Some(python);
    }
    assert!(
        std::env::var_os("CI").is_none(),
        "{} does not exist: run .ci/setup",
        python.display()
    );
    println!("skipped: {} does not exist; .ci/setup makes it", python.display());
    None
}

/// Runs a command to its end.
pub(crate) fn finish(command: &mut Command, input: &[u8]) -> Finished {
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(input).unwrap();
    let output = child.wait_with_output().unwrap();
    Finished {
        code: output.status.code().unwrap(),
        stdout: String::from_utf8(output.stdout).unwrap(),
        stderr: without_times(&String::from_utf8(output.stderr).unwrap()),
    }
}

/// `3.2 s` and `2 min 5 s` as `[time]`, where a run says how long it took.
fn without_times(text: &str) -> String {
    let line = |line: &str| match line.split_once(" cells in ").or_else(|| line.split_once(" cell in ")) {
        Some((before, after)) if before.contains(": ") => {
            let rest = after.find(',').map_or("", |at| &after[at..]);
            let unit = if line.contains(" cells in ") { "cells" } else { "cell" };
            format!("{before} {unit} in [time]{rest}")
        }
        _ => line.to_owned(),
    };
    text.lines().map(|text| line(text) + "\n").collect()
}

/// A command that runs. It is killed when the test ends before it.
pub(crate) struct Running {
    child: Child,
    stdout: BufReader<ChildStdout>,
    stderr: BufReader<ChildStderr>,
}

impl Running {
    /// Reads the next event.
    pub(crate) fn event(&mut self) -> Value {
        let mut line = String::new();
        self.stdout.read_line(&mut line).unwrap();
        serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {line:?}"))
    }

    /// Reads the next line of stderr.
    pub(crate) fn stderr_line(&mut self) -> String {
        let mut line = String::new();
        self.stderr.read_line(&mut line).unwrap();
        line
    }

    /// Reads events until one of this kind comes, and gives it.
    pub(crate) fn wait_for(&mut self, kind: &str) -> Value {
        loop {
            let event = self.event();
            if event["event"] == kind {
                return event;
            }
        }
    }

    pub(crate) fn has_ended(&mut self) -> bool {
        self.child.try_wait().unwrap().is_some()
    }

    /// Kills it, unless it has ended.
    pub(crate) fn kill(&mut self) {
        self.child.kill().unwrap();
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(i32::try_from(self.child.id()).unwrap()), signal).unwrap();
    }

    /// Waits for its end; no code where a signal ended it.
    pub(crate) fn finish(mut self) -> (Option<i32>, String) {
        let mut rest = String::new();
        self.stdout.read_to_string(&mut rest).unwrap();
        (self.child.wait().unwrap().code(), rest)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The text of all stream outputs of a cell.
pub(crate) fn printed(notebook: &Value, cell: usize) -> String {
    let outputs = notebook["cells"][cell]["outputs"].as_array().unwrap();
    let streams = outputs.iter().filter(|output| output["output_type"] == "stream");
    streams
        .flat_map(|output| {
            output["text"]
                .as_array()
                .unwrap()
                .iter()
                .map(|line| line.as_str().unwrap())
        })
        .collect()
}

/// The exception that a cell's outputs show.
pub(crate) fn raised(notebook: &Value, cell: usize) -> Option<String> {
    let outputs = notebook["cells"][cell]["outputs"].as_array().unwrap();
    let error = outputs.iter().find(|output| output["output_type"] == "error")?;
    Some(error["ename"].as_str().unwrap().to_owned())
}
