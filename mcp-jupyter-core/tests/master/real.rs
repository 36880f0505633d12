//! A session of the engine on a real ipykernel.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use futures_util::StreamExt;
use mcp_jupyter_core::engine::{CellOutcome, Engine, RunEvent, RunOutcome, Session, SessionRequest, SessionRun};
use mcp_jupyter_core::kernel::LaunchRequest;
use mcp_jupyter_core::kernel::local::LocalProvisioner;
use mcp_jupyter_core::model::{CellRef, Json};
use mcp_jupyter_core::scheduler::StartRequest;
use mcp_jupyter_core::session::notebook;
use mcp_jupyter_core::session::notebook::Notebook;
use serde_json::json;
use tempfile::TempDir;

use crate::bench::{End, cell_id};
use crate::helper::{Described, folder};
use crate::scenario::Cell;

pub(crate) struct Real {
    session: Session,
    notebook: Arc<Notebook>,
    /// Holds the kernel's startup file and its socket.
    home: TempDir,
}

impl Real {
    pub(crate) async fn new(python: &Path) -> Self {
        let home = TempDir::new().unwrap();
        write_startup_file(home.path());
        let provisioner = LocalProvisioner::new().with_python(python);
        let mut kernel = LaunchRequest::new(provisioner.kernelspec_for_python(python).await.unwrap());
        let settings = [
            ("IPYTHONDIR", home.path().display().to_string()),
            ("PYTHONHASHSEED", "0".to_owned()),
        ];
        kernel
            .env
            .extend(settings.map(|(name, value)| (name.to_owned(), value)));
        kernel.cwd = Some(home.path().to_path_buf());
        let engine = Engine::new(Arc::new(provisioner));
        let session = engine.open(SessionRequest::new(kernel)).await.unwrap();
        Self {
            session,
            notebook: Arc::new(empty_notebook()),
            home,
        }
    }

    fn socket(&self) -> PathBuf {
        self.home.path().join("socket")
    }

    pub(crate) async fn restart(&self) {
        std::fs::remove_file(self.socket()).unwrap();
        self.session.restart().await.unwrap();
    }

    /// A kernel that holds nothing, and cells that nobody has seen before.
    pub(crate) async fn begin_anew(&mut self) {
        self.notebook = Arc::new(empty_notebook());
        self.restart().await;
    }

    pub(crate) async fn run(&mut self, cells: &[Cell], request: StartRequest) -> End {
        self.take(cells);
        let run = SessionRun {
            mode: request.plan.mode,
            targets: request.plan.targets,
            on_error: request.on_error,
            verify: request.verify,
            ..SessionRun::default()
        };
        let mut run = self.session.run(Arc::clone(&self.notebook), run).unwrap();
        let mut end = End::default();
        while let Some(event) = run.next().await {
            match event {
                RunEvent::CellFinished { cell, outcome, .. } => note(&cell, &outcome, &mut end),
                RunEvent::Warning { message, .. } => end.warnings.push(message),
                _ => {}
            }
        }
        let finished = run.finish().await;
        end.is_completed = finished.summary.outcome == Some(RunOutcome::Ok);
        self.notebook = finished.notebook;
        end
    }

    /// The notebook of these cells; those that stay keep their outputs.
    fn take(&mut self, cells: &[Cell]) {
        let mut notebook = empty_notebook();
        for cell in cells {
            let id = cell_id(cell.number);
            let kept = self.notebook.cells().iter().find(|kept| *kept.id() == id);
            let mut made = kept.cloned().unwrap_or_else(|| notebook::Cell::new_code(id, ""));
            made.set_source(&cell.source);
            notebook.cells_mut().push(made);
        }
        self.notebook = Arc::new(notebook);
    }

    pub(crate) fn notebook(&self) -> &Notebook {
        &self.notebook
    }

    /// What the cell shows.
    pub(crate) fn text(&self, place: usize) -> String {
        let outputs = self.notebook.cells()[place].outputs().iter();
        let texts = outputs.filter_map(|output| {
            let text = output.get("text").and_then(Json::as_str);
            let plain = || output.get("data")?.get("text/plain")?.as_str();
            Some(text.or_else(plain)?.into_owned())
        });
        texts.collect::<Vec<_>>().join("\n")
    }

    pub(crate) fn describe(&self, exempt: &[String]) -> BTreeMap<String, String> {
        let mut socket = UnixStream::connect(self.socket()).unwrap();
        writeln!(socket, "{}", json!({ "exempt": exempt })).unwrap();
        let mut answer = String::new();
        BufReader::new(socket).read_line(&mut answer).unwrap();
        let described: Described = serde_json::from_str(&answer).unwrap();
        described.names
    }

    pub(crate) async fn close(self) {
        self.session.close().await.unwrap();
    }
}

fn note(cell: &CellRef, outcome: &CellOutcome, end: &mut End) {
    end.executed += 1;
    match outcome {
        CellOutcome::Ok => {}
        CellOutcome::Error { ename, .. } => end.failure = Some((cell.index, ename.clone())),
        other => end.failure = Some((cell.index, format!("{other:?}"))),
    }
}

fn empty_notebook() -> Notebook {
    Notebook::parse(br#"{"cells": [], "metadata": {}, "nbformat": 4, "nbformat_minor": 5}"#).unwrap()
}

/// IPython executes it before the first cell, and what it binds is none of the user's.
fn write_startup_file(home: &Path) {
    let startup = home.join("profile_default/startup");
    std::fs::create_dir_all(&startup).unwrap();
    let source = format!(
        "import sys\nsys.path.insert(0, {0:?})\nimport namespace\nsys.path.remove({0:?})\n\
         namespace.listen({1:?})\ndel sys, namespace\n",
        folder().display().to_string(),
        home.join("socket").display().to_string()
    );
    std::fs::write(startup.join("00-namespace.py"), source).unwrap();
}
