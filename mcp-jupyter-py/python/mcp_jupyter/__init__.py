"""Run Jupyter notebooks on real kernels."""

import atexit as _atexit

from . import _clash as _clash
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

_atexit.register(_shut_down)

__all__ = [
    "CellExecutionError",
    "CellResult",
    "ConflictError",
    "CorruptError",
    "Error",
    "InvalidRequestError",
    "KernelDiedError",
    "KernelSpec",
    "KernelStartError",
    "NotFoundError",
    "Output",
    "RunResult",
    "SystemCallError",
    "TimedOutError",
    "UnavailableError",
    "UnsupportedError",
    "__version__",
    "kernelspec",
    "kernelspecs",
    "run",
]
