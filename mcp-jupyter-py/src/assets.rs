//! Stores of large outputs, from Python.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use mcp_jupyter_core::Error;
use mcp_jupyter_core::assets::reading::{AssetReader, LineLimits, LineRange, Pattern, Search};
use mcp_jupyter_core::assets::retention::{Retention, prune};
use mcp_jupyter_core::assets::{
    AssetError, AssetMetadata, AssetStore, AssetStoreExt, Listed, MimeType, ObjectAssets, Reference, Staging, export,
    listed, problem, usage,
};
use mcp_jupyter_core::engine::{Offload, inline};
use mcp_jupyter_core::model::Digest;
use mcp_jupyter_core::session::SessionError;
use mcp_jupyter_core::session::notebook::Notebook;
use pyo3::prelude::*;
use pyo3::types::PyBytes;
use serde::Serialize;
use serde_json::json;
use tokio::io::AsyncReadExt;

use crate::error::to_python;
use crate::job::PyJob;
use crate::objects::to_objects;
use crate::run::invalid;
use crate::runtime::Owned;

/// What is read of a file at once, in bytes.
const CHUNK: usize = 1 << 20;

/// A store of assets.
#[pyclass(name = "AssetsHandle", module = "mcp_jupyter._native", frozen)]
#[derive(Debug)]
pub(crate) struct PyAssets(Owned<Arc<AssetReader>>);

/// Opens the store at an address: a folder, `file://`, `s3://`, `gs://`, `az://` or `memory`.
#[pyfunction]
pub(crate) fn open_assets(py: Python<'_>, address: String) -> PyResult<PyJob> {
    let open = move || ObjectAssets::open(&address);
    PyJob::start_blocking(py, open, |py, store| {
        Ok(Bound::new(py, PyAssets::new(Arc::new(store)))?.into_any())
    })
}

impl PyAssets {
    pub(crate) fn new(store: Arc<dyn AssetStore>) -> Self {
        Self(Owned::new(Arc::new(AssetReader::new(store))))
    }

    /// The store, for whoever else is to use it.
    pub(crate) fn store(&self) -> PyResult<Arc<dyn AssetStore>> {
        Ok(Arc::clone(self.0.get()?.store()))
    }
}

/// What is to be searched for.
#[derive(Debug, FromPyObject)]
#[pyo3(from_item_all)]
pub(crate) struct SearchOptions {
    pattern: String,
    is_regex: bool,
    ignore_case: bool,
    before: usize,
    after: usize,
    from_line: u64,
    max_matches: u64,
    max_bytes: usize,
}

impl From<SearchOptions> for Search {
    fn from(options: SearchOptions) -> Self {
        let pattern = if options.is_regex {
            Pattern::Regex(options.pattern)
        } else {
            Pattern::Literal(options.pattern)
        };
        let mut search = Self::new(pattern);
        search.ignore_case = options.ignore_case;
        search.before = options.before;
        search.after = options.after;
        search.from_line = options.from_line;
        search.max_matches = options.max_matches;
        search.max_bytes = options.max_bytes;
        search
    }
}

#[pymethods]
impl PyAssets {
    /// What the store is called in messages.
    #[getter]
    fn name(&self) -> PyResult<String> {
        Ok(self.0.get()?.store().to_string())
    }

    /// Makes an asset of these bytes.
    fn put(&self, py: Python<'_>, content: Vec<u8>, mime: &str) -> PyResult<PyJob> {
        let (store, mime) = (self.store()?, mime_type(py, mime)?);
        let work = async move { store.put_bytes(content.into(), mime).await };
        PyJob::start(py, work, |py, asset| to_objects(py, &asset))
    }

    /// Makes an asset of a file's content.
    fn put_file(&self, py: Python<'_>, path: PathBuf, mime: &str) -> PyResult<PyJob> {
        let (store, mime) = (self.store()?, mime_type(py, mime)?);
        let work = async move { put_file(&*store, path, mime).await };
        PyJob::start(py, work, |py, asset| to_objects(py, &asset))
    }

    /// The bytes of a range, or all of them.
    #[pyo3(signature = (digest, range=None))]
    fn get(&self, py: Python<'_>, digest: &str, range: Option<(u64, Option<u64>)>) -> PyResult<PyJob> {
        let (store, digest) = (self.store()?, parsed(py, digest)?);
        let work = async move {
            let range = match range {
                None => None,
                Some((start, Some(end))) => Some(start..end),
                Some((start, None)) => Some(start..store.head(&digest).await?.length),
            };
            store.bytes(&digest, range).await
        };
        PyJob::start(py, work, |py, bytes| Ok(PyBytes::new(py, &bytes).into_any()))
    }

    /// Lines, as many as the limits allow.
    fn lines(&self, py: Python<'_>, digest: &str, range: &str, lines: u64, bytes: usize) -> PyResult<PyJob> {
        let (reader, digest) = (Arc::clone(self.0.get()?), parsed(py, digest)?);
        let range: LineRange = range.parse().map_err(|error: AssetError| to_python(py, error))?;
        let work = async move { reader.lines(&digest, range, LineLimits { lines, bytes }).await };
        PyJob::start(py, work, |py, lines| {
            to_objects(
                py,
                &Noticed {
                    notice: lines.notice(),
                    found: lines,
                },
            )
        })
    }

    /// The lines that match.
    fn search(&self, py: Python<'_>, digest: &str, options: SearchOptions) -> PyResult<PyJob> {
        let (reader, digest) = (Arc::clone(self.0.get()?), parsed(py, digest)?);
        let work = async move { reader.search(&digest, &options.into()).await };
        PyJob::start(py, work, |py, matches| {
            to_objects(
                py,
                &Noticed {
                    notice: matches.notice(),
                    found: matches,
                },
            )
        })
    }

    /// A part of a JSON document.
    fn pointer(&self, py: Python<'_>, digest: &str, pointer: String, limit: usize) -> PyResult<PyJob> {
        let (reader, digest) = (Arc::clone(self.0.get()?), parsed(py, digest)?);
        let work = async move { reader.pointer(&digest, &pointer, limit).await };
        PyJob::start(py, work, |py, pointed| {
            to_objects(
                py,
                &Noticed {
                    notice: pointed.notice(),
                    found: pointed,
                },
            )
        })
    }

    /// What is known of an asset, and what refers to it.
    fn head(&self, py: Python<'_>, digest: &str) -> PyResult<PyJob> {
        let (store, digest) = (self.store()?, parsed(py, digest)?);
        let work = async move {
            Ok::<_, AssetError>(Listed {
                asset: store.head(&digest).await?,
                refs: store.references(&digest).await?,
            })
        };
        PyJob::start(py, work, |py, asset| to_objects(py, &asset))
    }

    /// All assets, with what refers to them.
    fn list(&self, py: Python<'_>) -> PyResult<PyJob> {
        let store = self.store()?;
        let work = async move { listed(&*store).await };
        PyJob::start(py, work, |py, assets| to_objects(py, &assets))
    }

    /// Deletes an asset, whatever refers to it.
    fn delete(&self, py: Python<'_>, digest: &str) -> PyResult<PyJob> {
        let (store, digest) = (self.store()?, parsed(py, digest)?);
        PyJob::start_plain(py, async move { store.delete(&digest).await })
    }

    /// Notes, or forgets, that somebody wants an asset kept.
    fn pin(&self, py: Python<'_>, digest: &str, pin: String, is_pinned: bool) -> PyResult<PyJob> {
        let (store, digest) = (self.store()?, parsed(py, digest)?);
        PyJob::start_plain(py, async move {
            let reference = Reference::Pin { pin };
            if is_pinned {
                store.add_reference(&digest, &reference).await
            } else {
                store.remove_reference(&digest, &reference).await
            }
        })
    }

    /// What is wrong with these assets, or with all, by digest.
    fn verify(&self, py: Python<'_>, digests: Vec<String>) -> PyResult<PyJob> {
        let store = self.store()?;
        let digests: PyResult<Vec<Digest>> = digests.into_iter().map(|digest| parsed(py, &digest)).collect();
        let digests = digests?;
        let work = async move {
            let digests = match digests.as_slice() {
                [] => listed(&*store)
                    .await?
                    .iter()
                    .map(|listed| listed.asset.digest)
                    .collect(),
                _ => digests,
            };
            let mut damaged = Vec::new();
            for digest in &digests {
                if let Some(problem) = problem(&*store, digest).await? {
                    damaged.push((digest.to_string(), problem));
                }
            }
            Ok::<_, AssetError>(json!({ "verified": digests.len(), "damaged": damaged }))
        };
        PyJob::start(py, work, |py, found| to_objects(py, &found))
    }

    /// How much there is.
    fn usage(&self, py: Python<'_>) -> PyResult<PyJob> {
        let store = self.store()?;
        let work = async move { usage(&*store).await };
        PyJob::start(py, work, |py, usage| to_objects(py, &usage))
    }

    /// Writes the bytes of an asset into a file.
    fn export(&self, py: Python<'_>, digest: &str, path: PathBuf, replace: bool) -> PyResult<PyJob> {
        let (store, digest) = (self.store()?, parsed(py, digest)?);
        PyJob::start_plain(py, async move { export(&*store, &digest, &path, replace).await })
    }

    /// Puts back what was taken out of a notebook; gives its bytes, and how many outputs that were.
    fn inline(&self, py: Python<'_>, document: Vec<u8>) -> PyResult<PyJob> {
        let store = self.store()?;
        let work = async move {
            let mut notebook = Notebook::parse(&document)?;
            let inlined = inline(&mut notebook, &*store).await?;
            Ok::<_, Error>((notebook.to_bytes(), inlined.outputs))
        };
        PyJob::start(py, work, |py, (document, outputs)| {
            notebook_with(py, &document, outputs)
        })
    }

    /// Takes large outputs out of a notebook of this name; gives its bytes, and how many outputs that were.
    #[pyo3(signature = (document, name, threshold=None))]
    fn offload(&self, py: Python<'_>, document: Vec<u8>, name: String, threshold: Option<u64>) -> PyResult<PyJob> {
        let offload = Offload::new(self.store()?);
        let offload = match threshold {
            Some(threshold) => offload.with_threshold(threshold),
            None => offload,
        };
        let work = async move {
            let mut notebook = Notebook::parse(&document)?;
            let offloaded = offload.notebook(&mut notebook, &name).await?;
            Ok::<_, Error>((notebook.to_bytes(), offloaded.outputs))
        };
        PyJob::start(py, work, |py, (document, outputs)| {
            notebook_with(py, &document, outputs)
        })
    }

    /// Deletes what nothing has needed for so many seconds.
    #[pyo3(signature = (roots, grace, quota, dry_run))]
    fn prune(
        &self,
        py: Python<'_>,
        roots: Vec<PathBuf>,
        grace: f64,
        quota: Option<u64>,
        dry_run: bool,
    ) -> PyResult<PyJob> {
        let store = self.store()?;
        let Ok(grace) = Duration::try_from_secs_f64(grace) else {
            let reason = format!("grace={grace}: expected a time from 0 on, in seconds");
            return Err(to_python(py, invalid(reason)));
        };
        let retention = Retention {
            roots,
            grace,
            quota,
            dry_run,
        };
        let work = async move { prune(&*store, &retention).await };
        PyJob::start(py, work, |py, pruned| to_objects(py, &pruned))
    }
}

/// What was read, and what of it is not shown.
#[derive(Serialize)]
struct Noticed<T> {
    #[serde(flatten)]
    found: T,
    notice: Option<String>,
}

fn notebook_with<'py>(py: Python<'py>, document: &[u8], outputs: usize) -> PyResult<Bound<'py, PyAny>> {
    Ok((PyBytes::new(py, document), outputs).into_pyobject(py)?.into_any())
}

async fn put_file(store: &dyn AssetStore, path: PathBuf, mime: MimeType) -> Result<AssetMetadata, Error> {
    let failed = |source| SessionError::Io {
        action: format!("read {}", path.display()),
        source,
    };
    let mut file = tokio::fs::File::open(&path).await.map_err(failed)?;
    let mut staging = Staging::new(store.staging_folder());
    let mut chunk = vec![0; CHUNK];
    loop {
        let read = file.read(&mut chunk).await.map_err(failed)?;
        if read == 0 {
            break;
        }
        staging.write(&chunk[..read]).await?;
    }
    let staged = staging.finish(mime).await?;
    Ok(store.create(&staged).await?)
}

fn parsed(py: Python<'_>, digest: &str) -> PyResult<Digest> {
    let parsed: Result<Digest, _> = digest.parse();
    parsed.map_err(|error| to_python(py, invalid(error.to_string())))
}

fn mime_type(py: Python<'_>, mime: &str) -> PyResult<MimeType> {
    mime.parse().map_err(|error: AssetError| to_python(py, error))
}
