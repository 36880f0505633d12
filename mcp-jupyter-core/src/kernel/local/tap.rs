//! Seeing every message of a kernel before anything is made of it.

use std::fmt::Debug;

use bytes::Bytes;

use crate::kernel::{Channel, Death};

use super::frame_queue::Frames;
use super::wire::msg_type;

/// Is shown everything that a kernel sends, in the order in which each channel brought it, as it was received.
pub(in crate::kernel) trait Tap: Debug + Send + Sync + 'static {
    /// A process was started; what comes from now on comes from it.
    fn started(&self, pid: u32);

    /// A message has come.
    fn received(&self, channel: Channel, frames: &Frames);

    /// The process has ended, and all that it had sent has been shown.
    fn died(&self, death: &Death);
}

/// A message longer than this is none that the kernel's life depends on, in bytes.
const LIGHT: usize = 64 << 10;

/// Whether a message on iopub tells something about the kernel itself; outputs are left to those who read them.
pub(super) fn is_about_the_kernel(frames: &Frames) -> bool {
    let size: usize = frames.iter().map(Bytes::len).sum();
    size <= LIGHT && matches!(msg_type(frames), Some("status" | "iopub_welcome"))
}
