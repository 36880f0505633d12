//! Runs a notebook and prints what its cells print: `run-notebook analysis.ipynb [python]`.
#![allow(clippy::print_stdout, reason = "it is a program for the terminal")]

use std::path::PathBuf;
use std::sync::Arc;

use anyhow::{Context, ensure};
use futures_util::StreamExt;
use mcp_jupyter_core::engine::{Engine, RunEvent, RunRequest};
use mcp_jupyter_core::kernel::LaunchRequest;
use mcp_jupyter_core::kernel::local::LocalProvisioner;
use mcp_jupyter_core::model::Output;
use mcp_jupyter_core::session::notebook::Notebook;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let mut arguments = std::env::args().skip(1);
    let path = PathBuf::from(arguments.next().context("usage: run-notebook NOTEBOOK [PYTHON]")?);
    let provisioner = LocalProvisioner::new();
    let spec = match arguments.next() {
        Some(python) => provisioner.kernelspec_for_python(python.as_ref()).await?,
        None => provisioner.kernelspec("python3").await?,
    };
    let mut request = RunRequest::new(Notebook::open(&path)?, LaunchRequest::new(spec));
    request.kernel.cwd = path
        .parent()
        .filter(|folder| !folder.as_os_str().is_empty())
        .map(PathBuf::from);
    let mut run = Engine::new(Arc::new(provisioner)).run(request)?;
    while let Some(event) = run.next().await {
        match event {
            RunEvent::Output {
                output: Output::Stream { text, .. },
                ..
            } => print!("{text}"),
            RunEvent::CellFinished { cell, seconds, .. } => println!("[cell {} took {seconds:.3} s]", cell.index),
            _ => {}
        }
    }
    let finished = run.finish().await;
    ensure!(finished.summary.is_ok(), "{:?}", finished.summary.outcome);
    Ok(())
}
