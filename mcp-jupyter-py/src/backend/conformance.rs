use std::sync::Arc;

use async_trait::async_trait;
use mcp_jupyter_core::assets::AssetStore;
use mcp_jupyter_core::assets::conformance as assets;
use mcp_jupyter_core::model::Digest;
use mcp_jupyter_core::scheduler::Scheduler;
use mcp_jupyter_core::scheduler::conformance as scheduling;
use mcp_jupyter_core::session::SessionError;
use pyo3::exceptions::PyAssertionError;
use pyo3::prelude::*;
use serde_json::json;

use super::scheduler::PythonScheduler;
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
    let cases = assets::cases();
    cases.iter().map(|case| (case.name, case.description)).collect()
}

/// What every scheduler must do: names and sentences.
#[pyfunction]
pub(crate) fn scheduler_cases() -> Vec<(&'static str, &'static str)> {
    let cases = scheduling::cases();
    cases.iter().map(|case| (case.name, case.description)).collect()
}

/// Runs a case on the stores that `fixture`, a function of the package, gives; raises `AssertionError` where one fails.
#[pyfunction]
pub(crate) fn check_asset_store(py: Python<'_>, name: &str, fixture: Py<PyAny>) -> PyResult<PyJob> {
    let found = assets::cases().into_iter().find(|case| case.name == name);
    let case = found.ok_or_else(|| to_python(py, invalid(format!("there is no case {name:?}"))))?;
    let fixture = PythonFixture(Adapter::new(fixture));
    check(py, async move { case.run(&fixture).await })
}

/// Runs a case on the schedulers that `fixture`, a function of the package, gives.
#[pyfunction]
pub(crate) fn check_scheduler(py: Python<'_>, name: &str, fixture: Py<PyAny>) -> PyResult<PyJob> {
    let found = scheduling::cases().into_iter().find(|case| case.name == name);
    let case = found.ok_or_else(|| to_python(py, invalid(format!("there is no case {name:?}"))))?;
    let fixture = PythonFixture(Adapter::new(fixture));
    check(py, async move { case.run(&fixture).await })
}

/// Runs what panics where something is not as it must be.
fn check(py: Python<'_>, case: impl Future<Output = ()> + Send + 'static) -> PyResult<PyJob> {
    let work = async move {
        let run = tokio::spawn(case);
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

    async fn opened(&self, method: &'static str) -> Py<PyAny> {
        match self.call(method, json!({})).await {
            Answer::Object(adapter) => adapter,
            Answer::Text(_) | Answer::Bytes(_) => panic!("the fixture's {method}() has to give a backend"),
        }
    }

    async fn opened_store(&self, method: &'static str) -> Arc<dyn AssetStore> {
        Arc::new(PythonStore::new(self.opened(method).await, "a store of Python"))
    }

    async fn opened_scheduler(&self, method: &'static str) -> Arc<dyn Scheduler> {
        Arc::new(PythonScheduler::new(self.opened(method).await, "a scheduler of Python"))
    }
}

#[async_trait]
impl assets::Fixture for PythonFixture {
    async fn store(&self) -> Arc<dyn AssetStore> {
        self.opened_store("store").await
    }

    async fn again(&self) -> Arc<dyn AssetStore> {
        self.opened_store("again").await
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

#[async_trait]
impl scheduling::Fixture for PythonFixture {
    async fn scheduler(&self) -> Arc<dyn Scheduler> {
        self.opened_scheduler("scheduler").await
    }

    async fn reopen(&self) -> Arc<dyn Scheduler> {
        self.opened_scheduler("reopen").await
    }
}
