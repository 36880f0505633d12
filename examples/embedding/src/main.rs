//! Runs a notebook on a kernel of one's own: `embedding [NOTEBOOK]`.
//!
//! The engine knows kernels only by the traits [`KernelProvisioner`] and [`Kernel`], so whatever implements them can
//! run notebooks: a calculator inside of this process here, a cluster's queue elsewhere. What happens comes as a stream
//! of [`RunEvent`]s; what to show of it is the program's choice.
//!
//! [`Kernel`]: mcp_jupyter_core::kernel::Kernel
//! [`KernelProvisioner`]: mcp_jupyter_core::kernel::KernelProvisioner

mod calculator;
mod kernel;

use std::path::PathBuf;
use std::sync::Arc;

use anyhow::ensure;
use futures_util::StreamExt;
use mcp_jupyter_core::engine::{CellOutcome, Engine, FinishedRun, RunEvent, RunRequest};
use mcp_jupyter_core::kernel::LaunchRequest;
use mcp_jupyter_core::model::Output;
use mcp_jupyter_core::session::notebook::Notebook;

use crate::kernel::CalculatorProvisioner;

const SUMS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/sums.ipynb");

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    let path = std::env::args_os()
        .nth(1)
        .map_or_else(|| PathBuf::from(SUMS), PathBuf::from);
    let finished = run(Notebook::open(&path)?, show).await?;
    ensure!(finished.summary.is_ok(), "{:?}", finished.summary.outcome);
    Ok(())
}

/// Runs the notebook; each event is given to `on_event` when it happens.
async fn run(notebook: Notebook, mut on_event: impl FnMut(&RunEvent)) -> anyhow::Result<FinishedRun> {
    let engine = Engine::new(Arc::new(CalculatorProvisioner));
    let kernel = LaunchRequest::new(CalculatorProvisioner::kernelspec());
    let mut run = engine.run(RunRequest::new(notebook, kernel))?;
    while let Some(event) = run.next().await {
        on_event(&event);
    }
    Ok(run.finish().await)
}

fn show(event: &RunEvent) {
    match event {
        RunEvent::Output {
            cell,
            output: Output::ExecuteResult { data, .. },
        } => {
            println!(
                "{}: {}",
                cell.id,
                data.plain().map(ToString::to_string).unwrap_or_default()
            );
        }
        RunEvent::CellFinished {
            cell,
            outcome: CellOutcome::Error { ename, evalue, .. },
            accepted,
            ..
        } => {
            let expected = if *accepted { " (expected)" } else { "" };
            println!("{}: {ename}: {evalue}{expected}", cell.id);
        }
        RunEvent::RunFinished { outcome, .. } => println!("{outcome:?}"),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outputs(finished: &FinishedRun, cell: usize) -> String {
        let outputs = finished.notebook.cells()[cell].outputs();
        outputs.iter().map(ToString::to_string).collect()
    }

    #[tokio::test]
    async fn the_notebook_runs_on_the_calculator() {
        let mut events = Vec::new();
        let notebook = Notebook::open(SUMS.as_ref()).unwrap();
        let finished = run(notebook, |event| events.push(event.clone())).await.unwrap();
        assert!(finished.summary.is_ok(), "{:?}", finished.summary);
        assert!(
            outputs(&finished, 2).contains(r#""text/plain":"27""#),
            "{}",
            outputs(&finished, 2)
        );
        assert!(
            outputs(&finished, 3).contains("ZeroDivisionError"),
            "{}",
            outputs(&finished, 3)
        );
        assert!(matches!(events.first(), Some(RunEvent::RunStarted { .. })));
        assert!(matches!(events.last(), Some(RunEvent::RunFinished { .. })));
    }

    #[tokio::test]
    async fn an_unexpected_failure_ends_the_run() {
        let mut notebook = Notebook::open(SUMS.as_ref()).unwrap();
        notebook.cells_mut()[1].set_source("price = cost");
        let finished = run(notebook, |_| {}).await.unwrap();
        assert!(!finished.summary.is_ok());
        assert_eq!(finished.summary.cells.len(), 1);
        assert!(outputs(&finished, 1).contains("name 'cost' is not defined"));
    }
}
