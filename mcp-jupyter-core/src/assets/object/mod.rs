//! Assets in an object store: memory, a local folder, or a cloud's.
//!
//! The bytes of an asset are one object, named by their digest; what is known of them, references, marks and claims are
//! small objects beside it, each written by itself, so that nothing has to be read in order to be written. `collect`
//! and its counterparts meet through claims: who deletes announces it and *then* looks for references and the mark; who
//! creates or refers takes the mark away, or writes the reference, *then* waits until no announcement is left, and only
//! *then* writes the bytes, or looks for them. So at least one of both sees the other.

mod directory;
mod failure;
mod file;
mod keys;
mod location;
mod records;

use std::fmt;
use std::fs::File;
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use futures_core::stream::BoxStream;
use futures_util::{StreamExt, TryStreamExt};
use jiff::Timestamp;
use object_store::path::Path as Key;
use object_store::{GetOptions, ObjectStore, ObjectStoreExt as _, WriteMultipart};
use uuid::Uuid;

use crate::model::Digest;

use super::error::AssetError;
use super::staging::StagedAsset;
use super::types::{AssetMetadata, Reference};
use super::{AssetStore, ByteStream};

use self::directory::Directory;
use self::failure::Failure;
pub use self::file::ObjectFile;

/// The size of a part of a large upload: S3 takes 10,000 parts, so this allows for 80 GB.
const PART: usize = 8 << 20;
/// How many parts are on their way at once.
const PARTS_AT_ONCE: usize = 4;
/// A claim that is older was left by a process that is gone. Whoever holds one gives it up far earlier.
const CLAIM_LIFE: Duration = Duration::from_secs(300);
/// After this time whoever holds a claim does not delete any more.
const CLAIM_USE: Duration = Duration::from_secs(60);
/// How long to wait before looking again whether a claim is gone: there is no event to wait for.
const CLAIM_PAUSE: Duration = Duration::from_millis(50);

/// Assets in an object store.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), mcp_jupyter_core::assets::AssetError> {
/// use mcp_jupyter_core::assets::{AssetStore, AssetStoreExt, MimeType, ObjectAssets};
///
/// let assets = ObjectAssets::memory();
/// let asset = assets.put_bytes("loss 0.1\n".into(), MimeType::plain()).await?;
/// assert_eq!(assets.head(&asset.digest).await?, asset);
/// assert_eq!(assets.bytes(&asset.digest, Some(5..8)).await?, "0.1");
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct ObjectAssets {
    objects: Arc<dyn ObjectStore>,
    /// Where the objects are files of this machine.
    directory: Option<Directory>,
    name: Arc<str>,
}

impl fmt::Display for ObjectAssets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)
    }
}

/// A short record that is read and written whole.
const RECORD_LIMIT: u64 = 1 << 16;

impl ObjectAssets {
    /// Whether there is an object, and how long it is.
    async fn length(&self, key: &Key) -> Result<Option<u64>, AssetError> {
        match self.objects.head(key).await {
            Ok(found) => Ok(Some(found.size)),
            Err(object_store::Error::NotFound { .. }) => Ok(None),
            Err(error) => Err(self.failed("look for an asset", error)),
        }
    }

    fn not_found(&self, digest: &Digest) -> AssetError {
        AssetError::NotFound {
            store: self.to_string(),
            digest: *digest,
        }
    }

    /// What an error of the object store means.
    fn failed(&self, action: &str, error: object_store::Error) -> AssetError {
        use object_store::Error as E;
        let (store, action) = (self.to_string(), action.to_owned());
        tracing::debug!(%store, %error, "{action}");
        match error {
            E::PermissionDenied { .. } | E::Unauthenticated { .. } => AssetError::Denied {
                store,
                action,
                source: Failure::new(&error).into(),
            },
            E::NotSupported { .. } | E::NotImplemented { .. } => AssetError::Unsupported {
                what: format!("{store} cannot {action}: {}", Failure::new(&error)),
            },
            error if self.directory.is_some() => AssetError::Io {
                store,
                action,
                source: as_io(&error),
            },
            error => AssetError::Unavailable {
                store,
                action,
                source: Failure::new(&error).into(),
            },
        }
    }

    fn io(&self, action: &str) -> impl FnOnce(std::io::Error) -> AssetError {
        let (store, action) = (self.to_string(), action.to_owned());
        move |source| AssetError::Io { store, action, source }
    }

    /// Works with files on a thread that may block.
    async fn blocking<T: Send + 'static>(
        &self,
        action: &str,
        work: impl FnOnce() -> std::io::Result<T> + Send + 'static,
    ) -> Result<T, AssetError> {
        let done = tokio::task::spawn_blocking(work).await;
        done.map_err(std::io::Error::other).flatten().map_err(self.io(action))
    }

    /// Makes the object of an asset, as a whole.
    async fn upload(&self, staged: &StagedAsset) -> Result<(), AssetError> {
        let key = keys::asset(&staged.digest);
        let is_there = match self.length(&key).await? {
            Some(length) => length == staged.length,
            None => false,
        };
        if is_there {
            return Ok(());
        }
        if let Some(directory) = self.directory.clone() {
            let (staged, key) = (staged.clone(), key.clone());
            let link = move || {
                directory.close_to_git()?;
                let is_linked = directory.link(staged.file(), &key)?;
                // Something of another length was there, which only damage explains.
                Ok(is_linked && directory.path(&key).metadata()?.len() == staged.length)
            };
            if self.blocking("write an asset", link).await? {
                return Ok(());
            }
        }
        self.upload_parts(staged, &key).await
    }

    async fn upload_parts(&self, staged: &StagedAsset, key: &Key) -> Result<(), AssetError> {
        let failed = |error| self.failed("write an asset", error);
        let mut content = staged.content();
        if staged.length <= PART as u64 {
            let mut whole = Vec::new();
            while let Some(bytes) = content.try_next().await? {
                whole.extend_from_slice(&bytes);
            }
            return self.objects.put(key, whole.into()).await.map(drop).map_err(failed);
        }
        let upload = self.objects.put_multipart(key).await.map_err(failed)?;
        let mut upload = WriteMultipart::new_with_chunk_size(upload, PART);
        while let Some(bytes) = content.try_next().await? {
            upload.wait_for_capacity(PARTS_AT_ONCE).await.map_err(failed)?;
            upload.put(bytes);
        }
        upload.finish().await.map(drop).map_err(failed)
    }

    /// Waits until nobody is about to delete the asset.
    async fn await_claims(&self, digest: &Digest) -> Result<(), AssetError> {
        while self.is_claimed(digest).await? {
            tokio::time::sleep(CLAIM_PAUSE).await;
        }
        Ok(())
    }

    /// Whether somebody is about to delete the asset. What was left by a process that is gone is taken away.
    async fn is_claimed(&self, digest: &Digest) -> Result<bool, AssetError> {
        let mut is_claimed = false;
        // There are hardly ever any, of whatever asset.
        let mut claims = self.list_records(keys::CLAIMS);
        while let Some(key) = claims.try_next().await? {
            if keys::digest_of_claim(&key) != Some(*digest) {
                continue;
            }
            match self.read_time(&key).await? {
                Some(claimed) if age(claimed) > CLAIM_LIFE => self.remove(&key).await?,
                Some(_) => is_claimed = true,
                None => {}
            }
        }
        Ok(is_claimed)
    }

    /// Deletes the asset, unless it is needed, while that is announced.
    async fn collect_claimed(&self, digest: &Digest, marked_until: Timestamp) -> Result<bool, AssetError> {
        let claim = keys::claim(digest, &Uuid::new_v4());
        let began = tokio::time::Instant::now();
        let collected = async {
            self.write(&claim, &Timestamp::now()).await?;
            if self.is_needed(digest, marked_until).await? || began.elapsed() > CLAIM_USE {
                return Ok(false);
            }
            self.delete(digest).await?;
            Ok(true)
        }
        .await;
        self.remove(&claim).await?;
        collected
    }

    async fn is_needed(&self, digest: &Digest, marked_until: Timestamp) -> Result<bool, AssetError> {
        let mark = self.read_time(&keys::mark(digest)).await?;
        Ok(mark.is_none_or(|marked| marked > marked_until) || !self.references(digest).await?.is_empty())
    }
}

/// How long ago that was; nothing where the clock of who wrote it is ahead.
fn age(time: Timestamp) -> Duration {
    Duration::try_from(Timestamp::now().duration_since(time)).unwrap_or_default()
}

/// The operating system's error, if that is the cause, so that its kind can be told.
fn as_io(error: &object_store::Error) -> std::io::Error {
    let mut source: Option<&(dyn std::error::Error + 'static)> = Some(error);
    let mut kind = std::io::ErrorKind::Other;
    while let Some(cause) = source {
        if let Some(cause) = cause.downcast_ref::<std::io::Error>() {
            kind = cause.kind();
        }
        source = cause.source();
    }
    std::io::Error::new(kind, Failure::new(error))
}

#[async_trait]
impl AssetStore for ObjectAssets {
    fn staging_folder(&self) -> Option<&Path> {
        self.directory.as_ref().map(Directory::root)
    }

    async fn create(&self, staged: &StagedAsset) -> Result<AssetMetadata, AssetError> {
        let metadata = AssetMetadata {
            lines: staged.lines,
            pixels: staged.pixels,
            ..AssetMetadata::new(staged.digest, staged.length, staged.mime.clone(), Timestamp::now())
        };
        // Whoever announces itself after the mark is gone will not delete; whoever has before has ended when none is left.
        self.remove(&keys::mark(&staged.digest)).await?;
        self.await_claims(&staged.digest).await?;
        self.upload(staged).await?;
        self.note(&metadata).await
    }

    async fn get(&self, digest: &Digest, range: Option<Range<u64>>) -> Result<ByteStream, AssetError> {
        let key = keys::asset(digest);
        let length = self.length(&key).await?.ok_or_else(|| self.not_found(digest))?;
        let range = range.unwrap_or(0..length);
        if range.start > range.end || range.end > length {
            return Err(AssetError::invalid(
                format!("range {}..{} of {digest}", range.start, range.end),
                format!("the asset has {length} bytes"),
            ));
        }
        if range.is_empty() {
            return Ok(futures_util::stream::empty().boxed());
        }
        if let Some(directory) = &self.directory {
            let file = directory.open_file(&key).map_err(self.io("open an asset"))?;
            let file = file.ok_or_else(|| self.not_found(digest))?;
            return Ok(Directory::read(file, range.start, range.end, &self.name));
        }
        let options = GetOptions::new().with_range(Some(range.clone()));
        let found = match self.objects.get_opts(&key, options).await {
            Ok(found) => found,
            Err(object_store::Error::NotFound { .. }) => return Err(self.not_found(digest)),
            Err(error) => return Err(self.failed("read an asset", error)),
        };
        let store = self.clone();
        let content = found.into_stream();
        Ok(content
            .map_err(move |error| store.failed("read an asset", error))
            .boxed())
    }

    async fn open_file(&self, digest: &Digest) -> Result<Option<File>, AssetError> {
        let opened = self
            .directory
            .as_ref()
            .map(|directory| directory.open_file(&keys::asset(digest)));
        opened
            .transpose()
            .map(Option::flatten)
            .map_err(self.io("open an asset"))
    }

    async fn head(&self, digest: &Digest) -> Result<AssetMetadata, AssetError> {
        let key = keys::asset(digest);
        let found = match self.objects.head(&key).await {
            Ok(found) => found,
            Err(object_store::Error::NotFound { .. }) => return Err(self.not_found(digest)),
            Err(error) => return Err(self.failed("look for an asset", error)),
        };
        let created = Timestamp::from_millisecond(found.last_modified.timestamp_millis()).unwrap_or_default();
        self.metadata(digest, found.size, created).await
    }

    fn list(&self) -> BoxStream<'static, Result<AssetMetadata, AssetError>> {
        self.list_assets()
    }

    async fn delete(&self, digest: &Digest) -> Result<(), AssetError> {
        // The bytes first: what is known of nothing is not listed.
        self.remove(&keys::asset(digest)).await?;
        self.remove(&keys::metadata(digest)).await?;
        self.remove(&keys::mark(digest)).await
    }

    async fn add_reference(&self, digest: &Digest, reference: &Reference) -> Result<(), AssetError> {
        let key = keys::reference(digest, reference);
        self.write(&key, reference).await?;
        self.await_claims(digest).await?;
        if self.length(&keys::asset(digest)).await?.is_some() {
            return Ok(());
        }
        self.remove(&key).await?;
        Err(self.not_found(digest))
    }

    async fn remove_reference(&self, digest: &Digest, reference: &Reference) -> Result<(), AssetError> {
        self.remove(&keys::reference(digest, reference)).await
    }

    async fn references(&self, digest: &Digest) -> Result<Vec<Reference>, AssetError> {
        let mut all = Vec::new();
        for kind in [keys::REFERENCES, keys::PINS] {
            let prefix = keys::references_of(kind, digest);
            let mut found = self.objects.list(Some(&prefix));
            while let Some(object) = found.next().await {
                let object = object.map_err(|error| self.failed("look for references", error))?;
                if keys::digest_of_reference(&object.location).is_some() {
                    all.extend(self.read(&object.location).await?);
                }
            }
        }
        all.sort_unstable();
        Ok(all)
    }

    fn list_references(&self) -> BoxStream<'static, Result<(Digest, Reference), AssetError>> {
        self.list_all_references()
    }

    async fn mark(&self, digest: &Digest) -> Result<Timestamp, AssetError> {
        let key = keys::mark(digest);
        if let Some(marked) = self.read_time(&key).await? {
            return Ok(marked);
        }
        if self.length(&keys::asset(digest)).await?.is_none() {
            return Err(self.not_found(digest));
        }
        let now = Timestamp::now();
        self.write(&key, &now).await?;
        Ok(now)
    }

    async fn unmark(&self, digest: &Digest) -> Result<(), AssetError> {
        self.remove(&keys::mark(digest)).await
    }

    fn list_marks(&self) -> BoxStream<'static, Result<(Digest, Timestamp), AssetError>> {
        let store = self.clone();
        self.list_records(keys::MARKS)
            .try_filter_map(move |key| {
                let store = store.clone();
                async move {
                    let Some(digest) = keys::digest_of_mark(&key) else {
                        return Ok(None);
                    };
                    Ok(store.read_time(&key).await?.map(|time| (digest, time)))
                }
            })
            .boxed()
    }

    async fn collect(&self, digest: &Digest, marked_until: Timestamp) -> Result<bool, AssetError> {
        // Most are decided without announcing anything.
        if self.is_needed(digest, marked_until).await? {
            return Ok(false);
        }
        // A dropped call must not leave its announcement: others would wait for that to grow old.
        let (store, digest) = (self.clone(), *digest);
        let collecting = tokio::spawn(async move { store.collect_claimed(&digest, marked_until).await });
        let collected = collecting.await.map_err(std::io::Error::other);
        collected.map_err(self.io("collect an asset")).flatten()
    }
}

#[cfg(test)]
mod tests {
    use crate::assets::{AssetStoreExt, MimeType};

    use super::*;

    #[tokio::test]
    async fn what_is_put_into_a_folder_is_one_file_under_its_digest() {
        let folder = tempfile::tempdir().unwrap();
        let store = ObjectAssets::directory(folder.path()).unwrap();
        let asset = store.put_bytes("a\nb".into(), MimeType::plain()).await.unwrap();
        assert_eq!((asset.length, asset.lines), (3, Some(2)));
        let path = folder.path().join(keys::asset(&asset.digest).as_ref());
        assert_eq!(std::fs::read(path).unwrap(), b"a\nb");
        assert_eq!(store.list().try_collect::<Vec<_>>().await.unwrap(), [asset]);
        let ignored = std::fs::read_to_string(folder.path().join(".gitignore")).unwrap();
        assert_eq!(ignored, "/sha256/\n/meta/\n/refs/\n/pins/\n/marks/\n/claims/\n");
    }

    #[tokio::test]
    async fn a_record_that_could_not_be_read_again_is_not_written() {
        let store = ObjectAssets::memory();
        let asset = store.put_bytes("a".into(), MimeType::plain()).await.unwrap();
        let pin = "p".repeat(usize::try_from(RECORD_LIMIT).unwrap());
        let added = store.add_reference(&asset.digest, &Reference::Pin { pin }).await;
        assert!(matches!(added, Err(AssetError::Invalid { .. })), "{added:?}");
        assert_eq!(store.references(&asset.digest).await.unwrap(), []);
    }
}
