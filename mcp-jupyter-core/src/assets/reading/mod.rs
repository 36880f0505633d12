//! Parts of large assets, within bounds: bytes, lines, what a search finds, what a JSON pointer names.
//!
//! Everything is read as a stream, and whatever is left out is said, with the way to get it. Nothing here writes, knows
//! how a store keeps its bytes, or makes pictures smaller; a text is UTF-8, and what is not becomes U+FFFD.

mod content;
mod index;
mod left;
mod line_range;
mod lines;
mod pointer;
mod search;
#[cfg(test)]
mod splitting;

use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use serde::{Serialize, Serializer};

use crate::model::Digest;

use super::AssetStore;
use super::error::AssetError;

use self::content::Content;
use self::index::Indices;

pub use left::{Left, Unit};
pub use line_range::LineRange;
pub use lines::{CutLine, LineLimits, Lines};
pub use pointer::Pointed;
pub use search::{FoundLine, Matches, Passage, Pattern, Search, StopReason, Stopped};

/// Reads parts of the assets of one store, and remembers where the lines of those that it has gone through begin.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), mcp_jupyter_core::assets::AssetError> {
/// use std::sync::Arc;
///
/// use mcp_jupyter_core::assets::reading::{AssetReader, LineLimits};
/// use mcp_jupyter_core::assets::{AssetStoreExt, MimeType, ObjectAssets};
///
/// let store = ObjectAssets::memory();
/// let asset = store.put_bytes("one\ntwo\nthree\n".into(), MimeType::plain()).await?;
/// let reader = AssetReader::new(Arc::new(store));
/// let lines = reader.lines(&asset.digest, "-2".parse()?, LineLimits::default()).await?;
/// assert_eq!((lines.first, lines.text.as_str()), (2, "two\nthree\n"));
/// assert_eq!(lines.notice().as_deref(), Some("line 1 of 3 is left out"));
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct AssetReader {
    store: Arc<dyn AssetStore>,
    indices: Indices,
    /// Smaller pieces than this are put together before they are looked at.
    block: usize,
    /// A longer line is searched in parts.
    part: usize,
}

/// Bytes of an asset.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct BytesRead {
    /// Where in the asset they are.
    pub range: Range<u64>,
    /// The bytes; serialized as `{"text": …}` where they are UTF-8, and as `{"base64": …}` where not.
    #[serde(serialize_with = "serialize_bytes")]
    pub bytes: Bytes,
    /// What of the asset is not among them.
    pub left: Left,
    /// The range that follows.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next: Option<Range<u64>>,
}

impl BytesRead {
    /// What is left out, and how to read on.
    pub fn notice(&self) -> Option<String> {
        let left = self.left.sentence()?;
        Some(match &self.next {
            Some(next) => format!("{left}; read on with bytes {}..{}", next.start, next.end),
            None => left,
        })
    }
}

impl AssetReader {
    /// A reader that remembers nothing yet.
    pub fn new(store: Arc<dyn AssetStore>) -> Self {
        Self {
            store,
            indices: Indices::default(),
            block: content::BLOCK,
            part: search::PART,
        }
    }

    /// The store that is read.
    pub fn store(&self) -> &Arc<dyn AssetStore> {
        &self.store
    }

    /// The bytes of a range, or of all; at most `limit`. A range may end beyond the asset. Where the limit would cut a
    /// character of a text, the bytes end before it.
    ///
    /// # Errors
    /// As [`AssetStore::get`]; [`AssetError::Invalid`] for a range that begins beyond the end, or a limit of nothing.
    pub async fn bytes(
        &self,
        digest: &Digest,
        range: Option<Range<u64>>,
        limit: usize,
    ) -> Result<BytesRead, AssetError> {
        let metadata = self.store.head(digest).await?;
        let length = metadata.length;
        let range = range.unwrap_or(0..length);
        if range.start > range.end || range.start > length {
            return Err(AssetError::invalid(
                format!("range {}..{} of {digest}", range.start, range.end),
                format!("the asset has {length} bytes"),
            ));
        }
        require(limit)?;
        let end = range.end.min(length);
        let stop = end.min(range.start.saturating_add(limit as u64));
        let mut bytes = self.content(digest, range.start..stop).await?.rest().await?;
        if metadata.mime.is_text() && stop < end {
            let whole = content::whole_characters(&bytes);
            // Fewer bytes than one character has are all that was asked for.
            bytes.truncate(if whole == 0 { bytes.len() } else { whole });
        }
        let shown = bytes.len() as u64;
        let stop = range.start + shown;
        let next = (stop < length).then(|| stop..length.min(stop + shown.max(limit as u64)));
        Ok(BytesRead {
            range: range.start..stop,
            bytes: bytes.into(),
            left: Left::new(Unit::Bytes, range.start, shown, Some(length)),
            next,
        })
    }

    /// A range of the asset that is not read at once.
    async fn content(&self, digest: &Digest, range: Range<u64>) -> Result<Content, AssetError> {
        let stream = self.store.get(digest, Some(range.clone())).await?;
        Ok(Content::new(stream, range.start, self.block))
    }
}

/// A result that may hold nothing could never be read on.
fn require(limit: usize) -> Result<(), AssetError> {
    if limit == 0 {
        return Err(AssetError::invalid("limit 0", "at least one is needed"));
    }
    Ok(())
}

fn serialize_bytes<S: Serializer>(bytes: &Bytes, serializer: S) -> Result<S::Ok, S::Error> {
    use base64::Engine as _;
    match std::str::from_utf8(bytes) {
        Ok(text) => serializer.collect_map([("text", text)]),
        Err(_) => {
            let encoded = base64::engine::general_purpose::STANDARD.encode(bytes);
            serializer.collect_map([("base64", encoded)])
        }
    }
}

#[cfg(test)]
mod tests {
    use super::splitting::reader;

    #[tokio::test]
    async fn bytes_end_with_the_limit_and_say_what_follows() {
        let (reader, digest, _) = reader("aéb\n".as_bytes(), 3).await;
        let read = reader.bytes(&digest, None, 2).await.unwrap();
        assert_eq!((read.bytes.as_ref(), read.range.clone()), (b"a".as_slice(), 0..1));
        assert_eq!(
            read.notice().unwrap(),
            "bytes 1..5 of 5 are left out; read on with bytes 1..3"
        );
        let read = reader.bytes(&digest, read.next, 2).await.unwrap();
        assert_eq!(read.bytes.as_ref(), "é".as_bytes());
        assert_eq!(
            serde_json::to_value(&read).unwrap()["bytes"],
            serde_json::json!({"text": "é"})
        );
        let read = reader.bytes(&digest, Some(2..100), 10).await.unwrap();
        assert_eq!(
            serde_json::to_value(&read).unwrap()["bytes"],
            serde_json::json!({"base64": "qWIK"})
        );
        assert_eq!(read.notice().unwrap(), "bytes 0..2 of 5 are left out");
        let error = reader.bytes(&digest, Some(6..8), 10).await.unwrap_err().to_string();
        assert!(error.ends_with("the asset has 5 bytes"), "{error}");
        assert!(reader.bytes(&digest, None, 0).await.is_err());
    }
}
