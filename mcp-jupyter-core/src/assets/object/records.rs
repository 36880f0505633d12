//! The small objects beside the assets, and listing them.

use std::collections::HashMap;
use std::io;
use std::sync::{Mutex, MutexGuard, PoisonError};

use futures_core::stream::BoxStream;
use futures_util::{StreamExt, TryStreamExt, stream};
use jiff::Timestamp;
use object_store::ObjectStoreExt as _;
use object_store::path::Path as Key;
use object_store::{PutMode, PutOptions};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::assets::error::AssetError;
use crate::assets::types::{AssetMetadata, MimeType, Reference};
use crate::model::Digest;

use super::directory::Directory;
use super::{Bytes, ObjectAssets, ObjectStore as _, RECORD_LIMIT, keys};

/// How many records are on their way from a cloud at once.
const READ_AT_ONCE: usize = 32;

impl ObjectAssets {
    /// Writes a record, over an older one.
    pub(super) async fn write(&self, key: &Key, record: &impl Serialize) -> Result<(), AssetError> {
        let bytes = serde_json::to_vec(record).expect("records are plain data");
        if bytes.len() as u64 > RECORD_LIMIT {
            return Err(AssetError::invalid(
                format!("a record of {} bytes", bytes.len()),
                format!("at most {RECORD_LIMIT} are kept"),
            ));
        }
        let written = self.objects.put(key, bytes.into()).await;
        written.map(drop).map_err(|error| self.failed("write a record", error))
    }

    /// Notes what is known of an asset, unless that was noted before; gives what is noted.
    pub(super) async fn note(&self, metadata: &AssetMetadata) -> Result<AssetMetadata, AssetError> {
        let key = keys::metadata(&metadata.digest);
        // What cannot be read is written anew.
        if let Ok(Some(noted)) = self.read::<AssetMetadata>(&key).await
            && noted.length == metadata.length
        {
            return Ok(noted);
        }
        let bytes = serde_json::to_vec(metadata).expect("metadata is plain data");
        let options = PutOptions::from(PutMode::Overwrite);
        let written = self.objects.put_opts(&key, bytes.into(), options).await;
        written.map_err(|error| self.failed("write a record", error))?;
        Ok(metadata.clone())
    }

    /// Reads a record; none where there is none.
    pub(super) async fn read<T: DeserializeOwned>(&self, key: &Key) -> Result<Option<T>, AssetError> {
        let found = match self.objects.get(key).await {
            Ok(found) => found,
            Err(object_store::Error::NotFound { .. }) => return Ok(None),
            Err(error) => return Err(self.failed("read a record", error)),
        };
        if found.meta.size > RECORD_LIMIT {
            return Err(self.damaged(key, "it is too long"));
        }
        let bytes = match found.bytes().await {
            Ok(bytes) => bytes,
            Err(object_store::Error::NotFound { .. }) => return Ok(None),
            Err(error) => return Err(self.failed("read a record", error)),
        };
        self.parse(key, &bytes).map(Some)
    }

    fn parse<T: DeserializeOwned>(&self, key: &Key, bytes: &Bytes) -> Result<T, AssetError> {
        serde_json::from_slice(bytes).map_err(|error| self.damaged(key, &error.to_string()))
    }

    fn damaged(&self, key: &Key, reason: &str) -> AssetError {
        AssetError::Corrupt {
            store: self.to_string(),
            what: key.to_string(),
            reason: reason.to_owned(),
        }
    }

    pub(super) async fn read_time(&self, key: &Key) -> Result<Option<Timestamp>, AssetError> {
        self.read(key).await
    }

    /// Removes an object; does nothing where there is none.
    pub(super) async fn remove(&self, key: &Key) -> Result<(), AssetError> {
        match self.objects.delete(key).await {
            Ok(()) | Err(object_store::Error::NotFound { .. }) => Ok(()),
            Err(error) => Err(self.failed("delete an object", error)),
        }
    }

    /// What is known of an asset that is there: as it was noted, or as much as the object itself says.
    pub(super) async fn metadata(
        &self,
        digest: &Digest,
        length: u64,
        created: Timestamp,
    ) -> Result<AssetMetadata, AssetError> {
        let noted = match self.read::<AssetMetadata>(&keys::metadata(digest)).await {
            Err(AssetError::Corrupt { .. }) => None,
            read => read?,
        };
        Ok(checked(noted, digest, length, created))
    }

    pub(super) fn list_assets(&self) -> BoxStream<'static, Result<AssetMetadata, AssetError>> {
        if let Some(directory) = self.directory.clone() {
            return self.list_blocking(move || list_directory(&directory));
        }
        let (store, looker) = (self.clone(), self.clone());
        let found = self.objects.list(Some(&Key::from(keys::ASSETS)));
        found
            .map_err(move |error| looker.failed("list the assets", error))
            .try_filter_map(|object| async move {
                Ok(keys::digest_of_asset(&object.location).map(|digest| (digest, object)))
            })
            .map_ok(move |(digest, object)| {
                let store = store.clone();
                async move {
                    let created = Timestamp::from_millisecond(object.last_modified.timestamp_millis());
                    store.metadata(&digest, object.size, created.unwrap_or_default()).await
                }
            })
            .try_buffered(READ_AT_ONCE)
            .boxed()
    }

    pub(super) fn list_all_references(&self) -> BoxStream<'static, Result<(Digest, Reference), AssetError>> {
        if let Some(directory) = self.directory.clone() {
            return self.list_blocking(move || list_directory_references(&directory));
        }
        let store = self.clone();
        let with_digest = |folder: &'static str| {
            self.list_records(folder)
                .try_filter_map(|key| async move { Ok(keys::digest_of_reference(&key).map(|digest| (digest, key))) })
        };
        with_digest(keys::REFERENCES)
            .chain(with_digest(keys::PINS))
            .map_ok(move |(digest, key)| {
                let store = store.clone();
                async move { Ok(store.read(&key).await?.map(|reference| (digest, reference))) }
            })
            .try_buffered(READ_AT_ONCE)
            .try_filter_map(|found| async move { Ok(found) })
            .boxed()
    }

    pub(super) fn list_records(&self, folder: &str) -> BoxStream<'static, Result<Key, AssetError>> {
        let store = self.clone();
        let found = self.objects.list(Some(&Key::from(folder)));
        found
            .map_ok(|object| object.location)
            .map_err(move |error| store.failed("list records", error))
            .boxed()
    }

    fn list_blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> io::Result<Vec<T>> + Send + 'static,
    ) -> BoxStream<'static, Result<T, AssetError>> {
        let store = self.clone();
        stream::once(async move { store.blocking("list the assets", work).await })
            .map_ok(|all| stream::iter(all.into_iter().map(Ok)))
            .try_flatten()
            .boxed()
    }
}

/// What was noted, if that is about these bytes.
fn checked(noted: Option<AssetMetadata>, digest: &Digest, length: u64, created: Timestamp) -> AssetMetadata {
    noted
        .filter(|noted| noted.digest == *digest && noted.length == length)
        .unwrap_or_else(|| AssetMetadata::new(*digest, length, MimeType::unknown(), created))
}

fn list_directory(directory: &Directory) -> io::Result<Vec<AssetMetadata>> {
    let mut digests: Vec<Digest> = directory
        .files(keys::ASSETS, 1)?
        .iter()
        .filter_map(|path| {
            let digest = Digest::from_hex(path.file_name()?.to_str()?).ok()?;
            (directory.path(&keys::asset(&digest)) == *path).then_some(digest)
        })
        .collect();
    digests.sort_unstable();
    let listed = Directory::each(&digests, |digest| {
        let noted = Directory::read_short(&directory.path(&keys::metadata(digest)))?;
        let noted = noted.and_then(|bytes| serde_json::from_slice::<AssetMetadata>(&bytes).ok());
        if let Some(noted) = noted.filter(|noted| noted.digest == *digest) {
            return Ok(noted);
        }
        let found = directory.path(&keys::asset(digest)).metadata()?;
        let created = found.modified().ok().and_then(|time| Timestamp::try_from(time).ok());
        Ok(checked(None, digest, found.len(), created.unwrap_or_default()))
    })?;
    Ok(listed.into_iter().flatten().collect())
}

fn list_directory_references(directory: &Directory) -> io::Result<Vec<(Digest, Reference)>> {
    let mut paths = directory.files(keys::REFERENCES, 2)?;
    paths.extend(directory.files(keys::PINS, 1)?);
    // A notebook has many references, whose keys say all but its name: of each notebook one is read.
    let notebooks = Mutex::new(HashMap::new());
    let listed = Directory::each(&paths, |path| {
        let below = path
            .strip_prefix(directory.root())
            .ok()
            .and_then(|below| below.to_str());
        // What a writer that was killed has left has no key of ours either.
        let key = below.and_then(|below| Key::parse(below).ok());
        let Some((digest, key)) = key.and_then(|key| Some((keys::digest_of_reference(&key)?, key))) else {
            return Ok(None);
        };
        let said = keys::cell_of_reference(&key);
        if let Some((named, cell)) = &said
            && let Some(notebook) = known(&notebooks).get(named).cloned()
        {
            let cell = cell.clone();
            return Ok(Some((digest, Reference::Cell { notebook, cell })));
        }
        let record = Directory::read_short(path)?;
        let reference = record.and_then(|record| serde_json::from_slice(&record).ok());
        if let (Some((named, _)), Some(Reference::Cell { notebook, .. })) = (said, &reference)
            && keys::is_name_of(&named, notebook)
        {
            known(&notebooks).insert(named, notebook.clone());
        }
        Ok(reference.map(|reference| (digest, reference)))
    })?;
    let mut all: Vec<(Digest, Reference)> = listed.into_iter().flatten().flatten().collect();
    all.sort_unstable();
    Ok(all)
}

fn known(notebooks: &Mutex<HashMap<String, String>>) -> MutexGuard<'_, HashMap<String, String>> {
    notebooks.lock().unwrap_or_else(PoisonError::into_inner)
}
