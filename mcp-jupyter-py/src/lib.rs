//! The Python module `mcp_jupyter`: conversions between Python and `mcp-jupyter-core`, and no decisions of its own.

mod choice;
mod error;
mod kernel;
mod pump;
mod run;

use std::time::Duration;

use pyo3::prelude::*;

/// How long runs may take to save and to end their kernels when the interpreter ends.
const PATIENCE_AT_EXIT: Duration = Duration::from_secs(5);

/// Ends all runs and threads that could enter Python; called when the interpreter ends.
#[pyfunction]
fn shut_down(py: Python<'_>) {
    py.detach(|| {
        run::end_all(PATIENCE_AT_EXIT);
        pump::close();
    });
}

/// The compiled half of the package `mcp_jupyter`.
#[pyo3::pymodule]
mod _native {
    #[pymodule_export]
    use crate::kernel::{PyKernelSpec, kernelspec, kernelspecs};

    #[pymodule_export]
    use crate::run::PyRun;

    #[pymodule_export]
    use crate::shut_down;

    #[pymodule_export]
    #[allow(non_upper_case_globals, reason = "the name that Python has for it")]
    const __version__: &str = env!("CARGO_PKG_VERSION");
}
