//! Classes of Python in place of a domain's trait.

mod conformance;
mod failure;
mod local_scheduler;
mod scheduler;
mod store;

use std::sync::Arc;

use pyo3::prelude::*;
use pyo3::types::PyTuple;

use crate::ending::call_in;

pub(crate) use self::conformance::{asset_store_cases, check_asset_store, check_scheduler, scheduler_cases};
pub(crate) use self::failure::Details;
pub(crate) use self::local_scheduler::{PyScheduler, PySteps, open_local_scheduler, open_python_scheduler};
pub(crate) use self::store::{PyStaged, open_python_assets};

/// The way to an object of Python: a function of the package that calls a method, awaits what has to be awaited, and gives
/// either the result or what kind of failure there was.
#[derive(Clone, Debug)]
struct Adapter(Arc<Py<PyAny>>);

/// What a method gives.
#[derive(Debug, FromPyObject)]
enum Answer {
    Text(String),
    Bytes(Vec<u8>),
    Object(Py<PyAny>),
}

impl Answer {
    fn text(&self) -> &str {
        match self {
            Self::Text(text) => text,
            Self::Bytes(_) | Self::Object(_) => "null",
        }
    }
}

/// Why a method has given nothing.
#[derive(Debug)]
struct Failure {
    /// As `ErrorKind` is written in JSON; empty for an exception that is none of ours.
    kind: String,
    message: String,
}

impl Adapter {
    fn new(adapter: Py<PyAny>) -> Self {
        Self(Arc::new(adapter))
    }

    /// Calls a method with arguments as JSON, on a thread that may wait.
    async fn call(&self, method: &'static str, arguments: String, extra: Option<PyStaged>) -> Result<Answer, Failure> {
        let adapter = Arc::clone(&self.0);
        let called = tokio::task::spawn_blocking(move || {
            call_in(|py| -> PyResult<(String, Answer)> {
                let extra = extra.map(|extra| Bound::new(py, extra)).transpose()?;
                let arguments = PyTuple::new(
                    py,
                    [
                        method.into_pyobject(py)?.into_any(),
                        arguments.into_pyobject(py)?.into_any(),
                        extra.into_pyobject(py)?.into_any(),
                    ],
                )?;
                adapter.call1(py, arguments)?.extract(py)
            })
        });
        let failed = |message: String| Failure {
            kind: String::new(),
            message,
        };
        match called.await {
            Ok(Some(Ok((kind, answer)))) if kind.is_empty() => Ok(answer),
            Ok(Some(Ok((kind, answer)))) => Err(Failure {
                kind: kind.trim_start_matches("error ").to_owned(),
                message: answer.text().to_owned(),
            }),
            Ok(Some(Err(error))) => Err(failed(error.to_string())),
            Ok(None) => Err(failed("the interpreter is ending".to_owned())),
            Err(error) => Err(failed(error.to_string())),
        }
    }
}
