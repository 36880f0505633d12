//! Requests other than executions, and comms.

use futures_util::StreamExt;

use crate::kernel::{Channel, Kernel, Message};
use crate::model::{Json, JsonMap};

use super::fixture::{Fixture, Snippet, field, launch, object, run};
use super::list_cases;

list_cases! {
    request_kernel_info: "kernel_info_request is answered on shell and on control, and the kernel keeps the answer",
    request_while_busy: "control answers while a cell is executed, shell when it is done",
    request_inspect: "inspect_request finds a name",
    request_complete: "complete_request completes a name",
    request_is_complete: "is_complete_request knows whole code",
    request_history: "history_request gives what was executed",
    comm_round_trip: "a comm can be opened, written to, read from and listed",
    comm_unknown_target: "a comm to a target that does not exist is closed",
}

async fn ask(kernel: &dyn Kernel, msg_type: &str, content: JsonMap) -> Message {
    let reply = kernel
        .request(Channel::Shell, msg_type, content)
        .await
        .expect("the kernel answers");
    assert_eq!(reply.msg_type(), msg_type.replace("_request", "_reply"));
    assert_eq!(reply.channel, Channel::Shell);
    reply
}

async fn request_kernel_info(fixture: &dyn Fixture) {
    let kernel = launch(fixture).await;
    for channel in [Channel::Shell, Channel::Control] {
        let reply = kernel
            .request(channel, "kernel_info_request", JsonMap::new())
            .await
            .expect("the kernel answers");
        assert_eq!((reply.channel, &*reply.msg_type()), (channel, "kernel_info_reply"));
        assert_eq!(field(&reply, "status"), "ok");
        assert_eq!(
            field(&reply, "protocol_version"),
            kernel.info().protocol_version().unwrap_or_default()
        );
    }
    let language = kernel.info().language_info().and_then(|info| info.get("name")).cloned();
    assert!(language.and_then(|name| name.as_str().map(|name| !name.is_empty())) == Some(true));
}

async fn request_while_busy(fixture: &dyn Fixture) {
    let kernel = launch(fixture).await;
    let mut execution = super::fixture::execute(fixture, &*kernel, Snippet::Hang).await;
    super::fixture::read_until(&mut execution, "stream").await;
    let on_control = kernel
        .request(Channel::Control, "kernel_info_request", JsonMap::new())
        .await;
    assert_eq!(field(&on_control.expect("the kernel answers"), "status"), "ok");
    let on_shell = kernel.request(Channel::Shell, "kernel_info_request", JsonMap::new());
    let interrupted = async {
        kernel.interrupt().await.expect("the kernel lives");
        super::fixture::read(execution).await
    };
    let (on_shell, _) = futures_util::join!(on_shell, interrupted);
    assert_eq!(on_shell.expect("the kernel answers").msg_type(), "kernel_info_reply");
}

async fn request_inspect(fixture: &dyn Fixture) {
    let kernel = launch(fixture).await;
    run(fixture, &*kernel, Snippet::Assign("answer", "42")).await;
    let content = |code: &str| {
        let cursor = i64::try_from(code.chars().count()).expect("the code is short");
        object([
            ("code", code.into()),
            ("cursor_pos", cursor.into()),
            ("detail_level", 0_i64.into()),
        ])
    };
    let reply = ask(&*kernel, "inspect_request", content("answer")).await;
    assert_eq!(reply.content.get("found").and_then(Json::as_bool), Some(true));
    assert!(super::fixture::plain(&reply).contains("42"));
    let reply = ask(&*kernel, "inspect_request", content("question")).await;
    assert_eq!(reply.content.get("found").and_then(Json::as_bool), Some(false));
}

async fn request_complete(fixture: &dyn Fixture) {
    let kernel = launch(fixture).await;
    run(fixture, &*kernel, Snippet::Assign("answer_of_all", "42")).await;
    let content = object([("code", "answer_o".into()), ("cursor_pos", 8_i64.into())]);
    let reply = ask(&*kernel, "complete_request", content).await;
    let matches = reply
        .content
        .get("matches")
        .and_then(Json::as_array)
        .unwrap_or_default();
    assert!(
        matches
            .iter()
            .any(|name| name.as_str().as_deref() == Some("answer_of_all")),
        "{matches:?}"
    );
    assert_eq!(reply.content.get("cursor_start").and_then(Json::as_i64), Some(0));
    assert_eq!(reply.content.get("cursor_end").and_then(Json::as_i64), Some(8));
}

async fn request_is_complete(fixture: &dyn Fixture) {
    let kernel = launch(fixture).await;
    let code = fixture.code(Snippet::Print("whole"));
    let reply = ask(&*kernel, "is_complete_request", object([("code", code.into())])).await;
    assert_eq!(field(&reply, "status"), "complete");
}

async fn request_history(fixture: &dyn Fixture) {
    let kernel = launch(fixture).await;
    run(fixture, &*kernel, Snippet::Print("for posterity")).await;
    let content = object([
        ("output", false.into()),
        ("raw", true.into()),
        ("hist_access_type", "range".into()),
        ("session", 0_i64.into()),
        ("start", 1_i64.into()),
        ("stop", Json::Null),
        ("n", 10_i64.into()),
    ]);
    let reply = ask(&*kernel, "history_request", content).await;
    let history = reply
        .content
        .get("history")
        .and_then(Json::as_array)
        .unwrap_or_default();
    assert!(
        history
            .last()
            .is_some_and(|entry| entry.to_string().contains("for posterity")),
        "{history:?}"
    );
}

fn comm(id: &str) -> (String, Json) {
    ("comm_id".to_owned(), id.into())
}

async fn comm_round_trip(fixture: &dyn Fixture) {
    let kernel = launch(fixture).await;
    run(fixture, &*kernel, Snippet::CommTargets).await;
    let mut unsolicited = kernel.unsolicited();
    let mut open = object([("target_name", "echo".into()), ("data", JsonMap::new().into())]);
    open.extend([comm("c1")]);
    kernel
        .send(Channel::Shell, "comm_open", open, None)
        .await
        .expect("the kernel lives");
    let mut message = object([("data", object([("n", 5_i64.into())]).into())]);
    message.extend([comm("c1")]);
    let msg_id = kernel
        .send(Channel::Shell, "comm_msg", message, None)
        .await
        .expect("the kernel lives");
    let echo = loop {
        let message = unsolicited.next().await.expect("the kernel lives");
        if message.msg_type() == "comm_msg" {
            break message;
        }
    };
    assert_eq!(
        (echo.parent_id().as_deref(), field(&echo, "comm_id").as_str()),
        (Some(&*msg_id), "c1")
    );
    assert!(
        echo.content
            .get("data")
            .is_some_and(|data| data.to_string().contains('5')),
        "{echo:?}"
    );
    let reply = ask(&*kernel, "comm_info_request", object([("target_name", "echo".into())])).await;
    assert!(
        reply.content.get("comms").and_then(|comms| comms.get("c1")).is_some(),
        "{reply:?}"
    );
}

async fn comm_unknown_target(fixture: &dyn Fixture) {
    let kernel = launch(fixture).await;
    let mut unsolicited = kernel.unsolicited();
    let mut open = object([("target_name", "nowhere".into()), ("data", JsonMap::new().into())]);
    open.extend([comm("c2")]);
    kernel
        .send(Channel::Shell, "comm_open", open, None)
        .await
        .expect("the kernel lives");
    loop {
        let message = unsolicited.next().await.expect("the kernel lives");
        if message.msg_type() == "comm_close" {
            assert_eq!(field(&message, "comm_id"), "c2");
            break;
        }
    }
}
