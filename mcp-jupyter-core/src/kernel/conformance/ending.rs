//! Shutting down, and dying.

use std::time::Duration;

use futures_util::StreamExt;

use crate::kernel::{Channel, Death, ExecuteRequest, Kernel, KernelError, KernelState, ShutdownMode};
use crate::model::JsonMap;

use super::fixture::{Fixture, Snippet, execute, launch, object, only, read_to_error, read_until, run, stdout};
use super::list_cases;

list_cases! {
    shutdown_graceful: "a kernel that is asked to end does so by itself",
    shutdown_graceful_while_running: "a kernel that does not end when it is asked is made to",
    shutdown_immediate: "a kernel can be ended at once, in the middle of a cell",
    shutdown_repeated: "shutting down again is no error",
    shutdown_in_parallel: "two who shut down at the same time both succeed",
    death_by_exit: "a kernel that exits in a cell ends the execution with its exit code",
    death_by_signal: "a kernel that is killed in a cell ends the execution with the signal",
    death_while_idle: "the death of an idle kernel is noticed",
    death_ends_requests: "a request that waits for its reply ends with the kernel",
    dead_kernel_refuses: "everything asked of a dead kernel says that and how it died",
    dropped_kernel: "dropping the last reference ends the process",
}

async fn wait_for_death(kernel: &dyn Kernel) -> Death {
    let mut state = kernel.state();
    let dead = state
        .wait_for(|state| matches!(state, KernelState::Dead(_)))
        .await
        .expect("the kernel is watched");
    match &*dead {
        KernelState::Dead(death) => death.clone(),
        _ => unreachable!("it was waited for"),
    }
}

async fn shutdown_graceful(fixture: &dyn Fixture) {
    let kernel = launch(fixture).await;
    kernel
        .shutdown(ShutdownMode::Graceful(Duration::from_secs(60)))
        .await
        .expect("a kernel can be ended");
    assert_eq!(wait_for_death(&*kernel).await.exit_code, Some(0));
    fixture.all_ended().await;
}

async fn shutdown_graceful_while_running(fixture: &dyn Fixture) {
    let kernel = launch(fixture).await;
    let mut execution = execute(fixture, &*kernel, Snippet::Hang).await;
    read_until(&mut execution, "stream").await;
    kernel
        .shutdown(ShutdownMode::Graceful(Duration::from_millis(100)))
        .await
        .expect("a kernel can be ended");
    let (_, error) = read_to_error(execution).await;
    assert!(matches!(error, KernelError::Died(_)), "{error}");
    fixture.all_ended().await;
}

async fn shutdown_immediate(fixture: &dyn Fixture) {
    let kernel = launch(fixture).await;
    let mut execution = execute(fixture, &*kernel, Snippet::Hang).await;
    read_until(&mut execution, "stream").await;
    kernel
        .shutdown(ShutdownMode::Immediate)
        .await
        .expect("a kernel can be ended");
    let (_, error) = read_to_error(execution).await;
    assert!(
        matches!(&error, KernelError::Died(death) if death.signal == Some(9)),
        "{error}"
    );
    fixture.all_ended().await;
}

async fn shutdown_repeated(fixture: &dyn Fixture) {
    let kernel = launch(fixture).await;
    for mode in [
        ShutdownMode::Immediate,
        ShutdownMode::Immediate,
        ShutdownMode::Graceful(Duration::from_secs(60)),
    ] {
        kernel.shutdown(mode).await.expect("ending a dead kernel is no error");
    }
    assert_eq!(wait_for_death(&*kernel).await.signal, Some(9));
}

async fn shutdown_in_parallel(fixture: &dyn Fixture) {
    let kernel = launch(fixture).await;
    let graceful = kernel.shutdown(ShutdownMode::Graceful(Duration::from_secs(60)));
    let (one, other) = futures_util::join!(graceful, kernel.shutdown(ShutdownMode::Immediate));
    one.and(other).expect("both succeed");
    fixture.all_ended().await;
}

async fn death_by_exit(fixture: &dyn Fixture) {
    let kernel = launch(fixture).await;
    let snippets = [Snippet::Print("last words"), Snippet::Input("now? "), Snippet::Exit];
    let code = snippets.map(|snippet| fixture.code(snippet)).join("\n");
    let request = ExecuteRequest {
        allow_stdin: true,
        ..ExecuteRequest::new(code)
    };
    let mut execution = kernel.execute(request).await.expect("the kernel lives");
    let mut messages = Vec::new();
    // A process that exits takes along what its own threads have not sent yet, so it waits until that has come.
    while stdout(&messages).is_empty() || !messages.iter().any(|message| message.channel == Channel::Stdin) {
        let message = execution.messages.next().await.expect("the kernel lives");
        messages.push(message.expect("the kernel lives"));
    }
    let asked = only(&messages, "input_request");
    let content = object([("value", "yes".into())]);
    let sent = kernel.send(Channel::Stdin, "input_reply", content, Some(&asked.header));
    sent.await.expect("the kernel lives");
    let (_, error) = read_to_error(execution).await;
    assert_eq!(stdout(&messages), "last words\n");
    assert!(error.to_string().contains("exit code 3"), "{error}");
    assert_eq!(wait_for_death(&*kernel).await.exit_code, Some(3));
}

async fn death_by_signal(fixture: &dyn Fixture) {
    let kernel = launch(fixture).await;
    let (_, error) = read_to_error(execute(fixture, &*kernel, Snippet::Kill).await).await;
    assert!(error.to_string().contains("signal 9"), "{error}");
    assert!(
        error.to_string().contains("memory"),
        "the likely cause is named: {error}"
    );
}

async fn exit_by_comm(fixture: &dyn Fixture, kernel: &dyn Kernel) {
    run(fixture, kernel, Snippet::CommTargets).await;
    let content = object([
        ("comm_id", "c1".into()),
        ("target_name", "exit".into()),
        ("data", JsonMap::new().into()),
    ]);
    kernel
        .send(Channel::Shell, "comm_open", content, None)
        .await
        .expect("the kernel lives");
}

async fn death_while_idle(fixture: &dyn Fixture) {
    let kernel = launch(fixture).await;
    exit_by_comm(fixture, &*kernel).await;
    assert_eq!(wait_for_death(&*kernel).await.exit_code, Some(7));
    fixture.all_ended().await;
}

async fn death_ends_requests(fixture: &dyn Fixture) {
    let kernel = launch(fixture).await;
    let mut execution = execute(fixture, &*kernel, Snippet::Hang).await;
    read_until(&mut execution, "stream").await;
    let request = kernel.request(Channel::Shell, "kernel_info_request", JsonMap::new());
    let (reply, ended) = futures_util::join!(request, kernel.shutdown(ShutdownMode::Immediate));
    ended.expect("a kernel can be ended");
    let error = reply.expect_err("the kernel was busy until it died");
    assert!(matches!(error, KernelError::Died(_)), "{error}");
}

async fn dead_kernel_refuses(fixture: &dyn Fixture) {
    let kernel = launch(fixture).await;
    exit_by_comm(fixture, &*kernel).await;
    wait_for_death(&*kernel).await;
    let code = fixture.code(Snippet::Print("never"));
    let errors = [
        kernel.execute(ExecuteRequest::new(code)).await.map(drop),
        kernel
            .request(Channel::Shell, "kernel_info_request", JsonMap::new())
            .await
            .map(drop),
        kernel
            .request(Channel::Control, "kernel_info_request", JsonMap::new())
            .await
            .map(drop),
        kernel
            .send(Channel::Shell, "comm_msg", JsonMap::new(), None)
            .await
            .map(drop),
        kernel.interrupt().await,
        kernel.ping().await,
    ];
    for error in errors {
        let error = error.expect_err("the kernel is dead");
        assert!(
            matches!(&error, KernelError::Died(death) if death.exit_code == Some(7)),
            "{error}"
        );
    }
}

async fn dropped_kernel(fixture: &dyn Fixture) {
    let kernel = launch(fixture).await;
    let mut state = kernel.state();
    let mut execution = execute(fixture, &*kernel, Snippet::Hang).await;
    read_until(&mut execution, "stream").await;
    drop(kernel);
    state
        .wait_for(|state| matches!(state, KernelState::Dead(_)))
        .await
        .expect("the kernel is watched to its end");
    let (_, error) = read_to_error(execution).await;
    assert!(matches!(error, KernelError::Died(_)), "{error}");
    fixture.all_ended().await;
}
