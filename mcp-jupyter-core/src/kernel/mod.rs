//! Kernels: finding, starting and talking to them.
//!
//! A [`KernelProvisioner`] knows which kernels there are and starts them; a [`Kernel`] is one that runs. Neither knows
//! notebooks or cells: code goes in, messages come out. The backends are [`local`] (processes of this machine), [`kept`]
//! (the same behind a keeper, so that they outlive us) and [`memory`] (answers from a script, for tests); [`conformance`] says what each of them must do.

#[cfg(any(test, feature = "conformance"))]
pub mod conformance;
mod error;
#[cfg(feature = "local")]
pub mod kept;
#[cfg(feature = "local")]
pub mod local;
pub mod memory;
mod message;
mod types;

use std::fmt::{Debug, Display};
use std::sync::Arc;

use async_trait::async_trait;
use futures_core::stream::BoxStream;
use tokio::sync::watch;

pub use error::KernelError;
pub use message::{Header, Message};
pub use types::{
    Channel, Death, DispatchId, ExecuteRequest, Executed, Execution, InterruptMode, KernelInfo, KernelSpec,
    KernelState, LaunchRequest, ShutdownMode, Unfinished,
};

use crate::model::{JsonMap, KernelId};

/// Knows which kernels there are, and starts them.
#[async_trait]
pub trait KernelProvisioner: Display + Debug + Send + Sync + 'static {
    /// All kernelspecs, sorted by name; where two have one name, the one that takes precedence.
    ///
    /// A spec that cannot be read is left out and logged. Repeating is safe.
    async fn kernelspecs(&self) -> Result<Vec<KernelSpec>, KernelError>;

    /// Starts a kernel and waits until it answers and every one of its messages can be received.
    ///
    /// Starting twice gives two kernels. Dropping the future ends the process that it has started.
    ///
    /// # Errors
    /// [`KernelError::StartFailed`] where the process ends or cannot be started, [`KernelError::TimedOut`] where it
    /// does not answer in time; no process is left behind.
    async fn launch(&self, request: LaunchRequest) -> Result<Arc<dyn Kernel>, KernelError>;
}

/// A kernel that has been started. Dropping the last reference ends its process at once.
#[async_trait]
pub trait Kernel: Display + Debug + Send + Sync + 'static {
    /// Its identity, the same after a restart.
    fn id(&self) -> &KernelId;

    /// What the kernel said about itself when it started.
    fn info(&self) -> KernelInfo;

    /// The state now, and every change of it.
    fn state(&self) -> watch::Receiver<KernelState>;

    /// Sends an `execute_request`; its messages are in the stream that is returned.
    ///
    /// The request has been handed to the kernel when this returns. Executions run in the order of the calls. No
    /// message is lost while the stream is not polled: messages wait, on disk where they are many, and where more than a
    /// few hundred do, so does what the kernel publishes to others. Dropping the stream
    /// does not interrupt the execution; what it still says is given to [`Kernel::unsolicited`].
    ///
    /// # Errors
    /// [`KernelError::Died`] where the kernel is dead.
    async fn execute(&self, request: ExecuteRequest) -> Result<Execution, KernelError>;

    /// Sends a request on shell or control and waits for its reply: `inspect_request`, `complete_request`,
    /// `is_complete_request`, `history_request`, `comm_info_request`, `kernel_info_request`, `debug_request`…
    ///
    /// Dropping the future forgets the reply, not the request. There is no limit of time: a busy kernel answers shell
    /// requests when it is done.
    ///
    /// # Errors
    /// [`KernelError::Died`] where the kernel dies before it answers.
    async fn request(&self, channel: Channel, msg_type: &str, content: JsonMap) -> Result<Message, KernelError>;

    /// Sends a message that has no reply: `comm_open`, `comm_msg`, `comm_close` on shell, `input_reply` on stdin with
    /// the `input_request` as its parent. Gives its `msg_id`.
    ///
    /// # Errors
    /// [`KernelError::Died`] where the kernel is dead.
    async fn send(
        &self,
        channel: Channel,
        msg_type: &str,
        content: JsonMap,
        parent: Option<&Header>,
    ) -> Result<String, KernelError>;

    /// Every iopub message from now on that belongs to no execution whose stream is still held. A subscriber that
    /// falls more than 1,024 messages behind misses the oldest.
    fn unsolicited(&self) -> BoxStream<'static, Message>;

    /// Sends bytes on the heartbeat channel and waits for their echo: the process lives and its sockets are served,
    /// whatever a cell is doing. There is no limit of time.
    ///
    /// # Errors
    /// [`KernelError::Died`] where the kernel dies first.
    async fn ping(&self) -> Result<(), KernelError>;

    /// Interrupts what the kernel is executing, by signal or by message as its spec says. Without effect on an idle
    /// kernel.
    ///
    /// # Errors
    /// [`KernelError::Died`] where the kernel is dead.
    async fn interrupt(&self) -> Result<(), KernelError>;

    /// Ends the process and starts a new one with the same request. Executions in progress end with
    /// [`KernelError::Died`].
    ///
    /// # Errors
    /// As [`KernelProvisioner::launch`]; the kernel is then dead.
    async fn restart(&self) -> Result<(), KernelError>;

    /// Ends the kernel's process group and removes what was created for it. Repeating is safe.
    ///
    /// # Errors
    /// [`KernelError::Io`] where the process could not be ended.
    async fn shutdown(&self, mode: ShutdownMode) -> Result<(), KernelError>;

    /// The executions that earlier clients of this kernel have asked for and nobody has acknowledged, oldest first; each
    /// once, to the first who asks. A kernel that dies with its client has none.
    fn unfinished(&self) -> BoxStream<'static, Unfinished> {
        Box::pin(futures_util::stream::empty())
    }

    /// What is known of the executions of the process that runs now, acknowledged or not.
    fn executed(&self) -> Executed {
        Executed::default()
    }

    /// All messages and executions up to this position are kept elsewhere: the kernel's record of them may go. Without
    /// effect on a kernel that records nothing.
    ///
    /// # Errors
    /// [`KernelError::Io`] where nobody could be told.
    async fn acknowledge(&self, position: u64) -> Result<(), KernelError> {
        let _ = position;
        Ok(())
    }
}
