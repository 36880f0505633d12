"""Run Jupyter notebooks on real kernels.

PYTEST_DONT_REWRITE: else pytest, for which a part of the distribution is a plugin, would warn where this was imported before.
"""

import atexit as _atexit
from typing import TYPE_CHECKING as _TYPE_CHECKING
from typing import Any as _Any

from . import _clash as _clash
from . import _interpreter as _interpreter
from ._native import KernelSpec, __version__, kernelspec, kernelspecs
from ._native import shut_down as _shut_down
from ._run import run
from .exceptions import (
    CellExecutionError,
    ConflictError,
    CorruptError,
    Error,
    InvalidRequestError,
    KernelDiedError,
    KernelStartError,
    NotFoundError,
    SystemCallError,
    TimedOutError,
    UnavailableError,
    UnsupportedError,
)
from .results import CellResult, Output, RunResult

if _TYPE_CHECKING:
    from . import backends
    from ._arun import AsyncRun, arun
    from ._asset_types import Asset, AssetUsage
    from ._assets import Assets
    from ._execution import AsyncExecution, Execution
    from ._kernel import Completions, Kernel
    from ._magic import load_ipython_extension, unload_ipython_extension
    from ._many import Outcome, run_many
    from ._papermill import execute_notebook
    from ._ray import RayExecutor
    from ._scheduler import AnalysedCell, Edge, Graph, Plan, PlannedCell, Scheduler, SkippedCell
    from ._session import Session
    from ._session_types import Edited, SnapshotInfo, Version

_atexit.register(_shut_down)

# What not every program needs is imported when it is first asked for.
_LATER = {
    "AnalysedCell": "_scheduler",
    "Asset": "_asset_types",
    "AssetUsage": "_asset_types",
    "Assets": "_assets",
    "AsyncExecution": "_execution",
    "AsyncRun": "_arun",
    "Completions": "_kernel",
    "Edge": "_scheduler",
    "Edited": "_session_types",
    "Execution": "_execution",
    "Graph": "_scheduler",
    "Kernel": "_kernel",
    "Outcome": "_many",
    "Plan": "_scheduler",
    "PlannedCell": "_scheduler",
    "RayExecutor": "_ray",
    "Scheduler": "_scheduler",
    "Session": "_session",
    "SkippedCell": "_scheduler",
    "SnapshotInfo": "_session_types",
    "Version": "_session_types",
    "arun": "_arun",
    "execute_notebook": "_papermill",
    "load_ipython_extension": "_magic",
    "run_many": "_many",
    "unload_ipython_extension": "_magic",
}


def __getattr__(name: str) -> _Any:
    from importlib import import_module

    if name == "backends":
        return import_module(".backends", __name__)
    if name not in _LATER:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f".{_LATER[name]}", __name__), name)
    globals()[name] = value
    return value


__all__ = [
    "AnalysedCell",
    "Asset",
    "AssetUsage",
    "Assets",
    "AsyncExecution",
    "AsyncRun",
    "CellExecutionError",
    "CellResult",
    "Completions",
    "ConflictError",
    "CorruptError",
    "Edge",
    "Edited",
    "Error",
    "Execution",
    "Graph",
    "InvalidRequestError",
    "Kernel",
    "KernelDiedError",
    "KernelSpec",
    "KernelStartError",
    "NotFoundError",
    "Outcome",
    "Output",
    "Plan",
    "PlannedCell",
    "RayExecutor",
    "RunResult",
    "Scheduler",
    "Session",
    "SkippedCell",
    "SnapshotInfo",
    "SystemCallError",
    "TimedOutError",
    "UnavailableError",
    "UnsupportedError",
    "Version",
    "__version__",
    "arun",
    "backends",
    "execute_notebook",
    "kernelspec",
    "kernelspecs",
    "load_ipython_extension",
    "run",
    "run_many",
    "unload_ipython_extension",
]
