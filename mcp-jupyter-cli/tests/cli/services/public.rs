//! Clients and services that are not ours, by the protocol alone.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::process::{Program, Service};
use crate::lab::Lab;

const PACKAGES: [&str; 4] = [
    "grpcio==1.85.3",
    "grpcio-tools==1.85.1",
    "grpcio-reflection==1.85.1",
    "grpcio-health-checking==1.85.1",
];

/// A Python with grpcio, in an environment of its own that is made once. None, with the reason printed, where it cannot
/// be made; in CI that is a failure.
fn python_with_grpc(lab: &Lab) -> Option<PathBuf> {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("grpc-python");
    let lock = File::create(folder.with_extension("lock")).unwrap();
    lock.lock().unwrap();
    let python = folder.join("bin/python");
    let install = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check"];
    let is_there = || {
        Command::new(&python)
            .args(["-c", "import grpc_tools, grpc_reflection, grpc_health"])
            .output()
    };
    if !is_there().is_ok_and(|output| output.status.success()) {
        let made = Command::new(lab.python())
            .args(["-m", "venv"])
            .arg(&folder)
            .output()
            .unwrap();
        let installed = Command::new(&python).args(install).args(PACKAGES).output();
        let why = installed.map(|output| {
            (
                output.status.success(),
                String::from_utf8_lossy(&output.stderr).into_owned(),
            )
        });
        match why {
            Ok((true, _)) => {}
            why => {
                assert!(
                    std::env::var_os("CI").is_none(),
                    "grpcio cannot be installed: {made:?} {why:?}"
                );
                println!("skipped: grpcio cannot be installed: {why:?}");
                return None;
            }
        }
    }
    Some(python)
}

fn script(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/cli/services")
        .join(name)
}

#[test]
fn a_public_client_works_from_the_protocol_alone() {
    let Some(lab) = Lab::new() else { return };
    let Some(python) = python_with_grpc(&lab) else { return };
    let files = Path::new(env!("CARGO_MANIFEST_DIR")).join("../mcp-jupyter-core/proto");
    for source in [Path::new("reflection"), &files] {
        let scheduler = Service::start_on(&lab, Program::Scheduler, "127.0.0.1:0", &["--journal", "memory"]);
        let assets = Service::start(&lab, Program::Assets);
        let mut client = Command::new(&python);
        client
            .arg(script("public_client.py"))
            .arg(source)
            .args([scheduler.address(), assets.address()]);
        let output = client.output().unwrap();
        let (told, complaint) = (
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr),
        );
        assert_eq!(told, "all went well\n", "{}: {complaint}", source.display());
    }
}

#[test]
fn a_service_of_another_time_is_refused() {
    let Some(lab) = Lab::new() else { return };
    let Some(python) = python_with_grpc(&lab) else { return };
    lab.notebook("in.ipynb", &["1"]);
    let proto = Path::new(env!("CARGO_MANIFEST_DIR")).join("../mcp-jupyter-core/proto");
    for (protocol, oldest, reason) in [
        ("9", "9", "is too new for this program"),
        ("0", "0", "is too old for this program"),
    ] {
        let mut command = Command::new(&python);
        command
            .arg(script("other_service.py"))
            .arg(&proto)
            .args([protocol, oldest]);
        let mut service = command.stdout(std::process::Stdio::piped()).spawn().unwrap();
        let mut port = String::new();
        let mut told = std::io::BufReader::new(service.stdout.take().unwrap());
        std::io::BufRead::read_line(&mut told, &mut port).unwrap();
        let url = format!("grpc://127.0.0.1:{}", port.trim());
        let run = lab.run(&["run", "in.ipynb", "--no-output", "--scheduler", &url]);
        service.kill().unwrap();
        service.wait().unwrap();
        assert_eq!(run.code, 2, "{}", run.stderr);
        assert!(
            run.stderr.contains(reason) && run.stderr.contains("mcp-jupyter 9.9"),
            "{}",
            run.stderr
        );
    }
}
