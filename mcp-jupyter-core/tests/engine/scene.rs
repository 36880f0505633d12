//! What the tests share: notebooks, runs, and a way to read outputs.

use std::sync::Arc;

use futures_util::StreamExt;
use mcp_jupyter_core::engine::{CellOutcome, Engine, FinishedRun, RunEvent, RunRequest};
use mcp_jupyter_core::kernel::memory::MemoryProvisioner;
use mcp_jupyter_core::model::{CellId, Json};
use mcp_jupyter_core::session::notebook::{Cell, Notebook};

/// A notebook of code cells with the ids `c0`, `c1`…
pub(crate) fn notebook(sources: &[&str]) -> Notebook {
    let empty = br#"{"cells": [], "metadata": {}, "nbformat": 4, "nbformat_minor": 5}"#;
    let mut notebook = Notebook::parse(empty).unwrap();
    let cells = sources
        .iter()
        .enumerate()
        .map(|(index, source)| Cell::new_code(id(index), source));
    notebook.cells_mut().extend(cells);
    notebook
}

pub(crate) fn id(index: usize) -> CellId {
    CellId::from(format!("c{index}"))
}

/// A request to run these cells on the provisioner's first kernelspec.
pub(crate) fn request(provisioner: &MemoryProvisioner, sources: &[&str]) -> RunRequest {
    RunRequest::new(notebook(sources), provisioner.request())
}

/// Runs to the end: all events, and what the run leaves. No kernel may be left.
pub(crate) async fn run(provisioner: &MemoryProvisioner, request: RunRequest) -> (Vec<RunEvent>, FinishedRun) {
    let mut run = Engine::new(Arc::new(provisioner.clone())).run(request).unwrap();
    let events = run.by_ref().collect().await;
    let finished = run.finish().await;
    assert_eq!(provisioner.running(), 0, "a kernel was left");
    (events, finished)
}

/// Runs these cells on the interpreter alone.
pub(crate) async fn run_cells(sources: &[&str]) -> (Vec<RunEvent>, FinishedRun) {
    let provisioner = MemoryProvisioner::new();
    run(&provisioner, request(&provisioner, sources)).await
}

/// The outputs of a cell of the finished notebook, each in a line.
pub(crate) fn shown(finished: &FinishedRun, index: usize) -> Vec<String> {
    finished.notebook.cells()[index]
        .outputs()
        .iter()
        .map(describe)
        .collect()
}

pub(crate) fn describe(output: &Json) -> String {
    let text = |output: &Json, name: &str| output.get(name).and_then(Json::as_str).unwrap_or_default().into_owned();
    let plain = || text(output.get("data").unwrap(), "text/plain");
    match text(output, "output_type").as_str() {
        "stream" => format!("{}: {}", text(output, "name"), text(output, "text")),
        "display_data" => format!("display: {}", plain()),
        "execute_result" => format!("result: {}", plain()),
        _ => format!("error: {}: {}", text(output, "ename"), text(output, "evalue")),
    }
}

/// How the executed cells ended.
pub(crate) fn outcomes(finished: &FinishedRun) -> Vec<&CellOutcome> {
    finished.summary.cells.iter().map(|cell| &cell.outcome).collect()
}

/// The name of an event, as its JSON has it.
pub(crate) fn name(event: &RunEvent) -> String {
    let json = serde_json::to_value(event).unwrap();
    json["event"].as_str().unwrap().to_owned()
}

pub(crate) fn names(events: &[RunEvent]) -> Vec<String> {
    events.iter().map(name).collect()
}
