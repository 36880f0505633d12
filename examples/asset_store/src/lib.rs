//! A store of one's own: [`Shelf`] keeps assets in a map behind a lock, and does what
//! [`AssetStore`] says, as `tests/conformance.rs` proves by the cases of `mcp_jupyter_core::assets::conformance`.
//!
//! One lock over everything makes the promises easy to keep: what two calls want at once, they do one after the other.
//! A service would have a transaction in its place.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::ops::Range;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard};

use async_trait::async_trait;
use bytes::Bytes;
use futures_core::stream::BoxStream;
use futures_util::{StreamExt, TryStreamExt, stream};
use jiff::Timestamp;
use mcp_jupyter_core::assets::{AssetError, AssetMetadata, AssetStore, ByteStream, Reference, StagedAsset};
use mcp_jupyter_core::model::Digest;

/// What is handed out at once.
const PIECE: usize = 1 << 16;

/// A shelf in memory; its clones are the same shelf.
#[derive(Clone, Debug, Default)]
pub struct Shelf(Arc<Mutex<BTreeMap<Digest, Entry>>>);

/// All there is about an asset, so that it goes as a whole.
#[derive(Debug)]
struct Entry {
    content: Bytes,
    metadata: AssetMetadata,
    references: BTreeSet<Reference>,
    marked: Option<Timestamp>,
}

impl Shelf {
    /// A shelf with nothing on it.
    pub fn new() -> Self {
        Self::default()
    }

    fn entries(&self) -> MutexGuard<'_, BTreeMap<Digest, Entry>> {
        // Nothing panics while it holds the lock.
        self.0.lock().expect("the lock is never poisoned")
    }

    /// Does something with an entry.
    fn with<T>(&self, digest: &Digest, act: impl FnOnce(&mut Entry) -> T) -> Result<T, AssetError> {
        let mut entries = self.entries();
        let entry = entries.get_mut(digest).ok_or_else(|| AssetError::NotFound {
            store: self.to_string(),
            digest: *digest,
        })?;
        Ok(act(entry))
    }

    /// Makes a stream of what is there now.
    fn each<T, I>(&self, items: impl Fn(&Digest, &Entry) -> I) -> BoxStream<'static, Result<T, AssetError>>
    where
        T: Send + 'static,
        I: IntoIterator<Item = T>,
    {
        let entries = self.entries();
        let all: Vec<T> = entries
            .iter()
            .flat_map(|(digest, entry)| items(digest, entry))
            .collect();
        stream::iter(all.into_iter().map(Ok)).boxed()
    }
}

impl fmt::Display for Shelf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the shelf")
    }
}

/// The bytes of a range, in pieces; what lies beyond the end is refused.
fn slice(content: &Bytes, digest: &Digest, range: Range<u64>) -> Result<ByteStream, AssetError> {
    let length = content.len();
    let bound = |at: u64| usize::try_from(at).ok().filter(|at| *at <= length);
    let (Some(from), Some(to)) = (bound(range.start), bound(range.end)) else {
        return Err(invalid(digest, &range, length));
    };
    if from > to {
        return Err(invalid(digest, &range, length));
    }
    let part = content.slice(from..to);
    let pieces = (0..part.len()).step_by(PIECE);
    let pieces: Vec<Bytes> = pieces.map(|at| part.slice(at..part.len().min(at + PIECE))).collect();
    Ok(stream::iter(pieces.into_iter().map(Ok)).boxed())
}

fn invalid(digest: &Digest, range: &Range<u64>, length: usize) -> AssetError {
    AssetError::Invalid {
        what: format!("range {}..{} of {digest}", range.start, range.end),
        reason: format!("the asset has {length} bytes"),
    }
}

#[async_trait]
impl AssetStore for Shelf {
    fn staging_folder(&self) -> Option<&Path> {
        None
    }

    async fn create(&self, staged: &StagedAsset) -> Result<AssetMetadata, AssetError> {
        // Read before the lock is taken: nothing waits while it is held.
        let content: Vec<Bytes> = staged.content().try_collect().await?;
        let mut metadata = AssetMetadata::new(staged.digest, staged.length, staged.mime.clone(), Timestamp::now());
        metadata.lines = staged.lines;
        metadata.pixels = staged.pixels;
        let mut entries = self.entries();
        let entry = entries.entry(staged.digest).or_insert_with(|| Entry {
            content: content.concat().into(),
            metadata,
            references: BTreeSet::new(),
            marked: None,
        });
        entry.marked = None;
        Ok(entry.metadata.clone())
    }

    async fn get(&self, digest: &Digest, range: Option<Range<u64>>) -> Result<ByteStream, AssetError> {
        let content = self.with(digest, |entry| entry.content.clone())?;
        let range = range.unwrap_or(0..content.len() as u64);
        slice(&content, digest, range)
    }

    async fn head(&self, digest: &Digest) -> Result<AssetMetadata, AssetError> {
        self.with(digest, |entry| entry.metadata.clone())
    }

    fn list(&self) -> BoxStream<'static, Result<AssetMetadata, AssetError>> {
        self.each(|_, entry| [entry.metadata.clone()])
    }

    async fn delete(&self, digest: &Digest) -> Result<(), AssetError> {
        self.entries().remove(digest);
        Ok(())
    }

    async fn add_reference(&self, digest: &Digest, reference: &Reference) -> Result<(), AssetError> {
        self.with(digest, |entry| entry.references.insert(reference.clone()))
            .map(drop)
    }

    async fn remove_reference(&self, digest: &Digest, reference: &Reference) -> Result<(), AssetError> {
        if let Some(entry) = self.entries().get_mut(digest) {
            entry.references.remove(reference);
        }
        Ok(())
    }

    async fn references(&self, digest: &Digest) -> Result<Vec<Reference>, AssetError> {
        let entries = self.entries();
        let references = entries
            .get(digest)
            .map(|entry| entry.references.iter().cloned().collect());
        Ok(references.unwrap_or_default())
    }

    fn list_references(&self) -> BoxStream<'static, Result<(Digest, Reference), AssetError>> {
        self.each(|digest, entry| {
            let referred = |reference: &Reference| (*digest, reference.clone());
            entry.references.iter().map(referred).collect::<Vec<_>>()
        })
    }

    async fn mark(&self, digest: &Digest) -> Result<Timestamp, AssetError> {
        self.with(digest, |entry| *entry.marked.get_or_insert_with(Timestamp::now))
    }

    async fn unmark(&self, digest: &Digest) -> Result<(), AssetError> {
        if let Some(entry) = self.entries().get_mut(digest) {
            entry.marked = None;
        }
        Ok(())
    }

    fn list_marks(&self) -> BoxStream<'static, Result<(Digest, Timestamp), AssetError>> {
        self.each(|digest, entry| entry.marked.map(|marked| (*digest, marked)))
    }

    async fn collect(&self, digest: &Digest, marked_until: Timestamp) -> Result<bool, AssetError> {
        let mut entries = self.entries();
        let is_due = entries.get(digest).is_some_and(|entry| {
            entry.references.is_empty() && entry.marked.is_some_and(|marked| marked <= marked_until)
        });
        Ok(is_due && entries.remove(digest).is_some())
    }
}
