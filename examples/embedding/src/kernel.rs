//! The kernel: what the engine needs to be told so that it can run notebooks on something that is no Jupyter kernel.
//!
//! [`CalculatorProvisioner`] says which kernels there are and starts them; [`CalculatorKernel`] answers an execution
//! with the messages that a Jupyter kernel would send (messaging spec, "Execute").

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use futures_core::stream::BoxStream;
use futures_util::{StreamExt, stream};
use mcp_jupyter_core::kernel::{
    Channel, Death, ExecuteRequest, Execution, Header, InterruptMode, Kernel, KernelError, KernelInfo,
    KernelProvisioner, KernelSpec, KernelState, LaunchRequest, Message, ShutdownMode,
};
use mcp_jupyter_core::model::{Json, JsonMap, KernelId};
use tokio::sync::watch;

use crate::calculator::{Calculator, Failure};

const NAME: &str = "calculator";

/// Starts calculators.
#[derive(Debug, Default)]
pub(crate) struct CalculatorProvisioner;

impl CalculatorProvisioner {
    /// The one kernel that there is.
    pub(crate) fn kernelspec() -> KernelSpec {
        KernelSpec {
            name: NAME.to_owned(),
            resource_dir: std::path::PathBuf::new(),
            argv: Vec::new(),
            display_name: "Calculator".to_owned(),
            language: "arithmetic".to_owned(),
            env: [].into_iter().collect(),
            interrupt_mode: InterruptMode::Message,
            metadata: JsonMap::new(),
        }
    }
}

impl fmt::Display for CalculatorProvisioner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("calculators in this process")
    }
}

#[async_trait]
impl KernelProvisioner for CalculatorProvisioner {
    async fn kernelspecs(&self) -> Result<Vec<KernelSpec>, KernelError> {
        Ok(vec![Self::kernelspec()])
    }

    async fn launch(&self, request: LaunchRequest) -> Result<Arc<dyn Kernel>, KernelError> {
        if request.spec.name != NAME {
            return Err(KernelError::NoSuchKernel {
                name: request.spec.name,
                available: vec![NAME.to_owned()],
            });
        }
        Ok(Arc::new(CalculatorKernel::new()))
    }
}

/// A calculator that behaves as a kernel.
#[derive(Debug)]
pub(crate) struct CalculatorKernel {
    id: KernelId,
    session: String,
    state: watch::Sender<KernelState>,
    /// The engine executes one cell at a time, but the trait may be called from any task.
    memory: Mutex<Memory>,
}

#[derive(Debug, Default)]
struct Memory {
    calculator: Calculator,
    execution_count: i64,
}

impl CalculatorKernel {
    fn new() -> Self {
        let id = KernelId::random();
        Self {
            session: id.to_string(),
            id,
            state: watch::Sender::new(KernelState::Idle),
            memory: Mutex::default(),
        }
    }

    fn alive(&self) -> Result<(), KernelError> {
        match &*self.state.borrow() {
            KernelState::Dead(death) => Err(KernelError::Died(death.clone())),
            _ => Ok(()),
        }
    }

    fn unsupported(&self, what: &str) -> KernelError {
        KernelError::Unsupported {
            what: what.to_owned(),
            by: self.to_string(),
        }
    }

    fn calculate(&self, code: &str) -> (i64, Result<Option<f64>, Failure>) {
        let mut memory = self.memory.lock().unwrap_or_else(PoisonError::into_inner);
        memory.execution_count += 1;
        (memory.execution_count, memory.calculator.calculate(code))
    }

    /// Everything that a Jupyter kernel says about one execution, in its order.
    fn messages(&self, parent: &Header, code: &str) -> Vec<Message> {
        let (count, result) = self.calculate(code);
        let message = |channel, msg_type: &str, content| Message {
            parent_header: Some(parent.clone()),
            ..Message::new(channel, msg_type, &self.session, content)
        };
        let iopub = |msg_type: &str, content| message(Channel::Iopub, msg_type, content);
        let mut messages = vec![
            iopub("status", object([("execution_state", "busy")])),
            iopub(
                "execute_input",
                object([("code", Json::from(code)), ("execution_count", count.into())]),
            ),
        ];
        let reply = match &result {
            Ok(value) => {
                messages.extend(value.map(|value| iopub("execute_result", execute_result(value, count))));
                object([("status", Json::from("ok")), ("execution_count", count.into())])
            }
            Err(failure) => {
                messages.push(iopub("error", error(failure)));
                let mut content = error(failure);
                content.extend(object([
                    ("status", Json::from("error")),
                    ("execution_count", count.into()),
                ]));
                content
            }
        };
        messages.push(message(Channel::Shell, "execute_reply", reply));
        messages.push(iopub("status", object([("execution_state", "idle")])));
        messages
    }
}

fn object<V: Into<Json>, const N: usize>(members: [(&str, V); N]) -> JsonMap {
    members
        .into_iter()
        .map(|(key, value)| (key.to_owned(), value.into()))
        .collect()
}

fn execute_result(value: f64, count: i64) -> JsonMap {
    object([
        ("data", Json::Object(object([("text/plain", value.to_string())]))),
        ("metadata", Json::Object(JsonMap::new())),
        ("execution_count", count.into()),
    ])
}

fn error(failure: &Failure) -> JsonMap {
    let Failure { name, reason } = failure;
    object([
        ("ename", Json::from(*name)),
        ("evalue", reason.as_str().into()),
        ("traceback", Json::Array(vec![format!("{name}: {reason}").into()])),
    ])
}

impl fmt::Display for CalculatorKernel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "calculator {}", self.id)
    }
}

#[async_trait]
impl Kernel for CalculatorKernel {
    fn id(&self) -> &KernelId {
        &self.id
    }

    fn info(&self) -> KernelInfo {
        let language = object([("name", "arithmetic"), ("version", "1"), ("file_extension", ".sum")]);
        KernelInfo {
            content: object([
                ("protocol_version", Json::from("5.4")),
                ("language_info", Json::Object(language)),
            ]),
        }
    }

    fn state(&self) -> watch::Receiver<KernelState> {
        self.state.subscribe()
    }

    async fn execute(&self, request: ExecuteRequest) -> Result<Execution, KernelError> {
        self.alive()?;
        let header = Header::new("execute_request", &self.session);
        // An expression takes no time: all has happened before the first message is read. A kernel that works for
        // long hands out the receiving end of a channel here and sends from a task.
        let messages = self.messages(&header, &request.code);
        Ok(Execution {
            msg_id: header.msg_id().into_owned(),
            messages: stream::iter(messages).map(Ok).boxed(),
            position: None,
        })
    }

    async fn request(&self, _channel: Channel, msg_type: &str, _content: JsonMap) -> Result<Message, KernelError> {
        self.alive()?;
        match msg_type {
            "kernel_info_request" => {
                let content = self.info().content;
                Ok(Message::new(
                    Channel::Shell,
                    "kernel_info_reply",
                    &self.session,
                    content,
                ))
            }
            other => Err(self.unsupported(other)),
        }
    }

    async fn send(
        &self,
        _channel: Channel,
        msg_type: &str,
        _content: JsonMap,
        _parent: Option<&Header>,
    ) -> Result<String, KernelError> {
        Err(self.unsupported(msg_type))
    }

    fn unsolicited(&self) -> BoxStream<'static, Message> {
        stream::empty().boxed()
    }

    async fn ping(&self) -> Result<(), KernelError> {
        self.alive()
    }

    async fn interrupt(&self) -> Result<(), KernelError> {
        self.alive()
    }

    async fn restart(&self) -> Result<(), KernelError> {
        *self.memory.lock().unwrap_or_else(PoisonError::into_inner) = Memory::default();
        self.state.send_replace(KernelState::Idle);
        Ok(())
    }

    async fn shutdown(&self, _mode: ShutdownMode) -> Result<(), KernelError> {
        self.state.send_replace(KernelState::Dead(Death::default()));
        Ok(())
    }
}
