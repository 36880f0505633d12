//! What the keeper and its clients say to each other: a header in JSON, and bytes behind it.

use std::io;
use std::path::PathBuf;

use bytes::{Buf, BufMut, Bytes, BytesMut};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use super::spool::Position;
use crate::kernel::local::dialogue::ExecutionOrder;
use crate::kernel::{Channel, Death, DispatchId, KernelError, KernelState, ShutdownMode};

/// The version of this protocol. A keeper lives as long as its kernel, and so may be older than its clients.
pub(super) const VERSION: u32 = 1;

/// A header longer than this is none of ours, in bytes.
const HEADER_LIMIT: u32 = 4 << 20;

/// More frames than this, or longer ones, are no message.
const FRAMES_LIMIT: u32 = 1 << 20;
const FRAME_LIMIT: u64 = 8 << 30;

/// What a client asks for.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Request {
    /// Comes first, and says with which right the client executes.
    Hello {
        version: u32,
        token: Option<u64>,
    },
    /// Hands a message to the kernel; its frames follow.
    Send(Sending),
    Interrupt,
    Restart,
    Shutdown {
        graceful_millis: Option<u64>,
    },
    /// The kernel is to outlive the client that has started it.
    Keep {
        idle_millis: Option<u64>,
    },
    /// All that lies before this is kept elsewhere.
    Acknowledge {
        position: Position,
    },
    /// What has become of the kernel so far.
    Status,
    /// Ends the keeper, with a kernel that lives.
    End,
}

/// A message for the kernel.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Sending {
    pub(super) channel: WireChannel,
    pub(super) msg_id: String,
    /// Set on an `execute_request`.
    pub(super) execution: Option<ExecutionOrder>,
}

/// The channels that can be sent on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum WireChannel {
    Shell,
    Stdin,
    Control,
    Heartbeat,
}

impl From<WireChannel> for Channel {
    fn from(channel: WireChannel) -> Self {
        match channel {
            WireChannel::Shell => Self::Shell,
            WireChannel::Stdin => Self::Stdin,
            WireChannel::Control => Self::Control,
            WireChannel::Heartbeat => Self::Heartbeat,
        }
    }
}

/// What the keeper says.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Said {
    /// The spool has grown up to here.
    Grown(Position),
    /// The answer to a request.
    Answer { id: u64, answer: Result<Answer, Refusal> },
}

/// What came of a request.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Answer {
    Done,
    /// An execution was recorded here, and then sent.
    Sent {
        position: Position,
    },
    /// The same execution was sent before, as this request, recorded there.
    Repeated {
        msg_id: String,
        position: Position,
    },
    /// The process has ended like this.
    Ended(Death),
    Status(Box<Status>),
}

/// A kernel as its keeper knows it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Status {
    pub(super) version: u32,
    /// Up to here everything was acknowledged.
    pub(super) acknowledged: Position,
    pub(super) end: Position,
    pub(super) state: WireState,
    /// How many cells were sent to this process.
    pub(super) executed: u64,
    /// The latest requests, oldest first, by `msg_id`.
    pub(super) requests: Vec<(String, DispatchId)>,
    /// What is being executed, or waits for it.
    pub(super) running: Vec<DispatchId>,
    pub(super) token: u64,
    /// The folder of the process that runs now, and what else is known of it.
    pub(super) generation: GenerationInfo,
}

/// One process of the kernel.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct GenerationInfo {
    pub(super) epoch: u64,
    pub(super) pid: u32,
    /// The key that its messages are signed with.
    pub(super) key: String,
    /// The content of its `kernel_info_reply`.
    pub(super) info: crate::model::Json,
}

/// The state of a kernel.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum WireState {
    Starting,
    Busy,
    Idle,
    Dead(Death),
}

impl From<WireState> for KernelState {
    fn from(state: WireState) -> Self {
        match state {
            WireState::Starting => Self::Starting,
            WireState::Busy => Self::Busy,
            WireState::Idle => Self::Idle,
            WireState::Dead(death) => Self::Dead(death),
        }
    }
}

/// Why something was not done; what a [`KernelError`] becomes on its way.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Refusal {
    Died(Death),
    Fenced { token: u64, newest: u64 },
    StartFailed { name: String, reason: String },
    InvalidKernelSpec { path: PathBuf, reason: String },
    TimedOut { action: String, seconds: f64 },
    Unsupported { what: String, by: String },
    Failed { action: String, reason: String },
}

impl From<KernelError> for Refusal {
    fn from(error: KernelError) -> Self {
        match error {
            KernelError::Died(death) => Self::Died(death),
            KernelError::Fenced { token, newest } => Self::Fenced { token, newest },
            KernelError::StartFailed { name, reason } => Self::StartFailed { name, reason },
            KernelError::InvalidKernelSpec { path, reason } => Self::InvalidKernelSpec { path, reason },
            KernelError::TimedOut { action, seconds } => Self::TimedOut { action, seconds },
            KernelError::Unsupported { what, by } => Self::Unsupported { what, by },
            KernelError::Io { action, source } => Self::Failed {
                action,
                reason: source.to_string(),
            },
            error => Self::Failed {
                action: "do that".to_owned(),
                reason: error.to_string(),
            },
        }
    }
}

impl From<Refusal> for KernelError {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::Died(death) => Self::Died(death),
            Refusal::Fenced { token, newest } => Self::Fenced { token, newest },
            Refusal::StartFailed { name, reason } => Self::StartFailed { name, reason },
            Refusal::InvalidKernelSpec { path, reason } => Self::InvalidKernelSpec { path, reason },
            Refusal::TimedOut { action, seconds } => Self::TimedOut { action, seconds },
            Refusal::Unsupported { what, by } => Self::Unsupported { what, by },
            Refusal::Failed { action, reason } => Self::Io {
                action,
                source: io::Error::other(reason),
            },
        }
    }
}

/// The mode as a request has it: how long to be patient, in milliseconds, or none to end at once.
pub(super) fn graceful_millis(mode: ShutdownMode) -> Option<u64> {
    match mode {
        ShutdownMode::Graceful(patience) => Some(u64::try_from(patience.as_millis()).unwrap_or(u64::MAX)),
        ShutdownMode::Immediate => None,
    }
}

/// A request with its number, by which its answer is found.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Numbered {
    pub(super) id: u64,
    pub(super) request: Request,
}

/// Writes a header and frames.
pub(super) async fn write<T: Serialize>(
    out: &mut (impl AsyncWrite + Unpin),
    header: &T,
    frames: &[Bytes],
) -> io::Result<()> {
    let header = serde_json::to_vec(header).map_err(io::Error::other)?;
    let mut start = BytesMut::with_capacity(header.len() + 8 + 8 * frames.len());
    start.put_u32(u32::try_from(header.len()).map_err(io::Error::other)?);
    start.put_u32(u32::try_from(frames.len()).map_err(io::Error::other)?);
    start.put_slice(&header);
    for frame in frames {
        start.put_u64(frame.len() as u64);
    }
    out.write_all(&start).await?;
    for frame in frames {
        out.write_all(frame).await?;
    }
    out.flush().await
}

/// Reads a header and frames; none at the end.
pub(super) async fn read<T: DeserializeOwned>(
    from: &mut (impl AsyncRead + Unpin),
) -> io::Result<Option<(T, Vec<Bytes>)>> {
    let mut start = [0; 8];
    match from.read_exact(&mut start).await {
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
        read => drop(read?),
    }
    let mut start = &start[..];
    let (length, count) = (start.get_u32(), start.get_u32());
    if length > HEADER_LIMIT || count > FRAMES_LIMIT {
        return Err(io::Error::new(
            io::ErrorKind::InvalidData,
            "this is no client of a keeper",
        ));
    }
    let mut header = vec![0; length as usize + 8 * count as usize];
    from.read_exact(&mut header).await?;
    let mut lengths = &header[length as usize..];
    let mut frames = Vec::new();
    for _ in 0..count {
        let length = lengths.get_u64();
        if length > FRAME_LIMIT {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "a frame is too long"));
        }
        let mut frame = BytesMut::zeroed(usize::try_from(length).map_err(io::Error::other)?);
        from.read_exact(&mut frame).await?;
        frames.push(frame.freeze());
    }
    let header = serde_json::from_slice(&header[..length as usize])?;
    Ok(Some((header, frames)))
}
