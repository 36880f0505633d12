"""Run Jupyter notebooks on real kernels."""

from ._native import KernelSpec, __version__, kernelspec, kernelspecs
from .exceptions import (
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

__all__ = [
    "ConflictError",
    "CorruptError",
    "Error",
    "InvalidRequestError",
    "KernelDiedError",
    "KernelSpec",
    "KernelStartError",
    "NotFoundError",
    "SystemCallError",
    "TimedOutError",
    "UnavailableError",
    "UnsupportedError",
    "__version__",
    "kernelspec",
    "kernelspecs",
]
