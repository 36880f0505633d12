//! A store for tests that gives its bytes in pieces of a chosen size, and counts what is read.

use std::fmt;
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use async_trait::async_trait;
use bytes::Bytes;
use futures_core::stream::BoxStream;
use futures_util::{StreamExt, stream};
use jiff::Timestamp;

use crate::assets::{
    AssetError, AssetMetadata, AssetStore, AssetStoreExt, ByteStream, MimeType, ObjectAssets, Reference, StagedAsset,
};
use crate::model::Digest;

use super::AssetReader;

#[derive(Debug)]
pub(super) struct Splitting {
    inner: ObjectAssets,
    piece: usize,
    read: Arc<AtomicU64>,
}

/// A reader of one asset, whose pieces are looked at one by one, and the count of bytes that were read.
pub(super) async fn reader(content: &[u8], piece: usize) -> (AssetReader, Digest, Arc<AtomicU64>) {
    reader_of(content, piece, MimeType::plain()).await
}

pub(super) async fn reader_of(content: &[u8], piece: usize, mime: MimeType) -> (AssetReader, Digest, Arc<AtomicU64>) {
    let inner = ObjectAssets::memory();
    let asset = inner.put_bytes(Bytes::copy_from_slice(content), mime).await.unwrap();
    let read = Arc::new(AtomicU64::new(0));
    let store = Splitting {
        inner,
        piece,
        read: Arc::clone(&read),
    };
    let mut reader = AssetReader::new(Arc::new(store));
    reader.block = 1;
    reader.part = 64;
    (reader, asset.digest, read)
}

impl fmt::Display for Splitting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.inner.fmt(f)
    }
}

#[async_trait]
impl AssetStore for Splitting {
    async fn get(&self, digest: &Digest, range: Option<Range<u64>>) -> Result<ByteStream, AssetError> {
        let bytes = self.inner.bytes(digest, range).await?;
        let (piece, read) = (self.piece, Arc::clone(&self.read));
        let pieces = stream::unfold(bytes, move |mut bytes| {
            let read = Arc::clone(&read);
            async move {
                let piece = bytes.split_to(piece.min(bytes.len()));
                read.fetch_add(piece.len() as u64, Ordering::Relaxed);
                (!piece.is_empty()).then_some((Ok(piece), bytes))
            }
        });
        Ok(pieces.boxed())
    }

    async fn head(&self, digest: &Digest) -> Result<AssetMetadata, AssetError> {
        self.inner.head(digest).await
    }

    fn staging_folder(&self) -> Option<&Path> {
        self.inner.staging_folder()
    }

    async fn create(&self, staged: &StagedAsset) -> Result<AssetMetadata, AssetError> {
        self.inner.create(staged).await
    }

    fn list(&self) -> BoxStream<'static, Result<AssetMetadata, AssetError>> {
        self.inner.list()
    }

    async fn delete(&self, digest: &Digest) -> Result<(), AssetError> {
        self.inner.delete(digest).await
    }

    async fn add_reference(&self, digest: &Digest, reference: &Reference) -> Result<(), AssetError> {
        self.inner.add_reference(digest, reference).await
    }

    async fn remove_reference(&self, digest: &Digest, reference: &Reference) -> Result<(), AssetError> {
        self.inner.remove_reference(digest, reference).await
    }

    async fn references(&self, digest: &Digest) -> Result<Vec<Reference>, AssetError> {
        self.inner.references(digest).await
    }

    fn list_references(&self) -> BoxStream<'static, Result<(Digest, Reference), AssetError>> {
        self.inner.list_references()
    }

    async fn mark(&self, digest: &Digest) -> Result<Timestamp, AssetError> {
        self.inner.mark(digest).await
    }

    async fn unmark(&self, digest: &Digest) -> Result<(), AssetError> {
        self.inner.unmark(digest).await
    }

    fn list_marks(&self) -> BoxStream<'static, Result<(Digest, Timestamp), AssetError>> {
        self.inner.list_marks()
    }

    async fn collect(&self, digest: &Digest, marked_until: Timestamp) -> Result<bool, AssetError> {
        self.inner.collect(digest, marked_until).await
    }
}
