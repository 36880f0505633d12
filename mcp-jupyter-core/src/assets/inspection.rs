//! What is in a store, as people ask for it.

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::path::Path;

use futures_util::TryStreamExt;
use serde::Serialize;
use sha2::{Digest as _, Sha256};

use super::error::AssetError;
use super::types::{AssetMetadata, Reference};
use super::{AssetStore, ByteStream};
use crate::model::Digest;

/// An asset with all that refers to it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Listed {
    /// What is known of it.
    #[serde(flatten)]
    pub asset: AssetMetadata,
    /// Why it must stay.
    pub refs: Vec<Reference>,
}

/// How much there is in a store.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Usage {
    /// How many assets there are.
    pub assets: u64,
    /// Their size, in bytes.
    pub bytes: u64,
    /// The size of those without a registered reference.
    pub unreferenced_bytes: u64,
    /// The same by MIME type, without its parameters.
    pub types: BTreeMap<String, TypeUsage>,
}

/// How much there is of one type.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct TypeUsage {
    /// How many assets there are.
    pub assets: u64,
    /// Their size, in bytes.
    pub bytes: u64,
}

/// All assets with what refers to them, in the order of their digests.
///
/// # Errors
/// Where the store cannot be read.
pub async fn listed(store: &dyn AssetStore) -> Result<Vec<Listed>, AssetError> {
    let (assets, references) = tokio::try_join!(
        store.list().try_collect::<Vec<AssetMetadata>>(),
        store.list_references().try_collect::<Vec<(Digest, Reference)>>()
    )?;
    let mut by_digest: BTreeMap<Digest, Vec<Reference>> = BTreeMap::new();
    for (digest, reference) in references {
        by_digest.entry(digest).or_default().push(reference);
    }
    let listed = assets.into_iter().map(|asset| Listed {
        refs: by_digest.remove(&asset.digest).unwrap_or_default(),
        asset,
    });
    Ok(listed.collect())
}

/// How much there is.
///
/// # Errors
/// As [`listed`].
pub async fn usage(store: &dyn AssetStore) -> Result<Usage, AssetError> {
    let mut usage = Usage::default();
    for Listed { asset, refs } in listed(store).await? {
        let of_type = usage.types.entry(asset.mime.essence().to_owned()).or_default();
        of_type.assets += 1;
        of_type.bytes += asset.length;
        usage.assets += 1;
        usage.bytes += asset.length;
        usage.unreferenced_bytes += if refs.is_empty() { asset.length } else { 0 };
    }
    Ok(usage)
}

/// What is wrong with an asset: it is not there, or its bytes are not those that its digest names; none where all is well.
///
/// # Errors
/// Where the store cannot be read.
pub async fn problem(store: &dyn AssetStore, digest: &Digest) -> Result<Option<String>, AssetError> {
    let mut content = match store.get(digest, None).await {
        Err(AssetError::NotFound { .. }) => return Ok(Some("it is not there".to_owned())),
        content => content?,
    };
    let mut hasher = Sha256::new();
    while let Some(bytes) = content.try_next().await? {
        hasher.update(&bytes);
    }
    let found = Digest::from_bytes(hasher.finalize().into());
    Ok((found != *digest).then(|| format!("its bytes are those of {found}")))
}

/// Writes the bytes of an asset into a file, which is there as a whole or not at all; one that is there already is only
/// replaced where that is asked for.
///
/// # Errors
/// As [`AssetStore::get`]; [`AssetError::Invalid`] where the file exists, [`AssetError::Io`] where it cannot be written.
pub async fn export(store: &dyn AssetStore, digest: &Digest, path: &Path, replace: bool) -> Result<(), AssetError> {
    if path.exists() && !replace {
        return Err(exists(path));
    }
    let content = store.get(digest, None).await?;
    write(content, path, replace).await
}

fn exists(path: &Path) -> AssetError {
    AssetError::invalid(path.display().to_string(), "it exists, and is not to be replaced")
}

async fn write(mut content: ByteStream, path: &Path, replace: bool) -> Result<(), AssetError> {
    let failed = |source: io::Error| match source.kind() {
        io::ErrorKind::AlreadyExists => exists(path),
        _ => AssetError::Io {
            store: path.display().to_string(),
            action: "cannot write the file".to_owned(),
            source,
        },
    };
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    let mut file = tempfile::Builder::new()
        .prefix(".mcp-jupyter-")
        .suffix(".tmp")
        .tempfile_in(folder.unwrap_or(Path::new(".")))
        .map_err(failed)?;
    while let Some(bytes) = content.try_next().await? {
        file.write_all(&bytes).map_err(failed)?;
    }
    file.as_file().sync_all().map_err(failed)?;
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        // A temporary file is closed to others, which an exported one need not be.
        let mode = std::fs::Permissions::from_mode(0o644);
        file.as_file().set_permissions(mode).map_err(failed)?;
    }
    let placed = if replace {
        file.persist(path)
    } else {
        file.persist_noclobber(path)
    };
    placed.map(drop).map_err(|error| failed(error.error))
}

#[cfg(test)]
mod tests {
    use super::{TypeUsage, export, listed, problem, usage};
    use crate::assets::{AssetStore, AssetStoreExt, MimeType, ObjectAssets, Reference};
    use crate::model::Digest;

    #[tokio::test]
    async fn a_store_is_inspected() {
        let store = ObjectAssets::memory();
        let text = store.put_bytes("abc".into(), MimeType::plain()).await.unwrap();
        let bytes = store.put_bytes("12345".into(), MimeType::unknown()).await.unwrap();
        let pin = Reference::Pin { pin: "kept".to_owned() };
        store.add_reference(&text.digest, &pin).await.unwrap();

        let found = listed(&store).await.unwrap();
        let refs = |digest: &Digest| {
            found
                .iter()
                .find(|listed| listed.asset.digest == *digest)
                .unwrap()
                .refs
                .clone()
        };
        assert_eq!((refs(&text.digest), refs(&bytes.digest)), (vec![pin], vec![]));
        let usage = usage(&store).await.unwrap();
        assert_eq!((usage.assets, usage.bytes, usage.unreferenced_bytes), (2, 8, 5));
        assert_eq!(usage.types["text/plain"], TypeUsage { assets: 1, bytes: 3 });
        assert_eq!(problem(&store, &text.digest).await.unwrap(), None);
        let unknown = problem(&store, &Digest::of(b"other")).await.unwrap();
        assert_eq!(unknown.as_deref(), Some("it is not there"));
    }

    #[tokio::test]
    async fn a_file_is_replaced_only_where_that_is_asked_for() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("out.txt");
        let store = ObjectAssets::memory();
        let asset = store.put_bytes("abc".into(), MimeType::plain()).await.unwrap();
        export(&store, &asset.digest, &path, false).await.unwrap();
        let refused = export(&store, &asset.digest, &path, false).await.unwrap_err();
        assert!(
            refused.to_string().ends_with("it exists, and is not to be replaced"),
            "{refused}"
        );
        std::fs::write(&path, "x").unwrap();
        export(&store, &asset.digest, &path, true).await.unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"abc");
    }
}
