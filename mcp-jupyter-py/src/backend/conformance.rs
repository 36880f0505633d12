use std::sync::Arc;

use async_trait::async_trait;
use mcp_jupyter_core::assets::AssetStore;
use mcp_jupyter_core::assets::conformance::{Case, Fixture, cases};
use mcp_jupyter_core::model::Digest;
use mcp_jupyter_core::session::SessionError;
use pyo3::exceptions::PyAssertionError;
use pyo3::prelude::*;
use serde_json::json;

use super::store::PythonStore;
use super::{Adapter, Answer};
use crate::error::to_python;
use crate::job::PyJob;
use crate::run::invalid;

/// How often races are run; calls of Python take longer than others.
const ROUNDS: u32 = 10;

/// What every store of assets must do: names and sentences.
#[pyfunction]
pub(crate) fn asset_store_cases() -> Vec<(&'static str, &'static str)> {
    cases().iter().map(|case| (case.name, case.description)).collect()
}

/// Runs a case on the stores that `fixture`, a function of the package, gives; raises `AssertionError` where one fails.
#[pyfunction]
pub(crate) fn check_asset_store(py: Python<'_>, name: &str, fixture: Py<PyAny>) -> PyResult<PyJob> {
    let found: Option<Case> = cases().into_iter().find(|case| case.name == name);
    let Some(case) = found else {
        return Err(to_python(py, invalid(format!("there is no case {name:?}"))));
    };
    let fixture = PythonFixture(Adapter::new(fixture));
    let work = async move {
        let run = tokio::spawn(async move { case.run(&fixture).await });
        let failure = run.await.err().map(|error| panic_message(error.into_panic()));
        Ok::<_, SessionError>(failure)
    };
    PyJob::start(py, work, |py, failure| match failure {
        Some(failure) => Err(PyAssertionError::new_err(failure)),
        None => Ok(py.None().into_bound(py)),
    })
}

#[expect(clippy::needless_pass_by_value, reason = "it is what a task that has panicked gives")]
fn panic_message(panic: Box<dyn std::any::Any + Send>) -> String {
    let text = panic.downcast_ref::<String>().cloned();
    text.or_else(|| panic.downcast_ref::<&str>().map(ToString::to_string))
        .unwrap_or_else(|| "the case has failed without a word".to_owned())
}

/// A backend under test that is written in Python.
#[derive(Debug)]
struct PythonFixture(Adapter);

impl PythonFixture {
    async fn call(&self, method: &'static str, arguments: serde_json::Value) -> Answer {
        let answer = self.0.call(method, arguments.to_string(), None).await;
        answer.unwrap_or_else(|failure| panic!("the fixture's {method}(): {}", failure.message))
    }

    async fn opened(&self, method: &'static str) -> Arc<dyn AssetStore> {
        match self.call(method, json!({})).await {
            Answer::Object(adapter) => Arc::new(PythonStore::new(adapter, "a store of Python")),
            Answer::Text(_) | Answer::Bytes(_) => panic!("the fixture's {method}() has to give a store"),
        }
    }
}

#[async_trait]
impl Fixture for PythonFixture {
    async fn store(&self) -> Arc<dyn AssetStore> {
        self.opened("store").await
    }

    async fn again(&self) -> Arc<dyn AssetStore> {
        self.opened("again").await
    }

    async fn plant(&self, asset: &Digest) -> bool {
        self.call("plant", json!({ "digest": asset })).await.text() == "true"
    }

    async fn is_planted(&self) -> bool {
        self.call("is_planted", json!({})).await.text() == "true"
    }

    fn rounds(&self) -> u32 {
        ROUNDS
    }
}
