//! The Python module `mcp_jupyter`: conversions between Python and `mcp-jupyter-core`, and no decisions of its own.

mod assets;
mod backend;
mod choice;
mod ending;
mod error;
mod feed;
mod job;
mod kernel;
mod live;
mod object_file;
mod objects;
mod planner;
mod pump;
mod run;
mod runtime;
mod session;

/// The compiled half of the package `mcp_jupyter`.
#[pyo3::pymodule]
mod _native {
    #[pymodule_export]
    use crate::kernel::{PyKernelSpec, kernelspec, kernelspecs};

    #[pymodule_export]
    use crate::run::PyRun;

    #[pymodule_export]
    use crate::assets::{PyAssets, open_assets};

    #[pymodule_export]
    use crate::backend::{
        PyScheduler, PyStaged, PySteps, asset_store_cases, check_asset_store, check_scheduler, open_local_scheduler,
        open_python_assets, open_python_scheduler, scheduler_cases,
    };

    #[pymodule_export]
    use crate::job::PyJob;

    #[pymodule_export]
    use crate::live::{PyExecution, PyKernel, attach_kernel, start_kernel};

    #[pymodule_export]
    use crate::object_file::save_object;

    #[pymodule_export]
    use crate::planner::{PyPlanner, PyPreview};

    #[pymodule_export]
    use crate::session::{PySession, open_session};

    #[pymodule_export]
    use crate::ending::shut_down;

    #[pymodule_export]
    #[allow(non_upper_case_globals, reason = "the name that Python has for it")]
    const __version__: &str = env!("CARGO_PKG_VERSION");
}
