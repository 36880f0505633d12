//! The wire format: frames ↔ [`Message`], signed and checked (messaging spec, "The Wire Protocol").

use std::collections::{HashSet, VecDeque};
use std::sync::{Mutex, PoisonError};

use bytes::Bytes;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use crate::kernel::{Channel, Header, KernelError, Message};
use crate::model::{Json, JsonMap};

/// What separates routing identities from the message.
const DELIMITER: &[u8] = b"<IDS|MSG>";

/// Signatures are remembered for this many messages; jupyter_client keeps as many.
const REPLAY_WINDOW: usize = 1 << 16;

/// Signs, checks and converts the messages of one kernel.
///
/// ```
/// use mcp_jupyter_core::kernel::local::Codec;
/// use mcp_jupyter_core::kernel::{Channel, Message};
/// use mcp_jupyter_core::model::JsonMap;
///
/// let codec = Codec::new(b"the key of the connection file");
/// let request = Message::new(Channel::Shell, "kernel_info_request", "session", JsonMap::new());
/// let frames = codec.encode(&request);
/// assert_eq!(codec.decode(Channel::Shell, &frames)?, request);
/// assert!(codec.decode(Channel::Shell, &frames).is_err(), "a replay is refused");
/// # Ok::<(), mcp_jupyter_core::kernel::KernelError>(())
/// ```
pub struct Codec {
    /// The keyed state to start every signature from; none where the connection file has an empty key.
    mac: Option<Hmac<Sha256>>,
    seen: Mutex<Seen>,
}

impl std::fmt::Debug for Codec {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Codec")
            .field("signed", &self.mac.is_some())
            .finish_non_exhaustive()
    }
}

/// The first halves of recent signatures: a repeated one is a replay.
#[derive(Default)]
struct Seen {
    set: HashSet<u128>,
    order: VecDeque<u128>,
}

impl Seen {
    fn insert(&mut self, signature: u128) -> bool {
        if !self.set.insert(signature) {
            return false;
        }
        self.order.push_back(signature);
        if self.order.len() > REPLAY_WINDOW
            && let Some(oldest) = self.order.pop_front()
        {
            self.set.remove(&oldest);
        }
        true
    }
}

impl Codec {
    /// A codec for messages signed by HMAC-SHA256 with `key`; an empty key means unsigned messages.
    pub fn new(key: &[u8]) -> Self {
        let mac = (!key.is_empty()).then(|| Hmac::new_from_slice(key).expect("HMAC takes keys of any length"));
        Self {
            mac,
            seen: Mutex::default(),
        }
    }

    /// The frames of `message`, signed.
    pub fn encode(&self, message: &Message) -> Vec<Bytes> {
        let object = |map: &JsonMap| Bytes::from(Json::Object(map.clone()).to_string());
        let parts = [
            object(message.header.fields()),
            message
                .parent_header
                .as_ref()
                .map_or(Bytes::from_static(b"{}"), |parent| object(parent.fields())),
            object(&message.metadata),
            Bytes::from(message.content.to_string()),
        ];
        let mut frames = vec![Bytes::from_static(DELIMITER), self.sign(&parts)];
        frames.extend(parts);
        frames.extend(message.buffers.iter().cloned());
        frames
    }

    fn sign(&self, parts: &[Bytes]) -> Bytes {
        let Some(mut mac) = self.mac.clone() else {
            return Bytes::new();
        };
        for part in parts {
            mac.update(part);
        }
        Bytes::from(hex::encode(mac.finalize().into_bytes()))
    }

    /// The message in `frames`, its signature checked and seen for the first time.
    ///
    /// # Errors
    /// [`KernelError::Protocol`] where it is forged, replayed or no message.
    pub fn decode(&self, channel: Channel, frames: &[Bytes]) -> Result<Message, KernelError> {
        self.decode_frames(channel, frames)
            .map_err(|reason| KernelError::Protocol {
                channel: channel.as_str(),
                reason,
            })
    }

    fn decode_frames(&self, channel: Channel, frames: &[Bytes]) -> Result<Message, String> {
        let start = frames
            .iter()
            .position(|frame| frame == DELIMITER)
            .ok_or("the <IDS|MSG> delimiter is missing")?;
        let [signature, header, parent, metadata, content, buffers @ ..] = &frames[start + 1..] else {
            return Err(format!(
                "{} frames after the delimiter, at least 5 were expected",
                frames.len() - start - 1
            ));
        };
        self.check(signature, [header, parent, metadata, content])?;
        let header = Header::from(object("header", header)?);
        let parent = object("parent header", parent)?;
        Ok(Message {
            channel,
            header,
            parent_header: (!parent.is_empty()).then(|| Header::from(parent)),
            metadata: object("metadata", metadata)?,
            content: Json::parse_frame(content).map_err(|error| format!("content: {error}"))?,
            buffers: buffers.to_vec(),
            position: None,
        })
    }

    fn check(&self, signature: &Bytes, parts: [&Bytes; 4]) -> Result<(), String> {
        let Some(mut mac) = self.mac.clone() else { return Ok(()) };
        let mut given = [0; 32];
        hex::decode_to_slice(signature, &mut given).map_err(|_| "it is not signed by HMAC-SHA256")?;
        for part in parts {
            mac.update(part);
        }
        mac.verify_slice(&given)
            .map_err(|_| "its signature does not match: forged, or a wrong key")?;
        let half = u128::from_le_bytes(given[..16].try_into().expect("16 of 32 bytes"));
        if self.seen.lock().unwrap_or_else(PoisonError::into_inner).insert(half) {
            Ok(())
        } else {
            Err("it was received before: a replay".to_owned())
        }
    }
}

/// The type that a message says it has, before anything is checked.
pub(in crate::kernel) fn msg_type(frames: &[Bytes]) -> Option<&str> {
    member(part(frames, 2)?, "\"msg_type\"")
}

/// The request that a message says it answers, before anything is checked.
pub(in crate::kernel) fn parent_id(frames: &[Bytes]) -> Option<&str> {
    member(part(frames, 3)?, "\"msg_id\"")
}

/// The content of a message, before anything is checked.
pub(in crate::kernel) fn raw_content(frames: &[Bytes]) -> Option<&Bytes> {
    part(frames, 5)
}

/// A frame, counted from the delimiter.
fn part(frames: &[Bytes], which: usize) -> Option<&Bytes> {
    let start = frames.iter().position(|frame| frame == DELIMITER)?;
    frames.get(start + which)
}

/// The text of a member whose values need no escapes. Looked for rather than parsed: this is done for every message, by
/// who only has to tell them apart.
fn member<'a>(object: &'a [u8], key: &str) -> Option<&'a str> {
    let after = memchr::memmem::find(object, key.as_bytes())? + key.len();
    let value = object[after..].trim_ascii_start().strip_prefix(b":")?;
    let value = value.trim_ascii_start().strip_prefix(b"\"")?;
    std::str::from_utf8(&value[..memchr::memchr(b'"', value)?]).ok()
}

fn object(part: &str, frame: &Bytes) -> Result<JsonMap, String> {
    match Json::parse_frame(frame) {
        Ok(Json::Object(map)) => Ok(map),
        Ok(other) => Err(format!("{part}: {} where an object was expected", other.kind())),
        Err(error) => Err(format!("{part}: {error}")),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn message(code: &str) -> Message {
        let content = [("code".to_owned(), Json::from(code))].into_iter().collect();
        let mut message = Message::new(Channel::Shell, "execute_request", "s1", content);
        message.buffers = vec![Bytes::from_static(b"\x00\xff")];
        message
    }

    proptest! {
        #[test]
        fn decoding_gives_what_was_encoded(code in any::<String>(), key in prop::collection::vec(any::<u8>(), 0..40)) {
            let codec = Codec::new(&key);
            let message = message(&code);
            let mut frames = vec![Bytes::from_static(b"identity")];
            frames.extend(codec.encode(&message));
            prop_assert_eq!(codec.decode(Channel::Shell, &frames).unwrap(), message);
        }

        #[test]
        fn any_frames_are_decoded_or_refused(frames in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..40), 0..9)) {
            let mut frames: Vec<Bytes> = frames.into_iter().map(Bytes::from).collect();
            let codec = Codec::new(b"");
            let _ = codec.decode(Channel::Iopub, &frames);
            frames.insert(0, Bytes::from_static(DELIMITER));
            let _ = codec.decode(Channel::Iopub, &frames);
        }

        #[test]
        fn a_changed_byte_is_refused(frame in 2_usize..6, at in any::<prop::sample::Index>(), bit in 0..8_u32) {
            let codec = Codec::new(b"key");
            let mut frames = codec.encode(&message("x = 1"));
            let mut bytes = frames[frame].to_vec();
            let at = at.index(bytes.len());
            bytes[at] ^= 1_u8 << bit;
            frames[frame] = Bytes::from(bytes);
            prop_assert!(codec.decode(Channel::Shell, &frames).is_err());
        }
    }

    #[test]
    fn a_replayed_message_is_refused() {
        let codec = Codec::new(b"key");
        let frames = codec.encode(&message("x = 1"));
        codec.decode(Channel::Shell, &frames).unwrap();
        let error = codec.decode(Channel::Shell, &frames).unwrap_err();
        assert!(error.to_string().contains("replay"), "{error}");
    }

    #[test]
    fn a_message_signed_with_another_key_is_refused() {
        let frames = Codec::new(b"other").encode(&message("x = 1"));
        let error = Codec::new(b"key").decode(Channel::Shell, &frames).unwrap_err();
        assert!(error.to_string().contains("signature"), "{error}");
        let unsigned = Codec::new(b"").encode(&message("x = 1"));
        assert!(Codec::new(b"key").decode(Channel::Shell, &unsigned).is_err());
    }

    #[test]
    fn unknown_header_fields_are_kept() {
        let codec = Codec::new(b"");
        let mut fields = Header::new("status", "s").fields().clone();
        fields.insert("subshell_id".to_owned(), "abc".into());
        let mut sent = message("");
        sent.header = Header::from(fields);
        let received = codec.decode(Channel::Iopub, &codec.encode(&sent)).unwrap();
        assert_eq!(received.header.fields().get("subshell_id"), Some(&Json::from("abc")));
    }
}
