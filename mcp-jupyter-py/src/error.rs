use mcp_jupyter_core::{Error, ErrorKind};
use pyo3::prelude::*;

use crate::backend::Details;
use crate::ending::entered;

/// The exception for a failure; if the package is damaged, the exception that says so.
pub(crate) fn to_python(py: Python<'_>, error: impl Into<Error>) -> PyErr {
    let error = error.into();
    let exception = entered(py, || {
        let module = py.import("mcp_jupyter.exceptions")?;
        let exception = module.getattr(class_of(error.kind()))?.call1((message(&error),))?;
        if let Some(details) = Details::of(&error) {
            let text = serde_json::to_string(&details).unwrap_or_default();
            exception.setattr("details", py.import("json")?.getattr("loads")?.call1((text,))?)?;
        }
        Ok(exception)
    });
    exception.map_or_else(|damaged| damaged, PyErr::from_value)
}

fn class_of(kind: ErrorKind) -> &'static str {
    match kind {
        ErrorKind::NotFound => "NotFoundError",
        ErrorKind::InvalidRequest => "InvalidRequestError",
        ErrorKind::Conflict => "ConflictError",
        ErrorKind::Corrupt => "CorruptError",
        ErrorKind::KernelStart => "KernelStartError",
        ErrorKind::KernelDied => "KernelDiedError",
        ErrorKind::TimedOut => "TimedOutError",
        ErrorKind::Unsupported => "UnsupportedError",
        ErrorKind::Io => "SystemCallError",
        ErrorKind::Unavailable => "UnavailableError",
    }
}

/// The error and its causes, each after what it caused.
fn message(error: &Error) -> String {
    let causes = std::iter::successors(std::error::Error::source(error), |cause| cause.source());
    let texts = causes.map(ToString::to_string);
    std::iter::once(error.to_string())
        .chain(texts)
        .collect::<Vec<_>>()
        .join(": ")
}
