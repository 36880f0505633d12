//! What becomes of messages that are not read at once, or not at all.

use futures_util::StreamExt;

use crate::kernel::{Channel, Execution, Kernel, KernelError, KernelState, Message, ShutdownMode};
use crate::model::JsonMap;

use super::fixture::{Fixture, Snippet, execute, field, launch, read, read_to_error, read_until, stdout};
use super::list_cases;

list_cases! {
    slow_reader: "a stream that is not polled loses nothing, and holds up no reply",
    slow_reader_and_shutdown: "a kernel can be ended while nobody reads; what it had said can still be read",
    dropped_stream: "what an execution says once its stream is dropped is unsolicited",
    two_subscribers: "every subscriber gets every unsolicited message",
}

const LINES: usize = 5000;

fn numbers(count: usize) -> String {
    (0..count)
        .flat_map(|number| [number.to_string(), "\n".to_owned()])
        .collect()
}

/// Returns when the kernel has done all that it was asked to do before.
async fn catch_up(kernel: &dyn Kernel) {
    let reply = kernel
        .request(Channel::Shell, "kernel_info_request", JsonMap::new())
        .await;
    reply.expect("a reply does not wait for the reader of an execution");
}

async fn slow_reader(fixture: &dyn Fixture) {
    let kernel = launch(fixture).await;
    let execution = execute(fixture, &*kernel, Snippet::Count(LINES)).await;
    catch_up(&*kernel).await;
    let text = stdout(&read(execution).await);
    assert_eq!(
        (text.lines().count(), text == numbers(LINES)),
        (LINES, true),
        "lines are missing or out of order"
    );
}

async fn slow_reader_and_shutdown(fixture: &dyn Fixture) {
    let kernel = launch(fixture).await;
    let state = kernel.state();
    let counted = execute(fixture, &*kernel, Snippet::Count(LINES)).await;
    catch_up(&*kernel).await;
    let hanging = execute(fixture, &*kernel, Snippet::Hang).await;
    kernel
        .shutdown(ShutdownMode::Immediate)
        .await
        .expect("a kernel can be ended");
    assert!(matches!(*state.borrow(), KernelState::Dead(_)));
    // What a killed process has not sent by then is lost with it; nothing before that may be.
    let text = stdout(&read_what_came(counted).await);
    assert!(
        numbers(LINES).starts_with(&text),
        "lines are missing among the first {}",
        text.lines().count()
    );
    let (_, error) = read_to_error(hanging).await;
    assert!(matches!(error, KernelError::Died(_)), "{error}");
}

/// Reads to the end, whether or not that is an error.
async fn read_what_came(execution: Execution) -> Vec<Message> {
    let messages: Vec<_> = execution.messages.collect().await;
    messages.into_iter().flatten().collect()
}

async fn dropped_stream(fixture: &dyn Fixture) {
    let kernel = launch(fixture).await;
    let mut unsolicited = kernel.unsolicited();
    let mut execution = execute(fixture, &*kernel, Snippet::Hang).await;
    read_until(&mut execution, "stream").await;
    let msg_id = execution.msg_id.clone();
    drop(execution);
    kernel.interrupt().await.expect("the kernel lives");
    let mut types = Vec::new();
    while !types.iter().any(|name| name == "idle") {
        let message = unsolicited.next().await.expect("the kernel lives");
        if message.parent_id().as_deref() == Some(&*msg_id) {
            types.extend(super::fixture::types(&[message]));
        }
    }
    assert_eq!(types, ["error", "idle"]);
    let messages = super::fixture::run(fixture, &*kernel, Snippet::Print("alive")).await;
    assert_eq!(stdout(&messages), "alive\n");
}

async fn two_subscribers(fixture: &dyn Fixture) {
    let kernel = launch(fixture).await;
    let (mut one, mut other) = (kernel.unsolicited(), kernel.unsolicited());
    let reply = kernel
        .request(Channel::Shell, "kernel_info_request", JsonMap::new())
        .await
        .expect("the kernel lives");
    let parent = reply.parent_id().map(std::borrow::Cow::into_owned);
    for subscriber in [&mut one, &mut other] {
        let mut states = Vec::new();
        while states.len() < 2 {
            let message = subscriber.next().await.expect("the kernel lives");
            if message.parent_id().as_deref() == parent.as_deref() {
                states.push(field(&message, "execution_state"));
            }
        }
        assert_eq!(states, ["busy", "idle"]);
    }
}
