//! Notebooks that lie in a cloud's object store.

use std::path::Path;

use mcp_jupyter_core::Error;
use mcp_jupyter_core::assets::ObjectFile;
use mcp_jupyter_core::session::SessionError;
use pyo3::prelude::*;
use tokio::runtime::{Builder, Runtime};

use crate::ending::detached;
use crate::error::to_python;

/// A path that is the address of an object.
pub(crate) fn address(path: &Path) -> Option<&str> {
    path.to_str().filter(|text| ObjectFile::is_address(text))
}

/// The content of the object at an address. It blocks.
pub(crate) fn read_object(address: &str) -> Result<Vec<u8>, Error> {
    let object = ObjectFile::open(address)?;
    let found = one_thread()?.block_on(object.read())?;
    let missing = || SessionError::NotFound { path: address.into() };
    Ok(found.ok_or_else(missing)?.into())
}

/// Creates or replaces the object at an address. It blocks.
pub(crate) fn write_object(address: &str, content: Vec<u8>) -> Result<(), Error> {
    let object = ObjectFile::open(address)?;
    Ok(one_thread()?.block_on(object.write(content.into()))?)
}

/// Saves a notebook that Python has put together.
#[pyfunction(name = "write_object")]
pub(crate) fn save_object(py: Python<'_>, address: &str, content: Vec<u8>) -> PyResult<()> {
    detached(py, || write_object(address, content)).map_err(|error| to_python(py, error))
}

/// A runtime that works where it is waited for.
pub(crate) fn one_thread() -> Result<Runtime, Error> {
    let started = Builder::new_current_thread().enable_all().build();
    Ok(started.map_err(|source| SessionError::Io {
        action: "start a runtime".to_owned(),
        source,
    })?)
}
