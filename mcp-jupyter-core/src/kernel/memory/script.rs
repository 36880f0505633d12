use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::watch;

use crate::kernel::Death;
use crate::model::{Json, JsonMap, MimeBundle};

/// What a scripted kernel does while it executes a code, one after the other.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Reaction {
    /// Writes to a standard stream.
    Stream {
        /// `stdout` or `stderr`.
        name: String,
        /// The text.
        text: String,
    },
    /// Displays something, by which later updates may refer to it.
    Display {
        /// The representations.
        data: MimeBundle,
        /// `transient.display_id`.
        display_id: Option<String>,
    },
    /// Replaces what is displayed under an id (`update_display_data`).
    UpdateDisplay {
        /// `transient.display_id`.
        display_id: String,
        /// The representations.
        data: MimeBundle,
    },
    /// Gives the value of the last expression (`execute_result`).
    Result(MimeBundle),
    /// Raises: nothing that follows is done.
    Error {
        /// Class of the exception.
        ename: String,
        /// Its message.
        evalue: String,
        /// Its traceback.
        traceback: Vec<String>,
    },
    /// Clears the outputs (`clear_output`).
    ClearOutput {
        /// When the next output arrives.
        wait: bool,
    },
    /// Publishes any message, such as `comm_open`, with the execution as its parent.
    Publish {
        /// The type of the message.
        msg_type: String,
        /// Its content; in it, the text `{msg_id}` stands for the id of the request that is executed.
        content: JsonMap,
        /// Binary data that comes with it.
        buffers: Vec<Bytes>,
    },
    /// Publishes a message that has no parent.
    Unsolicited {
        /// The type of the message.
        msg_type: String,
        /// Its content.
        content: JsonMap,
    },
    /// Asks for input and writes the answer, with a line end, to stdout. Raises `StdinNotImplementedError` where the
    /// request does not allow it.
    Input {
        /// What is shown to whoever answers.
        prompt: String,
        /// Whether the answer must not be shown.
        password: bool,
    },
    /// Lets time pass on tokio's clock. An interrupt raises `KeyboardInterrupt`.
    Sleep(Duration),
    /// Waits until the gate is opened. An interrupt raises `KeyboardInterrupt`.
    Wait(Gate),
    /// Waits for ever. An interrupt raises `KeyboardInterrupt`.
    Hang,
    /// From here on to its end, the execution ignores interrupts.
    IgnoreInterrupts,
    /// Ends the process.
    Die(Death),
    /// The idle status of this execution is not published.
    LoseIdle,
    /// Does this once the reply has been sent, before the idle status.
    AfterReply(Vec<Reaction>),
    /// Does this beside the execution and beyond its end, as a thread that it has started. There, errors and requests
    /// for input have no effect.
    Background(Vec<Reaction>),
    /// Does this so many times.
    Repeat(usize, Vec<Reaction>),
}

impl Reaction {
    /// Writes to stdout, line ends as given.
    pub fn stdout(text: impl Into<String>) -> Self {
        Self::Stream {
            name: "stdout".to_owned(),
            text: text.into(),
        }
    }

    /// Writes to stderr, line ends as given.
    pub fn stderr(text: impl Into<String>) -> Self {
        Self::Stream {
            name: "stderr".to_owned(),
            text: text.into(),
        }
    }

    /// Displays a text.
    pub fn display(text: &str) -> Self {
        Self::Display {
            data: plain(text),
            display_id: None,
        }
    }

    /// Displays a text that can be updated.
    pub fn display_as(display_id: impl Into<String>, text: &str) -> Self {
        Self::Display {
            data: plain(text),
            display_id: Some(display_id.into()),
        }
    }

    /// Replaces the text that is displayed under an id.
    pub fn update_display(display_id: impl Into<String>, text: &str) -> Self {
        Self::UpdateDisplay {
            display_id: display_id.into(),
            data: plain(text),
        }
    }

    /// Gives a value whose representation is this text.
    pub fn result(text: &str) -> Self {
        Self::Result(plain(text))
    }

    /// Raises, with a traceback of one line.
    pub fn error(ename: impl Into<String>, evalue: impl Into<String>) -> Self {
        let (ename, evalue) = (ename.into(), evalue.into());
        let traceback = vec![format!("{ename}: {evalue}")];
        Self::Error {
            ename,
            evalue,
            traceback,
        }
    }

    /// Publishes a message without binary data.
    pub fn publish(msg_type: impl Into<String>, content: JsonMap) -> Self {
        Self::Publish {
            msg_type: msg_type.into(),
            content,
            buffers: Vec::new(),
        }
    }

    /// Asks for input that may be shown.
    pub fn input(prompt: impl Into<String>) -> Self {
        Self::Input {
            prompt: prompt.into(),
            password: false,
        }
    }

    /// Ends the process with an exit code.
    pub fn exit(code: i32) -> Self {
        Self::Die(Death {
            exit_code: Some(code),
            ..Death::default()
        })
    }

    /// Ends the process by a signal.
    pub fn signal(number: i32) -> Self {
        Self::Die(Death {
            signal: Some(number),
            ..Death::default()
        })
    }
}

fn plain(text: &str) -> MimeBundle {
    MimeBundle([("text/plain".to_owned(), Json::from(text))].into_iter().collect())
}

/// Holds an execution until a test opens it. Clones are the same gate.
#[derive(Clone, Debug)]
pub struct Gate(Arc<watch::Sender<GateState>>);

#[derive(Clone, Copy, Debug, Default)]
struct GateState {
    reached: bool,
    open: bool,
}

impl Default for Gate {
    fn default() -> Self {
        Self(Arc::new(watch::Sender::new(GateState::default())))
    }
}

impl Gate {
    /// A closed gate.
    pub fn new() -> Self {
        Self::default()
    }

    /// Lets pass whoever waits or will come.
    pub fn open(&self) {
        self.0.send_modify(|state| state.open = true);
    }

    /// Returns once an execution has come to the gate.
    pub async fn reached(&self) {
        self.wait_for(|state| state.reached).await;
    }

    pub(super) async fn pass(&self) {
        self.0.send_modify(|state| state.reached = true);
        self.wait_for(|state| state.open).await;
    }

    async fn wait_for(&self, wanted: impl Fn(&GateState) -> bool) {
        // The sender is in `self`, so the channel cannot close meanwhile.
        let _ = self.0.subscribe().wait_for(|state| wanted(state)).await;
    }
}

/// How a scripted kernel starts.
#[derive(Clone, Debug, Default)]
pub enum Start {
    /// It answers at once.
    #[default]
    AtOnce,
    /// It answers after this time; never, where it is [`Duration::MAX`].
    After(Duration),
    /// Its process cannot be started, for this reason.
    Fail(String),
    /// Its process ends before it answers.
    Die(Death),
}

/// Asked how to answer a code.
type Responder = Arc<dyn Fn(&str) -> Option<Vec<Reaction>> + Send + Sync>;

/// What scripted kernels answer; built by the methods of [`MemoryProvisioner`](super::MemoryProvisioner).
///
/// # The interpreter
/// Code without a response of its own is read line by line:
///
/// | Line | Effect |
/// |---|---|
/// | `print TEXT`, `eprint TEXT` | writes a line to stdout, stderr |
/// | `NAME = VALUE` | keeps a text under a name until the kernel ends |
/// | `NAME` | its value is the result; raises `NameError` where there is none |
/// | `display ID TEXT`, `update ID TEXT` | displays a text under an id, replaces it |
/// | `clear`, `clear wait` | clears the outputs, at once or with the next one |
/// | `raise ENAME EVALUE` | raises |
/// | `input PROMPT` | asks for input and writes it to stdout |
/// | `sleep SECONDS`, `hang` | passes time, waits for ever |
/// | `exit CODE`, `kill SIGNAL` | ends the process |
/// | `repeat N LINE` | does what the line says so many times |
/// | `background LINE` | does what the line says beside the execution |
/// | `# …` | nothing |
///
/// Any other line raises `SyntaxError`. A comm to the target `echo` sends back what it gets, one to the target `exit`
/// ends the process with exit code 7, and to any other target none can be opened.
#[derive(Clone, Default)]
pub struct Script {
    responses: HashMap<String, Vec<Reaction>>,
    responder: Option<Responder>,
    replies: HashMap<String, JsonMap>,
    start: Start,
}

impl fmt::Debug for Script {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Script")
            .field("responses", &self.responses)
            .field("start", &self.start)
            .finish_non_exhaustive()
    }
}

impl Script {
    pub(super) fn respond(&mut self, code: &str, reactions: Vec<Reaction>) {
        self.responses.insert(code.trim().to_owned(), reactions);
    }

    pub(super) fn set_responder(&mut self, responder: Responder) {
        self.responder = Some(responder);
    }

    pub(super) fn set_reply(&mut self, msg_type: String, content: JsonMap) {
        self.replies.insert(msg_type, content);
    }

    pub(super) fn set_start(&mut self, start: Start) {
        self.start = start;
    }

    pub(super) fn start(&self) -> &Start {
        &self.start
    }

    /// The reactions given for this code; none where the interpreter is to read it.
    pub(super) fn response(&self, code: &str) -> Option<Vec<Reaction>> {
        let given = self.responses.get(code.trim()).cloned();
        given.or_else(|| self.responder.as_ref()?(code))
    }

    pub(super) fn reply(&self, msg_type: &str) -> Option<JsonMap> {
        self.replies.get(msg_type).cloned()
    }
}
