//! Starting, interrupting, restarting, and the state.

use std::time::Duration;

use crate::kernel::{KernelError, KernelState};
use crate::model::Json;

use super::fixture::{Fixture, Snippet, execute, field, launch, only, read, read_to_error, read_until, run, stdout};
use super::list_cases;

list_cases! {
    kernelspecs_listed: "kernelspecs are sorted by name, each once, and the one that is started is among them",
    kernelspec_unknown: "an unknown name is refused with the names that exist",
    launch_that_dies: "a kernel that ends before it answers is an error that tells how, and leaves nothing",
    launch_that_hangs: "a kernel that does not answer in time is an error, and leaves nothing",
    launch_dropped: "dropping a launch ends the process that it has started",
    interrupt_running: "an interrupt ends a running cell with KeyboardInterrupt, and the kernel lives on",
    interrupt_idle: "interrupting an idle kernel has no effect",
    restart_loses_names: "a restarted kernel has the same id, no names, and counts from one",
    restart_while_running: "a restart ends running executions as died",
    state_changes: "the state goes idle, busy, idle, dead",
    ping_while_busy: "the heartbeat is answered while a cell is executed",
}

async fn kernelspecs_listed(fixture: &dyn Fixture) {
    let listed = fixture
        .provisioner()
        .kernelspecs()
        .await
        .expect("kernelspecs can be listed");
    let names: Vec<&str> = listed.iter().map(|spec| spec.name.as_str()).collect();
    assert!(names.is_sorted_by(|one, next| one < next), "{names:?}");
    let wanted = fixture.request().await.spec.name;
    assert!(names.contains(&wanted.as_str()), "{wanted} in {names:?}");
    assert_eq!(fixture.find(&wanted).await.expect("it is listed").name, wanted);
}

async fn kernelspec_unknown(fixture: &dyn Fixture) {
    let error = fixture
        .find("no-such-kernel")
        .await
        .expect_err("there is no such kernel");
    let KernelError::NoSuchKernel { name, available } = &error else {
        panic!("{error}")
    };
    assert_eq!(name, "no-such-kernel");
    let wanted = fixture.request().await.spec.name;
    assert!(available.contains(&wanted), "{error}");
}

async fn launch_that_dies(fixture: &dyn Fixture) {
    let (provisioner, request) = fixture.that_dies();
    let name = request.spec.name.clone();
    let error = provisioner.launch(request).await.expect_err("it dies");
    assert!(
        matches!(&error, KernelError::StartFailed { name: failed, .. } if *failed == name),
        "{error}"
    );
    assert!(error.to_string().contains("exit code 3"), "{error}");
    fixture.all_ended().await;
}

async fn launch_that_hangs(fixture: &dyn Fixture) {
    let (provisioner, mut request) = fixture.that_hangs();
    request.startup_timeout = Duration::from_millis(300);
    let error = provisioner.launch(request).await.expect_err("it never answers");
    assert!(
        matches!(error, KernelError::TimedOut { seconds, .. } if (seconds - 0.3).abs() < 1e-9),
        "{error}"
    );
    fixture.all_ended().await;
}

async fn launch_dropped(fixture: &dyn Fixture) {
    let (provisioner, request) = fixture.that_hangs();
    let launch = provisioner.launch(request);
    let dropped = tokio::time::timeout(Duration::from_millis(200), launch).await;
    assert!(dropped.is_err(), "it never answers");
    fixture.all_ended().await;
}

async fn interrupt_running(fixture: &dyn Fixture) {
    let kernel = launch(fixture).await;
    let mut execution = execute(fixture, &*kernel, Snippet::Hang).await;
    read_until(&mut execution, "stream").await;
    kernel.interrupt().await.expect("the kernel lives");
    let messages = read(execution).await;
    assert_eq!(field(only(&messages, "error"), "ename"), "KeyboardInterrupt");
    assert_eq!(
        stdout(&run(fixture, &*kernel, Snippet::Print("alive")).await),
        "alive\n"
    );
}

async fn interrupt_idle(fixture: &dyn Fixture) {
    let kernel = launch(fixture).await;
    run(fixture, &*kernel, Snippet::Assign("name", "kept")).await;
    kernel.interrupt().await.expect("the kernel lives");
    let messages = run(fixture, &*kernel, Snippet::Read("name")).await;
    assert!(super::fixture::plain(only(&messages, "execute_result")).contains("kept"));
}

async fn restart_loses_names(fixture: &dyn Fixture) {
    let kernel = launch(fixture).await;
    let id = kernel.id().clone();
    run(fixture, &*kernel, Snippet::Assign("name", "lost")).await;
    kernel.restart().await.expect("a kernel can be restarted");
    assert_eq!(kernel.id(), &id);
    let messages = run(fixture, &*kernel, Snippet::Read("name")).await;
    assert_eq!(field(only(&messages, "error"), "ename"), "NameError");
    let count = only(&messages, "execute_reply")
        .content
        .get("execution_count")
        .and_then(Json::as_i64);
    assert_eq!(count, Some(1));
    assert!(kernel.info().language_info().is_some());
}

async fn restart_while_running(fixture: &dyn Fixture) {
    let kernel = launch(fixture).await;
    let mut execution = execute(fixture, &*kernel, Snippet::Hang).await;
    read_until(&mut execution, "stream").await;
    let waiting = execute(fixture, &*kernel, Snippet::Print("never")).await;
    kernel.restart().await.expect("a kernel can be restarted");
    for execution in [execution, waiting] {
        let (_, error) = read_to_error(execution).await;
        assert!(matches!(error, KernelError::Died(_)), "{error}");
    }
    assert_eq!(
        stdout(&run(fixture, &*kernel, Snippet::Print("alive")).await),
        "alive\n"
    );
}

async fn state_changes(fixture: &dyn Fixture) {
    let kernel = launch(fixture).await;
    let mut state = kernel.state();
    state
        .wait_for(|state| *state == KernelState::Idle)
        .await
        .expect("the kernel is watched");
    let mut execution = execute(fixture, &*kernel, Snippet::Hang).await;
    read_until(&mut execution, "stream").await;
    state
        .wait_for(|state| *state == KernelState::Busy)
        .await
        .expect("the kernel is watched");
    kernel.interrupt().await.expect("the kernel lives");
    read(execution).await;
    state
        .wait_for(|state| *state == KernelState::Idle)
        .await
        .expect("the kernel is watched");
    let (_, error) = read_to_error(execute(fixture, &*kernel, Snippet::Exit).await).await;
    let KernelError::Died(death) = error else {
        panic!("{error}")
    };
    let dead = state.wait_for(|state| matches!(state, KernelState::Dead(_))).await;
    assert_eq!(*dead.expect("the kernel is watched"), KernelState::Dead(death));
}

async fn ping_while_busy(fixture: &dyn Fixture) {
    let kernel = launch(fixture).await;
    kernel.ping().await.expect("the kernel lives");
    let mut execution = execute(fixture, &*kernel, Snippet::Hang).await;
    read_until(&mut execution, "stream").await;
    kernel.ping().await.expect("the kernel lives");
    kernel.ping().await.expect("the kernel lives");
}
