use std::fmt::Debug;
use std::sync::Arc;

use async_trait::async_trait;
use futures_util::StreamExt;

use crate::kernel::{
    Channel, ExecuteRequest, Execution, Kernel, KernelError, KernelProvisioner, KernelSpec, LaunchRequest, Message,
};
use crate::model::{Json, JsonMap};

/// A backend under test, and how to make its kernels do what the cases are about.
#[async_trait]
pub trait Fixture: Debug + Send + Sync + 'static {
    /// The backend. Its kernelspecs include that of [`Fixture::request`].
    fn provisioner(&self) -> Arc<dyn KernelProvisioner>;

    /// The kernelspec of this name, found the way that the backend's users find it.
    async fn find(&self, name: &str) -> Result<KernelSpec, KernelError>;

    /// A kernel that starts.
    async fn request(&self) -> LaunchRequest;

    /// A backend and a request for a kernel whose process ends before it answers, with exit code 3.
    fn that_dies(&self) -> (Arc<dyn KernelProvisioner>, LaunchRequest);

    /// A backend and a request for a kernel that never answers.
    fn that_hangs(&self) -> (Arc<dyn KernelProvisioner>, LaunchRequest);

    /// Returns when no kernel that was started for this fixture runs any more.
    async fn all_ended(&self);

    /// Code in the kernels' language.
    fn code(&self, snippet: Snippet<'_>) -> String;
}

/// What a case needs code for.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub enum Snippet<'a> {
    /// Prints a line to stdout.
    Print(&'a str),
    /// Prints the numbers from 0 to below this, a line each, each a message of its own.
    Count(usize),
    /// Raises a `ValueError` with this message.
    Raise(&'a str),
    /// Prints `ready`, then waits for ever, until it is interrupted.
    Hang,
    /// Keeps a text under a name.
    Assign(&'a str, &'a str),
    /// An expression whose value is the text under this name; a `NameError` where there is none.
    Read(&'a str),
    /// Displays a text under a display id.
    Display(&'a str, &'a str),
    /// Replaces what is displayed under the id.
    Update(&'a str, &'a str),
    /// Asks for input with this prompt and prints the answer.
    Input(&'a str),
    /// Ends the process with exit code 3, without a reply.
    Exit,
    /// Ends the process by SIGKILL.
    Kill,
    /// Opens a comm from the kernel's side, with one binary buffer of these bytes.
    Buffer(&'a [u8]),
    /// Makes sure that the comm targets `echo`, which sends back the data that it gets, and `exit`, which ends the
    /// process with exit code 7 when a comm is opened, exist.
    CommTargets,
}

/// Starts the fixture's kernel.
pub(super) async fn launch(fixture: &dyn Fixture) -> Arc<dyn Kernel> {
    fixture
        .provisioner()
        .launch(fixture.request().await)
        .await
        .expect("the fixture's kernel starts")
}

/// Executes a snippet.
pub(super) async fn execute(fixture: &dyn Fixture, kernel: &dyn Kernel, snippet: Snippet<'_>) -> Execution {
    kernel
        .execute(ExecuteRequest::new(fixture.code(snippet)))
        .await
        .expect("a living kernel takes a request")
}

/// Executes a snippet and reads all its messages.
pub(super) async fn run(fixture: &dyn Fixture, kernel: &dyn Kernel, snippet: Snippet<'_>) -> Vec<Message> {
    read(execute(fixture, kernel, snippet).await).await
}

/// Reads an execution to its end.
pub(super) async fn read(mut execution: Execution) -> Vec<Message> {
    let mut messages = Vec::new();
    while let Some(message) = execution.messages.next().await {
        messages.push(message.expect("the execution ends with its reply and its idle status"));
    }
    messages
}

/// Reads an execution that ends with an error: what came before, and the error.
pub(super) async fn read_to_error(mut execution: Execution) -> (Vec<Message>, KernelError) {
    let mut messages = Vec::new();
    let error = loop {
        match execution
            .messages
            .next()
            .await
            .expect("the execution ends with an error")
        {
            Ok(message) => messages.push(message),
            Err(error) => break error,
        }
    };
    assert!(
        execution.messages.next().await.is_none(),
        "an error is the last item of the stream"
    );
    (messages, error)
}

/// Reads an execution until a message of this type comes.
pub(super) async fn read_until(execution: &mut Execution, msg_type: &str) -> Message {
    loop {
        let message = execution
            .messages
            .next()
            .await
            .expect("the message comes before the end of the execution");
        let message = message.expect("the message comes before any error");
        if message.msg_type() == msg_type {
            return message;
        }
    }
}

/// A text member of a message's content.
pub(super) fn field(message: &Message, name: &str) -> String {
    message
        .content
        .get(name)
        .and_then(Json::as_str)
        .unwrap_or_default()
        .into_owned()
}

/// All text that was written to stdout.
pub(super) fn stdout(messages: &[Message]) -> String {
    let streams = messages
        .iter()
        .filter(|message| message.msg_type() == "stream" && field(message, "name") == "stdout");
    streams.map(|message| field(message, "text")).collect()
}

/// The one message of this type.
pub(super) fn only<'a>(messages: &'a [Message], msg_type: &str) -> &'a Message {
    let found: Vec<&Message> = messages
        .iter()
        .filter(|message| message.msg_type() == msg_type)
        .collect();
    assert_eq!(found.len(), 1, "exactly one {msg_type} in {:?}", types(messages));
    found[0]
}

/// The `text/plain` of a message with data.
pub(super) fn plain(message: &Message) -> String {
    let data = message.content.get("data").and_then(|data| data.get("text/plain"));
    data.and_then(Json::as_str).unwrap_or_default().into_owned()
}

/// The types of messages, a status with its state.
pub(super) fn types(messages: &[Message]) -> Vec<String> {
    let name = |message: &Message| match &*message.msg_type() {
        "status" => field(message, "execution_state"),
        msg_type => msg_type.to_owned(),
    };
    messages.iter().map(name).collect()
}

/// The types of the iopub messages.
pub(super) fn iopub(messages: &[Message]) -> Vec<String> {
    let published: Vec<Message> = messages
        .iter()
        .filter(|message| message.channel == Channel::Iopub)
        .cloned()
        .collect();
    types(&published)
}

/// An object from its members.
pub(super) fn object<const N: usize>(members: [(&str, Json); N]) -> JsonMap {
    members
        .into_iter()
        .map(|(key, value)| (key.to_owned(), value))
        .collect()
}
