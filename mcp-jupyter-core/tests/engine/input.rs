//! Cells that ask for input.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures_util::StreamExt as _;
use mcp_jupyter_core::engine::{CellOutcome, Engine, InputSource, PendingInputs, RunEvent, RunOutcome};
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

/// Runs a cell that asks, and does something when it has asked.
async fn run_asking(
    inputs: &PendingInputs,
    when_asked: impl Fn(&RunEvent) + Send,
) -> mcp_jupyter_core::engine::FinishedRun {
    let provisioner = MemoryProvisioner::new();
    let mut request = request(&provisioner, &["input name? "]);
    request.input = Some(Arc::new(inputs.clone()));
    let mut run = Engine::new(Arc::new(provisioner)).run(request).unwrap();
    while let Some(event) = run.next().await {
        if matches!(event, RunEvent::InputRequested { .. }) {
            // The question is put right after it is told.
            tokio::time::sleep(Duration::from_millis(1)).await;
            when_asked(&event);
        }
    }
    run.finish().await
}

#[tokio::test(start_paused = true)]
async fn a_question_is_answered_by_its_id() {
    let inputs = PendingInputs::new(None);
    let finished = run_asking(&inputs, |event| {
        let RunEvent::InputRequested { id, cell, .. } = event else {
            panic!("{event:?}")
        };
        let waiting = inputs.waiting();
        assert_eq!((&waiting[0].id, &waiting[0].cell, waiting.len()), (id, cell, 1));
        inputs.reply(id, "s3cret".to_owned()).unwrap();
        assert!(!format!("{inputs:?}").contains("s3cret"));
        inputs.reply(id, "twice".to_owned()).unwrap_err();
    })
    .await;
    assert_eq!(shown(&finished, 0), ["stdout: s3cret\n"]);
    assert!(inputs.waiting().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_question_that_is_cancelled_interrupts_its_cell() {
    let inputs = PendingInputs::new(None);
    let finished = run_asking(&inputs, |_| inputs.cancel(&inputs.waiting()[0].id).unwrap()).await;
    let outcome = outcomes(&finished)[0];
    assert!(
        matches!(outcome, CellOutcome::Error { ename, .. } if ename == "KeyboardInterrupt"),
        "{outcome:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn a_question_that_nobody_answers_in_time_is_taken_back() {
    let inputs = PendingInputs::new(Some(Duration::from_secs(60)));
    let finished = run_asking(&inputs, |_| {}).await;
    let outcome = outcomes(&finished)[0];
    assert!(
        matches!(outcome, CellOutcome::Error { ename, .. } if ename == "KeyboardInterrupt"),
        "{outcome:?}"
    );
    assert!(inputs.waiting().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_question_goes_with_its_cell() {
    let inputs = PendingInputs::new(None);
    let provisioner = MemoryProvisioner::new();
    let mut request = request(&provisioner, &["input name? "]);
    request.input = Some(Arc::new(inputs.clone()));
    request.cell_timeout = Some(Duration::from_secs(30));
    let (_, finished) = run(&provisioner, request).await;
    assert_eq!(outcomes(&finished), [&CellOutcome::TimedOut { limit: 30.0 }]);
    assert!(inputs.waiting().is_empty());
}
