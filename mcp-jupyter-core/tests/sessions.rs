//! Sessions on a real Python kernel: what smart runs leave is what a run of the whole notebook on a new kernel leaves.
#![cfg(feature = "local")]
#![allow(clippy::unwrap_used, reason = "a test that cannot go on panics")]

#[path = "support/mod.rs"]
mod support;

use std::sync::Arc;

use futures_util::StreamExt;
use mcp_jupyter_core::engine::{
    CellOutcome, Engine, FinishedRun, OnKernelDeath, RunEvent, RunRequest, Session, SessionRequest, SessionRun,
    StopCause,
};
use mcp_jupyter_core::kernel::LaunchRequest;
use mcp_jupyter_core::kernel::local::LocalProvisioner;
use mcp_jupyter_core::model::Json;
use mcp_jupyter_core::session::notebook::{Cell, Notebook};

/// An engine on the tests' Python, and a session of it.
struct Lab {
    engine: Engine,
    kernel: LaunchRequest,
    session: Session,
}

impl Lab {
    async fn new() -> Option<Self> {
        let python = support::python()?;
        let provisioner = LocalProvisioner::new().with_python(&python);
        let kernel = LaunchRequest::new(provisioner.kernelspec_for_python(&python).await.unwrap());
        let engine = Engine::new(Arc::new(provisioner));
        let session = engine.open(SessionRequest::new(kernel.clone())).await.unwrap();
        Some(Self {
            engine,
            kernel,
            session,
        })
    }

    async fn run(&self, notebook: &Notebook) -> FinishedRun {
        self.run_as(notebook, SessionRun::default()).await
    }

    async fn run_as(&self, notebook: &Notebook, run: SessionRun) -> FinishedRun {
        self.session.run(notebook.clone(), run).unwrap().finish().await
    }

    /// Runs on the session's kernel, and on a new one; the outputs have to be the same. Gives what was executed.
    async fn check(&self, notebook: &mut Notebook) -> Vec<usize> {
        let smart = self.run(notebook).await;
        assert!(smart.summary.is_ok(), "{:?}", smart.summary);
        let whole = RunRequest::new(notebook.clone(), self.kernel.clone());
        let whole = self.engine.run(whole).unwrap().finish().await;
        assert_eq!(texts(&smart.notebook), texts(&whole.notebook));
        *notebook = (*smart.notebook).clone();
        executed(&smart)
    }
}

fn executed(finished: &FinishedRun) -> Vec<usize> {
    finished.summary.cells.iter().map(|cell| cell.cell.index).collect()
}

fn notebook(sources: &[&str]) -> Notebook {
    let empty = br#"{"cells": [], "metadata": {}, "nbformat": 4, "nbformat_minor": 5}"#;
    let mut notebook = Notebook::parse(empty).unwrap();
    let cells = sources.iter().enumerate();
    let cells = cells.map(|(index, source)| Cell::new_code(format!("c{index}").into(), source));
    notebook.cells_mut().extend(cells);
    notebook
}

fn texts(notebook: &Notebook) -> Vec<String> {
    let text = |cell: &Cell| {
        let outputs = cell.outputs().iter();
        let texts = outputs.filter_map(|output| {
            let text = output.get("text").or_else(|| output.get("data")?.get("text/plain"));
            text.and_then(Json::as_str).map(String::from)
        });
        texts.collect()
    };
    notebook.cells().iter().map(text).collect()
}

fn edit(notebook: &mut Notebook, index: usize, source: &str) {
    notebook.cells_mut()[index].set_source(source);
}

#[tokio::test]
async fn an_edit_executes_what_is_stale_and_leaves_what_a_whole_run_would() {
    let Some(lab) = Lab::new().await else { return };
    let mut cells = notebook(&[
        "import math\nbase = 2",
        "values = [base ** n for n in range(4)]",
        "other = 'untouched'",
        "values.append(99)",
        "total = sum(values)",
        "print(base, values, total, other)",
    ]);
    assert_eq!(lab.check(&mut cells).await, [0, 1, 2, 3, 4, 5]);
    assert!(lab.check(&mut cells).await.is_empty());
    edit(&mut cells, 0, "import math\nbase = 3  # three");
    assert_eq!(lab.check(&mut cells).await, [0, 1, 3, 4, 5]);
    edit(&mut cells, 3, "values.append(100)");
    assert_eq!(lab.check(&mut cells).await, [1, 3, 4, 5], "the list is made again");
    edit(&mut cells, 2, "other = 'touched'");
    assert_eq!(lab.check(&mut cells).await, [2, 5]);
    cells.cells_mut().remove(3);
    assert_eq!(lab.check(&mut cells).await, [1, 3, 4]);
    edit(&mut cells, 0, "import math\nbase = 3");
    assert!(lab.check(&mut cells).await.is_empty(), "a comment changes nothing");
    lab.session.close().await.unwrap();
}

#[tokio::test]
async fn names_that_no_cell_defines_any_more_are_deleted() {
    let Some(lab) = Lab::new().await else { return };
    let mut cells = notebook(&["gone = 1\nkept = 2", "print(gone)", "print(kept)"]);
    lab.check(&mut cells).await;
    edit(&mut cells, 0, "kept = 2");
    edit(
        &mut cells,
        1,
        "try:\n    print(gone)\nexcept NameError:\n    print('it is gone')",
    );
    lab.check(&mut cells).await;
    assert_eq!(texts(&cells)[1], "it is gone\n");
    lab.session.close().await.unwrap();
}

#[tokio::test]
async fn what_the_analysis_does_not_see_is_found_and_told() {
    let Some(lab) = Lab::new().await else { return };
    let folder = tempfile::tempdir().unwrap();
    let module = "def change(values, value):\n    import gc\n    for found in gc.get_objects():\n        \
                  if type(found) is list and found[:1] == ['marked']:\n            found.append(value)\n";
    std::fs::write(folder.path().join("afar.py"), module).unwrap();
    let mut cells = notebook(&[
        &format!("import sys\nsys.path.insert(0, {:?})\nimport afar", folder.path()),
        "data = ['marked']",
        "done = afar.change(0, 1)",
        "print(data)",
    ]);
    let first = lab.run(&cells).await;
    let told = |warning: &String| warning.contains("#2 (c2)") && warning.contains("`data`");
    assert!(first.summary.warnings.iter().any(told), "{:?}", first.summary.warnings);
    edit(&mut cells, 2, "done = afar.change(0, 2)");
    lab.check(&mut cells).await;
    assert_eq!(texts(&cells)[3], "['marked', 2]\n");
    lab.session.close().await.unwrap();
}

#[tokio::test]
async fn a_value_that_comes_out_the_same_ends_the_re_run() {
    let Some(lab) = Lab::new().await else { return };
    let mut cells = notebook(&["a = 1 + 1", "b = a * 2", "print(b)"]);
    lab.check(&mut cells).await;
    edit(&mut cells, 0, "a = 3 - 1");
    assert_eq!(lab.check(&mut cells).await, [0]);
    lab.session.close().await.unwrap();
}

#[tokio::test]
async fn a_kernel_that_dies_is_started_again_and_goes_on() {
    let Some(lab) = Lab::new().await else { return };
    let folder = tempfile::tempdir().unwrap();
    let flag = folder.path().join("died");
    let die = format!(
        "import os\nif not os.path.exists({flag:?}):\n    open({flag:?}, 'w').close()\n    os._exit(9)\nprint(x)"
    );
    let cells = notebook(&["x = 5", &die, "print(x + 1)"]);
    let policy = SessionRun {
        on_kernel_death: OnKernelDeath::Restart(1),
        ..SessionRun::default()
    };
    let finished = lab.run_as(&cells, policy).await;
    assert!(finished.summary.is_ok(), "{:?}", finished.summary);
    assert_eq!(executed(&finished), [0, 1, 0, 1, 2]);
    assert!(matches!(
        finished.summary.cells[1].outcome,
        CellOutcome::KernelDied { .. }
    ));
    assert_eq!(texts(&finished.notebook), ["", "5\n", "6\n"]);
    let died = lab.run(&notebook(&["x = 5", "import os\nos._exit(1)"])).await;
    assert!(!died.summary.is_ok());
    let alive = lab.run(&notebook(&["x = 5", "print(x)"])).await;
    assert_eq!(executed(&alive), [0, 1], "the next run has a new kernel");
    lab.session.close().await.unwrap();
}

#[tokio::test]
async fn an_interrupted_run_keeps_the_kernel_and_its_names() {
    let Some(lab) = Lab::new().await else { return };
    let cells = notebook(&[
        "x = [1]",
        "import time\nx.append(2)\nprint('now', flush=True)\ntime.sleep(60)",
        "print(x)",
    ]);
    let mut run = lab.session.run(cells, SessionRun::default()).unwrap();
    let control = run.control();
    while let Some(event) = run.next().await {
        if matches!(event, RunEvent::Output { .. }) {
            control.stop(StopCause::Interrupt);
        }
    }
    let stopped = run.finish().await;
    assert_eq!(stopped.summary.cells[1].outcome, CellOutcome::Interrupted);
    let mut cells = (*stopped.notebook).clone();
    edit(&mut cells, 1, "x.append(3)");
    lab.check(&mut cells).await;
    assert_eq!(
        texts(&cells)[2],
        "[1, 3]\n",
        "what the interrupted cell has left is undone"
    );
    lab.session.close().await.unwrap();
}
