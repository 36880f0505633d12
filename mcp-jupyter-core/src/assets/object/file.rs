//! One object of a cloud's store, as a file: a notebook that is read or saved there.

use std::fmt;

use bytes::Bytes;
use object_store::ObjectStoreExt as _;
use object_store::path::Path as Key;

use crate::assets::error::AssetError;

use super::ObjectAssets;

const SCHEMES: [&str; 3] = ["s3://", "gs://", "az://"];

/// A file in a cloud's object store. Others see what was written last as a whole, or what was there before.
#[derive(Clone, Debug)]
pub struct ObjectFile {
    folder: ObjectAssets,
    name: Key,
    address: String,
}

impl fmt::Display for ObjectFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.address)
    }
}

impl ObjectFile {
    /// Whether a text names such a file, and not a path.
    pub fn is_address(text: &str) -> bool {
        SCHEMES.iter().any(|scheme| text.starts_with(scheme))
    }

    /// The file at an address such as `s3://bucket/folder/name`. Where the store is and who we are comes from where
    /// [`ObjectAssets::open`] has it.
    ///
    /// # Errors
    /// Where that is no address of a file, or this build cannot reach it.
    ///
    /// ```
    /// use mcp_jupyter_core::assets::ObjectFile;
    ///
    /// assert!(ObjectFile::is_address("s3://bucket/report.ipynb"));
    /// assert!(ObjectFile::open("s3://bucket").is_err());
    /// ```
    pub fn open(address: &str) -> Result<Self, AssetError> {
        let invalid = || {
            let reason = "expected a bucket and a name, as in s3://bucket/folder/name.ipynb";
            AssetError::invalid(format!("file {address:?}"), reason)
        };
        let scheme = SCHEMES.iter().find(|scheme| address.starts_with(**scheme));
        let scheme = scheme.ok_or_else(invalid)?;
        let (folder, name) = address[scheme.len()..].rsplit_once('/').ok_or_else(invalid)?;
        if folder.is_empty() || name.is_empty() {
            return Err(invalid());
        }
        Ok(Self {
            folder: ObjectAssets::open(&format!("{scheme}{folder}"))?,
            name: Key::parse(name).map_err(|_| invalid())?,
            address: address.to_owned(),
        })
    }

    /// What is in it; nothing where there is none.
    ///
    /// # Errors
    /// Where the store cannot be reached, or refuses.
    pub async fn read(&self) -> Result<Option<Bytes>, AssetError> {
        let failed = |error| self.folder.failed(&format!("read {}", self.name), error);
        match self.folder.objects.get(&self.name).await {
            Ok(found) => found.bytes().await.map(Some).map_err(failed),
            Err(object_store::Error::NotFound { .. }) => Ok(None),
            Err(error) => Err(failed(error)),
        }
    }

    /// Creates or replaces it. A dropped call leaves the old or the new one.
    ///
    /// # Errors
    /// Where the store cannot be reached, or refuses.
    pub async fn write(&self, content: Bytes) -> Result<(), AssetError> {
        let written = self.folder.objects.put(&self.name, content.into()).await;
        written.map_err(|error| self.folder.failed(&format!("write {}", self.name), error))?;
        Ok(())
    }
}
