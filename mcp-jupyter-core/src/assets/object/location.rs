//! From an address to a store.

use std::path::Path;
use std::sync::Arc;

use object_store::ObjectStore;
use object_store::local::LocalFileSystem;
use object_store::memory::InMemory;

use crate::assets::error::AssetError;

use super::ObjectAssets;
use super::directory::Directory;

/// The schemes that other builds and other crates know.
const SERVICES: [&str; 3] = ["grpc", "grpcs", "grpc+unix"];

impl ObjectAssets {
    /// A store in memory, which ends with its last clone.
    pub fn memory() -> Self {
        Self {
            objects: Arc::new(InMemory::new()),
            directory: None,
            name: "memory".into(),
        }
    }

    /// A store in a local folder, which is made, and closed to git, if it is not there.
    ///
    /// # Errors
    /// Where there cannot be a folder.
    pub fn directory(path: &Path) -> Result<Self, AssetError> {
        let failed = |source| AssetError::Io {
            store: path.display().to_string(),
            action: "open the folder of the assets".to_owned(),
            source,
        };
        let directory = Directory::open(path).map_err(failed)?;
        let files = LocalFileSystem::new_with_prefix(directory.root());
        let files = files.map_err(|error| failed(super::as_io(&error)))?;
        let name = directory.root().display().to_string().into();
        Ok(Self {
            objects: Arc::new(files),
            directory: Some(directory),
            name,
        })
    }

    /// A store in objects of the caller's making, for services and settings that [`ObjectAssets::open`] does not know;
    /// `name` is what messages call it. Listing must be in the order of the names, as it is with S3, and tell what was
    /// written before.
    pub fn from_object_store(objects: Arc<dyn ObjectStore>, name: &str) -> Self {
        Self {
            objects,
            directory: None,
            name: name.into(),
        }
    }

    /// The store at an address: `memory`, a path or `file://`, and with the feature `cloud` `s3://`, `gs://` or `az://`,
    /// whose credentials come from the environment variables that their own tools read.
    ///
    /// # Errors
    /// Where that is no address of a store, or there cannot be one.
    ///
    /// ```
    /// use mcp_jupyter_core::assets::ObjectAssets;
    ///
    /// assert_eq!(ObjectAssets::open("memory")?.to_string(), "memory");
    /// assert!(ObjectAssets::open("ftp://example.org").is_err());
    /// # Ok::<(), mcp_jupyter_core::assets::AssetError>(())
    /// ```
    pub fn open(address: &str) -> Result<Self, AssetError> {
        if address.is_empty() {
            return Err(AssetError::invalid("an empty store", EXPECTED));
        }
        let Some((scheme, rest)) = address.split_once("://") else {
            return match address {
                "memory" => Ok(Self::memory()),
                path => Self::directory(Path::new(path)),
            };
        };
        match scheme {
            "file" => file(address, rest),
            "s3" | "gs" | "az" => cloud(address, scheme),
            _ if SERVICES.contains(&scheme) => Err(AssetError::Unsupported {
                what: format!("{address}: this build cannot reach an asset service"),
            }),
            _ => Err(AssetError::invalid(format!("store {address:?}"), EXPECTED)),
        }
    }
}

const EXPECTED: &str = "expected a path, file://, s3://, gs://, az:// or memory";

fn file(address: &str, rest: &str) -> Result<ObjectAssets, AssetError> {
    let path = rest.strip_prefix("localhost").unwrap_or(rest);
    if !path.starts_with('/') {
        return Err(AssetError::invalid(
            format!("store {address:?}"),
            "expected an absolute path after file://",
        ));
    }
    let decoded = percent_encoding::percent_decode_str(path).decode_utf8();
    let decoded = decoded.map_err(|_| AssetError::invalid(format!("store {address:?}"), "the path is not UTF-8"))?;
    ObjectAssets::directory(Path::new(&*decoded))
}

#[cfg(not(feature = "cloud"))]
fn cloud(address: &str, _: &str) -> Result<ObjectAssets, AssetError> {
    Err(AssetError::Unsupported {
        what: format!("{address}: this build was made without the feature `cloud`"),
    })
}

#[cfg(feature = "cloud")]
fn cloud(address: &str, scheme: &str) -> Result<ObjectAssets, AssetError> {
    use object_store::aws::AmazonS3Builder;
    use object_store::azure::MicrosoftAzureBuilder;
    use object_store::gcp::GoogleCloudStorageBuilder;
    use object_store::prefix::PrefixStore;

    let _ = rustls::crypto::ring::default_provider().install_default();
    let invalid = |error: object_store::Error| AssetError::invalid(format!("store {address:?}"), error.to_string());
    let client = object_store::ClientOptions::new().with_allow_http(is_plain_http());
    let retry = object_store::RetryConfig {
        max_retries: 5,
        retry_timeout: std::time::Duration::from_secs(60),
        ..Default::default()
    };
    let objects: Arc<dyn ObjectStore> = match scheme {
        "s3" => Arc::new(
            AmazonS3Builder::from_env()
                .with_url(address)
                .with_client_options(client)
                .with_retry(retry)
                .build()
                .map_err(invalid)?,
        ),
        "gs" => Arc::new(
            GoogleCloudStorageBuilder::from_env()
                .with_url(address)
                .with_client_options(client)
                .with_retry(retry)
                .build()
                .map_err(invalid)?,
        ),
        _ => Arc::new(
            MicrosoftAzureBuilder::from_env()
                .with_url(address)
                .with_client_options(client)
                .with_retry(retry)
                .build()
                .map_err(invalid)?,
        ),
    };
    let prefix = address.split("://").nth(1).and_then(|rest| rest.split_once('/'));
    let prefix = prefix.map_or("", |(_, prefix)| prefix).trim_matches('/');
    let objects: Arc<dyn ObjectStore> = if prefix.is_empty() {
        objects
    } else {
        let prefix = object_store::path::Path::parse(prefix).map_err(|error| invalid(error.into()))?;
        Arc::new(PrefixStore::new(objects, prefix))
    };
    Ok(ObjectAssets {
        objects,
        directory: None,
        name: address.into(),
    })
}

/// Whoever names an endpoint without TLS wants it.
#[cfg(feature = "cloud")]
fn is_plain_http() -> bool {
    let is = |name: &&str, wanted: fn(&str) -> bool| std::env::var(name).is_ok_and(|value| wanted(&value));
    let endpoints = [
        "AWS_ENDPOINT_URL",
        "AWS_ENDPOINT_URL_S3",
        "AWS_ENDPOINT",
        "AZURE_STORAGE_ENDPOINT",
        "AZURE_ENDPOINT",
    ];
    let switches = ["AWS_ALLOW_HTTP", "AZURE_ALLOW_HTTP", "GOOGLE_ALLOW_HTTP"];
    endpoints.iter().any(|name| is(name, |url| url.starts_with("http://")))
        || switches
            .iter()
            .any(|name| is(name, |value| value.eq_ignore_ascii_case("true")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_understood_or_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a b");
        let store = ObjectAssets::open(&format!("file://{}", path.display()).replace(' ', "%20")).unwrap();
        assert!(store.directory.is_some() && path.join(".gitignore").exists());
        ObjectAssets::open(path.to_str().unwrap()).unwrap();
        for refused in [
            "",
            "ftp://host/x",
            "file://host/x",
            "file://relative",
            "grpc://127.0.0.1:1",
        ] {
            assert!(ObjectAssets::open(refused).is_err(), "{refused}");
        }
        // A file is no folder.
        assert!(ObjectAssets::open(path.join(".gitignore").to_str().unwrap()).is_err());
    }
}
