use std::fmt;
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::stream::{self, BoxStream};
use futures_util::{StreamExt, TryStreamExt};
use jiff::Timestamp;
use mcp_jupyter_core::assets::{AssetError, AssetMetadata, AssetStore, ByteStream, Reference, StagedAsset};
use mcp_jupyter_core::model::Digest;
use pyo3::prelude::*;
use pyo3::types::PyBytes;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::{Adapter, Answer, Failure};
use crate::assets::PyAssets;
use crate::ending::detached;

/// What is read at once, in bytes.
const CHUNK: u64 = 8 << 20;

/// A store of assets that is written in Python.
#[derive(Clone, Debug)]
pub(super) struct PythonStore {
    adapter: Adapter,
    name: Arc<str>,
}

/// The store that calls this function of the package for everything.
#[pyfunction]
pub(crate) fn open_python_assets(adapter: Py<PyAny>, name: &str) -> PyAssets {
    PyAssets::new(Arc::new(PythonStore::new(adapter, name)))
}

/// The bytes that an asset is to be made of.
#[pyclass(name = "Staged", module = "mcp_jupyter._native", frozen)]
#[derive(Debug)]
pub(crate) struct PyStaged(StagedAsset);

#[pymethods]
impl PyStaged {
    /// How many they are.
    #[getter]
    fn length(&self) -> u64 {
        self.0.length
    }

    /// The bytes from `offset` on, at most `limit` of them.
    fn read_at<'py>(&self, py: Python<'py>, offset: u64, limit: usize) -> PyResult<Bound<'py, PyBytes>> {
        let bytes = detached(py, || self.0.read_at(offset, limit))?;
        Ok(PyBytes::new(py, &bytes))
    }
}

impl fmt::Display for PythonStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)
    }
}

impl PythonStore {
    pub(super) fn new(adapter: Py<PyAny>, name: &str) -> Self {
        Self {
            adapter: Adapter::new(adapter),
            name: name.into(),
        }
    }

    async fn call<T: DeserializeOwned>(
        &self,
        method: &'static str,
        digest: Option<&Digest>,
        arguments: Value,
    ) -> Result<T, AssetError> {
        let answered = self.adapter.call(method, arguments.to_string(), None).await;
        let answer = answered.map_err(|failure| self.failed(method, digest, failure))?;
        self.understood(method, &answer)
    }

    fn understood<T: DeserializeOwned>(&self, method: &'static str, answer: &Answer) -> Result<T, AssetError> {
        serde_json::from_str(answer.text()).map_err(|error| AssetError::Corrupt {
            store: self.to_string(),
            what: format!("what {method}() gives"),
            reason: error.to_string(),
        })
    }

    fn failed(&self, method: &'static str, digest: Option<&Digest>, failure: Failure) -> AssetError {
        let (store, Failure { kind, message }) = (self.to_string(), failure);
        match (kind.as_str(), digest) {
            ("not_found", Some(digest)) => AssetError::NotFound { store, digest: *digest },
            ("invalid_request", _) => AssetError::Invalid {
                what: format!("{store}: {method}()"),
                reason: message,
            },
            ("corrupt", _) => AssetError::Corrupt {
                store,
                what: format!("what {method}() is about"),
                reason: message,
            },
            ("unsupported", _) => AssetError::Unsupported {
                what: format!("{store}: {method}(): {message}"),
            },
            ("io", _) => AssetError::Io {
                store,
                action: format!("{method}()"),
                source: std::io::Error::other(message),
            },
            _ => AssetError::Unavailable {
                store,
                action: format!("{method}()"),
                source: message.into(),
            },
        }
    }

    /// All that a method lists, in order.
    fn listed<T, K>(
        &self,
        method: &'static str,
        key: impl Fn(&T) -> K + Send + 'static,
    ) -> BoxStream<'static, Result<T, AssetError>>
    where
        T: DeserializeOwned + Send + 'static,
        K: Ord,
    {
        let store = self.clone();
        let listing = async move {
            let mut all: Vec<T> = store.call(method, None, json!({})).await?;
            all.sort_by_key(|item| key(item));
            Ok(stream::iter(all.into_iter().map(Ok)))
        };
        stream::once(listing).try_flatten().boxed()
    }
}

fn nanoseconds(time: Timestamp) -> Value {
    let farthest = if time < Timestamp::UNIX_EPOCH {
        i64::MIN
    } else {
        i64::MAX
    };
    json!(i64::try_from(time.as_nanosecond()).unwrap_or(farthest))
}

fn time(nanoseconds: i64) -> Timestamp {
    Timestamp::from_nanosecond(nanoseconds.into()).unwrap_or(Timestamp::MAX)
}

#[async_trait]
impl AssetStore for PythonStore {
    fn staging_folder(&self) -> Option<&Path> {
        None
    }

    async fn create(&self, staged: &StagedAsset) -> Result<AssetMetadata, AssetError> {
        let mut asset = AssetMetadata::new(staged.digest, staged.length, staged.mime.clone(), Timestamp::now());
        asset.lines = staged.lines;
        asset.pixels = staged.pixels;
        let arguments = json!({ "asset": asset }).to_string();
        let content = Some(PyStaged(staged.clone()));
        let created = self.adapter.call("create", arguments, content).await;
        let answer = created.map_err(|failure| self.failed("create", Some(&staged.digest), failure))?;
        self.understood("create", &answer)
    }

    async fn get(&self, digest: &Digest, range: Option<Range<u64>>) -> Result<ByteStream, AssetError> {
        let length = self.head(digest).await?.length;
        let range = range.unwrap_or(0..length);
        if range.start > range.end || range.end > length {
            return Err(AssetError::Invalid {
                what: format!("range {}..{} of {digest}", range.start, range.end),
                reason: format!("the asset has {length} bytes"),
            });
        }
        let (store, digest) = (self.clone(), *digest);
        let chunks = stream::try_unfold(range.start, move |start| {
            let store = store.clone();
            async move {
                if start >= range.end {
                    return Ok(None);
                }
                let end = range.end.min(start + CHUNK);
                let bytes = store.read(&digest, start, end).await?;
                Ok(Some((bytes, end)))
            }
        });
        Ok(chunks.boxed())
    }

    async fn head(&self, digest: &Digest) -> Result<AssetMetadata, AssetError> {
        self.call("head", Some(digest), json!({ "digest": digest })).await
    }

    fn list(&self) -> BoxStream<'static, Result<AssetMetadata, AssetError>> {
        self.listed("list", |asset: &AssetMetadata| asset.digest)
    }

    async fn delete(&self, digest: &Digest) -> Result<(), AssetError> {
        self.call("delete", Some(digest), json!({ "digest": digest })).await
    }

    async fn add_reference(&self, digest: &Digest, reference: &Reference) -> Result<(), AssetError> {
        let arguments = json!({ "digest": digest, "reference": reference });
        self.call("add_reference", Some(digest), arguments).await
    }

    async fn remove_reference(&self, digest: &Digest, reference: &Reference) -> Result<(), AssetError> {
        let arguments = json!({ "digest": digest, "reference": reference });
        self.call("remove_reference", Some(digest), arguments).await
    }

    async fn references(&self, digest: &Digest) -> Result<Vec<Reference>, AssetError> {
        let mut references: Vec<Reference> = self
            .call("references", Some(digest), json!({ "digest": digest }))
            .await?;
        references.sort_unstable();
        Ok(references)
    }

    fn list_references(&self) -> BoxStream<'static, Result<(Digest, Reference), AssetError>> {
        self.listed("list_references", |(digest, reference): &(Digest, Reference)| {
            (*digest, reference.clone())
        })
    }

    async fn mark(&self, digest: &Digest) -> Result<Timestamp, AssetError> {
        let arguments = json!({ "digest": digest, "now": nanoseconds(Timestamp::now()) });
        self.call("mark", Some(digest), arguments).await.map(time)
    }

    async fn unmark(&self, digest: &Digest) -> Result<(), AssetError> {
        self.call("unmark", Some(digest), json!({ "digest": digest })).await
    }

    fn list_marks(&self) -> BoxStream<'static, Result<(Digest, Timestamp), AssetError>> {
        let marks = self.listed("list_marks", |(digest, _): &(Digest, i64)| *digest);
        marks.map_ok(|(digest, marked)| (digest, time(marked))).boxed()
    }

    async fn collect(&self, digest: &Digest, marked_until: Timestamp) -> Result<bool, AssetError> {
        let arguments = json!({ "digest": digest, "marked_until": nanoseconds(marked_until) });
        self.call("collect", Some(digest), arguments).await
    }
}

impl PythonStore {
    async fn read(&self, digest: &Digest, start: u64, end: u64) -> Result<Bytes, AssetError> {
        let arguments = json!({ "digest": digest, "start": start, "end": end }).to_string();
        let answered = self.adapter.call("read", arguments, None).await;
        let length = end - start;
        match answered.map_err(|failure| self.failed("read", Some(digest), failure))? {
            Answer::Bytes(bytes) if bytes.len() as u64 == length => Ok(bytes.into()),
            answer => Err(AssetError::Corrupt {
                store: self.to_string(),
                what: format!("asset {digest}"),
                reason: match answer {
                    Answer::Bytes(bytes) => format!("{length} bytes were asked for, and read() gave {}", bytes.len()),
                    Answer::Text(_) | Answer::Object(_) => "read() has to give bytes".to_owned(),
                },
            }),
        }
    }
}
