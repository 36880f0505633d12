//! What an execution says.

use crate::kernel::{Channel, ExecuteRequest};
use crate::model::{Json, JsonMap};

use super::fixture::{
    Fixture, Snippet, execute, field, iopub, launch, object, only, plain, read, read_until, run, stdout, types,
};
use super::list_cases;

list_cases! {
    execution_ok: "an execution ends with exactly one ok reply and one idle status",
    execution_error: "code that raises publishes the error, and the reply tells of it",
    execution_silent: "a silent execution broadcasts no input and does not count",
    execution_aborted: "executions behind one that raises are aborted, where it is to stop on error",
    execution_not_aborted: "executions behind one that raises are executed, where it is not to stop on error",
    execution_order: "iopub messages come in the kernel's order, between busy and idle",
    executions_in_order: "executions run in the order in which they were asked for",
    execution_result: "the value of the last expression is the result, with the execution's count",
    execution_displays: "displays carry their id, and so do their updates",
    execution_user_expressions: "user expressions are evaluated after the code",
    execution_empty: "code without a statement is executed like any other",
    execution_buffers: "binary buffers arrive as they were sent",
    input_answered: "a request for input is on stdin, and the answer goes to the code",
    input_refused: "code that asks for input which is not allowed raises StdinNotImplementedError",
}

async fn execution_ok(fixture: &dyn Fixture) {
    let kernel = launch(fixture).await;
    let execution = execute(fixture, &*kernel, Snippet::Print("hello")).await;
    let msg_id = execution.msg_id.clone();
    let messages = read(execution).await;
    assert!(
        messages
            .iter()
            .all(|message| message.parent_id().as_deref() == Some(&*msg_id)),
        "{messages:?}"
    );
    assert_eq!(stdout(&messages), "hello\n");
    let reply = only(&messages, "execute_reply");
    assert_eq!((reply.channel, field(reply, "status").as_str()), (Channel::Shell, "ok"));
    assert_eq!(reply.content.get("execution_count").and_then(Json::as_i64), Some(1));
    assert_eq!(types(&messages).iter().filter(|name| *name == "idle").count(), 1);
}

async fn execution_error(fixture: &dyn Fixture) {
    let kernel = launch(fixture).await;
    let messages = run(fixture, &*kernel, Snippet::Raise("out of luck")).await;
    for message in [only(&messages, "error"), only(&messages, "execute_reply")] {
        assert_eq!(field(message, "ename"), "ValueError", "{message:?}");
        assert_eq!(field(message, "evalue"), "out of luck", "{message:?}");
        assert!(
            message
                .content
                .get("traceback")
                .and_then(Json::as_array)
                .is_some_and(|lines| !lines.is_empty())
        );
    }
    assert_eq!(field(only(&messages, "execute_reply"), "status"), "error");
    let after = run(fixture, &*kernel, Snippet::Print("alive")).await;
    assert_eq!(stdout(&after), "alive\n");
}

async fn execution_silent(fixture: &dyn Fixture) {
    let kernel = launch(fixture).await;
    let code = fixture.code(Snippet::Assign("quiet", "yes"));
    let request = ExecuteRequest {
        silent: true,
        store_history: false,
        ..ExecuteRequest::new(code)
    };
    let messages = read(kernel.execute(request).await.expect("the kernel lives")).await;
    assert_eq!(iopub(&messages), ["busy", "idle"]);
    let messages = run(fixture, &*kernel, Snippet::Read("quiet")).await;
    assert!(plain(only(&messages, "execute_result")).contains("yes"));
    let reply = only(&messages, "execute_reply");
    assert_eq!(reply.content.get("execution_count").and_then(Json::as_i64), Some(1));
}

async fn execution_aborted(fixture: &dyn Fixture) {
    let kernel = launch(fixture).await;
    let mut first = execute(fixture, &*kernel, Snippet::Hang).await;
    let second = execute(fixture, &*kernel, Snippet::Print("not reached")).await;
    read_until(&mut first, "stream").await;
    kernel.interrupt().await.expect("the kernel lives");
    let (_, second) = futures_util::join!(read(first), read(second));
    assert_eq!(field(only(&second, "execute_reply"), "status"), "aborted");
    assert_eq!(stdout(&second), "");
    assert_eq!(
        stdout(&run(fixture, &*kernel, Snippet::Print("alive")).await),
        "alive\n"
    );
}

async fn execution_not_aborted(fixture: &dyn Fixture) {
    let kernel = launch(fixture).await;
    let request = ExecuteRequest {
        stop_on_error: false,
        ..ExecuteRequest::new(fixture.code(Snippet::Hang))
    };
    let mut first = kernel.execute(request).await.expect("the kernel lives");
    let second = execute(fixture, &*kernel, Snippet::Print("reached")).await;
    read_until(&mut first, "stream").await;
    kernel.interrupt().await.expect("the kernel lives");
    let (_, second) = futures_util::join!(read(first), read(second));
    assert_eq!(stdout(&second), "reached\n");
}

async fn execution_order(fixture: &dyn Fixture) {
    let kernel = launch(fixture).await;
    let code = [
        fixture.code(Snippet::Print("first")),
        fixture.code(Snippet::Display("one", "shown")),
        fixture.code(Snippet::Print("second")),
    ];
    let request = ExecuteRequest::new(code.join("\n"));
    let messages = read(kernel.execute(request).await.expect("the kernel lives")).await;
    let mut published = iopub(&messages);
    // One print may come in pieces.
    published.dedup();
    assert_eq!(
        published,
        ["busy", "execute_input", "stream", "display_data", "stream", "idle"]
    );
    assert_eq!(field(only(&messages, "execute_input"), "code"), code.join("\n"));
}

async fn executions_in_order(fixture: &dyn Fixture) {
    let kernel = launch(fixture).await;
    let first = execute(fixture, &*kernel, Snippet::Assign("name", "one")).await;
    let second = execute(fixture, &*kernel, Snippet::Read("name")).await;
    let third = execute(fixture, &*kernel, Snippet::Assign("name", "two")).await;
    let count = |messages: &[_]| {
        only(messages, "execute_reply")
            .content
            .get("execution_count")
            .and_then(Json::as_i64)
    };
    let second = read(second).await;
    assert!(plain(only(&second, "execute_result")).contains("one"));
    assert_eq!(
        (count(&read(first).await), count(&second), count(&read(third).await)),
        (Some(1), Some(2), Some(3))
    );
}

async fn execution_result(fixture: &dyn Fixture) {
    let kernel = launch(fixture).await;
    run(fixture, &*kernel, Snippet::Assign("answer", "42")).await;
    let messages = run(fixture, &*kernel, Snippet::Read("answer")).await;
    let result = only(&messages, "execute_result");
    assert!(plain(result).contains("42"), "{result:?}");
    assert_eq!(result.content.get("execution_count").and_then(Json::as_i64), Some(2));
    let messages = run(fixture, &*kernel, Snippet::Read("question")).await;
    assert_eq!(field(only(&messages, "error"), "ename"), "NameError");
}

async fn execution_displays(fixture: &dyn Fixture) {
    let kernel = launch(fixture).await;
    let shown = run(fixture, &*kernel, Snippet::Display("chart", "draft")).await;
    let updated = run(fixture, &*kernel, Snippet::Update("chart", "final")).await;
    for (message, text) in [
        (only(&shown, "display_data"), "draft"),
        (only(&updated, "update_display_data"), "final"),
    ] {
        assert_eq!(plain(message), text);
        let id = message
            .content
            .get("transient")
            .and_then(|transient| transient.get("display_id"));
        assert_eq!(id.and_then(Json::as_str).as_deref(), Some("chart"));
    }
}

async fn execution_user_expressions(fixture: &dyn Fixture) {
    let kernel = launch(fixture).await;
    let expressions = [("good", "answer"), ("bad", "question")];
    let request = ExecuteRequest {
        user_expressions: expressions
            .map(|(key, name)| (key.to_owned(), fixture.code(Snippet::Read(name)).into()))
            .into(),
        ..ExecuteRequest::new(fixture.code(Snippet::Assign("answer", "42")))
    };
    let messages = read(kernel.execute(request).await.expect("the kernel lives")).await;
    let values = only(&messages, "execute_reply")
        .content
        .get("user_expressions")
        .cloned()
        .unwrap_or_default();
    let status = |key: &str| {
        values
            .get(key)
            .and_then(|value| value.get("status"))
            .and_then(Json::as_str)
    };
    assert_eq!(
        (status("good").as_deref(), status("bad").as_deref()),
        (Some("ok"), Some("error")),
        "{values}"
    );
    assert!(
        values.get("good").is_some_and(|value| value.to_string().contains("42")),
        "{values}"
    );
}

async fn execution_empty(fixture: &dyn Fixture) {
    let kernel = launch(fixture).await;
    let messages = read(kernel.execute(ExecuteRequest::new("")).await.expect("the kernel lives")).await;
    assert_eq!(field(only(&messages, "execute_reply"), "status"), "ok");
    assert_eq!(stdout(&messages), "");
}

async fn execution_buffers(fixture: &dyn Fixture) {
    let kernel = launch(fixture).await;
    let bytes = [0, 1, 0xff, b'{', 0];
    let messages = run(fixture, &*kernel, Snippet::Buffer(&bytes)).await;
    let opened = only(&messages, "comm_open");
    assert_eq!(
        opened.buffers.iter().map(|buffer| &buffer[..]).collect::<Vec<_>>(),
        [&bytes[..]]
    );
}

async fn input_answered(fixture: &dyn Fixture) {
    let kernel = launch(fixture).await;
    let code = fixture.code(Snippet::Input("your name? "));
    let request = ExecuteRequest {
        allow_stdin: true,
        ..ExecuteRequest::new(code)
    };
    let mut execution = kernel.execute(request).await.expect("the kernel lives");
    let asked = read_until(&mut execution, "input_request").await;
    assert_eq!(
        (asked.channel, field(&asked, "prompt").as_str()),
        (Channel::Stdin, "your name? ")
    );
    assert_eq!(asked.content.get("password").and_then(Json::as_bool), Some(false));
    let content = object([("value", "Ada".into()), ("status", "ok".into())]);
    kernel
        .send(Channel::Stdin, "input_reply", content, Some(&asked.header))
        .await
        .expect("the kernel lives");
    let messages = read(execution).await;
    assert_eq!(stdout(&messages), "Ada\n");
    assert_eq!(field(only(&messages, "execute_reply"), "status"), "ok");
}

async fn input_refused(fixture: &dyn Fixture) {
    let kernel = launch(fixture).await;
    let messages = run(fixture, &*kernel, Snippet::Input("your name? ")).await;
    assert_eq!(field(only(&messages, "error"), "ename"), "StdinNotImplementedError");
    let content: JsonMap = object([("value", "unasked".into())]);
    kernel
        .send(Channel::Stdin, "input_reply", content, None)
        .await
        .expect("an answer nobody asked for is no error");
    assert_eq!(
        stdout(&run(fixture, &*kernel, Snippet::Print("alive")).await),
        "alive\n"
    );
}
