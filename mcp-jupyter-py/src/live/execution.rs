use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use futures_util::StreamExt;
use mcp_jupyter_core::Error;
use mcp_jupyter_core::kernel::{Channel, Death, ExecuteRequest, Header, Kernel, KernelError, Message};
use mcp_jupyter_core::model::{Json, JsonMap};
use pyo3::prelude::*;
use serde::Serialize;
use tokio::task::AbortHandle;
use tokio::time::{Instant, sleep_until};

use super::object;
use crate::error::to_python;
use crate::feed::Feed;
use crate::job::PyJob;
use crate::objects::to_list;
use crate::runtime::{self, Owned};

/// How long code that is interrupted because its time is up may still take to end.
const PATIENCE: Duration = Duration::from_secs(10);

/// What to execute, and how.
#[derive(Debug, FromPyObject)]
#[pyo3(from_item_all)]
pub(crate) struct ExecuteOptions {
    code: String,
    silent: bool,
    store_history: bool,
    allow_stdin: bool,
    stop_on_error: bool,
    /// A JSON object.
    user_expressions: String,
    /// In seconds.
    timeout: Option<f64>,
}

impl ExecuteOptions {
    fn request(self) -> Result<(ExecuteRequest, Option<Duration>), Error> {
        let timeout = self
            .timeout
            .and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
        let user_expressions = object(&self.user_expressions)?;
        let request = ExecuteRequest {
            silent: self.silent,
            store_history: self.store_history,
            allow_stdin: self.allow_stdin,
            stop_on_error: self.stop_on_error,
            user_expressions,
            ..ExecuteRequest::new(self.code)
        };
        Ok((request, timeout))
    }
}

/// A message as Python reads it.
#[derive(Debug, Serialize)]
pub(crate) struct Item {
    msg_type: String,
    content: Json,
    metadata: Json,
}

impl From<Message> for Item {
    fn from(message: Message) -> Self {
        Self {
            msg_type: message.msg_type().into_owned(),
            metadata: Json::Object(message.metadata),
            content: message.content,
        }
    }
}

/// An execution in progress. Dropping it does not end it.
#[pyclass(name = "Execution", module = "mcp_jupyter._native", frozen)]
#[derive(Debug)]
pub(crate) struct PyExecution(Owned<Followed>);

#[derive(Debug)]
struct Followed {
    shared: Arc<Shared>,
    task: AbortHandle,
    kernel: Weak<dyn Kernel>,
}

#[derive(Debug, Default)]
struct Shared {
    messages: Feed<Item>,
    /// Why it has ended, where not by itself.
    failure: Mutex<Option<Error>>,
    /// The request for input that waits for an answer.
    question: Mutex<Option<Header>>,
}

impl Shared {
    fn fail(&self, error: KernelError) {
        *self.failure.lock().unwrap_or_else(PoisonError::into_inner) = Some(error.into());
    }
}

/// However an execution ends, its reader is told.
struct Closer(Arc<Shared>);

impl Drop for Closer {
    fn drop(&mut self) {
        self.0.messages.end();
    }
}

impl PyExecution {
    pub(super) fn start(py: Python<'_>, kernel: Arc<dyn Kernel>, options: ExecuteOptions) -> PyResult<Self> {
        let (request, timeout) = options.request().map_err(|error| to_python(py, error))?;
        let shared = Arc::new(Shared::default());
        let closer = Closer(Arc::clone(&shared));
        let weak = Arc::downgrade(&kernel);
        let task = runtime::handle(py)?.spawn(async move {
            if let Err(error) = follow(&*kernel, request, timeout, &closer.0).await {
                closer.0.fail(error);
            }
        });
        Ok(Self(Owned::new(Followed {
            shared,
            task: task.abort_handle(),
            kernel: weak,
        })))
    }
}

impl Drop for Followed {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Passes on what the kernel says; once the time is up, interrupts it.
async fn follow(
    kernel: &dyn Kernel,
    request: ExecuteRequest,
    timeout: Option<Duration>,
    shared: &Shared,
) -> Result<(), KernelError> {
    let mut due = timeout.map(|timeout| Instant::now() + timeout);
    let mut is_late = false;
    let mut execution = kernel.execute(request).await?;
    let timed_out = || KernelError::TimedOut {
        action: "executing code".to_owned(),
        seconds: timeout.unwrap_or_default().as_secs_f64(),
    };
    loop {
        tokio::select! {
            biased;
            () = sleep_until(due.unwrap_or_else(Instant::now)), if due.is_some() => {
                if std::mem::replace(&mut is_late, true) {
                    return Err(timed_out());
                }
                due = Some(Instant::now() + PATIENCE);
                kernel.interrupt().await?;
            }
            message = execution.messages.next() => match message {
                Some(message) => pass_on(message?, shared).await,
                None if is_late => return Err(timed_out()),
                None => return Ok(()),
            },
        }
    }
}

async fn pass_on(message: Message, shared: &Shared) {
    if message.channel == Channel::Stdin {
        *shared.question.lock().unwrap_or_else(PoisonError::into_inner) = Some(message.header.clone());
    }
    shared.messages.push(message.into()).await;
}

#[pymethods]
impl PyExecution {
    /// Waits for messages, at most for `timeout` seconds; None when all have been read and the execution has ended.
    #[pyo3(signature = (timeout=None))]
    fn wait<'py>(&self, py: Python<'py>, timeout: Option<f64>) -> PyResult<Option<Bound<'py, PyAny>>> {
        to_list(py, self.0.get()?.shared.messages.wait(py, timeout)?)
    }

    /// The messages that are there, without waiting; None when all have been read and the execution has ended.
    fn poll<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyAny>>> {
        to_list(py, self.0.get()?.shared.messages.next(Duration::ZERO))
    }

    /// Has `callback` called in `event_loop` when there is something to read after there was nothing.
    fn subscribe(&self, py: Python<'_>, event_loop: Py<PyAny>, callback: Py<PyAny>) -> PyResult<()> {
        self.0.get()?.shared.messages.subscribe(py, event_loop, callback)
    }

    /// Answers the request for input that was read last.
    fn answer(&self, py: Python<'_>, text: String) -> PyResult<PyJob> {
        let followed = self.0.get()?;
        let question = followed
            .shared
            .question
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        let kernel = followed.kernel.upgrade();
        let content = JsonMap::from_iter([("value".to_owned(), text.into())]);
        let work = async move {
            let kernel = kernel.ok_or_else(|| KernelError::Died(Death::default()))?;
            let parent = question.as_ref();
            kernel
                .send(Channel::Stdin, "input_reply", content, parent)
                .await
                .map(drop)
        };
        PyJob::start_plain(py, work)
    }

    /// Raises why it has ended, where not by itself; once.
    fn check(&self, py: Python<'_>) -> PyResult<()> {
        let failure = &self.0.get()?.shared.failure;
        let failure = failure.lock().unwrap_or_else(PoisonError::into_inner).take();
        failure.map_or(Ok(()), |error| Err(to_python(py, error)))
    }
}
