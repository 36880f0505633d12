//! Runs that are ended: by limits of time, by request, by the kernel.

use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use mcp_jupyter_core::engine::{
    CellOutcome, Engine, EscalationStep, FinishedRun, OnError, RunEvent, RunOutcome, RunRequest, StopCause,
};
use mcp_jupyter_core::kernel::Death;
use mcp_jupyter_core::kernel::memory::{Gate, MemoryProvisioner, Reaction, Start};
use mcp_jupyter_core::{ErrorKind, engine::RunControl};
use tokio::time::Instant;

use crate::scene::{names, outcomes, request, run, run_cells, shown};

fn steps(events: &[RunEvent]) -> Vec<EscalationStep> {
    let step = |event: &RunEvent| match event {
        RunEvent::Escalated { step, .. } => Some(*step),
        _ => None,
    };
    events.iter().filter_map(step).collect()
}

fn stubborn() -> MemoryProvisioner {
    MemoryProvisioner::new().with_response(
        "stubborn",
        [Reaction::IgnoreInterrupts, Reaction::stdout("no\n"), Reaction::Hang],
    )
}

/// Runs, and calls `act` once, when the first event comes that it is to react to.
async fn run_and(
    provisioner: &MemoryProvisioner,
    request: RunRequest,
    when: impl Fn(&RunEvent) -> bool,
    act: impl FnOnce(&RunControl),
) -> (Vec<RunEvent>, FinishedRun) {
    let mut run = Engine::new(Arc::new(provisioner.clone())).run(request).unwrap();
    let control = run.control();
    let (mut events, mut act) = (Vec::new(), Some(act));
    while let Some(event) = run.next().await {
        if when(&event)
            && let Some(act) = act.take()
        {
            act(&control);
        }
        events.push(event);
    }
    let finished = run.finish().await;
    assert_eq!(provisioner.running(), 0, "a kernel was left");
    (events, finished)
}

#[tokio::test(start_paused = true)]
async fn a_cell_that_takes_too_long_is_interrupted() {
    let provisioner = MemoryProvisioner::new();
    let mut request = request(&provisioner, &["print kept\nsleep 100", "print never"]);
    request.cell_timeout = Some(Duration::from_millis(1500));
    let started = Instant::now();
    let (events, finished) = run(&provisioner, request).await;
    assert_eq!(started.elapsed().as_secs(), 1);
    assert_eq!(steps(&events), [EscalationStep::Interrupt]);
    assert_eq!(outcomes(&finished), [&CellOutcome::TimedOut { limit: 1.5 }]);
    assert!(matches!(&finished.summary.outcome, Some(RunOutcome::TimedOut { cell: Some(cell) }) if cell.index == 0));
    assert_eq!(shown(&finished, 0), ["stdout: kept\n", "error: KeyboardInterrupt: "]);
}

#[tokio::test(start_paused = true)]
async fn a_kernel_that_ignores_the_interrupt_is_killed() {
    let provisioner = stubborn();
    let mut request = request(&provisioner, &["stubborn"]);
    request.cell_timeout = Some(Duration::from_secs(3));
    request.patience = Duration::from_secs(7);
    let started = Instant::now();
    let (events, finished) = run(&provisioner, request).await;
    assert_eq!(started.elapsed().as_secs(), 10);
    assert_eq!(steps(&events), [EscalationStep::Interrupt, EscalationStep::Kill]);
    assert_eq!(outcomes(&finished), [&CellOutcome::TimedOut { limit: 3.0 }]);
    assert_eq!(shown(&finished, 0), ["stdout: no\n"]);
}

#[tokio::test(start_paused = true)]
async fn a_limit_counts_for_each_cell() {
    let provisioner = MemoryProvisioner::new();
    let mut request = request(&provisioner, &["sleep 2", "sleep 2", "sleep 2"]);
    request.cell_timeout = Some(Duration::from_secs(3));
    assert!(run(&provisioner, request).await.1.summary.is_ok());
}

#[tokio::test(start_paused = true)]
async fn a_limit_of_the_run_counts_for_all_of_it() {
    let provisioner = MemoryProvisioner::new().with_start(Start::After(Duration::from_secs(1)));
    let mut request = request(&provisioner, &["sleep 2", "sleep 2", "sleep 2"]);
    request.run_timeout = Some(Duration::from_secs(4));
    let (_, finished) = run(&provisioner, request).await;
    assert!(matches!(&finished.summary.outcome, Some(RunOutcome::TimedOut { cell: Some(cell) }) if cell.index == 1));
}

#[tokio::test(start_paused = true)]
async fn a_limit_of_the_run_counts_for_the_kernels_start() {
    let provisioner = MemoryProvisioner::new().with_start(Start::After(Duration::MAX));
    let mut request = request(&provisioner, &["print never"]);
    request.run_timeout = Some(Duration::from_secs(5));
    let (events, finished) = run(&provisioner, request).await;
    assert_eq!(finished.summary.outcome, Some(RunOutcome::TimedOut { cell: None }));
    assert_eq!(names(&events), ["run_started", "run_finished"]);
}

#[tokio::test(start_paused = true)]
async fn a_kernel_that_never_answers_is_given_up() {
    let provisioner = MemoryProvisioner::new().with_start(Start::After(Duration::MAX));
    let (_, finished) = run(&provisioner, request(&provisioner, &["print never"])).await;
    let Some(RunOutcome::Failed { kind, message }) = &finished.summary.outcome else {
        panic!("{:?}", finished.summary)
    };
    assert_eq!(*kind, ErrorKind::TimedOut);
    assert!(message.contains("memory") && message.contains("60"), "{message}");
}

#[tokio::test(start_paused = true)]
async fn a_kernel_that_dies_at_its_start_is_a_failure_with_its_last_words() {
    let death = Death {
        exit_code: Some(3),
        signal: None,
        stderr: "no module named ipykernel".to_owned(),
    };
    let provisioner = MemoryProvisioner::new().with_start(Start::Die(death));
    let (events, finished) = run(&provisioner, request(&provisioner, &["print never"])).await;
    let Some(RunOutcome::Failed { kind, message }) = &finished.summary.outcome else {
        panic!("{:?}", finished.summary)
    };
    assert_eq!(*kind, ErrorKind::KernelStart);
    assert!(
        message.contains("exit code 3") && message.contains("no module named"),
        "{message}"
    );
    assert_eq!(names(&events), ["run_started", "run_finished"]);
}

#[tokio::test(start_paused = true)]
async fn a_kernel_that_dies_in_a_cell_ends_the_run() {
    for on_error in [OnError::Stop, OnError::Continue] {
        let provisioner = MemoryProvisioner::new();
        let mut request = request(&provisioner, &["print kept\nkill 9", "print never"]);
        request.on_error = on_error;
        let (_, finished) = run(&provisioner, request).await;
        let CellOutcome::KernelDied { death } = outcomes(&finished)[0] else {
            panic!("{:?}", finished.summary)
        };
        assert_eq!(death.signal, Some(9));
        assert!(matches!(&finished.summary.outcome, Some(RunOutcome::KernelDied { cell }) if cell.index == 0));
        assert_eq!(shown(&finished, 0), ["stdout: kept\n"]);
    }
}

#[tokio::test(start_paused = true)]
async fn a_kernel_that_died_between_two_cells_fails_the_next() {
    let provisioner = MemoryProvisioner::new().with_response(
        "last",
        [Reaction::AfterReply(vec![Reaction::Background(vec![
            Reaction::Sleep(Duration::from_millis(1)),
            Reaction::exit(5),
        ])])],
    );
    let (_, finished) = run(&provisioner, request(&provisioner, &["last", "sleep 1"])).await;
    assert_eq!(outcomes(&finished)[0], &CellOutcome::Ok);
    let CellOutcome::KernelDied { death } = outcomes(&finished)[1] else {
        panic!("{:?}", finished.summary)
    };
    assert_eq!(death.exit_code, Some(5));
}

#[tokio::test(start_paused = true)]
async fn a_lost_idle_status_fails_the_run_loudly() {
    let lost = [Reaction::stdout("some\n"), Reaction::LoseIdle];
    let provisioner = MemoryProvisioner::new().with_response("lost", lost);
    let (_, finished) = run(&provisioner, request(&provisioner, &["lost", "print never"])).await;
    assert_eq!(outcomes(&finished), [&CellOutcome::Incomplete]);
    assert!(matches!(finished.summary.outcome, Some(RunOutcome::CellFailed { .. })));
    assert_eq!(shown(&finished, 0), ["stdout: some\n"]);
}

fn cell_output(event: &RunEvent) -> bool {
    matches!(event, RunEvent::Output { .. })
}

#[tokio::test(start_paused = true)]
async fn a_stop_interrupts_the_cell_and_ends_the_run() {
    let provisioner = MemoryProvisioner::new();
    let request = request(&provisioner, &["print kept\nhang", "print never"]);
    let (events, finished) = run_and(&provisioner, request, cell_output, |control| {
        control.stop(StopCause::Terminate);
        control.stop(StopCause::Interrupt);
    })
    .await;
    assert_eq!(steps(&events), [EscalationStep::Interrupt]);
    assert_eq!(
        finished.summary.outcome,
        Some(RunOutcome::Interrupted {
            cause: StopCause::Terminate
        })
    );
    assert_eq!(outcomes(&finished), [&CellOutcome::Interrupted]);
    assert_eq!(shown(&finished, 0)[0], "stdout: kept\n");
}

#[tokio::test(start_paused = true)]
async fn a_stop_that_is_ignored_kills() {
    let provisioner = stubborn();
    let request = request(&provisioner, &["stubborn"]);
    let (events, finished) = run_and(&provisioner, request, cell_output, |control| {
        control.stop(StopCause::Interrupt);
    })
    .await;
    assert_eq!(steps(&events), [EscalationStep::Interrupt, EscalationStep::Kill]);
    assert_eq!(outcomes(&finished), [&CellOutcome::Interrupted]);
}

#[tokio::test(start_paused = true)]
async fn an_abort_kills_at_once() {
    let provisioner = stubborn();
    let request = request(&provisioner, &["stubborn"]);
    let started = Instant::now();
    let (events, finished) = run_and(&provisioner, request, cell_output, |control| {
        control.abort(StopCause::Interrupt);
    })
    .await;
    assert_eq!(started.elapsed(), Duration::ZERO);
    assert_eq!(steps(&events), [EscalationStep::Kill]);
    assert_eq!(
        finished.summary.outcome,
        Some(RunOutcome::Interrupted {
            cause: StopCause::Interrupt
        })
    );
    assert_eq!(shown(&finished, 0), ["stdout: no\n"]);
}

#[tokio::test(start_paused = true)]
async fn an_abort_after_a_stop_does_not_wait_for_patience() {
    let provisioner = stubborn();
    let request = request(&provisioner, &["stubborn"]);
    let mut run = Engine::new(Arc::new(provisioner.clone())).run(request).unwrap();
    let control = run.control();
    let started = Instant::now();
    while let Some(event) = run.next().await {
        match event {
            RunEvent::Output { .. } => control.stop(StopCause::Interrupt),
            RunEvent::Escalated {
                step: EscalationStep::Interrupt,
                ..
            } => control.abort(StopCause::Interrupt),
            _ => {}
        }
    }
    assert_eq!(started.elapsed(), Duration::ZERO);
    assert_eq!(outcomes(&run.finish().await), [&CellOutcome::Interrupted]);
}

#[tokio::test(start_paused = true)]
async fn a_stop_before_the_kernel_answers_starts_no_cell() {
    let provisioner = MemoryProvisioner::new().with_start(Start::After(Duration::from_secs(5)));
    let request = request(&provisioner, &["print never"]);
    let is_start = |event: &RunEvent| matches!(event, RunEvent::RunStarted { .. });
    let (events, finished) = run_and(&provisioner, request, is_start, |control| {
        control.stop(StopCause::Interrupt);
    })
    .await;
    assert_eq!(names(&events), ["run_started", "run_finished"]);
    assert_eq!(
        finished.summary.outcome,
        Some(RunOutcome::Interrupted {
            cause: StopCause::Interrupt
        })
    );
}

#[tokio::test(start_paused = true)]
async fn a_stop_between_two_cells_starts_no_further_cell() {
    let gate = Gate::new();
    let provisioner = MemoryProvisioner::new().with_response("gate", [Reaction::Wait(gate.clone())]);
    let request = request(&provisioner, &["print one", "gate", "print never"]);
    // The stop is asked for while nothing is executed that an interrupt could reach.
    let is_end = |event: &RunEvent| matches!(event, RunEvent::CellFinished { cell, .. } if cell.index == 0);
    let (events, finished) = run_and(&provisioner, request, is_end, |control| {
        control.stop(StopCause::Interrupt);
        gate.open();
    })
    .await;
    assert_eq!(
        finished.summary.outcome,
        Some(RunOutcome::Interrupted {
            cause: StopCause::Interrupt
        })
    );
    assert!(finished.summary.cells.len() < 3, "{:?}", names(&events));
}

#[tokio::test(start_paused = true)]
async fn a_kernel_that_prints_without_end_can_be_killed() {
    let provisioner = MemoryProvisioner::new().with_response(
        "flood",
        [
            Reaction::IgnoreInterrupts,
            Reaction::Repeat(
                usize::MAX,
                vec![Reaction::stdout("x\n"), Reaction::Sleep(Duration::from_millis(1))],
            ),
        ],
    );
    let mut request = request(&provisioner, &["flood"]);
    request.cell_timeout = Some(Duration::from_secs(1));
    request.patience = Duration::from_secs(1);
    let (events, finished) = run(&provisioner, request).await;
    assert_eq!(steps(&events), [EscalationStep::Interrupt, EscalationStep::Kill]);
    assert_eq!(outcomes(&finished), [&CellOutcome::TimedOut { limit: 1.0 }]);
}

#[tokio::test(start_paused = true)]
async fn a_notebook_without_code_runs() {
    let (_, finished) = run_cells(&[]).await;
    assert!(finished.summary.is_ok());
}
