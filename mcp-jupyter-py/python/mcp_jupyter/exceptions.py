"""What mcp_jupyter raises: one exception for each thing that a caller can do about a failure.

Each derives from `Error`, and from the built-in exception that means the same.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, List, Optional

if TYPE_CHECKING:
    from .results import RunResult

__all__ = [
    "CellExecutionError",
    "ConflictError",
    "CorruptError",
    "Error",
    "InvalidRequestError",
    "KernelDiedError",
    "KernelStartError",
    "NotFoundError",
    "SystemCallError",
    "TimedOutError",
    "UnavailableError",
    "UnsupportedError",
]


class Error(Exception):
    """Any failure of mcp_jupyter.

    Attributes
    ----------
    result : RunResult or None
        What the run has left, where a run has failed: the notebook with all outputs up to the failure.
    """

    result: Optional[RunResult] = None


class NotFoundError(Error, LookupError):
    """The thing that was named does not exist."""


class InvalidRequestError(Error, ValueError):
    """What was asked for contradicts itself or the notebook."""


class ConflictError(Error, RuntimeError):
    """What was to be changed is another by now; look at it again."""


class CorruptError(Error, ValueError):
    """A notebook or a message is not what it should be."""


class KernelStartError(Error, RuntimeError):
    """A kernel cannot be started."""


class KernelDiedError(Error, RuntimeError):
    """The kernel's process ended."""


class TimedOutError(Error, TimeoutError):
    """A limit of time was reached."""


class UnsupportedError(Error, NotImplementedError):
    """The kernel cannot do this."""


class SystemCallError(Error, OSError):
    """The operating system refused a file operation or a process."""


class UnavailableError(Error, RuntimeError):
    """Not now: a queue is full, or a service away. Later it may succeed."""


class CellExecutionError(Error, RuntimeError):
    """The code of a cell has failed. The attributes are those of papermill's ``PapermillExecutionError``, and more.

    Attributes
    ----------
    ename, evalue : str
        Class and message of the exception in the kernel.
    traceback : list of str
        Its traceback, with ANSI colours as the kernel has sent them.
    cell_id : str
        The cell's id.
    cell_index : int
        The cell's place among all cells of the notebook, from 0.
    exec_count : int or None
        The ``n`` of ``In[n]``.
    source : str
        The cell's code.
    """

    ename: str = ""
    evalue: str = ""
    traceback: List[str]
    cell_id: str = ""
    cell_index: int = -1
    exec_count: Optional[int] = None
    source: str = ""

    def __init__(self, message: str = "") -> None:
        super().__init__(message)
        self.traceback = []
