use std::fmt::Debug;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::TryStreamExt;
use jiff::Timestamp;

use crate::assets::{AssetError, AssetMetadata, AssetStore, AssetStoreExt, MimeType, Reference};
use crate::model::Digest;

/// A backend under test.
#[async_trait]
pub trait Fixture: Debug + Send + Sync + 'static {
    /// A store that has nothing. A case asks once.
    async fn store(&self) -> Arc<dyn AssetStore>;

    /// The same store once more, as another process would open it. The case may have dropped the first one.
    async fn again(&self) -> Arc<dyn AssetStore>;

    /// Puts what the store has not written beside what it has: files or objects, some close to this asset's. Tells whether
    /// the backend keeps its content where others can write.
    async fn plant(&self, asset: &Digest) -> bool;

    /// Whether all that was planted is there as it was.
    async fn is_planted(&self) -> bool;

    /// How often a race is run: as often as can be had within seconds.
    fn rounds(&self) -> u32 {
        100
    }
}

/// Puts a text.
pub(super) async fn put(store: &dyn AssetStore, text: impl Into<Bytes>) -> AssetMetadata {
    let put = store.put_bytes(text.into(), MimeType::plain()).await;
    put.expect("a store takes assets")
}

/// The whole of an asset.
pub(super) async fn bytes(store: &dyn AssetStore, digest: &Digest) -> Bytes {
    store.bytes(digest, None).await.expect("the asset is there")
}

/// Whether the asset is there, with bytes, metadata and in the list, or not at all.
pub(super) async fn is_there(store: &dyn AssetStore, digest: &Digest) -> bool {
    let head = store.head(digest).await;
    let content = store.bytes(digest, None).await;
    let is_listed = list(store).await.iter().any(|asset| asset.digest == *digest);
    match (head, content) {
        (Ok(head), Ok(content)) => {
            assert!(is_listed, "what is there is listed");
            assert_eq!(Digest::of(&content), *digest, "the bytes are those of the digest");
            assert_eq!(head.length, content.len() as u64);
            true
        }
        (Err(head), Err(content)) => {
            assert_not_found(&head, digest);
            assert_not_found(&content, digest);
            assert!(!is_listed, "what is gone is not listed");
            false
        }
        (head, content) => panic!("half an asset: {head:?}, {content:?}"),
    }
}

/// All assets.
pub(super) async fn list(store: &dyn AssetStore) -> Vec<AssetMetadata> {
    let listed: Result<Vec<_>, _> = store.list().try_collect().await;
    listed.expect("a store can be listed")
}

/// All references, in an order of their own.
pub(super) async fn all_references(store: &dyn AssetStore) -> Vec<(Digest, Reference)> {
    let listed: Result<Vec<_>, _> = store.list_references().try_collect().await;
    let mut listed = listed.expect("references can be listed");
    listed.sort_unstable();
    listed
}

/// All marks, in an order of their own.
pub(super) async fn all_marks(store: &dyn AssetStore) -> Vec<(Digest, Timestamp)> {
    let listed: Result<Vec<_>, _> = store.list_marks().try_collect().await;
    let mut listed = listed.expect("marks can be listed");
    listed.sort_unstable();
    listed
}

/// Marks it; gives a time from which on it can be collected.
pub(super) async fn mark(store: &dyn AssetStore, digest: &Digest) -> Timestamp {
    store.mark(digest).await.expect("what is there can be marked")
}

/// Collects it, if that can be done.
pub(super) async fn collect(store: &dyn AssetStore, digest: &Digest, marked_until: Timestamp) -> bool {
    let collected = store.collect(digest, marked_until).await;
    collected.expect("a store can be collected from")
}

/// Refers to it.
pub(super) async fn refer(store: &dyn AssetStore, digest: &Digest, reference: &Reference) {
    let added = store.add_reference(digest, reference).await;
    added.expect("what is there can be referred to");
}

/// A reference from a cell.
pub(super) fn cell(notebook: &str, id: &str) -> Reference {
    Reference::Cell {
        notebook: notebook.to_owned(),
        cell: id.into(),
    }
}

/// A reference by whoever wants it kept.
pub(super) fn pin(name: &str) -> Reference {
    Reference::Pin { pin: name.to_owned() }
}

/// Panics unless the error says that there is no such asset.
pub(super) fn assert_not_found(error: &AssetError, digest: &Digest) {
    match error {
        AssetError::NotFound { digest: named, .. } => assert_eq!(named, digest, "the asset is named"),
        other => panic!("NotFound is expected, not {other:?}"),
    }
}
