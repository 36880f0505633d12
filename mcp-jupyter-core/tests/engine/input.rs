//! Cells that ask for input.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use mcp_jupyter_core::engine::{CellOutcome, InputSource, RunEvent, RunOutcome};
use mcp_jupyter_core::kernel::memory::{MemoryProvisioner, Reaction};

use crate::scene::{outcomes, request, run, run_cells, shown};

#[derive(Debug)]
enum Answers {
    Echo,
    Nothing,
    Never,
}

#[async_trait]
impl InputSource for Answers {
    async fn ask(&self, prompt: &str, password: bool) -> Option<String> {
        match self {
            Self::Echo => Some(format!("{prompt}{password}")),
            Self::Nothing => None,
            Self::Never => std::future::pending().await,
        }
    }
}

#[tokio::test(start_paused = true)]
async fn the_answer_goes_to_the_cell() {
    let secret = Reaction::Input {
        prompt: "pin? ".to_owned(),
        password: true,
    };
    let provisioner = MemoryProvisioner::new().with_response("pin", [secret]);
    let mut request = request(&provisioner, &["input name? \ninput age? ", "pin"]);
    request.input = Some(Arc::new(Answers::Echo));
    let (events, finished) = run(&provisioner, request).await;
    assert!(finished.summary.is_ok());
    assert_eq!(shown(&finished, 0), ["stdout: name? false\nage? false\n"]);
    assert_eq!(shown(&finished, 1), ["stdout: pin? true\n"]);
    let asked = events
        .iter()
        .filter(|event| matches!(event, RunEvent::InputRequested { .. }))
        .count();
    assert_eq!(asked, 3);
}

#[tokio::test(start_paused = true)]
async fn with_nobody_to_ask_the_cell_fails_at_once() {
    let (events, finished) = run_cells(&["input name? "]).await;
    let outcome = outcomes(&finished)[0];
    assert!(
        matches!(outcome, CellOutcome::Error { ename, .. } if ename == "StdinNotImplementedError"),
        "{outcome:?}"
    );
    assert!(
        !events
            .iter()
            .any(|event| matches!(event, RunEvent::InputRequested { .. }))
    );
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_is_refused_interrupts_the_cell() {
    let provisioner = MemoryProvisioner::new();
    let mut request = request(&provisioner, &["input name? ", "print never"]);
    request.input = Some(Arc::new(Answers::Nothing));
    let (_, finished) = run(&provisioner, request).await;
    let outcome = outcomes(&finished)[0];
    assert!(
        matches!(outcome, CellOutcome::Error { ename, .. } if ename == "KeyboardInterrupt"),
        "{outcome:?}"
    );
    assert!(matches!(finished.summary.outcome, Some(RunOutcome::CellFailed { .. })));
}

#[tokio::test(start_paused = true)]
async fn a_limit_holds_while_an_answer_is_awaited() {
    let provisioner = MemoryProvisioner::new();
    let mut request = request(&provisioner, &["input name? "]);
    request.input = Some(Arc::new(Answers::Never));
    request.cell_timeout = Some(Duration::from_secs(30));
    let (_, finished) = run(&provisioner, request).await;
    assert_eq!(outcomes(&finished), [&CellOutcome::TimedOut { limit: 30.0 }]);
}
