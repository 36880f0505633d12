//! Large outputs as immutable bytes, kept outside of the notebook and known by their digest.
//!
//! An [`AssetStore`] keeps bytes, what is known about them, and why they must stay. [`ObjectAssets`] is one over any
//! object store: memory, a local folder, or a cloud's; `conformance` says what every store must do. What becomes of an
//! output that is too large for a notebook is the engine's to decide; nothing here knows of kernels or notebooks.

#[cfg(any(test, feature = "conformance"))]
pub mod conformance;
#[cfg(feature = "grpc")]
mod convert;
mod error;
mod inspection;
mod object;
pub mod preview;
pub mod reading;
#[cfg(feature = "grpc")]
mod remote;
pub mod retention;
#[cfg(feature = "grpc")]
pub(crate) mod service;
mod staging;
mod types;

use std::fmt::{Debug, Display};
use std::fs::File;
use std::ops::Range;
use std::path::Path;

use async_trait::async_trait;
use bytes::Bytes;
use futures_core::stream::BoxStream;
use futures_util::{StreamExt, TryStreamExt};
use jiff::Timestamp;

use crate::model::Digest;

pub use error::AssetError;
pub use inspection::{Listed, TypeUsage, Usage, export, listed, problem, usage};
pub use object::{ObjectAssets, ObjectFile};
#[cfg(feature = "grpc")]
pub use remote::RemoteAssets;
pub use staging::{StagedAsset, Staging};
pub use types::{AssetMetadata, MimeType, Reference};

/// Bytes in pieces of any size.
pub type ByteStream = BoxStream<'static, Result<Bytes, AssetError>>;

/// Keeps immutable bytes by their digest.
///
/// Its name in messages is what [`Display`] gives. Everything is durable when the call returns: the crash of any process
/// does not lose it. An asset is there as a whole or not at all. Nothing is ever deleted unless [`AssetStore::delete`] or
/// [`AssetStore::collect`] is called, and nothing that the store has not written.
#[async_trait]
pub trait AssetStore: Debug + Display + Send + Sync + 'static {
    /// The folder in which content for this store is best staged; the system's for temporary files if there is none.
    fn staging_folder(&self) -> Option<&Path>;

    /// Makes an asset of what is staged. Repeating it, also by several callers at once, makes it once, and takes away the
    /// mark that retention may have set. A dropped call leaves the whole asset or none.
    ///
    /// # Errors
    /// Where the store cannot be reached or written; what is staged can be used again.
    async fn create(&self, staged: &StagedAsset) -> Result<AssetMetadata, AssetError>;

    /// Its bytes, or those of a range that lies within it.
    ///
    /// # Errors
    /// [`AssetError::NotFound`]; [`AssetError::Invalid`] for a range beyond the end. The stream ends with an error where
    /// the store breaks off.
    async fn get(&self, digest: &Digest, range: Option<Range<u64>>) -> Result<ByteStream, AssetError>;

    /// The file on local disk that holds exactly its bytes, opened to be read by the caller alone; none where there is no
    /// such file. Whoever goes through all of an asset does so faster with it than with [`AssetStore::get`].
    ///
    /// # Errors
    /// Where there is a file that cannot be opened.
    async fn open_file(&self, _digest: &Digest) -> Result<Option<File>, AssetError> {
        Ok(None)
    }

    /// What is known of it.
    ///
    /// # Errors
    /// [`AssetError::NotFound`].
    async fn head(&self, digest: &Digest) -> Result<AssetMetadata, AssetError>;

    /// All assets, in the order of their digests. One that is created or deleted meanwhile may be among them or not.
    fn list(&self) -> BoxStream<'static, Result<AssetMetadata, AssetError>>;

    /// Deletes it whatever refers to it; does nothing where it is not there.
    ///
    /// # Errors
    /// Where the store cannot be reached or written.
    async fn delete(&self, digest: &Digest) -> Result<(), AssetError>;

    /// Notes why the asset must stay. Repeating it changes nothing.
    ///
    /// # Errors
    /// [`AssetError::NotFound`] where the asset is not there, or has just been collected; nothing is noted then.
    async fn add_reference(&self, digest: &Digest, reference: &Reference) -> Result<(), AssetError>;

    /// Forgets it; does nothing where it is not there.
    ///
    /// # Errors
    /// Where the store cannot be reached or written.
    async fn remove_reference(&self, digest: &Digest, reference: &Reference) -> Result<(), AssetError>;

    /// Why the asset must stay, sorted.
    ///
    /// # Errors
    /// Where the store cannot be reached.
    async fn references(&self, digest: &Digest) -> Result<Vec<Reference>, AssetError>;

    /// All references of all assets, by digest.
    fn list_references(&self) -> BoxStream<'static, Result<(Digest, Reference), AssetError>>;

    /// Marks it as one that nothing seems to need, unless it is marked; gives the time of the mark.
    ///
    /// # Errors
    /// [`AssetError::NotFound`].
    async fn mark(&self, digest: &Digest) -> Result<Timestamp, AssetError>;

    /// Takes the mark away; does nothing where there is none.
    ///
    /// # Errors
    /// Where the store cannot be reached or written.
    async fn unmark(&self, digest: &Digest) -> Result<(), AssetError>;

    /// All marks, by digest.
    fn list_marks(&self) -> BoxStream<'static, Result<(Digest, Timestamp), AssetError>>;

    /// Deletes it if it is marked since `marked_until` or longer and nothing refers to it; tells whether it has. Whoever
    /// creates it or refers to it at the same time either prevents that, or is told and makes it anew.
    ///
    /// # Errors
    /// Where the store cannot be reached or written. The asset is there then, or it is gone as a whole.
    async fn collect(&self, digest: &Digest, marked_until: Timestamp) -> Result<bool, AssetError>;
}

/// What can be said with the methods of every [`AssetStore`].
#[async_trait]
pub trait AssetStoreExt: AssetStore {
    /// Stages the content and makes an asset of it.
    ///
    /// # Errors
    /// As [`AssetStore::create`], and where the content itself ends with an error.
    async fn put(&self, mut content: ByteStream, mime: MimeType) -> Result<AssetMetadata, AssetError> {
        let mut staging = Staging::new(self.staging_folder());
        while let Some(bytes) = content.next().await {
            staging.write(&bytes?).await?;
        }
        self.create(&staging.finish(mime).await?).await
    }

    /// [`AssetStoreExt::put`] for bytes that are in memory.
    ///
    /// # Errors
    /// As [`AssetStore::create`].
    async fn put_bytes(&self, bytes: Bytes, mime: MimeType) -> Result<AssetMetadata, AssetError> {
        let mut staging = Staging::new(self.staging_folder());
        staging.write(&bytes).await?;
        self.create(&staging.finish(mime).await?).await
    }

    /// The bytes of an asset, or of a range of it, in one piece: for what is known to be small.
    ///
    /// # Errors
    /// As [`AssetStore::get`].
    async fn bytes(&self, digest: &Digest, range: Option<Range<u64>>) -> Result<Bytes, AssetError> {
        let mut content = self.get(digest, range).await?;
        let mut whole = Vec::new();
        while let Some(bytes) = content.try_next().await? {
            whole.extend_from_slice(&bytes);
        }
        Ok(whole.into())
    }
}

impl<T: AssetStore + ?Sized> AssetStoreExt for T {}
