//! Who answers when a cell asks for input.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use tokio::sync::oneshot;

use crate::error::ErrorKind;
use crate::model::{CellRef, InputId, RunId, SessionId};

/// A question of a cell.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct InputRequest {
    /// Another one for each question.
    pub id: InputId,
    /// The session.
    pub session: SessionId,
    /// The run.
    pub run_id: RunId,
    /// The cell.
    pub cell: CellRef,
    /// What the code shows to whoever is to answer.
    pub prompt: String,
    /// Whether the answer must not be shown.
    pub password: bool,
}

/// Who answers when a cell asks for input. One of the two methods has to be there; the other leads to it.
///
/// Answers are handed to the kernel, and kept nowhere by us.
#[async_trait]
pub trait InputSource: fmt::Debug + Send + Sync + 'static {
    /// The answer, without a line end; none where there is nobody to ask any more, which interrupts the cell.
    ///
    /// The future is dropped when the cell ends without having been answered.
    async fn answer(&self, request: &InputRequest) -> Option<String> {
        self.ask(&request.prompt, request.password).await
    }

    /// The same, for whoever has one question at a time.
    async fn ask(&self, _prompt: &str, _password: bool) -> Option<String> {
        None
    }
}

/// Questions that wait for whoever answers them by their ids, from anywhere. Clones are the same ones.
///
/// ```
/// use std::time::Duration;
///
/// use mcp_jupyter_core::engine::{InputSource as _, PendingInputs};
///
/// # tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(async {
/// let inputs = PendingInputs::new(Some(Duration::from_secs(60)));
/// # let request = mcp_jupyter_core::engine::InputRequest {
/// #     id: "one".into(), session: "s".into(), run_id: "r".into(), password: true, prompt: "pin? ".to_owned(),
/// #     cell: mcp_jupyter_core::engine::CellRef { id: "c".into(), index: 0 },
/// # };
/// let cell = tokio::spawn({
///     let (inputs, request) = (inputs.clone(), request.clone());
///     async move { inputs.answer(&request).await }
/// });
/// while inputs.waiting().is_empty() {
///     tokio::task::yield_now().await;
/// }
/// inputs.reply(&request.id, "1234".to_owned())?;
/// assert_eq!(cell.await?.as_deref(), Some("1234"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Default)]
pub struct PendingInputs {
    patience: Option<Duration>,
    waiting: Arc<Mutex<BTreeMap<InputId, Waiting>>>,
}

struct Waiting {
    request: InputRequest,
    answer_tx: oneshot::Sender<Option<String>>,
}

/// Nobody waits for this answer: the question was answered, cancelled or timed out, or its cell has ended.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "no cell waits for the input {id} any more: it was answered or cancelled, has timed out, or its cell has ended"
)]
pub struct NoSuchInput {
    /// The id that was given.
    pub id: InputId,
}

impl NoSuchInput {
    /// What a caller can do about it.
    pub fn kind(&self) -> ErrorKind {
        ErrorKind::NotFound
    }
}

impl PendingInputs {
    /// None yet. A question that nobody has answered for so long is cancelled.
    pub fn new(patience: Option<Duration>) -> Self {
        Self {
            patience,
            waiting: Arc::default(),
        }
    }

    /// The questions that wait.
    pub fn waiting(&self) -> Vec<InputRequest> {
        self.lock().values().map(|waiting| waiting.request.clone()).collect()
    }

    /// Answers a question, without a line end.
    ///
    /// # Errors
    /// [`NoSuchInput`]
    pub fn reply(&self, id: &InputId, answer: String) -> Result<(), NoSuchInput> {
        self.settle(id, Some(answer))
    }

    /// Gives no answer: the cell that has asked is interrupted.
    ///
    /// # Errors
    /// [`NoSuchInput`]
    pub fn cancel(&self, id: &InputId) -> Result<(), NoSuchInput> {
        self.settle(id, None)
    }

    fn settle(&self, id: &InputId, answer: Option<String>) -> Result<(), NoSuchInput> {
        let waiting = self.lock().remove(id);
        let sent = waiting.map(|waiting| waiting.answer_tx.send(answer));
        match sent {
            Some(Ok(())) => Ok(()),
            Some(Err(_)) | None => Err(NoSuchInput { id: id.clone() }),
        }
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<InputId, Waiting>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for PendingInputs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PendingInputs")
            .field("patience", &self.patience)
            .field("waiting", &self.lock().len())
            .finish()
    }
}

/// Takes a question back when its cell has ended, or its time is over.
struct Question<'p> {
    inputs: &'p PendingInputs,
    id: &'p InputId,
}

impl Drop for Question<'_> {
    fn drop(&mut self) {
        self.inputs.lock().remove(self.id);
    }
}

#[async_trait]
impl InputSource for PendingInputs {
    async fn answer(&self, request: &InputRequest) -> Option<String> {
        let (answer_tx, answer) = oneshot::channel();
        let waiting = Waiting {
            request: request.clone(),
            answer_tx,
        };
        self.lock().insert(request.id.clone(), waiting);
        let _question = Question {
            inputs: self,
            id: &request.id,
        };
        let answer = async { answer.await.ok().flatten() };
        match self.patience {
            Some(patience) => tokio::time::timeout(patience, answer).await.ok().flatten(),
            None => answer.await,
        }
    }
}
