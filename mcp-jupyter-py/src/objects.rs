//! Values as Python has them. They go through JSON, which Python reads faster than objects can be made one by one.

use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyList};
use serde::Serialize;

use crate::ending::{detached, entered};
use crate::feed::Next;

/// The objects that JSON stands for.
pub(crate) fn loads<'py>(py: Python<'py>, text: &[u8]) -> PyResult<Bound<'py, PyAny>> {
    entered(py, || {
        py.import("json")?.getattr("loads")?.call1((PyBytes::new(py, text),))
    })
}

/// A value, as objects.
pub(crate) fn to_objects<'py, T: Serialize + Sync + ?Sized>(py: Python<'py>, value: &T) -> PyResult<Bound<'py, PyAny>> {
    let text = detached(py, || serde_json::to_vec(value).unwrap_or_default());
    loads(py, &text)
}

/// What was read, as objects; none at the end.
pub(crate) fn to_list<T: Serialize + Send + Sync>(py: Python<'_>, next: Next<T>) -> PyResult<Option<Bound<'_, PyAny>>> {
    match next {
        Next::Items(items) => to_objects(py, &items).map(Some),
        Next::Nothing => Ok(Some(PyList::empty(py).into_any())),
        Next::End => Ok(None),
    }
}
