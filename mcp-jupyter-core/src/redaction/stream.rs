//! The filter for texts that come in chunks: both stages, each with a window over its input.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use super::behind;
use super::shapes;
use super::text::State;
use super::values::{self, Values};

/// A redactor of one text that comes in chunks. Wherever the chunks are cut, what comes out is, put together, what
/// [`Redactor::redact_bytes`](super::Redactor::redact_bytes) gives for the whole.
///
/// ```
/// use mcp_jupyter_core::redaction::Redactor;
///
/// let mut stream = Redactor::new().with_value("tr0ub4dor").stream();
/// let mut shown = stream.push(b"the word is tr0u");
/// assert_eq!(shown, b"the word is ");
/// shown.extend(stream.push(b"b4dor, as ever"));
/// shown.extend(stream.finish());
/// assert_eq!(shown, b"the word is *********, as ever");
/// ```
pub struct RedactingStream {
    values: Arc<Values>,
    unmasked: Window,
    state: State,
    without_values: Window,
}

impl RedactingStream {
    /// No more bytes than this are ever held back: those of one value or token of which it is not yet known whether it is
    /// one. Ordinary text is held back only where it ends in what a secret begins with.
    pub const MOST_HELD: usize = values::LONGEST + shapes::LONGEST_UNDECIDED;

    pub(super) fn new(values: Arc<Values>) -> Self {
        Self {
            values,
            unmasked: Window::default(),
            state: State::default(),
            without_values: Window::default(),
        }
    }

    /// Takes the next bytes, and gives those that are decided by now, in order.
    pub fn push(&mut self, chunk: &[u8]) -> Vec<u8> {
        self.advance(chunk, false)
    }

    /// Gives what is left. What is pushed then is another text.
    pub fn finish(&mut self) -> Vec<u8> {
        let rest = self.advance(b"", true);
        *self = Self::new(Arc::clone(&self.values));
        rest
    }

    /// How many bytes are held back.
    pub fn held(&self) -> usize {
        self.unmasked.held() + self.without_values.held()
    }

    fn advance(&mut self, chunk: &[u8], last: bool) -> Vec<u8> {
        let without_values = self
            .unmasked
            .advance(chunk, |text, at| self.values.scan(text, at, last));
        self.without_values
            .advance(&without_values, |text, at| self.state.scan(text, at, last))
    }
}

impl fmt::Debug for RedactingStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedactingStream")
            .field("held", &self.held())
            .finish_non_exhaustive()
    }
}

/// What a stage has not decided, behind as much of what it has given out as decisions look back at.
#[derive(Default)]
struct Window {
    bytes: Vec<u8>,
    decided: usize,
}

impl Window {
    fn held(&self) -> usize {
        self.bytes.len() - self.decided
    }

    /// Gives what `scan` decides once the chunk has come.
    fn advance(&mut self, chunk: &[u8], scan: impl FnOnce(&mut Cow<'_, [u8]>, &mut usize)) -> Vec<u8> {
        self.bytes.extend_from_slice(chunk);
        let start = self.decided;
        let mut text = Cow::Owned(std::mem::take(&mut self.bytes));
        scan(&mut text, &mut self.decided);
        self.bytes = text.into_owned();
        let decided = self.bytes[start..self.decided].to_vec();
        let outdated = self.decided.saturating_sub(behind::REACH);
        self.bytes.drain(..outdated);
        self.decided -= outdated;
        decided
    }
}
